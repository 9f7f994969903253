"""What every front end is: a waveform in, a standardised spectrogram out."""

import hashlib
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, fields
from importlib import import_module
from typing import ClassVar

import torch
from torch import Tensor

from vocalsketch.errors import ConfigError
from vocalsketch.extensions import EXTENSIONS, is_extension

POWER_FLOOR = 1e-10  # below it power counts as silence; librosa's amin


class FrontEnd(ABC):
    """From mono waveforms to spectrograms of one fixed shape.

    A subclass is a frozen dataclass whose fields are all of its parameters, plain numbers and
    strings, and a class attribute ``VERSION`` that is raised whenever its output changes. One of
    a package of your own is used where ``VOCALSKETCH_EXTENSIONS`` names that package.
    """

    VERSION: ClassVar[int]
    sample_rate: int  # hz
    seconds: float  # length of the clip that is looked at; longer is cut, shorter zero-padded

    @property
    @abstractmethod
    def shape(self) -> tuple[int, int]:
        """(bins, frames) of every spectrogram."""

    @abstractmethod
    def spectrogram(self, waveforms: Tensor) -> Tensor:
        """Return spectrograms before standardisation.

        Args:
            waveforms: (clips, samples) at ``sample_rate``, float32 in [-1, 1], any device.

        Returns:
            (clips, bins, frames) float32.
        """

    def __call__(self, waveforms: Tensor) -> Tensor:
        """Return standardised spectrograms, (clips, bins, frames); a silent clip becomes zeros."""
        return standardised(self.spectrogram(waveforms))

    @property
    def samples(self) -> int:
        """Length of the clip that is looked at, in samples."""
        return round(self.sample_rate * self.seconds)

    @property
    def fingerprint(self) -> str:
        """A short hash of class, version and parameters: what a cached feature depends on."""
        return hashlib.sha256(json.dumps(self.describe(), sort_keys=True).encode()).hexdigest()[:16]

    def describe(self) -> dict[str, object]:
        """Return class name, version and parameters as plain values, for checkpoints and logs."""
        parameters = asdict(self)  # type: ignore[call-overload]  # subclasses are dataclasses
        return {"class": _name_of(type(self)), "version": self.VERSION, **parameters}


def front_end_from(description: Mapping[str, object]) -> FrontEnd:
    """Rebuild a front end from what ``describe()`` returned, as a checkpoint holds it.

    Raises:
        ConfigError: The class is unknown, its version is another one, or a parameter is unknown,
            of the wrong type or out of range.
    """
    kind = _kind_of(description.get("class"))
    name, version = kind.__name__, description.get("version")
    if version != kind.VERSION:
        raise ConfigError(
            f"The front end {name} is of version {version!r}, this program makes version "
            f"{kind.VERSION}: use the program that made the checkpoint, or train again."
        )
    parameters = {key: v for key, v in description.items() if key not in ("class", "version")}
    _check_types(kind, parameters)
    return kind(**parameters)


def _name_of(kind: type[FrontEnd]) -> str:
    """Return the class's name, with its module where it does not come with the program."""
    own = kind.__module__.startswith(f"{__package__}.")
    return kind.__name__ if own else f"{kind.__module__}.{kind.__qualname__}"


def _kind_of(name: object) -> type[FrontEnd]:
    # Imported here because each of these modules imports this one.
    from vocalsketch.features.cqt import CQT
    from vocalsketch.features.log_mel import ImitationLogMel, LogMel, RecordingLogMel

    known = {kind.__name__: kind for kind in (CQT, LogMel, ImitationLogMel, RecordingLogMel)}
    if isinstance(name, str) and name in known:
        return known[name]
    if isinstance(name, str) and is_extension(name):
        module, _, attribute = name.rpartition(".")
        kind = getattr(import_module(module), attribute, None)
        if isinstance(kind, type) and issubclass(kind, FrontEnd):
            return kind
    raise ConfigError(
        f"Unknown front end {name!r}: choose one of {', '.join(known)}. If it is of a "
        f"package of your own that you trust, name that package in {EXTENSIONS}."
    )


def _check_types(kind: type[FrontEnd], parameters: Mapping[str, object]) -> None:
    allowed: dict[object, tuple[type, ...]] = {int: (int,), float: (int, float)}
    types = {field.name: field.type for field in fields(kind)}  # type: ignore[arg-type]  # a dataclass
    for name, value in parameters.items():
        if name not in types:
            raise ConfigError(
                f"{kind.__name__} has no parameter {name!r}: it takes {', '.join(types)}."
            )
        expected = allowed.get(types[name], (str,))  # the rest are names, such as a scaling
        if isinstance(value, bool) or not isinstance(value, expected):
            raise ConfigError(
                f"{kind.__name__}: {name} is {value!r}: it must be of type {expected[-1].__name__}."
            )


def check_positive(front_end: FrontEnd, *names: str) -> None:
    """Refuse parameters that are not positive, finite numbers.

    Raises:
        ConfigError: One is not.
    """
    for name in names:
        value = getattr(front_end, name)
        if not 0 < value < math.inf:
            raise ConfigError(
                f"{type(front_end).__name__}: {name} is {value}: it must be above 0 and finite."
            )


def decibels(power: Tensor, top_db: float) -> Tensor:
    """Return power in dB relative to each example's maximum, cut off ``top_db`` below it.

    The same as ``librosa.power_to_db(ref=np.max, top_db=top_db)`` example by example.

    Args:
        power: (clips, bins, frames), not negative.
        top_db: Range that is kept, dB; greater than zero.
    """
    levels = 10.0 * torch.log10(power.clamp(min=POWER_FLOOR))
    return (levels - levels.amax(dim=(1, 2), keepdim=True)).clamp(min=-top_db)


def standardised(spectrograms: Tensor) -> Tensor:
    """Return each example of (clips, bins, frames) with zero mean and unit variance.

    A constant example (silence) becomes zeros, never NaN.
    """
    mean = spectrograms.mean(dim=(1, 2), keepdim=True)
    deviation = spectrograms.std(dim=(1, 2), keepdim=True, correction=0)
    constant = deviation <= 1e-6 * spectrograms.abs().amax(dim=(1, 2), keepdim=True)
    scaled = (spectrograms - mean) / torch.where(constant, torch.ones_like(deviation), deviation)
    return torch.where(constant, torch.zeros_like(scaled), scaled)
