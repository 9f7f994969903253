"""Search spaces: conditions, and the config keys that parameters set."""

from typing import Any

import optuna
import pytest
from pydantic import TypeAdapter, ValidationError

from vocalsketch.errors import ConfigError
from vocalsketch.experiment.config import invalid
from vocalsketch.sweep.space import Parameter, Space, applied, drawn


def parse_space(entries: dict[str, Any]) -> dict[str, Parameter]:
    try:
        return TypeAdapter(Space).validate_python(entries)
    except ValidationError as error:
        raise invalid(error, "study.yaml", ()) from error


def values(space: dict[str, Parameter], params: dict[str, Any]) -> dict[str, Any]:
    return drawn(space, optuna.trial.FixedTrial(params))


OPTIMIZERS = {
    "optimizer": {
        "key": "optimizer.class_path",
        "type": "categorical",
        "choices": ["torch.optim.Adam", "torch.optim.SGD"],
    },
    "momentum": {
        "key": "optimizer.init_args.momentum",
        "type": "float",
        "low": 0.0,
        "high": 0.9,
        "when": {"optimizer": "torch.optim.SGD"},
    },
}


@pytest.mark.parametrize(
    ("params", "values"),
    [
        (
            {"optimizer": "torch.optim.SGD", "momentum": 0.5},
            {"optimizer": "torch.optim.SGD", "momentum": 0.5},
        ),
        ({"optimizer": "torch.optim.Adam"}, {"optimizer": "torch.optim.Adam"}),
    ],
)
def test_a_conditional_parameter_is_drawn_where_its_condition_holds(
    params: dict[str, Any], values: dict[str, Any]
) -> None:
    assert drawn(parse_space(OPTIMIZERS), optuna.trial.FixedTrial(params)) == values


def test_a_parameter_whose_condition_was_not_drawn_itself_is_not_drawn() -> None:
    entries = {
        **OPTIMIZERS,
        "nesterov": {
            "type": "categorical",
            "choices": [True, False],
            "when": {"momentum": [0.5, 0.9]},
        },
    }
    assert "nesterov" not in values(parse_space(entries), {"optimizer": "torch.optim.Adam"})


def test_the_values_of_a_trial_are_found_again_from_its_stored_parameters() -> None:
    space = parse_space(
        {
            "widths": {
                "type": "list",
                "length": {"low": 1, "high": 3},
                "of": {"type": "categorical", "choices": [[1, 2], [3, 4]]},
            }
        }
    )
    trial = optuna.create_study().ask()
    found = drawn(space, trial)
    assert values(space, trial.params) == found


def test_one_key_may_have_two_ranges_that_exclude_each_other() -> None:
    rates = {
        f"{choice} rate": {
            "key": "optimizer.init_args.lr",
            "type": "float",
            "low": low,
            "high": 1.0,
            "when": {"optimizer": choice},
        }
        for choice, low in (("torch.optim.Adam", 0.1), ("torch.optim.SGD", 0.5))
    }
    space = parse_space({**OPTIMIZERS, **rates})
    params = {"optimizer": "torch.optim.Adam", "torch.optim.Adam rate": 0.25}
    assert values(space, params) == params


def test_values_are_put_at_their_keys() -> None:
    tree = {"optimizer": {"class_path": "torch.optim.Adam", "init_args": {"betas": [0.9, 0.999]}}}
    values = {"momentum": 0.5, "optimizer": "torch.optim.SGD"}
    assert applied(parse_space(OPTIMIZERS), tree, values) == {
        "optimizer": {"class_path": "torch.optim.SGD", "init_args": {"momentum": 0.5}}
    }


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({}, "at least 1 item"),
        ({"x": 3}, "x is 3: "),
        (
            {**OPTIMIZERS, "x": {"type": "int", "low": 1, "high": 2, "when": {"optimiser": 1}}},
            "did you mean 'optimizer'",
        ),
        (
            {**OPTIMIZERS, "x": {"type": "int", "low": 1, "high": 2, "when": {"optimizer": "A"}}},
            "'optimizer' is never 'A'",
        ),
        ({"x": {"type": "int", "low": 1, "high": 2, "when": 3}}, "x.int.when is 3"),
        *(
            ({"x": {"key": key, "type": "categorical", "choices": [1, 2]}}, "same in all trials")
            for key in ("test_after_fit", "data.init_args.split", "data.init_args", "data")
        ),
    ],
)
def test_an_impossible_space_is_refused(entries: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_space(entries)
    assert message in str(error.value)
