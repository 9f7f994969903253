"""What every front end is: a waveform in, a spectrogram out."""

import hashlib
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal, Self
from weakref import WeakValueDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from vocalsketch.errors import ConfigError
from vocalsketch.features.level import PEAK

POWER_FLOOR = 1e-20  # what digital silence counts as: far below any clip's range
# those in use, by class, fingerprint and name: a constant-Q transform's take half a second
_CONSTANTS: WeakValueDictionary[tuple[type, str, str], Tensor] = WeakValueDictionary()


class FrontEnd(nn.Module, ABC):
    """From mono waveforms to spectrograms of one fixed shape, on any device.

    A subclass is a dataclass whose fields are all of its parameters, plain numbers and
    strings, and a class attribute ``VERSION`` that is raised whenever its output changes. One of
    a package of your own is used where ``VOCALSKETCH_EXTENSIONS`` names that package. What it
    leaves to others it declares, by class attributes or by fields:

    Attributes:
        standardise: Whether each spectrogram is brought to zero mean and unit variance.
        trim: Silence at both ends is cut before a clip is taken: what is softer than this many
            dB below the loudest (``features.level``); None takes a clip from the beginning.
        absolute: Whether values depend on a clip's level; then every clip has the same peak.
        cached: What a cache keeps of a clip: its ``features``, or its ``waveform`` where
            waveforms are augmented before they are transformed.
        families: Of a front end without time, what its bins tell, one family after another, and
            of how many bins each is; empty where nothing is known of them.

    Raises:
        ConfigError: A parameter is out of range.
    """

    VERSION: ClassVar[int]
    families: ClassVar[Mapping[str, int]] = {}
    sample_rate: int  # hz
    seconds: float  # length of the clip that is looked at; longer is cut, shorter zero-padded
    standardise: bool = True
    trim: float | None = None
    absolute: bool = False
    cached: Literal["features", "waveform"] = "features"

    def __new__(cls, *_args: object, **_parameters: object) -> Self:
        """Make the module ready for its fields, which a dataclass sets before all else."""
        front_end = super().__new__(cls)
        nn.Module.__init__(front_end)
        return front_end

    def __init_subclass__(cls, **options: Any) -> None:
        """Compare by identity: torch takes two modules that are equal for one."""
        super().__init_subclass__(**options)
        cls.__eq__ = object.__eq__  # type: ignore[method-assign]
        cls.__hash__ = object.__hash__  # type: ignore[method-assign]

    def __post_init__(self) -> None:
        check_positive(self, "sample_rate", "seconds")

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """(bins, frames) of every spectrogram."""

    @abstractmethod
    def spectrogram(self, waveforms: Tensor) -> Tensor:
        """Return spectrograms before standardisation, (clips, bins, frames) float32.

        ``waveforms`` are (clips, samples) at ``sample_rate``, float32 in [-1, 1].
        """

    def forward(self, waveforms: Tensor) -> Tensor:
        """Return features (clips, bins, frames); standardised, a silent clip becomes zeros."""
        spectrograms = self.spectrogram(waveforms)
        return standardised(spectrograms) if self.standardise else spectrograms

    def constant(self, name: str, make: Callable[[], NDArray[Any]], beside: Tensor) -> Tensor:
        """Return an array that the transform multiplies the tensor ``beside`` by, like it.

        It is made at the first use of it by front ends that are alike, and no buffer: processes
        that train together compare theirs, and only the one that made the features would have it.
        """
        kept: dict[str, Tensor] = self.__dict__.setdefault("_constants", {})
        with torch.inference_mode(False):  # so that later uses may have gradients
            if name not in kept:
                key = type(self), self.fingerprint, name
                made = _CONSTANTS.get(key)
                if made is None:
                    made = torch.from_numpy(np.asarray(make(), dtype=np.float32))
                    _CONSTANTS[key] = made
                kept[name] = made
            kept[name] = kept[name].to(beside.device)
            return kept[name].to(beside.dtype)

    def frequencies(self) -> NDArray[np.float64] | None:
        """Return the centre of each bin, Hz, (bins,); None where bins are no frequencies."""
        return None

    def inverted(self, features: Tensor, seed: int = 0) -> NDArray[np.float32] | None:
        """Return a sound (samples,) whose features (bins, frames) come close; None if none can.

        It is as long as the frames span; the seed draws what features do not tell, such as phases.
        """
        return None

    @property
    def hop(self) -> float:
        """Samples from one frame to the next."""
        return float(getattr(self, "hop_length", self.samples / self.shape[1]))

    @property
    def timeless(self) -> bool:
        """Whether there is one frame only, of numbers that are no neighbours in frequency."""
        return self.shape[1] == 1

    @property
    def samples(self) -> int:
        """Length of the clip that is looked at, in samples."""
        return round(self.sample_rate * self.seconds)

    @property
    def fingerprint(self) -> str:
        """A short hash of class, version and parameters: what a cached feature depends on."""
        return hashlib.sha256(json.dumps(self.describe(), sort_keys=True).encode()).hexdigest()[:16]

    def describe(self) -> dict[str, object]:
        """Return class name, version and parameters as plain values, for checkpoints and logs.

        A class that does not come with the program is named with its module.
        """
        parameters = asdict(self)  # type: ignore[call-overload]  # subclasses are dataclasses
        kind = type(self)
        own = kind.__module__.startswith(f"{__package__}.")
        name = kind.__name__ if own else f"{kind.__module__}.{kind.__qualname__}"
        return {"class": name, "version": self.VERSION, **parameters}


