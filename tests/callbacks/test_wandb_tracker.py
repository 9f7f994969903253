"""W&B offline: what was logged can be read back, and nothing W&B does stops a run."""

import json
import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import wandb
from corpora import write_config
from wandb.proto.wandb_internal_pb2 import Record

from vocalsketch.callbacks.wandb_tracker import WandbTracker, tracking_mode
from vocalsketch.experiment import run_experiment

BLOCK, HEADER = 32_768, 7  # of the log that holds an offline run: blocks of framed records


def records(path: Path) -> Iterator[Record]:
    """Read the records of an offline run's file."""
    data, position, parts = path.read_bytes(), HEADER, b""
    while position + HEADER <= len(data):
        room = BLOCK - position % BLOCK
        if room < HEADER:
            position += room
            continue
        _, length, kind = struct.unpack("<IHB", data[position : position + HEADER])
        parts += data[position + HEADER : position + HEADER + length]
        position += HEADER + length
        if kind in (1, 4):  # whole, or the last part
            yield Record.FromString(parts)
            parts = b""


def written(path: Path) -> list[Record]:
    """Wait until W&B, a process of its own, has written a run's last record."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        found = list(records(path))
        if any(record.HasField("exit") for record in found):
            return found
        time.sleep(0.05)
    raise AssertionError(f"{path} has no end after a minute")


def tracked(tmp_path: Path, corpus: Path, **arguments: object) -> Path:
    logger = {"class_path": "vocalsketch.callbacks.WandbTracker", "init_args": arguments}
    media = {"class_path": "vocalsketch.callbacks.RetrievalMedia", "init_args": {"examples": 1}}
    config = write_config(tmp_path / "tiny.yaml", corpus, logger=logger)
    text = config.read_text().replace("  callbacks:\n", f"  callbacks:\n  - {json.dumps(media)}\n")
    config.write_text(text)
    return config


def test_offline_run_holds_metrics_tags_config_and_media(
    tmp_path: Path, folder_corpus: Path
) -> None:
    config = tracked(tmp_path, folder_corpus, group="study")
    outcome = run_experiment("fit", ["--config", str(config), "--run_dir", str(tmp_path / "run")])
    (file,) = (tmp_path / "run").glob("wandb/offline-run-*/*.wandb")
    found = written(file)

    run = next(record.run for record in found if record.HasField("run"))
    assert run.display_name == "tiny"
    assert run.run_group == "study"
    assert list(run.tags) == ["corpus=folder"]
    assert "batch_size" in str(run.config)
    logged: dict[str, list[object]] = {}
    for record in found:
        for item in record.history.item:
            name = item.key or "/".join(item.nested_key)
            logged.setdefault(name, []).append(json.loads(item.value_json))
    # two epochs, and the best checkpoint once more
    assert len(logged["val/mrr"]) == 3
    assert logged["val/mrr"][-1] == pytest.approx(outcome.results["validation"]["macro"]["mrr"])
    assert logged["test/mrr/bells"] == pytest.approx(
        [outcome.results["test"]["categories"]["bells"]["mrr"]]
    )
    assert logged["test/queries/nrows"] == [12]
    # the best and the worst query of each of two categories
    assert logged["test/examples/nrows"] == [4]
    kinds = {record.request.log_artifact.artifact.type for record in found} | {
        record.artifact.type for record in found
    }
    assert {"model", "split", "config"} <= kinds


def test_a_run_goes_on_where_wandb_fails(
    tmp_path: Path, folder_corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = wandb.init

    def only_disabled(**settings: object) -> object:
        if settings["mode"] != "disabled":
            raise OSError("no server, no disk")
        return start(**settings)

    monkeypatch.setattr(wandb, "init", only_disabled)
    config = tracked(tmp_path, folder_corpus)
    with pytest.warns(UserWarning, match="did not start in mode offline: no server, no disk"):
        outcome = run_experiment(
            "fit", ["--config", str(config), "--run_dir", str(tmp_path / "run")]
        )
    assert outcome.results["test"]["macro"]["mrr"] > 0


@pytest.mark.parametrize(
    ("variables", "netrc", "mode"),
    [
        ({"WANDB_MODE": "disabled"}, "", "disabled"),
        ({"WANDB_MODE": "dryrun"}, "machine api.wandb.ai login user password x\n", "offline"),
        ({"WANDB_DISABLED": "true", "WANDB_API_KEY": "k" * 40}, "", "disabled"),
        ({"WANDB_API_KEY": "k" * 40}, "", "online"),
        ({}, "", "offline"),
        ({}, "machine api.wandb.ai login user password x\n", "online"),
        ({"WANDB_BASE_URL": "https://own.example"}, "machine api.wandb.ai password x\n", "offline"),
        ({"WANDB_BASE_URL": "https://own.example"}, "machine own.example password x\n", "online"),
    ],
)
def test_tracking_is_online_only_when_logged_in(
    variables: dict[str, str],
    netrc: str,
    mode: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("WANDB_MODE", "WANDB_DISABLED", "WANDB_API_KEY", "WANDB_BASE_URL", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(tmp_path))
    if netrc:
        (tmp_path / ".netrc").write_text(netrc)
        (tmp_path / ".netrc").chmod(0o600)
    assert tracking_mode() == mode


def test_wandb_s_variables_fill_in_what_the_config_leaves_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[dict[str, object]] = []
    staged: list[str] = []

    def init(**settings: object) -> SimpleNamespace:
        begun.append(settings)
        staged.append(os.environ["WANDB_DATA_DIR"])
        return SimpleNamespace(
            define_metric=lambda *_, **__: None,
            finish=lambda: None,
            dir=str(tmp_path),
            disabled=True,
        )

    monkeypatch.setattr(wandb, "init", init)
    variables = {"PROJECT": "p", "NAME": "n", "TAGS": "a, b", "JOB_TYPE": "j"}
    variables |= {"DIR": str(tmp_path), "DATA_DIR": str(tmp_path / "data"), "CONSOLE": "wrap"}
    for name, value in variables.items():
        monkeypatch.setenv(f"WANDB_{name}", value)
    for project in (None, "own"):
        tracker = WandbTracker(project=project, save_dir=str(tmp_path / "run"))
        tracker.describe(name="x", run_id="i", job_type="fit", tags=["corpus=c"], config={})
        assert tracker.experiment
        tracker.finish()
    first, second = begun
    assert (first["project"], second["project"]) == ("p", "own")
    assert (first["name"], first["job_type"]) == ("n", "j")
    assert first["tags"] == ["a", "b", "corpus=c"]
    assert (first["dir"], staged[0]) == (str(tmp_path), str(tmp_path / "data"))
    assert first["settings"].console == "wrap"  # type: ignore[attr-defined]
    assert os.environ["WANDB_DATA_DIR"] == str(tmp_path / "data")
