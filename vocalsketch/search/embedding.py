"""A library's files to parts of an index, in threads that each decode and embed their own."""

import hashlib
import math
import secrets
import socket
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import torch

from vocalsketch.datasets.discovery import FoundFile
from vocalsketch.errors import AudioError, DatasetError, StorageError
from vocalsketch.features.audio import (
    MARGIN,
    clip_of,
    content_id,
    opened_audio,
    opened_file,
    read_audio,
)
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.search.library import Row, tags_of
from vocalsketch.search.remote import send
from vocalsketch.search.segment import (
    EMBEDDING,
    PARTS,
    Floats,
    read_segment,
    schema_of,
    with_embeddings,
    write_segment,
)
from vocalsketch.systems import System

WINDOW = 4.0  # seconds, unless a front end looks at more; what the paper's look at
SILENCE = 1e-5  # of full scale (-100 dB), less than the last bit of 16
WINDOWS_AT_ONCE = 30  # of a long file decoded together: a minute, which bounds the memory
FILES_PER_THREAD = 8  # or a multiple are taken at once, so that short sounds fill a batch
FILES_AT_ONCE = 256  # embedded by a thread between two writes: what a killed build loses
ROUNDS = 4  # that each thread takes at least, so that none is long alone at the end
MOST_PARTS = 20_000  # of a library, as a process may map some 65,000 files
CLIPS_AT_ONCE = {"cpu": 8}  # embedded together: their work fits the processor's cache
CLIPS_ON_ACCELERATOR = 64


Reasons = dict[str, str]  # why files cannot be used, by path


def window_count(duration: float, window: float = WINDOW) -> int:
    """Return how many windows cover a sound, each beginning half a window after the one before.

    >>> window_count(3.0), window_count(4.5), window_count(8.0)
    (1, 2, 3)
    """
    return 1 + math.ceil(max(0.0, duration - window) / (window / 2) - 1e-9)


def windows_of(stream: BinaryIO, front_end: FrontEnd, name: str) -> Iterator[tuple[Row, Floats]]:
    """Yield a sound's windows as they are decoded, without silent ones: where, and the clip.

    Where one begins with the file, its clip is the one that training sees. An AudioError names the
    file that cannot be decoded, or is silent.
    """
    window = max(WINDOW, front_end.seconds)
    longest = (WINDOWS_AT_ONCE + 1) * window / 2 + MARGIN
    waveform, rate = read_audio(stream, seconds=longest, name=name)
    duration, offset, audible = len(waveform) / rate, 0.0, False
    if len(waveform) >= math.floor(longest * rate):
        stream.seek(0)
        with opened_audio(stream, name) as audio:  # what the header promises
            duration = float(audio.frames / audio.samplerate)
    for number in range(window_count(duration, window)):  # by the header: it may be millions
        start = number * window / 2
        if number and number % WINDOWS_AT_ONCE == 0:
            stream.seek(0)
            offset = start
            waveform, _ = read_audio(stream, seconds=longest, offset=offset, name=name)
        part = waveform[round((start - offset) * rate) :][: math.ceil((window + MARGIN) * rate)]
        heard = part[: math.ceil(window * rate)]
        if len(heard) and np.ptp(heard) > SILENCE:  # whatever its offset
            audible = True
            clip = clip_of(part, rate, front_end)
            place = {"start": start, "end": min(start + window, duration)}
            yield {**place, "duration": duration, "sample_rate": rate}, clip
    if not audible:
        raise AudioError(f"{name}: nothing but silence.")


