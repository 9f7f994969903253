"""``vocalsketch crossvalidate``: a fresh model per fold, accuracy per fold and over all."""

import argparse
from pathlib import Path

from vocalsketch.commands.actions import SLOTS, Options, slots_of

OPTIONS: Options = {
    "--config!": ([str], "such as conf/pretrain_urbansound8k.yaml; may be repeated"),
    "--run_dir!": (Path, "folder of all folds; those that are done are not done again"),
    "--folds+": (int, "to hold out (default: all)"),
    **SLOTS,
    "overrides* -- --KEY VALUE": (
        str,
        "after a lone --, keys of the config as for fit: -- --trainer.max_epochs 5",
    ),
}


def run(arguments: argparse.Namespace) -> int:
    """Run the folds."""
    from vocalsketch.datasets.labelled import FOLDS
    from vocalsketch.jobs.cross_validation import cross_validate

    configs = [part for path in arguments.config for part in ("--config", path)]
    cross_validate(
        [*configs, *arguments.overrides],
        arguments.run_dir,
        arguments.folds or tuple(FOLDS),
        slots_of(arguments),
    )
    return 0
