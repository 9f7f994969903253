"""Activation maximisation: gradient ascent on the input (paper, section VII; Erhan et al. 2009)."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import InitVar, dataclass, replace
from typing import Self

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from vocalsketch.domain import Side
from vocalsketch.errors import ConfigError
from vocalsketch.features.audio import clip_of
from vocalsketch.interpret.layers import Inputs, Layer
from vocalsketch.interpret.subject import Subject

NOISE_INPUTS = 200
NOISE_SEED = 200_000_000  # far from the seeds of the starts
Activation = Callable[[Inputs, Tensor], Tensor]


@dataclass(frozen=True)
class AscentSettings:
    """How the ascent goes.

    After ``patience`` steps that did not raise the best objective by a thousandth of itself (or of
    the unit's deviation over noise, where that is more), a unit's steps are halved; when they would
    be halved once more than ``halvings``, it has converged.
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
                objective = objective - settings.l2 * scales * each.square().mean(dim=(1, 2))
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
    drawn = (torch.stack([torch.randn(shape, generator=g) for g in generators]) for shape in shapes)
    return tuple(functional.layer_norm(noise, noise.shape[1:], eps=0.0) for noise in drawn)


def total_variation(pattern: Tensor) -> Tensor:
    """Return the mean step of (patterns, bins, frames) in frequency plus that in time, each's."""
    in_frequency, in_time = (pattern.diff(dim=d).abs().mean(dim=(1, 2)) for d in (1, 2))
    return in_frequency + in_time


def jittered(pattern: Tensor, reach: int, generator: torch.Generator) -> Tensor:
    """Return patterns (patterns, bins, frames) moved by up to ``reach`` bins and frames.

    One move for all of them, drawn anew at each call; what leaves at an edge enters at the other.
    """
    if reach == 0:
        return pattern
    moves = torch.randint(-reach, reach + 1, (2,), generator=generator).tolist()
    return pattern.roll(shifts=moves, dims=(1, 2))


@dataclass(frozen=True, eq=False)
class Pattern:
    """The inputs that activate a unit most, as far as ascent found them.

    Activations are the unchanged network's, with its ReLUs, but for ``curve``.
    """

    layer: Layer
    unit: int  # number of the unit
    spectrograms: Inputs  # one (bins, frames) for a tower, two for a pair; standardised values
    activation: float  # of the unit, to the pattern
    noise: Tensor  # of the unit, to 200 inputs of Gaussian noise, (200,)
    clips: Tensor | None  # of the unit, to real clips, (clips,); None where none were given
    curve: list[float]  # leaky activation at each step
    converged: bool  # whether the ascent converged within its limit of steps

    @property
    def dead(self) -> bool:
        """Whether the unit stays at 0 for its pattern, for noise and for every real clip."""
        others = self.noise if self.clips is None else torch.cat([self.noise, self.clips])
        return self.activation <= 0.0 and not bool((others > 0.0).any())

    @property
    def silent_on_clips(self) -> bool:
        """Whether no real clip activates the unit, though something else does."""
        return not self.dead and self.clips is not None and not bool((self.clips > 0.0).any())

    def ratio(self, others: Tensor) -> float:
        """Return the activation over the highest of others; infinite where none is above 0."""
        highest = float(others.max())
        return self.activation / highest if highest > 0.0 else float("inf")


@dataclass(frozen=True, eq=False)
class Portrait:
    """Some units of a layer."""

    subject: Subject  # whose layer it is
    layer: Layer
    patterns: list[Pattern]  # one for each unit
    silent: tuple[int, ...] | None  # units of the layer that no real clip activates; None unknown


def maximise(
    subject: Subject,
    layer: Layer,
    units: Sequence[int],
    *,
    settings: AscentSettings,
    clips: Mapping[Side, Tensor] | None = None,
    seed: int = 0,
) -> Portrait:
    """Find the patterns of some units of a layer, all as one batch.

    Args:
        subject: The network; it is left as it was.
        layer: One of ``subject.layers``; its ``position`` says what is maximised.
        units: Their numbers.
        settings: Of the ascent.
        clips: Standardised spectrograms of real clips for each side, to compare; true pairs.
        seed: Of the random starts; the same seed gives the same patterns.

    Returns:
        A pattern for each unit, on the CPU, and which of all units no clip activates.
    """
    same = (layer.name, layer.part)
    leaky = next(each for each in subject.leaky_layers if (each.name, each.part) == same)
    climbed = replace(leaky, position=layer.position)
    chosen = torch.tensor(units, device=subject.device)

    def noise_of(seeds: Sequence[int]) -> Inputs:
        drawn = noise_inputs([front_end.shape for front_end in layer.front_ends], seeds)
        return tuple(each.to(subject.device) for each in drawn)

    noise = noise_of(range(NOISE_SEED, NOISE_SEED + NOISE_INPUTS))
    deviations = climbed.activations(noise).std(dim=0)[chosen]
    ascent = Ascent(
        lambda inputs, rows: climbed.activation(chosen[rows], inputs),
        noise_of([seed * 100_003 + unit for unit in units]),
        torch.where(deviations > 0, deviations, torch.ones_like(deviations)),
        settings,
        torch.Generator().manual_seed(seed),
    ).climb(f"{layer.part} {layer.name}")
    to_noise = layer.activations(noise).cpu()
    to_clips = None
    if clips is not None:
        to_clips = layer.activations(tuple(clips[side] for side in layer.sides)).cpu()
    reached = layer.activations(ascent.patterns).gather(1, chosen[:, None]).squeeze(1)
    patterns = [
        Pattern(
            layer,
            unit,
            tuple(each[row].cpu() for each in ascent.patterns),
            float(reached[row]),
            to_noise[:, unit],
            None if to_clips is None else to_clips[:, unit],
            ascent.curves[row],
            bool(ascent.converged[row]),
        )
        for row, unit in enumerate(units)
    ]
    never = None if to_clips is None else (to_clips <= 0.0).all(dim=0).nonzero().squeeze(1)
    return Portrait(subject, layer, patterns, None if never is None else tuple(never.tolist()))


@dataclass(frozen=True, eq=False)
class Sounds:
    """The sounds of a pattern: one for a tower, two for a pair."""

    files: tuple[bytes, ...]  # wav, each at its front end's sample rate
    # of each pattern with the features of its sound: 1 where a sound with these was found
    correlations: tuple[float, ...]
    activation: float  # of the unit, to the sounds


def sounds_of(pattern: Pattern, device: torch.device, seed: int = 0) -> Sounds | None:
    """Turn a pattern into sound, and play that sound to the network, which is on a device.

    Returns:
        None where a front end cannot be inverted.
    """
    files, correlations, heard = [], [], []
    for wanted, front_end in zip(pattern.spectrograms, pattern.layer.front_ends, strict=True):
        waveform = front_end.inverted(wanted, seed)
        if waveform is None:
            return None
        clip = torch.from_numpy(clip_of(waveform, front_end.sample_rate, front_end))
        found = front_end(clip[None].to(device))
        files.append(wav(waveform, front_end.sample_rate))
        asked, made = ((each - each.mean()).flatten() for each in (wanted, found[0].cpu()))
        correlations.append(float(functional.cosine_similarity(asked, made, dim=0)))
        heard.append(found)
    activation = float(pattern.layer.activations(tuple(heard))[0, pattern.unit])
    return Sounds(tuple(files), tuple(correlations), activation)


def wav(waveform: NDArray[np.float32], sample_rate: int) -> bytes:
    """Return a waveform (samples,) in [-1, 1] as a wav file of 16 bits."""
    target = io.BytesIO()
    soundfile.write(target, waveform, sample_rate, format="WAV", subtype="PCM_16")
    return target.getvalue()
