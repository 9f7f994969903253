"""Activation maximisation: gradient ascent on the input (paper, section VII; Erhan et al. 2009)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

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


class Ascent:
    """The ascent of several units; its arguments are those of ``ascend``.

    Attributes:
        patterns: For each input (units, bins, frames): those of the best objective.
        activations: What the units answered to them, (units,), leaky.
        curves: For each unit the activation at each of its steps.
    """

    def __init__(
        self,
        activation: Activation,
        starts: Inputs,
        scales: Tensor,
        settings: AscentSettings,
        generator: torch.Generator,
    ) -> None:
        self._activation, self._scales, self._settings = activation, scales, settings
        self._generator = generator
        self._inputs = tuple(within_reach(start.detach()) for start in starts)
        self.patterns = tuple(each.clone() for each in self._inputs)
        lowest = torch.full_like(scales, -torch.inf)
        self._objective = lowest  # (units,), of the best
        self._reference = lowest.clone()  # (units,), what the next must beat by a thousandth
        self.activations = lowest.clone()
        self._sizes = torch.full_like(scales, settings.step_size)
        self._idle = torch.zeros_like(scales, dtype=torch.long)  # steps since the reference rose
        self._halved = self._idle.clone()
        self.curves: list[list[float]] = [[] for _ in scales]

    @property
    def converged(self) -> Tensor:
        """Which units did, (units,) booleans; the others met the limit of steps."""
        return self._halved > self._settings.halvings

    def step(self, rows: Tensor) -> None:
        """Move the inputs of some units along their gradients, by their sizes times root of values.

        Raises:
            ConfigError: There is no gradient.
        """
        values, objective, gradients = self._gradients(rows)
        self._note(rows, values, objective)
        for current, gradient in zip(self._inputs, gradients, strict=True):
            length = gradient.square().mean(dim=(1, 2), keepdim=True).sqrt()
            direction = gradient / length.clamp(min=torch.finfo(gradient.dtype).tiny)
            current[rows] = within_reach(current[rows] + self._sizes[rows, None, None] * direction)

    def _gradients(self, rows: Tensor) -> tuple[Tensor, Tensor, Inputs]:
        """Return activations (rows,), objectives (rows,), and its gradient for each input."""
        settings, scales = self._settings, self._scales[rows]
        inputs = tuple(each[rows].requires_grad_() for each in self._inputs)
        moved = tuple(jittered(each, settings.jitter, self._generator) for each in inputs)
        values = self._activation(moved, rows)
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
        least = 1e-3 * torch.maximum(reference.abs(), self._scales[rows])
        rose = torch.isinf(reference) | (objective > reference + least)
        self._reference[rows[rose]] = objective[rose]
        self._idle[rows] = torch.where(rose, 0, self._idle[rows] + 1)
        stuck = rows[self._idle[rows] >= self._settings.patience]
        self._sizes[stuck] /= 2
        self._halved[stuck] += 1
        self._idle[stuck] = 0
        for best, current in zip(self.patterns, self._inputs, strict=True):
            best[improved] = current[improved]
            current[stuck] = best[stuck]


def ascend(
    activation: Activation,
    starts: Inputs,
    scales: Tensor,
    settings: AscentSettings,
    generator: torch.Generator,
    progress: str | None = None,
) -> Ascent:
    """Climb from ``starts`` to inputs that activate units most, all units as one batch.

    Every input stays what a front end can give: of zero mean, and of unit variance at most (0 is
    silence). Without that bound a unit with leaky activations could be raised for ever, and its
    activation could not be compared with that of a clip. A step goes along the gradient of each
    input, has the same length whatever the layer, and ends back within the bound.

    Args:
        activation: Maps the inputs of some units, and which units (rows of ``starts``) these are,
            to their activations (rows,).
        starts: One tensor (units, bins, frames) for a tower, two for a pair.
        scales: (units,), the deviation of each unit's activation over noise: what the weights of
            the regularisation are counted in.
        settings: Steps, convergence and regularisation.
        generator: For the jitter.
        progress: Name on a progress bar; None shows none.

    Returns:
        Where it ended; the units that converge leave the batch early.
    """
    ascent = Ascent(activation, starts, scales, settings, generator)
    for _ in tqdm(range(settings.steps), progress, unit="step", disable=progress is None):
        rows = (~ascent.converged).nonzero().squeeze(1)
        if not len(rows):
            break
        ascent.step(rows)
    return ascent


def within_reach(spectrograms: Tensor) -> Tensor:
    """Return the nearest spectrograms (clips, bins, frames) of zero mean and variance up to 1."""
    centred = spectrograms - spectrograms.mean(dim=(1, 2), keepdim=True)
    # the mean of values far from zero is itself rounded; what is left of it is small, and exact
    centred = centred - centred.mean(dim=(1, 2), keepdim=True)
    deviation = centred.square().mean(dim=(1, 2), keepdim=True).sqrt()
    return centred / deviation.clamp(min=1.0)


def noise_inputs(shapes: Sequence[tuple[int, int]], seeds: Sequence[int]) -> Inputs:
    """Return Gaussian noise, one row per seed, standardised: as far from silence as any clip.

    A row depends on its own seed only, so that a unit's pattern does not depend on which others
    are asked for.

    Args:
        shapes: (bins, frames) of each input.
        seeds: One for each row.

    Returns:
        For each shape (rows, bins, frames).
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
    """Return the mean step between neighbours in frequency plus that between those in time.

    Args:
        pattern: (patterns, bins, frames).

    Returns:
        (patterns,), not negative; 0 for a constant pattern.
    """
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
