"""A library and a checkpoint, and an index of the one by the other."""

from pathlib import Path

import pytest
from small_networks import write_checkpoint, write_library

from vocalsketch.search import Index, build_index


@pytest.fixture
def library(tmp_path: Path) -> Path:
    return write_library(tmp_path / "library")


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(tmp_path_factory.mktemp("run") / "best.ckpt")


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory, checkpoint: Path) -> Path:
    """An index's folder; tests that change it or its library make their own."""
    root = tmp_path_factory.mktemp("built")
    build_index(write_library(root / "library"), root / "index", checkpoint, jobs=2, progress=False)
    return root / "index"


@pytest.fixture
def index(built: Path) -> Index:
    return Index.open(built, threads=2)
