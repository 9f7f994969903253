"""Training of the Siamese-style networks (paper, sections IV-D and V-D)."""

from typing import Any

import torch
from pytorch_lightning.cli import OptimizerCallable
from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor, nn

from vocalsketch.datamodules.batches import PairBatch
from vocalsketch.features.cqt import CQT
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.models import TowerGeometry
from vocalsketch.systems.siamese import Sharing, Siamese, SiameseGeometry
from vocalsketch.tasks.losses import with_keras_decay
from vocalsketch.tasks.retrieval import RetrievalTask
from vocalsketch.tasks.transfer import Layers, Transfer, first_stages, transfer_layers


class SiameseTask(RetrievalTask):
    """IMINET or TL-IMINET: binary cross-entropy on positive and negative pairs.

    Source: Zhang, Pardo and Duan, TASLP 2018, doi:10.1109/TASLP.2018.2868428.

    Args:
        imitation_tower: Stages of the imitation tower.
        recording_tower: Stages of the recording tower; those of the imitation tower if left out.
        sharing: ``tied``, ``partial`` or ``untied`` weights of the two towers.
        private_stages: Stages of each tower's own when ``partial``.
        hidden: Units of the hidden layers of the metric head.
        dropout: Dropout after each hidden layer of the metric head.
        optimizer: Makes the optimizer from the parameters.
        learning_rate_decay: Keras' decay, per step: rate = initial / (1 + decay * step). It is not
            weight decay.
        channels_last: Hold images with channels last in memory, faster for wide towers.
        transfer: Which convolutions a training starts from, and the checkpoints they are in.
        freeze: ``conv1``, ``conv12`` or ``conv123`` of both towers stay as they start: neither
            weights nor batch norm's statistics change.
        imitation_front_end: Taken from the data.
        recording_front_end: Taken from the data.
    """

    system: Siamese

    def __init__(
        self,
        imitation_tower: TowerGeometry,
        recording_tower: TowerGeometry | None = None,
        sharing: Sharing = "untied",
        private_stages: int = 2,
        hidden: list[int] = [432, 32],  # noqa: B006 - never changed; jsonargparse shows it in help
        dropout: float = 0.2,
        optimizer: OptimizerCallable = torch.optim.Adam,
        learning_rate_decay: float = 0.0,
        channels_last: bool = False,
        transfer: Transfer | None = None,
        freeze: Layers | None = None,
        imitation_front_end: FrontEnd | None = None,
        recording_front_end: FrontEnd | None = None,
    ) -> None:
        imitations, recordings = imitation_front_end or CQT(), recording_front_end or CQT()
        geometry = SiameseGeometry(
            imitation_shape=imitations.shape,
            recording_shape=recordings.shape,
            imitation_tower=imitation_tower,
            recording_tower=recording_tower or imitation_tower,
            sharing=sharing,
            private_stages=private_stages,
            hidden=tuple(hidden),
            dropout=dropout,
        )
        super().__init__(Siamese({"imitation": imitations, "recording": recordings}, geometry))
        if channels_last:
            self.system.to(memory_format=torch.channels_last)
        self.criterion = nn.BCEWithLogitsLoss()
        self.optimizer = optimizer
        self.learning_rate_decay = learning_rate_decay
        self.transfer = transfer
        of_towers = first_stages(self.system, freeze).values() if freeze else ()
        self.frozen = [stage for stages in of_towers for stage in stages]
        for stage in self.frozen:
            stage.requires_grad_(False)

    def begin_training(self) -> None:
        """Copy the pre-trained layers.

        Raises:
            CheckpointError: As ``transfer_layers``; and likewise ConfigError.
        """
        if self.transfer is None:
            return
        copied = transfer_layers(self.system, self.transfer)
        for each in copied:
            kernels = "x".join(map(str, each["shape"]))
            norm = "with" if each["batch_norm"] else "without"
            rank_zero_only(print)(
                f"Transferred: {each['side']} conv{each['layer']} ({kernels}, {norm} batch norm) "
                f"from {each['path']}"
            )
        self.system.provenance["transferred"] = copied

    def train(self, mode: bool = True) -> "SiameseTask":
        """Set the mode of every layer; frozen ones always evaluate."""
        super().train(mode)
        for stage in self.frozen:
            stage.eval()
        return self

    def forward(self, batch: PairBatch) -> Tensor:
        """Return the logits of a batch's pairs, (pairs,)."""
        logits: Tensor = self.system(
            batch.imitations, batch.recordings, batch.imitation_index, batch.recording_index
        )
        return logits

    def training_step(self, batch: PairBatch) -> Tensor:
        """Return the mean binary cross-entropy of a batch's pairs."""
        loss: Tensor = self.criterion(self(batch), batch.labels)
        options: dict[str, Any] = {"on_step": False, "on_epoch": True, "sync_dist": True}
        self.log("train/loss", loss, batch_size=len(batch.labels), **options)
        return loss

    def on_validation_epoch_end(self) -> None:
        """Log the loss over all validation pairs, computed from embeddings."""
        embeddings = self.embeddings()
        if embeddings is None:
            return
        pairs = self.evaluation_set.pairs
        logits = self.system.head.score(
            embeddings["imitation"][torch.from_numpy(pairs.imitation)],
            embeddings["recording"][torch.from_numpy(pairs.recording)],
        )
        labels = torch.from_numpy(pairs.label).to(logits.device)
        # every process holds every vector, so the value is already the same on all of them
        self.log("val/loss", self.criterion(logits, labels), prog_bar=True, rank_zero_only=False)

    def configure_optimizers(self) -> Any:
        """Return the optimizer and, where asked, Keras' decay of its rate per step."""
        trained = [each for each in self.parameters() if each.requires_grad]
        return with_keras_decay(self.optimizer(trained), self.learning_rate_decay)
