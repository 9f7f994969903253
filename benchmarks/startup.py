"""How soon the program answers: --help, and the first training step after the libraries load.

    python benchmarks/startup.py [--root DIR]

Each command is run three times; the quickest counts. The features are computed beforehand by one
run of fit, so that a second `fit` shows whether any is computed again.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", default="demo", help="corpus (default: demo)")
    root = parser.parse_args().root
    python = sys.executable
    print(f"vocalsketch --help: {quickest([python, '-m', 'vocalsketch.cli', '--help']):.2f} s")
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
