"""W&B offline: what was logged can be read back, and nothing W&B does stops a run."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
import wandb
from corpora import write_config
from wandb.proto.wandb_internal_pb2 import Record

from vocalsketch.callbacks.wandb_tracker import tracking_mode
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
    found = list(records(file))

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
    for name in ("WANDB_MODE", "WANDB_API_KEY", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(tmp_path))
    if netrc:
        (tmp_path / ".netrc").write_text(netrc)
        (tmp_path / ".netrc").chmod(0o600)
    assert tracking_mode() == mode
