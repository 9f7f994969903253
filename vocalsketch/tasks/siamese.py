"""Training of the Siamese-style networks (paper, sections IV-D, V-D), and what they begin from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import torch
from pytorch_lightning.cli import OptimizerCallable
from pytorch_lightning.utilities import rank_zero_only
from torch import Tensor, nn

from vocalsketch.datamodules.batches import PairBatch
from vocalsketch.domain import SIDES, Side
from vocalsketch.errors import CheckpointError, ConfigError
from vocalsketch.features.cqt import CQT
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.models.keras_weights import read_authors_tower
from vocalsketch.models.tower import ConvBlock, TowerGeometry
from vocalsketch.systems.checkpoints import description_used, read_saved
from vocalsketch.systems.siamese import Sharing, Siamese, SiameseGeometry
from vocalsketch.tasks.retrieval import RetrievalTask, with_keras_decay

Layers = Literal["conv1", "conv12", "conv123"]


@dataclass(frozen=True)
class Transfer:
    """Which layers start from pre-trained weights, and where these are.

    Attributes:
        layers: ``conv1``, ``conv12`` or ``conv123``: the first, two or three convolutions of both
            towers; nothing else is copied.
        imitation: Checkpoint of the pre-trained imitation tower, or the authors' ``.h5`` file;
            None leaves that tower as it is.
        recording: Likewise for the recording tower.
    """

    layers: Layers = "conv123"
    imitation: str | None = None
    recording: str | None = None


# What a checkpoint says of a layer: side, layer (from 1), shape of its kernels (filters, channels,
# bins, frames), batch_norm (whether it was copied too: only where both networks have it), path
CopiedLayer = dict[str, Any]

PRE_TRAININGS = {"imitation": "pretrain_voxforge", "recording": "pretrain_urbansound8k"}


def transfer_layers(network: Siamese, transfer: Transfer) -> list[CopiedLayer]:
    """Copy pre-trained convolutions into both towers; return what was copied.

    Raises:
        ConfigError: There is nothing to copy from, or the towers cannot take that many layers.
        CheckpointError: A checkpoint cannot be read, holds no tower, has other layers than the
            network, or was trained with another front end.
    """
    if transfer.imitation is None and transfer.recording is None:
        raise ConfigError(
            "transfer names no checkpoint: give transfer.imitation, transfer.recording or both, "
            "or leave transfer out."
        )
    stages = first_stages(network, transfer.layers)
    shared = any(a is b for a, b in zip(*stages.values(), strict=True))
    if shared and transfer.imitation and transfer.recording:
        raise ConfigError(
            "The towers share the layers to be copied: give transfer.imitation or "
            "transfer.recording, not both, or use sharing: untied."
        )
    copied: list[CopiedLayer] = []
    for side in SIDES:
        path: str | None = getattr(transfer, side)
        if path is not None:
            copied += _copy_tower(Path(path), side, stages[side], network.front_ends[side])
    return copied


def first_stages(network: Siamese, layers: Layers) -> dict[Side, list[ConvBlock]]:
    """Return the first stages of each tower.

    Raises:
        ConfigError: A tower has fewer.
    """
    count, towers = len(layers.removeprefix("conv")), network.towers()
    for side, tower in towers.items():
        if len(tower.stages) < count:
            raise ConfigError(
                f"{layers} is asked for, but the {side} tower has {len(tower.stages)} "
                "convolutions: name fewer layers."
            )
    return {
        side: [cast("ConvBlock", stage) for stage in list(tower.stages)[:count]]
        for side, tower in towers.items()
    }


def _copy_tower(
    path: Path, side: Side, stages: Sequence[ConvBlock], front_end: FrontEnd
) -> list[CopiedLayer]:
    weights, description = _read_tower(path, side)
    if description is not None and description != front_end.describe():
        raise CheckpointError(
            f"{path} was trained with the front end {description}, this config's "
            f"{side}_front_end is {front_end.describe()}: give the {side} tower's checkpoint, or "
            "use the same front end for both trainings."
        )
    for layer, stage in enumerate(stages, start=1):
        expected = tuple(stage.conv.weight.shape)
        kernels = weights.get(f"stages.{layer - 1}.conv.weight")
        if kernels is None or tuple(kernels.shape) != expected:
            there = "missing" if kernels is None else "x".join(map(str, kernels.shape))
            raise CheckpointError(
                f"{path}: conv{layer} is {there} (filters x channels x bins x frames), the {side} "
                f"tower's is {'x'.join(map(str, expected))}: give a checkpoint of a tower with the "
                "same stages, or name fewer layers."
            )
    copied = []
    for layer, stage in enumerate(stages, start=1):
        prefix = f"stages.{layer - 1}."
        own = (name for name in stage.state_dict() if prefix + name in weights)
        found = {name: weights[prefix + name] for name in own}
        stage.load_state_dict(found, strict=False)
        shape, norm = list(found["conv.weight"].shape), "norm.weight" in found
        told = {"side": side, "layer": layer, "shape": shape, "batch_norm": norm, "path": str(path)}
        copied.append(told)
    return copied


def _read_tower(path: Path, side: Side) -> tuple[Mapping[str, Tensor], Mapping[str, Any] | None]:
    """Return a tower's weights, named as in its state dict, and its front end where it is known."""
    if not path.is_file():
        made = PRE_TRAININGS[side]
        raise CheckpointError(
            f"No checkpoint at {path}, from which the {side} tower is to start: train it with "
            f"`vocalsketch fit --config conf/{made}.yaml --run_dir runs/{made}`, or name another "
            f"in --model.init_args.transfer.{side} or in the environment variable "
            f"{side.upper()}_TOWER."
        )
    if path.suffix.lower() in (".h5", ".hdf5"):
        return read_authors_tower(path, side), None
    saved, weights = read_saved(path)
    with description_used(path):
        described = saved["description"]
        system = described.get("system")
        if system == "classifier":
            prefix, front_end = "tower.", described["front_end"]
        elif system == "siamese":
            prefix, front_end = f"{side}_tower.", described["front_ends"][side]
        else:
            raise CheckpointError(
                f"{path} holds {system or 'something unknown'!r}, no tower that can be copied: "
                "give a checkpoint of conf/pretrain_voxforge.yaml or "
                "conf/pretrain_urbansound8k.yaml."
            )
    named = ((name.removeprefix(prefix), name) for name in weights if name.startswith(prefix))
    return {own: weights[name] for own, name in named}, front_end


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
        """Copy the pre-trained layers."""
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
