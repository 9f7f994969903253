"""What training makes small, and how its learning rate goes down."""

import math
from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

LossName = Literal["softmax", "sum_normalised_sigmoid"]

KERAS_EPSILON = 1e-7


def sum_normalised_sigmoid(logits: Tensor, labels: Tensor) -> Tensor:
    """Return categorical cross-entropy on sigmoid units, as Keras computes it.

    The paper (figures 4 and 5) draws sigmoid outputs under a categorical cross-entropy. Keras
    divides them by their sum and keeps the quotients between 1e-7 and 1 - 1e-7:
    ``p = sigmoid(z) / sum(sigmoid(z)); loss = -log(clip(p[label]))``. It is computed in logarithms
    here, so that units far below zero keep their gradients.

    Args:
        logits: (clips, classes).
        labels: (clips,), indices of classes.

    Returns:
        The mean over clips.
    """
    shares = functional.logsigmoid(logits)
    shares = shares - torch.logsumexp(shares, dim=1, keepdim=True)
    own = shares.gather(1, labels.unsqueeze(1))
    return -own.clamp(math.log(KERAS_EPSILON), math.log(1 - KERAS_EPSILON)).mean()


LOSSES: dict[LossName, Callable[[Tensor, Tensor], Tensor]] = {
    "softmax": functional.cross_entropy,
    "sum_normalised_sigmoid": sum_normalised_sigmoid,
}


def contrastive_loss(logits: Tensor, positive: Tensor, *, symmetric: bool = True) -> Tensor:
    """Return the normalised temperature-scaled cross-entropy of a batch (NT-Xent).

    Each imitation is to have a higher logit with its sound than with all others, and, symmetric,
    each sound with each of its imitations. Several imitations of one sound are no rivals of each
    other: a row's loss is the mean over its positives.

    Args:
        logits: Similarities over the temperature, (imitations, sounds).
        positive: Whether a sound is the one imitated, (imitations, sounds); one or more a row.
        symmetric: Whether both directions count, each half.
    """
    marked = positive.to(logits.dtype)

    def one_way(axis: int) -> Tensor:
        counts = marked.sum(axis)
        found = counts > 0  # a sound without an imitation here has nothing to find
        total = (functional.log_softmax(logits, axis) * marked).sum(axis)
        return -(total[found] / counts[found]).mean()

    return (one_way(1) + one_way(0)) / 2 if symmetric else one_way(1)


def triplet_loss(similarities: Tensor, positive: Tensor, rivals: Tensor, margin: float) -> Tensor:
    """Return how far the hardest rival comes within a margin of each imitation's sound.

    Args:
        similarities: Cosines, (imitations, sounds).
        positive: Whether a sound is the one imitated, likewise.
        rivals: Whether a sound may be a hard negative, such as those of the same category.
        margin: In cosine.
    """
    right = similarities.masked_fill(~positive, -torch.inf).amax(1)
    wrong = similarities.masked_fill(positive | ~rivals, -torch.inf).amax(1)
    gaps = (wrong - right + margin).clamp(min=0)
    return torch.where(torch.isfinite(gaps), gaps, torch.zeros_like(gaps)).mean()


def with_keras_decay(optimizer: Optimizer, decay: float) -> Any:
    """Return what ``configure_optimizers`` does: the optimizer, decayed as Keras does if asked.

    After ``step`` steps the rate is initial / (1 + decay * step).
    """
    if not decay:
        return optimizer
    schedule = LambdaLR(optimizer, lambda step: 1.0 / (1.0 + decay * step))
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
