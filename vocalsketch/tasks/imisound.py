"""Training of IMISOUND's stacked autoencoder (paper, section VI-C)."""

from typing import Any

import torch
from pytorch_lightning.cli import OptimizerCallable
from torch import Tensor
from torch.nn import functional

from vocalsketch.datamodules.batches import ClipBatch
from vocalsketch.domain import SIDES
from vocalsketch.errors import ConfigError, refuse_below
from vocalsketch.features.cqt import CQT
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.models.autoencoder import PATCH_FRAMES, PATCH_HOP, Activation
from vocalsketch.systems.baselines import Imisound
from vocalsketch.tasks.retrieval import RetrievalTask


class ImisoundTask(RetrievalTask):
    """IMISOUND: patches of imitations are reconstructed; clips are compared by cosine similarity.

    Each hidden layer is first trained alone for ``layer_epochs`` epochs, from the one nearest
    the spectrogram; in all later epochs the stack is trained as a whole. Neither labels nor
    recordings are used.

    Source: Zhang, Pardo and Duan, TASLP 2018, section VI-C, doi:10.1109/TASLP.2018.2868428.

    Args:
        hidden: Units of the hidden layers.
        activation: ``sigmoid``, ``tanh`` or ``relu``; the paper does not say.
        patch_frames: Frames of a patch; 20 of 26.25 ms are the paper's 525 ms.
        patch_hop: Frames from one patch's start to the next one's.
        delta_width: Patches, an odd number, over which the delta's slope is taken.
        layer_epochs: Epochs that train each layer alone.
        optimizer: Makes the optimizer from the parameters.
        imitation_front_end: Taken from the data.
        recording_front_end: Taken from the data.

    Raises:
        ConfigError: A geometry does not fit, or both sides do not have the same bins.
    """

    system: Imisound

    def __init__(
        self,
        hidden: list[int] = [1000, 600],  # noqa: B006 - never changed; jsonargparse shows it in help
        activation: Activation = "sigmoid",
        patch_frames: int = PATCH_FRAMES,
        patch_hop: int = PATCH_HOP,
        delta_width: int = 3,
        layer_epochs: int = 6,
        optimizer: OptimizerCallable = torch.optim.Adam,
        imitation_front_end: FrontEnd | None = None,
        recording_front_end: FrontEnd | None = None,
    ) -> None:
        refuse_below(0, layer_epochs=layer_epochs)
        ends = imitation_front_end or CQT(), recording_front_end or CQT()
        front_ends = dict(zip(SIDES, ends, strict=True))
        super().__init__(
            Imisound(front_ends, hidden, activation, patch_frames, patch_hop, delta_width)
        )
        self.layer_epochs = layer_epochs
        self.optimizer = optimizer

    def on_fit_start(self) -> None:
        """Check that the schedule comes to train the whole."""
        layers, epochs = len(self.system.autoencoder.encoders), self.trainer.max_epochs or 0
        alone = self.layer_epochs * layers
        if 0 <= epochs <= alone and not self.trainer.fast_dev_run:  # type: ignore[attr-defined]  # Lightning sets it
            raise ConfigError(
                f"trainer.max_epochs is {epochs}, but {layers} layers are trained "
                f"alone for layer_epochs {self.layer_epochs} each: give more than {alone} epochs, "
                "so that the stack is trained as a whole."
            )

    @property
    def layer_alone(self) -> int | None:
        """The layer that the running epoch trains alone; None where it trains the whole."""
        alone = self.layer_epochs * len(self.system.autoencoder.encoders)
        return self.current_epoch // self.layer_epochs if self.current_epoch < alone else None

    def sounding(self, spectrograms: Tensor) -> Tensor:
        """Return the patches of all clips that come before the padding, (patches, values)."""
        windows, counts = self.system.cut(spectrograms)
        return windows[torch.arange(windows.shape[1], device=counts.device) < counts[:, None]]

    def training_step(self, batch: ClipBatch) -> Tensor:
        """Return the mean squared error of what is trained: one layer, or the whole."""
        inputs = self.sounding(batch.features)
        layer = self.layer_alone
        if layer is None:
            loss, name = functional.mse_loss(self.system.autoencoder(inputs), inputs), "whole"
        else:
            with torch.no_grad():
                inputs = self.system.autoencoder.encode(inputs, layer)
            rebuilt = self.system.autoencoder.reconstruct_layer(layer, inputs)
            loss, name = functional.mse_loss(rebuilt, inputs), f"layer{layer + 1}"
        options: dict[str, Any] = {"on_step": False, "on_epoch": True, "batch_size": len(inputs)}
        self.log(f"train/loss_{name}", loss, **options)
        return loss

    def validation_step(self, batch: ClipBatch) -> None:
        """Embed the clips of a batch; log how well the whole reconstructs imitations."""
        super().validation_step(batch)
        if batch.side == "imitation":
            inputs = self.sounding(batch.features)
            loss = functional.mse_loss(self.system.autoencoder(inputs), inputs)
            options: dict[str, Any] = {"batch_size": len(inputs), "sync_dist": True}
            self.log("val/loss", loss, on_epoch=True, prog_bar=True, **options)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return one optimizer of all layers; it passes over those without a gradient."""
        return self.optimizer(self.parameters())
