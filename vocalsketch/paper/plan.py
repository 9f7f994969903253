"""Which runs a study is made of: a cell for each system and seed."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from vocalsketch.errors import ConfigError
from vocalsketch.paper.rows import CONTOURS, FUSION, KNOWN, PRETRAINING, chosen

PRETRAINED = {"imitation": PRETRAINING[0], "recording": PRETRAINING[1]}


@dataclass(frozen=True)
class Cell:
    """One run of a study.

    Attributes:
        system: Row key of Table I, or the name of a pre-training.
        seed: Seed of the run.
        config: The run's config.
        arguments: What is changed of the config, as on the command line; results depend on it.
        needs: Pre-trainings whose checkpoints this one starts from.
    """

    system: str
    seed: int
    config: Path
    arguments: tuple[str, ...] = ()
    needs: tuple["Cell", ...] = ()

    @property
    def name(self) -> str:
        """What people and folders call it, such as ``iminet_tied/seed3``."""
        return f"{self.system}/seed{self.seed}"

    @property
    def pretraining(self) -> bool:
        """Whether it only serves other cells."""
        return self.system in PRETRAINING

    def folder(self, study: Path) -> Path:
        """Return where it runs."""
        return study / "cells" / self.system / f"seed{self.seed}"

    def fingerprint(self, conditions: Sequence[str]) -> str:
        """Return a hash of all that its result depends on.

        Args:
            conditions: Fingerprints of data, split and code.
        """
        content = {
            "config": self._resolved(),
            "seed": self.seed,
            "arguments": self.arguments,
            "conditions": list(conditions),
            "needs": [need.fingerprint(conditions) for need in self.needs],
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    def _resolved(self) -> Any:
        """Return the config's values, but for what ``conditions`` and ``needs`` say better."""
        config: Any = OmegaConf.to_container(OmegaConf.load(self.config), resolve=True)
        if not self.pretraining:
            for key in ("root", "split", "on_bad_audio"):
                config["data"]["init_args"].pop(key, None)
        if self.needs:
            transfer = config["model"]["init_args"].get("transfer") or {}
            for side in PRETRAINED:
                transfer.pop(side, None)
        return config


@dataclass(frozen=True)
class Plan:
    """What to run and to report.

    Attributes:
        cells: Every run, each after those that it needs.
        fusion: Whether the fused rows are made too.
    """

    cells: tuple[Cell, ...]
    fusion: bool


def make_plan(
    rows: Sequence[str],
    seeds: int,
    configs: Path,
    *,
    quick: bool = False,
    pretraining_roots: dict[str, str] | None = None,
) -> Plan:
    """Return the cells of the rows asked for, seed by seed.

    Args:
        rows: ``imisound``, ``iminet``, ``tl``, ``fusion``, or single rows such as ``tl_conv123``.
        seeds: How many initialisations: seeds 0, 1, ...
        configs: Folder of the configs.
        quick: Shorten every schedule.
        pretraining_roots: Data set of each pre-training by its side, where not the config's own.

    Raises:
        ConfigError: A row is unknown, there is no seed, or a config is missing.
    """
    if seeds < 1:
        raise ConfigError(f"--seeds is {seeds}: give at least 1.")
    systems = [row.key for row in chosen(rows) if row.key != CONTOURS]
    roots = pretraining_roots or {}
    cells: dict[str, Cell] = {}
    for seed in range(seeds):
        for system in systems:
            for cell in _with_needs(system, seed, configs, quick, roots):
                cells.setdefault(cell.name, cell)
    return Plan(tuple(cells.values()), FUSION in rows)


def _with_needs(
    system: str, seed: int, configs: Path, quick: bool, roots: dict[str, str]
) -> Iterator[Cell]:
    """Yield what a system's cell needs, then the cell."""
    needs = []
    if KNOWN[system].needs:
        for side, name in PRETRAINED.items():
            changes = (f"--data.init_args.root={roots[side]}",) if side in roots else ()
            needs.append(_cell(name, seed, configs, quick, changes))
    yield from needs
    yield _cell(system, seed, configs, quick, needs=tuple(needs))


def _cell(
    system: str,
    seed: int,
    configs: Path,
    quick: bool,
    changes: tuple[str, ...] = (),
    needs: tuple[Cell, ...] = (),
) -> Cell:
    config = configs / f"{KNOWN[system].config}.yaml"
    if not config.is_file():
        raise ConfigError(
            f"No config {config}: run in a checkout of vocalsketch, whose conf/ has it, or give "
            "--conf FOLDER."
        )
    short = KNOWN[system].quick if quick else ()
    return Cell(system, seed, config, (*changes, *short), needs)
