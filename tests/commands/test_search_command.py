"""`vocalsketch search`: results as a table and as JSON, and what is refused."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from small_networks import RATE, chirp, write_checkpoint, write_library, write_sound

from vocalsketch.commands import search
from vocalsketch.commands.actions import declare
from vocalsketch.errors import AudioError, ConfigError, DatasetError, StorageError
from vocalsketch.files import cache_folder
from vocalsketch.search import Index, build_index


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library, indexes of it by two networks, and a query."""
    root = tmp_path_factory.mktemp("root")
    library = write_library(root / "library")
    for seed, name in enumerate(("one", "two")):
        checkpoint = write_checkpoint(root / f"{name}.ckpt", seed=seed)
        build_index(library, root / name, checkpoint, jobs=1, progress=False)
    write_sound(root / "sung.wav", chirp(1, 0.7))
    return root


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    declare(parser, search)
    return search.run(parser.parse_args([str(argument) for argument in arguments]))


def found(capsys: pytest.CaptureFixture[str], *arguments: object) -> list[dict]:
    capsys.readouterr()
    assert run(*arguments, "--json") == 0
    hits: list[dict] = json.loads(capsys.readouterr().out)
    return hits


def test_results_are_those_of_the_index(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hits = found(capsys, root / "sung.wav", "--index", root / "one", "--top", 4)
    waveform = np.asarray(chirp(1, 0.7))
    expected = Index.open(root / "one").search(waveform, RATE, k=4)
    assert [hit["path"] for hit in hits] == [hit.path for hit in expected]
    assert [hit["rank"] for hit in hits] == [1, 2, 3, 4]
    assert hits[0]["file"] == str(root / "library" / hits[0]["path"])


def test_a_search_loads_what_it_needs_and_no_more(root: Path) -> None:
    code = (
        "import sys; from vocalsketch.cli import main\n"
        "heavy = {'pytorch_lightning', 'librosa', 'torchmetrics', 'matplotlib', 'wandb', 'sklearn',"
        " 'optuna', 'captum', 'rich', 'pandas', 'torch._dynamo'}\n"
        "print('STATUS', main(sys.argv[1:]), 'IMPORTED', sorted(heavy & set(sys.modules)))"
    )
    arguments = ["search", root / "sung.wav", "--index", root / "one"]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert "STATUS 0 IMPORTED []" in done.stdout


def test_the_table_has_a_line_for_each_result(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hits = found(capsys, root / "sung.wav", "--index", root / "one", "--top", 3)
    assert run(root / "sung.wav", "--index", root / "one", "--top", 3) == 0
    _, *lines = capsys.readouterr().out.splitlines()
    for line, hit in zip(lines, hits, strict=True):
        assert line.split()[0] == str(hit["rank"])
        assert line.endswith(hit["file"])


def test_tags_words_and_a_second_index_take_part(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sung, one = root / "sung.wav", ["--index", root / "one"]
    tagged = found(capsys, sung, *one, "--tag", "drums", "--tag", "kick")
    assert [hit["path"] for hit in tagged] == ["Drums/Kick Drums/deep.wav"]
    plain = {hit["path"]: hit for hit in found(capsys, sung, *one)}
    worded = {hit["path"]: hit for hit in found(capsys, sung, *one, "--text", "door")}
    for path, hit in worded.items():
        factor = 1.0 if path in ("House/CarDoor.wav", "House/door slam.aiff") else 0.1
        assert hit["probability"] == pytest.approx(factor * plain[path]["probability"], rel=1e-4)
    fused = found(capsys, sung, *one, "--index", root / "two", "--fuse")
    assert all(hit["probability"] <= plain[hit["path"]]["probability"] for hit in fused)


def test_a_long_query_is_said_to_be_cut(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = write_sound(root / "hour.wav", np.tile(chirp(0, 1.0, 1000), 70), 1000)
    assert run(long, "--index", root / "one") == 0
    told = "0.00 to 1.05 s of 60.00 s (nothing was cut: there is no silence at its ends; no more"
    assert told in capsys.readouterr().err


def test_a_missing_shard_is_said_and_seen_in_the_status(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = [root / "sung.wav", "--index", root / "one", "--index", root / "away"]
    assert run(*asked) == search.PARTIAL == 3
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 7
    assert f"The answer is partial: {root / 'away'} is missing (No index in" in said.err


def test_sounds_that_are_gone_are_marked_and_the_remedy_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    library = write_library(tmp_path / "my library")
    build_index(library, tmp_path / "index", "contours", jobs=1, progress=False)
    write_sound(tmp_path / "sung.wav", chirp(1, 0.7))
    (library / "long.wav").unlink()
    assert run(tmp_path / "sung.wav", "--index", tmp_path / "index") == 0
    said = capsys.readouterr()
    assert f"(gone) {library / 'long.wav'}" in said.out
    command = f"vocalsketch index build '{library}' --index {tmp_path / 'index'}"
    assert command in said.err


def test_a_library_is_searched_without_ceremony(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    library = write_library(tmp_path / "library")
    (library / "text.wav").write_text("no audio")
    sung = write_sound(tmp_path / "sung.wav", chirp(1, 0.7))
    assert run(sung, "--library", library) == 0
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 7
    assert "skipped 1 .wav: not audio" in said.err
    assert "6 new, 0 unchanged, 0 removed, 1 skipped; version 1 of" in said.err
    assert "embedding" in said.err
    assert run(sung, "--library", library) == 0
    again = capsys.readouterr()
    assert again.out == said.out
    assert "new" not in again.err
    (library / "long.wav").unlink()
    write_sound(library / "twin.wav", chirp(1, 0.7))
    hits = found(capsys, sung, "--library", library, "--top", 10)
    assert "twin.wav" in (paths := [hit["path"] for hit in hits])
    assert "long.wav" not in paths
    (index,) = (cache_folder() / "indexes").iterdir()
    with FileLock(index / ".lock"):  # while another search brings it up to date
        assert run(sung, "--library", library) == 0
    assert "The version before is searched." in capsys.readouterr().err


def test_the_best_result_is_shown_in_the_file_manager(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Path] = []
    monkeypatch.setattr("vocalsketch.search.query.reveal", shown.append)
    monkeypatch.setattr("vocalsketch.search.reveal", shown.append)
    (best,) = found(capsys, root / "sung.wav", "--index", root / "one", "--top", 1, "--open")
    assert shown == [Path(best["file"])]


def test_an_empty_library_is_refused(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds no audio"):
        run(root / "sung.wav", "--library", tmp_path)
    with pytest.raises(DatasetError, match="is no folder"):
        run(root / "sung.wav", "--library", tmp_path / "nothing")


@pytest.mark.parametrize(
    ("query", "options", "error", "message"),
    [
        ("silence.wav", [], AudioError, "is silent"),
        ("short.wav", [], AudioError, "too short"),
        ("text.wav", [], AudioError, "not audio that can be decoded"),
        ("gone.wav", [], AudioError, "no such file"),
        ("sung.wav", ["--top", "0"], ConfigError, "--top is 0"),
        ("sung.wav", ["--tag", "piano"], ConfigError, "No sound is tagged piano"),
        ("sung.wav", ["--index", "nowhere", "--fuse"], StorageError, "No index in nowhere"),
        ("sung.wav", ["--system", "contours"], ConfigError, "--system goes with --library"),
    ],
)
def test_bad_input_is_refused(
    root: Path, query: str, options: list[str], error: type, message: str
) -> None:
    write_sound(root / "silence.wav", np.zeros(RATE))
    write_sound(root / "short.wav", chirp(0, 0.05))
    (root / "text.wav").write_text("this is no audio")
    with pytest.raises(error, match=message):
        run(root / query, "--index", root / "one", *options)
