"""The layers of a network whose units can be looked at, by name: conv1, conv2, ..., fc1, ..."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from vocalsketch.errors import ConfigError
from vocalsketch.models import Tower
from vocalsketch.models.classifier import Classifier
from vocalsketch.models.tower import ConvBlock
from vocalsketch.systems.siamese import Siamese

Part = Literal["imitation", "recording", "pair"]
PARTS: tuple[Part, ...] = ("imitation", "recording", "pair")
LEAKY_SLOPE = 0.3  # for negative inputs (paper, section VII)


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer of a network.

    Attributes:
        name: ``conv1`` is the first convolution, ``fc1`` the first fully connected layer.
        part: What it sees: an ``imitation``, a ``recording``, or a ``pair`` of them.
        units: Channels of a convolution, neurons of a fully connected layer.
        positions: (bins, frames) of a channel; None for a fully connected layer.
        respond: Maps spectrograms (clips, bins, frames), one argument for a tower and two for a
            pair, to activations (clips, units) or (clips, units, bins, frames): after the
            activation function, before any pooling.
        respond_each: Maps units (clips,) and spectrograms to what ``answer`` returns, where that
            can be had without asking all units.
    """

    name: str
    part: Part
    units: int
    positions: tuple[int, int] | None
    respond: Callable[..., Tensor]
    respond_each: Callable[..., Tensor] | None = None

    def answer(self, units: Tensor, inputs: Sequence[Tensor]) -> Tensor:
        """Return the response of one unit to each clip, (clips,) or (clips, bins, frames).

        Args:
            units: Of each clip the unit that answers it, (clips,) integers.
            inputs: As ``respond`` takes.
        """
        if self.respond_each is not None:
            return self.respond_each(units, *inputs)
        response = self.respond(*inputs)
        return response[torch.arange(len(units), device=units.device), units]


def siamese_layers(network: Siamese) -> tuple[Layer, ...]:
    """Return the layers of both towers and of the head; of a tied network one tower's."""
    layers = tower_layers(network.imitation_tower, "imitation")
    if network.recording_tower is not network.imitation_tower:
        layers += tower_layers(network.recording_tower, "recording")
    return layers + _head_layers(network)


def tower_layers(tower: Tower, part: Part) -> tuple[Layer, ...]:
    """Return the convolutions of a tower."""
    sizes = _positions(tower)
    return tuple(
        Layer(
            f"conv{number}",
            part,
            stage.conv.out_channels,
            size,
            partial(_stage_response, tower, number),
            partial(_first_stage_response_of, stage) if number == 1 else None,
        )
        for number, (stage, size) in enumerate(zip(_stages(tower), sizes, strict=True), start=1)
    )


def classifier_layers(network: Classifier, part: Part) -> tuple[Layer, ...]:
    """Return the layers of a tower and of the hidden layers that a classifier puts on it."""

    def respond(end: int, spectrograms: Tensor) -> Tensor:
        response: Tensor = network.head[:end](network.tower(spectrograms))
        return response

    widths = [layer.out_features for layer in network.head if isinstance(layer, nn.Linear)]
    return tower_layers(network.tower, part) + tuple(
        Layer(f"fc{number}", part, units, None, partial(respond, place + 1))
        for number, (units, place) in enumerate(
            zip(widths, _rectifiers(network.head), strict=False), start=1
        )
    )


def with_leaky_units(network: nn.Module, slope: float = LEAKY_SLOPE) -> nn.Module:
    """Return a copy of a network whose ReLUs are leaky; the network itself stays as it is.

    A ReLU that is off passes no gradient, and ascent would stop where it begins.

    Args:
        network: Any network whose ReLUs are modules.
        slope: For negative inputs, at least 0 and below 1; 0 leaves the ReLUs.

    Raises:
        ConfigError: ``slope`` is out of range.
    """
    check_slope(slope)
    changed = copy.deepcopy(network).eval().requires_grad_(False)
    for module in list(changed.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU):
                setattr(module, name, nn.LeakyReLU(slope))
    return changed


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


def _stages(tower: Tower) -> list[ConvBlock]:
    return [stage for stage in tower.stages if isinstance(stage, ConvBlock)]


def _stage_response(tower: Tower, number: int, spectrograms: Tensor) -> Tensor:
    *before, stage = _stages(tower)[:number]
    outputs = spectrograms.unsqueeze(1)
    for earlier in before:
        outputs = earlier(outputs)
    outputs = stage.conv(outputs)
    if stage.norm is not None:
        outputs = stage.norm(outputs)
    response: Tensor = stage.activation(outputs)
    return response


def _first_stage_response_of(stage: ConvBlock, units: Tensor, spectrograms: Tensor) -> Tensor:
    """Return the response of one unit of a first stage to each clip, (clips, bins, frames).

    The stage sees one channel, so the clips can be its channels, each under its own kernel.
    """
    kernels, biases = stage.conv.weight[units], stage.conv.bias
    assert biases is not None
    outputs = functional.conv2d(spectrograms[None], kernels, biases[units], groups=len(units))
    if stage.norm is not None:
        outputs = _normalised(stage.norm, units, outputs)
    response: Tensor = stage.activation(outputs)[0]
    return response


def _normalised(norm: nn.BatchNorm2d, units: Tensor, outputs: Tensor) -> Tensor:
    """Normalise each channel of (1, clips, bins, frames) as the unit's that it comes from."""
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None
    assert variance is not None
    return functional.batch_norm(
        outputs, mean[units], variance[units], norm.weight[units], norm.bias[units], eps=norm.eps
    )


def _positions(tower: Tower) -> list[tuple[int, int]]:
    """Return (bins, frames) of each stage's channels, before pooling."""
    size = tower.input_shape
    positions = []
    for stage in _stages(tower):
        kernel = stage.conv.kernel_size
        size = size[0] - kernel[0] + 1, size[1] - kernel[1] + 1
        positions.append(size)
        if stage.pool is not None:
            pool = stage.pool.kernel_size
            assert isinstance(pool, tuple)
            size = size[0] // pool[0], size[1] // pool[1]
    return positions


def _head_layers(network: Siamese) -> tuple[Layer, ...]:
    """Return the hidden layers of the head, which see a pair (paper, figure 9)."""
    head = network.head

    def respond(end: int, imitations: Tensor, recordings: Tensor) -> Tensor:
        shares = network.embed("imitation", imitations) + network.embed("recording", recordings)
        response: Tensor = head.rest[:end](shares)
        return response

    widths = network.geometry.hidden
    return tuple(
        Layer(f"fc{number}", "pair", units, None, partial(respond, place + 1))
        for number, (units, place) in enumerate(
            zip(widths, _rectifiers(head.rest), strict=True), start=1
        )
    )


def _rectifiers(layers: nn.Sequential) -> list[int]:
    """Return where hidden layers end: at a ReLU or what took its place."""
    return [
        place for place, layer in enumerate(layers) if isinstance(layer, nn.ReLU | nn.LeakyReLU)
    ]