class Embedder:
    """Decodes files and embeds their windows as recordings.

    Each thread decodes and embeds its own files, on one core when there is no accelerator: no
    thread waits for another, and there is nothing to balance.

    Args:
        system: Embeds them.
        library: The folder within which the files lie.
        devices: Where to.
        known: Rows by content: a file that was moved is not embedded again.
    """

    def __init__(
        self,
        system: System,
        library: Path,
        devices: Sequence[str] = ("cpu",),
        known: Mapping[str, Sequence[Row]] | None = None,
    ) -> None:
        fast = system.fast().eval()
        self.front_end = fast.front_ends["recording"]
        self.fingerprint = system.fingerprint
        self.library = library
        self.known = known or {}
        self.at_once = CLIPS_AT_ONCE.get(devices[0], CLIPS_ON_ACCELERATOR)
        self.systems = [(deepcopy(fast).to(device), device) for device in devices]
        self.width = self._hear(np.zeros((1, self.front_end.samples), np.float32)).shape[1]
        self._stopped = False

    def stop(self) -> None:
        """Have all threads end after the file that they are at."""
        self._stopped = True

    def embed_part(
        self, parts: Path | str, batch: Sequence[FoundFile], *, far: bool = False
    ) -> tuple[int, Reasons]:
        """Embed files into a part, in a folder or at an address.

        Returns how many there were, and why some have no rows, by path.

        Raises:
            DatasetError: This is a ``far`` machine, and sees none of the files.
        """
        if far and not any((self.library / file.path).exists() for file in batch):
            raise DatasetError(
                f"{socket.gethostname()} sees no {self.library / batch[0].path}: the library has "
                "to lie at the same path on all machines."
            )
        rows, skipped = self.embed_files(batch)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder if isinstance(parts, str) else parts, part_name(batch))
            write_part(file, self.fingerprint, self.width, rows)
            if isinstance(parts, str):
                send(file, f"{parts}/{file.name}")
        return len(batch), skipped

    def embed_files(self, files: Iterable[FoundFile]) -> tuple[list[Row], Reasons]:
        """Return the rows of files' windows, and why other files have none, by path."""
        rows: dict[str, list[Row]] = {}
        skipped: dict[str, str] = {}
        waiting: list[tuple[Row, Floats]] = []
        for file in files:
            if self._stopped:
                break
            rows[file.path] = []
            try:
                for row, clip in self._read(file):
                    rows[file.path].append(row)
                    waiting += [] if clip is None else [(row, clip)]
                    if len(waiting) == self.at_once:
                        self._embed(waiting)
                        waiting = []
            except AudioError as error:
                del rows[file.path]
                skipped[file.path] = str(error).removeprefix(f"{self.library / file.path}: ")
        if waiting:
            self._embed(waiting)
        return [row for of_file in rows.values() for row in of_file], skipped

    def _read(self, file: FoundFile) -> Iterator[tuple[Row, Floats | None]]:
        """Yield rows of a file's windows, each with its clip, unless its embedding is known."""
        path = self.library / file.path
        row: Row = {**file._asdict(), "tags": tags_of(file.path)}
        with opened_file(path) as stream:
            row["content"] = content_id(stream)
            if row["content"] in self.known:
                yield from (({**each, **row}, None) for each in self.known[row["content"]])
                return
            for values, clip in windows_of(stream, self.front_end, str(path)):
                yield {**row, **values}, clip

    def _embed(self, waiting: Sequence[tuple[Row, Floats]]) -> None:
        """Add embeddings to rows. Batches are of one size: no embedding depends on the others.

        A sum's last bits depend on how the work was cut, and with it on the size of a batch.
        """
        clips = np.zeros((self.at_once, self.front_end.samples), dtype=np.float32)
        for place, (_, clip) in enumerate(waiting):
            clips[place] = clip
        for (row, _), embedding in zip(waiting, self._hear(clips), strict=False):
            row[EMBEDDING] = embedding

    @torch.inference_mode()
    def _hear(self, clips: Floats) -> Floats:
        system, device = secrets.choice(self.systems)  # so that all have work
        heard = system.hear("recording", torch.from_numpy(clips).to(device))
        embeddings: Floats = heard.float().cpu().numpy()
        return embeddings


def batches_of(files: Sequence[FoundFile], jobs: int) -> list[Sequence[FoundFile]]:
    """Return what is embedded together: little enough that all threads end at about one time."""
    few = FILES_PER_THREAD * -(-len(files) // (FILES_PER_THREAD * ROUNDS * jobs))
    size = max(min(FILES_AT_ONCE, few), len(files) // MOST_PARTS)
    return [files[start : start + size] for start in range(0, len(files), size)]


def part_name(files: Sequence[FoundFile]) -> str:
    """Return the name of the part that holds some files, in the state in which they are."""
    said = "\n".join(map(repr, files)).encode(errors="surrogateescape")
    return f"part-{hashlib.sha256(said).hexdigest()[:16]}.arrow"


def write_part(file: Path, fingerprint: str, width: int, embedded: Sequence[Row]) -> None:
    """Write rows as a segment that names its system."""
    schema = schema_of(width, {"fingerprint": fingerprint})
    rows = pa.Table.from_pylist(embedded, schema.remove(schema.get_field_index(EMBEDDING)))
    embeddings = np.array([row[EMBEDDING] for row in embedded], np.float32)
    write_segment(file, schema, [with_embeddings(rows, embeddings.reshape(-1, width))])


def open_parts(index: Path, fingerprint: str) -> list[pa.Table]:
    """Open what unfinished builds left; parts of another system and damaged ones are removed."""
    parts = []
    for file in sorted((index / PARTS).glob("*.arrow")):
        with suppress(StorageError):
            part = read_segment(file)
            if (part.schema.metadata or {}).get(b"fingerprint") == fingerprint.encode():
                parts.append(part)
                continue
        file.unlink()
    return parts
