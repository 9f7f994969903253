"""Which file format holds an index: Arrow IPC, Parquet, numpy or Lance.

Writes the same random shares and paths in each, reads the shares back as one searches them, and
prints times, sizes, and whether the shares are views of the mapped file. Lance is compared where
it is installed (``pip install pylance``).

    python benchmarks/index_format.py --sounds 1000000
"""

import argparse
import importlib.util
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROWS_AT_ONCE = 32_768


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--sounds", type=int, default=1_000_000)
    parser.add_argument("--width", type=int, default=108)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    shares = rng.standard_normal((arguments.sounds, arguments.width), dtype=np.float32)
    table = pa.table(
        {
            "path": [f"folder {n % 100}/sound {n:07}.wav" for n in range(arguments.sounds)],
            "share": pa.FixedSizeListArray.from_arrays(pa.array(shares.ravel()), arguments.width),
        }
    )
    formats: dict[str, tuple[Callable[[Path], None], Callable[[Path], list[np.ndarray]]]] = {
        "Arrow IPC": (lambda path: write_arrow(path, table), read_arrow),
        "Parquet": (lambda path: pq.write_table(table, path, compression="none"), read_parquet),
        "numpy": (lambda path: write_numpy(path, table), read_numpy),
    }
    if importlib.util.find_spec("lance"):
        formats["Lance"] = (lambda path: write_lance(path, table), read_lance)
    for name, (write, read) in formats.items():
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "index"
            measure(name, lambda path=path, write=write: write(path), read, path, shares)


def measure(
    name: str,
    write: Callable[[], None],
    read: Callable[[Path], list[np.ndarray]],
    path: Path,
    shares: np.ndarray,
) -> None:
    """Print one format."""
    begun = time.perf_counter()
    write()
    written = time.perf_counter() - begun
    begun = time.perf_counter()
    blocks = read(path)
    opened = time.perf_counter() - begun
    begun = time.perf_counter()
    total = sum(float(block.sum()) for block in blocks)
    summed = time.perf_counter() - begun
    assert np.isclose(total, shares.sum(), rtol=1e-2, atol=100.0)
    size = sum(file.stat().st_size for file in [path, *path.rglob("*")] if file.is_file())
    print(
        f"{name:10} written {written:6.2f} s, opened {opened * 1e3:8.1f} ms, then read once "
        f"{summed * 1e3:7.1f} ms, {size / shares.nbytes:.2f} x the shares' bytes, "
        f"{'a view of the file' if not blocks[0].flags.owndata and opened < 0.1 else 'copied'}"
    )


def write_arrow(path: Path, table: pa.Table) -> None:
    """Write an Arrow IPC file."""
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table, max_chunksize=ROWS_AT_ONCE)


def read_arrow(path: Path) -> list[np.ndarray]:
    """Map an Arrow IPC file."""
    return unpacked(pa.ipc.open_file(pa.memory_map(str(path))).read_all())


def read_parquet(path: Path) -> list[np.ndarray]:
    """Decode a Parquet file."""
    return unpacked(pq.read_table(path, memory_map=True))


def unpacked(table: pa.Table) -> list[np.ndarray]:
    """Return the shares."""
    width = table.schema.field("share").type.list_size
    return [
        chunk.flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
        for chunk in table.column("share").chunks
    ]


def write_numpy(path: Path, table: pa.Table) -> None:
    """Write the shares as .npy and the paths as Arrow beside it."""
    path.mkdir()
    np.save(path / "shares.npy", np.concatenate(unpacked(table)))
    write_arrow(path / "paths.arrow", table.select(["path"]))


def read_numpy(path: Path) -> list[np.ndarray]:
    """Map the shares."""
    return [np.load(path / "shares.npy", mmap_mode="r")]


def write_lance(path: Path, table: pa.Table) -> None:
    """Write a Lance data set."""
    lance: Any = importlib.import_module("lance")
    lance.write_dataset(table, str(path))


def read_lance(path: Path) -> list[np.ndarray]:
    """Read the shares of a Lance data set."""
    lance: Any = importlib.import_module("lance")
    return unpacked(lance.dataset(str(path)).to_table(columns=["share"]))


if __name__ == "__main__":
    main()
