"""How fast and how exact a search is, against the limits of the machine.

Prints, for TL-IMINET and IMINET with the paper's sizes, all measured in this run:

(a) the greatest difference between the search's scores and the whole network's, pair by pair;
(b) the time of a query among 10 thousand, 100 thousand and 1 million sounds, beside pairing the
    query's embedding with each stored embedding through the full head, and beside the whole
    network for each pair (both measured on fewer pairs, and multiplied);
(c) the time to read the same shares once, and of a deeper head's bare matrix products;
(d) the memory that a search adds, beside the size of the index's file.

Stored shares are random; weights are, too, unless a checkpoint is given:

    python benchmarks/search.py
    python benchmarks/search.py --checkpoint runs/tl_iminet_none/.../best.ckpt --largest 100000
    python benchmarks/search.py --index my-index --queries folder/of/imitations

With an index, (a) is done for each query and each indexed sound of at most one window.
"""

import argparse
import gc
import re
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numba
import numpy as np
import torch
from made_up import FRONT_ENDS, named, random_network, write_random

from vocalsketch.features.audio import clip_of, load_clip
from vocalsketch.search import Index, read_query
from vocalsketch.search.query import prepared
from vocalsketch.search.segment import Table, read_segment
from vocalsketch.search.shard import highest
from vocalsketch.spread.threads import lasting_pool
from vocalsketch.systems import Scorer, load_system
from vocalsketch.systems.siamese import FAST, ROWS_PER_TASK, Siamese, head_scorer

SIZES = (10_000, 100_000, 1_000_000)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--checkpoint", type=Path, action="append", help="instead of both networks")
    parser.add_argument("--system", choices=FRONT_ENDS, action="append", help="default: both")
    parser.add_argument("--largest", type=int, default=SIZES[-1], help="sounds at most")
    parser.add_argument("--rounds", type=int, default=7, help="best of so many, default 7")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--index", type=Path, help="compare scores of a real index, nothing else")
    parser.add_argument("--queries", type=Path, help="a folder of wav files, with --index")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    with torch.inference_mode():
        if arguments.index:
            compare_index(Index.open(arguments.index), sorted(arguments.queries.rglob("*.wav")))
            return
        for name, network in networks(arguments.checkpoint, arguments.system):
            print(f"\n{name}: share of {width_of(network)} numbers, {arguments.threads} threads")
            compare_pairs(network)
            against_pairing(network)
            for size in SIZES:
                if size <= arguments.largest:
                    measure(network, size, arguments.rounds, arguments.threads)


def networks(
    checkpoints: list[Path] | None, systems: list[str] | None
) -> Iterator[tuple[str, Siamese]]:
    """Yield name and network."""
    for path in checkpoints or ():
        yield str(path), load_system(path)
    for name in () if checkpoints else systems or FRONT_ENDS:
        yield f"{name}, random weights", random_network(name)


def width_of(network: Siamese) -> int:
    """Return the length of a share."""
    return network.head.recording_share.out_features


def compare_pairs(network: Siamese, queries: int = 5, sounds: int = 40) -> None:
    """Print the greatest difference of scores, and whether the rankings are the same."""
    imitations = torch.randn(queries, *network.geometry.imitation_shape)
    recordings = torch.randn(sounds, *network.geometry.recording_shape)
    first = torch.zeros(1, dtype=torch.long)
    pairs = np.array(
        [
            [
                float(network(imitations[q : q + 1], recordings[s : s + 1], first, first))
                for s in range(sounds)
            ]
            for q in range(queries)
        ]
    )
    shares = network.embed("recording", recordings).numpy()
    scores = head_scorer(network.head)(network.embed("imitation", imitations).numpy(), [shares])
    report_difference(pairs, scores)


def report_difference(pairs: np.ndarray, scores: np.ndarray) -> None:
    """Print how far two matrices of scores are apart, (queries, sounds)."""
    same = (np.argsort(-pairs, kind="stable") == np.argsort(-scores, kind="stable")).all(axis=1)
    print(
        f"(a) {pairs.shape[0]} queries x {pairs.shape[1]} sounds, pair by pair: greatest "
        f"difference of a score {np.abs(pairs - scores).max():.1e} (scores spread over "
        f"{np.ptp(pairs):.3g}), same ranking for {same.sum()} of {len(same)} queries"
    )


def compare_index(index: Index, files: list[Path]) -> None:
    """As ``compare_pairs``, with the sounds of an index and real queries."""
    network = index.system
    rows = [r for r in range(index.windows) if index.table.rows["duration"][r].as_py() <= 4.0]
    sounds = [index.library / index.table.rows["path"][r].as_py() for r in rows]
    ends = network.front_ends
    waves = [read_query(file) for file in files]
    ready = [(prepared(wave, rate), rate) for wave, rate in waves]
    scores = index.scores(index.embeddings(ready))[:, rows]
    print(f"{index.folder}: {len(files)} queries, {len(rows)} sounds, corpus={index.corpus}")
    imitations = torch.stack(
        [
            ends["imitation"](torch.from_numpy(clip_of(wave, rate, ends["imitation"]))[None])[0]
            for wave, rate in ready
        ]
    )
    pairs = np.empty(scores.shape)
    first = torch.zeros(1, dtype=torch.long)
    for column, sound in enumerate(sounds):
        clip = torch.from_numpy(load_clip(sound, ends["recording"]))[None]
        features = ends["recording"](clip)
        for row in range(len(ready)):
            pairs[row, column] = float(network(imitations[row : row + 1], features, first, first))
    report_difference(pairs, scores)


