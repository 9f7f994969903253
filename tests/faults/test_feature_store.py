"""A feature store filled by many at once, by the dying, on full disks and on ones to read only."""

import os
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
from corpora import write_config
from disks import disk
from mortal import Mortal, leftovers_in

from vocalsketch.datasets.open import open_corpus
from vocalsketch.datasets.splits import make_split, read_manifest, write_manifest
from vocalsketch.errors import StorageError
from vocalsketch.features.mel import LogMel
from vocalsketch.features.store import FeatureStore, FeatureTable

FRONT_END = LogMel(8_000, 0.1, 80, 5, 0.0, 4_000.0, 10)
PROCESSES, CLIPS = 8, 200


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("sounds")
    generator = np.random.default_rng(0)
    for number in range(CLIPS):
        clip = generator.uniform(-0.5, 0.5, 800)
        soundfile.write(folder / f"{number:03d}.wav", clip, 8_000)
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def clean(sounds: list[Path], tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    """The features that a store has which nothing happened to, (clips, bins, frames)."""
    return fill(tmp_path_factory.mktemp("clean"), sounds).stack()


def fill(folder: Path, sounds: list[Path]) -> FeatureTable:
    return FeatureStore(folder).fill(sounds, FRONT_END, jobs=1, progress=False)


def fill_and_keep(store: str, sounds: str) -> int:
    """Fill a store in this process and keep what it gave."""
    np.save("features.npy", fill(Path(store), sorted(Path(sounds).iterdir())).stack())
    return 0


def test_eight_processes_fill_one_store_while_three_of_them_die(
    sounds: list[Path], clean: np.ndarray, tmp_path: Path
) -> None:
    store = tmp_path / "store"
    folder = str(sounds[0].parent)
    alone = Mortal(tmp_path / "alone", ("store", folder), act=fill_and_keep)
    writes = len(alone.changes())
    fillers = [
        Mortal(tmp_path / f"{number}", (str(store), folder), act=fill_and_keep, watched=store)
        for number in range(PROCESSES)
    ]
    draw = random.Random(5)
    dying = [filler.begin(dies_at=draw.randint(3, writes // 4)) for filler in fillers[:3]]
    started = [filler.begin() for filler in fillers[3:]]
    for process in [*started, *dying]:
        process.join()
    ends = [process.exitcode for process in dying]
    assert set(ends) <= {-signal.SIGKILL, 0}  # a late one finds little left to write
    assert -signal.SIGKILL in ends
    assert [process.exitcode for process in started] == [0] * 5
    for mortal in fillers[3:]:
        np.testing.assert_array_equal(np.load(mortal.folder / "features.npy"), clean)
    np.testing.assert_array_equal(fill(store, sounds).stack(), clean)
    assert len(leftovers_in(store)) <= 3
    for leftover in store.rglob(".*.tmp"):
        os.utime(leftover, (time.time() - 3601,) * 2)
    fill(store, [*sounds, _another(tmp_path)])
    assert not leftovers_in(store)


def _another(folder: Path) -> Path:
    soundfile.write(folder / "another.wav", np.ones(800) * 0.1, 8_000)
    return folder / "another.wav"


def test_a_store_on_a_full_disk_is_filled_when_there_is_room(
    sounds: list[Path], clean: np.ndarray, tmp_path: Path
) -> None:
    with disk(tmp_path / "disk", "24k") as small:
        for _ in range(2):
            with pytest.raises(StorageError, match="No space left"):
                fill(small.folder, sounds)
        small.remount("size=4m")
        np.testing.assert_array_equal(fill(small.folder, sounds).stack(), clean)
        assert not leftovers_in(small.folder)


def test_a_store_to_read_only_is_read_and_says_what_is_missing(
    sounds: list[Path], clean: np.ndarray, tmp_path: Path
) -> None:
    with disk(tmp_path / "disk", "4m") as mounted:
        fill(mounted.folder, sounds[:50])
        mounted.remount("ro")
        np.testing.assert_array_equal(fill(mounted.folder, sounds[:50]).stack(), clean[:50])
        with pytest.raises(StorageError, match="Read-only file system"):
            fill(mounted.folder, sounds)
        (index,) = mounted.folder.rglob("contents.json")
        assert index.stat().st_size > 0


def test_a_store_damaged_again_and_again_gives_what_a_clean_one_does(
    sounds: list[Path], clean: np.ndarray, tmp_path: Path
) -> None:
    """Truncated, zeroed, flipped, cut to nothing, swapped or of another version: 60 damages."""
    store, draw = tmp_path / "store", random.Random(6)
    fill(store, sounds)
    for _ in range(20):
        files = sorted(store.rglob("*.features"))
        for file in draw.sample(files, 3):
            _damage(file, draw, files)
        np.testing.assert_array_equal(fill(store, sounds).stack(), clean)


def _damage(file: Path, draw: random.Random, others: list[Path]) -> None:
    content = bytearray(file.read_bytes())
    kind = draw.randrange(5)
    start = draw.randrange(len(content))
    if kind == 0:
        del content[start:]
    elif kind == 1:
        content[start:] = bytes(len(content) - start)
    elif kind == 2:
        content[start] ^= 1 << draw.randrange(8)
    elif kind == 3:
        content = bytearray(draw.choice(others).read_bytes())
    else:  # an older version, whose records were of another size
        content = content[:start] + content[start + 4 :]
    file.write_bytes(content)


def test_a_split_that_others_write_meanwhile_is_read_whole(
    folder_corpus: Path, tmp_path: Path
) -> None:
    split = make_split(open_corpus(str(folder_corpus)), "paper")
    path = tmp_path / "split.json"
    write_manifest(split, path)
    with ThreadPoolExecutor(4) as pool:
        writers = [pool.submit(write_manifest, split, path) for _ in range(200)]
        read = [read_manifest(path) for _ in range(200)]
    assert [writer.result() for writer in writers] == [None] * 200
    assert set(read) == {split}
    assert not leftovers_in(tmp_path)


def test_a_fit_on_a_full_disk_says_so_and_goes_on_when_there_is_room(
    folder_corpus: Path, tmp_path: Path
) -> None:
    config = write_config(tmp_path / "tiny.yaml", folder_corpus)
    command = ("fit", "--config", str(config), "--run_dir", "disk/run", "--ckpt_path", "last")
    whole, squeezed = (Mortal(tmp_path / name, command) for name in ("whole", "squeezed"))
    whole.complete()
    squeezed.folder.mkdir()
    with disk(squeezed.folder / "disk", "8k") as small:
        for size in (8, 24, 40, 60):
            small.remount(f"size={size}k")
            end = squeezed.run()
            assert end.status == 1, end.said
            assert "error: " in end.said.splitlines()[-1]
            assert "No space left" in end.said.splitlines()[-1]
            assert "Traceback" not in end.said
        small.remount("size=4m")
        squeezed.complete()
        results = [each.folder / "disk/run/results_test.json" for each in (whole, squeezed)]
        assert results[0].read_bytes() == results[1].read_bytes()
        assert not leftovers_in(small.folder)
