"""Pre-training of a tower by classification (paper, sections V-A and V-B)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pytorch_lightning as pl
import torch
from numpy.typing import NDArray
from pytorch_lightning.cli import OptimizerCallable
from torch import Tensor
from torch.nn import functional
from torchmetrics.classification import MulticlassConfusionMatrix

from vocalsketch.datamodules.batches import LabelledBatch
from vocalsketch.models.tower import Classifier, TowerGeometry
from vocalsketch.tasks.retrieval import with_keras_decay

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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


@dataclass(frozen=True, eq=False)
class Confusion:
    """Counts of clips by true and predicted class."""

    classes: tuple[str, ...]  # names, by index
    counts: NDArray[np.int64]  # (true class, predicted class) integers

    @property
    def clips(self) -> int:
        """How many clips were classified."""
        return int(self.counts.sum())

    @property
    def accuracy(self) -> float:
        """Share of clips that were classified rightly.

        >>> Confusion(("a", "b"), np.array([[3, 1], [0, 0]])).accuracy
        0.75
        """
        return float(np.trace(self.counts) / self.clips)

    @property
    def chance(self) -> float:
        """Accuracy of naming the class with the most clips every time."""
        return float(self.counts.sum(axis=1).max() / self.clips)

    @property
    def p_value(self) -> float:
        """How likely at least this many right answers are if each is right with ``chance``.

        A binomial test, one-sided. It takes clips for independent; clips of one speaker or of
        one recording are less than that, and the true value is larger.

        >>> Confusion(("a", "b"), np.array([[2, 0], [0, 2]])).p_value
        0.0625
        """
        from scipy.stats import binomtest  # here, as it is slow to import and seldom needed

        right = int(np.trace(self.counts))
        return float(binomtest(right, self.clips, self.chance, alternative="greater").pvalue)

    @property
    def per_class(self) -> dict[str, float]:
        """Share of each class's clips that were classified rightly; classes without are absent."""
        right, totals = self.counts.diagonal().tolist(), self.counts.sum(axis=1).tolist()
        each = zip(self.classes, right, totals, strict=True)
        return {name: hits / clips for name, hits, clips in each if clips}

    def to_dict(self) -> dict[str, object]:
        """Return plain values, as a result file holds them."""
        names = ("clips", "accuracy", "chance", "p_value", "per_class")
        counted = {"classes": list(self.classes), "confusion": self.counts.tolist()}
        return {name: getattr(self, name) for name in names} | counted

    def table(self) -> str:
        """Return accuracy per class and overall, to be printed."""
        from pandas import DataFrame  # here, as it is slow to import and seldom needed

        totals = dict(zip(self.classes, self.counts.sum(axis=1).tolist(), strict=True))
        lines = {name: (totals[name], f"{each:.3f}") for name, each in self.per_class.items()}
        lines |= {"all": (self.clips, f"{self.accuracy:.3f}"), "chance": ("", f"{self.chance:.3f}")}
        lines |= {"p (binomial)": ("", f"{self.p_value:.2g}")}
        text: str = DataFrame(lines, index=["clips", "accuracy"]).T.to_string()
        return text

    def picture(self, title: str) -> "Figure":
        """Draw the counts, each row shaded by its shares."""
        from matplotlib.figure import Figure  # here, as it is slow to import and seldom needed

        size = 2.5 + 0.55 * len(self.classes)
        figure = Figure(figsize=(size + 1, size), layout="constrained")
        axes = figure.subplots()
        totals = self.counts.sum(axis=1, keepdims=True)
        shares = self.counts / np.maximum(totals, 1)
        image = axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
        for (row, column), count in np.ndenumerate(self.counts):
            if count:
                colour = "white" if shares[row, column] > 0.6 else "black"
                axes.text(column, row, str(count), ha="center", va="center", color=colour)
        ticks = np.arange(len(self.classes))
        axes.set_xticks(ticks, self.classes, rotation=45, ha="right")
        axes.set_yticks(ticks, self.classes)
        axes.set(xlabel="predicted class", ylabel="true class", title=title)
        figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
        return figure


def summed(confusions: Sequence[Confusion]) -> Confusion:
    """Return the counts of several evaluations of the same classes together."""
    counts = np.sum([each.counts for each in confusions], axis=0)
    return Confusion(confusions[0].classes, counts)


