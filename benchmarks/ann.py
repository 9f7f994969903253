"""Approximate search on Lance beside exact search, of the same rows by the same queries.

    python benchmarks/ann.py --library SOUNDS --queries IMITATIONS --out FOLDER --rows 1000000

Embeddings are those of a library's sounds by the default system, with noise around them so that
neighbours exist as in a library: row = sound + t * (another - a third), t between 0.1 and 0.5,
which varies as sounds do. Queries are the embeddings of imitations. Of the default system's 419
numbers ``--network`` takes those of its first network alone, 128.

Each way of searching runs in a fresh process: latency from a query's embedding to ten hits, recall
of the exact ten, the process's peak memory (VmHWM, torch's 0.4 GB included). ``--build`` makes the
indexes and measures nothing else.
"""

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from vocalsketch.features.audio import read_audio
from vocalsketch.search import Index, Searcher, build_index
from vocalsketch.search.lance import export_lance
from vocalsketch.search.query import prepared
from vocalsketch.search.segment import (
    EMBEDDING,
    SYSTEM,
    Manifest,
    Part,
    schema_of,
    with_embeddings,
    write_segment,
)
from vocalsketch.systems import System

AT_ONCE = 50_000  # rows made together
NOISE = 0.1, 0.5
WAYS = "exact", "faiss", "lance"
TONE = np.sin(np.arange(16_000) / 8).astype(np.float32)  # stands for what was sung
TOP = 10


def main() -> None:
    """Make what is missing, and measure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--library", type=Path, help="a folder of varied sounds")
    parser.add_argument("--queries", type=Path, help="a folder of imitations")
    parser.add_argument("--out", type=Path, required=True, help="where indexes are made and kept")
    parser.add_argument("--rows", type=int, action="append", help="of an index")
    parser.add_argument("--network", action="store_true", help="only the first network, 128 wide")
    parser.add_argument("--every", type=int, default=3, help="search with each n-th imitation")
    parser.add_argument("--way", choices=WAYS, action="append", help="default: all")
    parser.add_argument("--build", action="store_true", help="make indexes, and measure nothing")
    parser.add_argument("--measured", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measured:
        print(json.dumps(measured(arguments.measured, arguments.way[0])))
        return
    queries = embedded(arguments)
    for rows in arguments.rows or [1_000_000]:
        folder = arguments.out / f"{'network' if arguments.network else 'default'}-{rows}"
        made(folder, rows, arguments)
        np.save(folder / "queries.npy", queries[:: arguments.every, : load_width(folder)])
        if not arguments.build:
            report(folder, arguments.way or list(WAYS))


def embedded(arguments: argparse.Namespace) -> np.ndarray:
    """Index the library once, and return the imitations' embeddings."""
    index, file = arguments.out / "sounds", arguments.out / "queries.npy"
    if not Manifest.exists(index):
        build_index(arguments.library, index, "default")
    if not file.exists():
        heard = [read_audio(each) for each in sorted(arguments.queries.rglob("*.wav"))]
        ready = [(prepared(waveform, rate), rate) for waveform, rate in heard]
        np.save(file, Index.open(index).embeddings(ready))
    return np.load(file)


def made(folder: Path, rows: int, arguments: argparse.Namespace) -> None:
    """Make an index of so many rows, and its export."""
    if not Manifest.exists(folder):
        folder.mkdir(parents=True, exist_ok=True)
        sounds = Index.open(arguments.out / "sounds")
        system = sounds.system.parts()[0] if arguments.network else sounds.system
        system.save(folder / SYSTEM)
        draw = drawing(sounds, system)
        begun = time.perf_counter()
        schema = schema_of(draw(1).shape[1], {})
        write_segment(folder / "1.arrow", schema, blocks(rows, schema, draw))
        Manifest(
            version=1,
            segments=(Part("1.arrow", rows, ""),),
            library=str(arguments.out),
            fingerprint=system.fingerprint,
            sounds=rows,
            windows=rows,
        ).write(folder)
        print(f"{folder}: rows drawn in {time.perf_counter() - begun:.0f} s", flush=True)
    if not (folder / "lance").exists():
        begun = time.perf_counter()
        export_lance([Index.open(folder)], str(folder / "lance"), exact_below=0)
        print(f"{folder}: exported in {time.perf_counter() - begun:.0f} s", flush=True)


