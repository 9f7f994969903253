"""What a core embeds: threads of one process beside the workers of a Ray cluster on this machine.

Prints, for the default system and made-up sounds of 0.5 to 4 s, medians over rounds in which all
ways take turns: rows a second of processor time, of this process and its workers, and by the clock
for each core, from the first batch that is done to the last; then rows a second of what
follows, for which the number of cores does not matter, and the size of a row. Linux.

    python benchmarks/index_ray.py
"""

import argparse
import logging
import os
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import ray
from made_up import made_up_sounds

from vocalsketch.search import Index, build_index

WAYS = {
    f"{cores} {name}": (cores, far)
    for name, far in (("threads", None), ("Ray workers", ""))
    for cores in (1, 2)
}


class Moment(NamedTuple):
    """When so many sounds were done."""

    clock: float  # seconds
    processor: float  # seconds, of this process and the workers that it began
    sounds: int


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--sounds", type=int, default=600, help="default 600")
    parser.add_argument("--rounds", type=int, default=3, help="default 3")
    arguments = parser.parse_args()
    os.environ.setdefault("RAY_worker_niceness", "0")  # as the threads have it
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        library = made_up_sounds(folder / "library", arguments.sounds)
        few = made_up_sounds(folder / "few", 32)
        rates: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
        rest: list[float] = []
        for number in range(arguments.rounds):
            for way, (cores, far) in WAYS.items():
                if far is not None:
                    ray.init("local", num_cpus=cores, logging_level=logging.ERROR)
                how = {"jobs": cores} if far is None else {"ray": far}
                build_index(few, folder / f"few of {way} {number}", progress=False, **how)
                index = folder / f"{way} {number}"
                begun, ended, after = measured(library, index, how)
                rows = (ended.sounds - begun.sounds) * Index.open(index).windows / arguments.sounds
                by_processor = rows / (ended.processor - begun.processor)
                rates[way].append((by_processor, rows / (ended.clock - begun.clock) / cores))
                rest.append(after)
                print(f"{way}, round {number}: {by_processor:.1f} rows/s", flush=True)
                ray.shutdown()
        shown = [Index.open(folder / f"{way} 0") for way in WAYS]
        for way, found in rates.items():
            processor, clock = (median(each) for each in zip(*found, strict=True))
            print(f"{way}: {processor:.1f} rows/s of processor time; {clock:.1f} by the clock")
        windows = shown[0].windows
        size = sum(file.stat().st_size for file in index.glob("*.arrow")) / windows
        print(f"what follows: {windows / median(rest):,.0f} rows/s; {size:.0f} bytes a row")
        print("all indexes are the same" if same(shown) else "THE INDEXES DIFFER")


def measured(library: Path, index: Path, how: dict) -> tuple[Moment, Moment, float]:
    """Build; return the moments of the first and last batch, and the seconds after it."""
    told: list[Moment] = []

    def tell(done: int, _: int) -> None:
        told.append(Moment(time.perf_counter(), processor_time(), done))

    build_index(library, index, progress=tell, **how)
    return told[0], told[-1], time.perf_counter() - told[-1].clock


def processor_time() -> float:
    """Return the seconds that this process and the workers that it began have computed."""
    used, children = {os.getpid(): 0}, {}
    for file in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = file.read_text().rpartition(")")[2].split()
            title = file.with_name("cmdline").read_text()
        except OSError:  # it has just ended
            continue
        works = title.startswith("ray::") or int(file.parent.name) == os.getpid()
        used[int(file.parent.name)] = works * (int(fields[11]) + int(fields[12]))
        children.setdefault(int(fields[1]), []).append(int(file.parent.name))
    mine = [os.getpid()]
    for process in mine:
        mine += children.get(process, [])
    return sum(used[process] for process in mine) / os.sysconf("SC_CLK_TCK")


def same(indexes: list[Index]) -> bool:
    """Whether all indexes hold the same rows, bit for bit."""
    rows = [index.table.live for index in indexes]
    stored = [index.table.embeddings(np.arange(len(index.table))) for index in indexes]
    return all(
        live == rows[0] and np.array_equal(each, stored[0])
        for live, each in zip(rows, stored, strict=True)
    )


if __name__ == "__main__":
    main()
