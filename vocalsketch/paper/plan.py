"""What is run for the report: a job for each row and seed, and for what these start from."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from vocalsketch.datasets.manifest import write_manifest
from vocalsketch.datasets.open import open_corpus
from vocalsketch.datasets.records import OnBadAudio
from vocalsketch.datasets.splits import make_split
from vocalsketch.errors import ConfigError
from vocalsketch.jobs.fingerprint import corpus_fingerprint, fingerprint
from vocalsketch.jobs.job import Job
from vocalsketch.paper.rows import KNOWN, Row, chosen
from vocalsketch.systems import load_system


@dataclass(frozen=True)
class Data:
    """What every run is given: the same corpus, the same split."""

    root: str  # where the corpus is
    on_bad_audio: OnBadAudio  # error or skip
    manifest: Path  # the split's
    corpus: str  # fingerprint of the corpus
    split: str  # fingerprint of the split

    @classmethod
    def prepare(cls, folder: Path, root: str, split: str, on_bad_audio: OnBadAudio) -> "Data":
        """Read the corpus, write the split's manifest to the folder, fingerprint both.

        Raises:
            ConfigError: The split is not one.
            DatasetError: Corpus or split cannot be used.
        """
        corpus = open_corpus(root, on_bad_audio=on_bad_audio)
        divided = make_split(corpus, split)
        manifest = folder / "split.json"
        write_manifest(divided, manifest)
        return cls(root, on_bad_audio, manifest, corpus_fingerprint(corpus), divided.fingerprint)

    @property
    def settings(self) -> dict[str, str]:
        """The keys of a config's data that it answers."""
        return {
            "root": self.root,
            "split": str(self.manifest),
            "on_bad_audio": self.on_bad_audio,
        }


def wanted(names: Sequence[str], seeds: int, configs: Path) -> list[Row]:
    """Return the rows that are asked for, once it is certain that they can be run.

    Args:
        names: Groups of rows, or single ones (``rows.chosen``).
        seeds: How many initialisations.
        configs: Folder of the configs.

    Raises:
        ConfigError: A row is unknown, there is no seed, or a config is missing.
    """
    if seeds < 1:
        raise ConfigError(f"--seeds is {seeds}: give at least 1.")
    rows = chosen(names)
    for row in rows:
        for each in (row, *(KNOWN[need] for need, _ in row.needs.values())):
            config = configs / f"{each.config}.yaml"
            if each.config and not config.is_file():
                raise ConfigError(
                    f"No config {config}: run in a checkout of vocalsketch, whose conf/ has it, or "
                    "give --conf FOLDER."
                )
    return rows


@dataclass(frozen=True)
class Plan:
    """How the runs of a report are made.

    Attributes:
        folder: Of the report; its name is the group in W&B.
        configs: Folder of the configs.
        data: Corpus and split.
        quick: Whether every schedule is shortened.
        roots: Data set of a row, by its key, where that is not the one its config names.
    """

    folder: Path
    configs: Path
    data: Data
    quick: bool = False
    roots: Mapping[str, str] = field(default_factory=dict)

    def jobs(self, rows: Sequence[Row], seeds: int) -> list[Job]:
        """Return the jobs of some rows, seed by seed, each after those that it needs.

        Args:
            rows: What is reported.
            seeds: How many initialisations, seeds 0, 1, ...; what is not trained is run once.
        """
        jobs: dict[str, Job] = {}
        for seed in range(seeds):
            for row in rows:
                if row.config or seed == 0:
                    job = self.job(row, seed)
                    jobs.update({each.name: each for each in (*job.needs, job)})
        return list(jobs.values())

    def job(self, row: Row, seed: int) -> Job:
        """Return the job that trains a row's system, or only ranks it."""
        name = f"{row.key}/seed{seed}"
        return self._training(row, seed, name) if row.config else self._ranking(row, name)

    def _training(self, row: Row, seed: int, name: str) -> Job:
        config = self.configs / f"{row.config}.yaml"
        changes = row.quick if self.quick else ()
        if row.key in self.roots:
            changes = (f"--data.init_args.root={self.roots[row.key]}", *changes)
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
            folder_of(self.folder, name),
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

    def _ranking(self, row: Row, name: str) -> Job:
        folder = folder_of(self.folder, name)
        told = (str(folder), row.system, *self.data.settings.values())
        return Job(
            name,
            folder,
            fingerprint=fingerprint(
                {"system": load_system(row.system).fingerprint},
                seed=0,
                corpus=self.data.corpus,
                split=self.data.split,
            ),
            command=(sys.executable, "-m", "vocalsketch.paper.untrained", *told),
        )


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
