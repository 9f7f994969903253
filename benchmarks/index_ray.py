"""What a core embeds a second: threads of one process beside the workers of a Ray cluster here.

Prints, for the default system and made-up sounds of 0.5 to 4 s, medians over rounds in which all
ways take turns: rows a second a core, from the first batch that is done to the last; then what the
rest of a build takes, for which the number of cores does not matter, and the size of a row.

    python benchmarks/index_ray.py
"""

import argparse
import logging
import os
import tempfile
import time
from pathlib import Path
from statistics import median

import numpy as np
import ray
from made_up import made_up_sounds

from vocalsketch.search import Index, build_index

WAYS = {
    f"{name}, {cores}": (cores, far)
    for name, far in (("threads", None), ("Ray workers", ""))
    for cores in (1, 2)
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--sounds", type=int, default=1500, help="default 1500")
    parser.add_argument("--rounds", type=int, default=3, help="default 3")
    arguments = parser.parse_args()
    os.environ.setdefault("RAY_worker_niceness", "0")  # as the threads have it
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        library = made_up_sounds(folder / "library", arguments.sounds)
        few = made_up_sounds(folder / "few", 32)
        rates: dict[str, list[float]] = {way: [] for way in WAYS}
        rest: list[float] = []
        for number in range(arguments.rounds):
            for way, (cores, far) in WAYS.items():
                if far is not None:
                    ray.init(
                        "local", num_cpus=cores, log_to_driver=False, logging_level=logging.ERROR
                    )
                index = folder / f"{way} {number}"
                rate, ended = measured(few, library, index, None if far == "" else cores, far)
                rates[way].append(rate / cores)
                rest.append(ended)
                ray.shutdown()
        opened = Index.open(index)
        size = sum(file.stat().st_size for file in index.glob("*.arrow")) / opened.windows
        first = next(iter(WAYS))
        for way, found in rates.items():
            times = median(found) / median(rates[first])
            print(f"{way}: {median(found):.1f} rows/s a core, {times:.2f} times {first}")
        same = same_rows([Index.open(folder / f"{way} 0") for way in WAYS])
        print(
            f"the rest: {opened.windows / median(rest):,.0f} rows/s; {size:.0f} bytes a row; {same}"
        )


def measured(
    few: Path, library: Path, index: Path, jobs: int | None, far: str | None
) -> tuple[float, float]:
    """Return rows a second of all cores together, and the seconds after the last batch."""
    warm = index.with_name(f"{index.name} of few")
    build_index(few, warm, jobs=jobs, ray=far, progress=False)
    told: list[tuple[float, int]] = []
    tell = lambda done, _: told.append((time.perf_counter(), done))  # noqa: E731
    report = build_index(library, index, jobs=jobs, ray=far, progress=tell)
    ended = time.perf_counter() - told[-1][0]
    (begun, first), (last, done) = told[0], told[-1]
    return (done - first) * report.windows / report.sounds / (last - begun), ended


def same_rows(indexes: list[Index]) -> str:
    """Return whether all indexes hold the same rows, bit for bit."""
    one, *others = [index.table for index in indexes]
    same = all(
        other.live == one.live
        and np.array_equal(*(t.embeddings(np.arange(len(t))) for t in (one, other)))
        for other in others
    )
    return "all indexes are the same" if same else "THE INDEXES DIFFER"


if __name__ == "__main__":
    main()
