"""`vocalsketch demo`: what is refused before anything is served, and the index to begin with."""

import argparse
import socket
from pathlib import Path

import pytest
from corpora import write_config

from vocalsketch.commands import demo
from vocalsketch.datasets.open import open_corpus
from vocalsketch.errors import ConfigError, StorageError
from vocalsketch.search import Index
from vocalsketch.web import starter as starters


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    demo.add_arguments(parser)
    return demo.run(parser.parse_args([str(argument) for argument in arguments]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--max-seconds", "0"], "--max-seconds is 0"),
        (["--max-megabytes", "-3"], "--max-megabytes is -3"),
        (["--port", "0"], "--port is 0"),
        (["--port", "70000"], "--port is 70000"),
        (["--host", "192.0.2.1"], "192.0.2.1, port 7860, cannot be listened on"),
        (["--host", "no such host"], "no such host, port 7860, cannot be listened on"),
    ],
)
def test_bad_arguments_are_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run("--index", "anything", *arguments)


def test_a_port_in_use_is_refused() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(ConfigError, match="cannot be listened on.*give a --port that is free"):
            run("--index", "anything", "--port", taken.getsockname()[1])


def test_a_missing_index_is_refused(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(StorageError, match="No index in"):
        run("--index", tmp_path / "nowhere", "--port", port)


def test_others_are_let_in_with_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(StorageError):
        run("--index", tmp_path / "nowhere", "--host", "0.0.0.0", "--port", 45_999)
    assert "there is no password" in capsys.readouterr().err


def test_the_index_to_begin_with_is_made_once(
    tmp_path: Path, folder_corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = open_corpus(folder_corpus)
    monkeypatch.setattr(starters, "open_corpus", lambda root: corpus)
    monkeypatch.setattr(starters, "CONFIG", write_config(tmp_path / "tiny.yaml", folder_corpus))
    first = starters.starter()
    index = Index.open(first.index, threads=1)
    assert index.sounds == len(corpus.sounds)
    assert len(first.examples) == 2 * len({sound.category for sound in corpus.sounds})
    assert all(path.parent.name == name for name, path in first.examples.items())
    monkeypatch.setattr(starters, "run_experiment", None)  # it would fail
    assert starters.starter() == first


def test_the_config_to_begin_with_is_the_one_for_experiments() -> None:
    """Only what a demo leaves out differs from conf/iminet_tied.yaml."""
    import yaml

    shipped = Path(__file__).parents[2] / "conf/iminet_tied.yaml"
    mine = yaml.safe_load(starters.CONFIG.read_text())
    theirs = yaml.safe_load(shipped.read_text())
    assert mine["model"]["init_args"]["hidden"] == theirs["model"]["init_args"]["hidden"]
    tower = "imitation_tower"
    assert mine["model"]["init_args"][tower] == theirs["model"]["init_args"][tower]
