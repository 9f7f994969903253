"""The best trial: its config, and what it comes to when it is trained anew over seeds."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from optuna.trial import FrozenTrial
from rich.table import Table

from vocalsketch.files import write_text
from vocalsketch.jobs.fingerprint import corpus_fingerprint, fingerprint
from vocalsketch.jobs.job import Job
from vocalsketch.jobs.progress import complete
from vocalsketch.jobs.slots import Slot
from vocalsketch.retrieval.results import corpus_tag
from vocalsketch.retrieval.significance import Sample, mean_and_deviation
from vocalsketch.sweep.base import check_one_split, corpus_of
from vocalsketch.sweep.config_tree import write_tree
from vocalsketch.sweep.definition import Definition
from vocalsketch.sweep.trials import first_attempt

RESULTS = "results_test.json"
MACRO = "macro mean"


@dataclass(frozen=True)
class Retrained:
    """What a config came to over several seeds, on the test half.

    Attributes:
        corpus: Name of the corpus.
        mrr: For each category, and for ``MACRO``, the MRR of each seed.
    """

    corpus: str
    mrr: Mapping[str, tuple[float, ...]]

    def table(self, title: str) -> Table:
        """Return mean and standard deviation of each category, to be printed."""
        table = Table(
            title=f"{title}, test half, {len(self.mrr[MACRO])} seed(s)\n{corpus_tag(self.corpus)}"
        )
        table.add_column("category")
        table.add_column("MRR, mean ± std", justify="right")
        for name, values in self.mrr.items():
            found = Sample.of(values)
            table.add_row(name, mean_and_deviation(found.mean, found.std))
        return table


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
    slots: Sequence[Slot] = (),
) -> Retrained:
    """Train a trial's config with each of ``seeds`` seeds and rank the test half.

    What was trained before is not trained again; what broke off goes on. Without slots the
    trainings follow one another in this process.

    Raises:
        JobError: A training failed; the same call goes on.
        KeyboardInterrupt: Ctrl-C ended it; the same call goes on.
        VocalSketchError: The config or the data cannot be used.
    """
    check_one_split(definition, range(seeds))
    folder = folder / "retrained" / f"{first_attempt(trial):05d}"
    config = folder / f"{definition.name}_best.yaml"
    write_text(config, export(definition, trial))
    resolved: Any = OmegaConf.to_container(OmegaConf.load(config), resolve=True)
    resolved["data"]["init_args"].pop("root", None)  # wherever it lies, its content counts
    corpus, split = corpus_fingerprint(corpus_of(definition)), definition.split
    jobs = [
        Job(
            f"{definition.name}/seed{seed}",
            folder / f"seed_{seed}",
            ("--config", str(config), "--seed_everything", str(seed)),
            fingerprint(resolved, seed=seed, corpus=corpus, split=split),
            makes=RESULTS,
        )
        for seed in range(seeds)
    ]
    complete(jobs, slots)
    found = [json.loads((job.folder / RESULTS).read_text(encoding="utf-8")) for job in jobs]
    categories = {
        name: tuple(float(each["categories"][name]["mrr"]) for each in found)
        for name in found[0]["categories"]
    }
    macro = tuple(float(each["macro"]["mrr"]) for each in found)
    return Retrained(definition.corpus, {**categories, MACRO: macro})
