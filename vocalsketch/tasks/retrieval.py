"""What every retrieval system shares: embed each clip once, then score every pair."""

from abc import abstractmethod
from typing import cast

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from vocalsketch.datamodules.batches import ClipBatch
from vocalsketch.datamodules.evaluation import EvaluationSet
from vocalsketch.datamodules.retrieval import RetrievalDataModule
from vocalsketch.domain import SIDES, Indices, Kind, Side
from vocalsketch.retrieval.scores import CategoryScores


class RetrievalTask(pl.LightningModule):
    """A system that represents each clip by a vector and scores pairs of vectors.

    Validation, testing and prediction pass each clip of a half through the network once, share
    the vectors among all processes, and score pairs from vectors. A subclass says how a clip
    becomes a vector and how two vectors are scored.
    """

    score_kind: Kind

    def __init__(self) -> None:
        super().__init__()
        self._vectors: dict[Side, Tensor] = {}
        self._seen: dict[Side, Tensor] = {}
        self._gathered = False

    @abstractmethod
    def embed(self, side: Side, features: Tensor) -> Tensor:
        """Map clips (clips, bins, frames) of one side to vectors (clips, width)."""

    @abstractmethod
    def score_matrix(self, imitations: Tensor, recordings: Tensor) -> Tensor:
        """Map vectors (queries, width), (candidates, width) to scores (queries, candidates)."""

    @property
    def evaluation_set(self) -> EvaluationSet:
        """The half that the running stage evaluates."""
        data = cast("RetrievalDataModule", self.trainer.datamodule)  # type: ignore[attr-defined]  # set by fit
        return data.evaluation_set(self.trainer.state.fn)

    def clear_vectors(self) -> None:
        """Forget the vectors of the last evaluation."""
        self._vectors, self._seen, self._gathered = {}, {}, False

    on_validation_epoch_start = clear_vectors
    on_test_epoch_start = clear_vectors
    on_predict_epoch_start = clear_vectors

    def validation_step(self, batch: ClipBatch) -> None:
        """Embed the clips of a batch and remember their vectors."""
        vectors = self.embed(batch.side, batch.features).float()
        if batch.side not in self._vectors:
            evaluated = self.evaluation_set
            clips = evaluated.imitations if batch.side == "imitation" else evaluated.sounds
            self._vectors[batch.side] = vectors.new_zeros((len(clips), vectors.shape[1]))
            self._seen[batch.side] = vectors.new_zeros(len(clips))
        self._vectors[batch.side][batch.rows] = vectors
        self._seen[batch.side][batch.rows] = 1.0

    test_step = validation_step

    def predict_step(self, batch: ClipBatch) -> Tensor:
        """Embed the clips of a batch; return their rows."""
        self.validation_step(batch)
        return batch.rows

    def vectors(self) -> dict[Side, Tensor] | None:
        """Return the vectors of every clip of the half, from all processes.

        Every process must call this. None where the clips were not all evaluated, as under
        ``fast_dev_run`` or ``limit_val_batches``: a ranking among some is not a result.
        """
        if not self._gathered:
            self._gather()
            self._gathered = True
        complete = len(self._seen) == len(SIDES) and all(
            bool((seen > 0).all()) for seen in self._seen.values()
        )
        return self._vectors if complete else None

    def _gather(self) -> None:
        """Add up what the processes hold: each clip is another process's row of zeros."""
        if self.trainer.world_size == 1:
            return
        for side in SIDES:
            for held in (self._vectors, self._seen):
                held[side] = cast(
                    "Tensor", self.trainer.strategy.reduce(held[side], reduce_op="sum")
                )

    @torch.no_grad()
    def category_scores(self) -> list[CategoryScores] | None:
        """Score each category's queries against its candidates; None where clips are missing."""
        vectors = self.vectors()
        if vectors is None:
            return None
        evaluated = self.evaluation_set
        return [
            self._scores_of(evaluated, category, queries, candidates, vectors)
            for category, queries, candidates in evaluated.categories()
        ]

    def _scores_of(
        self,
        evaluated: EvaluationSet,
        category: str,
        queries: Indices,
        candidates: Indices,
        vectors: dict[Side, Tensor],
    ) -> CategoryScores:
        scores = self.score_matrix(
            vectors["imitation"][torch.from_numpy(queries)],
            vectors["recording"][torch.from_numpy(candidates)],
        )
        column = {int(sound): index for index, sound in enumerate(candidates)}
        return CategoryScores(
            category,
            tuple(evaluated.imitations[query].id for query in queries),
            tuple(evaluated.sounds[sound].id for sound in candidates),
            np.array([column[int(target)] for target in evaluated.targets[queries]]),
            scores.double().cpu().numpy(),
        )
