"""Activation maximisation: gradient ascent on the input (paper, section VII; Erhan et al. 2009)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from tqdm import tqdm

from vocalsketch.errors import ConfigError

Inputs = tuple[Tensor, ...]
Activation = Callable[[Inputs, Tensor], Tensor]


@dataclass(frozen=True)
class AscentSettings:
    """How the ascent goes.

    Attributes:
        steps: At most so many.
        step_size: Length of the first steps, as a part of the length of the longest input.
        patience: After so many steps that did not raise the best objective by a thousandth of
            itself (or of the unit's deviation over noise, where that is more), a unit's steps are
            halved.
        halvings: A unit has converged when its steps would be halved once more than so often.
        l2: Weight of the patterns' mean square, in deviations of the unit over noise.
        total_variation: Weight of the mean step between neighbours, likewise.
        jitter: Bins and frames by which the pattern is moved at random at each step.

    Raises:
        ConfigError: A value is out of range.
    """

    steps: int = 1000
    step_size: float = 1.0
    patience: int = 20
    halvings: int = 6
    l2: float = 0.0
    total_variation: float = 0.0
    jitter: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "step_size", "patience"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"{name} is {getattr(self, name)}: it must be above 0.")
        for name in ("halvings", "l2", "total_variation", "jitter"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"{name} is {getattr(self, name)}: it must be at least 0.")

    def describe(self) -> str:
        """Say in words when a unit counts as converged."""
        return (
            f"its best objective has not risen by 0.1 % over {self.patience} steps, for each of "
            f"{self.halvings + 1} step sizes from {self.step_size:g} of the input's length down, "
            "each half of the one before"
        )


@dataclass(frozen=True, eq=False)
class Ascent:
    """Where the ascent of several units ended.

    Attributes:
        patterns: For each input the patterns (units, bins, frames): those of the best objective.
        activations: What the units answered to them, (units,), leaky.
        curves: For each unit the activation at each of its steps.
        converged: (units,) booleans; the others met the limit of steps.
    """

    patterns: Inputs
    activations: Tensor
    curves: list[list[float]]
    converged: Tensor


@dataclass(eq=False)
class _Climb:
    """The state of an ascent."""

    inputs: Inputs
    best: Inputs
    objective: Tensor  # (units,), of the best
    reference: Tensor  # (units,), the objective that the next must beat by a thousandth
    activations: Tensor  # (units,), at the best
    sizes: Tensor  # (units,)
    idle: Tensor  # (units,), steps since the reference rose
    halved: Tensor  # (units,)
    curves: list[list[float]] = field(default_factory=list)


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
        The patterns; the units that converge leave the batch early.
    """
    climb = _begin(starts, settings)
    climbing = torch.ones(len(scales), dtype=torch.bool, device=scales.device)
    for _ in tqdm(range(settings.steps), progress, unit="step", disable=progress is None):
        rows = climbing.nonzero().squeeze(1)
        values, objective, gradients = _gradients(
            activation, climb, rows, scales, settings, generator
        )
        _note(climb, rows, values, objective, scales, settings)
        climbing = climb.halved <= settings.halvings
        if not climbing.any():
            break
        _step(climb, rows, gradients)
    return Ascent(climb.best, climb.activations, climb.curves, ~climbing)


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


def _begin(starts: Inputs, settings: AscentSettings) -> _Climb:
    inputs = tuple(within_reach(start.detach()) for start in starts)
    units, device = len(inputs[0]), inputs[0].device
    lowest = torch.full((units,), -torch.inf, device=device)
    none = torch.zeros(units, dtype=torch.long, device=device)
    return _Climb(
        inputs,
        tuple(each.clone() for each in inputs),
        lowest,
        lowest.clone(),
        lowest.clone(),
        torch.full((units,), settings.step_size, device=device),
        none,
        none.clone(),
        [[] for _ in range(units)],
    )


def _gradients(
    activation: Activation,
    climb: _Climb,
    rows: Tensor,
    scales: Tensor,
    settings: AscentSettings,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor, Inputs]:
    """Return activations (rows,), objectives (rows,), and its gradient for each input."""
    inputs = tuple(each[rows].requires_grad_() for each in climb.inputs)
    moved = tuple(jittered(each, settings.jitter, generator) for each in inputs)
    values = activation(moved, rows)
    objective = values
    for each in inputs:
        if settings.l2:
            objective = objective - settings.l2 * scales[rows] * energy(each)
        if settings.total_variation:
            cost = settings.total_variation * scales[rows]
            objective = objective - cost * total_variation(each)
    if not objective.requires_grad:
        raise ConfigError(
            "What this layer answers cannot be traced back to its input, so nothing can climb it: "
            "choose another layer, or a network of which this one is made."
        )
    gradients = torch.autograd.grad(objective.sum(), inputs)
    return values.detach(), objective.detach(), gradients


def _note(
    climb: _Climb,
    rows: Tensor,
    values: Tensor,
    objective: Tensor,
    scales: Tensor,
    settings: AscentSettings,
) -> None:
    """Keep what is best so far; halve the steps of units that no longer rise."""
    for row, value in zip(rows.tolist(), values.tolist(), strict=True):
        climb.curves[row].append(value)
    better = objective > climb.objective[rows]
    improved = rows[better]
    climb.objective[improved] = objective[better]
    climb.activations[improved] = values[better]
    for best, current in zip(climb.best, climb.inputs, strict=True):
        best[improved] = current[improved]
    reference = climb.reference[rows]
    least = 1e-3 * torch.maximum(reference.abs(), scales[rows])
    rose = torch.isinf(reference) | (objective > reference + least)
    climb.reference[rows[rose]] = objective[rose]
    climb.idle[rows] = torch.where(rose, 0, climb.idle[rows] + 1)
    stuck = rows[climb.idle[rows] >= settings.patience]
    climb.sizes[stuck] /= 2
    climb.halved[stuck] += 1
    climb.idle[stuck] = 0
    for best, current in zip(climb.best, climb.inputs, strict=True):
        current[stuck] = best[stuck]


def _step(climb: _Climb, rows: Tensor, gradients: Inputs) -> None:
    """Move each input along its gradient; a step's length is its size times the root of values."""
    for current, gradient in zip(climb.inputs, gradients, strict=True):
        length = gradient.square().mean(dim=(1, 2), keepdim=True).sqrt()
        direction = gradient / length.clamp(min=torch.finfo(gradient.dtype).tiny)
        current[rows] = within_reach(current[rows] + climb.sizes[rows, None, None] * direction)


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
