"""The layers of a network whose units can be looked at, by name: conv1, conv2, ..., fc1, ...

They are found by sending noise through: what works on it is noted.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional
from torch.nn.modules.module import register_module_forward_hook

from vocalsketch.domain import SIDES, Side
from vocalsketch.errors import ConfigError
from vocalsketch.features.front_end import FrontEnd

Part = Literal["imitation", "recording", "pair"]
PARTS: tuple[Part, ...] = ("imitation", "recording", "pair")
Position = tuple[int, int] | Literal["centre"] | None
CLIPS_AT_ONCE = 32
PROBES = 2  # clips of noise that are sent through once, to see which layers there are
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.InstanceNorm2d, nn.GroupNorm, nn.LayerNorm)
Inputs = tuple[Tensor, ...]
Network = Any  # a module with front_ends and embed of a side, or of both and then with score


@dataclass(frozen=True, eq=False)
class Layer:
    """One layer of a network."""

    name: str  # ``conv1`` is the first convolution, ``fc1`` the first fully connected layer
    part: Part  # what it sees: a pair is an imitation and a recording
    units: int  # channels of a convolution, neurons of a fully connected layer
    positions: tuple[int, int] | None  # (bins, frames) of a channel; None if fully connected
    front_ends: tuple[FrontEnd, ...]  # of what it sees: one of a tower, two of a pair
    # maps features (clips, bins, frames) of each to responses (clips, units) or (clips, units,
    # bins, frames), after the activation function and before any pooling
    respond: Callable[..., Tensor]
    # maps units (clips,) and features to the response of one unit to each clip, where that can be
    # had without asking all units
    respond_each: Callable[..., Tensor] | None = None
    position: Position = None  # that counts as a unit's activation; None is a channel's mean

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

    def chosen_units(
        self, count: int, seed: int, only: Sequence[int] | None = None
    ) -> tuple[int, ...]:
        """Return units asked for by number, each once, or ``count`` drawn in rising order.

        Raises:
            ConfigError: There is no such unit, or there are not so many.
        """
        if only is not None:
            for unit in only:
                if not 0 <= unit < self.units:
                    there = f"its units are 0 to {self.units - 1}"
                    raise ConfigError(f"There is no unit {unit} in {self.name}: {there}.")
            return tuple(dict.fromkeys(only))
        if not 1 <= count <= self.units:
            raise ConfigError(
                f"units is {count}, but {self.name} has {self.units}: ask for 1 to {self.units}."
            )
        generator = torch.Generator().manual_seed(seed)
        return tuple(sorted(torch.randperm(self.units, generator=generator)[:count].tolist()))


def layers_of(network: Network) -> tuple[Layer, ...]:
    """Return the layers of each side, then the hidden layers that see a pair (paper, figure 9).

    A layer is a convolution or a fully connected layer, with the normalisation and the activation
    function that follow. Of two sides whose layers are the same modules one is listed. A fully
    connected layer that no activation follows on its side counts where scoring has no hidden
    layers; else these complete it.
    """
    pairs = _found(network, "pair")[1] if set(network.front_ends) == set(SIDES) else []
    found = [_found(network, side, linear_ends=not pairs) for side in network.front_ends]
    if len(found) > 1 and found[0][0] == found[1][0]:
        del found[1]
    return (*(layer for _, layers in found for layer in layers), *pairs)


def with_leaky_units(network: nn.Module, slope: float) -> nn.Module:
    """Return a copy of a network whose ReLU modules are leaky; the network stays as it is.

    A ReLU that is off passes no gradient, and ascent would stop where it begins.
    """
    changed = copy.deepcopy(network).eval().requires_grad_(False)
    for module in list(changed.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU):
                setattr(module, name, nn.LeakyReLU(slope))
    return changed


class _Call(NamedTuple):
    """A module without children at work."""

    module: nn.Module
    given: Tensor
    made: Tensor


class _ReachedError(Exception):
    """The call that was asked for is over: what comes after it is not needed."""


def _calls(network: Network, part: Part, inputs: Inputs, last: int | None = None) -> list[_Call]:
    """Return the calls of modules as a side is embedded or pairs are scored, up to one of them."""
    calls: list[_Call] = []

    def note(module: nn.Module, given: tuple[object, ...], made: object) -> None:
        if any(module.children()) or not (given and isinstance(given[0], Tensor)):
            return
        if isinstance(made, Tensor):  # a recurrent layer, say, makes several
            calls.append(_Call(module, given[0], made))
            if len(calls) - 1 == last:
                raise _ReachedError

    if part == "pair":
        both = zip(SIDES, inputs, strict=True)
        compute = partial(network.score, *(network.embed(side, each) for side, each in both))
    else:
        compute = partial(network.embed, part, *inputs)
    with register_module_forward_hook(note), suppress(_ReachedError):
        compute()
    return calls


def _is_activation(module: nn.Module) -> bool:
    return type(module).__module__ == "torch.nn.modules.activation"


def _found(
    network: Network, part: Part, *, linear_ends: bool = False
) -> tuple[list[nn.Module], list[Layer]]:
    """Return the modules that a part's layers are made of, and the layers."""
    sides = SIDES if part == "pair" else (part,)
    probes = tuple(_probe(network, side) for side in sides)
    with torch.no_grad():
        calls = _calls(network, part, probes)
    modules: list[nn.Module] = []
    layers: list[Layer] = []
    for first, last in _chains(calls, part):
        chain = calls[first : last + 1]
        convolves = isinstance(chain[0].module, CONVOLUTIONS)
        shown = _by_unit(chain[-1].made, PROBES, part, convolves)
        if shown is None or not (convolves or linear_ends or _is_activation(chain[-1].module)):
            continue
        kind = "conv" if convolves else "fc"
        layer = Layer(
            f"{kind}{1 + sum(layer.name.startswith(kind) for layer in layers)}",
            part,
            shown.shape[1],
            (shown.shape[2], shown.shape[3]) if shown.ndim == 4 else None,
            tuple(network.front_ends[side] for side in sides),
            partial(_respond, network, part, last, convolves),
            _single_channel(chain, probes[0]),
        )
        layers.append(layer)
        modules += [call.module for call in chain]
    return modules, layers


