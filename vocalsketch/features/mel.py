"""Mel bands: what the front ends that have them share."""

from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vocalsketch.errors import ConfigError
from vocalsketch.features.front_end import FrontEnd, check_positive

LINEAR_HERTZ_PER_MEL = 200 / 3  # Slaney's scale is linear up to 1 kHz, which is 15 mel
LOGARITHMIC_STEP = np.log(6.4) / 27  # and logarithmic above it: 27 mel span a factor of 6.4


class MelFrontEnd(FrontEnd):
    """A front end whose bins are bands on a mel scale; Slaney's, unless it says otherwise."""

    window: int  # samples
    bands: int
    minimum_frequency: float  # hz, lower end of the lowest band
    maximum_frequency: float  # hz, upper end of the highest band

    def __post_init__(self) -> None:
        names = [field.name for field in fields(self)]  # type: ignore[arg-type]  # as its subclasses
        check_positive(self, *(name for name in names if not name.endswith("imum_frequency")))
        lowest, highest = self.minimum_frequency, self.maximum_frequency
        if not 0 <= lowest < highest <= self.sample_rate / 2:
            raise ConfigError(
                f"{type(self).__name__}: bands from {lowest} to {highest} Hz: they must rise, "
                f"within 0 and half of the sample rate {self.sample_rate} Hz."
            )

    def edges(self) -> NDArray[np.float64]:
        """Return where bands begin, peak and end, Hz, (bands + 2,)."""
        lowest, highest = _mel(np.array([self.minimum_frequency, self.maximum_frequency]))
        return _hertz(np.linspace(lowest, highest, self.bands + 2))

    def frequencies(self) -> NDArray[np.float64]:
        """Return the centre of each band, Hz, (bands,)."""
        return self.edges()[1:-1]

    def mel_filters(self, points: int) -> NDArray[np.float64]:
        """Return triangular filters of equal area for a transform, (bands, points // 2 + 1).

        The bins of an odd number of points end short of half the sample rate, which is why the
        frequencies are the transform's own. ``librosa.filters.mel`` gives the same matrix;
        importing it takes longer than everything else that stands between a command and its first
        result.
        """
        edges = self.edges()
        frequencies = np.fft.rfftfreq(points, 1 / self.sample_rate)
        return triangles(frequencies, edges) * 2 / (edges[2:] - edges[:-2])[:, None]


def triangles(places: NDArray[Any], edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what places (places,) weigh in triangles, (bands, places).

    They are 1 at each inner one of the rising edges, (bands + 2,), and 0 at its neighbours.
    """
    lower, centre, upper = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (places - lower) / (centre - lower), (upper - places) / (upper - centre)
    weights: NDArray[np.float64] = np.minimum(rising, falling).clip(min=0)
    return weights


def _mel(hertz: np.ndarray) -> np.ndarray:
    above = 15 + np.log(np.maximum(hertz, 1e-9) / 1000) / LOGARITHMIC_STEP
    return np.where(hertz < 1000, hertz / LINEAR_HERTZ_PER_MEL, above)


def _hertz(mel: np.ndarray) -> np.ndarray:
    return np.where(
        mel < 15, mel * LINEAR_HERTZ_PER_MEL, 1000 * np.exp((mel - 15) * LOGARITHMIC_STEP)
    )
