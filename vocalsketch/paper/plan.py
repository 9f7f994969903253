"""What is run for the report: a job for each row and seed, and for what these start from."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from vocalsketch.datasets.open import open_corpora
from vocalsketch.datasets.records import OnBadAudio
from vocalsketch.datasets.splits import make_split, write_manifest
from vocalsketch.errors import ConfigError
from vocalsketch.jobs.fingerprint import corpus_fingerprint, fingerprint
from vocalsketch.jobs.job import Job
from vocalsketch.paper.rows import KNOWN, Row
from vocalsketch.systems import load_system


@dataclass(frozen=True)
class Data:
    """What every run is given: the same corpus, the same split."""

    root: str  # where the corpus is
    on_bad_audio: OnBadAudio  # error or skip
    manifest: Path  # the split's
    corpus: str  # fingerprint of the corpus
    split: str  # fingerprint of the split
    test_root: str | None = None  # of a second corpus, which only tests

    @classmethod
    def prepare(
        cls,
        folder: Path,
        root: str,
        split: str,
        on_bad_audio: OnBadAudio,
        test_root: str | None = None,
    ) -> "Data":
        """Read the corpus, write the split's manifest to the folder, fingerprint both.

        Raises:
            ConfigError: The split is not one.
            DatasetError: Corpus or split cannot be used.
        """
        corpus = open_corpora(root, test_root, on_bad_audio=on_bad_audio)
        divided, manifest = make_split(corpus, split), folder / "split.json"
        write_manifest(divided, manifest)
        known = corpus_fingerprint(corpus), divided.fingerprint
        return cls(root, on_bad_audio, manifest, *known, test_root)

    @property
    def settings(self) -> dict[str, str]:
        """The keys of a config's data that it answers."""
        return {
            "root": self.root,
            "split": str(self.manifest),
            "on_bad_audio": self.on_bad_audio,
            **({"test_root": self.test_root} if self.test_root else {}),
        }


def check_can_run(rows: Sequence[Row], seeds: int, configs: Path) -> None:
    """Check that rows can be run with so many initialisations and the configs of a folder.

    Raises:
        ConfigError: There is no seed, or a config is missing.
    """
    if seeds < 1:
        raise ConfigError(f"--seeds is {seeds}: give at least 1.")
    for row in rows:
        config = configs / f"{row.config}.yaml"
        if row.config and not config.is_file():
            raise ConfigError(
                f"No config {config}: run in a checkout of vocalsketch, whose conf/ has it, or "
                "give --conf FOLDER."
            )
        needed = (*(need for need, _ in row.needs.values()), *row.members)
        check_can_run([KNOWN[each] for each in needed], seeds, configs)


@dataclass(frozen=True)
class Plan:
    """How the runs of a report are made.

    Attributes:
        folder: Of the report; its name is the group in W&B.
        configs: Folder of the configs.
        data: Corpus and split.
        quick: Whether every schedule is shortened.
        changes: What a row's config is changed by, by its key, such as the data it names.
    """

    folder: Path
    configs: Path
    data: Data
    quick: bool = False
    changes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def jobs(self, rows: Sequence[Row], seeds: int) -> list[Job]:
        """Return the jobs of some rows, seed by seed, each after those that it needs.

        Args:
            rows: What is reported.
            seeds: How many initialisations, seeds 0, 1, ...; what is not trained is run once.
        """
        jobs: dict[str, Job] = {}
        for seed in range(seeds):
            for row in rows:
                if row.trained or seed == 0:
                    job = self.job(row, seed)
                    jobs.update({each.name: each for each in _in_order(job)})
        return list(jobs.values())

    def job(self, row: Row, seed: int) -> Job:
        """Return the job that trains a row's system, or only ranks it."""
        name = f"{row.key}/seed{seed}"
        folder = folder_of(self.folder, name)
        if not row.config:
            return self._untrained(row, seed, name, folder)
        config = self.configs / f"{row.config}.yaml"
        changes = (*self.changes.get(row.key, ()), *(row.quick if self.quick else ()))
        needs = {key: self.job(KNOWN[need], seed) for key, (need, _) in row.needs.items()}
        given = {
            key: str(need.folder / "checkpoints" / f"{row.needs[key][1]}.ckpt")
            for key, need in needs.items()
        }
        if row.block:
            given |= {f"data.init_args.{key}": value for key, value in self.data.settings.items()}
        seeded = ("--config", str(config), "--seed_everything", str(seed))
        quiet = "--trainer.enable_progress_bar=false"
        return Job(
            name,
            folder,
            (*seeded, *changes, quiet, *(f"--{key}={value}" for key, value in given.items())),
            fingerprint(
                {"config": _without(config, given), "changes": changes},
                seed=seed,
                corpus=self.data.corpus if row.block else "",
                split=self.data.split if row.block else "",
                needs=[need.fingerprint for need in needs.values()],
            ),
            tuple(needs.values()),
            environment={
                "WANDB_RUN_GROUP": self.folder.name,
                "WANDB_NAME": name.replace("/", "-"),
            },
        )

    def _untrained(self, row: Row, seed: int, name: str, folder: Path) -> Job:
        """Return the job that ranks a system as it is, or an ensemble of rows' systems."""
        members = [KNOWN[key] for key in row.members] or [row]
        needs = {each.key: self.job(each, seed) for each in members if each.config}
        known = fingerprint(
            {"system": [load_system(each.system).fingerprint for each in members if each.system]},
            seed=0,
            corpus=self.data.corpus,
            split=self.data.split,
            needs=[need.fingerprint for need in needs.values()],
        )
        told = [str(folder), row.system or row.key, *self.data.settings.values()]
        if row.members:
            told += [
                str(needs[each.key].folder / "checkpoints" / "best.ckpt")
                if each.config
                else each.system
                for each in members
            ]
        module = f"vocalsketch.paper.{'ensemble' if row.members else 'untrained'}"
        ranking = (sys.executable, "-m", module, *told)
        return Job(name, folder, fingerprint=known, needs=tuple(needs.values()), command=ranking)


def _in_order(job: Job) -> list[Job]:
    """Return all that a job needs, and the job."""
    return [*(each for need in job.needs for each in _in_order(need)), job]


def folder_of(report: Path, name: str) -> Path:
    """Return the run folder of a job in the folder of a report."""
    return report / "cells" / name


def _without(config: Path, given: Mapping[str, str]) -> Any:
    """Return a config's values, but for the keys whose value counts by what lies there."""
    values: Any = OmegaConf.to_container(OmegaConf.load(config), resolve=True)
    for key in given:
        *path, last = key.split(".")
        branch = values
        for part in path:
            branch = (branch or {}).get(part)
        if branch:
            branch.pop(last, None)
    return values
