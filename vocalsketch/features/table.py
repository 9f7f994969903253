"""Features of many clips, read from the store as they are needed."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np

from vocalsketch.errors import StorageError
from vocalsketch.features.shelf import Place, mapped
from vocalsketch.features.source import AudioSource

OPEN_FILES = 256  # mapped at once; each holds a file descriptor, of which 1,024 is a usual limit


class FeatureTable:
    """Standardised spectrograms by source, memory-mapped; it may be pickled, and copied to workers.

    Attributes:
        shape: (bins, frames) of each spectrogram.
        sources: The sources that have features, in the order in which they were asked for.
        bad: Why each of the others has none.
    """

    def __init__(
        self,
        layout: np.dtype,
        places: Mapping[AudioSource, Place],
        bad: Mapping[AudioSource, str],
    ) -> None:
        self.shape: tuple[int, int] = layout["features"].shape
        self.sources = tuple(places)
        self.bad = dict(bad)
        self._layout = layout
        self._places = dict(places)
        self._open()

    def __len__(self) -> int:
        return len(self.sources)

    def __contains__(self, source: object) -> bool:
        return isinstance(source, Path | AudioSource) and AudioSource.of(source) in self._places

    def __getitem__(self, source: Path | AudioSource) -> np.ndarray:
        """Return one spectrogram, (bins, frames) float32, a read-only view of the file.

        Raises:
            KeyError: The source is not in the table.
            StorageError: The file was removed since the table was made.
        """
        file, row = self._places[AudioSource.of(source)]
        features: np.ndarray = self._records(file)["features"][row]
        return features

    def stack(self, sources: Iterable[Path | AudioSource] | None = None) -> np.ndarray:
        """Return spectrograms in memory, (clips, bins, frames) float32; of all sources by default.

        Raises:
            KeyError: A source is not in the table.
        """
        wanted = self.sources if sources is None else tuple(sources)
        stacked = np.empty((len(wanted), *self.shape), dtype=np.float32)
        for row, source in enumerate(wanted):
            stacked[row] = self[source]
        return stacked

    def __getstate__(self) -> dict[str, object]:
        # A pickled map would be a copy of the whole file; the other process opens its own.
        return {name: value for name, value in vars(self).items() if name != "_records"}

    def __setstate__(self, state: dict[str, object]) -> None:
        vars(self).update(state)
        self._open()

    def _open(self) -> None:
        layout = self._layout
        self._records = lru_cache(maxsize=OPEN_FILES)(lambda file: _still_there(file, layout))


def _still_there(file: Path, layout: np.dtype) -> np.ndarray:
    try:
        return mapped(file, layout)
    except (OSError, ValueError) as error:
        raise StorageError(
            f"{file} was removed or cut while its features were in use ({error}): run again, and "
            "they are made anew."
        ) from error
