"""Studies in a storage: opened, and held to one definition."""

import json
from typing import Any

import optuna
from optuna.storages import BaseStorage

from vocalsketch.errors import ConfigError, VocalSketchError
from vocalsketch.sweep.definition import Definition, make_pruner, make_sampler

DEFINITION = "definition"  # user attribute of a study


class StudyError(VocalSketchError):
    """A study that cannot go on, or has nothing to tell yet."""


def open_study(storage: BaseStorage, definition: Definition) -> optuna.Study:
    """Open the study of a definition, made where it does not exist yet.

    Raises:
        ConfigError: It exists with another space, objective, config or corpus.
    """
    study = optuna.create_study(
        study_name=definition.name,
        storage=storage,
        direction=optuna.study.StudyDirection[definition.objective["direction"].upper()],
        sampler=make_sampler(definition.sampler),
        pruner=make_pruner(definition.pruner),
        load_if_exists=True,
    )
    plain = json.loads(json.dumps(definition.to_dict()))
    kept = study.user_attrs.get(DEFINITION)
    if kept is None and study.get_trials(deepcopy=False):
        raise ConfigError(
            f"Study {definition.name!r} was made by another program: choose another name."
        )
    if kept is not None:
        different = Definition(**kept).difference(Definition(**plain))
        if different:
            raise ConfigError(
                f"Study {definition.name!r} exists with another {different}: its trials would not "
                "compare. Give the study file another name, or restore it (and --set)."
            )
    if kept != plain:
        study.set_user_attr(DEFINITION, plain)
    return study


def load_study(storage: BaseStorage, name: str) -> tuple[optuna.Study, Definition]:
    """Open a study that exists, and its definition.

    Raises:
        ConfigError: There is no such study.
        StudyError: What the storage holds of it is damaged.
    """
    try:
        study = optuna.load_study(study_name=name, storage=storage)
        kept: dict[str, Any] | None = study.user_attrs.get(DEFINITION)
    except ValueError as error:
        raise StudyError(f"Study {name!r} is damaged in its storage ({error}).") from error
    except KeyError:
        known = ", ".join(sorted(optuna.get_all_study_names(storage)))
        raise ConfigError(
            f"No study {name!r} in the storage (it holds {known or 'none'}): begin it with "
            "`vocalsketch sweep run`."
        ) from None
    if kept is None:
        raise ConfigError(f"Study {name!r} was made by another program.")
    definition = Definition(**kept)
    study.sampler = make_sampler(definition.sampler)
    study.pruner = make_pruner(definition.pruner)
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
