"""The documents against the repository: the README's tree, relative links, the columns table.

    python -m tests.test_docs      writes tree and table anew, keeping the words of lines that are there

What a reader gets wrong: a line of the tree that names a folder without lines below it stands for all files
in that folder; any other tracked file needs a line of its own.
"""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
from typer.main import get_group

from actors.pipeline import BROUGHT, PIPELINE
from ray_jobs.__main__ import app
from ray_jobs.settings import DEFAULT_CONFIG, load_config
from schemas.columns import COLUMNS, OBJECT, Column, MediaColumn
from schemas.gates import GATES

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
DATA_MODEL = ROOT / "docs" / "data_model.md"
_TREE = re.compile(r"(<!-- tree -->\n+```\n)(.*?)(```\n+<!-- /tree -->)", re.DOTALL)
_COLUMNS = re.compile(r"(<!-- columns -->\n+)(.*?)(\n*<!-- /columns -->)", re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_INDENT = 2
_WORDS_AT = 32


def documents() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def tracked() -> list[str]:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, so what belongs to the repository is not known")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [path for path in listed.stdout.splitlines() if (ROOT / path).is_file()]


def tree_entries(text: str) -> dict[str, str]:
    """Path (folders end with `/`) and words of every line of the tree, in order."""
    found = _TREE.search(text)
    assert found, "README has no tree"
    entries: dict[str, str] = {}
    folders: list[str] = []
    for line in found[2].splitlines():
        level = (len(line) - len(line.lstrip())) // _INDENT
        name, _, words = line.strip().partition(" ")
        path = "".join([*folders[:level], name])
        entries[path] = words.strip()
        if name.endswith("/"):
            folders = [*folders[:level], name]
    return entries


def expected_tree(paths: list[str], entries: dict[str, str]) -> dict[str, str]:
    """The tree's lines as they should be; a new line gets the first sentence of its module's docstring."""
    whole = {path for path in entries if path.endswith("/") and not any(_below(path, e) for e in entries)}
    lines: dict[str, str] = {}
    for path in paths:
        if any(path.startswith(folder) for folder in whole):
            folder = next(folder for folder in whole if path.startswith(folder))
            lines |= {parent: entries.get(parent, "") for parent in _folders(folder)}
            lines[folder] = entries[folder]
            continue
        for parent in _folders(path):
            lines[parent] = entries.get(parent) or first_sentence(f"{parent}__init__.py")
        if not path.endswith("__init__.py"):
            lines[path] = entries.get(path) or first_sentence(path)
    return dict(sorted(lines.items(), key=lambda item: _order(item[0])))


def _below(folder: str, path: str) -> bool:
    return path != folder and path.startswith(folder)


def _folders(path: str) -> Iterator[str]:
    for parent in reversed(PurePosixPath(path).parents):
        if parent.name:
            yield f"{parent}/"


def _order(path: str) -> tuple[tuple[bool, str], ...]:
    """Folders before files, by name, whatever the level."""
    parts = path.rstrip("/").split("/")
    last = len(parts) - 1
    return tuple((i == last and not path.endswith("/"), part) for i, part in enumerate(parts))


def first_sentence(path: str) -> str:
    file = ROOT / path
    if file.suffix != ".py" or not file.is_file():
        return ""
    text = ast.get_docstring(ast.parse(file.read_text("utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split()).split(". ")[0].rstrip(".:")


def tree_text(lines: dict[str, str]) -> str:
    rendered = []
    for path, words in lines.items():
        level = path.rstrip("/").count("/")
        name = path.rstrip("/").rsplit("/", 1)[-1] + ("/" if path.endswith("/") else "")
        rendered.append(f"{' ' * _INDENT * level + name:<{_WORDS_AT}}{words}".rstrip())
    return "\n".join(rendered) + "\n"


def columns_table() -> str:
    """The column table as data_model.md has it: name, type, who adds it, what it is."""
    added_by = {name: actor.__name__ for actor in PIPELINE for name in actor.adds}
    rows = ["| column | type | added by | what it is |", "|---|---|---|---|"]
    for column in COLUMNS.values():
        kind = _kind(column)
        by = added_by.get(column.name, "planning")
        rows.append(f"| `{column.name}` | {kind} | {by} | {column.about} |")
    return "\n".join(rows)


def _kind(column: Column | MediaColumn) -> str:
    if isinstance(column, MediaColumn):
        return f"{column.extension}, one a {column.keyed}"
    name = str(column.type).replace(str(OBJECT), "object")
    return f"`{re.sub(r'(item|element): ', '', name)}`"


def test_every_line_of_the_readmes_tree_is_there() -> None:
    entries = tree_entries(README.read_text("utf-8"))
    missing = [path for path in entries if not (ROOT / path).exists()]
    assert not missing, f"gone: {missing}; run python -m tests.test_docs"


def test_every_file_of_the_repository_is_in_the_readmes_tree_with_a_word_on_it() -> None:
    entries = tree_entries(README.read_text("utf-8"))
    wanted = expected_tree(tracked(), entries)
    assert not sorted(set(wanted) - set(entries)), "run python -m tests.test_docs"
    assert not [path for path, words in entries.items() if not words]


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_lead_somewhere(document: Path) -> None:
    text = re.sub(r"```.*?```", "", document.read_text("utf-8"), flags=re.DOTALL)
    for target in _LINK.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path) if path else document
        assert file.exists(), f"{target} in {document.name}"
        if anchor:
            assert anchor in anchors(file), f"{target} in {document.name}"


def anchors(document: Path) -> set[str]:
    """Anchors of a document's headings, as a forge makes them."""
    headings = re.findall(r"^#+ (.+)$", document.read_text("utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_documented_columns_are_those_of_the_column_table() -> None:
    found = _COLUMNS.search(DATA_MODEL.read_text("utf-8"))
    assert found
    assert found[2] == columns_table(), "run python -m tests.test_docs"


def test_every_column_has_exactly_one_origin() -> None:
    added = [name for actor in PIPELINE for name in actor.adds]
    assert len(added) == len(set(added))
    assert set(added) | BROUGHT == set(COLUMNS)


def test_the_readme_names_every_actor_gate_and_job() -> None:
    text = README.read_text("utf-8")
    names = [*(actor.__name__ for actor in PIPELINE), *(gate.name for gate in GATES)]
    jobs = [f"`{name}" for name in get_group(app).commands]
    assert not [name for name in (*names, *jobs) if name not in text]


def commands(text: str) -> list[list[str]]:
    """Words after `python -m ray_jobs` of every such line in a code block or a Makefile."""
    joined = text.replace("\\\n", " ")
    found = re.findall(r"^[^|\n]*(?:python|\$\(PY\)) -m ray_jobs ([^#\n`]*)", joined, flags=re.MULTILINE)
    return [line.split() for line in found]


@pytest.mark.parametrize("file", [*documents(), ROOT / "Makefile"], ids=lambda path: path.name)
def test_the_commands_that_are_written_down_have_jobs_and_options_that_exist(file: Path) -> None:
    jobs = get_group(app).commands
    for job, *words in commands(file.read_text("utf-8")):
        if job in ("JOB", "--help"):
            continue
        known = {option for item in jobs[job].params for option in item.opts + item.secondary_opts}
        given = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", " ".join(words)))
        assert given <= known | {"--help"}, f"{job} in {file.name}"
        load_config(ROOT / DEFAULT_CONFIG, re.findall(r"--set (\S+=\S+)", " ".join(words)))


def test_the_readme_shows_a_command_for_every_job_a_person_runs_by_hand() -> None:
    shown = {job for job, *_ in commands(README.read_text("utf-8"))}
    assert {"synthesize", "status", "verify", "regate", "publish"} <= shown


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_the_benchmarks_that_are_written_down_exist(document: Path) -> None:
    for name in re.findall(r"-m benchmarks\.(\w+)", document.read_text("utf-8")):
        assert (ROOT / "benchmarks" / f"{name}.py").is_file(), name


def rewrite() -> None:
    """Bring tree and columns table up to date."""
    text = README.read_text("utf-8")
    tree = tree_text(expected_tree(tracked(), tree_entries(text)))
    README.write_text(_TREE.sub(lambda found: found[1] + tree + found[3], text), "utf-8")
    text = DATA_MODEL.read_text("utf-8")
    table = columns_table()
    DATA_MODEL.write_text(_COLUMNS.sub(lambda found: found[1] + table + found[3], text), "utf-8")


if __name__ == "__main__":
    rewrite()
