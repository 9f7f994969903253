"""Studies small enough to be searched in a test."""

from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
import yaml

from vocalsketch.sweep.definition import Definition, read_definition

SPACE = {
    "rate": {
        "key": "model.init_args.optimizer.init_args.lr",
        "type": "float",
        "low": 1e-4,
        "high": 1e-2,
        "log": True,
    },
    "filters": {
        "key": "model.init_args.imitation_tower.stages.0.filters",
        "type": "int",
        "low": 1,
        "high": 3,
    },
}


@pytest.fixture(autouse=True)
def quiet_optuna() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture
def study_file(tiny_config: Path) -> Callable[..., Path]:
    """Write a study file over ``tiny_config`` with other keys where given."""

    def write(**keys: object) -> Path:
        content = {"name": "tiny_study", "config": tiny_config.name, "space": SPACE, **keys}
        path = tiny_config.parent / "study.yaml"
        path.write_text(yaml.safe_dump(content, sort_keys=False))
        return path

    return write


@pytest.fixture
def definition(study_file: Callable[..., Path]) -> Definition:
    return read_definition(study_file())


@pytest.fixture
def study() -> optuna.Study:
    return optuna.create_study(direction="maximize", study_name="tiny_study")
