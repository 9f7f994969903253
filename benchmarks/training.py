"""Training pairs/s: each distinct clip once per batch, against both towers for every pair.

    python benchmarks/training.py [--config CONFIG] [--root DIR] [--rounds N]

Runs one epoch of IMINET (tied), or another config, on the same pairs in both ways, in turns, and
prints the ratio. Then, distinct clips alone, before and after memory that is freed is kept, as
`fit` keeps it. The features are computed beforehand and are not timed.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from vocalsketch.datamodules import PairsDataModule
from vocalsketch.datamodules.batches import PairBatch
from vocalsketch.experiment.parser import ExperimentCLI
from vocalsketch.experiment.run import keep_memory

CONFIG = Path(__file__).resolve().parents[1] / "conf" / "iminet_tied.yaml"


def pair_by_pair(batch: PairBatch) -> PairBatch:
    """Return the same pairs, every pair with clips of its own."""
    pairs = torch.arange(len(batch.labels))
    return PairBatch(
        batch.imitations[batch.imitation_index],
        batch.recordings[batch.recording_index],
        pairs,
        pairs,
        batch.labels,
    )


def epoch_seconds(cli: ExperimentCLI, *, distinct: bool) -> float:
    """Train one epoch and return how long it took, reading of features included."""
    optimizer = cli.model.optimizer(cli.model.parameters())
    cli.model.train()
    started = time.perf_counter()
    for batch in cli.datamodule.train_dataloader():
        used = batch if distinct else pair_by_pair(batch)
        loss = cli.model.criterion(cli.model(used), used.labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", default=str(CONFIG), help="what is trained")
    parser.add_argument("--root", default="demo", help="corpus (default: demo)")
    parser.add_argument("--rounds", type=int, default=5, help="epochs timed of each way")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    logger = "--trainer.logger=false"
    for grouped in ("true", "false"):
        options = ["--data.init_args.root", arguments.root, "--data.init_args.grouped", grouped]
        cli = ExperimentCLI("fit", ["--config", arguments.config, *options, logger])
        data: PairsDataModule = cli.datamodule
        data.prepare_data()
        data.setup("fit")
        pairs = sum(len(batch.labels) for batch in data.train_dataloader())
        for distinct in (True, False):  # warm up
            epoch_seconds(cli, distinct=distinct)
        times = np.array(
            [[epoch_seconds(cli, distinct=each) for each in (True, False)]
             for _ in range(arguments.rounds)]
        )  # fmt: skip
        ours, plain = np.median(times, axis=0)
        ratio = np.median(times[:, 1] / times[:, 0])
        print(
            f"grouped: {grouped:5}  {pairs} pairs, batch {data.batch_size}: distinct clips "
            f"{pairs / ours:.0f} pairs/s, pair by pair {pairs / plain:.0f} pairs/s, "
            f"ratio {ratio:.2f}"
        )
    given_back = [epoch_seconds(cli, distinct=True) for _ in range(arguments.rounds)]
    keep_memory()
    epoch_seconds(cli, distinct=True)  # warm up
    kept = [epoch_seconds(cli, distinct=True) for _ in range(arguments.rounds)]
    print(f"memory kept: {np.median(given_back) / np.median(kept):.2f} times as fast")


if __name__ == "__main__":
    main()
