"""Randomness that depends on the epoch alone, so that a resumed run repeats it."""

import numpy as np
import pytorch_lightning as pl
import torch


class EpochSeed(pl.Callback):
    """Reseeds torch at each epoch from (seed, epoch, process).

    A run that is killed and resumed from the checkpoint of its last epoch so draws the same
    dropout as one that was never interrupted.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Reseed the generators of every device."""
        key = [self.seed, trainer.current_epoch, trainer.global_rank]
        torch.manual_seed(int(np.random.SeedSequence(key).generate_state(1)[0]))
