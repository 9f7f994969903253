"""`vocalsketch search`: results as a table and as JSON, and what is refused."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from small_networks import RATE, chirp, write_checkpoint, write_library, write_sound

from vocalsketch.commands import search
from vocalsketch.errors import AudioError, ConfigError, StorageError
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
    search.add_arguments(parser)
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
    fused = found(capsys, sung, *one, "--index", root / "two")
    assert all(hit["probability"] <= plain[hit["path"]]["probability"] for hit in fused)


def test_a_long_query_is_said_to_be_cut(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long = write_sound(root / "hour.wav", np.tile(chirp(0, 1.0, 1000), 70), 1000)
    assert run(long, "--index", root / "one") == 0
    assert "Only the beginning" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("query", "options", "error", "message"),
    [
        ("silence.wav", [], AudioError, "is silent"),
        ("short.wav", [], AudioError, "too short"),
        ("text.wav", [], AudioError, "not audio that can be decoded"),
        ("gone.wav", [], AudioError, "no such file"),
        ("sung.wav", ["--top", "0"], ConfigError, "--top is 0"),
        ("sung.wav", ["--tag", "piano"], ConfigError, "No sound is tagged piano"),
        ("sung.wav", ["--index", "nowhere"], StorageError, "No index in nowhere"),
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
