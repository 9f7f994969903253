"""The sizes of a convolutional tower: what it is given, and whether it can be built."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from vocalsketch.errors import ConfigError

Recurrent = Literal["gru", "lstm"]


@dataclass(frozen=True)
class ConvStage:
    """One stage of a tower: valid convolution, ReLU and, where ``pool`` is given, max pooling.

    Attributes:
        filters: Output channels.
        kernel: (bins, frames) of the convolution kernel; stride 1, no padding.
        pool: (bins, frames) of the max pooling, which is also its stride; what is left over at
            the end is dropped. None leaves the pooling out.
    """

    filters: int
    kernel: tuple[int, int]
    pool: tuple[int, int] | None = None


@dataclass(frozen=True)
class TowerGeometry:
    """The stages of a tower, first to last.

    Attributes:
        stages: The convolutional stages.
        batch_norm: Whether each convolution is followed by batch normalisation (as in the
            authors' transfer-learning code; the paper does not speak of it).
        recurrent: A recurrent layer over time, in both directions, after the stages (the paper's
            future work).
        units: Of the recurrent layer, in each direction.
    """

    stages: list[ConvStage]
    batch_norm: bool = False
    recurrent: Recurrent | None = None
    units: int = 32

    def to_dict(self) -> dict[str, Any]:
        """Return plain values without those of a recurrent layer where there is none."""
        idle = () if self.recurrent else ("recurrent", "units")
        return {name: value for name, value in asdict(self).items() if name not in idle}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "TowerGeometry":
        """Rebuild the geometry from ``to_dict``'s values, also once they were JSON."""
        return cls(**{**values, "stages": [_stage(stage) for stage in values["stages"]]})

    def sizes(self, input_shape: tuple[int, int]) -> list[tuple[int, int, int]]:
        """Return (filters, bins, frames) after each stage for inputs of (bins, frames).

        Raises:
            ConfigError: A stage does not fit what reaches it; the stage is named.
        """
        if not self.stages:
            raise ConfigError("A tower needs at least one stage; stages is empty.")
        if self.units < 1:
            raise ConfigError(f"units is {self.units}: a recurrent layer needs at least 1.")
        bins, frames = input_shape
        sizes = []
        for number, stage in enumerate(self.stages, start=1):
            _check_positive(number, stage)
            bins, frames = _reduced(number, "kernel", (bins, frames), stage.kernel)
            bins, frames = bins + 1, frames + 1
            if stage.pool is not None:
                _reduced(number, "pool", (bins, frames), stage.pool)
                bins, frames = bins // stage.pool[0], frames // stage.pool[1]
            sizes.append((stage.filters, bins, frames))
        return sizes

    def width(self, input_shape: tuple[int, int]) -> int:
        """Return the length of a flattened embedding for inputs of (bins, frames)."""
        filters, bins, frames = self.sizes(input_shape)[-1]
        return frames * (2 * self.units if self.recurrent else filters * bins)


def _stage(values: Mapping[str, Any]) -> ConvStage:
    pool = values["pool"]
    return ConvStage(values["filters"], tuple(values["kernel"]), tuple(pool) if pool else None)


def _check_positive(number: int, stage: ConvStage) -> None:
    values = (stage.filters, *stage.kernel, *(stage.pool or ()))
    if min(values) < 1:
        raise ConfigError(
            f"Stage {number} has filters {stage.filters}, kernel {stage.kernel}, pool {stage.pool}:"
            " each must be at least 1."
        )


def _reduced(
    number: int, what: str, size: tuple[int, int], window: tuple[int, int]
) -> tuple[int, int]:
    bins, frames = size[0] - window[0], size[1] - window[1]
    if bins < 0 or frames < 0:
        raise ConfigError(
            f"Stage {number} does not fit: its {what} is {window[0]}x{window[1]} (bins x frames), "
            f"what reaches it {size[0]}x{size[1]}. Make this {what} or an earlier pool smaller."
        )
    return bins, frames
