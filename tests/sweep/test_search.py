"""Samplers and pruners by name."""

from typing import Any

import optuna
import pytest

from vocalsketch.errors import ConfigError
from vocalsketch.sweep.definition import made, trial_sampler


def drawn(seed: int, number: int) -> float:
    sampler = trial_sampler({"name": "random", "seed": seed}, number)
    return optuna.create_study(sampler=sampler).ask().suggest_float("x", 0, 1)


def test_a_random_trial_depends_on_seed_and_number_only() -> None:
    assert drawn(0, 7) == drawn(0, 7)
    assert len({drawn(seed, number) for seed in (0, 1) for number in range(20)}) == 40


def test_other_samplers_look_at_all_trials() -> None:
    assert trial_sampler({"name": "tpe", "seed": 0}, 3) is None
    assert isinstance(made("sampler", {"name": "tpe", "seed": 0}), optuna.samplers.TPESampler)


def test_a_pruner_takes_its_options() -> None:
    pruner = made("pruner", {"name": "hyperband", "min_resource": 2})
    assert isinstance(pruner, optuna.pruners.HyperbandPruner)


@pytest.mark.parametrize(
    ("what", "given", "message"),
    [
        ("sampler", {"name": "grid", "seed": 0}, "sampler is 'grid': choose random, tpe"),
        ("pruner", {"name": "medium"}, "pruner is 'medium': choose none, median"),
        ("pruner", {"name": "median", "n_warmup": 3}, "pruner 'median' cannot be made"),
    ],
)
def test_an_unknown_name_or_option_is_refused(
    what: Any, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        made(what, given)
