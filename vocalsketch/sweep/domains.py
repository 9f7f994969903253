"""What a searched value may be: a whole number, a number, one of several, a list of these."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import optuna

from vocalsketch.errors import ConfigError

Scalar = str | int | float | bool | None


class Domain(Protocol):
    """The set that one value is drawn from."""

    def suggest(self, trial: optuna.trial.BaseTrial, name: str) -> Any:
        """Draw a value for the parameter ``name`` of a trial."""


@dataclass(frozen=True)
class Integers:
    """Whole numbers from ``low`` to ``high``, both included."""

    low: int
    high: int
    log: bool = False
    step: int = 1

    def suggest(self, trial: optuna.trial.BaseTrial, name: str) -> int:
        """Draw a whole number."""
        return trial.suggest_int(name, self.low, self.high, log=self.log, step=self.step)


@dataclass(frozen=True)
class Reals:
    """Numbers from ``low`` to ``high``; uniform, uniform in the logarithm, or in steps."""

    low: float
    high: float
    log: bool = False
    step: float | None = None

    def suggest(self, trial: optuna.trial.BaseTrial, name: str) -> float:
        """Draw a number."""
        return trial.suggest_float(name, self.low, self.high, log=self.log, step=self.step)


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

    length: Integers
    of: Domain

    def suggest(self, trial: optuna.trial.BaseTrial, name: str) -> list[Any]:
        """Draw the length, then the values."""
        length = self.length.suggest(trial, f"{name}.length")
        return [self.of.suggest(trial, f"{name}.{index}") for index in range(length)]


def label(value: Any) -> Scalar:
    """Return how a storage names a choice: itself where it is plain, else its JSON.

    >>> label([3, 3])
    '[3, 3]'
    """
    return value if isinstance(value, Scalar) else json.dumps(value)


def parse_domain(name: str, entry: Mapping[str, Any]) -> Domain:
    """Read a domain as a study file gives it.

    Args:
        name: The parameter's name, for messages.
        entry: ``type`` and what it needs: ``low`` and ``high`` (``log``, ``step``) for int and
            float, ``choices`` for categorical, ``length`` and ``of`` for list.

    Raises:
        ConfigError: The entry is not of this form, or its range is empty.
    """
    kinds: dict[str, tuple[set[str], Callable[[str, Mapping[str, Any]], Domain]]] = {
        "int": ({"low", "high", "log", "step"}, _integers),
        "float": ({"low", "high", "log", "step"}, _reals),
        "categorical": ({"choices"}, _choices),
        "list": ({"length", "of"}, _lists),
    }
    if not isinstance(entry, Mapping):
        raise ConfigError(f"Parameter {name!r} is {entry!r}: give a mapping with a type.")
    kind = str(entry.get("type"))
    if kind not in kinds:
        raise ConfigError(f"Parameter {name!r} has type {kind!r}: choose {', '.join(kinds)}.")
    known, read = kinds[kind]
    unknown = sorted(set(entry) - known - {"type"})
    if unknown:
        raise ConfigError(
            f"Parameter {name!r} of type {kind} has {', '.join(unknown)}: it takes "
            f"{', '.join(sorted(known))}, key and when."
        )
    return read(name, entry)


def _integers(name: str, entry: Mapping[str, Any]) -> Integers:
    low, high, step = _range(name, entry)
    for what, value in (("low", low), ("high", high), ("step", step)):
        if value is not None and value != int(value):
            raise ConfigError(f"{what} of {name!r} is {value}: an int takes whole numbers.")
    return Integers(int(low), int(high), entry.get("log", False), int(step or 1))


def _reals(name: str, entry: Mapping[str, Any]) -> Reals:
    low, high, step = _range(name, entry)
    return Reals(low, high, entry.get("log", False), step)


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


def _range(name: str, entry: Mapping[str, Any]) -> tuple[float, float, float | None]:
    """Return low, high and step of a range that holds something."""
    low, high, step = (_number(name, entry, what) for what in ("low", "high", "step"))
    if low is None or high is None:
        raise ConfigError(f"Parameter {name!r} needs low and high.")
    if low > high:
        raise ConfigError(
            f"The range of {name!r} is upside down: low is {low:g}, high {high:g}. Exchange them."
        )
    if step is not None and (step <= 0 or 0 < high - low < step):
        raise ConfigError(
            f"step of {name!r} is {step:g}: it must be positive, and no more than from low to high."
        )
    _check_log(name, low, step, entry.get("log", False))
    return low, high, step


def _check_log(name: str, low: float, step: float | None, log: Any) -> None:
    if not isinstance(log, bool):
        raise ConfigError(f"log of {name!r} is {log!r}: give true or false.")
    if log and low <= 0:
        raise ConfigError(f"low of {name!r} is {low:g}: with log it must be positive.")
    if log and step is not None:
        raise ConfigError(f"Parameter {name!r} has both log and step: leave one out.")


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
    return Lists(_integers(f"{name}.length", length), parse_domain(f"{name}.of", each))
