"""The layers of a network whose units can be looked at, by name: conv1, conv2, ..., fc1, ..."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from vocalsketch.domain import SIDES, Side
from vocalsketch.errors import ConfigError
from vocalsketch.interpret.ascent import Inputs

Part = Literal["imitation", "recording", "pair"]
PARTS: tuple[Part, ...] = ("imitation", "recording", "pair")
Position = tuple[int, int] | Literal["centre"] | None
CLIPS_AT_ONCE = 32
LEAKY_SLOPE = 0.3  # for negative inputs (paper, section VII)


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer of a network.

    Attributes:
        name: ``conv1`` is the first convolution, ``fc1`` the first fully connected layer.
        part: What it sees: an ``imitation``, a ``recording``, or a ``pair`` of them.
        units: Channels of a convolution, neurons of a fully connected layer.
        positions: (bins, frames) of a channel; None for a fully connected layer.
        respond: Maps features (clips, bins, frames), one argument for a tower and two for a
            pair, to responses (clips, units) or (clips, units, bins, frames): after the
            activation function, before any pooling.
        respond_each: Maps units (clips,) and features to the response of one unit to each clip,
            where that can be had without asking all units.
        position: What of a channel counts as its unit's activation: None its mean; (bin, frame)
            or ``centre`` one position. It is left out for what has no positions.

    Raises:
        ConfigError: A channel has no such position.
    """

    name: str
    part: Part
    units: int
    positions: tuple[int, int] | None
    respond: Callable[..., Tensor]
    respond_each: Callable[..., Tensor] | None = None
    position: Position = None

    def __post_init__(self) -> None:
        if self.positions is None or not isinstance(self.position, tuple):
            return
        (bin_, frame), (bins, frames) = self.position, self.positions
        if not (0 <= bin_ < bins and 0 <= frame < frames):
            raise ConfigError(
                f"There is no position {bin_},{frame} in {self.name}: its channels are "
                f"{bins} x {frames} (bins x frames), counted from 0."
            )

    @property
    def sides(self) -> tuple[Side, ...]:
        """What it sees: one side, or for a pair both."""
        return SIDES if self.part == "pair" else (self.part,)

    def activations(self, inputs: Inputs) -> Tensor:
        """Return the activation of every unit, (clips, units), some clips at a time."""
        blocks = zip(*(torch.split(each, CLIPS_AT_ONCE) for each in inputs), strict=True)
        with torch.no_grad():
            return torch.cat([self._counted(self.respond(*block)) for block in blocks])

    def activation(self, units: Tensor, inputs: Inputs) -> Tensor:
        """Return the activation of one unit by each clip, (clips,): of ``units[i]`` by clip i."""
        if self.respond_each is not None:
            return self._counted(self.respond_each(units, *inputs))
        response = self.respond(*inputs)
        return self._counted(response[torch.arange(len(units), device=units.device), units])

    def _counted(self, response: Tensor) -> Tensor:
        """Return what counts of responses: (..., bins, frames) without the last two."""
        if self.positions is None:
            return response
        if self.position is None:
            return response.mean(dim=(-2, -1))
        bins, frames = response.shape[-2:]
        bin_, frame = (bins // 2, frames // 2) if self.position == "centre" else self.position
        return response[..., bin_, frame]

    def drawn_units(self, count: int, seed: int) -> tuple[int, ...]:
        """Draw ``count`` different units, in rising order (the paper draws four).

        Raises:
            ConfigError: There are not so many.
        """
        if not 1 <= count <= self.units:
            raise ConfigError(
                f"units is {count}, but {self.name} has {self.units}: ask for 1 to {self.units}."
            )
        generator = torch.Generator().manual_seed(seed)
        return tuple(sorted(torch.randperm(self.units, generator=generator)[:count].tolist()))

    def checked_units(self, units: Sequence[int]) -> tuple[int, ...]:
        """Return units that were asked for by number, each once.

        Raises:
            ConfigError: There is no such unit.
        """
        for unit in units:
            if not 0 <= unit < self.units:
                raise ConfigError(
                    f"There is no unit {unit} in {self.name}: its units are 0 to {self.units - 1}."
                )
        return tuple(dict.fromkeys(units))


def check_slope(slope: float) -> None:
    """Refuse what is no slope of a leaky ReLU.

    Raises:
        ConfigError: It is below 0, or not below 1.
    """
    if not 0.0 <= slope < 1.0:
        raise ConfigError(f"The leaky slope is {slope}: use at least 0 and below 1.")


def selected_layers(
    layers: Sequence[Layer], names: Sequence[str] | None, part: Part | None = None
) -> tuple[Layer, ...]:
    """Return the layers of those names, of one part or of all, in the order of the network.

    Args:
        layers: Those there are.
        names: Names such as ``conv1``; None chooses all convolutions and ``fc1``.
        part: Only layers that see this.

    Raises:
        ConfigError: There is no such layer; the message lists those there are.
    """
    of_part = [layer for layer in layers if part in (None, layer.part)]
    known = list(dict.fromkeys(layer.name for layer in of_part))
    if not known:
        there = ", ".join(dict.fromkeys(layer.part for layer in layers))
        raise ConfigError(f"This network has no layer that sees a {part}: choose {there}.")
    if names is None:
        names = [name for name in known if name.startswith("conv") or name == "fc1"]
    for name in names:
        if name not in known:
            raise ConfigError(f"There is no layer {name!r}: the layers are {', '.join(known)}.")
    return tuple(layer for layer in of_part if layer.name in names)


def check_alike(chosen: Sequence[Sequence[Layer]]) -> None:
    """Refuse checkpoints that cannot stand side by side, since their layers differ.

    Raises:
        ConfigError: They differ in layers or numbers of units.
    """
    listed = [
        ", ".join(f"{layer.part} {layer.name} ({layer.units} units)" for layer in layers)
        for layers in chosen
    ]
    if len(set(listed)) > 1:
        raise ConfigError(
            f"The checkpoints have different layers: {'; and '.join(listed)}. Choose layers and "
            "a part that both have, or visualize each by itself."
        )
