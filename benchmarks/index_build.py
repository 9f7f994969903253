"""How fast a library is indexed, beside extraction with librosa, and how an index grows.

Prints sounds per second of processor time, all measured in this run on the same files:

- librosa: read, resample and transform each file, and nothing more;
- network: the same, and each file through the network's recording tower and its half of the head;
- tower: the build's recording tower alone, which is the most that a build could reach;
- threads: ``Embedder.embed_files``: read, hash, transform, embed;
- build: ``build_index``: the same with writing, merging and checksums;
- again: ``build_index`` once more, with nothing new.

With ``--windows``, what a build takes beyond embedding where 100 files are added to an index of
100,000 files with so many windows, where nothing is new, and to write such an index whole:

    python benchmarks/index_build.py
    python benchmarks/index_build.py --mixed
    python benchmarks/index_build.py --windows 1000000
    python benchmarks/index_build.py --library folder/of/sounds --checkpoint best.ckpt --jobs 2
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import librosa
import numpy as np
import torch
from made_up import FRONT_ENDS, made_up_sounds, write_index, write_network
from threadpoolctl import threadpool_limits

from vocalsketch.datasets.discovery import FoundFile
from vocalsketch.features.cqt import CQT
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.features.mel import LogMel
from vocalsketch.search import Index, build_index
from vocalsketch.search.embedding import CLIPS_AT_ONCE, Embedder
from vocalsketch.search.library import list_library
from vocalsketch.search.segment import Part, schema_of, sorted_rows, write_segment
from vocalsketch.systems import load_system

WARM_UP = 8  # files


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--library", type=Path, help="folder of sounds; default: made-up ones")
    parser.add_argument("--sounds", type=int, default=300, help="made-up sounds, default 300")
    parser.add_argument(
        "--mixed", action="store_true", help="made-up sounds of four rates, half of them stereo"
    )
    parser.add_argument("--checkpoint", type=Path, action="append", help="instead of both networks")
    parser.add_argument("--jobs", type=int, default=1, help="threads of the build, default 1")
    parser.add_argument("--windows", type=int, help="measure how an index of so many grows")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    threadpool_limits(1)  # of numpy's products, which librosa makes its mel bands with
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if arguments.windows:
            grow(folder, arguments.windows)
            return
        library = arguments.library or made_up_sounds(
            folder / "library", arguments.sounds, arguments.mixed
        )
        checkpoints = arguments.checkpoint or [write_network(folder, each) for each in FRONT_ENDS]
        for number, checkpoint in enumerate(checkpoints):
            compare(library, checkpoint, folder / f"index{number}", arguments.jobs)


def compare(library: Path, checkpoint: Path, index: Path, jobs: int) -> None:
    """Print sounds per second of each way."""
    trained = load_system(checkpoint)
    files = list_library(library).files
    front_end = trained.front_ends["recording"]
    embedder = Embedder(trained, library)
    paths = [library / file.path for file in files]
    embedder.embed_files(files[:WARM_UP])
    few = made_up_sounds(index.parent / "few", WARM_UP)
    build_index(few, index.with_name(f"{index.name} of few"), checkpoint, progress=False)
    clips = torch.randn(CLIPS_AT_ONCE["cpu"], *front_end.shape)
    batches = len(files) // len(clips)
    extract(front_end, paths[:WARM_UP])
    ways: dict[str, Callable[[], object]] = {
        "librosa": lambda: extract(front_end, paths),
        "network": lambda: extract(front_end, paths, partial(trained.embed, "recording")),
        "tower": lambda: [embed(embedder, clips) for _ in range(batches)],
        "threads": lambda: embedder.embed_files(files),
        "build": lambda: build_index(library, index, checkpoint, jobs=jobs, progress=False),
        "again": lambda: build_index(library, index, checkpoint, jobs=jobs, progress=False),
    }
    rates = {}
    for way, run in ways.items():
        begun = time.process_time()
        run()
        rates[way] = len(files) / (time.process_time() - begun)
    print(
        f"{checkpoint.stem}: {len(files)} files, {type(front_end).__name__}, build {jobs} thread(s)"
    )
    for way, rate in rates.items():
        print(f"    {way:8} {rate:9.1f} sounds/s, {rate / rates['librosa']:6.2f} x librosa")


@torch.inference_mode()
def embed(embedder: Embedder, spectrograms: torch.Tensor) -> torch.Tensor:
    """Return embeddings of (clips, bins, frames)."""
    return embedder.systems[0][0].embed("recording", spectrograms)


def grow(folder: Path, windows: int, files: int = 100_000, new: int = 100) -> None:
    """Print what a build takes beyond embedding, where an index of many windows exists."""
    library = folder / "library"
    for number in range(100):
        (library / f"folder {number}").mkdir(parents=True)
    stored = []
    for number in range(files):  # empty, as nothing opens a file that is unchanged
        path = f"folder {number % 100}/sound {number:07}.wav"
        (library / path).touch()
        stored.append((path, 0, (library / path).stat().st_mtime_ns))
    system = load_system(write_network(folder, "tl_iminet_none"))
    embedder = Embedder(system, library)
    index = folder / "index"
    write_index(index, library, system, embedder.width, sorted(stored), windows // files)
    seconds = {"nothing new": timed(lambda: build_index(library, index, progress=False))}
    added = made_up_sounds(library / "new", new)
    names = sorted(path.relative_to(library).as_posix() for path in added.rglob("*.wav"))
    embedding = timed(lambda: embedder.embed_files([FoundFile(path, 0, 0) for path in names]))
    whole = timed(lambda: build_index(library, index, jobs=1, progress=False))
    seconds[f"{new} files are new, beyond embedding them"] = whole - embedding
    table = Index.open(index).table
    schema = schema_of(embedder.width, {})
    rows = np.flatnonzero(table.counting)
    seconds["writing all of it anew"] = timed(
        lambda: (
            write_segment(folder / "whole.arrow", schema, sorted_rows(table, rows)),
            Part.of(folder / "whole.arrow", len(rows)),
        )
    )
    print(f"an index of {len(stored):,} files and {len(rows):,} windows:")
    for what, taken in seconds.items():
        print(f"    {what}: {taken:.2f} s")


def timed(run: Callable[[], object]) -> float:
    """Return how many seconds it takes."""
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def extract(
    front_end: FrontEnd,
    paths: list[Path],
    embed: Callable[[torch.Tensor], object] | None = None,
) -> None:
    """Make spectrograms as one would with librosa, one file after the other, and embed them."""
    for path in paths:
        audio, rate = librosa.load(path, sr=front_end.sample_rate, duration=front_end.seconds)
        audio = librosa.util.fix_length(audio, size=front_end.samples)
        if isinstance(front_end, CQT):
            magnitudes = librosa.cqt(
                audio,
                sr=rate,
                hop_length=front_end.hop_length,
                fmin=front_end.minimum_frequency,
                n_bins=front_end.bins,
                bins_per_octave=front_end.bins_per_octave,
            )
            levels = librosa.amplitude_to_db(np.abs(magnitudes), ref=np.max)
        elif isinstance(front_end, LogMel):
            power = librosa.feature.melspectrogram(
                y=audio,
                sr=rate,
                n_fft=front_end.window,
                hop_length=front_end.window,
                n_mels=front_end.bands,
                fmax=front_end.maximum_frequency,
            )
            levels = librosa.power_to_db(power, ref=np.max)
        levels = levels[:, : front_end.shape[1]]
        levels = (levels - levels.mean()) / levels.std()
        if embed is not None:
            with torch.inference_mode():
                embed(torch.from_numpy(levels.astype(np.float32))[None])


if __name__ == "__main__":
    main()
