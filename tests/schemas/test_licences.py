"""Licences: which asks more than which, by what spelling, and that an unknown one is never permission."""

from __future__ import annotations

import pytest

from schemas.licences import (
    CONDITIONS,
    EXAMPLES,
    UNSTATED,
    allowed,
    conditions,
    normalised,
    reaches_outputs,
    stricter,
)


@pytest.mark.parametrize(
    ("licence", "than", "more"),
    [
        ("CC0-1.0", "cc-by-4.0", ()),
        ("CC BY 4.0", "cc-by-4.0", ()),
        ("CC-BY-4.0", "cc0-1.0", ("attribution",)),
        ("CC-BY-SA-4.0", "cc-by-4.0", ("share-alike",)),
        ("CC-BY-NC-4.0", "cc-by-4.0", ("non-commercial",)),
        ("cc-by-nc-sa-3.0", "cc-by-4.0", ("share-alike", "non-commercial")),
        ("CC BY-NC-ND 4.0", "cc-by-4.0", ("non-commercial", "no-derivatives")),
        ("CC-BY-NC-4.0", "CC-BY-NC-SA-4.0", ()),
        ("flux-non-commercial", "cc-by-4.0", ("use restrictions", "non-commercial")),
        ("sam-licence", "cc-by-4.0", ("use restrictions",)),
        ("found on the web", "cc-by-4.0", None),
        (None, "cc-by-4.0", None),
        ("CC0-1.0", "my own terms", None),
    ],
)
def test_what_a_licence_asks_beyond_another(
    licence: str | None, than: str, more: tuple[str, ...] | None
) -> None:
    assert stricter(licence, than) == more


def test_a_longer_name_is_not_taken_for_the_licence_it_begins_with() -> None:
    assert conditions("cc-by-4.0-with-exceptions") is None
    assert sorted(conditions("cc-by-nc-4.0") or ()) == ["attribution", "non-commercial"]
    assert all(asked in CONDITIONS for asked in conditions("cc-by-nc-nd-4.0") or ())


def test_permissive_models_do_not_bind_what_they_make_and_unknown_ones_may() -> None:
    assert not any(map(reaches_outputs, ("Apache-2.0", "MIT", "BSD-3-Clause", "cc0-1.0")))
    assert all(map(reaches_outputs, ("flux-non-commercial", "sam-licence", "of the model served")))


def test_a_licence_is_allowed_by_name_whatever_its_spelling_and_a_missing_one_by_its_own() -> None:
    assert allowed("CC BY 4.0", ["cc-by-4.0"])
    assert not allowed("CC-BY-NC-4.0", ["cc-by-4.0"])
    assert not allowed(None, ["cc-by-4.0"])
    assert allowed("  ", [UNSTATED])
    assert normalised(None) == UNSTATED


@pytest.mark.parametrize(
    ("licence", "word", "is_allowed"),
    [
        ("CC0-1.0", "CC0", True),
        ("CC0", "cc0-1.0", True),
        ("CC BY 4.0", "cc-by", True),
        ("CC BY", "cc-by-4.0", False),
        ("CC BY 3.0", "cc-by-4.0", False),
        ("CC BY-NC 4.0", "cc-by", False),
        ("Unlicense", "cc0", False),
        ("my-own-2.0", "my-own", False),
    ],
)
def test_a_name_without_a_version_allows_each_version_and_nothing_else(
    licence: str, word: str, is_allowed: bool
) -> None:
    assert allowed(licence, [word]) is is_allowed


def test_the_table_knows_its_examples() -> None:
    assert None not in map(conditions, EXAMPLES)
