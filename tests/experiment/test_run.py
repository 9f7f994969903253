"""A run from config to results: what it writes, resumes, repeats and refuses."""

import csv
import json
import os
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import pytorch_lightning as pl
import soundfile
import torch
import yaml
from corpora import write_config, write_folder_corpus

from vocalsketch.cli import CACHES
from vocalsketch.datasets.splits import read_manifest
from vocalsketch.domain import SIDES
from vocalsketch.errors import (
    AudioError,
    CheckpointError,
    ConfigError,
    StorageError,
    VocalSketchError,
)
from vocalsketch.experiment import run_experiment, run_folder
from vocalsketch.retrieval.scores import Scores, chance_mrr


def fit(config: Path, folder: Path, *more: str) -> dict:
    outcome = run_experiment("fit", ["--config", str(config), "--run_dir", str(folder), *more])
    return outcome.results


def test_fit_ranks_both_halves_and_leaves_all_that_is_needed_to_repeat_it(
    tiny_config: Path, tmp_path: Path
) -> None:
    results = fit(tiny_config, tmp_path / "run")
    run = tmp_path / "run"
    saved = json.loads((run / "results_test.json").read_text())

    assert saved == results["test"]
    assert saved["corpus"] == "folder"
    assert set(saved["categories"]) == {"bells", "horns"}
    bells = saved["categories"]["bells"]
    # half of four sounds, three imitations of each
    assert (bells["queries"], bells["candidates"]) == (6, 2)
    assert bells["chance"] == chance_mrr(2) == 0.75
    assert saved["macro"]["mrr"] == pytest.approx(
        np.mean([each["mrr"] for each in saved["categories"].values()])
    )
    assert results["validation"]["categories"]["horns"]["queries"] == 2

    with (run / "queries_test.csv").open(newline="") as handle:
        ranks = [float(row["rank"]) for row in csv.DictReader(handle) if row["category"] == "bells"]
    assert np.mean([1 / rank for rank in ranks]) == pytest.approx(bells["mrr"])
    assert read_manifest(run / "split.json").fingerprint == saved["split"]
    assert json.loads((run / "environment.json").read_text())["packages"]["torch"]

    # the resolved config alone repeats the run
    again = fit(run / "config.yaml", tmp_path / "again")
    assert again["test"]["categories"] == saved["categories"]


def test_fit_without_test_leaves_the_test_half_alone(folder_corpus: Path, tmp_path: Path) -> None:
    root = shutil.copytree(folder_corpus, tmp_path / "corpus")
    for path in (*root.glob("sounds/*/*[23].wav"), *root.glob("imitations/*[23]/*.wav")):
        path.write_bytes(b"not audio")
    config = write_config(tmp_path / "tiny.yaml", root)
    results = fit(config, tmp_path / "run", "--test_after_fit", "false")
    assert set(results) == {"validation"}
    with pytest.raises(AudioError, match="^4 audio files cannot be used:\n .*bells2.wav"):
        fit(config, tmp_path / "other")


def test_resumed_run_equals_an_uninterrupted_one(tiny_config: Path, tmp_path: Path) -> None:
    whole = fit(tiny_config, tmp_path / "whole", "--trainer.max_epochs", "3")
    fit(tiny_config, tmp_path / "parts", "--trainer.max_epochs", "1")
    parts = fit(tiny_config, tmp_path / "parts", "--trainer.max_epochs", "3", "--ckpt_path", "last")
    assert parts["test"] == whole["test"]
    weights = [
        torch.load(tmp_path / run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
        for run in ("whole", "parts")
    ]
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name]), name


def test_test_and_predict_score_as_fit_did(tiny_config: Path, tmp_path: Path) -> None:
    fitted = fit(tiny_config, tmp_path / "run")
    scores = Scores.load(tmp_path / "run" / "scores_test.npz")
    best = str(tmp_path / "run" / "checkpoints" / "best.ckpt")
    common = ["--config", str(tiny_config), "--ckpt_path", best, "--run_dir"]

    tested = run_experiment("test", [*common, str(tmp_path / "tested")])
    assert tested.results["test"] == fitted["test"]
    run_experiment("predict", [*common, str(tmp_path / "predicted")])
    with (tmp_path / "predicted" / "scores_test_bells.csv").open(newline="") as handle:
        rows = list(csv.reader(handle))
    bells = scores.categories[0]
    assert rows[0][1:] == list(bells.candidates)
    assert [row[0] for row in rows[1:]] == list(bells.queries)
    np.testing.assert_array_equal(np.array([row[1:] for row in rows[1:]], float), bells.scores)
    validated = run_experiment(
        "validate", ["--config", str(tiny_config), "--run_dir", str(tmp_path / "run"),
                     "--ckpt_path", "best"],
    )  # fmt: skip
    assert validated.results["validation"] == fitted["validation"]


