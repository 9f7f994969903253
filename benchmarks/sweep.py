"""How many trials a minute a sweep makes with one worker and with two, and what a trial costs.

    python benchmarks/sweep.py
    python benchmarks/sweep.py --root path/to/vocalsketch --trials 24 --epochs 5

Both studies train the same trials of IMINET (a random search's trial depends on seed and number
only), one thread per worker, one study after the other. The rate is counted from the start of the
first trial to the end of the last, so that starting the processes does not count; the efficiency
is the rate with several workers over as many times the rate with one.
"""

import argparse
import tempfile
from pathlib import Path

import optuna

from vocalsketch.cores import available_cores
from vocalsketch.sweep.base import checked
from vocalsketch.sweep.definition import Definition, read_definition
from vocalsketch.sweep.devices import THREADS
from vocalsketch.sweep.launcher import Launcher
from vocalsketch.sweep.run import place_of
from vocalsketch.sweep.status import median_overhead
from vocalsketch.sweep.storages import open_storage
from vocalsketch.sweep.study import open_study

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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--config", type=Path, default=Path("conf/iminet_tied.yaml"))
    parser.add_argument("--root", default="demo", help="corpus, default demo")
    parser.add_argument("--trials", type=int, default=16, help="in each study, default 16")
    parser.add_argument("--epochs", type=int, default=3, help="of each trial, default 3")
    parser.add_argument("--workers", type=int, default=2, help="against one, default 2")
    parser.add_argument("--rounds", type=int, default=1, help="best of so many, default 1")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        study_file = Path(folder) / "benchmark.yaml"
        text = STUDY.format(
            config=arguments.config.resolve(), epochs=arguments.epochs, root=arguments.root
        )
        study_file.write_text(text)
        definition = checked(read_definition(study_file))
        rates: dict[int, float] = {}
        for round_ in range(arguments.rounds):
            for workers in (1, arguments.workers):
                place = Path(folder) / f"{workers}-{round_}"
                rate, overhead = measured(definition, place, arguments.trials, workers)
                rates[workers] = max(rate, rates.get(workers, 0.0))
                print(
                    f"{workers} worker(s): {rate:.2f} trials/min, "
                    f"{overhead:.2f} s beyond training per trial (median)"
                )
    efficiency = rates[arguments.workers] / (arguments.workers * rates[1])
    workers = arguments.workers
    print(f"efficiency of {workers} workers: {efficiency:.2f} ({available_cores()} cores)")


def measured(
    definition: Definition, folder: Path, trials: int, workers: int
) -> tuple[float, float]:
    """Return the trials per minute of a study, and a trial's median seconds beyond training."""
    place = place_of(definition, None, folder)
    study = open_study(open_storage(place.storage), definition)
    environments = [dict.fromkeys(THREADS, "1")] * workers
    Launcher(study, place.storage, folder, trials, environments).run()
    done = study.get_trials(deepcopy=False)
    begun = min(trial.datetime_start for trial in done)
    ended = max(trial.datetime_complete for trial in done)
    overhead = median_overhead(done)
    assert overhead is not None
    return 60.0 * len(done) / (ended - begun).total_seconds(), overhead


if __name__ == "__main__":
    main()
