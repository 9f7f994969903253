"""A library's files to stored rows, in threads that each decode and embed their own."""

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from vocalsketch.errors import AudioError
from vocalsketch.features.audio import opened_file
from vocalsketch.features.contents import content_id
from vocalsketch.features.threads import one_torch_thread
from vocalsketch.search.segment import Rows, Table
from vocalsketch.search.windows import Window, open_windows
from vocalsketch.systems import System

FILES_PER_THREAD = 8  # taken at once, so that short sounds fill a batch
CLIPS_AT_ONCE = {"cpu": 8}  # embedded together: their work fits the processor's cache
CLIPS_ON_ACCELERATOR = 64


class LibraryFile(NamedTuple):
    """An audio file of a library, and by what one sees that it has changed."""

    path: str  # within the library, its parts joined by /
    size: int  # bytes
    changed: int  # time of the last change, nanoseconds since 1970


@dataclass
class EmbeddedFile:
    """A file, what it holds, and an embedding for each of its windows."""

    file: LibraryFile
    content: str
    duration: float
    sample_rate: int
    starts: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    embeddings: list[NDArray[np.float32]] = field(default_factory=list)


class Embedded(NamedTuple):
    """What became of some files: those embedded, and why the others are not, by path."""

    files: list[EmbeddedFile]
    skipped: dict[str, str]


class Embedder:
    """Decodes files and embeds their windows as recordings.

    Each thread decodes and embeds its own files, on one core when there is no accelerator: no
    thread waits for another, and there is nothing to balance.

    Args:
        system: Embeds them.
        library: The folder within which the files lie.
        device: Where to.
        stored: What has been embedded before.
        known: By content, the rows of ``stored`` that hold it: a file that was moved is not
            embedded again.
    """

    def __init__(
        self,
        system: System,
        library: Path,
        device: torch.device | str = "cpu",
        stored: Table | None = None,
        known: Mapping[str, Rows] | None = None,
    ) -> None:
        self.device = torch.device(device)
        self.system = system.fast().eval().to(self.device)
        self.front_end = self.system.front_ends["recording"]
        self.library = library
        self.stored = stored
        self.known = known or {}
        self.at_once = CLIPS_AT_ONCE.get(self.device.type, CLIPS_ON_ACCELERATOR)
        self.width = self._hear(np.zeros((1, self.front_end.samples), np.float32)).shape[1]
        self._stopped = threading.Event()

    def embed_batches(
        self, batches: Iterable[Sequence[LibraryFile]], jobs: int
    ) -> Generator[Embedded, None, None]:
        """Embed batches of files with some threads, which end soon after an exception here."""
        with one_torch_thread(), ThreadPoolExecutor(jobs) as pool:
            try:
                for batch in batches:
                    size = max(1, min(FILES_PER_THREAD, -(-len(batch) // jobs)))
                    groups = [batch[start : start + size] for start in range(0, len(batch), size)]
                    done = list(pool.map(self.embed_files, groups))
                    skipped = {path: why for each in done for path, why in each.skipped.items()}
                    yield Embedded([file for each in done for file in each.files], skipped)
            except BaseException:
                self._stopped.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    @torch.inference_mode()
    def embed_files(self, files: Iterable[LibraryFile]) -> Embedded:
        """Embed files in the calling thread."""
        done = Embedded([], {})
        waiting: list[tuple[EmbeddedFile, Window]] = []
        for file in files:
            if self._stopped.is_set():
                break
            try:
                for clip in self._read(file, done.files.append):
                    waiting.append(clip)
                    if len(waiting) == self.at_once:
                        self._embed(waiting)
                        waiting = []
            except AudioError as error:
                done.skipped[file.path] = str(error).removeprefix(f"{self.library / file.path}: ")
        if waiting:
            self._embed(waiting)
        return Embedded([e for e in done.files if e.file.path not in done.skipped], done.skipped)

    def _read(
        self, file: LibraryFile, add: Callable[[EmbeddedFile], None]
    ) -> Iterator[tuple[EmbeddedFile, Window]]:
        """Yield a file's windows; none where its content is stored, as of a file that was moved."""
        path = self.library / file.path
        with opened_file(path) as stream:
            content = content_id(stream)
            if content in self.known and self.stored is not None:
                add(_recalled(file, content, self.stored, self.known[content]))
                return
            sounding = open_windows(stream, self.front_end, str(path))
            record = EmbeddedFile(file, content, sounding.duration, sounding.sample_rate)
            add(record)
            for window in sounding.windows:
                yield record, window

    def _embed(self, waiting: Sequence[tuple[EmbeddedFile, Window]]) -> None:
        """Add embeddings to records. Batches are of one size: no embedding depends on the others.

        A sum's last bits depend on how the work was cut, and with it on the size of a batch.
        """
        clips = np.zeros((self.at_once, self.front_end.samples), dtype=np.float32)
        for row, (_, window) in enumerate(waiting):
            clips[row] = window.clip
        for (record, window), embedding in zip(waiting, self._hear(clips), strict=False):
            record.starts.append(window.start)
            record.ends.append(window.end)
            record.embeddings.append(embedding)

    @torch.inference_mode()
    def _hear(self, clips: NDArray[np.float32]) -> NDArray[np.float32]:
        heard = self.system.hear("recording", torch.from_numpy(clips).to(self.device))
        embeddings: NDArray[np.float32] = heard.float().cpu().numpy()
        return embeddings


def _recalled(file: LibraryFile, content: str, stored: Table, rows: Rows) -> EmbeddedFile:
    first, *_ = picked = [stored.rows.slice(row, 1).to_pylist()[0] for row in rows]
    return EmbeddedFile(
        file,
        content,
        first["duration"],
        first["sample_rate"],
        [each["start"] for each in picked],
        [each["end"] for each in picked],
        list(stored.embeddings(rows)),
    )
