"""``vocalsketch crossvalidate``: a fresh model per fold, accuracy per fold and over all."""

import argparse
from pathlib import Path

from vocalsketch.commands.actions import SLOTS, Options

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
    from vocalsketch.jobs.job import choose_slots

    configs = [part for path in arguments.config for part in ("--config", path)]
    cross_validate(
        [*configs, *arguments.overrides],
        arguments.run_dir,
        arguments.folds or tuple(FOLDS),
        choose_slots(arguments.devices, arguments.jobs),
    )
    return 0
