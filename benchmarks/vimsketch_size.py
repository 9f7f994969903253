"""A training on VimSketch's size: time to prepare, size of the cache, memory, steps a second.

    python benchmarks/vimsketch_size.py FOLDER [--share 0.05] [--config CONFIG] [--steps N]

FOLDER is filled with a made-up tree of VimSketch's layout, 542 references and 12,543 imitations
of 1 to 10 s (--share of both), and with the cache. Preparing and training are processes of their
own, whose peak memory is read when they end: of a training on the data, and of one on random
tensors of the same shapes, so that what the data need beside the model is the difference. Then
steps of both kinds are timed in turns, getting the batch included, in float32: a CPU without
instructions for bfloat16 would hide what reading costs.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from itertools import cycle
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import soundfile
import torch

from vocalsketch.datamodules.contrastive import ContrastiveBatch
from vocalsketch.experiment.parser import ExperimentCLI

CONFIG = Path(__file__).resolve().parents[1] / "conf" / "dual_qvim.yaml"
REFERENCES, IMITATIONS, OF_A_CLASS = 542, 12_543, 2
RATE = 44_100  # hz
ITEMS = 40  # of the tree that tests


@cache
def gliding() -> np.ndarray:
    """Return a minute of gliding tones in noise, 16 bit, of which every sound is a part."""
    time_axis = np.arange(60 * RATE) / RATE
    glides = np.sin(2 * np.pi * 300 * time_axis + 100 * np.sin(2 * np.pi * 0.7 * time_axis))
    noise = np.random.default_rng(0).standard_normal(len(time_axis))
    return (3000 * (glides + 0.3 * noise)).astype(np.int16)


def write_sound(file: Path, rng: np.random.Generator) -> None:
    """Write a sound of 1 to 10 s, 16 bit."""
    file.parent.mkdir(parents=True, exist_ok=True)
    begin = rng.integers(50 * RATE)
    soundfile.write(file, gliding()[begin : begin + rng.integers(RATE, 10 * RATE)], RATE)


def write_trees(folder: Path, share: float) -> None:
    """Write both trees, unless they are there."""
    vim, dev = folder / "vimsketch", folder / "qvim"
    if (folder / "done").exists():
        return
    rng = np.random.default_rng(0)
    keys = [f"{n:03}Kind {n // OF_A_CLASS}" for n in range(round(REFERENCES * share))]
    references = [f"{n + 1:03}_{key}.wav" for n, key in enumerate(keys)]
    count = round(IMITATIONS * share)
    queries = [f"{n + 1:05}_{key}.wav" for n, key in zip(range(count), cycle(keys), strict=False)]
    for part, names in (("references", references), ("vocal_imitations", queries)):
        for name in names:
            write_sound(vim / part / name, rng)
    (vim / "reference_file_names.csv").write_text("\n".join(references))
    (vim / "vocal_imitation_file_names.csv").write_text("\n".join(queries))
    rows = ["Label,Class,Items,Query 1,Query 2,Query 3"]
    for item in range(ITEMS):
        write_sound(dev / f"Items/c{item // 4}/i{item}.wav", rng)
        write_sound(dev / f"Queries/c{item // 4}/q{item}.wav", rng)
        rows.append(f"l{item},c{item // 4},i{item}.wav,q{item}.wav,,")
    (dev / "DEV Dataset.csv").write_text("\n".join(rows))
    (folder / "done").touch()


def experiment(folder: Path, config: str) -> ExperimentCLI:
    """Return the experiment of the config on the trees."""
    os.environ["VIMSKETCH_ROOT"] = str(folder / "vimsketch")
    os.environ["QVIM_ROOT"] = str(folder / "qvim")
    options = ["--trainer.logger", "false", "--trainer.precision", "32-true"]
    cli = ExperimentCLI("fit", ["--config", config, *options])
    cli.model.trainer = pl.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    cli.model.log = lambda *_, **__: None
    cli.model.train()
    return cli


def randomised(batch: ContrastiveBatch) -> ContrastiveBatch:
    """Return random tensors of a batch's shapes."""
    clips = torch.rand_like(batch.imitations), torch.rand_like(batch.recordings)
    return ContrastiveBatch(*clips, *batch[2:])


def batches_of(cli: ExperimentCLI) -> Iterator[ContrastiveBatch]:
    """Yield the batches of epoch after epoch."""
    cli.datamodule.setup("fit")
    while True:
        yield from cli.datamodule.train_dataloader()


def train(cli: ExperimentCLI, kinds: list[Iterator[ContrastiveBatch]], steps: int) -> list[float]:
    """Train on each kind in turns; return the median seconds of a step of each."""
    optimizer = cli.model.optimizer(cli.model.parameters())
    seconds: list[list[float]] = [[] for _ in kinds]
    for _ in range(steps):
        for kind, spent in zip(kinds, seconds, strict=True):
            started = time.perf_counter()
            loss = cli.model.training_step(next(kind))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            spent.append(time.perf_counter() - started)
    return [statistics.median(spent[1:]) for spent in seconds]


def peak_megabytes() -> float:
    """Return the most memory that this process has held, pages of the cache included, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def phase(name: str, folder: Path, config: str, steps: int) -> None:
    """Do one part of the measurement in this process and print what it came to."""
    cli = experiment(folder, config)
    if name == "prepare":
        started = time.perf_counter()
        cli.datamodule.prepare_data()
        print(f"prepared in {time.perf_counter() - started:.0f} s", end="")
    else:
        random = cycle([randomised(next(batches_of(cli)))])
        kinds = [batches_of(cli)] if name == "data" else [random]
        kinds = [batches_of(cli), random] if name == "in turns" else kinds
        spent = train(cli, kinds, steps)
        print(f"{name}: " + ", ".join(f"{1 / each:.3f} steps/s" for each in spent), end="")
        print(f", ratio {spent[1] / spent[0]:.3f}" if len(spent) > 1 else "", end="")
    print(f"; peak {peak_megabytes():,.0f} MB", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--share", type=float, default=0.05, help="of VimSketch (default: 0.05)")
    parser.add_argument("--config", default=str(CONFIG), help="default: conf/dual_qvim.yaml")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--phase", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.phase:
        phase(arguments.phase, arguments.folder, arguments.config, arguments.steps)
        return
    arguments.folder.mkdir(parents=True, exist_ok=True)
    write_trees(arguments.folder, arguments.share)
    store = arguments.folder / "cache"
    environment = {**os.environ, "VOCALSKETCH_CACHE": str(store)}
    for name in ("prepare", "random", "data", "in turns"):
        command = [sys.executable, *sys.argv, "--phase", name]
        subprocess.run(command, env=environment, check=True)
        if name == "prepare":
            kept = sum(file.stat().st_size for file in store.rglob("*") if file.is_file())
            print(f"cache {kept / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
