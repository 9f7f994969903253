"""The feature store: each clip's features are computed once and kept on disk.

``FeatureStore().fill(sources, front_end)`` computes what is missing with all cores and returns a
``FeatureTable``; ``table[source]`` is one spectrogram and ``table.stack(sources)`` an array of
(clips, bins, frames).
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from vocalsketch.cores import available_cores
from vocalsketch.datasets.records import OnBadAudio
from vocalsketch.errors import AudioError, ConfigError, StorageError
from vocalsketch.features.audio import load_clip
from vocalsketch.features.content_index import ContentIndex, stamps_of
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.features.shelf import Place, Shelf
from vocalsketch.features.source import AudioSource, content_id, opened
from vocalsketch.features.table import FeatureTable
from vocalsketch.features.threads import one_torch_thread
from vocalsketch.storage import LEFTOVER_AGE, cache_folder, remove_leftovers

VERSION = 1  # raised when reading, resampling or the files' layout changes
BATCH = 8  # clips transformed at once: their work fits the processor's cache
SMALLEST_PART, LARGEST_PART = 16, 128  # clips that one thread takes, and one file holds
NAMED_AT_ONCE = 20


class FeatureStore:
    """Features on disk, by the content of the audio and the fingerprint of the front end.

    Any number of processes may fill a store at the same time: nothing is locked, files appear
    whole, and each record carries a checksum that is verified when a table is made. Damaged
    records are made again; those of another version of a front end are not seen.

    Args:
        folder: Where to keep them; by default ``features`` in the cache folder.
        clock: Seconds since 1970, by which what killed processes left behind is removed.
    """

    def __init__(self, folder: Path | None = None, clock: Callable[[], float] = time.time) -> None:
        self.folder = (folder or cache_folder() / "features") / f"v{VERSION}"
        self._index = ContentIndex(self.folder / "contents.json")
        self._clock = clock

    def fill(
        self,
        sources: Iterable[Path | AudioSource],
        front_end: FrontEnd,
        *,
        jobs: int | None = None,
        on_bad_audio: OnBadAudio = "error",
        progress: bool = True,
    ) -> FeatureTable:
        """Compute the features that are missing, and return all that were asked for.

        A file that has not changed since it was last read is not read again.

        Args:
            sources: Audio files and members of archives; one named twice counts once.
            front_end: What to compute.
            jobs: Threads; by default as many as there are cores to run on.
            on_bad_audio: ``error``, or ``skip`` to leave out audio that cannot be used.
            progress: Whether to show a progress bar on standard error.

        Raises:
            AudioError: Some audio cannot be used and ``on_bad_audio`` is ``error``; it names every
                such file, or the first 20 and their number.
            ConfigError: ``jobs`` or ``on_bad_audio`` is not one of the above.
            StorageError: Features are missing and the store cannot be written, or the disk is full.
        """
        if on_bad_audio not in ("error", "skip"):
            raise ConfigError(f"on_bad_audio is {on_bad_audio!r}: choose error or skip.")
        if jobs is not None and jobs < 1:
            raise ConfigError(f"jobs is {jobs}: it must be at least 1.")
        wanted = list(dict.fromkeys(AudioSource.of(source) for source in sources))
        shelf = Shelf(
            self.folder / f"{type(front_end).__name__}-{front_end.fingerprint}", front_end.shape
        )
        stamps = stamps_of(wanted)
        ids = self._index.known(stamps)
        places = shelf.places(ids.values())
        missing = {source for source in wanted if ids.get(source) not in places}
        bad: dict[AudioSource, str] = {}
        if missing:
            for folder in (self.folder, shelf.folder):
                remove_leftovers(folder, older_than=self._clock() - LEFTOVER_AGE)
            places = shelf.places()  # all: a file that was moved has features under its content
            making = _Making(shelf, front_end, frozenset(places))
            made = making.run(_parts(wanted, missing), jobs or available_cores(), progress)
            ids |= made.ids
            bad = {source: made.bad[source] for source in wanted if source in made.bad}
            self._index.remember(made.ids, stamps)
            places |= shelf.places({ids[s] for s in missing if s in ids} - places.keys())
        if bad and on_bad_audio == "error":
            raise _all_bad(bad)
        return FeatureTable(shelf.layout, _by_source(wanted, ids, places, bad, self.folder), bad)


@dataclass
class _Made:
    """What is known after reading some sources: content ids, and why the others have none."""

    ids: dict[AudioSource, str] = field(default_factory=dict)
    bad: dict[AudioSource, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Making:
    """Computes features part by part; threads suffice, as the work is done outside Python's lock.

    Attributes:
        shelf: Where they go.
        front_end: What to compute.
        present: Content ids whose features are there.
    """

    shelf: Shelf
    front_end: FrontEnd
    present: frozenset[str]

    def run(self, parts: Sequence[list[AudioSource]], jobs: int, progress: bool) -> _Made:
        """Compute all parts in ``jobs`` threads."""
        # Processes that fill one store at once begin at different parts, and pass over what
        # another has made.
        first = os.getpid() % len(parts)
        clips = sum(map(len, parts))
        name = f"{type(self.front_end).__name__} features"
        made = _Made()
        with (
            one_torch_thread(),
            tqdm(total=clips, desc=name, unit="clip", disable=not progress) as bar,
            ThreadPoolExecutor(jobs) as pool,
        ):
            futures = [pool.submit(self._part, part) for part in (*parts[first:], *parts[:first])]
            try:
                for future in as_completed(futures):
                    done = future.result()
                    made.ids |= done.ids
                    made.bad |= done.bad
                    bar.update(len(done.ids) + len(done.bad))
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return made

    def _part(self, sources: Iterable[AudioSource]) -> _Made:
        """Read sources, and compute and keep those features that are not there."""
        made = _Made()
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


def _parts(wanted: Sequence[AudioSource], missing: set[AudioSource]) -> list[list[AudioSource]]:
    """Cut what was asked for into parts, and leave what is not missing out of each.

    Processes that ask for the same get the same parts, even when one begins later.
    """
    size = min(max(len(wanted) // 64, SMALLEST_PART), LARGEST_PART)
    cut = (wanted[start : start + size] for start in range(0, len(wanted), size))
    parts = ([source for source in part if source in missing] for part in cut)
    return [part for part in parts if part]


def _by_source(
    wanted: Iterable[AudioSource],
    ids: Mapping[AudioSource, str],
    places: Mapping[str, Place],
    bad: Mapping[AudioSource, str],
    folder: Path,
) -> dict[AudioSource, Place]:
    try:
        return {source: places[ids[source]] for source in wanted if source not in bad}
    except KeyError as error:
        raise StorageError(
            f"Features in {folder} were damaged or removed right after they were written: "
            "check the disk and run again."
        ) from error


def _all_bad(bad: Mapping[AudioSource, str]) -> AudioError:
    lines = list(bad.values())
    more = [f"and {len(lines) - NAMED_AT_ONCE} more"] if len(lines) > NAMED_AT_ONCE else []
    return AudioError(
        "\n  ".join([f"{len(lines)} audio files cannot be used:", *lines[:NAMED_AT_ONCE], *more])
        + "\nMend or remove them, or go on without them with on_bad_audio: skip."
    )