def drawing(sounds: Index, system: System) -> Callable[[int], np.ndarray]:
    """Return what draws recordings' embeddings, (count, width)."""
    (known,), rng = sounds.table.blocks, np.random.default_rng(0)
    first, second, _ = np.cumsum(sounds.system.widths)
    network = system is not sounds.system
    known = np.array(known[:, :first] if network else known, np.float32)
    networks = [slice(0, first)] if network else [slice(0, first), slice(first, second)]
    # of a recording by contours: vector, 1, -|vector|^2, all times the member's weight
    weight = 1.0 if network else known[0, -2]

    def draw(count: int) -> np.ndarray:
        one, other, third = (known[rng.integers(0, len(known), count)] for _ in range(3))
        made = one + rng.uniform(*NOISE, (count, 1)).astype(np.float32) * (other - third)
        for part in networks:  # whose embeddings lie on a sphere
            length = 1.0 if network else np.linalg.norm(known[0, part])
            made[:, part] *= length / np.linalg.norm(made[:, part], axis=1, keepdims=True)
        if network:
            return made
        made[:, -2] = weight
        made[:, -1] = -np.square(made[:, second:-2]).sum(axis=1) / weight
        return made

    return draw


def blocks(rows: int, schema: pa.Schema, draw: Callable[[int], np.ndarray]) -> Iterator[pa.Table]:
    """Yield rows of files with paths as libraries have."""
    others = schema.remove(schema.get_field_index(EMBEDDING))
    for start in range(0, rows, AT_ONCE):
        count = min(AT_ONCE, rows - start)
        numbers = np.arange(start, start + count)
        folders = [f"Folder {number // 1000:05}" for number in numbers]
        columns = {
            "path": [f"{f}/sound {n:08}.wav" for f, n in zip(folders, numbers, strict=True)],
            "start": 2.0 * (numbers % 3),
            "end": 2.0 * (numbers % 3) + 4.0,
            "duration": 8.0 + numbers % 997 / 997,
            "sample_rate": np.array([22_050, 44_100, 48_000, 96_000])[numbers % 4],
            "tags": [[folder.casefold()] for folder in folders],
            "content": [f"{number:032x}" for number in numbers],
            "size": np.full(count, 352_844),
            "changed": np.zeros(count, int),
        }
        yield with_embeddings(pa.table(columns, others), draw(count))


def load_width(folder: Path) -> int:
    """Return how many numbers an embedding of an index has."""
    return Index.open(folder).table.blocks[0].shape[1]


def report(folder: Path, ways: list[str]) -> None:
    """Measure each way in a fresh process, and print."""
    found = {}
    for way in ways:
        line = [sys.executable, __file__, "--out", ".", "--measured", str(folder), "--way", way]
        done = subprocess.run(line, check=True, capture_output=True, text=True)
        found[way] = json.loads(done.stdout.splitlines()[-1])
    exact = found.get("exact", found[ways[0]])["hits"]
    for way, told in found.items():
        same = [len({*one} & {*other}) for one, other in zip(told["hits"], exact, strict=True)]
        times = np.array(told["seconds"]) * 1e3
        print(
            f"{folder.name:20} {way:6} median {np.median(times):7.1f} ms, p95 "
            f"{np.percentile(times, 95):7.1f} ms, first {times[0]:7.1f} ms, recall@{TOP} "
            f"{np.mean(same) / TOP:.3f}, peak memory {told['memory'] / 1e6:,.0f} MB, "
            f"on disk {told['disk'] / 1e9:.2f} GB",
            flush=True,
        )


def measured(folder: Path, way: str) -> dict[str, object]:
    """Search with every query, one after the other."""
    queries = np.load(folder / "queries.npy")
    if way == "faiss":
        import faiss

        table = Index.open(folder).table
        index = faiss.IndexFlatIP(queries.shape[1])
        for block in table.blocks:
            for start in range(0, len(block), AT_ONCE):
                index.add(block[start : start + AT_ONCE])
        paths = table.rows.column("path")

        def search(query: np.ndarray) -> list[str]:
            return [paths[int(row)].as_py() for row in index.search(query[None], TOP)[1][0]]

        disk = queries.shape[1] * 4 * index.ntotal
    else:
        place = folder / ("lance" if way == "lance" else "")
        opened = Index.open(place)
        searcher = Searcher([opened])

        def search(query: np.ndarray) -> list[str]:
            opened.embeddings = lambda _: query[None]
            return [hit.path for hit in searcher.search(TONE, 16_000, TOP)]

        files = place.rglob("*") if way == "lance" else place.glob("*.arrow")
        disk = sum(file.stat().st_size for file in files if file.is_file())
    seconds, hits = [], []
    for query in queries:
        begun = time.perf_counter()
        hits.append(search(query))
        seconds.append(time.perf_counter() - begun)
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return {"seconds": seconds, "hits": hits, "memory": int(peak.group(1)) * 1024, "disk": disk}


if __name__ == "__main__":
    main()
