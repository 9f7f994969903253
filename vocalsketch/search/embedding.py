"""A library's files to stored rows: Lightning's predict, on any number of processes and devices."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray

from vocalsketch.errors import AudioError
from vocalsketch.features.audio import opened_file
from vocalsketch.features.contents import content_id
from vocalsketch.features.threads import available_cores, one_torch_thread
from vocalsketch.search.library import LibraryFile
from vocalsketch.search.table import SoundTable
from vocalsketch.search.windows import Window, open_windows
from vocalsketch.systems import System

FILES_PER_THREAD = 8  # taken at once, so that short sounds fill a batch
CLIPS_AT_ONCE = {"cpu": 8}  # embedded together: their work fits the processor's cache
CLIPS_ON_ACCELERATOR = 64


@dataclass
class EmbeddedFile:
    """A file, what it holds, and a share for each of its windows."""

    file: LibraryFile
    content: str
    duration: float
    sample_rate: int
    starts: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    shares: list[NDArray[np.floating]] = field(default_factory=list)


class Embedded(NamedTuple):
    """What became of some files: those embedded, and why the others are not, by path."""

    files: list[EmbeddedFile]
    skipped: dict[str, str]


class LibraryEmbedder(pl.LightningModule):
    """Decodes files and passes their windows through the recording tower and its half of the head.

    Each thread decodes and embeds its own files, on one core when there is no accelerator: no
    thread waits for another, and there is nothing to balance.

    Args:
        trained: The network and its front ends.
        library: The folder within which the files lie.
        jobs: Threads; by default a core each.
    """

    def __init__(self, trained: System, library: Path, jobs: int | None = None) -> None:
        super().__init__()
        self.system = trained.fast()
        self.front_end = self.system.front_ends["recording"]
        self.library = library
        self.jobs = jobs or available_cores()
        self.todo: Sequence[LibraryFile] = ()
        self.known: Mapping[str, list[int]] = {}
        self.stored: SoundTable | None = None

    def give(
        self,
        todo: Sequence[LibraryFile],
        known: Mapping[str, list[int]],
        stored: SoundTable | None,
    ) -> None:
        """Say which files there are, and which contents are stored in which rows of a table."""
        self.todo, self.known, self.stored = todo, known, stored

    def predict_step(self, batch: Sequence[int]) -> Embedded:
        """Embed some of the files, given by their numbers."""
        files = [self.todo[number] for number in batch]
        size = max(1, min(FILES_PER_THREAD, -(-len(files) // self.jobs)))
        groups = [files[start : start + size] for start in range(0, len(files), size)]
        with one_torch_thread(), ThreadPoolExecutor(self.jobs) as pool:
            done = list(pool.map(self.embed_files, groups))
        skipped = {path: reason for each in done for path, reason in each.skipped.items()}
        return Embedded([file for each in done for file in each.files], skipped)

    @torch.inference_mode()
    def embed_files(self, files: Iterable[LibraryFile]) -> Embedded:
        """Embed files in the calling thread."""
        done = Embedded([], {})
        waiting: list[tuple[EmbeddedFile, Window]] = []
        at_once = CLIPS_AT_ONCE.get(self.device.type, CLIPS_ON_ACCELERATOR)
        for file in files:
            try:
                for clip in self._read(file, done.files):
                    waiting.append(clip)
                    if len(waiting) == at_once:
                        self._embed(waiting, at_once)
                        waiting = []
            except AudioError as error:
                done.skipped[file.path] = _reason(error, self.library / file.path)
        if waiting:
            self._embed(waiting, at_once)
        failed = [each for each in done.files if each.file.path in done.skipped]
        return Embedded([each for each in done.files if each not in failed], done.skipped)

    def _read(
        self, file: LibraryFile, done: list[EmbeddedFile]
    ) -> Iterator[tuple[EmbeddedFile, Window]]:
        """Yield a file's windows; none where its content is stored, as of a file that was moved."""
        path = self.library / file.path
        with opened_file(path) as stream:
            content = content_id(stream)
            if content in self.known and self.stored is not None:
                done.append(_recalled(file, content, self.stored, self.known[content]))
                return
            sounding = open_windows(stream, self.front_end, str(path))
            record = EmbeddedFile(file, content, sounding.duration, sounding.sample_rate)
            done.append(record)
            for window in sounding.windows:
                yield record, window

    def _embed(self, waiting: Sequence[tuple[EmbeddedFile, Window]], at_once: int) -> None:
        """Add shares to records. Batches are of one size, so that no share depends on the others'.

        A sum's last bits depend on how the work was cut, and with it on the size of a batch.
        """
        clips = np.zeros((at_once, self.front_end.samples), dtype=np.float32)
        for row, (_, window) in enumerate(waiting):
            clips[row] = window.clip
        heard = self.system.hear("recording", torch.from_numpy(clips).to(self.device))
        shares = heard.float().cpu().numpy()
        for (record, window), share in zip(waiting, shares, strict=False):
            record.starts.append(window.start)
            record.ends.append(window.end)
            record.shares.append(share)


def _recalled(file: LibraryFile, content: str, stored: SoundTable, rows: list[int]) -> EmbeddedFile:
    picked = stored.rows.take(rows).to_pydict()
    shares = stored.shares(np.array(rows))
    return EmbeddedFile(
        file,
        content,
        picked["duration"][0],
        picked["sample_rate"][0],
        picked["start"],
        picked["end"],
        list(shares),
    )


def _reason(error: AudioError, path: Path) -> str:
    return str(error).removeprefix(f"{path}: ")
