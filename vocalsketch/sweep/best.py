"""The best trial: its config, and what it comes to when it is trained anew over seeds."""

import json
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial
from rich.table import Table

from vocalsketch.experiment import Outcome, run_experiment
from vocalsketch.files import write_text
from vocalsketch.retrieval.results import corpus_tag
from vocalsketch.sweep.base import check_one_split
from vocalsketch.sweep.config_tree import write_tree
from vocalsketch.sweep.definition import Definition
from vocalsketch.sweep.retry import first_attempt
from vocalsketch.sweep.study import StudyError


@dataclass(frozen=True)
class Retrained:
    """What a config came to over several seeds, on the test half.

    Attributes:
        corpus: Name of the corpus.
        mrr: For each category, and for ``macro mean``, the MRR of each seed.
    """

    corpus: str
    mrr: Mapping[str, tuple[float, ...]]

    def table(self, title: str) -> Table:
        """Return mean and standard deviation of each category, to be printed."""
        seeds = len(next(iter(self.mrr.values())))
        table = Table(title=f"{title}, test half, {seeds} seeds\n{corpus_tag(self.corpus)}")
        table.add_column("category")
        table.add_column("MRR, mean ± std", justify="right")
        for name, values in self.mrr.items():
            table.add_row(name, mean_and_deviation(values))
        return table


def mean_and_deviation(values: tuple[float, ...]) -> str:
    """Return the mean and, of more than one value, the sample's standard deviation.

    >>> mean_and_deviation((0.2, 0.4))
    '0.300 ± 0.141'
    """
    mean = f"{statistics.mean(values):.3f}"
    return f"{mean} ± {statistics.stdev(values):.3f}" if len(values) > 1 else f"{mean} (one seed)"


def export(definition: Definition, trial: FrozenTrial) -> str:
    """Return the config of a trial as YAML that ``fit`` takes: the base config and its values."""
    values = definition.parameters.values(trial.params)
    tree = definition.parameters.applied(definition.config, values)
    seeds = f"{definition.seeds} seed" + ("s" if definition.seeds > 1 else "")
    return (
        f"# Trial {trial.number} of study {definition.name}: {definition.objective['metric']} "
        f"{trial.value:.4f}, {seeds},\n"
        f"# on the validation half, {corpus_tag(definition.corpus)}.\n"
        "# The best of many is lucky too: `vocalsketch sweep best STUDY --retrain 10` says what\n"
        "# it comes to on the test half.\n"
    ) + write_tree(tree)


def retrain(
    definition: Definition,
    trial: FrozenTrial,
    folder: Path,
    seeds: int,
    run: Callable[..., Outcome] = run_experiment,
) -> Retrained:
    """Train a trial's config with each of ``seeds`` seeds and rank the test half.

    What was trained before is not trained again; what broke off goes on.

    Raises:
        StudyError: Ctrl-C ended it.
        VocalSketchError: The config or the data cannot be used.
    """
    check_one_split(definition, range(seeds))
    folder = folder / "retrained" / f"{first_attempt(trial):05d}"
    config = folder / f"{definition.name}_best.yaml"
    write_text(config, export(definition, trial))
    found = [_results(folder / f"seed_{seed}", config, seed, run) for seed in range(seeds)]
    categories = {
        name: tuple(float(each["categories"][name]["mrr"]) for each in found)
        for name in found[0]["categories"]
    }
    macro = tuple(float(each["macro"]["mrr"]) for each in found)
    return Retrained(definition.corpus, {**categories, "macro mean": macro})


def _results(folder: Path, config: Path, seed: int, run: Callable[..., Outcome]) -> Any:
    done = folder / "results_test.json"
    if not done.is_file():
        arguments = ["--config", str(config), "--seed_everything", str(seed)]
        arguments += ["--run_dir", str(folder), "--ckpt_path", "last"]
        if run("fit", arguments).interrupted:
            raise StudyError("Interrupted: the same command goes on.")
    return json.loads(done.read_text(encoding="utf-8"))
