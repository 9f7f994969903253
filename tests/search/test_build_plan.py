"""Which stored rows hold, and what is to be done."""

from pathlib import Path

import numpy as np
import pyarrow as pa

from vocalsketch.search.embedding import Embedded, EmbeddedFile, LibraryFile
from vocalsketch.search.library import COLUMNS
from vocalsketch.search.plan import library_files, make_plan, open_parts, part_names, write_part
from vocalsketch.search.segment import Table


def listed(*files: LibraryFile) -> pa.Table:
    return pa.table([list(column) for column in zip(*files, strict=True)], schema=COLUMNS)


def part_of(folder: Path, *files: LibraryFile, windows: int = 2) -> None:
    """Write a part that holds some files, each with as many windows."""
    starts = [2.0 * number for number in range(windows)]
    ends = [start + 4.0 for start in starts]
    embeddings = [np.ones(3, dtype=np.float32)] * windows
    done = [EmbeddedFile(file, "c" * 32, 6.0, 8000, starts, ends, embeddings) for file in files]
    write_part(next(part_names(folder, 0)), "system", 3, Embedded(done, {}))


def parts_in(folder: Path) -> Table:
    return Table(open_parts(folder, "system"))


def test_a_file_that_stands_in_two_parts_counts_once(tmp_path: Path) -> None:
    one, two, three = (LibraryFile(name, 10, 20) for name in ("a.wav", "b.wav", "c.wav"))
    part_of(tmp_path, one, two)
    part_of(tmp_path, one)
    plan = make_plan(listed(one, two, three), parts_in(tmp_path))
    assert plan.keep.sum() == 4
    assert library_files(plan.todo) == [three]


def test_a_file_that_changed_since_is_to_be_embedded_again(tmp_path: Path) -> None:
    part_of(tmp_path, LibraryFile("a.wav", 10, 20), LibraryFile("b.wav", 10, 20))
    now = [LibraryFile("a.wav", 11, 20), LibraryFile("b.wav", 10, 21)]
    plan = make_plan(listed(*now), parts_in(tmp_path))
    assert not plan.keep.any()
    assert library_files(plan.todo) == now


def test_of_an_old_and_a_new_state_of_a_file_the_new_one_counts(tmp_path: Path) -> None:
    old, new = LibraryFile("a.wav", 10, 20), LibraryFile("a.wav", 10, 30)
    for file in (old, new, old):
        part_of(tmp_path, file, windows=1)
    stored = parts_in(tmp_path)
    plan = make_plan(listed(new), stored)
    (row,) = np.flatnonzero(plan.keep)
    assert stored.rows.column("changed")[int(row)].as_py() == 30
    assert plan.todo.num_rows == 0


def test_rows_that_do_not_count_are_not_used_again(tmp_path: Path) -> None:
    file = LibraryFile("a.wav", 10, 20)
    part_of(tmp_path, file)
    (part,) = open_parts(tmp_path, "system")
    plan = make_plan(listed(file), Table([part], np.array([0, 1])))
    assert library_files(plan.todo) == [file]
    assert not plan.keep.any()


def test_the_rows_of_one_of_several_gone_files_of_a_content_are_reusable(tmp_path: Path) -> None:
    part_of(tmp_path, LibraryFile("a.wav", 10, 20), LibraryFile("b.wav", 10, 20))
    current = parts_in(tmp_path)
    plan = make_plan(listed(LibraryFile("c.wav", 1, 1)), current)
    assert {key: rows.tolist() for key, rows in plan.rows_by_content(current).items()} == {
        "c" * 32: [0, 1]
    }
