"""The search space of a study: parameters, what each is drawn from, config keys, conditions."""

import difflib
import json
import math
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import FloatDistribution, IntDistribution

from vocalsketch.errors import ConfigError
from vocalsketch.experiment.config import Tree, assigned, remedy

Scalar = str | int | float | bool | None
KINDS: dict[str, set[str]] = {
    "int": {"low", "high", "log", "step"},
    "float": {"low", "high", "log", "step"},
    "categorical": {"choices"},
    "list": {"length", "of"},
}
# what is ranked, and where a trial runs
HELD = (
    "data.class_path",
    "data.init_args.root",
    "data.init_args.split",
    "data.init_args.seed",
    "data.init_args.on_bad_audio",
    "seed_everything",
    "test_after_fit",
    "run_dir",
    "ckpt_path",
    "name",
)


@dataclass(frozen=True)
class Numbers:
    """Whole numbers or numbers of a range: uniform, uniform in the logarithm, or in steps."""

    range: IntDistribution | FloatDistribution

    def suggest(self, trial: optuna.trial.BaseTrial, name: str) -> int | float:
        """Draw a number."""
        found = self.range
        if isinstance(found, IntDistribution):
            low, high = found.low, found.high
            return trial.suggest_int(name, low, high, step=found.step, log=found.log)
        return trial.suggest_float(name, found.low, found.high, step=found.step, log=found.log)


@dataclass(frozen=True)
class Choices:
    """One of several values; what is no plain value is known to the storage by its JSON."""

    values: tuple[Any, ...]

    def suggest(self, trial: optuna.trial.BaseTrial, name: str) -> Any:
        """Draw one of the values."""
        labelled = {label(value): value for value in self.values}
        return labelled[trial.suggest_categorical(name, list(labelled))]


@dataclass(frozen=True)
class Lists:
    """Lists of ``length`` values, each drawn from ``of`` on its own."""

    length: Numbers
    of: "Domain"

    def suggest(self, trial: optuna.trial.BaseTrial, name: str) -> list[Any]:
        """Draw the length, then the values."""
        length = int(self.length.suggest(trial, f"{name}.length"))
        return [self.of.suggest(trial, f"{name}.{index}") for index in range(length)]


Domain = Numbers | Choices | Lists


def label(value: Any) -> Scalar:
    """Return how a storage names a choice: itself where it is plain, else its JSON.

    >>> label([3, 3])
    '[3, 3]'
    """
    return value if isinstance(value, Scalar) else json.dumps(value)


@dataclass(frozen=True)
class Parameter:
    """One thing that is searched.

    Attributes:
        name: Its name in storage, plots and W&B.
        key: The config key it sets.
        domain: What it is drawn from.
        when: It is drawn only where each of these parameters has one of these values.
    """

    name: str
    key: str
    domain: Domain
    when: Mapping[str, tuple[Any, ...]]

    def excludes(self, other: "Parameter") -> bool:
        """Return whether no trial can have both: one condition, and other values of it."""
        return any(
            not set(map(label, wanted)) & set(map(label, other.when[name]))
            for name, wanted in self.when.items()
            if name in other.when
        )

    def is_active(self, values: Mapping[str, Any]) -> bool:
        """Return whether the values drawn so far ask for this parameter."""
        return all(
            other in values and label(values[other]) in map(label, wanted)
            for other, wanted in self.when.items()
        )


