"""An index that is built, or brought up to date, by a build that is killed again and again."""

import signal
from pathlib import Path

import numpy as np
from mortal import LIVES, THOROUGH, Mortal, files_in, leftovers_in, moments
from small_networks import chirp, write_checkpoint, write_library, write_sound

from vocalsketch.search import Index, check_index


def rows(folder: Path) -> tuple[list[dict[str, object]], np.ndarray]:
    """Return what is stored of each window, and the embeddings."""
    table = Index.open(folder).table
    return table.live.to_pylist(), table.embeddings(np.flatnonzero(table.counting))


def change(library: Path) -> None:
    """Add a sound, replace one and remove one."""
    write_sound(library / "new.wav", chirp(7))
    write_sound(library / "House/CarDoor.wav", chirp(8, 0.6))
    (library / "House/outdoor.ogg").unlink()


def indexes_are_the_same(whole: Mortal, killed: Mortal) -> None:
    one, other = (rows(each.folder / "index") for each in (whole, killed))
    assert one[0] == other[0]
    np.testing.assert_array_equal(one[1], other[1])
    assert files_in(whole.folder / "index") == files_in(killed.folder / "index")
    assert not leftovers_in(killed.folder)
    assert not check_index(killed.folder / "index").problems


def test_a_killed_build_ends_as_one_that_was_not_and_readers_see_a_whole_version(
    tmp_path: Path,
) -> None:
    checkpoint = write_checkpoint(tmp_path / "best.ckpt")
    library = write_library(tmp_path / "library")
    command = ("index", "build", str(library), "--index", "index", "--jobs", "1")
    command += ("--checkpoint", str(checkpoint))
    whole, killed = (Mortal(tmp_path / side, command) for side in ("whole", "killed"))
    changes = whole.changes()
    assert killed.killed_and_resumed(changes, seed=3) >= LIVES - 2
    indexes_are_the_same(whole, killed)

    before = rows(killed.folder / "index")
    change(library)
    changes = whole.changes()
    after = rows(whole.folder / "index")
    for moment in moments(len(changes), THOROUGH or 4, seed=4):
        end = killed.run(dies_at=changes[moment - 1])
        assert end.status in (-signal.SIGKILL, 0), end.said
        found = rows(killed.folder / "index")[0]  # without going on: what a reader finds now
        assert found in (before[0], after[0])
    killed.complete()
    indexes_are_the_same(whole, killed)
