"""From plan to report: what is run for it, and what is gathered of what is done."""

import json
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pydantic
import yaml
from omegaconf import OmegaConf
from pydantic import TypeAdapter, ValidationError

from vocalsketch.datasets.open import DEMO, open_corpora
from vocalsketch.datasets.splits import make_split, write_manifest
from vocalsketch.errors import ConfigError, StorageError, refuse_below
from vocalsketch.experiment.run import rank
from vocalsketch.files import write_bytes
from vocalsketch.jobs.job import Job, as_process, corpus_fingerprint, fingerprint, training
from vocalsketch.paper.measured import Measured, scores_of, with_fusions
from vocalsketch.paper.rows import KNOWN, Row, row_of
from vocalsketch.retrieval.scores import Scores
from vocalsketch.systems import load_system
from vocalsketch.systems.checkpoints import SAVED
from vocalsketch.systems.ensemble import Ensemble


@dataclass(frozen=True)
class Plan:
    """How the runs of a report are made."""

    folder: Path  # of the report; its name is the group in W&B
    configs: Path  # folder of the configs
    data: Mapping[str, str]  # the keys of a config's data that are the same in every run
    corpus: str  # fingerprint of the corpus
    split: str  # fingerprint of the split
    quick: bool = False  # whether every schedule is shortened
    # what a row's config is changed by, by its key, such as the data it names
    changes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def prepare(
        cls, folder: Path, configs: Path, data: Mapping[str, Any], **options: Any
    ) -> "Plan":
        """Read the corpus, write the split's manifest to the folder, fingerprint both."""
        corpus = open_corpora(
            data["root"], data.get("test_root"), on_bad_audio=data["on_bad_audio"]
        )
        divided, manifest = make_split(corpus, data["split"]), folder / "split.json"
        write_manifest(divided, manifest)
        known = corpus_fingerprint(corpus), divided.fingerprint
        return cls(folder, configs, {**data, "split": str(manifest)}, *known, **options)

    def jobs(self, rows: Sequence[Row], seeds: int) -> list[Job]:
        """Return the jobs of rows with seeds 0, 1, ..., each after those that it needs.

        What is not trained is run once.

        Raises:
            ConfigError: There is no seed, or a config is missing.
        """
        refuse_below(1, seeds=seeds)
        jobs: dict[str, Job] = {}
        for seed in range(seeds):
            for row in rows:
                if row.trained or seed == 0:
                    job = self.job(row, seed)
                    jobs.update({each.name: each for each in _in_order(job)})
        return list(jobs.values())

    def job(self, row: Row, seed: int) -> Job:
        """Return the job that trains a row's system, or only ranks it."""
        return self._training(row, seed) if row.config else self._ranking(row, seed)

    def _ranking(self, row: Row, seed: int) -> Job:
        """Return the job that ranks a system as it is, or an ensemble of rows' systems."""
        name = f"{row.key}/seed{seed}"
        folder = folder_of(self.folder, name)
        members = [KNOWN[key] for key in row.members] or [row]
        needs = {each.key: self.job(each, seed) for each in members if each.config}
        systems = [
            str(needs[each.key].folder / "checkpoints" / "best.ckpt")
            if each.config
            else each.system
            for each in members
        ]
        settings = json.dumps(self.data), json.dumps(row.weights)
        told = (str(folder), row.system or row.key, *settings, *systems)
        prints = [load_system(each.system).fingerprint for each in members if each.system]
        weights = {"weights": row.weights} if row.weights else {}
        return Job(
            name,
            folder,
            ("-m", "vocalsketch.paper.plan", *told),
            self._fingerprint({"system": prints, **weights}, 0, needs.values()),
            tuple(needs.values()),
        )

    def _training(self, row: Row, seed: int) -> Job:
        name, config = f"{row.key}/seed{seed}", self.configs / f"{row.config}.yaml"
        if not config.is_file():
            raise ConfigError(
                f"No config {config}: run in a checkout of vocalsketch, whose conf/ has it, or "
                "give --conf FOLDER."
            )
        changes = (*self.changes.get(row.key, ()), *(row.quick if self.quick else ()))
        needs = {key: self.job(KNOWN[need], seed) for key, (need, _) in row.needs.items()}
        given = {
            key: str(need.folder / "checkpoints" / f"{row.needs[key][1]}.ckpt")
            for key, need in needs.items()
        }
        if row.block:
            given |= {f"data.init_args.{key}": value for key, value in self.data.items()}
        seeded = ("--config", str(config), "--seed_everything", str(seed))
        quiet = "--trainer.enable_progress_bar=false"
        content = {"config": _without(config, given), "changes": changes}
        return training(
            name,
            folder_of(self.folder, name),
            (*seeded, *changes, quiet, *(f"--{key}={value}" for key, value in given.items())),
            self._fingerprint(content, seed, needs.values(), reads=bool(row.block)),
            needs=tuple(needs.values()),
            environment={
                "WANDB_RUN_GROUP": self.folder.name,
                "WANDB_NAME": name.replace("/", "-"),
            },
        )

    def _fingerprint(
        self, content: Mapping[str, object], seed: int, needs: Iterable[Job], reads: bool = True
    ) -> str:
        """Return a job's fingerprint; ``reads`` is whether it is given the plan's data."""
        corpus, split = (self.corpus, self.split) if reads else ("", "")
        known = [need.fingerprint for need in needs]
        return fingerprint(content, seed=seed, corpus=corpus, split=split, needs=known)