@dataclass
class Waveform(FrontEnd):
    """The waveform itself, one bin of as many frames as there are samples."""

    VERSION: ClassVar[int] = 1
    standardise = False
    cached = "waveform"

    sample_rate: int
    seconds: float

    @property
    def shape(self) -> tuple[int, int]:
        """(1, samples)."""
        return 1, self.samples

    def spectrogram(self, waveforms: Tensor) -> Tensor:
        """Return (clips, 1, samples)."""
        return waveforms.unsqueeze(1)


def check_positive(front_end: FrontEnd, *names: str) -> None:
    """Raise a ConfigError for a parameter that is no positive, finite number."""
    for name in names:
        value = getattr(front_end, name)
        if not 0 < value < math.inf:
            raise ConfigError(
                f"{type(front_end).__name__}: {name} is {value}: it must be above 0 and finite."
            )


def squared(spectra: Tensor) -> Tensor:
    """Return the squared magnitudes of complex numbers: ``abs`` would take roots."""
    power: Tensor = spectra.real.square() + spectra.imag.square()
    return power


def decibels(power: Tensor, top_db: float) -> Tensor:
    """Return power in dB relative to each example's maximum, cut off ``top_db`` below it.

    The same as ``librosa.power_to_db(ref=np.max, top_db=top_db)`` example by example; power is
    (clips, bins, frames), not negative.
    """
    levels = 10.0 * torch.log10(power.clamp(min=POWER_FLOOR))
    return (levels - levels.amax(dim=(1, 2), keepdim=True)).clamp(min=-top_db)


def levelled(waveforms: Tensor, exactly: bool = False) -> Tensor:
    """Return each of (clips, samples) at the level of every clip, times its ``level.gain``."""
    peaks = waveforms.abs().amax(1, keepdim=True)
    gains = PEAK / peaks if exactly else torch.exp2(-torch.floor(torch.log2(peaks)) - 1)
    return torch.where(peaks > 0, waveforms * gains, waveforms)


def standardised(spectrograms: Tensor) -> Tensor:
    """Return each example of (clips, bins, frames) with zero mean and unit variance.

    A constant example (silence) becomes zeros, never NaN.
    """
    mean = spectrograms.mean(dim=(1, 2), keepdim=True)
    deviation = spectrograms.std(dim=(1, 2), keepdim=True, correction=0)
    constant = deviation <= 1e-6 * spectrograms.abs().amax(dim=(1, 2), keepdim=True)
    scaled = (spectrograms - mean) / torch.where(constant, torch.ones_like(deviation), deviation)
    return torch.where(constant, torch.zeros_like(scaled), scaled)
