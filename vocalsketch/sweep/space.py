"""The search space of a study: parameters, what each is drawn from, config keys, conditions."""

import json
import warnings
from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

import optuna
from optuna.distributions import FloatDistribution, IntDistribution
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    FiniteFloat,
    StrictBool,
    field_validator,
    model_validator,
)

from vocalsketch.experiment.config import Tree, assigned, remedy

Scalar = str | int | float | bool | None
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


def label(value: Any) -> Scalar:
    """Return how a storage names a choice: itself where it is plain, else its JSON.

    >>> label([3, 3])
    '[3, 3]'
    """
    return value if isinstance(value, Scalar) else json.dumps(value)


class Parameter(BaseModel, extra="forbid"):
    """One thing that is searched; a subclass says what it is drawn from.

    Attributes:
        key: The config key it sets; its name if left out.
        when: It is drawn only where each of these parameters has one of these values.
    """

    key: str = ""
    when: dict[
        str, Annotated[list[Any], BeforeValidator(lambda v: v if isinstance(v, list) else [v])]
    ] = {}

    @abstractmethod
    def suggest(self, trial: optuna.trial.BaseTrial, name: str) -> Any:
        """Draw a value under a name."""

    def is_active(self, values: Mapping[str, Any]) -> bool:
        """Return whether the values drawn so far ask for this parameter."""
        return all(
            other in values and label(values[other]) in map(label, wanted)
            for other, wanted in self.when.items()
        )


class Numbers(Parameter):
    """Whole numbers or numbers of a range: uniform, uniform in the logarithm, or in steps."""

    type: Literal["int", "float"] = "int"
    low: FiniteFloat
    high: FiniteFloat
    log: StrictBool = False
    step: FiniteFloat | None = None

    @model_validator(mode="after")
    def _check_range(self) -> Self:
        if self.type == "int" and any(n and n % 1 for n in (self.low, self.high, self.step)):
            raise ValueError("an int takes whole numbers")
        with warnings.catch_warnings(action="ignore"):  # steps need not reach the highest value
            assert self.range
        return self

    @property
    def range(self) -> IntDistribution | FloatDistribution:
        """What Optuna draws from, which refuses what is impossible."""
        if self.type == "float":
            return FloatDistribution(self.low, self.high, self.log, self.step)
        step = 1 if self.step is None else int(self.step)
        return IntDistribution(int(self.low), int(self.high), self.log, step)

    def suggest(self, trial: optuna.trial.BaseTrial, name: str) -> Any:
        """Draw a number."""
        found = self.range
        suggest: Any = trial.suggest_float if self.type == "float" else trial.suggest_int
        return suggest(name, found.low, found.high, step=found.step, log=found.log)


class Choices(Parameter):
    """One of several values; what is no plain value is known to the storage by its JSON."""

    type: Literal["categorical"]
    choices: list[Any] = Field(min_length=1)

    @field_validator("choices")
    @classmethod
    def _check_choices(cls, choices: list[Any]) -> list[Any]:
        if len(set(map(label, choices))) < len(choices):
            raise ValueError("it names a value twice")
        return choices

    def suggest(self, trial: optuna.trial.BaseTrial, name: str) -> Any:
        """Draw one of the values."""
        labelled = {label(value): value for value in self.choices}
        return labelled[trial.suggest_categorical(name, list(labelled))]


class Lists(Parameter):
    """Lists of ``length`` values, each drawn from ``of`` on its own."""

    type: Literal["list"]
    length: Numbers
    of: "AnyParameter"

    def suggest(self, trial: optuna.trial.BaseTrial, name: str) -> list[Any]:
        """Draw the length, then the values."""
        length = int(self.length.suggest(trial, f"{name}.length"))
        return [self.of.suggest(trial, f"{name}.{index}") for index in range(length)]


AnyParameter = Annotated[Numbers | Choices | Lists, Field(discriminator="type")]


def _checked(space: dict[str, AnyParameter]) -> dict[str, AnyParameter]:
    above: dict[str, Parameter] = {}
    for name, parameter in space.items():
        parameter.key = parameter.key or name
        _check_conditions(name, parameter, above)
        _check_key(name, parameter)
        above[name] = parameter
    return space


# Parameters by name, in the order in which they are drawn, as a study file gives them. ``key`` is
# the config key where it is not the name; ``when`` maps the names of parameters above to a value
# or to a list of values
Space = Annotated[dict[str, AnyParameter], Field(min_length=1), AfterValidator(_checked)]


def drawn(space: Mapping[str, Parameter], trial: optuna.trial.BaseTrial) -> dict[str, Any]:
    """Draw a value for each active parameter, by name."""
    values: dict[str, Any] = {}
    for name, parameter in space.items():
        if parameter.is_active(values):
            values[name] = parameter.suggest(trial, name)
    return values


def applied(space: Mapping[str, Parameter], tree: Tree, values: Mapping[str, Any]) -> Tree:
    """Return the config with the values at the keys of their parameters."""
    return assigned(tree, {space[name].key: value for name, value in values.items()})


def _check_key(name: str, parameter: Parameter) -> None:
    """Check that a key may be searched."""
    for held in HELD:
        if f"{held}.".startswith(f"{parameter.key}.") or parameter.key.startswith(f"{held}."):
            raise ValueError(
                f"Parameter {name!r} sets {parameter.key!r}: {held} is the same in all "
                "trials, which would not compare otherwise."
            )


def _check_conditions(name: str, parameter: Parameter, above: Mapping[str, Parameter]) -> None:
    """Check that a parameter is drawn on values that parameters above it may have."""
    for other, wanted in parameter.when.items():
        if other not in above:
            raise ValueError(
                f"when of {name!r} asks for {other!r}, no parameter above: {remedy(other, above)}"
            )
        earlier = above[other]
        possible = earlier.choices if isinstance(earlier, Choices) else wanted
        for value in wanted:
            if value not in possible:
                raise ValueError(
                    f"when of {name!r}: {other!r} is never {value!r}, only one of "
                    f"{', '.join(map(str, possible))}."
                )
