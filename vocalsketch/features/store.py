"""The feature store: each clip's features are computed once and kept on disk."""

import json
import math
import os
import threading
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from vocalsketch.datasets.records import OnBadAudio
from vocalsketch.errors import AudioError, StorageError
from vocalsketch.features.audio import content_id, load_clip, opened_file
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.files import (
    LEFTOVER_AGE,
    cache_folder,
    make_folder,
    remove_leftovers,
    storage_error,
    write_text,
)
from vocalsketch.spread.batches import spread
from vocalsketch.spread.threads import available_cores

VERSION = 4  # raised when reading, resampling or the files' layout changes
NAMED_AT_ONCE = 20
BATCH = 8  # clips transformed at once: their work fits the processor's cache
PART = 16  # clips that one thread takes at once
SUFFIX = ".features"
CHECKSUM = 4  # bytes
CONTENTS = "contents.json"  # which content each file had when it was last read
CUT = "-cut"  # behind the content of a file of which what is there was used
FULL_SCALE = np.float32(32_767)  # of waveforms, which are kept in 16 bits

Contained = dict[Path, str]  # by file, the content; or why it cannot be used
Stamp = tuple[int, int, int, int]  # size, time of change, time of change of its entry, inode


@dataclass(frozen=True)
class FeatureTable:
    """What one front end made: features by audio file, read as needed; it may be pickled.

    On disk a file for each content holds an array and a checksum of content and array, so that a
    file under another's name does not count. Features are (bins, frames) float32; of a front end
    that caches waveforms these, (samples,). Reading raises a StorageError where a file was removed
    since the table was made.
    """

    folder: Path
    shape: tuple[int, ...]  # of one clip's
    dtype: np.dtype  # float32, or int16 where waveforms are kept
    contents: Contained = field(default_factory=dict)
    bad: Contained = field(default_factory=dict)  # why others that were asked for have none

    @classmethod
    def of(cls, front_end: FrontEnd, folder: Path) -> "FeatureTable":
        """Return the table of a front end in a store's folder, without any file yet."""
        folder = folder / f"{type(front_end).__name__}-{front_end.fingerprint}"
        if front_end.cached == "waveform":
            return cls(folder, (front_end.samples,), np.dtype("<i2"))
        return cls(folder, front_end.shape, np.dtype("<f4"))

    @property
    def sources(self) -> tuple[Path, ...]:
        """The files that have features, in the order in which they were asked for."""
        return tuple(self.contents)

    @property
    def cut(self) -> tuple[Path, ...]:
        """Those of them of which a part is there and was used."""
        return tuple(path for path, content in self.contents.items() if content.endswith(CUT))

    def __contains__(self, source: object) -> bool:
        return source in self.contents

    def __getitem__(self, source: Path) -> np.ndarray:
        """Return a read-only view of one clip's; waveforms as int16, 32,767 for full scale."""
        file = self.file(self.contents[source])
        try:
            return np.memmap(file, self.dtype, mode="r", shape=self.shape)
        except (OSError, ValueError) as error:
            raise StorageError(
                f"{file} was removed or cut while its features were in use ({error}): run again, "
                "and they are made anew."
            ) from error

    def stack(self, sources: Iterable[Path] | None = None) -> np.ndarray:
        """Return features in memory, (clips, bins, frames) float32; of all sources by default.

        Waveforms are (clips, samples) float32 in [-1, 1].
        """
        wanted = self.sources if sources is None else tuple(sources)
        stacked = np.empty((len(wanted), *self.shape), dtype=np.float32)
        for row, source in enumerate(wanted):
            stacked[row] = self[source]
        if self.dtype.kind == "i":
            stacked /= FULL_SCALE
        return stacked

    def file(self, content: str) -> str:
        """Return where the array of a content lies; a string: a Path takes as long as a read."""
        return f"{self.folder}/{content}{SUFFIX}"

    def read(self, content: str) -> np.ndarray | None:
        """Return an intact array, in memory; None where there is none."""
        size = math.prod(self.shape) * self.dtype.itemsize
        data = np.empty(size + CHECKSUM + 1, dtype=np.uint8)  # one more shows a file too long
        try:
            with open(self.file(content), "rb", buffering=0) as stream:  # noqa: PTH123
                count = stream.readinto(data.data)
        except OSError:
            return None
        array, checksum = data[:size], data[size : size + CHECKSUM].tobytes()
        if count != size + CHECKSUM or checksum != _checksum(content, array):
            return None
        return array.view(self.dtype).reshape(self.shape)

    def add(self, content: str, array: np.ndarray) -> None:
        """Write an array, whole or not at all; whoever writes it once more writes the same bytes.

        Raises:
            StorageError: The disk is full, or the folder cannot be written.
        """
        file = self.file(content)
        # By hand: ``written_whole`` takes a third of a millisecond, as long as some front ends.
        temporary = f"{self.folder}/.{content}{SUFFIX}.{os.getpid()}-{threading.get_ident()}.tmp"
        data = np.ascontiguousarray(array, self.dtype).reshape(-1).view(np.uint8)
        try:
            with open(temporary, "wb") as stream:  # noqa: PTH123  # as above
                stream.write(data.data)
                stream.write(_checksum(content, data))
            os.replace(temporary, file)  # noqa: PTH105
        except OSError as error:
            with suppress(OSError):  # not made, or made on a disk that may only be read now
                os.unlink(temporary)  # noqa: PTH108
            raise storage_error(Path(file), error) from error


