"""What a study is: base config, space, objective and how it is searched."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from vocalsketch.errors import ConfigError
from vocalsketch.experiment.config import Tree, assigned, read_mapping, read_tree, remedy
from vocalsketch.sweep.space import Space, parse_space
from vocalsketch.sweep.trials import experimental

DIRECTIONS = {"maximize", "minimize"}
# what two runs of a study must have in common for their trials to be comparable
COMPARABLE = ("space", "objective", "config", "seeds", "corpus", "split")

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


@dataclass(frozen=True)
class Definition:
    """A study's definition in plain values, as the storage keeps it.

    Attributes:
        name: The study's name.
        config: The base config with the study's overrides.
        space: The search space as written in the study file.
        objective: ``metric`` (such as ``val/mrr``) and ``direction``.
        sampler: ``name``, ``seed`` and options of Optuna's sampler.
        pruner: ``name`` and options of Optuna's pruner.
        seeds: How many seeds each trial is trained with; its value is their mean.
        trial_minutes: After how many minutes the training of a seed is ended and scored.
        storage: Optuna storage; a SQLite file in the study's folder if left out.
        corpus: Name of the corpus.
        split: Fingerprint of the split.
        tracked: Whether its one logger is W&B's tracker.
    """

    name: str
    config: Tree
    space: dict[str, Any]
    objective: dict[str, str]
    sampler: dict[str, Any]
    pruner: dict[str, Any]
    seeds: int = 1
    trial_minutes: float | None = None
    storage: str | None = None
    corpus: str = ""
    split: str = ""
    tracked: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return what the storage keeps: all but the storage itself."""
        return {key: value for key, value in asdict(self).items() if key != "storage"}

    @property
    def base_seed(self) -> int:
        """The seed of the base config."""
        return int(self.config.get("seed_everything", 0))

    @property
    def trained_seeds(self) -> range:
        """The seeds that each trial is trained with."""
        return range(self.base_seed, self.base_seed + self.seeds)

    @property
    def parameters(self) -> Space:
        """The search space."""
        return parse_space(self.space)

    @property
    def tracker(self) -> dict[str, Any] | None:
        """What the base config tells W&B's tracker; None where it has none."""
        return self.config["trainer"]["logger"].get("init_args", {}) if self.tracked else None

    def difference(self, other: "Definition") -> str | None:
        """Return in which respect two studies cannot be one, or None."""
        mine, theirs = self.to_dict(), other.to_dict()
        different = next((part for part in COMPARABLE if mine[part] != theirs[part]), None)
        if different != "space":
            return different
        names = sorted({*self.space, *other.space})
        changed = [name for name in names if self.space.get(name) != other.space.get(name)]
        return f"space ({', '.join(changed)})"


def read_definition(path: Path, overrides: Mapping[str, Any] | None = None) -> Definition:
    """Read a study file.

    Its ``config`` is a path, or several, relative to the file; ``overrides`` are config keys set on
    top of the file's own.

    Raises:
        ConfigError: The file, or the config it names, cannot be read or has unknown keys.
    """
    content = read_mapping(path)
    _check_names(path, content)
    configs = content["config"] if isinstance(content["config"], list) else [content["config"]]
    tree = read_tree([path.parent / str(each) for each in configs])
    own = content.get("overrides") or {}
    if not isinstance(own, dict):
        raise ConfigError(f"overrides is {own!r} ({path}): give config keys and their values.")
    tree = assigned(tree, {**own, **(overrides or {})})
    definition = Definition(
        name=str(content.get("name", path.stem)),
        config=tree,
        space=content["space"],
        objective=_objective(content.get("objective")),
        sampler=_sampler(content.get("sampler", "random")),
        pruner=_named("pruner", content.get("pruner", "none")),
        seeds=content.get("seeds", 1),
        trial_minutes=content.get("trial_minutes"),
        storage=content.get("storage"),
    )
    _check(definition)
    return definition


def _check_names(path: Path, content: Tree) -> None:
    known = {each.name for each in fields(Definition)} - {"corpus", "split", "tracked"} | {
        "overrides"
    }
    for name in content:
        if name not in known:
            raise ConfigError(
                f"No key {name!r} in a study file ({path}): {remedy(str(name), sorted(known))}"
            )
    for needed in ("config", "space"):
        if needed not in content:
            raise ConfigError(f"{path} has no {needed!r}: a study needs config and space.")


def _objective(given: Any) -> dict[str, str]:
    objective = {"metric": given} if isinstance(given, str) else dict(given or {})
    metric = objective.get("metric", "val/mrr")
    if not str(metric).startswith("val/"):
        raise ConfigError(
            f"objective is {metric!r}: a search looks at the validation half only, such as "
            "val/mrr, val/mrr/<category> or val/loss."
        )
    default = "minimize" if metric == "val/loss" else "maximize"
    direction = objective.get("direction", default)
    if direction not in DIRECTIONS or set(objective) - {"metric", "direction"}:
        raise ConfigError(f"objective is {given!r}: give metric, and maximize or minimize.")
    return {"metric": metric, "direction": direction}


def _named(what: str, given: Any) -> dict[str, Any]:
    named = dict(given) if isinstance(given, Mapping) else {"name": str(given)}
    if "name" not in named:
        raise ConfigError(f"{what} is {given!r}: give its name.")
    return named


def _sampler(given: Any) -> dict[str, Any]:
    sampler = _named("sampler", given)
    if sampler["name"] != "random":
        if "seed" in sampler:
            raise ConfigError(
                f"sampler {sampler['name']!r} takes no seed: what it draws depends on which trials "
                "are finished. Leave it out."
            )
        return sampler
    seed = sampler.setdefault("seed", 0)
    if type(seed) is not int or seed < 0:
        raise ConfigError(f"seed of the sampler is {seed!r}: give a whole number, 0 or more.")
    return sampler


def _check(definition: Definition) -> None:
    if "/" in definition.name or definition.name.startswith("."):
        raise ConfigError(
            f"name is {definition.name!r}: it names a folder, so leave out / and a dot in front."
        )
    if not isinstance(definition.storage, str | None):
        raise ConfigError(f"storage is {definition.storage!r}: give a url.")
    if type(definition.seeds) is not int or definition.seeds < 1:
        raise ConfigError(f"seeds is {definition.seeds!r}: give how many per trial, at least 1.")
    minutes = definition.trial_minutes
    if minutes is not None and not (isinstance(minutes, int | float) and 0 < minutes < math.inf):
        raise ConfigError(f"trial_minutes is {minutes!r}: give a positive number.")
    parse_space(definition.space)
    make_sampler(definition.sampler)
    make_pruner(definition.pruner)


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