def test_checkpoint_is_chosen_by_the_least_validation_loss(
    tiny_config: Path, tmp_path: Path
) -> None:
    fit(tiny_config, tmp_path / "run", "--trainer.max_epochs", "4")
    best = torch.load(tmp_path / "run/checkpoints/best.ckpt", weights_only=True)
    last = torch.load(tmp_path / "run/checkpoints/last.ckpt", weights_only=True)
    state = next(
        value for name, value in last["callbacks"].items() if "'monitor': 'val/loss'" in name
    )
    assert state["best_model_score"] <= state["current_score"]
    assert best["epoch"] <= last["epoch"] == 3


def test_bad_audio_is_skipped_and_counted_when_asked(folder_corpus: Path, tmp_path: Path) -> None:
    root = shutil.copytree(folder_corpus, tmp_path / "corpus")
    bad = root / "imitations" / "bells3" / "bells3-0.wav"
    soundfile.write(bad, np.full(4000, np.nan), 8000, subtype="FLOAT")
    (root / "imitations" / "bells2" / "bells2-1.wav").write_bytes(b"")
    config = write_config(tmp_path / "tiny.yaml", root)
    with pytest.raises(AudioError) as caught:
        fit(config, tmp_path / "run")
    assert "bells3-0.wav" in str(caught.value)
    assert "bells2-1.wav" in str(caught.value)
    results = fit(config, tmp_path / "skipping", "--data.init_args.on_bad_audio", "skip")
    assert results["test"]["categories"]["bells"]["queries"] == 4
    assert len(results["test"]["skipped"]) == 2


