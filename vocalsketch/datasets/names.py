"""Files found by the names that tables give them."""

import os
import unicodedata
from collections import defaultdict
from pathlib import Path
from posixpath import normpath


def composed(name: str) -> str:
    """Return a name in one Unicode form (NFC): macOS and Linux write letters with accents apart.

    >>> composed("o" + chr(0x308)) == chr(0xF6)
    True
    """
    return unicodedata.normalize("NFC", name)


class Files:
    """The files below a folder, found by relative names; each folder is listed once.

    A name may have its letters in another Unicode form, other capitals where no two files are
    alike but for these, and backslashes between folders.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._listed: dict[Path, dict[str, list[str]]] = {}

    def find(self, name: str) -> Path | None:
        """Return the regular file of that name, or None."""
        found = self._walk(normpath(name)) or self._walk(normpath(name.replace("\\", "/")))
        return found if found is not None and found.is_file() else None

    def place(self, name: str) -> Path:
        """Return the file or folder of that name, or where it would lie."""
        found = self._walk(name)
        return self.root / name if found is None else found

    def identity(self, name: str, found: Path | None) -> str:
        """Return one id for the spellings of a file: as it is found on disk, else as it is named.

        Names outside ``root`` are kept as they are written.
        """
        if found is not None and found.is_relative_to(self.root):
            name = found.relative_to(self.root).as_posix()
        return composed(normpath(name.replace("\\", "/")))

    def _walk(self, name: str) -> Path | None:
        here: Path | None = Path("/") if name.startswith("/") else self.root
        for part in name.strip("/").split("/"):
            if here is None or part in ("", "."):
                break
            here = here / ".." if part == ".." else self._entry(here, part)
        return here

    def _entry(self, folder: Path, name: str) -> Path | None:
        if folder not in self._listed:
            self._listed[folder] = _listing(folder)
        for key in (name, composed(name), composed(name).casefold()):
            alike = self._listed[folder].get(key, [])
            if len(alike) == 1 or name in alike:
                return folder / (name if name in alike else alike[0])
        return None


def _listing(folder: Path) -> dict[str, list[str]]:
    """Return the names in a folder by themselves and by what is alike."""
    alike: dict[str, list[str]] = defaultdict(list)
    for name in os.listdir(folder) if folder.is_dir() else ():  # noqa: PTH208 - names, no objects
        for key in {name, composed(name), composed(name).casefold()}:
            alike[key].append(name)
    return dict(alike)
