"""`vocalsketch index`: building, info and check from the command line."""

import argparse
from pathlib import Path

import pytest
from small_networks import chirp, write_checkpoint, write_library, write_sound

from vocalsketch.commands import index
from vocalsketch.errors import ConfigError


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    index.add_arguments(parser)
    return index.run(parser.parse_args([str(argument) for argument in arguments]))


@pytest.fixture
def folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """An index of six sounds, with a file that cannot be used."""
    library = write_library(tmp_path / "library")
    (library / "text.wav").write_text("no audio")
    checkpoint = write_checkpoint(tmp_path / "best.ckpt")
    folder = tmp_path / "index"
    assert run("build", library, "--checkpoint", checkpoint, "--index", folder) == 0
    return folder


def test_build_says_what_it_did_and_what_it_skipped(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = capsys.readouterr().out
    assert "skipped text.wav: not audio that can be decoded" in said
    assert "6 sounds (8 windows): 6 new, 0 unchanged, 0 removed, 1 skipped; version 1" in said
    write_sound(folder.parent / "library" / "new.wav", chirp(7))
    assert run("build", folder.parent / "library", "--index", folder) == 0
    said = capsys.readouterr().out
    assert "7 sounds (9 windows): 1 new, 6 unchanged, 0 removed, 1 skipped; version 2" in said


def test_info_counts_and_names(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run("info", folder) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["sounds"] == "6 (8 windows)"
    assert lines["library"] == str(folder.parent / "library")
    assert lines["tags"] == "house (3), drums (2), kick drums (1), snares (1)"
    assert lines["network"].endswith("corpus=folder")


def test_check_passes_a_whole_index_and_names_what_is_new(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sound(folder.parent / "library" / "new.wav", chirp(7))
    capsys.readouterr()
    assert run("check", folder) == 0
    said = capsys.readouterr().out
    assert "1 new or changed in the library: new.wav" in said
    assert f"{folder} is whole." in said


def test_check_fails_a_damaged_index(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = folder / "sounds-1.arrow"
    content = bytearray(table.read_bytes())
    content[len(content) // 2] ^= 1
    table.write_bytes(content)
    assert run("check", folder) == 1
    assert "not as it was written" in capsys.readouterr().out


def test_no_device_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--devices is 0"):
        run("build", tmp_path, "--index", tmp_path / "index", "--devices", 0)
