"""A page over a small library with traps in it, served once for all tests."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from served_page import Page, indexed, served_page
from small_networks import chirp, write_checkpoint, write_library, write_sound

from vocalsketch.search import Index, build_index

HOSTILE = "<img src=x onerror=alert(1)> ${alert(2)} {{value}} &amp; '\".wav"


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library with two indexes, a secret beside it, and a file that became a way out."""
    root = tmp_path_factory.mktemp("page")
    library = write_library(root / "library")
    write_sound(library / "odd" / HOSTILE, chirp(6))
    stereo = np.stack([chirp(7, 0.5, 44_100), 0.5 * chirp(3, 0.5, 44_100)], axis=1)
    write_sound(library / "odd" / "stereo.wav", stereo, 44_100)
    write_sound(library / "odd" / "swapped.wav", chirp(8))
    for seed, name in enumerate(("one", "two")):
        checkpoint = write_checkpoint(root / f"{name}.ckpt", seed=seed)
        build_index(library, root / name, checkpoint, jobs=1, progress=False)
    write_sound(root / "secret.wav", chirp(9))
    (library / "odd" / "swapped.wav").unlink()
    (library / "odd" / "swapped.wav").symlink_to(root / "secret.wav")
    write_sound(library / "new, not indexed.wav", chirp(5))
    return root


@pytest.fixture(scope="session")
def indexes(root: Path) -> list[Index]:
    return [Index.open(root / name, threads=1) for name in ("one", "two")]


@pytest.fixture(scope="session")
def page(root: Path) -> Iterator[Page]:
    """The served page; at most 2 s and 0.5 MB may be sent."""
    limits = ("--max-seconds", "2", "--max-megabytes", "0.5")
    indexes = indexed([root / "one", root / "two"])
    with served_page(root / "log.txt", *indexes, *limits) as page:
        yield page
    assert page.process.returncode == 0