@dataclass(frozen=True)
class Space:
    """Parameters in the order in which they are drawn."""

    parameters: tuple[Parameter, ...]

    def suggest(self, trial: optuna.trial.BaseTrial) -> dict[str, Any]:
        """Draw a value for each active parameter, by name."""
        values: dict[str, Any] = {}
        for parameter in self.parameters:
            if parameter.is_active(values):
                values[parameter.name] = parameter.domain.suggest(trial, parameter.name)
        return values

    def values(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values that a trial with these Optuna parameters had, by name."""
        return self.suggest(optuna.trial.FixedTrial(dict(params)))

    def applied(self, tree: Tree, values: Mapping[str, Any]) -> Tree:
        """Return the config with the values at the keys of their parameters."""
        keys = {parameter.name: parameter.key for parameter in self.parameters}
        return assigned(tree, {keys[name]: value for name, value in values.items()})

    def class_choices(self) -> dict[str, tuple[Any, ...]]:
        """Return for each searched ``class_path`` key the classes that it may name."""
        return {
            parameter.key: parameter.domain.values
            for parameter in self.parameters
            if parameter.key.endswith("class_path") and isinstance(parameter.domain, Choices)
        }

    def check_keys(self, known: Collection[str]) -> None:
        """Raise ConfigError where a parameter sets a key that the config has not."""
        for parameter in self.parameters:
            if parameter.key not in known:
                near = difflib.get_close_matches(parameter.key, known, n=1, cutoff=0.0)
                remedy = f" The nearest is {near[0]!r}." if near else ""
                raise ConfigError(
                    f"Parameter {parameter.name!r} sets {parameter.key!r}, a key that the base "
                    f"config does not have.{remedy}"
                )


def parse_space(entries: Mapping[str, Any]) -> Space:
    """Read the ``space`` of a study file: name to type, range, ``key`` and ``when``.

    ``key`` is the config key where it is not the name; ``when`` maps the names of parameters
    above to a value or to a list of values.

    Raises:
        ConfigError: An entry is not of this form.
    """
    if not isinstance(entries, Mapping) or not entries:
        raise ConfigError("space is empty: name at least one config key to search.")
    parameters: list[Parameter] = []
    for name, entry in entries.items():
        if not isinstance(name, str):
            raise ConfigError(f"A parameter is named {name!r}: give a text.")
        if not isinstance(entry, Mapping):
            raise ConfigError(f"Parameter {name!r} is {entry!r}: give a mapping with a type.")
        domain = parse_domain(
            name, {key: value for key, value in entry.items() if key not in ("key", "when")}
        )
        when = _conditions(name, entry.get("when", {}), parameters)
        parameter = Parameter(name, str(entry.get("key", name)), domain, when)
        _check_key(parameter, parameters)
        parameters.append(parameter)
    return Space(tuple(parameters))


def _check_key(parameter: Parameter, above: Collection[Parameter]) -> None:
    """Check that a key may be searched, and that no other parameter sets it in the same trial."""
    for held in HELD:
        if f"{held}.".startswith(f"{parameter.key}.") or parameter.key.startswith(f"{held}."):
            raise ConfigError(
                f"Parameter {parameter.name!r} sets {parameter.key!r}: {held} is the same in all "
                "trials, which would not compare otherwise."
            )
    for other in above:
        if other.key == parameter.key and not parameter.excludes(other):
            raise ConfigError(
                f"Parameters {other.name!r} and {parameter.name!r} both set {parameter.key!r}: "
                "leave one out, or give them when with other values of one parameter."
            )


def _conditions(
    name: str, when: Any, above: Collection[Parameter]
) -> Mapping[str, tuple[Any, ...]]:
    if not isinstance(when, Mapping):
        raise ConfigError(f"when of {name!r} is {when!r}: map a parameter's name to its values.")
    conditions = {}
    domains = {parameter.name: parameter.domain for parameter in above}
    for other, wanted in when.items():
        if other not in domains:
            raise ConfigError(
                f"when of {name!r} asks for {other!r}, no parameter above: "
                f"{remedy(str(other), domains)}"
            )
        wanted = wanted if isinstance(wanted, list) else [wanted]
        domain = domains[other]
        if isinstance(domain, Choices):
            strange = [each for each in wanted if each not in domain.values]
            if strange:
                raise ConfigError(
                    f"when of {name!r}: {other!r} is never {strange[0]!r}, only one of "
                    f"{', '.join(map(str, domain.values))}."
                )
        conditions[other] = tuple(wanted)
    return conditions


def parse_domain(name: str, entry: Mapping[str, Any]) -> Domain:
    """Read a domain as a study file gives it.

    Its ``type`` says what it needs: ``low`` and ``high`` (``log``, ``step``) for int and float,
    ``choices`` for categorical, ``length`` and ``of`` for list.

    Raises:
        ConfigError: The entry is not of this form, or its range is empty.
    """
    kind = str(entry.get("type"))
    if kind not in KINDS:
        raise ConfigError(f"Parameter {name!r} has type {kind!r}: choose {', '.join(KINDS)}.")
    unknown = sorted(set(entry) - KINDS[kind] - {"type"})
    if unknown:
        raise ConfigError(
            f"Parameter {name!r} of type {kind} has {', '.join(unknown)}: it takes "
            f"{', '.join(sorted(KINDS[kind]))}, key and when."
        )
    if kind == "categorical":
        return _choices(name, entry.get("choices"))
    return _lists(name, entry) if kind == "list" else _numbers(name, entry, kind)


def _numbers(name: str, entry: Mapping[str, Any], kind: str) -> Numbers:
    """Return a range as Optuna makes it, which refuses what is impossible."""
    if entry.get("low") is None or entry.get("high") is None:
        raise ConfigError(f"Parameter {name!r} needs low and high.")
    number = _whole if kind == "int" else _number
    given = {what: number(name, what, entry.get(what)) for what in ("low", "high", "step")}
    log, step = entry.get("log", False), given["step"]
    if not isinstance(log, bool):
        raise ConfigError(f"log of {name!r} is {log!r}: give true or false.")
    if kind == "int":
        given["step"] = 1 if step is None else step
    made: Any = IntDistribution if kind == "int" else FloatDistribution
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # steps need not reach the highest value
            found: IntDistribution | FloatDistribution = made(log=log, **given)
    except ValueError as error:
        raise ConfigError(f"Parameter {name!r}: {error}") from error
    if found.single() and given["low"] != given["high"]:
        raise ConfigError(f"step of {name!r} is {step:g}: more than from low to high.")
    return Numbers(found)


def _number(name: str, what: str, value: Any) -> float | None:
    if value is None:
        return None
    try:
        number = float(value)  # YAML reads 1e-4, without a point, as text
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ConfigError(f"{what} of {name!r} is {value!r}: give a number.")
    return number


def _whole(name: str, what: str, value: Any) -> int | None:
    number = _number(name, what, value)
    if number is not None and number != int(number):
        raise ConfigError(f"The range of {name!r} has {number:g}: an int takes whole numbers.")
    return None if number is None else int(number)


def _choices(name: str, values: Any) -> Choices:
    if not isinstance(values, list) or not values:
        raise ConfigError(f"choices of {name!r} is {values!r}: give a list of values.")
    if len(set(map(label, values))) < len(values):
        raise ConfigError(f"choices of {name!r} names a value twice: {values}.")
    return Choices(tuple(values))


def _lists(name: str, entry: Mapping[str, Any]) -> Lists:
    length, each = entry.get("length"), entry.get("of")
    if not isinstance(length, Mapping) or not isinstance(each, Mapping):
        raise ConfigError(
            f"Parameter {name!r} needs length, such as {{low: 1, high: 3}}, and of, such as "
            "{type: int, low: 16, high: 512}."
        )
    lengths = _numbers(f"{name}.length", length, "int")
    return Lists(lengths, parse_domain(f"{name}.of", each))
