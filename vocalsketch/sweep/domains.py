"""What a searched value may be: a whole number, a number, one of several, a list of these."""

import json
import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import FloatDistribution, IntDistribution

from vocalsketch.errors import ConfigError

Scalar = str | int | float | bool | None


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


KINDS: dict[str, set[str]] = {
    "int": {"low", "high", "log", "step"},
    "float": {"low", "high", "log", "step"},
    "categorical": {"choices"},
    "list": {"length", "of"},
}


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
        return _choices(name, entry)
    return _lists(name, entry) if kind == "list" else _numbers(name, entry, kind)


def _numbers(name: str, entry: Mapping[str, Any], kind: str) -> Numbers:
    """Return a range as Optuna makes it, which refuses what is impossible."""
    low, high, step = (_number(name, entry, what) for what in ("low", "high", "step"))
    if low is None or high is None:
        raise ConfigError(f"Parameter {name!r} needs low and high.")
    log = entry.get("log", False)
    if not isinstance(log, bool):
        raise ConfigError(f"log of {name!r} is {log!r}: give true or false.")
    found: IntDistribution | FloatDistribution
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # steps need not reach the highest value
            if kind == "float":
                found = FloatDistribution(low, high, log, step)
            else:
                numbers = (low, high, 1 if step is None else step)
                lowest, highest, each = (_whole(name, number) for number in numbers)
                found = IntDistribution(lowest, highest, log, each)
    except ValueError as error:
        raise ConfigError(f"Parameter {name!r}: {error}") from error
    if found.single() and low != high:
        raise ConfigError(f"step of {name!r} is {step:g}: more than from low to high.")
    return Numbers(found)


def _number(name: str, entry: Mapping[str, Any], what: str) -> float | None:
    value = entry.get(what)
    if value is None:
        return None
    try:
        number = float(value)  # YAML reads 1e-4, without a point, as text
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ConfigError(f"{what} of {name!r} is {value!r}: give a number.")
    return number


def _whole(name: str, value: float) -> int:
    if value != int(value):
        raise ConfigError(f"The range of {name!r} has {value:g}: an int takes whole numbers.")
    return int(value)


def _choices(name: str, entry: Mapping[str, Any]) -> Choices:
    values = entry.get("choices")
    if not isinstance(values, list) or not values:
        raise ConfigError(f"choices of {name!r} is {values!r}: give a list of values.")
    labels = [label(value) for value in values]
    if len(set(labels)) < len(labels):
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
