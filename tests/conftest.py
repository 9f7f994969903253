"""Fixtures that every test may use."""

import gc
import importlib
import itertools
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from corpora import write_config, write_folder_corpus

from vocalsketch.errors import VocalSketchError

# a busy machine is no failure; where a red run blocks others, every run tries the same examples
hypothesis.settings.register_profile(
    "vocalsketch", deadline=None, derandomize=bool(os.environ.get("CI"))
)
hypothesis.settings.load_profile("vocalsketch")

# tests run side by side, a process a core: threads of torch's beside them only wait for each other
os.environ.setdefault("OMP_NUM_THREADS", "1")

# what a shell begins in the background ignores Ctrl-C, and so would all that is begun here
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """Keep the garbage collector from what is imported by now, which stays to the end."""
    gc.collect()
    gc.freeze()


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


class JobHere:
    """Does a job's work in this process when it is asked how far it is."""

    def __init__(self, job: object, slot: object) -> None:
        self.job = job
        self.status: int | None = None

    def poll(self) -> int:
        """Do it once, and return its exit status."""
        if self.status is None:
            self.status = 130  # of one that is interrupted
            self.status = self.work()
        return self.status

    def work(self) -> int:
        _, module, *arguments = self.job.command
        try:
            importlib.import_module(module).main(*arguments)
        except VocalSketchError as error:
            self.job.log.write_bytes(f"vocalsketch: error: {error}\n".encode(errors="replace"))
            return 1
        return 0

    def send_signal(self, number: int) -> None:
        """What is done here has noticed an interrupt itself."""

    kill = communicate = lambda self: None


@pytest.fixture
def jobs_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do jobs here: another process takes longer to start than all that it would do."""
    monkeypatch.setattr("vocalsketch.jobs.pool.start_process", JobHere)