def overlay(tmp_path: Path, text: str) -> list[str]:
    path = tmp_path / "overlay.yaml"
    path.write_text(text)
    return ["--config", str(path)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("trainr: {max_epochs: 1}", "No config key 'trainr': did you mean 'trainer'"),
        ("data: {init_args: {batchsize: 4}}", "'batchsize' of .*did you mean 'batch_size'"),
        ("data: {init_args: {batch_size: many}}", "batch_size.*Got value: many"),
        ("data: {init_args: {batch_size: 3}}", "batch_size is 3: give an even number"),
        ("trainer: {max_epochs: abc}", "trainer.max_epochs.*<class 'int'> Got value: abc"),
        ("trainer: {accelerator: cpu, devices: 0}", "The trainer cannot be built: .*devices"),
        ("model: {init_args: [", "overlay.yaml is no YAML that can be read"),
        ("data: {init_args: {split: thirds}}", "'thirds' is neither"),
        ("data: {init_args: {root: /nowhere}}", "/nowhere does not exist"),
        ("model: {init_args: {hidden: []}}", "hidden is"),
        ("model: {init_args: {imitation_tower: {stages: [{filters: 1, kernel: [99, 1]}]}}}",
         "Stage 1 does not fit"),
    ],
)  # fmt: skip
def test_bad_configs_are_explained(
    tiny_config: Path, tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(VocalSketchError, match=message):
        run_experiment("fit", ["--config", str(tiny_config), *overlay(tmp_path, text)])


def test_a_fit_without_a_config_says_what_to_give() -> None:
    with pytest.raises(ConfigError, match="give --config FILE"):
        run_experiment("fit", [])


def test_a_run_is_not_overwritten(tiny_config: Path, tmp_path: Path) -> None:
    fit(tiny_config, tmp_path / "run", "--trainer.max_epochs", "1")
    before = (tmp_path / "run" / "results.json").read_bytes()
    with pytest.raises(ConfigError, match="already holds a run"):
        fit(tiny_config, tmp_path / "run")
    assert (tmp_path / "run" / "results.json").read_bytes() == before


def test_the_command_that_begins_a_run_also_goes_on_with_it(
    tiny_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Killed in its first epoch a run has no last checkpoint, but may have a best one."""
    whole = fit(tiny_config, tmp_path / "whole")
    fit(tiny_config, tmp_path / "run", "--trainer.max_epochs", "1", "--test_after_fit", "false")
    for file in ("checkpoints/last.ckpt", "results.json", "results_validation.json"):
        (tmp_path / "run" / file).unlink()
    with pytest.raises(CheckpointError, match="No checkpoint at"):
        fit(tiny_config, tmp_path / "run", "--ckpt_path", "none.ckpt")
    with pytest.raises(ConfigError, match="already holds a run"):
        fit(tiny_config, tmp_path / "run")
    assert (tmp_path / "run" / "checkpoints" / "best.ckpt").is_file()
    assert fit(tiny_config, tmp_path / "run", "--ckpt_path", "last") == whole
    stamp = (tmp_path / "run" / "checkpoints" / "last.ckpt").stat().st_mtime_ns
    assert fit(tiny_config, tmp_path / "run", "--ckpt_path", "last") == whole
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").stat().st_mtime_ns == stamp
    assert "another config" not in capsys.readouterr().out


def test_a_run_that_goes_on_with_another_config_says_what_is_other(
    tiny_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit(tiny_config, tmp_path / "run", "--trainer.max_epochs", "1")
    before = (tmp_path / "run" / "config.yaml").read_text()
    fit(tiny_config, tmp_path / "run", "--ckpt_path", "last", "--data.init_args.batch_size", "4")
    said = capsys.readouterr().out
    assert (
        "another config than before: trainer.max_epochs 1 -> 2; data.init_args.batch_size" in said
    )
    assert (tmp_path / "run" / "config_1.yaml").read_text() == before
    assert "batch_size: 4" in (tmp_path / "run" / "config.yaml").read_text()


def test_a_run_does_not_go_on_with_another_split(tiny_config: Path, tmp_path: Path) -> None:
    """What it has trained on would be in its test half."""
    fit(tiny_config, tmp_path / "run", "--trainer.max_epochs", "1")
    split = (tmp_path / "run" / "split.json").read_bytes()
    with pytest.raises(CheckpointError, match="began with split 'paper' of folder .*'random"):
        fit(tiny_config, tmp_path / "run", "--ckpt_path", "last", "--data.init_args.split=random")
    assert (tmp_path / "run" / "split.json").read_bytes() == split


def test_two_runs_do_not_share_a_folder(
    tiny_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_folder, "FAREWELL", 0.1)
    with run_folder.RunFolder(tmp_path / "run").alone():
        with pytest.raises(StorageError, match="Another process is at work in"):
            fit(tiny_config, tmp_path / "run")
    assert fit(tiny_config, tmp_path / "run")["test"]["system"] == "tiny"


def test_checkpoints_that_do_not_fit_are_refused(tiny_config: Path, tmp_path: Path) -> None:
    fit(tiny_config, tmp_path / "run", "--trainer.max_epochs", "1")
    best = str(tmp_path / "run" / "checkpoints" / "best.ckpt")
    arguments = ["--config", str(tiny_config), "--run_dir", str(tmp_path / "test")]
    sides = [f"--data.init_args.{side}_front_end.init_args.{{}}" for side in SIDES]
    for changes, said in (
        (["--model.init_args.hidden", "[9,4]"], r"geometry\.hidden is \[8, 4\] there and \[9, 4\]"),
        (["--model.init_args.sharing", "untied"], r"sharing is 'tied' there and 'untied' here"),
        (
            [word for side in sides for word in (side.format("scaling"), "magnitude")],
            r"front_ends\.imitation\.scaling is 'db' there and 'magnitude' here\. Use the config",
        ),
        (
            [word for side in sides for word in (side.format("top_db"), "60")],
            r"imitation\.top_db is 80\.0 there and 60",
        ),
    ):
        with pytest.raises(CheckpointError, match=said):
            run_experiment("test", [*arguments, "--ckpt_path", best, *changes])
    other = [*arguments, "--ckpt_path", best, "--data.init_args.split", "random"]
    with pytest.raises(CheckpointError, match="began with split 'paper' of folder .*'random"):
        run_experiment("test", other)
    (tmp_path / "run" / "split.json").unlink()
    run_experiment("test", other)  # of two folders of one's own no one knows
    with pytest.raises(CheckpointError, match="No checkpoint"):
        run_experiment("test", [*arguments, "--ckpt_path", str(tmp_path / "none.ckpt")])
    with pytest.raises(CheckpointError, match="needs a trained model"):
        run_experiment("test", arguments)
    damaged = tmp_path / "damaged.ckpt"
    damaged.write_bytes(Path(best).read_bytes()[:2000])
    with pytest.raises(CheckpointError, match="cannot|no checkpoint that can be read safely"):
        run_experiment("test", [*arguments, "--ckpt_path", str(damaged)])


def test_shipped_configs_build_the_papers_network(
    folder_corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vocalsketch.experiment.parser import ExperimentCLI

    monkeypatch.setenv("VOCALSKETCH_ROOT", str(folder_corpus))
    conf = Path(__file__).resolve().parents[2] / "conf"
    counts = {"iminet_tied": 203_357, "iminet_partial": 204_785, "iminet_untied": 205_769}
    for name, count in counts.items():
        cli = ExperimentCLI("fit", ["--config", str(conf / f"{name}.yaml")])
        assert sum(parameter.numel() for parameter in cli.model.parameters()) == count
        assert yaml.safe_load(cli.resolved())["model"]["init_args"]["hidden"] == [432, 32]


PAGES = """
import resource
from vocalsketch.experiment.run import keep_memory

def pages_taken():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(3):
        b"x" * 2**25  # 8,192 pages, freed at once
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(pages_taken())
keep_memory()
pages_taken()
print(pages_taken())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is given back otherwise elsewhere")
def test_memory_that_is_freed_serves_again_once_it_is_kept() -> None:
    """In a process of its own, as what lies in memory already decides where gaps are."""
    given_back, kept = map(int, subprocess.check_output([sys.executable, "-c", PAGES]).split())
    assert kept < 4_000
    assert kept < given_back / 2  # which are few where pages are huge


def test_fit_keeps_memory(
    tiny_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = []
    monkeypatch.setattr("vocalsketch.experiment.run.keep_memory", lambda: called.append(True))
    fit(tiny_config, tmp_path / "run")
    assert called == [True]


@pytest.mark.parametrize(
    ("accelerator", "instructions", "precision"),
    [("cpu", False, "32-true"), ("cpu", True, "bf16-mixed"), ("auto", False, "32-true")],
)
def test_mixed_precision_is_left_out_where_the_processor_has_no_instructions_for_it(
    folder_corpus: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    accelerator: str,
    instructions: bool,
    precision: str,
) -> None:
    from vocalsketch.experiment import parser

    monkeypatch.setattr(parser, "has_bfloat16", lambda: instructions)
    monkeypatch.setattr("torch.accelerator.is_available", lambda: False)
    config = write_config(tmp_path / "mixed.yaml", folder_corpus, max_epochs=1)
    asked = ["--trainer.precision", "bf16-mixed", "--trainer.accelerator", accelerator]
    cli = parser.ExperimentCLI("fit", ["--config", str(config), *asked])
    assert cli.trainer.precision == precision
    assert ("32-true" in capsys.readouterr().out) == (not instructions)


def test_small_corpora_in_other_layouts_run_alike(tmp_path: Path) -> None:
    root = write_folder_corpus(tmp_path / "corpus", categories=("one", "two", "three"))
    table = tmp_path / "pairs.csv"
    with table.open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["imitation", "sound", "category"])
        for sound in sorted(root.glob("sounds/*/*.wav")):
            for voice in sorted((root / "imitations" / sound.stem).iterdir()):
                writer.writerow([voice, sound, sound.parent.name])
    folder = fit(write_config(tmp_path / "a.yaml", root, max_epochs=1), tmp_path / "a")
    listed = fit(write_config(tmp_path / "b.yaml", table, max_epochs=1), tmp_path / "b")
    assert folder["test"]["macro"] == listed["test"]["macro"]


def test_a_resolved_config_keeps_the_name_and_forgets_the_folder(
    tiny_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fit(tiny_config, tmp_path / "run", "--trainer.max_epochs", "1")
    best = str(tmp_path / "run" / "checkpoints" / "best.ckpt")
    outcome = run_experiment(
        "test", ["--config", str(tmp_path / "run" / "config.yaml"), "--ckpt_path", best]
    )
    assert outcome.folder.parent == Path("runs/tiny")
    assert outcome.results["test"]["system"] == "tiny"


def test_ctrl_c_leaves_a_run_that_goes_on_to_the_same_end(
    tiny_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class CtrlC(pl.Callback):
        def on_train_batch_start(self, trainer: pl.Trainer, *_: object) -> None:
            if trainer.current_epoch == 1:
                raise KeyboardInterrupt

    run = ["--config", str(tiny_config), "--run_dir", str(tmp_path / "run")]
    with pytest.raises(KeyboardInterrupt):
        run_experiment("fit", run, [CtrlC()])
    assert not list((tmp_path / "run").glob("results*"))
    assert "--ckpt_path last" in capsys.readouterr().out
    resumed = fit(tiny_config, tmp_path / "run", "--ckpt_path", "last")
    assert resumed == fit(tiny_config, tmp_path / "whole")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model.init_args.hidden", "[9,4]"], "another architecture|hidden"),
        (["--model.init_args.sharing", "untied"], "sharing"),
        (
            ["--model.init_args.optimizer=torch.optim.NAdam"],
            "'mu_product' is missing; is the checkpoint of another",
        ),
        (["--data.init_args.root", "/nowhere"], "/nowhere does not exist"),
        (["--ckpt_path", "weights.ckpt"], "optimizer state .* only the model"),
    ],
)
def test_a_run_that_cannot_go_on_leaves_its_folder_as_it_was(
    options: list[str],
    message: str,
    tiny_config: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "run"
    fit(tiny_config, run, "--trainer.max_epochs", "1")
    checkpoint = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    del checkpoint["optimizer_states"]
    torch.save(checkpoint, tmp_path / "weights.ckpt")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    with pytest.raises(VocalSketchError, match=message) as caught:
        fit(tiny_config, run, "--ckpt_path", "last", *options)
    assert "\n" not in str(caught.value)
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    assert list(fit(tiny_config, run, "--ckpt_path", "last")) == ["validation", "test"]


def test_runs_that_begin_in_one_second_have_folders_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> "Clock":
            return cls(2026, 1, 2, 3, 4, 5)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run_folder, "datetime", Clock)
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: run_folder.choose_run_folder(None, "a"), range(8)))
    names = {each.path.name for each in made}
    assert names == {"20260102-030405", *(f"20260102-030405-{n}" for n in range(2, 9))}
    assert all(each.path.is_dir() for each in made)


