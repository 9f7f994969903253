"""Finds the layers of a network: noise is sent through, and what works on it is noted."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from vocalsketch.domain import SIDES, Side
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.interpret.layers import LEAKY_SLOPE, Layer, check_slope

PROBES = 2  # clips of noise that are sent through once, to see which layers there are
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.InstanceNorm2d, nn.GroupNorm, nn.LayerNorm)


class Network(Protocol):
    """What has layers: a system, or a tower of one side alone."""

    front_ends: Mapping[Side, FrontEnd]  # of the sides that it embeds

    def embed(self, side: Side, features: Tensor) -> Tensor:
        """Map features (clips, bins, frames) to embeddings (clips, width)."""

    def score(self, imitations: Tensor, recordings: Tensor) -> Tensor:
        """Map embeddings to scores (queries, candidates); of a system with both sides alone."""


def layers_of(network: Network) -> tuple[Layer, ...]:
    """Return the layers of each side, then the hidden layers that see a pair (paper, figure 9).

    They are found by sending noise through: a convolution or a fully connected layer, with the
    normalisation and the activation function that follow. Of two sides whose layers are the
    same modules one is listed. A fully connected layer that no activation follows on its side
    counts where scoring has no hidden layers; else these complete it.
    """
    pairs = _pair_layers(network) if set(network.front_ends) == set(SIDES) else ()
    found: list[Layer] = []
    seen: list[list[nn.Module]] = []
    for side in network.front_ends:
        modules, layers = _side_layers(network, side, linear_ends=not pairs)
        if modules not in seen:
            seen.append(modules)
            found += layers
    return (*found, *pairs)


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


@dataclass(frozen=True, eq=False)
class _Call:
    """A module without children at work: what it was given and what it made of it."""

    module: nn.Module
    given: Tensor
    made: Tensor


class _ReachedError(Exception):
    """The call that was asked for is over: what comes after it is not needed."""


@dataclass
class _Trace:
    """The calls of a network's modules, in order, up to one of them."""

    last: int | None = None
    calls: list[_Call] = field(default_factory=list)

    @contextmanager
    def of(self, network: Network) -> Iterator[None]:
        """Record the block's calls, and leave the block after the last one."""
        assert isinstance(network, nn.Module)
        handles = [
            module.register_forward_hook(self._note)
            for module in network.modules()
            if not any(module.children())
        ]
        try:
            yield
        except _ReachedError:
            pass
        finally:
            for handle in handles:
                handle.remove()

    def _note(self, module: nn.Module, given: tuple[object, ...], made: object) -> None:
        if not (isinstance(made, Tensor) and given and isinstance(given[0], Tensor)):
            return  # a recurrent layer, say, whose outputs are several
        self.calls.append(_Call(module, given[0], made))
        if len(self.calls) - 1 == self.last:
            raise _ReachedError


def _is_activation(module: nn.Module) -> bool:
    return type(module).__module__ == "torch.nn.modules.activation"


def _side_layers(
    network: Network, side: Side, *, linear_ends: bool
) -> tuple[list[nn.Module], list[Layer]]:
    """Return one side's layers, and the modules that they are made of."""
    probe = _probe(network, side)
    with torch.no_grad(), (trace := _Trace()).of(network):
        network.embed(side, probe)
    modules: list[nn.Module] = []
    layers: list[Layer] = []
    for first, last in _chains(trace.calls):
        chain = trace.calls[first : last + 1]
        convolves = isinstance(chain[0].module, CONVOLUTIONS)
        if not (convolves or linear_ends or _is_activation(chain[-1].module)):
            continue
        shown = _by_unit(chain[-1].made, PROBES, channels=convolves)
        if shown is None:
            continue
        kind = "conv" if convolves else "fc"
        number = 1 + sum(layer.name.startswith(kind) for layer in layers)
        respond = partial(_side_response, network, side, last, convolves)
        positions = (shown.shape[2], shown.shape[3]) if shown.ndim == 4 else None
        single = _single_channel(chain, probe)
        layers.append(Layer(f"{kind}{number}", side, shown.shape[1], positions, respond, single))
        modules += [call.module for call in chain]
    return modules, layers


