"""What a searched value may be."""

from typing import Any

import optuna
import pytest
from pydantic import TypeAdapter, ValidationError

from vocalsketch.errors import ConfigError
from vocalsketch.experiment.config import invalid
from vocalsketch.sweep.space import Parameter, Space


def parse_parameter(entry: dict[str, Any]) -> Parameter:
    try:
        return TypeAdapter(Space).validate_python({"x": entry})["x"]
    except ValidationError as error:
        raise invalid(error, "study.yaml", ()) from error


def drawn(entry: dict[str, Any], params: dict[str, Any]) -> Any:
    return parse_parameter(entry).suggest(optuna.trial.FixedTrial(params), "x")


def test_a_list_is_drawn_value_by_value() -> None:
    entry = {
        "type": "list",
        "length": {"low": 1, "high": 3},
        "of": {"type": "int", "low": 16, "high": 512, "log": True},
    }
    assert drawn(entry, {"x.length": 2, "x.0": 400, "x.1": 20}) == [400, 20]


def test_a_choice_that_is_no_plain_value_is_stored_by_its_json() -> None:
    entry = {"type": "categorical", "choices": [[3, 3], [5, 1]]}
    assert drawn(entry, {"x": "[5, 1]"}) == [5, 1]


def test_yaml_text_such_as_1e4_without_a_point_is_a_number() -> None:
    trial = optuna.create_study().ask()
    value = parse_parameter({"type": "float", "low": "1e-4", "high": "1e-3"}).suggest(trial, "x")
    assert 1e-4 <= value <= 1e-3


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            {"type": "float", "low": 0.5, "high": 0.1},
            "`low <= high` must hold, but got (low=0.5, high=0.1)",
        ),
        ({"type": "int", "low": 5, "high": 1}, "`low <= high` must hold"),
        (
            {"type": "float", "low": 0.0, "high": 1.0, "log": True},
            "`low > 0` must hold",
        ),
        ({"type": "int", "low": 1, "high": 9, "log": True, "step": 2}, "log"),
        ({"type": "int", "low": 1, "high": 9, "step": 0}, "`step > 0` must hold"),
        (
            {"type": "float", "low": 0, "high": ".inf"},
            "x.float.high is '.inf': Input should be a",
        ),
        (
            {"type": "float", "low": 0, "high": float("inf")},
            "x.float.high is inf: Input should be a",
        ),
        (
            {"type": "float", "low": 1, "high": 2, "log": "no"},
            "x.float.log is 'no': Input should be a",
        ),
        (
            {"type": "int", "low": 1.5, "high": 9},
            "an int takes whole numbers",
        ),
        (
            {"type": "float", "low": "much", "high": 1},
            "x.float.low is 'much': Input should be a",
        ),
        ({"type": "float", "low": 1}, "has no 'x.float.high'"),
        (
            {"type": "real", "low": 1, "high": 2},
            "'real' found using 'type' does not match any of the expected tags: 'int', 'float'",
        ),
        (
            {"type": "int", "low": 1, "hihg": 2},
            "x.int.hihg is 2: Extra inputs are not permitted",
        ),
        (
            {"type": "categorical", "choices": []},
            "x.categorical.choices is []: List should have",
        ),
        ({"type": "categorical", "choices": [[1], [1]]}, "names a value twice"),
        ({"type": "list", "of": {"type": "int", "low": 1, "high": 2}}, "has no 'x.list.length'"),
    ],
)
def test_an_impossible_domain_is_refused(entry: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_parameter(entry)
    assert message in str(error.value)
