"""Why a recording scores as it does for an imitation, and the page that shows it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from captum.attr import IntegratedGradients
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from vocalsketch.domain import SIDES, Kind, Side
from vocalsketch.errors import ConfigError
from vocalsketch.features.audio import clip_of
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.interpret.ascent import wav
from vocalsketch.interpret.figures import INK, STYLE, as_png, draw_spectrogram, page
from vocalsketch.retrieval.results import corpus_tag
from vocalsketch.systems import System

STEPS = 128  # of the integral
STEPS_AT_ONCE = 32
FOR, AGAINST = "#b2182b", "#2166ac"  # red and blue

Waveform = NDArray[np.float32]


def explain(
    systems: Sequence[tuple[str, System]],
    clips: Mapping[Side, tuple[Waveform, int]],
    names: Mapping[Side, str],
) -> str:
    """Return a self-contained HTML page on why a sound scores as it does by each system.

    Args:
        systems: What scored them, each with what the page calls it; of an ensemble, each member
            is explained.
        clips: Of each side the waveform (samples,) and its rate in Hz.
        names: What the page calls each side.
    """
    explained = [
        each for name, system in systems for each in _explained(system, clips, f"{name} used")
    ]
    tags = dict.fromkeys(corpus_tag(system.corpus) for _, system in systems if system.corpus)
    told = {"names": names, "corpora": list(tags), "explained": explained, "in_words": in_words}
    return page("explanation.html.j2", **told)


def scored(system: System, clips: Mapping[Side, tuple[Waveform, int]]) -> str:
    """Return in words how a system scores a sound."""
    with torch.no_grad():
        cut = (torch.from_numpy(clip_of(*clips[s], system.front_ends[s]))[None] for s in SIDES)
        return in_words(float(system.score(*map(system.hear, SIDES, cut))), system.kind)


def _explained(
    system: System, clips: Mapping[Side, tuple[Waveform, int]], heading: str
) -> Iterator[tuple[str, "Attribution", dict[Side, tuple[bytes, bytes]]]]:
    """Yield of a system, or of each of its parts, heading, contributions, pictures and clips."""
    ends, parts = system.front_ends, system.parts()
    own = {side: clip_of(*clips[side], ends[side]) for side in SIDES}
    for number, part in enumerate(parts, start=1):
        cut = {side: (own[side], ends[side].sample_rate) for side in SIDES}
        yield from _explained(part, cut, f"{heading}: part {number} of {len(parts)}")
    if parts:
        return
    with torch.no_grad():
        features = {side: ends[side](torch.from_numpy(own[side])[None])[0] for side in SIDES}
    found = attribute(system, features)
    each = found.contributions
    limit = max(float(np.percentile(each[side].abs().numpy(), 99.5)) for side in SIDES) or 1.0
    drawn = {}
    for side, end in ends.items():
        clip = own[side][: round(end.hop * end.shape[1])]
        picture = as_png(_figure(features[side], each[side], end, limit))
        drawn[side] = picture, wav(clip, end.sample_rate)
    yield heading, found, drawn


def _figure(spectrogram: Tensor, contribution: Tensor, front_end: FrontEnd, limit: float) -> Figure:
    families = front_end.families
    if families:  # which have no order: each one's sum says more than any value
        sums = [float(each.sum()) for each in torch.split(contribution, list(families.values()))]
        with mpl.rc_context(STYLE):
            figure = Figure(figsize=(5.2, 2.0), layout="constrained")
            axes = figure.subplots()
            axes.barh(list(families), sums, color=[FOR if each > 0 else AGAINST for each in sums])
            axes.axvline(0, color=INK, lw=0.5)
            axes.set_title("contribution to the score")
            axes.invert_yaxis()
        return figure
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(5.2, 5.4), layout="constrained")
        above, middle, below = figure.subplots(3, 1, sharex=True, height_ratios=[3, 3, 1])
        draw_spectrogram(above, spectrogram, front_end)
        style: dict[str, Any] = {"vmin": -limit, "vmax": limit, "cmap": "RdBu_r"}
        draw_spectrogram(middle, contribution, front_end, **style)
        middle.set_title("contribution to the score")
        summed = contribution.sum(dim=0).numpy()
        times = (np.arange(len(summed)) + 0.5) * front_end.hop / front_end.sample_rate
        below.fill_between(times, summed.clip(min=0), color=FOR, lw=0)
        below.fill_between(times, summed.clip(max=0), color=AGAINST, lw=0)
        below.axhline(0, color=INK, lw=0.5)
        below.set_xlabel("s")
        above.label_outer()
        middle.label_outer()
    return figure


@dataclass(frozen=True, eq=False)
class Attribution:
    """What each value of both sides' features contributes to a pair's score."""

    contributions: Mapping[Side, Tensor]  # (bins, frames); above 0 for the pair, below 0 against
    score: float  # of the pair
    kind: Kind  # what a score is
    silence: float  # score of silence paired with silence, from which contributions count
    gap: float  # what their sum misses of score - silence, through the integral's finite steps


def in_words(score: float, kind: Kind) -> str:
    """Return a score for people: as a likelihood where it is a logit.

    >>> in_words(0.0, "logit"), in_words(0.25, "cosine"), in_words(-3.0, "distance")
    ('likelihood 0.500', 'cosine 0.250', 'distance 3.000')
    """
    if kind == "logit":
        return f"likelihood {float(torch.sigmoid(torch.tensor(score))):.3f}"
    return f"{kind.replace('_', ' ')} {-score if kind == 'distance' else score:.3f}"


def attribute(system: System, features: Mapping[Side, Tensor], steps: int = STEPS) -> Attribution:
    """Attribute a pair's score to the values of its features.

    Integrated gradients (Sundararajan, Taly and Yan, 2017) along the straight line from silence.
    The contributions of both sides together add up to the score less that of silence.

    Args:
        system: In evaluation mode.
        features: (bins, frames) of each side, from its front end.
        steps: Of the integral.

    Raises:
        ConfigError: The scores cannot be traced back to the features.
    """

    def scores(imitations: Tensor, recordings: Tensor) -> Tensor:
        embedded = system.embed("imitation", imitations), system.embed("recording", recordings)
        return system.score(*embedded).diagonal()

    inputs = tuple(features[side][None] for side in SIDES)
    with torch.no_grad():
        front_ends = (system.front_ends[side] for side in SIDES)
        silent = tuple(each(torch.zeros(1, each.samples)) for each in front_ends)
        score, silence = float(scores(*inputs)), float(scores(*silent))
    traced = tuple(each.clone().requires_grad_() for each in inputs)
    if None in torch.autograd.grad(scores(*traced).sum(), traced, allow_unused=True):
        raise ConfigError(
            "The scores of this system cannot be traced back to what it hears: nothing can be said "
            "of why they are as they are."
        )
    parts = IntegratedGradients(scores).attribute(
        inputs, silent, n_steps=steps, internal_batch_size=STEPS_AT_ONCE
    )
    found = {side: part[0].detach().float() for side, part in zip(SIDES, parts, strict=True)}
    total = sum(float(each.sum()) for each in found.values())
    return Attribution(found, score, system.kind, silence, score - silence - total)
