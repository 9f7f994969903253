"""Computing features that are missing: reading, transforming and keeping them, part by part."""

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field

import numpy as np
import torch
from tqdm import tqdm

from vocalsketch.errors import AudioError, StorageError
from vocalsketch.features.audio import load_clip
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.features.shelf import Shelf
from vocalsketch.features.source import AudioSource, content_id, opened
from vocalsketch.features.workers import deaf_children, workers

BATCH = 8  # clips transformed at once: their work fits the processor's cache
SMALLEST_PART, LARGEST_PART = 16, 128  # clips that one worker takes, and one file holds


@dataclass
class Made:
    """What is known after reading some sources: content ids, and why the others have none."""

    ids: dict[AudioSource, str] = field(default_factory=dict)
    bad: dict[AudioSource, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Making:
    """Computes features part by part.

    Attributes:
        shelf: Where they go.
        front_end: What to compute.
        present: Content ids whose features are there.
    """

    shelf: Shelf
    front_end: FrontEnd
    present: frozenset[str]

    def run(self, parts: Sequence[list[AudioSource]], jobs: int, progress: bool) -> Made:
        """Compute all parts with ``jobs`` workers.

        Raises:
            StorageError: The disk is full, the folder cannot be written, or a worker was killed.
        """
        # Processes that fill one store at once begin at different parts, and pass over what
        # another has made.
        first = os.getpid() % len(parts)
        clips = sum(map(len, parts))
        name = f"{type(self.front_end).__name__} features"
        made = Made()
        with (
            tqdm(total=clips, desc=name, unit="clip", disable=not progress) as bar,
            workers(jobs, clips) as pool,
        ):
            with deaf_children():
                futures = [
                    pool.submit(self.part, part) for part in (*parts[first:], *parts[:first])
                ]
            try:
                for future in as_completed(futures):
                    done = future.result()
                    made.ids |= done.ids
                    made.bad |= done.bad
                    bar.update(len(done.ids) + len(done.bad))
            except BrokenProcessPool as error:
                raise StorageError(
                    "A process that computed features was killed, perhaps for want of memory: what "
                    "the others have made is kept; run again, with fewer jobs."
                ) from error
        return made

    def part(self, sources: Iterable[AudioSource]) -> Made:
        """Read sources, and compute and keep those features that are not there."""
        made = Made()
        clips: dict[str, np.ndarray] = {}
        for source, stream in opened(sources):
            try:
                if isinstance(stream, AudioError):
                    raise stream
                content = content_id(stream)
                if content not in self.present and content not in clips:
                    stream.seek(0)
                    clips[content] = load_clip(stream, self.front_end, name=str(source))
                made.ids[source] = content
            except AudioError as error:
                made.bad[source] = str(error)
        if clips and not self.shelf.holds(clips):
            self.shelf.add(
                dict(zip(clips, transformed(clips.values(), self.front_end), strict=True))
            )
        return made


def transformed(clips: Iterable[np.ndarray], front_end: FrontEnd) -> Iterator[np.ndarray]:
    """Yield the features of each clip, (bins, frames).

    Every batch has the same size, padded with silence, so that a clip's features do not depend,
    in their last bits, on how many others were computed with it.
    """
    waiting = list(clips)
    for start in range(0, len(waiting), BATCH):
        part = waiting[start : start + BATCH]
        batch = np.zeros((BATCH, front_end.samples), dtype=np.float32)
        batch[: len(part)] = part
        yield from front_end(torch.from_numpy(batch)).numpy()[: len(part)]


def parts_of(wanted: Sequence[AudioSource], missing: set[AudioSource]) -> list[list[AudioSource]]:
    """Cut what was asked for into parts, and leave what is not missing out of each.

    Processes that ask for the same get the same parts, even when one begins later.
    """
    size = min(max(len(wanted) // 64, SMALLEST_PART), LARGEST_PART)
    cut = (wanted[start : start + size] for start in range(0, len(wanted), size))
    parts = ([source for source in part if source in missing] for part in cut)
    return [part for part in parts if part]
