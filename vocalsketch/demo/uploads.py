"""What visitors sent, for as long as it is kept."""

import time
from dataclasses import dataclass, field
from pathlib import Path

AGE = 3600.0  # seconds that a recording is kept
TOGETHER = 500_000_000  # bytes of all recordings
PAUSE = 10.0  # seconds between two looks


@dataclass
class Uploads:
    """The folder that holds recordings; it does not grow for ever.

    Attributes:
        folder: Where they are.
        together: Bytes of all, at most; beyond it the oldest go, of whatever age.
        age: Seconds after which they go.
        pause: Seconds between two looks, in which it may grow.
    """

    folder: Path
    together: int = TOGETHER
    age: float = AGE
    pause: float = PAUSE
    _looked: float = field(default=-float("inf"), repr=False)

    def make_room(self) -> None:
        """Remove what is too old or too much, if it is time to look."""
        now = time.monotonic()
        if now - self._looked < self.pause:
            return
        self._looked = now
        files = sorted(self._files(), reverse=True)
        total = 0
        for changed, size, file in files:
            total += size
            if total > self.together or time.time() - changed > self.age:
                file.unlink(missing_ok=True)
                _remove_if_empty(file.parent, self.folder)

    def _files(self) -> list[tuple[float, int, Path]]:
        found = []
        for file in self.folder.rglob("*"):
            try:
                if file.is_file():
                    stat = file.stat()
                    found.append((stat.st_mtime, stat.st_size, file))
            except FileNotFoundError:  # another request was faster
                continue
        return found


def _remove_if_empty(folder: Path, root: Path) -> None:
    if folder != root:
        try:
            folder.rmdir()
        except OSError:  # something else is in it, or it is gone
            return
