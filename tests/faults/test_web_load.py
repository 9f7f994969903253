"""Fifty visitors of the web page at once, for some seconds, as benchmarks/web_load.py does it."""

import json
import subprocess
import sys
from pathlib import Path

from mortal import THOROUGH
from small_networks import write_checkpoint, write_library

from vocalsketch.search import build_index

LOAD = Path(__file__).parents[2] / "benchmarks" / "web_load.py"


def test_no_request_of_many_visitors_fails_and_memory_is_bounded(tmp_path: Path) -> None:
    library = write_library(tmp_path / "library")
    checkpoint = write_checkpoint(tmp_path / "best.ckpt")
    build_index(library, tmp_path / "index", checkpoint, jobs=1, progress=False)
    seconds = 5 * max(1, THOROUGH)
    command = [sys.executable, str(LOAD), "--index", str(tmp_path / "index"), "--json"]
    command += ["--clients", "50", "--seconds", str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["searches"] >= 50
    assert figures["failures"] == []
    assert figures["failed"] == 0
    assert figures["alive"]
    grown = figures["megabytes"]["at the end"] - figures["megabytes"]["before"]
    assert grown < 400  # threads, clips and pictures that are kept, and no more
    assert figures["refusal"]["status"] == 413
    assert "Too large" in figures["refusal"]["text"]
