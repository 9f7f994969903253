"""Activation maximisation: gradient ascent on the input (paper, section VII; Erhan et al. 2009)."""

from collections.abc import Callable, Sequence
from dataclasses import InitVar, dataclass
from typing import Self

import torch
from torch import Tensor
from tqdm import tqdm

from vocalsketch.errors import ConfigError

Inputs = tuple[Tensor, ...]
Activation = Callable[[Inputs, Tensor], Tensor]


@dataclass(frozen=True)
class AscentSettings:
    """How the ascent goes.

    After ``patience`` steps that did not raise the best objective by a thousandth of itself (or of
    the unit's deviation over noise, where that is more), a unit's steps are halved; when they would
    be halved once more than ``halvings``, it has converged.

    Raises:
        ConfigError: A value is out of range.
    """

    steps: int = 1000  # at most
    step_size: float = 1.0  # of the first steps, as a part of the length of the longest input
    patience: int = 20  # steps
    halvings: int = 6
    l2: float = 0.0  # weight of the patterns' mean square, in deviations of the unit over noise
    total_variation: float = 0.0  # weight of the mean step between neighbours, likewise
    jitter: int = 0  # bins and frames by which the pattern is moved at random at each step

    def __post_init__(self) -> None:
        for name in ("steps", "step_size", "patience"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} is {getattr(self, name)}: it must be above 0.")
        for name in ("halvings", "l2", "total_variation", "jitter"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"{name} is {getattr(self, name)}: it must be at least 0.")


@dataclass(eq=False)
class Ascent:
    """The climb from inputs to those that activate units most, all units as one batch.

    Every input stays what a front end can give: of zero mean, and of unit variance at most (0 is
    silence). Without that bound a unit with leaky activations could be raised for ever, and its
    activation could not be compared with that of a clip. A step goes along the gradient of each
    input, has the same length whatever the layer, and ends back within the bound.
    """

    activation: Activation  # maps some units' inputs, and which rows they are, to (rows,)
    starts: InitVar[Inputs]  # (units, bins, frames), one for a tower, two for a pair
    scales: Tensor  # (units,), the deviation over noise: what regularisation is counted in
    settings: AscentSettings
    generator: torch.Generator  # for the jitter

    def __post_init__(self, starts: Inputs) -> None:
        self._inputs = tuple(within_reach(start.detach()) for start in starts)
        # of the best objective, for each input (units, bins, frames)
        self.patterns = tuple(each.clone() for each in self._inputs)
        lowest = torch.full_like(self.scales, -torch.inf)
        self._objective = lowest  # (units,), of the best
        self._reference = lowest.clone()  # (units,), what the next must beat by a thousandth
        self.activations = lowest.clone()  # (units,), leaky, of the patterns
        self._sizes = torch.full_like(self.scales, self.settings.step_size)
        self._idle = torch.zeros_like(self.scales, dtype=torch.long)  # since the reference rose
        self._halved = self._idle.clone()
        self.curves: list[list[float]] = [[] for _ in self.scales]  # activations at each step

    def climb(self, name: str = "ascent") -> Self:
        """Go on until all converged, each unit leaving the batch as it does, or to the limit.

        Raises:
            ConfigError: The activation has no gradient.
        """
        for _ in tqdm(range(self.settings.steps), name, unit="step"):
            rows = (~self.converged).nonzero().squeeze(1)
            if not len(rows):
                break
            self._step(rows)
        return self

    @property
    def converged(self) -> Tensor:
        """Which units did, (units,) booleans; the others met the limit of steps."""
        return self._halved > self.settings.halvings

    def _step(self, rows: Tensor) -> None:
        """Move some units' inputs along their gradients, by their sizes times root of values."""
        values, objective, gradients = self._gradients(rows)
        self._note(rows, values, objective)
        for current, gradient in zip(self._inputs, gradients, strict=True):
            length = gradient.square().mean(dim=(1, 2), keepdim=True).sqrt()
            direction = gradient / length.clamp(min=torch.finfo(gradient.dtype).tiny)
            current[rows] = within_reach(current[rows] + self._sizes[rows, None, None] * direction)

    def _gradients(self, rows: Tensor) -> tuple[Tensor, Tensor, Inputs]:
        """Return activations (rows,), objectives (rows,), and its gradient for each input."""
        settings, scales = self.settings, self.scales[rows]
        inputs = tuple(each[rows].requires_grad_() for each in self._inputs)
        moved = tuple(jittered(each, settings.jitter, self.generator) for each in inputs)
        values = self.activation(moved, rows)
        objective = values
        for each in inputs:
            if settings.l2:
                objective = objective - settings.l2 * scales * energy(each)
            if settings.total_variation:
                objective = objective - settings.total_variation * scales * total_variation(each)
        if not objective.requires_grad:
            raise ConfigError(
                "What this layer answers cannot be traced back to its input, so nothing can climb "
                "it: choose another layer, or a network of which this one is made."
            )
        gradients = torch.autograd.grad(objective.sum(), inputs)
        return values.detach(), objective.detach(), gradients

    def _note(self, rows: Tensor, values: Tensor, objective: Tensor) -> None:
        """Keep what is best so far; halve the steps of units that no longer rise."""
        for row, value in zip(rows.tolist(), values.tolist(), strict=True):
            self.curves[row].append(value)
        better = objective > self._objective[rows]
        improved = rows[better]
        self._objective[improved] = objective[better]
        self.activations[improved] = values[better]
        reference = self._reference[rows]
        least = 1e-3 * torch.maximum(reference.abs(), self.scales[rows])
        rose = torch.isinf(reference) | (objective > reference + least)
        self._reference[rows[rose]] = objective[rose]
        self._idle[rows] = torch.where(rose, 0, self._idle[rows] + 1)
        stuck = rows[self._idle[rows] >= self.settings.patience]
        self._sizes[stuck] /= 2
        self._halved[stuck] += 1
        self._idle[stuck] = 0
        for best, current in zip(self.patterns, self._inputs, strict=True):
            best[improved] = current[improved]
            current[stuck] = best[stuck]


