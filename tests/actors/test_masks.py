"""Packed masks: what goes in comes out, and the published reader reads what we write."""

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.ops.masks import (
    MaskFileError,
    mask_npz_bytes,
    mask_share,
    pack_rows,
    pack_video,
    read_mask_npz,
    unpack_rows,
    unpack_video,
)


def published_load_mask(mask_path: Path) -> npt.NDArray[np.bool_]:
    """The reader that the published data set's README gives to its users, word for word in what it does."""
    data = np.load(mask_path)
    packed_mask = data["mask"]
    shape = tuple(int(s) for s in data["shape"])
    total = shape[0] * shape[1] * shape[2]
    return np.unpackbits(packed_mask)[:total].reshape(shape).astype(bool)


def random_masks(shape: tuple[int, int, int], seed: int) -> npt.NDArray[np.bool_]:
    return np.random.default_rng(seed).random(shape) < 0.4


shapes = st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 21))


@settings(max_examples=40, deadline=None)
@given(shapes, st.integers(0, 99))
def test_packing_and_unpacking_gives_the_same_masks(shape: tuple[int, int, int], seed: int) -> None:
    masks = random_masks(shape, seed)
    packed = pack_rows(masks)
    assert packed.shape == (*shape[:2], -(-shape[2] // 8))
    assert np.array_equal(unpack_rows(packed, shape[2]), masks)
    assert np.array_equal(pack_video(iter(masks)), packed)
    assert np.array_equal(np.stack(list(unpack_video(packed, shape[2]))), masks)
    assert np.allclose(mask_share(packed, shape[2]), masks.mean(axis=(1, 2)))


@settings(max_examples=40, deadline=None)
@given(shapes, st.integers(0, 99))
def test_the_published_reader_reads_our_file_for_every_width(
    tmp_path_factory: pytest.TempPathFactory, shape: tuple[int, int, int], seed: int
) -> None:
    masks = random_masks(shape, seed)
    path = tmp_path_factory.mktemp("mask") / "mask.npz"
    path.write_bytes(mask_npz_bytes(pack_rows(masks), shape[2]))
    assert np.array_equal(published_load_mask(path), masks)
    packed, width = read_mask_npz(path)
    assert width == shape[2]
    assert np.array_equal(packed, pack_rows(masks))


def test_the_same_masks_give_the_same_bytes_at_another_time(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = pack_rows(random_masks((3, 16, 24), 1))
    first = mask_npz_bytes(packed, 24)
    monkeypatch.setattr("time.time", lambda: 2_000_000_000.0)
    assert mask_npz_bytes(packed.copy(), 24) == first


def test_a_file_written_by_numpy_itself_is_read() -> None:
    masks = random_masks((2, 5, 11), 3)
    buffer = io.BytesIO()
    np.savez(buffer, mask=np.packbits(masks), shape=np.array(masks.shape))
    packed, width = read_mask_npz(buffer.getvalue())
    assert np.array_equal(unpack_rows(packed, width), masks)


def npz(**arrays: npt.NDArray[np.generic]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


def plain_npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a mask file"),
        (b"some text", "not a mask file"),
        (plain_npy(), "one array"),
        (npz(mask=np.zeros(4, np.uint8)), "lacks"),
        (npz(mask=np.zeros(4, np.uint8), shape=np.array([1, 8, 8])), "8 are needed"),
        (npz(mask=np.zeros(8, np.uint8), shape=np.array([1, 8])), "three positive"),
        (npz(mask=np.zeros(8, np.uint8), shape=np.array([0, 8, 8])), "three positive"),
        (npz(mask=np.zeros(8, np.float32), shape=np.array([1, 8, 8])), "float32"),
        (mask_npz_bytes(np.ones((2, 64, 8), np.uint8), 64)[:-40], "not a mask file"),
    ],
)
def test_what_is_no_mask_file_is_refused_in_words(content: bytes, words: str) -> None:
    with pytest.raises(MaskFileError, match=words):
        read_mask_npz(content)


def test_rows_are_not_unpacked_to_a_width_they_do_not_hold() -> None:
    with pytest.raises(ValueError, match="do not hold rows of 25"):
        unpack_rows(np.zeros((4, 3), np.uint8), 25)
