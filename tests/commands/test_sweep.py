"""`vocalsketch sweep`: its actions, and what they refuse."""

import argparse
import dataclasses
import shlex
from pathlib import Path

import optuna
import pytest
import yaml

from vocalsketch.commands import sweep
from vocalsketch.commands.actions import declare
from vocalsketch.errors import ConfigError, VocalSketchError
from vocalsketch.sweep.definition import open_study, read_definition
from vocalsketch.sweep.storage import REASON, WORKER

SPACE = {
    "rate": {
        "key": "model.init_args.optimizer.init_args.lr",
        "type": "float",
        "low": 1e-4,
        "high": 1e-2,
        "log": True,
    }
}


def run(*arguments: str) -> int:
    parser = argparse.ArgumentParser(exit_on_error=False)
    declare(parser, sweep)
    arguments = parser.parse_args(arguments)
    return int(arguments.run(arguments))


@pytest.fixture
def study_file(tiny_config: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tiny_config.parent)
    path = tiny_config.parent / "rates.yaml"
    path.write_text(yaml.safe_dump({"config": "tiny.yaml", "space": SPACE}))
    return str(path)


@pytest.fixture
def searched(study_file: str) -> str:
    """A study of two complete trials, a pruned one and one that a live worker runs."""
    definition = read_definition(Path(study_file))
    study = open_study(dataclasses.replace(definition, corpus="demo"))

    def objective(trial: optuna.Trial) -> float:
        trial.suggest_float("rate", 1e-4, 1e-2, log=True)
        if trial.number == 2:
            trial.set_user_attr(REASON, "Stage 1 does not fit")
            raise optuna.TrialPruned
        return 0.5 + trial.number / 10

    study.optimize(objective, n_trials=3)
    with pytest.warns(UserWarning, match="Heartbeat"):
        study.ask().set_user_attr(WORKER, "workers/here-001")
    return study_file


def test_status_counts_trials_and_says_why_some_were_pruned(
    searched: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("status", searched) == 0
    said = capsys.readouterr().out
    assert "study rates, corpus=demo (synthetic; not comparable with the paper)" in said
    assert "3 finished (2 complete, 1 pruned), 1 running, 0 waiting, 0 failed" in said
    assert "on workers/here-001" in said
    assert "1 x Stage 1 does not fit" in said
    assert "best trial 1: val/mrr 0.6000" in said


def test_best_exports_a_config_with_the_best_rate(
    searched: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    exported = tmp_path / "it's $HOME best.yaml"
    assert run("best", searched, "--export", str(exported)) == 0
    rate = yaml.safe_load(exported.read_text())["model"]["init_args"]["optimizer"]["init_args"][
        "lr"
    ]
    said = capsys.readouterr().out
    assert f"rate: {rate:.4g}" in said
    _, _, command = said.strip().rpartition(": ")
    assert shlex.split(command) == ["vocalsketch", "fit", "--config", str(exported)]


def test_the_upload_of_a_report_can_be_pasted(
    searched: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    offline = Path("my sweeps/it's $1/offline-run")
    monkeypatch.setattr("vocalsketch.sweep.run.summarise", lambda *_: offline)
    assert run("report", searched) == 0
    command = capsys.readouterr().out.split("`")[1]
    assert shlex.split(command) == ["wandb", "sync", str(offline)]


def test_report_writes_history_trials_and_best_config(searched: str) -> None:
    assert run("report", searched) == 0
    folder = Path("runs/sweeps/rates")
    names = {path.name for path in (folder / "report").iterdir()}
    assert names == {"history.png", "trials.csv"}
    assert (folder / "best.yaml").is_file()


def test_prune_failed_says_what_it_did(searched: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("prune-failed", searched) == 0
    assert "0 folders of failed trials removed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "--trials", "0"), "--trials is 0"),
        (("run", "--trials", "2", "--workers", "0"), "jobs at a time is 0"),
        (("run", "--trials", "2", "--set", "max_epochs"), "--set is 'max_epochs': give KEY=VALUE"),
        (("run", "--trials", "2", "--set", "modle.x=1"), "does not validate: No config key"),
        (("run", "--trials", "2", "--storage", "ftp://x"), "storage is 'ftp://x'"),
        (("status",), "No study at runs/sweeps/rates/study.db: begin one with"),
        (("best", "--retrain", "0"), "--retrain is 0"),
    ],
)
def test_what_cannot_be_done_is_refused(
    study_file: str, arguments: tuple[str, ...], message: str
) -> None:
    action, *options = arguments
    with pytest.raises(VocalSketchError) as error:
        run(action, study_file, *options)
    assert message in str(error.value)


def test_another_space_under_the_same_name_is_refused(searched: str) -> None:
    content = yaml.safe_load(Path(searched).read_text())
    content["space"]["rate"]["high"] = 1.0
    Path(searched).write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match=r"'rates' exists with another space"):
        run("run", searched, "--trials", "5")
