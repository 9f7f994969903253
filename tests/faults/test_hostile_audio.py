"""Two thousand and more damaged and malicious files, read in every way there is."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hostile_audio import SECONDS_PER_FILE, hostile

from vocalsketch.features.cqt import CQT
from vocalsketch.features.store import FeatureStore

FILES = 2_500 * int(os.environ.get("VOCALSKETCH_FAULTS", "1"))
CHILDREN = 2  # each reads its part of the files
MOST_MEBIBYTES = 200  # that reading may add; a file of 768,000 Hz takes most


def start(folder: Path, first: int, last: int) -> "subprocess.Popen[str]":
    script = Path(__file__).with_name("hostile_audio.py")
    return subprocess.Popen(
        [sys.executable, str(script), str(folder), str(first), str(last)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def rows_of(child: "subprocess.Popen[str]") -> list[dict[str, object]]:
    out, err = child.communicate(timeout=300)
    rows = [json.loads(line) for line in out.splitlines()]
    hung = "it hung; " if child.returncode == -signal.SIGALRM else ""
    assert child.returncode == 0, f"{hung}{child.returncode} after {rows[-1:]}: {err[-2_000:]}"
    return rows


def test_no_file_crashes_hangs_floods_memory_or_gives_nan(tmp_path: Path) -> None:
    cuts = [FILES * number // CHILDREN for number in range(CHILDREN + 1)]
    children = [start(tmp_path, *part) for part in pairwise(cuts)]
    rows = [row for child in children for row in rows_of(child)]
    outcomes = [row for row in rows if "outcome" in row]
    assert len(outcomes) == FILES
    assert max(float(str(row["seconds"])) for row in outcomes) < SECONDS_PER_FILE
    assert max(int(str(row["mebibytes"])) for row in outcomes) < MOST_MEBIBYTES
    kinds = Counter(str(row["outcome"]).partition("(")[0] for row in outcomes)
    assert kinds["heard"] > FILES / 10, kinds  # not everything is refused at the door
    assert FILES - kinds["heard"] > FILES / 10, kinds


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_store_filled_from_hostile_files_keeps_what_can_be_heard_and_names_the_rest(
    tmp_path: Path, jobs: int
) -> None:
    sources = []
    for number in range(150):
        name, data = hostile(number)
        (tmp_path / name).write_bytes(data)
        sources.append(tmp_path / name)
    store = FeatureStore(tmp_path / "store")
    table = store.fill(sources, CQT(), jobs=jobs, on_bad_audio="skip", progress=False)
    assert {*table.sources} | table.bad.keys() == {*sources}
    assert len(table.sources) > 10
    assert all(str(source) in reason for source, reason in table.bad.items())
    spectrograms = table.stack()
    assert abs(spectrograms.mean(axis=(1, 2))).max() < 1e-3
    deviations = spectrograms.std(axis=(1, 2))
    assert ((abs(deviations - 1) < 1e-3) | (deviations == 0)).all()
