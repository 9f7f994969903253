"""What a classifier is trained to make small."""

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

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
