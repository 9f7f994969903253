"""Why a recording scores as it does for an imitation: integrated gradients over both."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from captum.attr import IntegratedGradients
from torch import Tensor

from vocalsketch.domain import SIDES, Kind, Side
from vocalsketch.errors import ConfigError
from vocalsketch.systems import System

STEPS = 128
STEPS_AT_ONCE = 32


@dataclass(frozen=True, eq=False)
class Attribution:
    """What each value of both sides' features contributes to a pair's score.

    Attributes:
        contributions: Of each side, (bins, frames); above 0 speaks for the pair, below 0 against.
        score: Of the pair.
        kind: What a score is.
        silence: Score of silence paired with silence, from which contributions count.
        gap: What the contributions' sum misses of ``score - silence``, through the integral's
            finite steps.
    """

    contributions: Mapping[Side, Tensor]
    score: float
    kind: Kind
    silence: float
    gap: float


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
        silent = tuple(_silence(system, side) for side in SIDES)
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


def _silence(system: System, side: Side) -> Tensor:
    """Return the features of a silent clip, (1, bins, frames)."""
    front_end = system.front_ends[side]
    silence: Tensor = front_end(torch.zeros(1, front_end.samples))
    return silence
