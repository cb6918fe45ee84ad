"""Reading tars, masks and pictures of unknown origin: bounded, checked, never extracted.

What a reader gets wrong: nothing here trusts a length that a file claims. A header may promise eight
gigabytes, an npz may unpack to a terabyte; each is refused before memory is asked for.
"""

from __future__ import annotations

import hashlib
import io
import math
import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from schemas.shards import BLOCK

MAX_EXTENSION_BYTES = 64 << 10
"""Size of a pax or GNU header; ours need none, others write times and long names into them."""
MAX_MASK_BYTES = 256 << 20
"""Unpacked size of a mask file: 81 frames of 3840x2160 are 84 MB of bits."""
_CHUNK = 1 << 20
_ZEROS = bytes(BLOCK)
_PNG = b"\x89PNG\r\n\x1a\n"


class ArchiveError(Exception):
    """A file is damaged or not what it should be; the message says what was found."""


@dataclass(frozen=True)
class TarEntry:
    """One regular file in a tar; `offset` is that of its first byte of data."""

    name: str
    offset: int
    size_bytes: int


class TarScan:
    """One pass over a tar, from its first byte to its last.

    Iterating gives each regular file with an iterator over its data; what is not read of it is skipped. After
    the last one `sha256` and `size_bytes` are those of the whole file. Directories are passed over. With
    `skim` data are jumped over unread, and there is no digest.

    Raises:
        ArchiveError: a torn or damaged tar, a link or device, an oversized extension header.
    """

    def __init__(self, file: BinaryIO, *, skim: bool = False) -> None:
        self._file = file
        self._skim = skim
        self._digest = hashlib.sha256()
        self.size_bytes = 0

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    def __iter__(self) -> Iterator[tuple[TarEntry, Iterator[bytes]]]:
        name, size = None, None  # from extension headers, for the entry that follows
        while True:
            header = self._exactly(BLOCK, "a header")
            if header == _ZEROS:
                self._end()
                return
            info = self._parse(header)
            if info.type in (tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.XGLTYPE):
                if info.size > MAX_EXTENSION_BYTES:
                    raise ArchiveError(f"an extension header of {info.size} bytes at {self.size_bytes}")
                data = self._exactly(info.size, "an extension header")
                self._exactly(-info.size % BLOCK, "padding")
                if info.type == tarfile.GNUTYPE_LONGNAME:
                    name = data.rstrip(b"\0").decode("utf-8", "replace")
                elif info.type == tarfile.XHDTYPE:
                    found = _pax(data)
                    name = found.get("path", name)
                    size = int(found["size"]) if found.get("size", "").isdigit() else size
                continue
            entry = TarEntry(name or info.name, self.size_bytes, info.size if size is None else size)
            name, size = None, None
            if info.type == tarfile.DIRTYPE:
                continue
            if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
                raise ArchiveError(f"{entry.name!r} is a link or device (type {info.type!r}), not a file")
            data_chunks = iter(()) if self._skim else self._data(entry)
            yield entry, data_chunks
            if self._skim:
                self.size_bytes = self._file.seek(entry.size_bytes, os.SEEK_CUR)
            for _ in data_chunks:  # what the caller left
                pass
            self._exactly(-entry.size_bytes % BLOCK, f"the padding of {entry.name!r}")

    def _parse(self, header: bytes) -> tarfile.TarInfo:
        try:
            info = tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise ArchiveError(f"no tar header at byte {self.size_bytes - BLOCK}: {error}") from None
        if info.size < 0:
            raise ArchiveError(f"a member of {info.size} bytes at byte {self.size_bytes - BLOCK}")
        return info

    def _data(self, entry: TarEntry) -> Iterator[bytes]:
        left = entry.size_bytes
        while left:
            chunk = self._exactly(min(left, _CHUNK), f"{entry.name!r}")
            left -= len(chunk)
            yield chunk

    def _end(self) -> None:
        if self._exactly(BLOCK, "the second end block") != _ZEROS:
            raise ArchiveError(f"data after the end block at byte {self.size_bytes - BLOCK}")
        while chunk := self._file.read(_CHUNK):
            self._count(chunk)
            if chunk.count(0) != len(chunk):
                raise ArchiveError("data after the end of the archive")

    def _exactly(self, size: int, what: str) -> bytes:
        data = self._file.read(size)
        self._count(data)
        if len(data) < size:
            raise ArchiveError(f"torn: the file ends at byte {self.size_bytes}, inside {what}")
        return data

    def _count(self, data: bytes) -> None:
        self.size_bytes += len(data)
        self._digest.update(data)


