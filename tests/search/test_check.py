"""Checking an index."""

from pathlib import Path

import pytest
from small_networks import chirp, write_checkpoint, write_sound

from vocalsketch.search import Check, build_index, check_index
from vocalsketch.systems import load_system


@pytest.fixture
def folder(library: Path, checkpoint: Path, tmp_path: Path) -> Path:
    (library / "text.wav").write_text("no audio")
    build_index(library, tmp_path / "index", checkpoint, progress=False)
    return tmp_path / "index"


def test_a_whole_and_current_index_passes(folder: Path) -> None:
    assert check_index(folder) == Check([], [], [])


def test_what_changed_in_the_library_is_listed(folder: Path, library: Path) -> None:
    write_sound(library / "new.wav", chirp(7))
    write_sound(library / "House/CarDoor.wav", chirp(8, 0.6))
    (library / "long.wav").unlink()
    assert check_index(folder) == Check([], ["House/CarDoor.wav", "new.wav"], ["long.wav"])


def test_a_changed_byte_is_found(folder: Path) -> None:
    table = folder / "1.arrow"
    content = bytearray(table.read_bytes())
    content[len(content) // 2] ^= 1
    table.write_bytes(content)
    (problem,) = check_index(folder).problems
    assert "not as it was written" in problem


def test_another_system_is_found(folder: Path, tmp_path: Path) -> None:
    load_system(write_checkpoint(tmp_path / "b.ckpt", seed=1)).save(folder / "system.safetensors")
    (problem,) = check_index(folder).problems
    assert "was made by system" in problem


def test_a_library_that_is_gone_is_a_problem(folder: Path, library: Path) -> None:
    library.rename(library.parent / "elsewhere")
    (problem,) = check_index(folder).problems
    assert "is no folder" in problem
