"""Why a recording scores as it does for an imitation: integrated gradients over both."""

from dataclasses import dataclass

import torch
from captum.attr import IntegratedGradients
from torch import Tensor

from vocalsketch.systems import System

STEPS = 128
STEPS_AT_ONCE = 32


@dataclass(frozen=True, eq=False)
class Attribution:
    """What each value of both spectrograms contributes to a pair's logit.

    Attributes:
        imitation: (bins, frames); above 0 speaks for the pair, below 0 against it.
        recording: (bins, frames), likewise.
        logit: Of the pair.
        silence: Logit of silence paired with silence, from which contributions count.
        gap: What the contributions' sum misses of ``logit - silence``, through the integral's
            finite steps.
    """

    imitation: Tensor
    recording: Tensor
    logit: float
    silence: float
    gap: float

    @property
    def probability(self) -> float:
        """The network's likelihood of the pair."""
        return float(torch.sigmoid(torch.tensor(self.logit)))


def attribute(
    network: System, imitation: Tensor, recording: Tensor, steps: int = STEPS
) -> Attribution:
    """Attribute a pair's logit to the values of its spectrograms.

    Integrated gradients (Sundararajan, Taly and Yan, 2017) along the straight line from silence,
    which every front end gives as zeros. The contributions of both spectrograms together add up
    to the logit less that of silence.

    Args:
        network: Trained, in evaluation mode.
        imitation: Standardised spectrogram (bins, frames).
        recording: Standardised spectrogram (bins, frames).
        steps: Of the integral.
    """

    def logits(imitations: Tensor, recordings: Tensor) -> Tensor:
        scores = network.score(
            network.embed("imitation", imitations), network.embed("recording", recordings)
        )
        return scores.diagonal()

    inputs = (imitation[None], recording[None])
    with torch.no_grad():
        logit = float(logits(*inputs))
        silence = float(logits(*(torch.zeros_like(each) for each in inputs)))
    parts = IntegratedGradients(logits).attribute(
        inputs, n_steps=steps, internal_batch_size=STEPS_AT_ONCE
    )
    of_imitation, of_recording = (part[0].detach().float() for part in parts)
    total = float(of_imitation.sum() + of_recording.sum())
    return Attribution(of_imitation, of_recording, logit, silence, logit - silence - total)
