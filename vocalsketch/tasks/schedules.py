"""How the learning rate goes down."""

from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def keras_decay(optimizer: Optimizer, decay: float) -> LambdaLR:
    """Return Keras' schedule: after ``step`` steps the rate is initial / (1 + decay * step)."""
    return LambdaLR(optimizer, lambda step: 1.0 / (1.0 + decay * step))


def with_keras_decay(optimizer: Optimizer, decay: float) -> Any:
    """Return what ``configure_optimizers`` does: the optimizer, decayed per step if asked."""
    if not decay:
        return optimizer
    schedule = {"scheduler": keras_decay(optimizer, decay), "interval": "step"}
    return {"optimizer": optimizer, "lr_scheduler": schedule}
