"""What a study is: base config, space, objective and how it is searched."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import optuna
from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    PositiveInt,
    Strict,
    TypeAdapter,
    ValidationError,
)
from pydantic.dataclasses import dataclass

from vocalsketch.errors import ConfigError, VocalSketchError
from vocalsketch.experiment.config import Tree, assigned, invalid, read_mapping, read_tree
from vocalsketch.sweep.space import Space
from vocalsketch.sweep.storage import SQLITE, check_url, experimental, open_storage, patiently

Options = dict[str, Any]

# what two runs of a study must have in common for their trials to be comparable
COMPARABLE = ("space", "objective", "config", "seeds", "corpus", "split")
KEPT = "definition"  # user attribute of a study

KINDS: dict[str, dict[str, Any]] = {
    "sampler": {
        "random": optuna.samplers.RandomSampler,
        # draws apart from where other workers are searching just now
        "tpe": partial(optuna.samplers.TPESampler, constant_liar=True),
        "gp": optuna.samplers.GPSampler,
        "qmc": optuna.samplers.QMCSampler,
        "cmaes": optuna.samplers.CmaEsSampler,
    },
    "pruner": {
        "none": optuna.pruners.NopPruner,
        "median": optuna.pruners.MedianPruner,
        "hyperband": optuna.pruners.HyperbandPruner,
        "successive_halving": optuna.pruners.SuccessiveHalvingPruner,
    },
}


def _objective(given: str) -> str:
    if not given.startswith("val/"):
        raise ValueError(
            "a search looks at the validation half only, such as val/mrr, val/mrr/<category> or "
            "val/loss"
        )
    return given


def _named(given: Any) -> Options:
    return dict(given) if isinstance(given, Mapping) else {"name": str(given)}


def _seeded(sampler: Options) -> Options:
    if sampler.get("name") == "random":
        seed = sampler.setdefault("seed", 0)
        if type(seed) is not int or seed < 0:
            raise ValueError("its seed has to be a whole number, 0 or more")
    elif "seed" in sampler:
        raise ValueError("it takes no seed: what it draws depends on which trials are finished")
    return sampler


@dataclass(frozen=True, config=ConfigDict(extra="forbid", validate_default=True))
class Definition:
    """A study's definition in plain values, as a study file gives it and the storage keeps it."""

    name: Annotated[str, Field(pattern=r"^[^./][^/]*$")]  # the study's, and its folder's
    config: Tree  # the base config with the study's overrides
    space: Space  # the search space
    # the metric that is searched by
    objective: Annotated[str, AfterValidator(_objective)] = Field("val/mrr")
    # ``name``, ``seed`` and options of Optuna's sampler
    sampler: Annotated[Options, BeforeValidator(_named), AfterValidator(_seeded)] = Field(
        {"name": "random"}
    )
    # ``name`` and options of Optuna's pruner
    pruner: Annotated[Options, BeforeValidator(_named)] = Field({"name": "none"})
    # how many seeds each trial is trained with; its value is their mean
    seeds: Annotated[PositiveInt, Strict()] = 1
    # after how many minutes the training of a seed is ended and scored
    trial_minutes: Annotated[FiniteFloat, Field(gt=0)] | None = None
    storage: str = ""  # Optuna storage; a SQLite file in the study's folder if left out
    folder: Path = Path()  # the study's on this machine; ``runs/sweeps/NAME`` if left out
    corpus: str = ""  # name of the corpus
    split: str = ""  # fingerprint of the split
    tracked: bool = False  # whether its one logger is W&B's tracker

    def __post_init__(self) -> None:
        made("sampler", self.sampler)
        made("pruner", self.pruner)
        check_url(self.url)

    @property
    def url(self) -> str:
        """The storage."""
        return self.storage or f"sqlite:///{self.folder / 'study.db'}"

    def to_dict(self) -> dict[str, Any]:
        """Return what the storage keeps, in plain values."""
        here = {"storage", "folder"}
        plain: dict[str, Any] = TypeAdapter(Definition).dump_python(self, mode="json", exclude=here)
        return plain

    @property
    def base_seed(self) -> int:
        """The seed of the base config."""
        return int(self.config.get("seed_everything", 0))

    @property
    def trained_seeds(self) -> range:
        """The seeds that each trial is trained with."""
        return range(self.base_seed, self.base_seed + self.seeds)

    @property
    def tracker(self) -> dict[str, Any] | None:
        """What the base config tells W&B's tracker; None where it has none."""
        return self.config["trainer"]["logger"].get("init_args", {}) if self.tracked else None

    def difference(self, other: "Definition") -> str:
        """Return in which respects two studies cannot be one."""
        mine, theirs = self.to_dict(), other.to_dict()
        return ", ".join(part for part in COMPARABLE if mine[part] != theirs[part])


