"""How the learning rate goes down."""

from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def with_keras_decay(optimizer: Optimizer, decay: float) -> Any:
    """Return what ``configure_optimizers`` does: the optimizer, decayed as Keras does if asked.

    After ``step`` steps the rate is initial / (1 + decay * step).
    """
    if not decay:
        return optimizer
    schedule = LambdaLR(optimizer, lambda step: 1.0 / (1.0 + decay * step))
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
