"""Which options a backend takes, read from the constructor's text, so that a wrong one is refused on a laptop
without torch and before any work.

What a reader gets wrong: nothing is imported to find out. A class that passes `**options` on names the others
in `BackendSpec.options_of`.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from actors.backends import BackendSpec
from schemas.config import ConfigError, nearest

_ROOT = Path(__file__).parents[2]
_NOT_OPTIONS = frozenset(("self", "chat"))


def check_options(spec: BackendSpec, options: Mapping[str, Any], where: str) -> None:
    """Raises ConfigError for an option that no constructor takes, with the nearest name, for a revision that
    YAML read as a number, and for an address with a user or a password in it, which would be written into the
    journal.
    """
    known = option_names(spec)
    for name, value in options.items():
        if name not in known:
            hint = nearest(name, known) if known else "; it takes none"
            raise ConfigError(f"{where}.options.{name}: backend {spec.name} has no such option{hint}")
        if (name == "revision" or name.endswith("_revision")) and not isinstance(value, str | None):
            raise ConfigError(
                f"{where}.options.{name}: {value!r} is no text; quote a revision that is all digits"
            )
        if isinstance(value, str) and "://" in value and "@" in urlsplit(value).netloc:
            raise ConfigError(
                f"{where}.options.{name}: no user or password in an address; the run records it"
            )


def option_names(spec: BackendSpec) -> frozenset[str]:
    """Names of all keyword arguments of the backend's constructor and of those that it passes them on to."""
    found = frozenset().union(*(_parameters(target) for target in (spec.target, *spec.options_of)))
    return found - _NOT_OPTIONS


@cache
def _parameters(target: str) -> frozenset[str]:
    module, name = target.split(":")
    tree = ast.parse((_ROOT / Path(*module.split("."))).with_suffix(".py").read_text("utf-8"))
    (found,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
    for node in found.body:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            return frozenset(argument.arg for argument in (*node.args.args, *node.args.kwonlyargs))
    return frozenset()