def read_definition(
    path: Path,
    overrides: Mapping[str, Any] | None = None,
    storage: str | None = None,
    folder: Path | None = None,
) -> Definition:
    """Read a study file.

    Its ``config`` is a path, or several, relative to the file; ``overrides`` are config keys set on
    top of the file's own; ``storage`` and ``folder`` stand in place of what it says.

    Raises:
        ConfigError: The file, or the config it names, cannot be read or has unknown keys.
    """
    content = {key: value for key, value in read_mapping(path).items() if value is not None}
    own = content.pop("overrides", {})
    if not isinstance(own, dict):
        raise ConfigError(f"overrides is {own!r} ({path}): give config keys and their values.")
    if "config" in content:
        named = content["config"] if isinstance(content["config"], list) else [content["config"]]
        tree = read_tree([path.parent / str(each) for each in named])
        content["config"] = assigned(
            tree, {**{str(key): v for key, v in own.items()}, **(overrides or {})}
        )
    told = {"storage": storage} if storage else {}
    try:
        read = TypeAdapter(Definition).validate_python({"name": path.stem, **content, **told})
        return replace(read, folder=folder or Path("runs", "sweeps", read.name))
    except ValidationError as error:
        known = [*Definition.__dataclass_fields__, "overrides"]
        raise invalid(error, str(path), known) from error


def made(what: Literal["sampler", "pruner"], given: Options) -> Any:
    """Return Optuna's sampler or pruner of a ``name`` and options.

    Every worker has a sampler of its own. All but ``random``, whose trials are seeded one by one
    (``trial_sampler``), are left unseeded, or all workers would draw the same.

    Raises:
        ConfigError: There is no such one, or it does not take these options.
    """
    name, kinds = str(given.get("name")), KINDS[what]
    if name not in kinds:
        raise ConfigError(f"{what} is {name!r}: choose {', '.join(kinds)}.")
    options = {key: value for key, value in given.items() if key not in ("name", "seed")}
    try:
        with experimental():
            return kinds[name](**options)
    except (TypeError, ValueError, ImportError) as error:
        raise ConfigError(f"{what} {name!r} cannot be made with {options}: {error}") from error


def trial_sampler(given: Mapping[str, Any], number: int) -> optuna.samplers.BaseSampler | None:
    """Return the sampler of one trial where trials are independent, else None.

    What trial ``number`` of a random search draws depends on the study's seed and the number
    only: on no worker, no order and no restart.
    """
    if given["name"] != "random":
        return None
    seed = np.random.SeedSequence([int(given["seed"]), number]).generate_state(1)[0]
    return optuna.samplers.RandomSampler(seed=int(seed))


class StudyError(VocalSketchError):
    """A study that cannot go on, or has nothing to tell yet."""


def open_study(definition: Definition) -> optuna.Study:
    """Open the study of a definition, made where it does not exist yet.

    Raises:
        ConfigError: It exists with another space, objective, config or corpus.
    """
    storage = open_storage(definition.url)
    study = patiently(
        lambda: optuna.create_study(
            study_name=definition.name,
            storage=storage,
            direction="minimize" if definition.objective == "val/loss" else "maximize",
            sampler=made("sampler", definition.sampler),
            pruner=made("pruner", definition.pruner),
            load_if_exists=True,
        ),
        definition.url,
    )
    plain = definition.to_dict()
    kept = study.user_attrs.get(KEPT)
    if kept is not None:
        different = Definition(**kept).difference(definition)
        if different:
            raise ConfigError(
                f"Study {definition.name!r} exists with another {different}: its trials would not "
                "compare. Give the study file another name, or restore it (and --set)."
            )
    study.set_user_attr(KEPT, plain)
    return study


def load_study(name: str, url: str, folder: Path) -> tuple[optuna.Study, Definition]:
    """Open a study that exists, and its definition.

    Raises:
        ConfigError: There is no such study.
        StudyError: What the storage holds of it is damaged.
    """
    file = Path(url.removeprefix(SQLITE))
    if url.startswith(SQLITE) and not file.exists():  # opening it would make it
        raise ConfigError(
            f"No study at {file}: begin one with `vocalsketch sweep run`, or check --folder and "
            "--storage."
        )
    storage = open_storage(url)
    try:
        study = patiently(lambda: optuna.load_study(study_name=name, storage=storage), url)
        definition = Definition(**study.user_attrs[KEPT], storage=url, folder=folder)
    except ValueError as error:
        raise StudyError(f"Study {name!r} is damaged in its storage ({error}).") from error
    except KeyError:
        known = ", ".join(sorted(optuna.get_all_study_names(storage)))
        raise ConfigError(
            f"No study {name!r} of this program in the storage (it holds {known or 'none'}): "
            "begin it with `vocalsketch sweep run`."
        ) from None
    study.sampler = made("sampler", definition.sampler)
    study.pruner = made("pruner", definition.pruner)
    return study, definition


def best_trial(study: optuna.Study) -> optuna.trial.FrozenTrial:
    """Return the best complete trial.

    Raises:
        StudyError: No trial is complete yet.
    """
    try:
        return study.best_trial
    except ValueError:
        raise StudyError(
            f"Study {study.study_name!r} has no complete trial yet: run more, or see "
            "`vocalsketch sweep status` for why they were pruned or failed."
        ) from None
