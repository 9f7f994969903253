"""Optuna's samplers and pruners by name."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna

from vocalsketch.errors import ConfigError
from vocalsketch.sweep.experimental import experimental

SAMPLERS: dict[str, type[optuna.samplers.BaseSampler]] = {
    "random": optuna.samplers.RandomSampler,
    "tpe": optuna.samplers.TPESampler,
    "gp": optuna.samplers.GPSampler,
    "qmc": optuna.samplers.QMCSampler,
    "cmaes": optuna.samplers.CmaEsSampler,
}
PRUNERS: dict[str, type[optuna.pruners.BasePruner]] = {
    "none": optuna.pruners.NopPruner,
    "median": optuna.pruners.MedianPruner,
    "hyperband": optuna.pruners.HyperbandPruner,
    "successive_halving": optuna.pruners.SuccessiveHalvingPruner,
}
# draws apart from where other workers are searching just now
DEFAULTS: dict[str, dict[str, Any]] = {"tpe": {"constant_liar": True}}


def make_sampler(given: Mapping[str, Any]) -> optuna.samplers.BaseSampler:
    """Make a sampler from its ``name`` and options.

    Every worker has a sampler of its own. All but ``random``, whose trials are seeded one by one
    (``trial_sampler``), are left unseeded, or all workers would draw the same.

    Raises:
        ConfigError: There is no such sampler, or it does not take these options.
    """
    options = {key: value for key, value in given.items() if key != "seed"}
    sampler: optuna.samplers.BaseSampler = _made("sampler", SAMPLERS, options)
    return sampler


def trial_sampler(given: Mapping[str, Any], number: int) -> optuna.samplers.BaseSampler | None:
    """Return the sampler of one trial where trials are independent, else None.

    What trial ``number`` of a random search draws depends on the study's seed and the number
    only: on no worker, no order and no restart.
    """
    if given["name"] != "random":
        return None
    seed = np.random.SeedSequence([int(given["seed"]), number]).generate_state(1)[0]
    return optuna.samplers.RandomSampler(seed=int(seed))


def make_pruner(given: Mapping[str, Any]) -> optuna.pruners.BasePruner:
    """Make a pruner from its ``name`` and options.

    Raises:
        ConfigError: There is no such pruner, or it does not take these options.
    """
    pruner: optuna.pruners.BasePruner = _made("pruner", PRUNERS, dict(given))
    return pruner


def _made(what: str, kinds: Mapping[str, Any], options: dict[str, Any]) -> Any:
    name = options.pop("name")
    if name not in kinds:
        raise ConfigError(f"{what} is {name!r}: choose {', '.join(kinds)}.")
    try:
        with experimental():
            return kinds[name](**{**DEFAULTS.get(name, {}), **options})
    except (TypeError, ValueError, ImportError) as error:
        raise ConfigError(f"{what} {name!r} cannot be made with {options}: {error}") from error
