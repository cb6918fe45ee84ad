"""`python -m ray_jobs JOB`: the command line.

What a reader gets wrong: exit codes are an interface: 0 finished, 3 finished with failed samples, 1 the run
failed, 2 usage or config, 130 / 143 stopped by a signal. Running a stopped job again continues it.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from actors.store import NotARootError, StoreError, open_root
from ray_jobs.settings import DEFAULT_CONFIG, apply, load_config
from schemas.config import ConfigError
from schemas.journal import NewerSchemaError

app = typer.Typer(
    help="The Sparkle data pipeline: source videos in, a video background-replacement data set out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
PAPER_CONFIG = Path("configs/sparkle.yaml")
"""What `models` is about unless another config is named."""
PLAIN_WIDTH = 200
"""Columns where there is no terminal to ask: a table must not lose its names in a log file."""
OK, RUN_FAILED, USAGE, FINISHED_WITH_FAILED = 0, 1, 2, 3

Root = Annotated[str, typer.Argument(metavar="ROOT", help="output root of a run")]
ConfigFile = Annotated[Path, typer.Option("--config", help="a file of configs/")]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="ACTOR.KNOB=VALUE", help="change one key of the config; may be repeated"),
]


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH)


@contextmanager
def _exits() -> Iterator[None]:
    """Turn what can go wrong into one clear line and the exit code it stands for."""
    from ray_jobs.runs import RootBusyError, RunFailedError
    from ray_jobs.sources import SourcesError

    signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    except (ConfigError, SourcesError, NotARootError) as error:
        _fail(str(error), USAGE)
    except (StoreError, RootBusyError, NewerSchemaError) as error:
        _fail(str(error), RUN_FAILED)
    except (OSError, RunFailedError) as error:
        _fail(f"{error}. What was finished is kept; the same command continues", RUN_FAILED)
    except KeyboardInterrupt:
        _fail("stopped; the same command continues", 128 + signal.SIGINT)


def _stop(signum: int, frame: FrameType | None) -> NoReturn:
    _fail("stopped; the same command continues", 128 + signum)


def _fail(message: str, code: int) -> NoReturn:
    Console(stderr=True, soft_wrap=True).print(f"[bold red]error:[/] {escape(message)}", highlight=False)
    raise SystemExit(code)


@app.command()
def synthesize(
    sources: Annotated[
        str, typer.Option(help="folder, list.csv, list.parquet or OpenVE-3M's CSV; a path or s3://bucket/...")
    ],
    output: Annotated[
        str,
        typer.Option(help="output root, a folder or s3://bucket/prefix; one of an earlier run is continued"),
    ],
    config: ConfigFile = DEFAULT_CONFIG,
    set_: Sets = None,
    themes: Annotated[str | None, typer.Option(help="comma-separated, instead of the config's")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="take the first N sources only")] = None,
    swap: Annotated[
        bool | None,
        typer.Option("--swap/--no-swap", help="OpenVE-3M's CSV: its video columns are swapped"),
    ] = None,
    redo: Annotated[
        str | None,
        typer.Option(metavar="ACTOR", help="redo this actor and all after it"),
    ] = None,
    publish: Annotated[bool, typer.Option("--publish/--no-publish", help="end with `publish`")] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="print the plan and start nothing")] = False,
) -> None:
    """Turn source videos into the data set, or continue where an earlier run stopped."""
    with _exits():
        from ray_jobs.sources import first_sources, read_sources
        from ray_jobs.synthesize import print_plan

        console = _console()
        chosen = load_config(config, set_ or (), _names(themes))
        entries = first_sources(read_sources(sources, swap=swap), limit)
        if dry_run:
            print_plan(output, entries, chosen, console, redo=redo)
            return
        from ray_jobs.finish import synthesize_and_publish

        failed = synthesize_and_publish(output, entries, chosen, console, redo=redo, with_release=publish)
    raise SystemExit(FINISHED_WITH_FAILED if failed else OK)


@app.command()
def status(root: Root) -> None:
    """Show where the samples of a root stand, by gate and by reason, and what each actor cost."""
    with _exits():
        from ray_jobs.root import read_root
        from ray_jobs.status import print_status

        state = read_root(open_root(root, create=False))
        if state is None:
            _fail(f"{root} holds no run yet", USAGE)
        print_status(state, _console())


@app.command()
def publish(
    root: Root,
    set_: Sets = None,
    allow: Annotated[
        str | None,
        typer.Option(
            metavar="LICENCES",
            help="keep samples under these licences only, e.g. cc0-1.0,cc-by-4.0; cc-by: each version of it; "
            "not-stated: sources without one; all: every licence again. Counts until it is changed",
        ),
    ] = None,
) -> None:
    """Derive ROOT/release/ from journal and artifacts; rewrites only the shards that changed."""
    with _exits():
        from ray_jobs.finish import publish_root

        publish_root(root, set_ or (), allow, _console())


@app.command()
def regenerate(
    root: Root,
    shard: Annotated[str | None, typer.Option(metavar="NAME", help="a tar part of the release")] = None,
    sample: Annotated[str | None, typer.Option(metavar="ID", help="all parts that hold this sample")] = None,
    missing: Annotated[
        bool, typer.Option("--missing", help="all parts (by name and size), artifacts and previews not there")
    ] = False,
    broken: Annotated[
        bool, typer.Option("--broken", help="these, and all that have other bytes than recorded")
    ] = False,
) -> None:
    """Make tar parts again from artifacts; an artifact that is lost is made by its actor again."""
    with _exits():
        from ray_jobs.finish import regenerate_parts

        failed = regenerate_parts(root, shard, sample, _console(), missing=missing, broken=broken)
    raise SystemExit(RUN_FAILED if failed else OK)


@app.command()
def retry(
    root: Root,
    where: Annotated[
        str | None,
        typer.Option(
            metavar="FILTER",
            help="over the columns of ROOT/manifest/failed.parquet, e.g. "
            "\"actor = 'Ingest' and error like '%no file%'\"; without it: all failed samples",
        ),
    ] = None,
    publish: Annotated[bool, typer.Option("--publish/--no-publish", help="end with `publish`")] = True,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="list the samples and start nothing")] = False,
) -> None:
    """Run failed samples again, also those that failed `max_failures` times, by the recorded config."""
    with _exits():
        from ray_jobs.finish import retry_failed

        failed = retry_failed(root, where, _console(), with_release=publish, dry_run=dry_run)
    raise SystemExit(FINISHED_WITH_FAILED if failed else OK)


@app.command()
def remove(
    root: Root,
    source: Annotated[
        str | None, typer.Option(metavar="URI", help="a source, a path or s3://..., or its number")
    ] = None,
    sample: Annotated[str | None, typer.Option(metavar="ID", help="one sample; its source stays")] = None,
    reason: Annotated[str, typer.Option(help="kept in the record of the removal")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="list what was derived and do nothing")] = False,
) -> None:
    """Take a source or a sample down: out of the release, the artifacts and all later runs."""
    with _exits():
        from ray_jobs.finish import remove_from_root

        remove_from_root(root, source, sample, reason, _console(), dry_run=dry_run)


@app.command()
def verify(
    root: Annotated[str, typer.Argument(metavar="ROOT", help="output root or downloaded data set")],
) -> None:
    """Check a release and name every fault; exit code 1 if there is one."""
    with _exits():
        from ray_jobs.finish import verify_root

        faults = verify_root(root, _console())
    raise SystemExit(RUN_FAILED if faults else OK)


@app.command()
def regate(
    root: Annotated[str | None, typer.Argument(metavar="[ROOT]", help="output root of a run")] = None,
    set_: Sets = None,
    release: Annotated[
        str | None, typer.Option(metavar="DIR", help="a downloaded copy of the published data set instead")
    ] = None,
    output: Annotated[
        str | None, typer.Option(metavar="DIR", help="with --release: where the filtered lists go")
    ] = None,
) -> None:
    """Decide all samples again by new thresholds, from the recorded measurements alone."""
    with _exits():
        from ray_jobs.finish import regate_release_copy, regate_root

        if (root is None) == (release is None):
            _fail("give either ROOT or --release DIR", USAGE)
        if root is not None:
            regate_root(root, set_ or (), _console())
        else:
            if output is None:
                _fail("--release needs --output DIR for the filtered lists", USAGE)
            thresholds_from = apply(_defaults(), set_ or ())
            regate_release_copy(str(release), thresholds_from, output, _console())


@app.command()
def knobs() -> None:
    """List every knob of every actor with its default."""
    from ray_jobs.settings import print_knobs

    print_knobs(_console())


@app.command()
def models(
    backends: Annotated[
        list[str] | None, typer.Argument(metavar="[BACKEND]...", help="these only; without it: all")
    ] = None,
    config: ConfigFile = PAPER_CONFIG,
    set_: Sets = None,
    fetch: Annotated[
        bool, typer.Option("--fetch", help="download what the config's backends, or the named ones, lack")
    ] = False,
) -> None:
    """List the backends with licence, size and GPUs, and whether packages and weights are on this machine."""
    from actors.backends.checkpoints import CheckpointError
    from ray_jobs.models import choices, fetch_models, print_models

    with _exits():
        found = choices(load_config(config, set_ or ()), backends or ())
        try:
            if fetch:
                fetch_models([item for item in found if backends or item.actors], _console())
            print_models(found, _console())
        except CheckpointError as error:
            _fail(str(error), RUN_FAILED)


@app.command()
def demo(
    root: Annotated[Path, typer.Option(help="where the demo writes")] = Path("demo"),
    sources: Annotated[Path | None, typer.Option(help="your own videos instead of the made ones")] = None,
    themes: Annotated[str, typer.Option(help="comma-separated")] = "location,season",
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Make sample sources, run the whole pipeline on them, publish, verify, and show what came out."""
    with _exits():
        from ray_jobs.demo import run_demo

        if "s3:" in (root.parts[:1] + (sources.parts[:1] if sources else ())):
            _fail("the demo works in folders; `synthesize` takes s3://bucket/prefix", USAGE)
        code = run_demo(root, sources, load_config(config, (), _names(themes)), _console())
    raise SystemExit(code)


def _names(listed: str | None) -> list[str]:
    return [name.strip() for name in listed.split(",")] if listed else []


def _defaults() -> dict[str, object]:
    import yaml

    raw = yaml.safe_load(DEFAULT_CONFIG.read_text())
    return dict(raw)


if __name__ == "__main__":
    app()