def _pair_layers(network: Network) -> tuple[Layer, ...]:
    """Return the hidden layers of scoring: where each activation function ends."""
    with torch.no_grad():
        embedded = [network.embed(side, _probe(network, side)) for side in SIDES]
        with (trace := _Trace()).of(network):
            network.score(*embedded)
    layers: list[Layer] = []
    for number, call in enumerate(trace.calls):
        shown = _of_pairs(call.made, PROBES) if _is_activation(call.module) else None
        if shown is not None:
            name, respond = f"fc{len(layers) + 1}", partial(_pair_response, network, number)
            layers.append(Layer(name, "pair", shown.shape[1], None, respond))
    return tuple(layers)


def _probe(network: Network, side: Side) -> Tensor:
    assert isinstance(network, nn.Module)
    device = next((each.device for each in network.parameters()), torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)
    return torch.randn(PROBES, *network.front_ends[side].shape, generator=generator).to(device)


def _chains(calls: Sequence[_Call]) -> Iterator[tuple[int, int]]:
    """Yield where each layer begins, and where its last norm or activation function ends."""
    for first, call in enumerate(calls):
        if not isinstance(call.module, (*CONVOLUTIONS, nn.Linear)):
            continue
        last = first
        while last + 1 < len(calls) and calls[last + 1].given is calls[last].made:
            following = calls[last + 1].module
            if not (isinstance(following, NORMS) or _is_activation(following)):
                break
            last += 1
        yield first, last


def _by_unit(made: Tensor, clips: int, *, channels: bool) -> Tensor | None:
    """Return a response as (clips, units) or (clips, units, bins, frames); None if it is neither.

    What is fully connected may answer several times for a clip, once for each of its patches.
    """
    if made.ndim < 2 or len(made) != clips:
        return None
    if channels:
        return made if made.ndim == 4 else made.unsqueeze(2) if made.ndim == 3 else None
    if made.ndim == 3:
        return made.movedim(2, 1).unsqueeze(2)
    return made if made.ndim == 2 else None


def _of_pairs(made: Tensor, clips: int) -> Tensor | None:
    """Return the response (clips, units) to true pairs among all (clips x clips)."""
    if made.ndim < 2 or made.shape[:-1].numel() != clips * clips:
        return None
    return made.reshape(clips, clips, -1).diagonal().T


def _side_response(
    network: Network, side: Side, last: int, channels: bool, features: Tensor
) -> Tensor:
    with (trace := _Trace(last)).of(network):
        network.embed(side, features)
    response = _by_unit(trace.calls[last].made, len(features), channels=channels)
    assert response is not None
    return response


def _pair_response(network: Network, last: int, imitations: Tensor, recordings: Tensor) -> Tensor:
    embedded = network.embed("imitation", imitations), network.embed("recording", recordings)
    with (trace := _Trace(last)).of(network):
        network.score(*embedded)
    response = _of_pairs(trace.calls[last].made, len(imitations))
    assert response is not None
    return response


def _single_channel(chain: Sequence[_Call], probe: Tensor) -> Callable[..., Tensor] | None:
    """Return how one unit of a first convolution answers each clip; None for other layers.

    It sees one channel, so the clips can be its channels, each under its own kernel.
    """
    conv, *rest = (call.module for call in chain)
    if not isinstance(conv, nn.Conv2d) or conv.bias is None or conv.padding_mode != "zeros":
        return None
    fed = chain[0].given
    if fed.shape != (PROBES, 1, *probe.shape[1:]) or not torch.equal(fed[:, 0], probe):
        return None
    plain = (
        each.track_running_stats
        if isinstance(each, nn.BatchNorm2d)
        else not list(each.parameters())
        for each in rest
    )
    return partial(_first_response, conv, rest) if all(plain) else None


def _first_response(
    conv: nn.Conv2d, rest: Sequence[nn.Module], units: Tensor, features: Tensor
) -> Tensor:
    assert conv.bias is not None
    outputs = functional.conv2d(
        features[None],
        conv.weight[units],
        conv.bias[units],
        conv.stride,
        conv.padding,
        conv.dilation,
        groups=len(units),
    )
    for module in rest:
        own = {name: each[units] for name, each in module.state_dict().items() if each.ndim}
        outputs = functional_call(module, own, (outputs,))
    return outputs[0]
