"""Checking a study against its base config."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from vocalsketch.errors import ConfigError
from vocalsketch.sweep.definition import read_definition
from vocalsketch.sweep.run import checked

SHIPPED = sorted((Path(__file__).resolve().parents[2] / "sweeps").glob("*.yaml"))
OPTIMIZER = "model.init_args.optimizer"
MOMENTUM = {
    "optimizer": {
        "key": f"{OPTIMIZER}.class_path",
        "type": "categorical",
        "choices": ["torch.optim.Adam", "torch.optim.SGD"],
    },
    "momentum": {
        "key": f"{OPTIMIZER}.init_args.momentum",
        "type": "float",
        "low": 0,
        "high": 0.9,
        "when": {"optimizer": "torch.optim.SGD"},
    },
}


def test_corpus_and_split_are_filled_in(study_file: Callable[..., Path]) -> None:
    definition = checked(read_definition(study_file()), prepare=False)
    assert definition.corpus == "folder"
    assert len(definition.split) > 8
    assert definition.tracker is None


def test_w_and_b_is_told_of_a_study_whose_logger_is_its_tracker(
    study_file: Callable[..., Path],
) -> None:
    def tracker(name: str) -> object:
        logger = {"class_path": f"vocalsketch.callbacks.{name}", "init_args": {"project": "p"}}
        return checked(
            read_definition(study_file(), {"trainer.logger": logger}), prepare=False
        ).tracker

    assert tracker("WandbTracker") == {"project": "p"}
    other = {"class_path": "pytorch_lightning.loggers.CSVLogger", "init_args": {"save_dir": "."}}
    found = checked(read_definition(study_file(), {"trainer.logger": other}), prepare=False)
    assert found.tracker is None


def test_a_key_of_a_class_that_is_searched_is_known(study_file: Callable[..., Path]) -> None:
    checked(read_definition(study_file(space=MOMENTUM)), prepare=False)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (
            {"model.init_args.droput": {"type": "float", "low": 0, "high": 1}},
            "did you mean 'model.init_args.dropout'",
        ),
        (
            {**MOMENTUM, "optimizer": {**MOMENTUM["optimizer"], "choices": ["torch.optim.Adam"]}},
            "'model.init_args.optimizer.init_args.momentum', a key that the base config does not",
        ),
        (
            {"a": {"key": f"{OPTIMIZER}.class_path", "type": "categorical", "choices": ["no.A"]}},
            "no.A does not validate",
        ),
    ],
)
def test_a_space_that_does_not_fit_the_config_is_refused(
    study_file: Callable[..., Path], space: dict[str, object], message: str
) -> None:
    if "momentum" in space:
        space = {"optimizer": space["optimizer"], "momentum": {**MOMENTUM["momentum"], "when": {}}}
    with pytest.raises(ConfigError) as error:
        checked(read_definition(study_file(space=space)), prepare=False)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("modle", {"dropout": 0.1}),
        ("model.init_args.dropout", 2),
        ("trainer.max_epochs", "several"),
    ],
)
def test_a_base_config_that_does_not_validate_is_refused(
    study_file: Callable[..., Path], key: str, value: object
) -> None:
    with pytest.raises(ConfigError, match="The base config does not validate: "):
        checked(read_definition(study_file(), {key: value}), prepare=False)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"objective": "val/mrrr"}, "choose val/mrr, val/loss, val/mrr/bells, val/mrr/horns"),
        ({"objective": "val/mrr/bells"}, None),
        ({"seeds": 2, "overrides": {"data.init_args.split": "random"}}, "each seed draws anew"),
        (
            {"seeds": 2, "overrides": {"data.init_args.split": "random", "data.init_args.seed": 4}},
            None,
        ),
    ],
)
def test_a_study_whose_trials_would_not_compare_is_refused_before_the_first(
    study_file: Callable[..., Path], keys: dict[str, object], message: str | None
) -> None:
    definition = read_definition(study_file(**keys))
    if message is None:
        checked(definition, prepare=False)
        return
    with pytest.raises(ConfigError) as error:
        checked(definition, prepare=False)
    assert message in str(error.value)


def test_there_are_studies_that_are_shipped() -> None:
    assert "smoke" in {path.stem for path in SHIPPED}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_study_that_is_shipped_fits_its_config(
    path: Path, folder_corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOCALSKETCH_ROOT", str(folder_corpus))
    definition = checked(read_definition(path), prepare=False)
    assert definition.corpus == "folder"
    assert yaml.safe_load(path.read_text())["config"]
