"""What kind of file this is, told from its bytes: the container allow-list and the reasons for everything
else.

What a reader gets wrong: FFmpeg's own probing is not used. It knows some 300 formats, playlists among them,
which name other files and addresses to open. The demuxer is chosen here, from magic bytes, and forced.
"""

from __future__ import annotations

import io
from typing import BinaryIO, NamedTuple

READABLE = "mp4/mov, mkv/webm, avi, mpeg-ts"

_PLAYLIST_STARTS = (b"#extm3u", b"ffconcat", b"[playlist]", b"<smil", b"<asx", b"<playlist", b"<mpd")
_ISO_BOXES = (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot")
_OTHER_KINDS = (
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "a gzip file"),
    (b"FLV\x01", "a Flash video"),
    (b"0&\xb2u", "a Windows Media file"),
    (b"\x00\x00\x01\xba", "an MPEG program stream"),
)
_SOUND_KINDS = (
    (b"ID3", "mp3"),
    (b"\xff\xfb", "mp3"),
    (b"fLaC", "flac"),
    (b"OggS", "ogg"),
    (b"\xff\xf1", "aac"),
)


class UnreadableError(Exception):
    """The file is not one we decode; the message is the reason for a person."""


class Box(NamedTuple):
    """One top-level box of an mp4 or mov file."""

    kind: bytes
    start: int
    end: int


def choose_demuxer(head: bytes) -> str:
    """FFmpeg's demuxer for a file that starts with `head` (4 KiB are plenty). Raises UnreadableError."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(_PLAYLIST_STARTS) or (text.startswith(b"<?xml") and b"<mpd" in text):
        raise UnreadableError("a playlist, not a video: list the video files themselves as sources")
    if head[4:8] in _ISO_BOXES:
        return "mov"
    if head.startswith(b"\x1aE\xdf\xa3"):
        return "matroska"
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return "avi"
    for offset, packet in ((0, 188), (4, 192)):
        if len(head) > offset + 2 * packet and all(head[offset + k * packet] == 0x47 for k in range(3)):
            return "mpegts"
    raise UnreadableError(_describe(head))


def _describe(head: bytes) -> str:
    for magic, kind in _SOUND_KINDS:
        if head.startswith(magic):
            return f"no video stream: the file holds audio only ({kind})"
    if head.startswith(b"RIFF") and head[8:12] == b"WAVE":
        return "no video stream: the file holds audio only (wav)"
    for magic, kind in _OTHER_KINDS:
        if head.startswith(magic):
            return f"not a video we read ({READABLE}): the file is {kind}"
    if _is_text(head):
        return f"not a video: the file holds text ({READABLE} would be right)"
    if not any(head):
        return "not a video: the file starts with nothing but zero bytes"
    return f"not a video we read ({READABLE}): the first bytes are those of no known video file"


def _is_text(head: bytes) -> bool:
    try:
        text = head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # not merely a character cut at the end
            return False
        text = head[: error.start].decode("utf-8")
    return all(character.isprintable() or character in "\r\n\t\f" for character in text)


def check_iso_boxes(file: BinaryIO) -> None:
    """Raises UnreadableError where an mp4 or mov file is cut: its index is missing or a box goes beyond the
    file's end.

    Needed because a demuxer reads a cut file happily as long as the frames last. Reads 16 bytes a box.
    """
    size = file.seek(0, io.SEEK_END)
    kinds: set[bytes] = set()
    for box in _top_level_boxes(file, size):
        kinds.add(box.kind)
        if box.end > size and box.kind in (b"ftyp", b"moov", b"mdat", b"moof"):
            raise UnreadableError(
                f"truncated: the file ends after {size:,} bytes, "
                f"its {box.kind.decode()} box needs {box.end:,}"
            )
    file.seek(0)
    if b"moov" not in kinds:
        raise UnreadableError("truncated or damaged: the mp4 has no index (moov box)")


def _top_level_boxes(file: BinaryIO, size: int) -> list[Box]:
    boxes: list[Box] = []
    start = 0
    while start + 8 <= size and len(boxes) < 100_000:
        file.seek(start)
        header = file.read(16)
        length, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if length == 1 and len(header) == 16:
            length = int.from_bytes(header[8:16], "big")
        elif length == 0:
            length = size - start
        if length < 8:  # padding after the last box
            break
        boxes.append(Box(kind, start, start + length))
        start += length
    return boxes