def _in_order(job: Job) -> list[Job]:
    """Return all that a job needs, and the job."""
    return [*(each for need in job.needs for each in _in_order(need)), job]


def folder_of(report: Path, name: str) -> Path:
    """Return the run folder of a job in the folder of a report."""
    return report / "cells" / name


def _without(config: Path, given: Iterable[str]) -> Any:
    """Return a config's values, but for the keys whose value counts by what lies there."""
    tree = OmegaConf.load(config)
    for key in given:
        path, _, last = key.rpartition(".")
        branch = OmegaConf.select(tree, path)
        if branch is not None:
            branch.pop(last, None)
    return OmegaConf.to_container(tree, resolve=True)


@pydantic.dataclasses.dataclass(frozen=True)
class Record:
    """What a report is of, kept in its folder (``table1.json``) so that it can be made again."""

    # fingerprint of each job that was planned last, by name (``row/seed3``)
    runs: Mapping[str, str]
    fusion: bool  # whether the fused rows are made
    notes: tuple[str, ...] = ()  # what a reader must know
    # folders of runs, or their files of scores, that stand in rows of their own, by name
    added: Mapping[str, Sequence[str]] = field(default_factory=dict)
    table: str = "table1"  # which table it is: ``table1`` or ``qvim``

    def write(self, folder: Path) -> None:
        """Write it to the report's folder."""
        write_bytes(folder / "table1.json", TypeAdapter(Record).dump_json(self, indent=1))

    @classmethod
    def read(cls, folder: Path) -> "Record":
        """Read it from the report's folder; a StorageError says that there is none."""
        path = folder / "table1.json"
        try:
            return TypeAdapter(cls).validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise StorageError(
                f"Nothing to report on at {path} ({error}): `vocalsketch reproduce table1 --out "
                f"{shlex.quote(str(folder))}` makes it."
            ) from error


def gather(folder: Path, record: Record) -> Measured:
    """Return the runs of a report that are done, fused where that was asked for."""
    runs: dict[str, dict[int, Scores]] = {}
    notes, unfinished = list(record.notes), []
    for name, known in record.runs.items():
        job = Job(name, folder_of(folder, name), (), known)
        if job.state() != "done":
            unfinished.append(name)
        elif not row_of(job.group).block:
            config = yaml.safe_load((job.folder / "config.yaml").read_text(encoding="utf-8"))
            told = f"{job.group} was trained on the demo's synthetic stand-in for its data set."
            notes += [told] if config["data"]["init_args"].get("root") == DEMO else []
        else:
            seed = int(name.rpartition("seed")[2])
            runs.setdefault(job.group, {})[seed] = replace(scores_of(job.folder), system=job.group)
    if unfinished:
        notes.append(f"Runs that are not in these figures: {', '.join(unfinished)}.")
    complete = with_fusions(runs) if record.fusion else runs
    ordered = {key: complete[key] for key in KNOWN if key in complete}
    for name, paths in record.added.items():
        ordered[name] = {n: replace(scores_of(Path(p)), system=name) for n, p in enumerate(paths)}
    return Measured(ordered, notes=tuple(dict.fromkeys(notes)))


def main(folder: str, name: str, data: str, weights: str, *systems: str) -> None:
    """Rank by systems that ``load_system`` takes, several as one: the process of a job.

    ``data`` are settings of a corpus and ``weights`` those of the systems, both in JSON; where
    several systems have none, the validation half weighs them.
    """
    members, settings = [load_system(each) for each in systems], json.loads(data)
    system, given = members[0], json.loads(weights)
    if len(members) > 1:
        corpus = system.corpus
        system = ensemble = Ensemble(members, weights=given).eval()
        if not given:
            corpus = _weigh(ensemble, Path(folder), name, settings)
        ensemble.save(Path(folder, SAVED), {"corpus": corpus})
    rank(Path(folder), name, system, settings)


def _weigh(ensemble: Ensemble, folder: Path, name: str, settings: dict[str, Any]) -> str:
    """Weigh an ensemble's members by the validation half; return which corpus' that is."""
    scores = []
    for number, system in enumerate(ensemble.parts(), start=1):
        where = folder / f"member{number}"
        rank(where, f"{name}, member {number}", system, settings, half="validation")
        scores.append(Scores.load(where / "scores_validation.npz"))
    ensemble.fit([each.categories for each in scores])
    return scores[0].corpus


if __name__ == "__main__":
    sys.exit(as_process(lambda: main(*sys.argv[1:])))