def test_a_run_that_is_refused_leaves_no_empty_folder(
    tiny_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match="batch_size is 3"):
        run_experiment("fit", ["--config", str(tiny_config), "--data.init_args.batch_size", "3"])
    assert not list((tmp_path / "runs").glob("*/*"))


def test_the_command_that_goes_on_can_be_pasted(
    tiny_config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class CtrlC(pl.Callback):
        def on_train_batch_start(self, trainer: pl.Trainer, *_: object) -> None:
            if trainer.current_epoch == 1:
                raise KeyboardInterrupt

    folder = tmp_path / "it's $HOME run"
    with pytest.raises(KeyboardInterrupt):
        run_experiment("fit", ["--config", str(tiny_config), "--run_dir", str(folder)], [CtrlC()])
    _, _, options = capsys.readouterr().out.strip().rpartition("with: ")
    assert shlex.split(options) == ["--run_dir", str(folder), "--ckpt_path", "last"]


def test_a_home_that_cannot_be_written_is_not_needed(tiny_config: Path, tmp_path: Path) -> None:
    """Neither by this program nor by what keeps caches of its own: matplotlib, numba, W&B."""
    settings = yaml.safe_load(tiny_config.read_text())
    settings["trainer"] |= {
        "max_epochs": 1,
        "logger": {"class_path": "vocalsketch.callbacks.WandbTracker"},
    }
    tiny_config.write_text(yaml.safe_dump(settings))
    cache = tmp_path / "cache"
    home = {"HOME": "/proc/nowhere", "VOCALSKETCH_CACHE": str(cache)}
    kept = {name: value for name, value in os.environ.items() if name not in CACHES}
    done = subprocess.run(
        [sys.executable, "-m", "vocalsketch.cli", "fit", "--config", str(tiny_config)],
        cwd=tmp_path,
        env={**kept, **home},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "/proc/nowhere" not in done.stdout + done.stderr
    assert {folder.name for folder in cache.iterdir()} >= {"features", "mplconfigdir", "wandb"}
