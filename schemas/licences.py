"""Licences by what they ask: which is stricter than which, for sources, for models, for the release.

What a reader gets wrong: this is no legal advice but a table. A licence that is not in it is unknown, and
unknown never counts as permission.
"""

from __future__ import annotations

import re
from collections.abc import Collection

CONDITIONS = ("attribution", "share-alike", "use restrictions", "non-commercial", "no-derivatives")
"""What a licence may ask of who passes a work on, from light to heavy."""
UNSTATED = "not-stated"
"""How a missing licence is named in `release.allow`."""

_BY, _SA, _USE, _NC, _ND = CONDITIONS
_FAMILIES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"cc0(-1\.0)?|pdm(-1\.0)?|public-domain|pddl(-1\.0)?|unlicense", ()),
    (r"mit|bsd-[23]-clause|apache-2\.0|isc|odc-by(-1\.0)?|etalab-2\.0", (_BY,)),
    (r"cc-by-nc-nd{v}", (_BY, _NC, _ND)),
    (r"cc-by-nc-sa{v}", (_BY, _SA, _NC)),
    (r"cc-by-nc{v}", (_BY, _NC)),
    (r"cc-by-nd{v}", (_BY, _ND)),
    (r"cc-by-sa{v}|odbl(-1\.0)?", (_BY, _SA)),
    (r"cc-by{v}", (_BY,)),
    (r"(bigscience-|creativeml-)?openrail(-m|\+\+)?|sam-licen[cs]e", (_BY, _USE)),
    (r"flux-(1-dev-)?non-commercial(-licen[cs]e)?", (_USE, _NC)),
)
"""Creative Commons' deeds; SPDX's texts; OpenRAIL's and SAM's acceptable uses; FLUX's non-commercial one."""
_KNOWN = tuple(
    (re.compile(pattern.replace("{v}", r"(-[1-4]\.[05])?")), frozenset(asked)) for pattern, asked in _FAMILIES
)
EXAMPLES = (
    *("cc0-1.0", "pdm-1.0", "public-domain", "pddl-1.0", "unlicense"),
    *("mit", "bsd-2-clause", "bsd-3-clause", "apache-2.0", "isc", "odc-by-1.0", "etalab-2.0"),
    *("cc-by-nc-nd-4.0", "cc-by-nc-sa-4.0", "cc-by-nc-4.0", "cc-by-nd-4.0", "cc-by-sa-4.0", "odbl-1.0"),
    *("cc-by-4.0", "openrail", "creativeml-openrail-m", "sam-licence", "flux-non-commercial"),
)
"""Licences of the table as they are written, for who misspells one."""
_ONE_VERSION = ("cc0", "pdm", "pddl", "odc-by", "odbl")
"""Of these there is 1.0 only, so with it or without it they are the same."""


def normalised(licence: str | None) -> str:
    """One spelling for one licence: `CC BY 4.0` is `cc-by-4.0`; a missing one is `not-stated`."""
    words = re.sub(r"[\s_]+", "-", (licence or "").strip().lower())
    return words or UNSTATED


def conditions(licence: str | None) -> frozenset[str] | None:
    """What the licence asks, of `CONDITIONS`; None for one that is missing or not in the table."""
    name = normalised(licence)
    return next((asked for pattern, asked in _KNOWN if pattern.fullmatch(name)), None)


def stricter(licence: str | None, than: str) -> tuple[str, ...] | None:
    """What `licence` asks and `than` does not, lightest first; None where either is unknown."""
    asked, granted = conditions(licence), conditions(than)
    if asked is None or granted is None:
        return None
    return tuple(name for name in CONDITIONS if name in asked - granted)


def reaches_outputs(model_licence: str) -> bool:
    """Whether a model's licence binds what the model makes: one that asks attribution of the code does not,
    an unknown one may.
    """
    asked = conditions(model_licence)
    return asked is None or not asked <= {_BY}


def allowed(licence: str | None, allow: Collection[str]) -> bool:
    """Whether a licence is among those that a release may hold. Spelling does not matter; `cc-by` stands for
    each of its versions, `cc-by-4.0` for itself.
    """
    return not _names(licence).isdisjoint(map(normalised, allow))


def _names(licence: str | None) -> set[str]:
    """The names by which a list may allow a licence."""
    name = normalised(licence)
    bare = re.sub(r"-\d\.\d$", "", name)
    if conditions(name) is None or conditions(bare) is None:
        return {name}
    return {name, bare, f"{bare}-1.0"} if bare in _ONE_VERSION else {name, bare}
