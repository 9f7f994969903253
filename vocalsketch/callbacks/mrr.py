"""MRR per category and all other measures, at every validation and test."""

import numpy as np
import pytorch_lightning as pl

from vocalsketch.errors import ConfigError
from vocalsketch.retrieval.metrics import MEASURES, measured
from vocalsketch.tasks.retrieval import RetrievalTask


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
