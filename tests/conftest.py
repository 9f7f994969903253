"""Fixtures that every test may use."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real-audio corpora and reference arrays, where this machine has it."""
    folder = Path(
        os.environ.get("VOCALSKETCH_SHARED", Path(__file__).resolve().parents[2] / "shared")
    )
    if not folder.is_dir():
        pytest.skip(f"no reference material at {folder}: set VOCALSKETCH_SHARED to its folder")
    return folder


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test an empty cache and keep W&B offline."""
    monkeypatch.setenv("VOCALSKETCH_CACHE", str(tmp_path_factory.mktemp("cache")))
    monkeypatch.setenv("WANDB_MODE", "offline")
