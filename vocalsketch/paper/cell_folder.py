"""What a cell's folder says of it: whether it is done, failed or was interrupted."""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict, cast

from vocalsketch.files import write_text

State = Literal["started", "done", "failed"]


class _Kept(TypedDict):
    fingerprint: str
    state: State
    seconds: float | None


@dataclass(frozen=True)
class CellFolder:
    """The folder of one cell: a run's folder, a log, and ``cell.json``."""

    path: Path

    @property
    def log(self) -> Path:
        """All that the run printed."""
        return self.path / "log.txt"

    @property
    def scores(self) -> Path:
        """The scores of the test half."""
        return self.path / "scores_test.npz"

    @property
    def checkpoint(self) -> Path:
        """The best checkpoint, or the last one of a run that chooses none."""
        best, last = (self.path / "checkpoints" / f"{name}.ckpt" for name in ("best", "last"))
        return best if best.is_file() else last

    def state(self, fingerprint: str) -> State | None:
        """Return how a cell with this fingerprint stands here; None where it was not begun."""
        kept = self._kept()
        return kept["state"] if kept and kept["fingerprint"] == fingerprint else None

    def seconds(self) -> float | None:
        """Return how long the cell took; None where it is not done."""
        kept = self._kept()
        return kept["seconds"] if kept and kept["state"] == "done" else None

    def note(self, fingerprint: str, state: State, seconds: float | None = None) -> None:
        """Write down how the cell stands."""
        content = _Kept(fingerprint=fingerprint, state=state, seconds=seconds)
        write_text(self.path / "cell.json", json.dumps(content) + "\n")

    def begin(self, fingerprint: str, replaced: Path) -> None:
        """Make the folder ready for a run; another fingerprint's run is moved out of the way.

        Args:
            fingerprint: Of the cell that is to run.
            replaced: Folder for runs of another fingerprint; nothing is deleted.
        """
        if self.path.exists() and self.state(fingerprint) is None:
            replaced.mkdir(parents=True, exist_ok=True)
            number = 1
            while (aside := replaced / f"{self.path.name}-{number}").exists():
                number += 1
            self.path.rename(aside)
        self.note(fingerprint, "started")

    def reason(self) -> str:
        """Return the last line that the run printed, which says why it failed."""
        try:
            with self.log.open("rb") as handle:
                handle.seek(max(0, os.fstat(handle.fileno()).st_size - 4096))
                lines = handle.read().decode("utf-8", errors="replace").split("\n")
        except OSError:
            return "it printed nothing"
        return next((line.strip() for line in reversed(lines) if line.strip()), "")

    def _kept(self) -> _Kept | None:
        try:
            kept = json.loads((self.path / "cell.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        whole = isinstance(kept, dict) and kept.keys() >= _Kept.__annotations__.keys()
        return cast("_Kept", kept) if whole else None
