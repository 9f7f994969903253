"""What an evaluation leaves: metrics in the log, files of results, and what W&B shows."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import wandb
from matplotlib.cm import ScalarMappable

from vocalsketch.callbacks.wandb_tracker import WandbTracker, trackers
from vocalsketch.datamodules.batches import Part
from vocalsketch.datamodules.pretraining import ClassificationDataModule
from vocalsketch.datamodules.retrieval import RetrievalDataModule
from vocalsketch.domain import Half, Side
from vocalsketch.errors import ConfigError
from vocalsketch.files import write_table, write_text, written_whole
from vocalsketch.retrieval.results import Results, corpus_tag, results_dict, write_results
from vocalsketch.retrieval.scores import MEASURES, CategoryScores, Scores, measured
from vocalsketch.tasks.classification import ClassificationTask, Confusion
from vocalsketch.tasks.retrieval import RetrievalTask


class ResultsWriter(pl.Callback):
    """Writes what comes of ``validate``, ``test`` and ``predict``.

    Of a retrieval system these are results, ranks and scores. Of a classifier
    ``accuracy_<part>.json`` holds the figures, ``confusion_<part>.csv`` the counts (a row per true
    class) and ``confusion_<part>.png`` a picture, which W&B shows as ``<part>/confusion``.

    Args:
        folder: Where to.
        system: Name of what is evaluated, such as ``iminet_tied``.

    Attributes:
        written: The results of each half evaluated, on every process.
        confusions: The confusion of each part evaluated, likewise.
    """

    def __init__(self, folder: Path, system: str) -> None:
        self.folder = folder
        self.system = system
        self.written: dict[Half, Results] = {}
        self.confusions: dict[Part, Confusion] = {}

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the validation half's results, unless this validation is a part of training."""
        if trainer.state.fn == "validate":
            self._write(trainer, pl_module, "validation")

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write the test half's results."""
        self._write(trainer, pl_module, "test")

    def on_predict_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Write every query's score for every candidate, npz and one CSV per category."""
        scores = self._scores(pl_module)
        if scores is not None and trainer.is_global_zero:
            scores.save(self.folder / f"scores_{scores.half}.npz")
            for each in scores.categories:
                name = f"scores_{scores.half}_{each.category.replace(' ', '_')}.csv"
                values = each.scores.astype(float).tolist()
                rows = ((query, *row) for query, row in zip(each.queries, values, strict=True))
                write_table(self.folder / name, ("query", *each.candidates), rows)

    def title(self, part: Part, corpus: str) -> str:
        """Return what stands above a confusion matrix."""
        return f"{self.system}, {part} clips\n{corpus_tag(corpus)}"

    def _write(self, trainer: pl.Trainer, module: pl.LightningModule, part: Part) -> None:
        if isinstance(module, ClassificationTask):
            self.confusions[part] = module.confusion()
            if trainer.is_global_zero:
                self._write_confusion(trainer, part)
        scores = self._scores(module)
        if scores is not None and isinstance(module, RetrievalTask):
            results = results_dict(scores, module.evaluation_set.skipped)
            self.written[scores.half] = results
            if trainer.is_global_zero:
                write_results(self.folder, scores, results)

    def _scores(self, module: pl.LightningModule) -> Scores | None:
        if not isinstance(module, RetrievalTask):
            return None
        categories = module.category_scores()
        if categories is None:
            return None
        evaluated = module.evaluation_set
        return Scores(
            kind=module.system.kind,
            corpus=evaluated.split.corpus,
            split=evaluated.split.fingerprint,
            split_name=evaluated.split.name,
            half=evaluated.half,
            system=self.system,
            categories=tuple(categories),
        )

    def _write_confusion(self, trainer: pl.Trainer, part: Part) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it
        assert isinstance(data, ClassificationDataModule)
        confusion = self.confusions[part]
        figures = {
            "system": self.system,
            "part": part,
            "corpus": data.corpus.name,
            "split": data.split_name(),
            "skipped": {reason: list(names) for reason, names in data.skipped(part).items()},
            **confusion.to_dict(),
        }
        picture = write_confusion(
            self.folder / f"confusion_{part}", confusion, self.title(part, data.corpus.name)
        )
        # last: who finds it takes the part for done
        write_text(self.folder / f"accuracy_{part}.json", json.dumps(figures, indent=2) + "\n")
        for tracker in trackers(trainer):
            show_picture(tracker, f"{part}/confusion", picture)


