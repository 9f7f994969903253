"""Running a study on this machine, from the study file to the report."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna

from vocalsketch.errors import ConfigError
from vocalsketch.files import write_text
from vocalsketch.sweep.base import checked
from vocalsketch.sweep.best import export
from vocalsketch.sweep.definition import Definition
from vocalsketch.sweep.launcher import Launcher
from vocalsketch.sweep.report import write_report
from vocalsketch.sweep.storages import check_exists, make_folder, open_storage, patiently
from vocalsketch.sweep.study import best_trial, load_study, open_study
from vocalsketch.sweep.tally import Tally, take_tally
from vocalsketch.sweep.tracking import track_summary


@dataclass(frozen=True)
class Place:
    """Where a study is: its name, its storage, its folder on this machine."""

    name: str
    storage: str
    folder: Path

    def load(self) -> tuple[optuna.Study, Definition]:
        """Open the study, which exists, and its definition.

        Raises:
            ConfigError: There is no such study.
        """
        check_exists(self.storage)
        return patiently(lambda: load_study(open_storage(self.storage), self.name), self.storage)


def place_of(definition: Definition, storage: str | None, folder: Path | None) -> Place:
    """Return where a study is; ``runs/sweeps/NAME`` and a SQLite file there by default."""
    folder = folder or Path("runs") / "sweeps" / definition.name
    url = storage or definition.storage or f"sqlite:///{folder / 'study.db'}"
    return Place(definition.name, url, folder)


def run_study(
    definition: Definition, place: Place, total: int, environments: Sequence[dict[str, str]]
) -> tuple[Tally, bool]:
    """Run a study until ``total`` trials are finished, over all machines and restarts.

    Args:
        definition: The study, as read from its file.
        place: Where it is.
        total: How many trials are to be complete or pruned in all.
        environments: The environment variables of each worker of this machine.

    Returns:
        The tally, and whether the total was reached; False where Ctrl-C came first.

    Raises:
        VocalSketchError: The study cannot be run.
    """
    make_folder(place.folder)
    definition = checked(definition)
    storage = open_storage(place.storage)
    study = patiently(lambda: open_study(storage, definition), place.storage)
    if not study.get_trials(deepcopy=False) and any((place.folder / "trials").glob("*")):
        raise ConfigError(
            f"{place.folder / 'trials'} holds the trials of another study, but study "
            f"{place.name!r} in the storage has none: choose another --folder, or remove it."
        )
    launcher = Launcher(study, place.storage, place.folder, total, environments)
    complete = launcher.run()
    if complete:
        summarise(study, definition, place)
    return launcher.tally(), complete


def summarise(study: optuna.Study, definition: Definition, place: Place) -> Path | None:
    """Write the report and the best config into the study's folder, and W&B's summary run.

    Returns:
        The folder of an offline W&B run, if there is one.

    Raises:
        StudyError: No trial is complete.
    """
    best = best_trial(study)
    pictures = write_report(study, definition, place.folder / "report")
    config = place.folder / "best.yaml"
    write_text(config, export(definition, best))
    tally = take_tally(study.get_trials(deepcopy=False))
    summary = {
        "best/trial": best.number,
        "best/value": best.value,
        "best/parameters": best.params,
        "trials": dataclasses.asdict(tally),
        "corpus": definition.corpus,
    }
    return track_summary(definition, place.folder, summary, pictures, config)
