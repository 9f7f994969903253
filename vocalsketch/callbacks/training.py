"""How training is made repeatable, and its batch norm precise."""

from collections.abc import Iterator
from itertools import islice

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from vocalsketch.datamodules.batches import LabelledBatch
from vocalsketch.errors import ConfigError, refuse_below
from vocalsketch.tasks.classification import ClassificationTask


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


class PreciseBatchNorm(pl.Callback):
    """Sets batch norm's statistics to those of training clips at the end of each epoch.

    Keras' momentum of 0.99 moves the running statistics by a hundredth at each step: after 100
    steps they still hold 37 % of their initial values, and a network that is near perfect in
    training is near chance in evaluation. Here the mean over some batches, under the weights of
    that moment, takes their place before the epoch's validation and its checkpoint. Training
    itself never uses them, so it is the same with and without this callback.

    Source: Wu and Johnson, Rethinking "Batch" in BatchNorm, 2021, arXiv:2105.07576, section 3.

    Args:
        batches: The most batches of training clips looked at, of each process.
    """

    def __init__(self, batches: int = 100) -> None:
        refuse_below(1, batches=batches)
        self.batches = batches

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
    ) -> None:
        """Estimate them after the last step of an epoch."""
        if not trainer.is_last_batch:
            return
        if not isinstance(pl_module, ClassificationTask):
            raise ConfigError(
                f"PreciseBatchNorm is for the pre-training of towers; {type(pl_module).__name__} "
                "is none. Take it out of trainer.callbacks."
            )
        with trainer.precision_plugin.forward_context():
            update_bn(self._features(trainer), pl_module.network)
        average_over_processes(trainer, pl_module.network)

    def _features(self, trainer: pl.Trainer) -> Iterator[Tensor]:
        """Yield clips as they are, without augmentation: those that are evaluated have none."""
        data = trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it in fit
        for batch in islice(data.train_dataloader(), self.batches):
            moved: LabelledBatch = trainer.strategy.batch_to_device(batch)
            yield moved.features


def average_over_processes(trainer: pl.Trainer, network: nn.Module) -> None:
    """Let all processes evaluate with the same statistics: the mean of what each estimated."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
            for statistic in (module.running_mean, module.running_var):
                assert statistic is not None
                statistic.copy_(trainer.strategy.reduce(statistic, reduce_op="mean"))
