"""How soon the program answers: --help, a search, and the first training step.

    python benchmarks/startup.py [--root DIR]

Each command is run three times; the quickest counts. The search is of 10,000 sounds with random
shares, by networks with random weights. The features are computed beforehand by one run of fit, so
that a second `fit` shows whether any is computed again.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import torch
from made_up import FRONT_ENDS, named, write_index, write_network

from vocalsketch.systems.checkpoints import load_system

SOUNDS = 10_000
CONF = Path(__file__).resolve().parents[1] / "conf"
FIRST_STEP = """
import sys, time
import pytorch_lightning as pl
class Stop(Exception): pass
class FirstStep(pl.Callback):
    def on_train_batch_start(self, *_): raise Stop
from vocalsketch.experiment.parser import ExperimentCLI
cli = ExperimentCLI("fit", sys.argv[1:])
cli.trainer.callbacks.append(FirstStep())
try: cli.trainer.fit(cli.model, cli.datamodule)
except Stop: pass
"""


def quickest(command: list[str]) -> float:
    """Return the least seconds of three runs."""
    seconds = []
    for _ in range(3):
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def search(folder: Path, name: str) -> None:
    """Print how long a whole search takes, beside loading torch."""
    trained = load_system(name if name == "default" else write_network(folder, name))
    silence = torch.zeros(1, trained.front_ends["recording"].samples)
    width = trained.hear("recording", silence).shape[1]
    index = folder / name
    write_index(index, folder, trained, width, named(SOUNDS))
    query = folder / "query.wav"
    soundfile.write(query, np.random.default_rng(0).uniform(-0.5, 0.5, 100_000), 44_100)
    command = [sys.executable, "-m", "vocalsketch.cli", "search", str(query), "--index", str(index)]
    torch_alone = quickest([sys.executable, "-c", "import torch"])
    whole = quickest(command)
    print(
        f"search of {SOUNDS:,} sounds, {name}: {whole:.2f} s, of which {torch_alone:.2f} s are "
        "`import torch` alone"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", default="demo", help="corpus (default: demo)")
    parser.add_argument("--only", choices=("help", "search", "fit"), action="append")
    arguments = parser.parse_args()
    chosen = arguments.only or ("help", "search", "fit")
    if "help" in chosen:
        help_alone = quickest([sys.executable, "-m", "vocalsketch.cli", "--help"])
        print(f"vocalsketch --help: {help_alone:.2f} s")
    with tempfile.TemporaryDirectory() as folder:
        for name in (*FRONT_ENDS, "default") if "search" in chosen else ():
            search(Path(folder), name)
    if "fit" in chosen:
        first_step(arguments.root)


def first_step(root: str) -> None:
    """Print how long it takes to the first training step, beside loading Lightning."""
    python = sys.executable
    with tempfile.TemporaryDirectory() as folder:
        run = ["--config", str(CONF / "iminet_tied.yaml"), "--data.init_args.root", root]
        run += ["--run_dir", folder]
        subprocess.run([python, "-c", FIRST_STEP, *run], check=True, capture_output=True)
        library = quickest([python, "-c", "import pytorch_lightning"])
        first = quickest([python, "-c", FIRST_STEP, *run])
    print(
        f"first training step with features in the store: {first:.1f} s, of which "
        f"{library:.1f} s are `import pytorch_lightning` alone: {first - library:.1f} s more"
    )


if __name__ == "__main__":
    main()
