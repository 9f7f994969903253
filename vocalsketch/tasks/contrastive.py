"""Training by contrast: a sound's imitations nearer to it than to all other sounds of a batch."""

import math
import warnings
from pathlib import Path
from typing import Any, cast

import torch
from pytorch_lightning.cli import OptimizerCallable
from torch import Tensor, nn
from torch.nn import functional

from vocalsketch.datamodules.contrastive import ContrastiveBatch
from vocalsketch.datasets.weights import CREDIT
from vocalsketch.domain import SIDES, Side
from vocalsketch.errors import ConfigError, refuse_below
from vocalsketch.features.audible_mel import AudibleMel
from vocalsketch.features.augmentation import Augmentation, SpecAugment
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.models.encoder import Encoder, EncoderGeometry
from vocalsketch.systems.checkpoints import load_system
from vocalsketch.systems.dual_encoder import DualEncoder, View
from vocalsketch.tasks.retrieval import RetrievalTask

NO_RIVAL = -1e4  # a logit that no softmax notices
HOTTEST = 100.0  # the inverse of the lowest temperature; below it training diverges


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


class ContrastiveTask(RetrievalTask):
    """A dual encoder, by the symmetric normalised cross-entropy of a batch (NT-Xent).

    Source: Chen et al., ICML 2020, arXiv:2002.05709; with several imitations of a sound each is a
    positive (Khosla et al., NeurIPS 2020, arXiv:2004.11362).

    Args:
        encoder: Geometry of both encoders.
        shared: Whether both sides have the same weights.
        frames: That an encoder looks at, after ``pooling``.
        pooling: Frames of the front end that become one.
        view: ``absolute`` time, or each sound's ``own``, stretched to ``frames``.
        temperature: Of the softmax, 0.01 at least.
        learn_temperature: Whether it is trained, from ``temperature`` on.
        symmetric: Whether recordings look for imitations too; otherwise imitations for recordings
            only.
        triplet: Weight of a triplet term on the hardest other sound of the same category.
        margin: Of the triplet term, in cosine.
        mask_classes: Whether other sounds of the target's class (its category where no class is
            known) are left out of its rivals.
        imitation_augmentation: Of imitations; none if left out.
        recording_augmentation: Of recordings; none if left out.
        optimizer: Makes the optimizer from the parameters.
        warm_up: Share of the steps in which the rate rises; a cosine brings it down in the rest.
        last_rate: What it comes down to, as a share of the highest.
        backbone_weights: A release's file of ``encoder.backbone``, which both encoders begin with.
        freeze_backbone: Whether the backbone keeps these, and only what follows it is trained.
        start: A checkpoint, or saved system, whose weights a training begins with.
        imitation_front_end: Taken from the data.
        recording_front_end: Taken from the data.
    """

    system: DualEncoder

    def __init__(
        self,
        encoder: EncoderGeometry,
        shared: bool = False,
        frames: int = 200,
        pooling: int = 2,
        view: View = "absolute",
        temperature: float = 0.07,
        learn_temperature: bool = False,
        symmetric: bool = True,
        triplet: float = 0.0,
        margin: float = 0.2,
        mask_classes: bool = False,
        imitation_augmentation: Augmentation | SpecAugment | None = None,
        recording_augmentation: Augmentation | SpecAugment | None = None,
        optimizer: OptimizerCallable = torch.optim.AdamW,
        warm_up: float = 0.1,
        last_rate: float = 0.0,
        backbone_weights: str | None = None,
        freeze_backbone: bool = False,
        start: str | None = None,
        imitation_front_end: FrontEnd | None = None,
        recording_front_end: FrontEnd | None = None,
    ) -> None:
        if not 1 / HOTTEST <= temperature < math.inf:
            raise ConfigError(f"temperature is {temperature}: give {1 / HOTTEST} or more.")
        if not 0 < warm_up < 1:
            raise ConfigError(f"warm_up is {warm_up}: give more than 0 and less than 1.")
        refuse_below(0, triplet=triplet)
        if not 0 <= last_rate <= 1:
            raise ConfigError(f"last_rate is {last_rate}: give a share from 0 to 1.")
        if (backbone_weights or freeze_backbone) and not encoder.backbone:
            name = "backbone_weights" if backbone_weights else "freeze_backbone"
            raise ConfigError(f"{name} needs encoder.backbone, such as mn10 or aisfx.")
        ends = imitation_front_end or AudibleMel(), recording_front_end or AudibleMel()
        front_ends = dict(zip(SIDES, ends, strict=True))
        super().__init__(DualEncoder(front_ends, encoder, shared, frames, pooling, view))
        if freeze_backbone:
            for each in self.system.encoders.values():
                cast("Encoder", each).freeze()
        self.system.to(memory_format=torch.channels_last)  # half as fast again on a CPU
        heat = torch.tensor(-math.log(temperature))
        self.log_heat = nn.Parameter(heat, requires_grad=learn_temperature)
        self.symmetric = symmetric
        self.triplet = triplet
        self.margin = margin
        self.mask_classes = mask_classes
        changes = imitation_augmentation, recording_augmentation
        self.augmentation = dict(zip(SIDES, changes, strict=True))
        self.optimizer = optimizer
        self.warm_up = warm_up
        self.last_rate = last_rate
        self.backbone_weights = backbone_weights
        self.start = start

    def begin_training(self) -> None:
        """Take over the weights that a training begins with.

        Raises:
            CheckpointError: They are not there, or not of this system.
        """
        if self.start is not None:
            begun = load_system(self.start)
            self.system.require(self.start, begun.description())
            self.system.load_state_dict(begun.state_dict())
            self.system.provenance = {
                key: value for key, value in begun.provenance.items() if key == "licence"
            } | {"started_from": begun.fingerprint}
        elif self.backbone_weights:
            self.system.load_backbone(Path(self.backbone_weights))
            self.system.provenance["started_from"] = self.system.fingerprint
            if self.system.geometry.backbone == "aisfx":
                self.system.provenance["licence"] = CREDIT
        elif backbone := self.system.geometry.backbone:
            warnings.warn(
                f"{backbone} begins with random weights, not with published ones: `vocalsketch "
                f"data download {backbone} --out FILE` fetches these, and "
                "model.init_args.backbone_weights names the file.",
                stacklevel=1,
            )

    def training_step(self, batch: ContrastiveBatch) -> Tensor:
        """Return the batch's loss, over the clips of all processes."""
        imitations = self._from_all(self._embedded("imitation", batch.imitations))
        recordings = self._from_all(self._embedded("recording", batch.recordings))
        similarities = imitations @ recordings.T
        positive = self._equal(batch.targets, batch.sounds)
        heat = self.log_heat.exp().clamp(max=HOTTEST)
        alike = self._equal(batch.target_categories, batch.categories)
        logits = similarities * heat
        if self.mask_classes:
            logits = logits.masked_fill(alike & ~positive, NO_RIVAL)
        loss = contrastive_loss(logits, positive, symmetric=self.symmetric)
        if self.triplet:
            loss = loss + self.triplet * triplet_loss(similarities, positive, alike, self.margin)
        if not torch.isfinite(loss):
            raise ConfigError(
                f"The loss became {loss.item()} at step {self.global_step}: lower the learning "
                "rate, or raise temperature."
            )
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=len(batch.targets))
        return loss

    def _embedded(self, side: Side, features: Tensor) -> Tensor:
        change = self.augmentation[side]
        with torch.autocast(self.device.type, enabled=False):
            changed = features if change is None else change(features.float())
        return self.system.embed(side, changed).float()

    def _equal(self, imitations: Tensor, sounds: Tensor) -> Tensor:
        """Return whether numbers are alike, over all processes, (imitations, sounds)."""
        return self._from_all(imitations)[:, None] == self._from_all(sounds)[None, :]

    def _from_all(self, values: Tensor) -> Tensor:
        """Return the values of all processes, one after the other; gradients flow back."""
        if self.trainer.world_size == 1:
            return values
        gathered = self.all_gather(values, sync_grads=values.requires_grad)
        assert isinstance(gathered, Tensor)
        return gathered.flatten(0, 1)

    def configure_optimizers(self) -> Any:
        """Return the optimizer, and a rate that warms up and falls along a cosine."""
        optimizer = self.optimizer([each for each in self.parameters() if each.requires_grad])
        steps = max(2, int(self.trainer.estimated_stepping_batches))
        rising = max(1, round(self.warm_up * steps))

        def rate(step: int) -> float:
            if step < rising:
                return (step + 1) / rising
            falling = math.cos(math.pi * min(1.0, (step - rising) / (steps - rising)))
            return self.last_rate + (1 - self.last_rate) * 0.5 * (1 + falling)

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
