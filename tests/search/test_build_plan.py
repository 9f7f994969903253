"""Which stored rows hold, and what is to be done."""

from pathlib import Path

import numpy as np

from vocalsketch.search.building import Target, write_part
from vocalsketch.search.embedding import Embedded, EmbeddedFile
from vocalsketch.search.library import LibraryFile
from vocalsketch.search.plan import make_plan, open_parts


def part_of(target: Target, *files: LibraryFile, windows: int = 2) -> None:
    """Write a part that holds some files, each with as many windows."""
    starts = [2.0 * number for number in range(windows)]
    ends = [start + 4.0 for start in starts]
    shares = [np.ones(3, dtype=np.float32)] * windows
    done = [EmbeddedFile(file, "c" * 32, 6.0, 8000, starts, ends, shares) for file in files]
    write_part(target, Embedded(done, {}))


def test_a_file_that_stands_in_two_parts_counts_once(tmp_path: Path) -> None:
    target = Target(tmp_path, "network", 3, "float32")
    one, two, three = (LibraryFile(name, 10, 20) for name in ("a.wav", "b.wav", "c.wav"))
    part_of(target, one, two)
    part_of(target, one)
    plan = make_plan([one, two, three], None, open_parts(tmp_path, "network"))
    assert len(plan.chosen) == 4
    assert plan.todo == [three]


def test_a_file_that_changed_since_is_to_be_embedded_again(tmp_path: Path) -> None:
    target = Target(tmp_path, "network", 3, "float32")
    part_of(target, LibraryFile("a.wav", 10, 20), LibraryFile("b.wav", 10, 20))
    now = [LibraryFile("a.wav", 11, 20), LibraryFile("b.wav", 10, 21)]
    plan = make_plan(now, None, open_parts(tmp_path, "network"))
    assert len(plan.chosen) == 0
    assert plan.todo == now


def test_the_rows_of_one_of_several_gone_files_of_a_content_are_reusable(tmp_path: Path) -> None:
    target = Target(tmp_path, "network", 3, "float32")
    part_of(target, LibraryFile("a.wav", 10, 20), LibraryFile("b.wav", 10, 20))
    (current,) = open_parts(tmp_path, "network")
    assert make_plan([], current, []).reusable == {"c" * 32: [0, 1]}