def within_reach(spectrograms: Tensor) -> Tensor:
    """Return the nearest spectrograms (clips, bins, frames) of zero mean and variance up to 1."""
    centred = spectrograms - spectrograms.mean(dim=(1, 2), keepdim=True)
    # the mean of values far from zero is itself rounded; what is left of it is small, and exact
    centred = centred - centred.mean(dim=(1, 2), keepdim=True)
    deviation = centred.square().mean(dim=(1, 2), keepdim=True).sqrt()
    return centred / deviation.clamp(min=1.0)


def noise_inputs(shapes: Sequence[tuple[int, int]], seeds: Sequence[int]) -> Inputs:
    """Return Gaussian noise, standardised: (seeds, bins, frames) for each shape (bins, frames).

    A row depends on its own seed only, so that a unit's pattern does not depend on which others
    are asked for.
    """
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    drawn = [
        torch.stack([torch.randn(shape, generator=generator) for generator in generators])
        for shape in shapes
    ]
    centred = [noise - noise.mean(dim=(1, 2), keepdim=True) for noise in drawn]
    return tuple(noise / noise.square().mean(dim=(1, 2), keepdim=True).sqrt() for noise in centred)


def energy(pattern: Tensor) -> Tensor:
    """Return the mean square (L2) of each pattern (patterns, bins, frames): (patterns,)."""
    return pattern.square().mean(dim=(1, 2))


def total_variation(pattern: Tensor) -> Tensor:
    """Return the mean step of (patterns, bins, frames) in frequency plus that in time, each's."""
    return sum(
        (pattern.diff(dim=axis).abs().mean(dim=(1, 2)) for axis in (1, 2)),
        start=pattern.new_zeros(len(pattern)),
    )


def jittered(pattern: Tensor, reach: int, generator: torch.Generator) -> Tensor:
    """Return patterns (patterns, bins, frames) moved by up to ``reach`` bins and frames.

    One move for all of them, drawn anew at each call; what leaves at an edge enters at the other.
    """
    if reach == 0:
        return pattern
    moves = torch.randint(-reach, reach + 1, (2,), generator=generator).tolist()
    return pattern.roll(shifts=moves, dims=(1, 2))
