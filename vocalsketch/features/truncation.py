"""Compressed files that were cut short, which libsndfile plays to their end without a word.

MP3: encoders leave a tag in the first frame, in the layout of the Xing SDK's ``GetXingHeader``:
``Xing`` or ``Info`` after the side information, flags, and by these the numbers of frames and of
bytes. Ogg: a page's header says how long the page is (RFC 3533, section 6).
"""

import struct
from typing import BinaryIO

TOLERATED = 0.01  # part of the promised audio that may be missing: rounding, not damage
FIRST_FRAME = 4 + 2 + 32  # bytes: header, checksum and the longest side information
HAS_FRAMES, HAS_BYTES = 1, 2
LONGEST_PAGE = 27 + 255 + 255 * 255  # bytes: header, lacing values, content
MARK, MP3_MARK, ID3_MARK = b"OggS", b"\xff", b"ID3"


def truncation(stream: BinaryIO) -> str:
    """Return how an MP3 or Ogg file is known to be cut short; empty where nothing is known.

    The stream is left anywhere. What was cut where a frame or a page ends, and promises nothing,
    cannot be told from a shorter file.
    """
    stream.seek(0)
    beginning = stream.read(10)
    if beginning.startswith(MARK):
        return _of_ogg(stream)
    if beginning.startswith((MP3_MARK, ID3_MARK)):
        return _of_mp3(stream, _id3_size(beginning))
    return ""


def _of_mp3(stream: BinaryIO, start: int) -> str:
    size = stream.seek(0, 2)
    stream.seek(min(start, size))
    frame = stream.read(FIRST_FRAME + 16)
    place = max(frame.find(name, 4, FIRST_FRAME + 4) for name in (b"Xing", b"Info"))
    if place < 0:
        return ""
    flags, first, second = struct.unpack(">3I", frame[place + 4 :].ljust(12, b"\0")[:12])
    promised = second if flags & HAS_FRAMES else first
    if not flags & HAS_BYTES or size - start >= (1 - TOLERATED) * promised:
        return ""
    return f"{size - start} of {promised} bytes of audio are there"


def _of_ogg(stream: BinaryIO) -> str:
    size = stream.seek(0, 2)
    stream.seek(max(0, size - LONGEST_PAGE))
    end = stream.read()
    page = end[end.rfind(MARK) :]
    lacing = page[27 : 27 + page[26]] if len(page) > 26 else b""
    whole = len(page) > 26 and len(lacing) == page[26]
    return "" if whole and len(page) >= 27 + len(lacing) + sum(lacing) else "its last page is cut"


def _id3_size(header: bytes) -> int:
    """Return the bytes that an ID3v2 tag at the beginning takes, its own header included."""
    if not header.startswith(ID3_MARK) or len(header) < 10:
        return 0
    size = 0
    for byte in header[6:10]:  # seven bits of each count
        size = size << 7 | byte & 0x7F
    return 10 + size
