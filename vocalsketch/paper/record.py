"""What a study was, kept in its folder so that its report can be made again."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vocalsketch.datasets.records import OnBadAudio
from vocalsketch.errors import StorageError
from vocalsketch.files import write_text
from vocalsketch.paper.rows import PRETRAINING

FORMAT = 1  # raised when a key changes its meaning


@dataclass(frozen=True)
class PlannedRun:
    """A cell as it was planned last: system, seed and fingerprint."""

    system: str
    seed: int
    fingerprint: str

    @property
    def pretraining(self) -> bool:
        """Whether it only served other runs."""
        return self.system in PRETRAINING

    def folder(self, study: Path) -> Path:
        """Return where it ran."""
        return study / "cells" / self.system / f"seed{self.seed}"


@dataclass(frozen=True)
class Record:
    """The contents of ``study.json``.

    Attributes:
        root: Where the corpus is.
        on_bad_audio: ``error`` or ``skip``.
        conditions: Fingerprints of corpus, split and code.
        fusion: Whether the fused rows are made.
        notes: What a reader must know.
        runs: Every run of the plan.
    """

    root: str
    on_bad_audio: OnBadAudio
    conditions: tuple[str, ...]
    fusion: bool
    notes: tuple[str, ...]
    runs: tuple[PlannedRun, ...]

    def write(self, study: Path) -> None:
        """Write it to the study's folder."""
        content = {"format": FORMAT, **asdict(self)}
        write_text(study / "study.json", json.dumps(content, indent=1) + "\n")

    @classmethod
    def read(cls, study: Path) -> "Record":
        """Read it from the study's folder.

        Raises:
            StorageError: There is none, or another version wrote it.
        """
        path = study / "study.json"
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return cls._from(content)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StorageError(
                f"No study at {path} ({error}): `vocalsketch reproduce table1 --out {study}` "
                "makes one."
            ) from error

    @classmethod
    def _from(cls, content: dict[str, Any]) -> "Record":
        if content["format"] != FORMAT:
            raise ValueError(f"its format is not {FORMAT}")
        return cls(
            root=content["root"],
            on_bad_audio=content["on_bad_audio"],
            conditions=tuple(content["conditions"]),
            fusion=content["fusion"],
            notes=tuple(content["notes"]),
            runs=tuple(PlannedRun(**run) for run in content["runs"]),
        )
