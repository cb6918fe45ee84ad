"""The half of `verify` that reads media: tar parts, their index, previews.

What a reader gets wrong: every byte is read once, and each file is compared with what manifest and index say
of it, so a flipped bit and a swapped pair are both found by the digest, and named by what they are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pyarrow as pa

from ray_jobs.checked_release import Release
from schemas import archives, release, shards
from schemas.archives import ArchiveError
from schemas.columns import MEDIA
from schemas.records import release_path
from schemas.release import Place

MAX_MEDIA_BYTES = 512 << 20
"""Of one media file, which is held in memory; a clip of 81 frames is megabytes."""


class MediaChecks:
    """Index, tar parts and previews of one release.

    Args:
        previews: how many samples of every theme have them, at least; more may be there.
    """

    def __init__(self, checked: Release, previews: int) -> None:
        self.checked = checked
        self.previews = previews
        self.index: pa.Table | None = None
        self.rows: dict[str, int] = {}
        """Row of the index by part."""

    def run(self) -> None:
        if self.checked.expect(release.SHARD_INDEX):
            with self.checked.unless_gone(release.SHARD_INDEX):
                self._index()
        self._shards()
        self._previews()

    def _index(self) -> None:
        path = release.SHARD_INDEX
        table = self.checked.table(path, shards.INDEX, shards.SCHEMA_VERSION, shards.INDEX.names)
        if table is None:
            return
        listed = table["members"].combine_chunks().flatten()
        if any(column.null_count for column in listed.flatten()):
            self.checked.fault(path, "unreadable: a member without name, offset, size or digest")
            return
        self.index = table
        members: dict[tuple[str, str], list[str]] = {}
        parts: dict[tuple[str, str], int] = {}
        for number, shard in enumerate(table["shard"].to_pylist()):
            place = release.classify(shard)
            if place is None or place.what != "shard" or shard in self.rows:
                self.checked.fault(path, f"{shard[:120]!r} is no tar part, or is there twice")
                continue
            self.rows[shard] = number
            key = (place.theme, place.kind)
            if place.part < parts.get(key, 0):  # a part that lost its last member leaves a gap
                self.checked.fault(path, f"{shard} comes after part {parts[key] - 1}")
            parts[key] = place.part + 1
            listed = table["members"][number].values
            members.setdefault(key, []).extend(listed.field("name").to_pylist())
            self.checked.expect(shard)
        for theme, known in self.checked.themes.items():
            if known.prompts is None:
                continue
            for kind in release.KINDS:
                expected = [release.member_name(theme, kind, sample) for sample in sorted(known.prompts)]
                found = members.get((theme, kind), [])
                for name in sorted(set(expected) - set(found)):
                    self.checked.fault(path, f"no part holds {name}, though its sample is in the CSV")
                for name in sorted(set(found) - set(expected)):
                    self.checked.fault(path, f"{name} is in a part, but its sample is not in the CSV")
                if found != sorted(found) or len(found) != len(set(found)):
                    self.checked.fault(path, f"members of {theme} {kind} are not in id order, each once")

    def _shards(self) -> None:
        seen: dict[str, str] = {}
        for path, place in self.checked.places.items():
            if place.what == "shard":
                if self.index is not None and path not in self.rows:
                    self.checked.fault(path, f"not in {release.SHARD_INDEX}")
                with self.checked.unless_gone(path):
                    self._shard(path, place, seen)

    def _shard(self, path: str, place: Place, seen: dict[str, str]) -> None:
        row = None
        if self.index is not None and path in self.rows:
            (row,) = self.index.slice(self.rows[path], 1).to_pylist()
        found = []
        with self.checked.open(path) as file:
            scan = archives.TarScan(file)
            try:
                for entry, chunks in scan:
                    name = entry.name.removeprefix("./")
                    matched = release.MEMBER.fullmatch(name)
                    if matched is None or name != release.member_name(
                        place.theme, place.kind, matched["sample"]
                    ):
                        self.checked.fault(
                            path, f"holds {name[:120]!r}, which is no {place.kind} of {place.theme}"
                        )
                        continue
                    if name in seen:
                        self.checked.fault(path, f"holds {name}, which is in {seen[name]} already")
                    seen[name] = path
                    prompts = self.checked.themes[place.theme].prompts
                    if prompts is not None and matched["sample"] not in prompts:
                        self.checked.fault(
                            path, f"holds {name}, which is not in {release.csv_path(place.theme)}"
                        )
                    digest = self._media(
                        path, f"{name}: ", place, matched["sample"], chunks, entry.size_bytes
                    )
                    found.append((name, entry.offset, entry.size_bytes, digest))
            except ArchiveError as error:
                self.checked.fault(path, str(error))
                return
        if row is None:
            return
        if (scan.size_bytes, scan.sha256) != (row["size_bytes"], row["sha256"]):
            self.checked.fault(
                path,
                f"{scan.size_bytes} bytes with SHA-256 {scan.sha256}; {release.SHARD_INDEX} says "
                f"{row['size_bytes']} bytes with {row['sha256']}",
            )
        listed = [(m["name"], m["offset"], m["size_bytes"], m["sha256"]) for m in row["members"]]
        for name in sorted({item[0] for item in set(found) ^ set(listed)}):
            self.checked.fault(
                path, f"{name}: not as {release.SHARD_INDEX} lists it (offset, size or digest)"
            )

    def _previews(self) -> None:
        by_folder: dict[tuple[str, str], list[str]] = {}
        for path, place in self.checked.places.items():
            if place.what != "preview":
                continue
            by_folder.setdefault((place.theme, place.kind), []).append(place.sample)
            prompts = self.checked.themes[place.theme].prompts
            if prompts is not None and place.sample not in prompts:
                self.checked.fault(path, f"its sample is not in {release.csv_path(place.theme)}")
            with self.checked.unless_gone(path), self.checked.open(path) as data:
                size = self.checked.size_bytes(path)
                self._media(path, "", place, place.sample, iter(lambda: data.read(1 << 20), b""), size)
        if not self.checked.complete:
            return
        for theme, known in self.checked.themes.items():
            if known.prompts is None:
                continue
            found = max((len(by_folder.get((theme, kind), ())) for kind in release.KINDS), default=0)
            count = max(found, min(self.previews, len(known.prompts)))
            first = sorted(known.prompts)[:count]
            for kind in release.KINDS:
                for sample in sorted(set(first) - set(by_folder.get((theme, kind), ()))):
                    self.checked.fault(release_path(kind, sample, theme), "missing among the previews")
                for sample in sorted(set(by_folder.get((theme, kind), ())) - set(first)):
                    self.checked.fault(
                        release_path(kind, sample, theme), f"not one of the first {count} of {theme}"
                    )

    def _media(
        self, path: str, prefix: str, place: Place, sample: str, chunks: Iterator[bytes], size: int
    ) -> str:
        """Look into one media file and compare it with the manifest; returns its digest."""
        digest = hashlib.sha256()
        kept = bytearray()
        for chunk in chunks:
            digest.update(chunk)
            if len(kept) <= MAX_MEDIA_BYTES:
                kept += chunk
        theme = self.checked.themes[place.theme]
        try:
            match MEDIA[place.kind].extension:
                case _ if len(kept) > MAX_MEDIA_BYTES:
                    raise ArchiveError(f"{size} bytes, more than the {MAX_MEDIA_BYTES} of any sane sample")
                case "png":
                    archives.check_png(bytes(kept))
                case "mp4":
                    archives.check_mp4(bytes(kept))
                case "npz":
                    frames, _, _ = archives.mask_shape(bytes(kept))
                    expected = theme.num_frames.get(sample, frames)
                    if frames != expected:
                        raise ArchiveError(f"a mask of {frames} frames, the clip has {expected}")
        except ArchiveError as error:
            self.checked.fault(path, f"{prefix}{error}")
        found = digest.hexdigest()
        known = theme.digests.get(place.kind, {}).get(sample)
        if known is not None and known != found:
            self.checked.fault(
                path, f"{prefix}not the {place.kind} of {sample}{self._whose(place, sample, found)}"
            )
        return found

    def _whose(self, place: Place, sample: str, digest: str) -> str:
        for kind, digests in self.checked.themes[place.theme].digests.items():
            if digests.get(sample) == digest:
                return f": it is its {kind}"
        for other, known in self.checked.themes[place.theme].digests.get(place.kind, {}).items():
            if known == digest:
                return f": it is that of {other}"
        return f": SHA-256 {digest} instead of the manifest's"
