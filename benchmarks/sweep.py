"""How many trials a minute a sweep makes with one worker and with two.

    python benchmarks/sweep.py
    python benchmarks/sweep.py --root path/to/vocalsketch --trials 24 --epochs 5

Every trial trains the same IMINET at another rate, on one thread. The efficiency is the rate of
all workers over as many times the rate of one. Two processes that share a memory bus, or a core's
two threads, do not make twice as much, whatever they run: so the same ``fit`` is also timed in as
many processes of their own, without a study. What a sweep itself costs is its efficiency over
that one.

A rate is what one process makes in the median time from one start to its next, summed over the
processes: neither their first training, which imports and compiles, nor the last ones, beside
which others have nothing left to do, weigh on it.
"""

import argparse
import contextlib
import dataclasses
import itertools
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import optuna

from vocalsketch.experiment import run_experiment
from vocalsketch.experiment.config import assigned, write_tree
from vocalsketch.jobs.job import THREADS, Slot
from vocalsketch.sweep.definition import Definition, open_study, read_definition
from vocalsketch.sweep.run import QUICK_START, checked, run_workers
from vocalsketch.sweep.storage import WORKER

STUDY = """
name: benchmark
config: {config}
sampler: random
overrides: {{ trainer.max_epochs: {epochs}, data.init_args.root: {root} }}
space:
  rate:
    key: model.init_args.optimizer.init_args.lr
    type: float
    low: 1.0e-4
    high: 1.0e-2
    log: true
"""
AS_IN_A_TRIAL = {
    "trainer.enable_progress_bar": False,
    "trainer.logger.init_args.upload_checkpoint": False,
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--config", type=Path, default=Path("conf/iminet_tied.yaml"))
    parser.add_argument("--root", default="demo", help="corpus, default demo")
    parser.add_argument("--trials", type=int, default=8, help="of each worker, default 8")
    parser.add_argument("--epochs", type=int, default=3, help="of each trial, default 3")
    parser.add_argument("--workers", type=int, default=2, help="against one, default 2")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    os.environ.update({**dict.fromkeys(THREADS, "1"), **QUICK_START})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        study_file = folder / "benchmark.yaml"
        text = STUDY.format(
            config=arguments.config.resolve(), epochs=arguments.epochs, root=arguments.root
        )
        study_file.write_text(text)
        definition = checked(read_definition(study_file))
        counts = (1, arguments.workers)
        fits = {
            n: fits_alone(definition, folder / f"fits-{n}", arguments.trials, n) for n in counts
        }
        trials = {n: sweep(definition, folder / f"sweep-{n}", arguments.trials, n) for n in counts}
    ceiling, efficiency = (
        rates[arguments.workers] / (arguments.workers * rates[1]) for rates in (fits, trials)
    )
    print(
        f"efficiency of {arguments.workers} workers on {os.cpu_count()} cores: {efficiency:.2f}; "
        f"of as many fits without a study: {ceiling:.2f}; one over the other: "
        f"{efficiency / ceiling:.2f}"
    )


def sweep(definition: Definition, folder: Path, trials: int, workers: int) -> float:
    """Return the trials per minute of a study's workers, and print them."""
    definition = dataclasses.replace(definition, folder=folder)
    study = open_study(definition)
    run_workers(study, definition, trials * workers, [Slot("cpu")] * workers)
    done = study.get_trials(deepcopy=False)
    by_worker: dict[str, list[float]] = {}
    for trial in done:
        by_worker.setdefault(trial.user_attrs[WORKER], []).append(trial.datetime_start.timestamp())
    made = rate(by_worker.values())
    print(f"{workers} worker(s): {made:.2f} trials/min")
    return made


def fits_alone(definition: Definition, folder: Path, count: int, processes: int) -> float:
    """Return the fits per minute of processes that know of no study, and print them."""
    folder.mkdir()
    config = folder / "config.yaml"
    config.write_text(write_tree(assigned(definition.config, AS_IN_A_TRIAL)))
    context = multiprocessing.get_context("spawn")
    gate, starts = context.Barrier(processes), context.Queue()
    running = [
        context.Process(target=fit_often, args=(config, folder / str(number), count, gate, starts))
        for number in range(processes)
    ]
    for process in running:
        process.start()
    made = rate([starts.get() for _ in running])
    for process in running:
        process.join()
    print(f"{processes} process(es) without a study: {made:.2f} fits/min")
    return made


def fit_often(config: Path, folder: Path, count: int, gate: Any, starts: Any) -> None:
    """Train so often, all processes beginning together; tell when each training began."""
    gate.wait()
    begun = []
    for number in range(count):
        begun.append(time.time())
        options = ["--run_dir", str(folder / str(number)), "--test_after_fit", "false"]
        with Path(os.devnull).open("w") as nothing, contextlib.redirect_stdout(nothing):
            run_experiment("fit", ["--config", str(config), *options])
    starts.put(begun)


def rate(starts: Iterable[list[float]]) -> float:
    """Return how many a minute several processes make, each of which began at these seconds."""
    return sum(
        60 / statistics.median(later - earlier for earlier, later in itertools.pairwise(each[1:]))
        for each in map(sorted, starts)
    )


if __name__ == "__main__":
    main()
