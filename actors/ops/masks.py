"""Masks as bits: packed rows in memory, and the published npz on disk.

What a reader gets wrong: the two are different packings. In memory every row starts at a byte, (T, H, ceil(W
/ 8)); in the published file the bits run on over the flattened (T, H, W). They are the same bytes only where
W divides by 8.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from actors.roles import Mask

PackedRows = npt.NDArray[np.uint8]
"""(..., H, ceil(W / 8)): `np.unpackbits(row, axis=-1, count=W)` gives the row back."""

_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment a zip file can name: the bytes must not know the time
_COMPRESS_LEVEL = 6


class MaskFileError(ValueError):
    """The bytes are not a mask file as published; the message says what was found."""


def pack_rows(mask: npt.NDArray[np.bool_]) -> PackedRows:
    """(..., H, W) bool -> (..., H, ceil(W / 8)) uint8; the bits beyond W are 0."""
    return np.packbits(mask, axis=-1)


def unpack_rows(packed: PackedRows, width: int) -> npt.NDArray[np.bool_]:
    """(..., H, ceil(width / 8)) uint8 -> (..., H, width) bool. Raises ValueError if the width is another."""
    if packed.shape[-1] != -(-width // 8):
        raise ValueError(f"{packed.shape[-1]} bytes a row do not hold rows of {width} pixels")
    return np.unpackbits(packed, axis=-1, count=width).view(np.bool_)


def pack_video(masks: Iterable[Mask]) -> PackedRows:
    """Masks (H, W) in order -> (T, H, ceil(W / 8)), one frame unpacked at a time."""
    return np.stack([pack_rows(mask) for mask in masks])


def unpack_video(packed: PackedRows, width: int) -> Iterator[Mask]:
    """The masks (H, width) in order, one at a time."""
    for rows in packed:
        yield unpack_rows(rows, width)


def mask_share(packed: PackedRows, width: int) -> npt.NDArray[np.float64]:
    """Share of foreground pixels of each frame, (T,), 0..1."""
    counts = np.bitwise_count(packed).sum(axis=(1, 2), dtype=np.int64)
    share: npt.NDArray[np.float64] = counts / float(packed.shape[1] * width)
    return share


def mask_npz_bytes(packed: PackedRows, width: int) -> bytes:
    """The published mask file of (T, H, ceil(width / 8)) packed rows.

    Arrays `mask` (uint8, the bits of the flattened (T, H, W)) and `shape` (int64: T, H, W). The same masks
    give the same bytes, for one version of zlib.
    """
    frames, height = packed.shape[:2]
    if width % 8 == 0:
        flat = np.ascontiguousarray(packed).reshape(-1)
    else:
        flat = np.packbits(unpack_rows(packed, width))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in (("mask", flat), ("shape", np.array([frames, height, width], np.int64))):
            member = zipfile.ZipInfo(f"{name}.npy", _ZIP_EPOCH)
            member.compress_type = zipfile.ZIP_DEFLATED
            member.create_system = 3  # "Unix" everywhere; zipfile would write the machine's own
            member.external_attr = 0o644 << 16
            content = io.BytesIO()
            np.lib.format.write_array(content, array, version=(1, 0), allow_pickle=False)
            archive.writestr(member, content.getvalue(), compresslevel=_COMPRESS_LEVEL)
    return buffer.getvalue()


def read_mask_npz(source: bytes | Path) -> tuple[PackedRows, int]:
    """Packed rows (T, H, ceil(W / 8)) and W of a published mask file.

    Raises `MaskFileError` where it is no zip of the two arrays, or the bits are fewer than `shape` needs.
    """
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        with np.load(file, allow_pickle=False) as archive:
            missing = {"mask", "shape"} - set(archive.files)
            if missing:
                raise MaskFileError(
                    f"the mask file lacks {sorted(missing)}; it holds {sorted(archive.files)}"
                )
            shape, bits = archive["shape"], archive["mask"]
    except MaskFileError:
        raise
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise MaskFileError(f"not a mask file (npz): {error}") from error
    except (
        AttributeError,
        TypeError,
    ) as error:  # a plain .npy: an array, no context manager
        raise MaskFileError("not a mask file: one array instead of a zip of arrays") from error
    if shape.shape != (3,) or not np.issubdtype(shape.dtype, np.integer) or (shape <= 0).any():
        raise MaskFileError(f"`shape` must be three positive numbers (T, H, W), found {shape!r}")
    frames, height, width = (int(value) for value in shape)
    total = frames * height * width
    if bits.dtype != np.uint8 or bits.ndim != 1 or bits.size < -(-total // 8):
        raise MaskFileError(f"`mask` has {bits.size} bytes of {bits.dtype}, {-(-total // 8)} are needed")
    if width % 8 == 0:
        return bits[: total // 8].reshape(frames, height, width // 8), width
    return pack_rows(np.unpackbits(bits, count=total).reshape(frames, height, width).view(np.bool_)), width
