"""Study files."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest

from vocalsketch.errors import ConfigError
from vocalsketch.sweep.definition import Definition, open_study, read_definition


def test_the_paper_s_search_is_the_default(definition: Definition) -> None:
    assert definition.sampler["name"] == "random"
    assert definition.pruner["name"] == "none"
    assert definition.objective == "val/mrr"
    assert definition.seeds == 1


def test_a_loss_is_made_small(study_file: Callable[..., Path], tmp_path: Path) -> None:
    found = read_definition(study_file(objective="val/loss"), folder=tmp_path)
    assert open_study(found).direction == optuna.study.StudyDirection.MINIMIZE


def test_overrides_of_the_file_yield_to_those_of_the_command_line(
    study_file: Callable[..., Path],
) -> None:
    path = study_file(overrides={"trainer.max_epochs": 7, "model.init_args.dropout": 0.1})
    config = read_definition(path, {"trainer.max_epochs": 3}).config
    assert config["trainer"]["max_epochs"] == 3
    assert config["model"]["init_args"]["dropout"] == 0.1


def test_a_definition_survives_the_storage(definition: Definition) -> None:
    kept = json.loads(json.dumps(definition.to_dict()))
    assert Definition(**kept, folder=definition.folder) == definition


def test_a_changed_space_is_named(definition: Definition) -> None:
    space = {**definition.space, "rate": definition.space["rate"].model_copy(update={"high": 1.0})}
    assert definition.difference(dataclasses.replace(definition, space=space)) == "space"


def test_another_time_limit_or_sampler_makes_no_other_study(definition: Definition) -> None:
    other = dataclasses.replace(definition, trial_minutes=5, sampler={"name": "tpe"})
    assert definition.difference(other) == ""


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"objectiv": "val/mrr"}, "No key 'objectiv' in "),
        ({"objective": "test/mrr"}, "looks at the validation half only"),
        ({"seeds": 0}, "seeds is 0"),
        ({"trial_minutes": -1}, "trial_minutes is -1"),
        ({"trial_minutes": float("inf")}, "trial_minutes is inf"),
        ({"seeds": True}, "seeds is True"),
        ({"overrides": [1]}, "overrides is [1]"),
        ({"name": "a/b"}, "name is 'a/b': String should match"),
        ({"storage": 3}, "storage is 3: Input should be a valid string"),
        ({"sampler": "grid"}, "sampler is 'grid': choose random"),
        ({"sampler": 3}, "sampler is '3': choose random"),
        ({"sampler": {"name": "random", "seed": [1]}}, "a whole number, 0 or more"),
        ({"space": {"x": {"type": ["int"]}}}, "found using 'type' does not match"),
        ({"space": {"x": {"type": "int", 1: 2}}}, "x.int"),
        ({"pruner": "medium"}, "pruner is 'medium': choose none"),
        (
            {"sampler": {"name": "random", "seed": "x"}},
            "'seed': 'x'}: its seed has to be",
        ),
        ({"sampler": {"name": "tpe", "seed": 3}}, "takes no seed"),
        ({"sampler": {"n_startup_trials": 3}}, "sampler is 'None': choose random"),
        ({"config": "nowhere.yaml"}, "Cannot read"),
        ({"space": {"x": {"type": "int", "low": 2, "high": 1}}}, "`low <= high` must hold"),
    ],
)
def test_an_impossible_study_file_is_refused(
    study_file: Callable[..., Path], keys: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError) as error:
        read_definition(study_file(**keys))
    assert message in str(error.value)


def test_the_nearest_key_is_named(study_file: Callable[..., Path]) -> None:
    with pytest.raises(ConfigError, match="did you mean 'sampler'"):
        read_definition(study_file(samplers="tpe"))


def test_a_study_needs_a_space(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text("config: base.yaml")
    (tmp_path / "base.yaml").write_text("{}")
    with pytest.raises(ConfigError, match="has no 'space'"):
        read_definition(path)
