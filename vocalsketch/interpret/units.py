"""Which units are looked at, and what they answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from vocalsketch.errors import ConfigError
from vocalsketch.interpret.ascent import Activation, Inputs
from vocalsketch.interpret.layers import Layer

Position = tuple[int, int] | Literal["centre"] | None
CLIPS_AT_ONCE = 32


def drawn_units(layer: Layer, count: int, seed: int) -> tuple[int, ...]:
    """Draw ``count`` different units of a layer, in rising order (the paper draws four).

    Raises:
        ConfigError: The layer does not have so many.
    """
    if not 1 <= count <= layer.units:
        raise ConfigError(
            f"units is {count}, but {layer.name} has {layer.units}: ask for 1 to {layer.units}."
        )
    generator = torch.Generator().manual_seed(seed)
    return tuple(sorted(torch.randperm(layer.units, generator=generator)[:count].tolist()))


def checked_units(layer: Layer, units: Sequence[int]) -> tuple[int, ...]:
    """Return units that were asked for by number, each once.

    Raises:
        ConfigError: The layer has no such unit.
    """
    for unit in units:
        if not 0 <= unit < layer.units:
            raise ConfigError(
                f"There is no unit {unit} in {layer.name}: its units are 0 to {layer.units - 1}."
            )
    return tuple(dict.fromkeys(units))


@dataclass(frozen=True, eq=False)
class Activity:
    """How much of a layer's channels counts as a unit's activation.

    Attributes:
        layer: The layer.
        position: None takes the mean over a channel; (bin, frame) or ``centre`` one position of
            it. Fully connected layers have no positions, and it is left out for them.

    Raises:
        ConfigError: The channel has no such position.
    """

    layer: Layer
    position: Position = None

    def __post_init__(self) -> None:
        if self.layer.positions is None or not isinstance(self.position, tuple):
            return
        (bin_, frame), (bins, frames) = self.position, self.layer.positions
        if not (0 <= bin_ < bins and 0 <= frame < frames):
            raise ConfigError(
                f"There is no position {bin_},{frame} in {self.layer.name}: its channels are "
                f"{bins} x {frames} (bins x frames), counted from 0."
            )

    def __call__(self, inputs: Inputs) -> Tensor:
        """Return the activation of every unit, (clips, units)."""
        return self._counted(self.layer.respond(*inputs))

    def of(self, units: Tensor) -> Activation:
        """Return the function that ascent climbs: row i of its inputs is for ``units[i]``."""

        def activation(inputs: Inputs, rows: Tensor) -> Tensor:
            return self._counted(self.layer.answer(units[rows], inputs))

        return activation

    def _counted(self, response: Tensor) -> Tensor:
        """Return what counts of responses: (..., bins, frames) without the last two."""
        if self.layer.positions is None:
            return response
        if self.position is None:
            return response.mean(dim=(-2, -1))
        bins, frames = response.shape[-2:]
        bin_, frame = (bins // 2, frames // 2) if self.position == "centre" else self.position
        return response[..., bin_, frame]

    def measured(self, inputs: Inputs) -> Tensor:
        """Return the activation of every unit to many clips, (clips, units), a block at a time."""
        blocks = zip(*(torch.split(each, CLIPS_AT_ONCE) for each in inputs), strict=True)
        with torch.no_grad():
            return torch.cat([self(block) for block in blocks])