def _probe(network: Network, side: Side) -> Tensor:
    device = next((each.device for each in network.parameters()), torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    return torch.randn(PROBES, *network.front_ends[side].shape, generator=generator).to(device)


def _chains(calls: Sequence[_Call], part: Part) -> Iterator[tuple[int, int]]:
    """Yield where each layer begins, and where its last norm or activation function ends.

    What scores pairs may add up before its activation function, which alone is a module then.
    """
    for first, call in enumerate(calls):
        if part == "pair" and _is_activation(call.module):
            yield first, first
        if part == "pair" or not isinstance(call.module, (*CONVOLUTIONS, nn.Linear)):
            continue
        last = first
        while last + 1 < len(calls) and calls[last + 1].given is calls[last].made:
            following = calls[last + 1].module
            if not (isinstance(following, NORMS) or _is_activation(following)):
                break
            last += 1
        yield first, last


def _respond(network: Network, part: Part, last: int, convolves: bool, *inputs: Tensor) -> Tensor:
    made = _calls(network, part, inputs, last)[-1].made
    response = _by_unit(made, len(inputs[0]), part, convolves)
    assert response is not None
    return response


def _by_unit(made: Tensor, clips: int, part: Part, convolves: bool) -> Tensor | None:
    """Return a response as (clips, units) or (clips, units, bins, frames); None if it is neither.

    Of all pairs the true ones count. What is fully connected may answer several times for a clip,
    once for each of its patches.
    """
    if part == "pair":
        whole = made.ndim >= 2 and made.shape[:-1].numel() == clips * clips
        return made.reshape(clips, clips, -1).diagonal().T if whole else None
    if len(made) != clips:
        return None
    if convolves:
        return made if made.ndim == 4 else made.unsqueeze(2) if made.ndim == 3 else None
    if made.ndim == 3:
        return made.movedim(2, 1).unsqueeze(2)
    return made if made.ndim == 2 else None


def _single_channel(chain: Sequence[_Call], probe: Tensor) -> Callable[..., Tensor] | None:
    """Return how one unit of a first convolution answers each clip; None for other layers."""
    conv, *rest = (call.module for call in chain)
    fed = chain[0].given
    if not isinstance(conv, nn.Conv2d) or conv.padding_mode != "zeros":
        return None
    first = fed.shape == (PROBES, 1, *probe.shape[1:]) and torch.equal(fed[:, 0], probe)
    apart = all(  # what one channel answers depends on no other
        each.track_running_stats
        if isinstance(each, nn.BatchNorm2d)
        else not list(each.parameters())
        for each in rest
    )
    return partial(_first_response, conv, rest) if first and apart else None


def _first_response(
    conv: nn.Conv2d, rest: Sequence[nn.Module], units: Tensor, features: Tensor
) -> Tensor:
    """Return responses of a layer of one channel: the clips are channels, each under a kernel."""
    bias, count = None if conv.bias is None else conv.bias[units], len(units)
    made = functional.conv2d(
        features[None], conv.weight[units], bias, conv.stride, conv.padding, conv.dilation, count
    )
    for module in rest:
        own = {name: each[units] for name, each in module.state_dict().items() if each.ndim}
        made = functional_call(module, own, (made,))
    return made[0]