def _pax(data: bytes) -> dict[str, str]:
    """`length key=value` records of an extended header; what is no record ends it."""
    found = {}
    while data:
        length, _, _ = data.partition(b" ")
        if not length.isdigit() or not 0 < int(length) <= len(data):
            break
        record, data = data[len(length) + 1 : int(length) - 1], data[int(length) :]
        key, _, value = record.partition(b"=")
        found[key.decode("utf-8", "replace")] = value.decode("utf-8", "replace")
    return found


def mask_shape(data: bytes) -> tuple[int, int, int]:
    """(T, H, W) of a published mask file whose bits all unpack.

    Raises:
        ArchiveError: not an npz of `mask` and `shape`, damaged, larger than MAX_MASK_BYTES, or too few bits.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            arrays = {name: _array(archive, name) for name in ("mask.npy", "shape.npy")}
    except (
        zipfile.BadZipFile,
        zlib.error,
        ValueError,
        EOFError,
        KeyError,
        OSError,
        NotImplementedError,
    ) as error:
        raise ArchiveError(f"not a mask file: {error}") from None
    bits, shape = arrays["mask.npy"], arrays["shape.npy"]
    if shape.shape != (3,) or not np.issubdtype(shape.dtype, np.integer) or (shape <= 0).any():
        raise ArchiveError(f"`shape` should be three positive numbers (T, H, W), found {shape.tolist()!r}")
    frames, height, width = (int(value) for value in shape)
    if bits.dtype != np.uint8 or bits.ndim != 1 or bits.size < -(-frames * height * width // 8):
        raise ArchiveError(
            f"`mask` holds {bits.size} values of {bits.dtype}; ({frames}, {height}, {width}) needs "
            f"{-(-frames * height * width // 8)} bytes"
        )
    return frames, height, width


def _array(archive: zipfile.ZipFile, name: str) -> npt.NDArray[Any]:
    info = archive.getinfo(name)
    if info.file_size > MAX_MASK_BYTES:
        raise ArchiveError(f"{name} would unpack to {info.file_size} bytes")
    with archive.open(info) as file:
        raw = file.read(info.file_size + 1)  # also checks the CRC
    stream = io.BytesIO(raw)
    version = np.lib.format.read_magic(stream)
    if version != (1, 0):
        raise ValueError(f"{name} has npy version {version}")
    shape, fortran, kind = np.lib.format.read_array_header_1_0(stream)
    if kind.hasobject or fortran or math.prod(shape) * kind.itemsize != len(raw) - stream.tell():
        raise ValueError(f"{name} does not hold the array that its header promises")
    return np.frombuffer(raw, dtype=kind, offset=stream.tell()).reshape(shape)


def check_png(data: bytes) -> None:
    """Signature, and the checksum of every chunk. Raises ArchiveError."""
    if not data.startswith(_PNG):
        raise ArchiveError("not a PNG file")
    place, kind = len(_PNG), b""
    while place < len(data):
        length, kind = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        end = place + 12 + length
        if end > len(data):
            raise ArchiveError(f"torn inside the PNG chunk {kind!r}")
        if zlib.crc32(data[place + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise ArchiveError(f"the checksum of the PNG chunk {kind!r} is wrong")
        place = end
    if kind != b"IEND":
        raise ArchiveError("the PNG has no end")


def check_mp4(data: bytes) -> None:
    """The boxes of an mp4, one after the other to the end of the file. Raises ArchiveError."""
    place, kinds = 0, []
    while place < len(data):
        length, kind = int.from_bytes(data[place : place + 4], "big"), data[place + 4 : place + 8]
        if length == 1:
            length = int.from_bytes(data[place + 8 : place + 16], "big")
        if length == 0:
            length = len(data) - place
        if length < 8 or place + length > len(data):
            raise ArchiveError(f"torn or damaged: the mp4 box {kind!r} at byte {place} claims {length} bytes")
        kinds.append(kind)
        place += length
    if kinds[:1] != [b"ftyp"] or b"moov" not in kinds:
        raise ArchiveError("not an mp4 file")
