"""Who may import whom: schemas <- actors <- ray_jobs <- tests, benchmarks, read from the syntax trees."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BELOW = {
    "schemas": {"schemas"},
    "actors": {"schemas", "actors"},
    "ray_jobs": {"schemas", "actors", "ray_jobs"},
    "benchmarks": {"schemas", "actors", "ray_jobs", "benchmarks"},
    "tests": {"schemas", "actors", "ray_jobs", "benchmarks", "tests"},
}
"""What each folder may import of the project."""
SCHEMAS_NEED_ONLY = {"numpy", "pyarrow", "pydantic"}
HEAVY = {
    "torch",
    "torchvision",
    "transformers",
    "diffusers",
    "accelerate",
    "safetensors",
    "sam2",
    "diffsynth",
    "editscore",
    "onnxruntime",
    "ai_edge_litert",
    "tokenizers",
    "openai",
    "vllm",
}
"""Model libraries: imported on the worker, so under actors/backends only."""


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything that a file imports, wherever in it, by statement or by name."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            yield node.lineno, node.module or ""
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name | ast.Attribute)
            and (node.func.id if isinstance(node.func, ast.Name) else node.func.attr)
            in ("import_module", "__import__")
            and node.args
            and isinstance(node.args[0], ast.Constant)
        ):
            yield node.lineno, str(node.args[0].value)


def broken(folder: str, allowed: set[str], among: set[str]) -> list[str]:
    """Imports of this folder whose top-level package is `among` the watched ones and not allowed."""
    return [
        f"{path.relative_to(ROOT)}:{line}: imports {name}"
        for path in modules(folder)
        for line, name in imports(path)
        if (top := name.split(".")[0]) in among and top not in allowed
    ]


@pytest.mark.parametrize("folder", BELOW)
def test_a_folder_imports_only_itself_and_the_folders_below(folder: str) -> None:
    assert modules(folder)
    assert broken(folder, BELOW[folder], set(BELOW)) == []


@pytest.mark.parametrize("folder", ["schemas", "actors"])
def test_ray_is_imported_only_in_ray_jobs_tests_and_benchmarks(folder: str) -> None:
    assert broken(folder, set(), {"ray"}) == []


@pytest.mark.parametrize("folder", ["schemas", "ray_jobs"])
def test_model_libraries_are_imported_only_in_actors(folder: str) -> None:
    assert broken(folder, set(), HEAVY) == []


def test_in_actors_model_libraries_are_imported_only_under_backends() -> None:
    found = [line for line in broken("actors", set(), HEAVY) if not line.startswith("actors/backends/")]
    assert found == []


def test_schemas_need_the_standard_library_numpy_pyarrow_and_pydantic_only() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}: imports {name}"
        for path in modules("schemas")
        for line, name in imports(path)
        if name.split(".")[0] not in sys.stdlib_module_names | SCHEMAS_NEED_ONLY | {"schemas"}
    ]
    assert found == []


def test_no_module_is_named_for_being_useful() -> None:
    vague = {"utils", "util", "common", "helpers", "helper", "misc"}
    found = [
        str(path.relative_to(ROOT)) for folder in BELOW for path in modules(folder) if path.stem in vague
    ]
    assert found == []


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for folder in BELOW
        for path in modules(folder)
        if path.read_text("utf-8").strip() and not ast.get_docstring(ast.parse(path.read_text("utf-8")))
    ]
    assert silent == []


def test_the_walk_sees_an_import_wherever_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(
        "def late():\n    import ray.data\n    from torch import nn\n"
        "    import importlib\n    importlib.import_module('diffusers')\n"
    )
    assert [name for _, name in imports(path)] == ["ray.data", "torch", "importlib", "diffusers"]
