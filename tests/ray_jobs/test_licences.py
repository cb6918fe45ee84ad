"""Licences on their way from source list and backends to manifest, card, warnings and `--allow`."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from actors.pipeline import resolve
from actors.store import open_root
from ray_jobs.finish import publish_root, regate_root, synthesize_and_publish
from ray_jobs.licences import UNKNOWN, backend_licence, warnings
from ray_jobs.publish import publish
from ray_jobs.regate import regate
from ray_jobs.root import SAMPLES
from ray_jobs.runs import newest_run
from ray_jobs.sources import SourceEntry
from ray_jobs.verify import verify
from schemas.config import ConfigError, ReleaseConfig, RunConfig
from tests.ray_jobs.commands import tree
from tests.ray_jobs.small_root import make_root

CONFIG = RunConfig(themes=("location",), release=ReleaseConfig(previews=0))


def set_licences(root: Path, licences: list[str | None]) -> None:
    """As the source list would have had them."""
    (part,) = (root / "journal/samples").iterdir()
    table = pq.read_table(part, partitioning=None)
    place = table.column_names.index("licence")
    pq.write_table(table.set_column(place, SAMPLES.field("licence"), pa.array(licences, pa.string())), part)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_root(tmp_path, sources=4, config=CONFIG)
    set_licences(tmp_path, ["CC0-1.0", "CC BY-NC 4.0", None, "my own"])
    return tmp_path


def manifest(root: Path) -> dict[str, dict[str, object]]:
    rows = pq.read_table(root / "release/manifest/location.parquet", partitioning=None).to_pylist()
    return {row["sample_id"][-1]: row for row in rows}


def test_publish_warns_of_stricter_unknown_and_missing_licences_and_only_of_those(root: Path) -> None:
    assert publish(str(root)).warnings == [
        "1 accepted with sources under cc-by-nc-4.0, stricter than the release's cc-by-4.0 (non-commercial)",
        "1 accepted with sources under my-own, which is unknown: read it before you publish under cc-by-4.0",
        "1 accepted with sources under not-stated, which is unknown: read it before you publish under "
        "cc-by-4.0",
    ]


def test_licences_of_sources_and_backends_are_in_the_manifest_and_on_the_card(root: Path) -> None:
    publish(str(root))
    row = manifest(root)["1"]
    assert row["licence"] == "CC BY-NC 4.0"
    assert row["VideoGenerator"]["licence"] == "Apache-2.0"  # type: ignore[index]  # a struct
    assert row["Ingest"]["licence"] is None  # type: ignore[index]
    assert "| CC BY-NC 4.0 | 1 |" in (root / "release/README.md").read_text()


def test_allow_keeps_samples_under_these_licences_and_says_why_the_others_are_out(root: Path) -> None:
    console = Console(quiet=True)
    publish_root(str(root), (), "cc0-1.0, cc-by-nc-4.0", console)
    found = manifest(root)
    assert {name: row["status"] for name, row in found.items()} == {
        "0": "accepted",
        "1": "accepted",
        "2": "rejected",
        "3": "rejected",
    }
    assert (found["2"]["gate"], found["2"]["reason"]) == (
        "release.allow",
        "the source's licence not-stated is not in release.allow",
    )
    assert "| `release.allow` | cc0-1.0, cc-by-nc-4.0 | 2 |" in (root / "release/README.md").read_text()
    assert verify(str(root)) == []
    first, *_ = publish(str(root)).warnings
    assert first == "2 samples are kept out by release.allow (cc0-1.0, cc-by-nc-4.0)"
    assert manifest(root)["3"]["status"] == "rejected", "it counts until it is changed"
    publish_root(str(root), (), "all", console)
    assert all(row["status"] == "accepted" for row in manifest(root).values())
    assert verify(str(root)) == []


def test_the_next_run_keeps_the_licences_and_says_so_until_all_are_allowed_again(root: Path) -> None:
    entries, said = [SourceEntry(f"/videos/clip {number}.mp4") for number in range(4)], Console(record=True)
    publish_root(str(root), (), "cc0-1.0", said)
    synthesize_and_publish(str(root), entries, CONFIG, said, redo=None, with_release=True)
    assert [row["status"] for row in manifest(root).values()] == ["accepted", *["rejected"] * 3]
    assert "these licences only, as before: cc0-1.0;" in said.export_text()
    publish_root(str(root), (), "all", said)
    synthesize_and_publish(str(root), entries, CONFIG, said, redo=None, with_release=True)
    assert {row["status"] for row in manifest(root).values()} == {"accepted"}
    assert "as before" not in said.export_text()


@pytest.mark.parametrize(
    ("allow", "says"),
    [
        ("", "names no licence"),
        (" , ", "names no licence"),
        ("cc-by-4", "did you mean 'cc-by-4.0'"),
        ("cc0,myown", "release.allow myown: .*did you mean 'my-own'"),
        ("all,cc0", "release.allow all: no source and no model here is under it"),
    ],
)
def test_words_that_are_no_licence_are_refused_and_change_nothing(root: Path, allow: str, says: str) -> None:
    publish(str(root))
    before = tree(root)
    with pytest.raises(ConfigError, match=says):
        publish_root(str(root), (), allow, Console(quiet=True))
    words = [word for word in allow.split(",") if word.strip()]
    with pytest.raises(ConfigError, match=says):
        regate_root(str(root), [f"release.allow={words}"], Console(quiet=True))
    assert tree(root) == before


def test_licences_of_the_table_and_of_the_root_are_taken_in_any_spelling(root: Path) -> None:
    publish_root(str(root), (), "CC0, My Own, mit", Console(quiet=True))
    assert {name for name, row in manifest(root).items() if row["status"] == "accepted"} == {"0", "3"}


def test_regate_goes_by_the_allowed_licences_too(root: Path) -> None:
    only = CONFIG.model_copy(update={"release": ReleaseConfig(allow=("CC0-1.0",))})
    report = regate(str(root), only)
    assert report.after[0].accepted == 1
    assert report.after[0].rejected == {"release.allow": 3}
    record = newest_run(open_root(str(root), create=False))
    assert record is not None
    assert record.run_config().release.allow == ("CC0-1.0",)


def test_the_licence_of_a_backend_is_that_of_the_weights_it_loads() -> None:
    def edited_by(**options: object) -> str | None:
        chosen = {"FirstFrameEditor": {"backend": "flux2_klein", "options": options}}
        return {item.name: backend_licence(item.recipe) for item in resolve(RunConfig(actors=chosen))}[
            "FirstFrameEditor"
        ]

    assert edited_by() == "flux-non-commercial"
    assert edited_by(model="black-forest-labs/FLUX.2-klein-4B") == "Apache-2.0"
    assert edited_by(model="/my weights/mine") == UNKNOWN
    assert backend_licence({"actor": "FirstFrameEditor", "backend": "of a later version"}) == UNKNOWN
    assert backend_licence({"actor": "Ingest"}) is None
    embedded = [backend_licence(item.recipe) for item in resolve(RunConfig())]
    assert set(embedded) == {"Apache-2.0", None}


def test_models_are_warned_of_where_their_licence_reaches_what_they_make() -> None:
    accepted = pa.table({"licence": ["CC0-1.0"]})
    models = {"FirstFrameEditor": "flux-non-commercial", "Tracker": "Apache-2.0", "Scorer": UNKNOWN}
    first, second = warnings(accepted, models, "cc-by-4.0")
    assert first.startswith("FirstFrameEditor used a model under flux-non-commercial, stricter than")
    assert second.startswith("Scorer used a model under unknown, which is unknown")
    assert warnings(accepted.slice(0, 0), models, "cc-by-4.0") == []
    assert "no licence can be compared" in warnings(accepted, models, "our terms")[0]