def write_confusion(stem: Path, confusion: Confusion, title: str) -> Path:
    """Write counts (CSV, a line per true class) and a picture (PNG), whose path is returned."""
    rows = zip(confusion.classes, confusion.counts.tolist(), strict=True)
    header = ("true class", *confusion.classes)
    write_table(stem.with_suffix(".csv"), header, ((name, *row) for name, row in rows))
    picture = stem.with_suffix(".png")
    with written_whole(picture) as temporary:
        confusion.picture(title).savefig(temporary, dpi=120, format="png")
    return picture


def show_picture(tracker: WandbTracker, name: str, path: Path) -> None:
    """Log a picture to W&B."""
    tracker.safely(lambda: tracker.experiment.log({name: wandb.Image(str(path))}))


class MRRPerCategory(pl.Callback):
    """Logs ``val/mrr/<category>`` and their unweighted mean ``val/mrr``; likewise ``test/...``.

    The means of the other measures (``val/ndcg``, ``val/recall@10``, ...) stand beside it.

    All clips of the half are ranked, gathered from every process; where some were left out
    (``fast_dev_run``, ``limit_val_batches``) nothing is logged, since MRR among some of the
    candidates is another number.
    """

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the MRR of validation imitations among the development sounds."""
        if not trainer.sanity_checking:
            _log_mrr("val", pl_module)

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log the MRR of the test half."""
        _log_mrr("test", pl_module)


def _log_mrr(prefix: str, module: pl.LightningModule) -> None:
    if not isinstance(module, RetrievalTask):
        raise ConfigError(
            f"MRRPerCategory ranks retrieval systems; {type(module).__name__} is none. "
            "Take it out of trainer.callbacks."
        )
    scores = module.category_scores()
    if scores is None:
        return
    means = {each.category: measured(each).mean(axis=0) for each in scores}
    for category, values in means.items():
        module.log(f"{prefix}/mrr/{category.replace(' ', '_')}", float(values[0]))
    macro = np.mean(list(means.values()), axis=0)
    for name, value in zip(MEASURES, macro.tolist(), strict=True):
        module.log(f"{prefix}/{name}", value, prog_bar=name == "mrr")


Row = tuple[str, str, str, float, int, str]
COLUMNS = ("query", "target", "category", "rank", "candidates", "first ranked")
MEDIA = tuple(
    f"{role} {what}" for role in ("query", "target", "first") for what in ("spectrogram", "audio")
)


class RetrievalMedia(pl.Callback):
    """Logs ``test/queries`` (every query) and ``test/examples`` (with spectrograms and audio).

    Args:
        examples: How many of the best and how many of the worst queries of each category are
            shown with pictures and sounds.
    """

    def __init__(self, examples: int = 5) -> None:
        self.examples = examples

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Log both tables where W&B tracks the run."""
        if not isinstance(pl_module, RetrievalTask):
            return
        scores = pl_module.category_scores()
        if scores is None or not trainer.is_global_zero:
            return
        data = trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it in test
        for tracker in trackers(trainer):
            tracker.safely(partial(self._log, tracker, data, scores))

    def _log(
        self, tracker: WandbTracker, data: RetrievalDataModule, scores: list[CategoryScores]
    ) -> None:
        queries = wandb.Table(columns=list(COLUMNS))
        examples = wandb.Table(columns=[*COLUMNS, *MEDIA])
        for each in scores:
            names = np.array(each.candidates, dtype=object)
            first = names[each.scores.argmax(axis=1)]
            shown = zip(each.queries, names[each.targets], each.ranks, first, strict=True)
            rows: list[Row] = [
                (query, target, each.category, float(rank), len(names), best)
                for query, target, rank, best in shown
            ]
            for row in rows:
                queries.add_data(*row)
            order = np.argsort(each.ranks, kind="stable")
            for query in dict.fromkeys([*order[: self.examples], *order[-self.examples :]]):
                examples.add_data(*rows[query], *_media(data, rows[query]))
        tracker.experiment.log({"test/queries": queries, "test/examples": examples})


def _media(data: RetrievalDataModule, row: Row) -> Iterator[object]:
    sides: tuple[Side, ...] = ("imitation", "recording", "recording")
    for side, identity in zip(sides, (row[0], row[1], row[5]), strict=True):
        path, spectrogram = data.test_clip(side, identity)
        # low frequencies below
        pixels = ScalarMappable(cmap="magma").to_rgba(spectrogram.flip(0).numpy(), bytes=True)
        yield wandb.Image(pixels[..., :3], caption=identity)
        yield wandb.Audio(str(path), caption=identity)
