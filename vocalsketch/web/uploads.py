"""What visitors sent, for as long as it is kept."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

AGE = 3600.0  # seconds that a recording is kept
TOGETHER = 500_000_000  # bytes of all recordings
PAUSE = 10.0  # seconds between two looks


@dataclass
class Uploads:
    """The folder that holds recordings; it does not grow for ever. What is there at first stays.

    gradio's own `delete_cache` stops for good when a file is sent while it looks, and does not know
    of uploads that broke off.

    Attributes:
        folder: Where they are.
        together: Bytes of all, at most; beyond it the oldest go, of whatever age.
        age: Seconds after which they go.
        pause: Seconds between two looks, in which it may grow.
        forget: Told the paths of what was removed.
    """

    folder: Path
    together: int = TOGETHER
    age: float = AGE
    pause: float = PAUSE
    forget: Callable[[set[str]], object] = len
    _looked: float = field(default=-float("inf"), repr=False)

    def __post_init__(self) -> None:
        self._own = {file for _, _, file in self._files()}

    def make_room(self) -> None:
        """Remove what is too old or too much, if it is time to look."""
        now = time.monotonic()
        if now - self._looked < self.pause:
            return
        self._looked = now
        files = sorted((each for each in self._files() if each[2] not in self._own), reverse=True)
        total, removed = 0, set()
        for changed, size, file in files:
            total += size
            if total > self.together or time.time() - changed > self.age:
                file.unlink(missing_ok=True)
                _remove_if_empty(file.parent, self.folder)
                removed.add(str(file))
        self.forget(removed)

    def _files(self) -> list[tuple[float, int, Path]]:
        found = []
        for folder, _, names in os.walk(self.folder):
            for file in (Path(folder, name) for name in names):
                try:
                    stat = file.stat()
                except FileNotFoundError:  # another request was faster
                    continue
                found.append((stat.st_mtime, stat.st_size, file))
        return found


def _remove_if_empty(folder: Path, root: Path) -> None:
    if folder != root:
        try:
            folder.rmdir()
        except OSError:  # something else is in it, or it is gone
            return
