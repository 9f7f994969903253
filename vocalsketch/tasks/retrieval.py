"""What training any system has in common: embed each clip once, then score every pair."""

from typing import Any, cast

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from vocalsketch.datamodules.batches import ClipBatch
from vocalsketch.datamodules.retrieval import EvaluationSet, RetrievalDataModule
from vocalsketch.domain import SIDES, Indices, Side
from vocalsketch.features.cqt import CQT
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.retrieval.scores import CategoryScores
from vocalsketch.systems.baselines import TwoDFT
from vocalsketch.systems.checkpoints import description_used
from vocalsketch.systems.system import System

Embeddings = dict[Side, Tensor]
Heard = dict[Side, list[tuple[Tensor, Tensor]]]  # of each batch the rows and their embeddings
# of a checkpoint's provenance: what it began from, and whose that was
BEGINNINGS = ("transferred", "started_from", "licence")


class RetrievalTask(pl.LightningModule):
    """Trains a system; a subclass says by what loss.

    Validation, testing and prediction pass each clip of a half through the system once, share the
    embeddings among all processes, and score from them, once an evaluation.

    Args:
        system: What is trained.
    """

    def __init__(self, system: System) -> None:
        super().__init__()
        self.system = system
        self.begin_evaluation()

    @property
    def evaluation_set(self) -> EvaluationSet:
        """The half that the running stage evaluates."""
        data = cast("RetrievalDataModule", self.trainer.datamodule)  # type: ignore[attr-defined]  # set by fit
        return data.evaluation_set(self.trainer.state.fn)

    def begin_training(self) -> None:
        """Take over what a training begins from; called for one that is not resumed."""

    def begin_evaluation(self) -> None:
        """Forget what the last evaluation came to."""
        self._heard: Heard = {side: [] for side in SIDES}
        self._embeddings: Embeddings | None = None
        self._scores: list[CategoryScores] | None = None

    on_validation_epoch_start = begin_evaluation
    on_test_epoch_start = begin_evaluation
    on_predict_epoch_start = begin_evaluation

    def validation_step(self, batch: ClipBatch) -> None:
        """Embed the clips of a batch and remember their embeddings."""
        # where a cache keeps waveforms, the front end has yet to hear them
        waveforms = self.system.front_ends[batch.side].cached == "waveform"
        heard = self.system.hear if waveforms else self.system.embed
        embeddings = heard(batch.side, batch.features).float()
        self._heard[batch.side].append((batch.rows.cpu(), embeddings.cpu()))

    test_step = validation_step

    def predict_step(self, batch: ClipBatch) -> Tensor:
        """Embed the clips of a batch; return their rows."""
        self.validation_step(batch)
        return batch.rows

    def embeddings(self) -> Embeddings | None:
        """Return the embeddings of every clip of the half, from all processes.

        Every process must call this. None where the clips were not all evaluated, as under
        ``fast_dev_run`` or ``limit_val_batches``: a ranking among some is not a result.
        """
        if self._embeddings is None:
            of_processes = [self._heard]
            if self.trainer.world_size > 1:
                of_processes *= self.trainer.world_size
                torch.distributed.all_gather_object(of_processes, self._heard)
            embeddings: Embeddings = {}
            for side, clips in self.evaluation_set.clips.items():
                batches = [batch for heard in of_processes for batch in heard[side]]
                if sum(len(rows) for rows, _ in batches) < len(clips):
                    return None
                rows, values = map(torch.cat, zip(*batches, strict=True))
                embeddings[side] = values[rows.argsort()].to(self.device)
            self._embeddings = embeddings
        return self._embeddings

    @torch.no_grad()
    def category_scores(self) -> list[CategoryScores] | None:
        """Score each category's queries against its candidates; None where clips are missing."""
        embeddings = self.embeddings()
        if embeddings is not None and self._scores is None:
            self._scores = [
                self._scores_of(*category, embeddings)
                for category in self.evaluation_set.categories()
            ]
        return self._scores

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what is needed to use the system without its config: plain values only."""
        data = self.trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it in fit
        checkpoint["vocalsketch"] = {
            "description": self.system.description(),
            "provenance": {**data.provenance(), **self.system.provenance},
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Check that the checkpoint is of this system; take over what its training began from.

        Raises:
            CheckpointError: It is of another; the first key that differs is named.
        """
        with description_used("The checkpoint"):
            self.system.require("The checkpoint", checkpoint["vocalsketch"]["description"])
            held = checkpoint["vocalsketch"]["provenance"]
            self.system.provenance = {key: held[key] for key in BEGINNINGS if key in held}

    def _scores_of(
        self, category: str, queries: Indices, candidates: Indices, embeddings: Embeddings
    ) -> CategoryScores:
        evaluated = self.evaluation_set
        scores = self.system.score(
            embeddings["imitation"][torch.from_numpy(queries)],
            embeddings["recording"][torch.from_numpy(candidates)],
        )
        asked, sounds = (evaluated.clips[side].records for side in SIDES)
        kinds = tuple(sounds[sound].classes for sound in candidates)
        return CategoryScores(
            category,
            tuple(asked[query].id for query in queries),
            tuple(sounds[sound].id for sound in candidates),
            np.searchsorted(candidates, evaluated.targets[queries]),
            scores.double().cpu().numpy(),
            kinds if any(kinds) else (),
        )


def with_keras_decay(optimizer: Optimizer, decay: float) -> Any:
    """Return what ``configure_optimizers`` does: the optimizer, decayed as Keras does if asked.

    After ``step`` steps the rate is initial / (1 + decay * step).
    """
    if not decay:
        return optimizer
    schedule = LambdaLR(optimizer, lambda step: 1.0 / (1.0 + decay * step))
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class TwoDFTTask(RetrievalTask):
    """The 2-D Fourier transform of the data's features; ``trainer.max_epochs: 0`` ranks at once.

    Args:
        imitation_front_end: Taken from the data.
        recording_front_end: Taken from the data.
    """

    def __init__(
        self,
        imitation_front_end: FrontEnd | None = None,
        recording_front_end: FrontEnd | None = None,
    ) -> None:
        ends = imitation_front_end or CQT(), recording_front_end or CQT()
        super().__init__(TwoDFT(dict(zip(SIDES, ends, strict=True))))
        self.automatic_optimization = False  # which would ask for an optimizer

    def training_step(self, batch: ClipBatch) -> None:
        """Learn nothing."""

    def configure_optimizers(self) -> list[Optimizer]:
        """Return none."""
        return []
