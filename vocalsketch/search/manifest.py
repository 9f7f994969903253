"""An index's manifest: which file holds its current version, and what made it."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from vocalsketch.errors import StorageError
from vocalsketch.files import write_text
from vocalsketch.search.table import PRECISIONS, Precision

FORMAT = 1  # raised when a reader of the old layout could not read the new one
FILE = "index.json"
NETWORK = "network.ckpt"


@dataclass(frozen=True)
class Manifest:
    """What an index is; it is replaced as a whole, which is what makes a new version current.

    Attributes:
        version: Counts the builds that changed something.
        table: Name of the Arrow file.
        checksum: CRC-32 of the Arrow file.
        library: The folder that was indexed.
        fingerprint: Of the network and its front ends.
        corpus: What the network was trained on.
        precision: Of the stored shares.
        sounds: Files.
        windows: Rows.
        skipped: Files that cannot be used, by path within the library, and why.
        built: When, ISO 8601.
    """

    version: int
    table: str
    checksum: int
    library: str
    fingerprint: str
    corpus: str
    precision: Precision
    sounds: int
    windows: int
    built: str
    skipped: dict[str, str] = field(default_factory=dict)

    @staticmethod
    def exists(folder: Path) -> bool:
        """Whether there is an index in a folder, readable or not."""
        return (folder / FILE).exists()

    def write(self, folder: Path) -> None:
        """Make this the current version of the index in ``folder``."""
        text = json.dumps({"format": FORMAT, **asdict(self)}, indent=2)
        write_text(folder / FILE, text + "\n")

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Read the current version.

        Raises:
            StorageError: There is none, or it cannot be understood.
        """
        file = folder / FILE
        try:
            values = json.loads(file.read_text(encoding="utf-8"))
            form = values.pop("format")
            if form == FORMAT:
                return _checked(cls(**values))
        except (FileNotFoundError, NotADirectoryError) as error:
            raise StorageError(
                f"No index in {folder}: make one with `vocalsketch index build LIBRARY "
                f"--checkpoint X --index {folder}`."
            ) from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise StorageError(
                f"{file} is damaged ({error}): remove {folder} and build it again."
            ) from error
        raise StorageError(
            f"{file} is of format {form!r}, this program reads {FORMAT}: use the program that "
            "made it, or build the index again in another folder."
        )


def _checked(manifest: Manifest) -> Manifest:
    """Return a manifest whose values are of the types they ought to be.

    Raises:
        TypeError: One is not, or the table does not lie in the index's folder.
    """
    kinds = {
        int: ("version", "checksum", "sounds", "windows"),
        str: ("table", "library", "fingerprint", "corpus", "built"),
        dict: ("skipped",),
    }
    for kind, names in kinds.items():
        for name in names:
            if not isinstance(getattr(manifest, name), kind):
                raise TypeError(f"{name} is {getattr(manifest, name)!r}")
    if Path(manifest.table).name != manifest.table or manifest.precision not in PRECISIONS:
        raise TypeError(f"table is {manifest.table!r} in {manifest.precision!r}")
    return manifest
