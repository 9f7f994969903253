"""Fixtures that every test may use."""

import itertools
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from corpora import write_config, write_folder_corpus

# a busy machine is no failure; where a red run blocks others, every run tries the same examples
hypothesis.settings.register_profile(
    "vocalsketch", deadline=None, derandomize=bool(os.environ.get("CI"))
)
hypothesis.settings.load_profile("vocalsketch")

# what a shell begins in the background ignores Ctrl-C, and so would all that is begun here
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real-audio corpora and reference arrays, where this machine has it."""
    folder = Path(
        os.environ.get("VOCALSKETCH_SHARED", Path(__file__).resolve().parents[2] / "shared")
    )
    if not folder.is_dir():
        pytest.skip(f"no reference material at {folder}: set VOCALSKETCH_SHARED to its folder")
    return folder


@pytest.fixture(scope="session")
def fresh_names(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Folders that do not exist yet: pytest's own lists all that went before for each."""
    root = tmp_path_factory.mktemp("caches")
    return (root / str(number) for number in itertools.count())


@pytest.fixture(scope="session")
def shared_features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Features that tests make for each other."""
    return tmp_path_factory.mktemp("features")


@pytest.fixture(autouse=True)
def own_cache(
    request: pytest.FixtureRequest,
    fresh_names: Iterator[Path],
    monkeypatch: pytest.MonkeyPatch,
    shared_features: Path,
) -> None:
    """Give each test a cache with features that others made and keep W&B offline."""
    cache = next(fresh_names)
    cache.mkdir()
    (cache / "features").symlink_to(shared_features)
    monkeypatch.setenv("VOCALSKETCH_CACHE", str(cache))
    monkeypatch.setenv("WANDB_MODE", "offline")


@pytest.fixture(scope="session")
def folder_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus of two categories, four sounds each, three imitations of each sound."""
    return write_folder_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture
def tiny_config(tmp_path: Path, folder_corpus: Path) -> Path:
    """A config that trains a small network on ``folder_corpus`` for two epochs."""
    return write_config(tmp_path / "tiny.yaml", folder_corpus)
