"""`vocalsketch index`: building, info and check from the command line."""

import argparse
import shlex
from pathlib import Path

import pytest
from small_networks import chirp, write_checkpoint, write_library, write_sound

from vocalsketch.commands import index
from vocalsketch.commands.actions import declare
from vocalsketch.errors import ConfigError


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    declare(parser, index)
    parsed = parser.parse_args([str(argument) for argument in arguments])
    return int(parsed.run(parsed))


@pytest.fixture
def folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """An index of six sounds, with a file that cannot be used."""
    library = write_library(tmp_path / "it's $1 library")
    (library / "text.wav").write_text("no audio")
    (library / "text.txt").write_text("no audio")
    checkpoint = write_checkpoint(tmp_path / "best.ckpt")
    folder = tmp_path / "index"
    assert run("build", library, "--checkpoint", checkpoint, "--index", folder) == 0
    return folder


def test_build_says_what_it_did_and_what_it_skipped(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = capsys.readouterr().out
    assert "skipped 1 .wav: not audio that can be decoded" in said
    assert "(such as text.wav)" in said
    assert "no sounds, left out: 1 .txt" in said
    assert "6 sounds (8 windows): 6 new, 0 unchanged, 0 removed, 1 skipped; version 1" in said
    write_sound(folder.parent / "it's $1 library" / "new.wav", chirp(7))
    assert run("build", folder.parent / "it's $1 library", "--index", folder) == 0
    said = capsys.readouterr().out
    assert "7 sounds (9 windows): 1 new, 6 unchanged, 0 removed, 1 skipped; version 2" in said


def test_info_counts_and_names(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run("info", folder) == 0
    said = capsys.readouterr().out.splitlines()
    lines = dict(reversed([line.split(maxsplit=1) for line in said]))
    assert lines["sounds"] == "6 (8 windows)"
    assert lines["library"] == str(folder.parent / "it's $1 library")
    assert lines["tags"] == "house (3), drums (2), kick drums (1), snares (1)"
    assert lines["system"].startswith("siamese ")
    assert lines["system"].endswith("corpus=folder")
    assert lines["stored"].startswith("1 segments, ")
    assert lines["skipped"] == "1 files that cannot be used"
    assert "no sounds, left out: 1 .txt" in said
    assert run("info", folder, "--skipped") == 0
    assert "skipped text.wav: not audio" in capsys.readouterr().out


def test_check_passes_a_whole_index_and_names_what_is_new(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sound(folder.parent / "it's $1 library" / "new.wav", chirp(7))
    capsys.readouterr()
    assert run("check", folder) == 0
    said = capsys.readouterr().out
    assert "1 new or changed in the library: new.wav" in said
    library = str(folder.parent / "it's $1 library")
    update = ["vocalsketch", "index", "build", library, "--index", str(folder)]
    assert shlex.split(said.split("`")[1]) == update
    assert f"{folder} is whole." in said


def test_check_fails_a_damaged_index(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = folder / "1.arrow"
    content = bytearray(table.read_bytes())
    content[len(content) // 2] ^= 1
    table.write_bytes(content)
    assert run("check", folder) == 1
    assert "not as it was written" in capsys.readouterr().out


def test_no_device_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="devices is 0"):
        run("build", tmp_path, "--index", tmp_path / "index", "--devices", 0)


def test_a_system_that_needs_no_training_is_named_or_the_default(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    library = write_library(tmp_path / "library")
    for options, name in (([], "ensemble"), (["--system", "contours"], "contours")):
        index = tmp_path / name
        for count in ("6 new, 0 unchanged", "0 new, 6 unchanged"):
            assert run("build", library, "--index", index, *options) == 0
            assert count in capsys.readouterr().out
        assert run("info", index) == 0
        assert name in capsys.readouterr().out


def test_skipped_files_are_counted_by_suffix_and_reason() -> None:
    skipped = {
        "a.wav": "truncated: 1 of 2 samples are there",
        "b/c.WAV": "truncated: 3 of 9 samples are there",
        "d.mp3": "nothing but silence.",
        "folder": "a folder that cannot be read (Permission denied)",
    }
    assert list(index.skipped_lines(skipped, {})) == [
        "skipped 2 .wav: truncated (such as a.wav)",
        "skipped 1 .mp3: nothing but silence (such as d.mp3)",
        "skipped 1 without a suffix: a folder that cannot be read (Permission denied) "
        "(such as folder)",
    ]
