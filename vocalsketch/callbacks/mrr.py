"""MRR per category, at every validation and test."""

import pytorch_lightning as pl

from vocalsketch.errors import ConfigError
from vocalsketch.retrieval.ranking import mean_reciprocal_rank
from vocalsketch.tasks.retrieval import RetrievalTask


class MRRPerCategory(pl.Callback):
    """Logs ``val/mrr/<category>`` and their unweighted mean ``val/mrr``; likewise ``test/...``.

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
    values = {
        category.category: mean_reciprocal_rank(category.scores, category.targets)
        for category in scores
    }
    for category, value in values.items():
        module.log(f"{prefix}/mrr/{category.replace(' ', '_')}", value)
    module.log(f"{prefix}/mrr", sum(values.values()) / len(values), prog_bar=True)