class FeatureStore:
    """Features on disk, by the content of the audio and the fingerprint of the front end.

    Any number of processes may fill a store at the same time: nothing is locked, files appear
    whole, and each carries a checksum that is verified before a table has it. Damaged ones are
    made again; those of another version of a front end are not seen.

    Args:
        folder: Where to keep them; by default ``features`` in the cache folder.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = (folder or cache_folder() / "features") / f"v{VERSION}"

    def fill(
        self,
        sources: Iterable[Path],
        front_end: FrontEnd,
        *,
        jobs: int | None = None,
        ray: str | None = None,
        on_bad_audio: OnBadAudio = "error",
        progress: bool = True,
    ) -> FeatureTable:
        """Compute the features that are missing, and return all that were asked for.

        A file that has not changed since it was last read is not read again.

        Args:
            sources: Audio files; one named twice counts once.
            front_end: What to compute.
            jobs: Threads; by default one for each core.
            ray: The address of a Ray cluster that computes instead, as ``cluster`` takes it; its
                machines have to see the sources and the store.
            on_bad_audio: ``error``, or ``skip`` to leave out audio that cannot be used, or ``use``
                to take what is there of files that are cut short or damaged.
            progress: Whether to show a progress bar on standard error.

        Raises:
            AudioError: Some audio cannot be used and ``on_bad_audio`` is not ``skip``; it names
                every such file, or the first 20 and their number.
            StorageError: Features are missing and the store cannot be written, or the disk is full.
        """
        wanted = list(dict.fromkeys(sources))
        table = FeatureTable.of(front_end, self.folder)
        stamps = {path: stamp_of(path) for path in wanted}
        use = on_bad_audio == "use"
        contents = {
            path: content
            for path, content in self._known(stamps).items()
            if (use or not content.endswith(CUT)) and table.read(content) is not None
        }
        missing = [path for path in wanted if path not in contents]
        refused: Contained = {}
        if missing:
            make = partial(self._part, table=table, front_end=front_end, use=use)
            name = f"{type(front_end).__name__} features"
            make_folder(table.folder)
            for each in (self.folder, table.folder):
                remove_leftovers(each, older_than=time.time() - LEFTOVER_AGE)
            parts = [missing[start : start + PART] for start in range(0, len(missing), PART)]
            # Processes that fill one store at once begin at different parts, and pass over what
            # another has made.
            first = os.getpid() % len(parts)
            ordered = (*parts[first:], *parts[:first])
            made = spread(make, ordered, jobs or available_cores(), ray=ray, shared=self.folder)
            with tqdm(total=len(missing), desc=name, unit="clip", disable=not progress) as bar:
                for good, bad in made:
                    contents |= good
                    refused |= bad
                    bar.update(len(good) + len(bad))
            self._remember({path: contents[path] for path in missing if path in contents}, stamps)
            refused = {path: refused[path] for path in missing if path in refused}
        if refused and on_bad_audio != "skip":
            lines = list(refused.values())
            more = len(lines) - NAMED_AT_ONCE
            lines = [*lines[:NAMED_AT_ONCE], *([f"and {more} more"] if more > 0 else [])]
            raise AudioError(
                "\n  ".join([f"{len(refused)} audio files cannot be used:", *lines])
                + "\nMend or remove them, or go on without them with on_bad_audio: skip, or with "
                "what is there of those that are cut short with on_bad_audio: use."
            )
        found = {path: contents[path] for path in wanted if path in contents}
        return replace(table, contents=found, bad=refused)

    def _remembered(self) -> dict[str, list[int | str]]:
        """Return of each path its last stamp and content; to lose them costs time only."""
        try:
            rows: dict[str, list[int | str]] = json.loads((self.folder / CONTENTS).read_bytes())
        except (OSError, ValueError):
            return {}
        return rows

    def _known(self, stamps: Mapping[Path, Stamp | None]) -> Contained:
        """Return the contents of those files whose stamp is the remembered one."""
        rows = self._remembered()
        found = {path: rows[key] for path in stamps if (key := _key(path)) in rows}
        return {path: str(row[-1]) for path, row in found.items() if (*row[:-1],) == stamps[path]}

    def _remember(self, contents: Contained, stamps: Mapping[Path, Stamp | None]) -> None:
        """Add contents, read from files that had these stamps before."""
        known = {path: (stamp, contents[path]) for path in contents if (stamp := stamps[path])}
        rows = {_key(path): [*stamp, content] for path, (stamp, content) in known.items()}
        with suppress(StorageError):
            write_text(self.folder / CONTENTS, json.dumps(self._remembered() | rows))

    def _part(
        self, paths: Iterable[Path], table: FeatureTable, front_end: FrontEnd, use: bool
    ) -> tuple[Contained, Contained]:
        """Read files, and compute and keep those features that are not there."""
        contents: Contained = {}
        bad: Contained = {}
        clips: dict[str, np.ndarray] = {}
        for path in paths:
            try:
                with opened_file(path) as stream:
                    content = content_id(stream)
                    if content not in clips and table.read(content) is None:
                        try:
                            clip = load_clip(stream, front_end, name=str(path))
                        except AudioError:
                            if not use:
                                raise
                            clip = load_clip(stream, front_end, name=str(path), whole=False)
                            content += CUT
                        clips[content] = clip
                contents[path] = content
            except AudioError as error:
                bad[path] = str(error)
        for content, features in zip(clips, transformed(clips.values(), front_end), strict=True):
            table.add(content, features)
        return contents, bad


def transformed(clips: Iterable[np.ndarray], front_end: FrontEnd) -> Iterator[np.ndarray]:
    """Yield what is kept of each clip: features, (bins, frames), or the clip itself, int16.

    Every batch has the same size, padded with silence, so that a clip's features do not depend,
    in their last bits, on how many others were computed with it.
    """
    waiting = list(clips)
    if front_end.cached == "waveform":
        yield from (np.rint(clip * FULL_SCALE).astype("<i2") for clip in waiting)
        return
    for start in range(0, len(waiting), BATCH):
        part = waiting[start : start + BATCH]
        batch = np.zeros((BATCH, front_end.samples), dtype=np.float32)
        batch[: len(part)] = part
        yield from front_end(torch.from_numpy(batch)).numpy()[: len(part)]


def stamp_of(path: Path) -> Stamp | None:
    """Return by what one sees that a file has changed; None where it cannot be had."""
    try:
        stat = os.stat(path)  # noqa: PTH116  # of ten thousand files Path.stat takes half as long again
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino


def _key(path: Path) -> str:
    return os.path.abspath(path)  # noqa: PTH100  # resolve() asks the disk about every part


def _checksum(content: str, array: np.ndarray) -> bytes:
    return zlib.crc32(array.data, zlib.crc32(content.encode())).to_bytes(CHECKSUM, "little")
