"""The feature store: each clip's features are computed once and kept on disk.

``FeatureStore().fill(sources, front_end)`` computes what is missing with all cores and returns a
``FeatureTable``; ``table[source]`` is one spectrogram and ``table.stack(sources)`` an array of
(clips, bins, frames).
"""

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from vocalsketch.cores import available_cores
from vocalsketch.datasets.records import OnBadAudio
from vocalsketch.errors import AudioError, ConfigError, StorageError
from vocalsketch.features.content_index import ContentIndex, stamps_of
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.features.making import Making, parts_of
from vocalsketch.features.shelf import Place, Shelf
from vocalsketch.features.source import AudioSource
from vocalsketch.features.table import FeatureTable
from vocalsketch.files import LEFTOVER_AGE, cache_folder, remove_leftovers

VERSION = 1  # raised when reading, resampling or the files' layout changes
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
            jobs: Threads, or processes for very many clips; by default one for each core.
            on_bad_audio: ``error``, or ``skip`` to leave out audio that cannot be used.
            progress: Whether to show a progress bar on standard error.

        Raises:
            AudioError: Some audio cannot be used and ``on_bad_audio`` is ``error``; it names every
                such file, or the first 20 and their number.
            ConfigError: ``jobs`` or ``on_bad_audio`` is not one of the above.
            StorageError: Features are missing and the store cannot be written, the disk is full,
                or a process that computed was killed.
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
            making = Making(shelf, front_end, frozenset(places))
            made = making.run(parts_of(wanted, missing), jobs or available_cores(), progress)
            ids |= made.ids
            bad = {source: made.bad[source] for source in wanted if source in made.bad}
            self._index.remember(made.ids, stamps)
            places |= shelf.places({ids[s] for s in missing if s in ids} - places.keys())
        if bad and on_bad_audio == "error":
            raise _all_bad(bad)
        return FeatureTable(shelf.layout, _by_source(wanted, ids, places, bad, self.folder), bad)


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