def against_pairing(network: Siamese, pairs: int = 4_000, whole: int = 16) -> None:
    """Print what a pair costs through the full head, and through the whole network."""
    head = network.head
    imitation = torch.randn(1, head.imitation_share.in_features)
    recordings = torch.randn(pairs, head.recording_share.in_features)
    full = best(lambda: head(imitation.expand(pairs, -1), recordings), 3) / pairs
    one = torch.randn(1, *network.geometry.imitation_shape).expand(whole, -1, -1).contiguous()
    sounds = torch.randn(whole, *network.geometry.recording_shape)
    numbers = torch.arange(whole)
    every = best(lambda: network(one, sounds, numbers, numbers), 3) / whole
    print("(b) per query, from the time of a pair (measured on", f"{pairs} and {whole} pairs):")
    for size in SIZES:
        print(
            f"    {size:>9,} sounds: {full * size:9.3f} s embeddings through the full head, "
            f"{every * size:11.1f} s the whole network for each pair"
        )


def measure(network: Siamese, size: int, rounds: int, threads: int) -> None:
    """Print times and memory, for one size."""
    width = width_of(network)
    scorer = head_scorer(network.head, threads)
    query = network.embed("imitation", torch.randn(3, *network.geometry.imitation_shape)).numpy()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "1.arrow"
        write_random(file, width, named(size))
        gc.collect()
        before = resident()
        table = Table([read_segment(file)])
        ranked(scorer, query[:1], table.blocks)
        added = resident() - before
        pool = lasting_pool(threads)
        parts = [
            block[start : start + ROWS_PER_TASK]
            for block in table.blocks
            for start in range(0, len(block), ROWS_PER_TASK)
        ]
        timed: dict[str, Callable[[], object]] = {
            "query": lambda: ranked(scorer, query[:1], table.blocks),
            "scores": lambda: scorer(query[:1], table.blocks),
            "read": lambda: list(pool.map(sum_of, parts)),
        }
        if len(network.geometry.hidden) > 1:
            timed |= bare_products(network, parts, pool, table.blocks)
        times = best_of_each(timed, rounds)
        print_times(times, size, file.stat().st_size, added)


def ranked(scorer: Scorer, query: np.ndarray, blocks: list[np.ndarray]) -> np.ndarray:
    """Return the ten best rows."""
    return highest(scorer(query, blocks)[0], 10)


@numba.njit(nogil=True, fastmath=FAST)
def sum_of(shares):  # type: ignore[no-untyped-def]
    """Read shares once."""
    total = np.float32(0.0)
    for row in range(shares.shape[0]):
        for unit in range(shares.shape[1]):
            total += shares[row, unit]
    return total


def bare_products(
    network: Siamese,
    parts: list[np.ndarray],
    pool: ThreadPoolExecutor,
    blocks: list[np.ndarray],
) -> dict[str, Callable[[], object]]:
    """Return ways to multiply all shares with the second layer and do nothing else."""
    weight = network.head.rest[2].weight.t().contiguous()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # mapped memory is read-only, and nothing writes to it
        tensors = [torch.from_numpy(block) for block in blocks]
        cut = [torch.from_numpy(part) for part in parts]
    return {
        "products, torch, all at once": lambda: [tensor @ weight for tensor in tensors],
        "products, torch, in threads": lambda: list(pool.map(lambda part: part @ weight, cut)),
    }


def print_times(times: dict[str, float], size: int, file: int, added: int | None) -> None:
    """Print one size."""
    print(
        f"    {size:>9,} sounds: {times['query'] * 1e3:8.2f} ms a query with its ten best, "
        f"{times['scores'] * 1e3:8.2f} ms the scores"
    )
    print(
        f"(c) read once {times['read'] * 1e3:8.2f} ms: query / read = "
        f"{times['query'] / times['read']:.2f}"
    )
    products = {name: value for name, value in times.items() if name.startswith("products")}
    for name, value in products.items():
        print(f"    {name} {value * 1e3:.2f} ms: query / products {times['query'] / value:.2f}")
    if added is not None:
        print(f"(d) memory {added / 1e6:.0f} MB for a file of {file / 1e6:.0f}: {added / file:.2f}")


def best(run: Callable[[], object], rounds: int) -> float:
    """Return the shortest time of several runs, in seconds; one before is not counted."""
    return best_of_each({"": run}, rounds)[""]


def best_of_each(runs: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the shortest time of each, in seconds, taking turns."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds + 1):
        for name, run in runs.items():
            begun = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - begun)
    return {name: min(values[1:]) for name, values in times.items()}


def resident() -> int:
    """Return the memory that this process holds, in bytes (Linux)."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) * 1024


if __name__ == "__main__":
    main()