class ClassificationTask(pl.LightningModule):
    """A tower and a classification head, trained to name each clip's class.

    Logs the loss and the accuracy, overall and per class.

    Source: Zhang, Pardo and Duan, TASLP 2018, doi:10.1109/TASLP.2018.2868428.

    Args:
        tower: Stages of the tower.
        hidden: Units of each hidden layer of the head.
        dropout: Dropout after each hidden layer.
        loss: ``softmax`` cross-entropy, or ``sum_normalised_sigmoid``: the paper's literal
            sigmoid units under Keras' categorical cross-entropy.
        optimizer: Makes the optimizer from the parameters.
        learning_rate_decay: Keras' decay, per step: rate = initial / (1 + decay * step). It is not
            weight decay.
        channels_last: Hold images with channels last in memory, faster for wide towers.
        input_shape: (bins, frames); taken from the data.
        classes: Names of the classes; taken from the data.
    """

    def __init__(
        self,
        tower: TowerGeometry,
        hidden: list[int] = [64],  # noqa: B006 - never changed; jsonargparse shows it in help
        dropout: float = 0.0,
        loss: LossName = "softmax",
        optimizer: OptimizerCallable = torch.optim.Adam,
        learning_rate_decay: float = 0.0,
        channels_last: bool = False,
        input_shape: tuple[int, int] = (128, 128),
        classes: tuple[str, ...] = (),
    ) -> None:
        super().__init__()
        self.input_shape = input_shape
        self.geometry = tower
        self.classes = tuple(classes)
        self.network = Classifier(input_shape, tower, len(self.classes), hidden, dropout)
        if channels_last:
            self.network.to(memory_format=torch.channels_last)
        self.criterion = LOSSES[loss]
        self.optimizer = optimizer
        self.learning_rate_decay = learning_rate_decay
        # of the evaluation that runs
        self.counts = MulticlassConfusionMatrix(len(self.classes))

    def forward(self, features: Tensor) -> Tensor:
        """Map (clips, bins, frames) to logits (clips, classes)."""
        logits: Tensor = self.network(features)
        return logits

    def training_step(self, batch: LabelledBatch) -> Tensor:
        """Return the mean loss of a batch."""
        logits = self(batch.features)
        loss = self.criterion(logits.float(), batch.labels)
        self._log("train/loss", loss, batch)
        right = logits.argmax(dim=1) == batch.labels
        self._log("train/accuracy", right.float().mean(), batch)
        return loss

    def on_validation_epoch_start(self) -> None:
        """Begin to count."""
        self.counts.reset()

    def validation_step(self, batch: LabelledBatch) -> None:
        """Count what is taken for what."""
        logits = self(batch.features)
        self.counts.update(logits, batch.labels)
        self._log(f"{self._prefix}/loss", self.criterion(logits.float(), batch.labels), batch)

    def on_validation_epoch_end(self) -> None:
        """Log the accuracy, overall and per class."""
        confusion = self.confusion()
        if not confusion.clips:
            return
        # every process has counted all clips, so the value is already the same on all of them
        self.log(f"{self._prefix}/accuracy", confusion.accuracy, prog_bar=True)
        for name, value in confusion.per_class.items():
            self.log(f"{self._prefix}/accuracy/{name.replace(' ', '_')}", value)

    on_test_epoch_start = on_validation_epoch_start
    test_step = validation_step
    on_test_epoch_end = on_validation_epoch_end

    def confusion(self) -> Confusion:
        """Return what was taken for what, from all processes; every process must call this."""
        counts = self.counts.compute().cpu().numpy().astype(np.int64)
        return Confusion(self.classes, counts)

    def configure_optimizers(self) -> Any:
        """Return the optimizer and, where asked, Keras' decay of its rate per step."""
        return with_keras_decay(self.optimizer(self.parameters()), self.learning_rate_decay)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what is needed to use the tower without its config: plain values only."""
        data = self.trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it in fit
        checkpoint["vocalsketch"] = {
            "description": {
                "system": "classifier",
                "side": data.side,
                "input_shape": list(self.input_shape),
                "tower": self.geometry.to_dict(),
                "classes": list(self.classes),
                "front_end": data.front_end.describe(),
            },
            "provenance": data.provenance(),
        }

    @property
    def _prefix(self) -> str:
        return "test" if self.trainer.testing else "val"

    def _log(self, name: str, value: Tensor, batch: LabelledBatch) -> None:
        options: dict[str, Any] = {"on_step": False, "on_epoch": True, "sync_dist": True}
        self.log(name, value, prog_bar=True, batch_size=len(batch.labels), **options)
