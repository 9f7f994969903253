"""What compressed files lack, and which of them libsndfile would play a part of.

libsndfile goes by the header. Where it is wrong (files were joined, a pipe did not know) FFmpeg
decodes to the end; where audio is missing, that is said.

MP3: encoders leave a tag in the first frame, in the layout of the Xing SDK's ``GetXingHeader``:
``Xing`` or ``Info`` after the side information, flags, and by these the numbers of frames and of
bytes. Ogg: a page's header says how long the page is (RFC 3533, section 6).
"""

import struct
from typing import BinaryIO, NamedTuple

FIRST_FRAME = 4 + 2 + 32  # bytes: header, checksum and the longest side information
HAS_FRAMES, HAS_BYTES = 1, 2
LONGEST_PAGE = 27 + 255 + 255 * 255  # bytes: header, lacing values, content
MARK, MP3_MARK, ID3_MARK = b"OggS", b"\xff", b"ID3"


class Extent(NamedTuple):
    """What is known of a file's length before it is decoded."""

    cut: str = ""  # how a compressed file is known to be cut short; empty where it is not
    foreign: bool = False  # whether libsndfile would play a part only


def extent(stream: BinaryIO) -> Extent:
    """Compare a file's header with what is there; the stream is left anywhere.

    What was cut where a frame or a page ends, and promises nothing, cannot be told from a shorter
    file.
    """
    size = stream.seek(0, 2)
    stream.seek(0)
    beginning = stream.read(16)
    if beginning.startswith(MARK):
        return _of_ogg(stream, size)
    if beginning.startswith(b"fLaC"):
        stream.seek(21)  # 36 bits: how many samples; libsndfile reads none where it is not known
        return Extent(foreign=not int.from_bytes(stream.read(5), "big") & 0xF_FFFF_FFFF)
    if beginning.startswith((MP3_MARK, ID3_MARK)):
        tagged = beginning.startswith(ID3_MARK) and len(beginning) >= 10
        # seven bits of each of four bytes count what follows the tag's header
        parts = [(byte & 0x7F) << 7 * place for place, byte in enumerate(beginning[9:5:-1])]
        return _of_mp3(stream, size, 10 + sum(parts) if tagged else 0)
    return Extent()


def _of_mp3(stream: BinaryIO, size: int, start: int) -> Extent:
    """Hold an MP3 against its encoder's tag, whose number of frames libsndfile would believe."""
    stream.seek(min(start, size))
    frame = stream.read(FIRST_FRAME + 16)
    place = max(frame.find(name, 4, FIRST_FRAME + 4) for name in (b"Xing", b"Info"))
    flags, first, second = struct.unpack(">3I", frame[place + 4 :].ljust(12, b"\0")[:12])
    stated = second if place >= 0 and flags & 3 == HAS_FRAMES | HAS_BYTES else 0
    if stated and size - start < stated - stated / max(1, first):  # less than a frame, on average
        cut = f"{size - start} of {stated} bytes of audio are there"
        return Extent(cut=cut, foreign=True)
    return Extent(foreign=True)


def _of_ogg(stream: BinaryIO, size: int) -> Extent:
    """Look whether the last page is whole, and of the same sound as the first."""
    stream.seek(0)
    first = stream.read(18)
    stream.seek(max(0, size - LONGEST_PAGE))
    end = stream.read()
    page = end[end.rfind(MARK) :]
    lacing = page[27 : 27 + page[26]] if len(page) > 26 else b""
    whole = len(page) > 26 and len(lacing) == page[26]
    if not whole or len(page) < 27 + len(lacing) + sum(lacing):
        return Extent(cut="its last page is cut")
    return Extent(foreign=page[14:18] != first[14:18])
