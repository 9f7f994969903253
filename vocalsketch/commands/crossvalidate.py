"""``vocalsketch crossvalidate``: a fresh model per fold, accuracy per fold and over all."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command takes."""
    parser.add_argument(
        "--config",
        action="append",
        required=True,
        help="config of the training, such as conf/pretrain_urbansound8k.yaml; may be repeated",
    )
    parser.add_argument(
        "--run_dir",
        type=Path,
        required=True,
        help="folder of all folds; folds that are done in it are not done again",
    )
    parser.add_argument(
        "--folds", type=int, nargs="+", help="folds to hold out, one after another (default: all)"
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="-- --KEY VALUE",
        help="after a lone --, keys of the config as for fit: -- --trainer.max_epochs 5",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the folds; return 130 where Ctrl-C ended them."""
    from vocalsketch.datasets.urbansound8k import FOLDS
    from vocalsketch.experiment.cross_validation import cross_validate

    configs = [part for path in arguments.config for part in ("--config", path)]
    result = cross_validate(
        [*configs, *arguments.overrides], arguments.run_dir, arguments.folds or tuple(FOLDS)
    )
    return 130 if result is None else 0
