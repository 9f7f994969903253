"""Files that a stranger may hand over beside checkpoints: indexes, studies, features, scores."""

import json
import os
import pickle
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pyarrow as pa
import pytest
import soundfile
from attack import Attack
from small_networks import write_checkpoint, write_library

from vocalsketch.errors import StorageError, VocalSketchError
from vocalsketch.features.mel import LogMel
from vocalsketch.features.store import FeatureStore
from vocalsketch.retrieval.scores import Scores
from vocalsketch.search import Index, build_index
from vocalsketch.search.segment import read_segment
from vocalsketch.sweep.definition import Definition, StudyError, load_study, open_study

TABLES = 200 * int(os.environ.get("VOCALSKETCH_FAULTS", "1"))


@pytest.fixture
def attack(canary: Path) -> bytes:
    pickle.loads(pickle.dumps(Attack(canary)))
    canary.rmdir()  # it works
    return pickle.dumps(Attack(canary))


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("index")
    checkpoint = write_checkpoint(root / "best.ckpt")
    build_index(write_library(root / "library"), root / "index", checkpoint, jobs=1, progress=False)
    return root / "index"


def test_no_damage_to_an_indexs_table_crashes_a_search(index: Path) -> None:
    script = Path(__file__).with_name("hostile_tables.py")
    command = [sys.executable, str(script), str(index), "0", str(TABLES)]
    done = subprocess.run(
        command,
        env={**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, (done.returncode, done.stdout[-99:], done.stderr[-2_000:])
    lines = done.stdout.splitlines()
    assert sum("refused" in line for line in lines) > TABLES / 4
    assert sum(line == "searched" for line in lines) > 0


@pytest.mark.parametrize("name", ["arrow.py_extension_type", "arrow.opaque", "vocalsketch"])
def test_an_extension_type_of_arrow_is_not_made(
    name: str, index: Path, tmp_path: Path, attack: bytes, canary: Path
) -> None:
    """Old versions of pyarrow unpickled what a column's metadata hold."""
    whole = read_segment(next(index.glob("*.arrow"))).drop_columns(["embedding"])
    metadata = {"ARROW:extension:name": name, "ARROW:extension:metadata": attack}
    fields = [field.with_metadata(metadata) for field in whole.schema]
    table = pa.Table.from_arrays(whole.columns, schema=pa.schema(fields))
    with (
        pa.OSFile(str(tmp_path / "a.arrow"), "wb") as file,
        pa.ipc.new_file(file, table.schema) as w,
    ):
        w.write_table(table)
    with pytest.raises(StorageError, match=r"a\.arrow is (missing or )?damaged"):
        read_segment(tmp_path / "a.arrow")
    assert not canary.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"segments": [{"file": "../outside.arrow", "rows": 8, "checksum": ""}]},
        {"segments": [{"file": "/etc/passwd", "rows": 8, "checksum": ""}]},
        {"segments": [{"file": "1.arrow", "rows": "8", "checksum": ""}]},
        {"segments": None},
        {"removed": "/etc/passwd"},
        {"removed": ["/etc/passwd", 7]},
        {"windows": "many"},
        {"skipped": [1]},
        {"library": 7},
        {"precision": "float16"},
    ],
)
def test_a_manifest_of_other_values_is_refused(
    change: dict[str, object], index: Path, tmp_path: Path
) -> None:
    values = json.loads((index / "index.json").read_text()) | change
    (tmp_path / "index.json").write_text(json.dumps(values))
    with pytest.raises(StorageError, match=r"index\.json is damaged"):
        Index.open(tmp_path)


def definition() -> Definition:
    space = {"x": {"key": "x", "type": "float", "low": 0.0, "high": 1.0}}
    return Definition(
        "study", {}, space, "val/mrr", {"name": "random", "seed": 0}, {"name": "none"}
    )


def test_a_study_in_a_database_is_json_and_nothing_else(
    tmp_path: Path, attack: bytes, canary: Path
) -> None:
    file = tmp_path / "study.db"
    study = open_study(replace(definition(), folder=tmp_path))
    study.add_trial(optuna.trial.create_trial(value=0.5, user_attrs={"a": 1}))
    database = sqlite3.connect(file)
    names = [
        row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type='table'")
    ]
    columns = [
        (name, column[1])
        for name in names
        for column in database.execute(f"PRAGMA table_info({name})")
        if column[1] in ("value_json", "distribution_json")
    ]
    assert len(columns) >= 4
    for name, column in columns:
        database.execute(f"UPDATE {name} SET {column} = ?", (attack.decode("latin-1"),))
    database.commit()
    database.close()
    with pytest.raises(StudyError, match="'study' is damaged in its storage"):
        load_study("study", f"sqlite:///{file}", tmp_path)
    assert not canary.exists()


def test_the_feature_store_holds_numbers_and_json(
    tmp_path: Path, attack: bytes, canary: Path
) -> None:
    sound, front_end = tmp_path / "a.wav", LogMel(8_000, 0.1, 80, 5, 0.0, 4_000.0, 10)
    soundfile.write(sound, np.random.default_rng(0).uniform(-0.5, 0.5, 800), 8_000)
    store = FeatureStore(tmp_path / "store")
    before = store.fill([sound], front_end, progress=False).stack()
    for file in store.folder.rglob("*"):
        if file.is_file():
            file.write_bytes(attack + file.read_bytes())
    np.testing.assert_array_equal(store.fill([sound], front_end, progress=False).stack(), before)
    assert not canary.exists()


def test_scores_are_arrays_of_numbers_and_text(tmp_path: Path, attack: bytes, canary: Path) -> None:
    objects = np.array([Attack(canary)], dtype=object)
    np.savez(tmp_path / "pickled.npz", scores_0=objects, kind=objects, allow_pickle=True)
    np.save(tmp_path / "array.npy", objects, allow_pickle=True)
    (tmp_path / "bare.npz").write_bytes(attack)
    for name in ("pickled.npz", "array.npy", "bare.npz"):
        with pytest.raises(VocalSketchError, match=name):
            Scores.load(tmp_path / name)
    assert not canary.exists()
