"""Writes what an evaluation came to into the run's folder."""

import csv
from pathlib import Path

import pytorch_lightning as pl

from vocalsketch.domain import Half
from vocalsketch.files import written_whole
from vocalsketch.retrieval.results import Results, results_dict, write_results
from vocalsketch.retrieval.scores import CategoryScores, Scores
from vocalsketch.tasks.retrieval import RetrievalTask


class ResultsWriter(pl.Callback):
    """Writes results, ranks and scores at the end of ``validate``, ``test`` and ``predict``.

    Args:
        folder: Where to.
        system: Name of what is evaluated, such as ``iminet_tied``.

    Attributes:
        written: The results of each half evaluated, on every process.
    """

    def __init__(self, folder: Path, system: str) -> None:
        self.folder = folder
        self.system = system
        self.written: dict[Half, Results] = {}

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the validation half's results, unless this validation is a part of training."""
        if trainer.state.fn == "validate":
            self._write(trainer, pl_module)

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the test half's results."""
        self._write(trainer, pl_module)

    def on_predict_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write every query's score for every candidate, npz and one CSV per category."""
        scores = self._scores(pl_module)
        if scores is not None and trainer.is_global_zero:
            scores.save(self.folder / f"scores_{scores.half}.npz")
            for category in scores.categories:
                _write_matrix(self.folder, scores.half, category)

    def _scores(self, module: pl.LightningModule) -> Scores | None:
        if not isinstance(module, RetrievalTask):
            return None
        categories = module.category_scores()
        if categories is None:
            return None
        evaluated = module.evaluation_set
        return Scores(
            kind=module.system.kind,
            corpus=evaluated.corpus,
            split=evaluated.split,
            split_name=evaluated.split_name,
            half=evaluated.half,
            system=self.system,
            categories=tuple(categories),
        )

    def _write(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        scores = self._scores(module)
        if scores is None or not isinstance(module, RetrievalTask):
            return
        skipped = module.evaluation_set.skipped
        self.written[scores.half] = results_dict(scores, skipped)
        if trainer.is_global_zero:
            write_results(self.folder, scores, skipped)


def _write_matrix(folder: Path, half: Half, category: CategoryScores) -> None:
    """Write a line per query, a column per candidate."""
    path = folder / f"scores_{half}_{category.category.replace(' ', '_')}.csv"
    with written_whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(["query", *category.candidates])
        for query, row in zip(category.queries, category.scores, strict=True):
            writer.writerow([query, *(repr(float(score)) for score in row)])
