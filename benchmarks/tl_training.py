"""TL-IMINET's training: pairs/s in several ways, what reading batches costs, and peak memory.

    python benchmarks/tl_training.py [--root DIR] [--batches N] [--rounds N] [--bf16]

The same pairs are trained on in every way, in turns within each round, at the config's batch
size. The features are computed beforehand and are not timed. Peak memory is that of the whole
process, read after each way in the first round, pair by pair, which needs most, last. bfloat16 is
measured only when asked for: a CPU without instructions for it takes minutes for a step.
"""

import argparse
import resource
import statistics
import time
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

import torch
from training import pair_by_pair

from vocalsketch.datamodules.batches import PairBatch
from vocalsketch.experiment.parser import ExperimentCLI
from vocalsketch.tasks import SiameseTask

CONFIG = Path(__file__).resolve().parents[1] / "conf" / "tl_iminet_none.yaml"
WAYS: dict[str, tuple[bool, bool, bool]] = {
    # name: distinct clips, channels last, bfloat16
    "distinct clips": (True, False, False),
    "distinct clips, channels last": (True, True, False),
    "distinct clips, channels last, bf16": (True, True, True),
    "pair by pair": (False, False, False),
}


def prepared(root: str, *, channels_last: bool) -> ExperimentCLI:
    """Return the experiment of the config, its features computed and opened."""
    options = [
        *("--config", str(CONFIG), "--data.init_args.root", root, "--trainer.logger", "false"),
        *("--model.init_args.channels_last", str(channels_last).lower()),
    ]
    cli = ExperimentCLI("fit", options)
    cli.datamodule.prepare_data()
    cli.datamodule.setup("fit")
    return cli


def step_seconds(model: SiameseTask, batches: Iterable[PairBatch], *, bf16: bool) -> list[float]:
    """Train on batches, and return how long each step took, getting the batch included."""
    optimizer = model.optimizer(model.parameters())
    model.train()
    seconds = []
    started = time.perf_counter()
    for batch in batches:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = model.criterion(model(batch), batch.labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seconds.append(time.perf_counter() - started)
        started = time.perf_counter()
    return seconds


def peak_megabytes() -> float:
    """Return the most memory this process ever held, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def full_batches(cli: ExperimentCLI, count: int) -> list[PairBatch]:
    """Return the first batches of an epoch that are full."""
    size = cli.datamodule.batch_size
    loader: Iterable[PairBatch] = cli.datamodule.train_dataloader()
    return list(islice((batch for batch in loader if len(batch.labels) == size), count))


def measure_ways(
    arguments: argparse.Namespace, clis: dict[bool, ExperimentCLI]
) -> dict[str, list[float]]:
    """Return the seconds of every step of each way; prints peak memory on the way."""
    ways = {name: way for name, way in WAYS.items() if arguments.bf16 or not way[2]}
    batches = full_batches(clis[False], arguments.batches)
    shown = batches[0]
    print(
        f"a batch: {len(shown.labels)} pairs of {len(shown.imitations)} distinct imitations and "
        f"{len(shown.recordings)} distinct recordings"
    )
    alike = [pair_by_pair(batch) for batch in batches]
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(arguments.rounds + 1):
        for name, (distinct, channels_last, bf16) in ways.items():
            model = clis[channels_last].model
            taken = step_seconds(model, batches if distinct else alike, bf16=bf16)
            if number:  # the first round warms up
                seconds[name] += taken
            else:
                print(f"peak memory after {name}: {peak_megabytes():.0f} MB")
    return seconds


def measure_reading(
    cli: ExperimentCLI, arguments: argparse.Namespace
) -> tuple[list[float], list[float]]:
    """Return the seconds of steps on batches from the loader, and on random tensors alike."""
    shapes = full_batches(cli, arguments.batches)
    size = len(shapes[0].labels)
    random = [
        batch._replace(
            imitations=torch.randn_like(batch.imitations),
            recordings=torch.randn_like(batch.recordings),
        )
        for batch in shapes
    ]
    read: list[float] = []
    made: list[float] = []
    for number in range(arguments.rounds + 1):
        loader: Iterable[PairBatch] = cli.datamodule.train_dataloader()
        loaded = islice((batch for batch in loader if len(batch.labels) == size), len(shapes))
        for kept, batches in ((read, loaded), (made, random)):
            taken = step_seconds(cli.model, batches, bf16=False)
            kept += taken if number else []
    return read, made


def median(seconds: list[float]) -> float:
    """Return the middle one, which other programs on the machine disturb least."""
    return statistics.median(seconds)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", default="demo", help="corpus (default: demo)")
    parser.add_argument("--batches", type=int, default=2, help="batches of a round")
    parser.add_argument("--rounds", type=int, default=2, help="rounds timed, after a first")
    parser.add_argument("--bf16", action="store_true", help="measure bfloat16 too")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    clis = {last: prepared(arguments.root, channels_last=last) for last in (False, True)}
    pairs = clis[False].datamodule.batch_size
    seconds = measure_ways(arguments, clis)
    slowest = median(seconds["pair by pair"])
    print(f"{torch.get_num_threads()} threads, batches of {pairs} pairs, median step:")
    for name, steps in seconds.items():
        step = median(steps)
        print(f"{name:36s} {step:6.2f} s {pairs / step:7.1f} pairs/s {slowest / step:5.2f} x")
    shipped = clis[True]
    read, made = measure_reading(shipped, arguments)
    print(
        f"step on cached features {median(read):.3f} s, on random tensors {median(made):.3f} s: "
        f"ratio {median(read) / median(made):.3f}"
    )


if __name__ == "__main__":
    main()
