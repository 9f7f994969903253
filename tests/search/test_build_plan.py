"""Which stored rows hold, and what is to be done."""

from pathlib import Path

import numpy as np

from vocalsketch.datasets.discovery import FoundFile
from vocalsketch.search.embedding import open_parts, part_name, write_part
from vocalsketch.search.library import Plan, make_plan
from vocalsketch.search.segment import EMBEDDING, Table


def part_of(folder: Path, *files: FoundFile, windows: int = 2) -> None:
    """Write a part that holds some files, each with as many windows."""
    rows = [
        {
            **file._asdict(),
            "start": 2.0 * number,
            "end": 2.0 * number + 4.0,
            "duration": 6.0,
            "sample_rate": 8000,
            "tags": [],
            "content": "c" * 32,
            EMBEDDING: np.ones(3, dtype=np.float32),
        }
        for file in files
        for number in range(windows)
    ]
    write_part(folder / "building" / part_name(files), "system", 3, rows)


def plan_of(folder: Path, *files: FoundFile) -> Plan:
    return make_plan(files, Table([]), open_parts(folder, "system"))


def test_a_file_that_stands_in_two_parts_counts_once(tmp_path: Path) -> None:
    one, two, three = (FoundFile(name, 10, 20) for name in ("a.wav", "b.wav", "c.wav"))
    part_of(tmp_path, one, two)
    part_of(tmp_path, one)
    plan = plan_of(tmp_path, one, two, three)
    assert plan.keep.sum() == 4
    assert plan.todo == [three]


def test_a_file_that_changed_since_is_to_be_embedded_again(tmp_path: Path) -> None:
    part_of(tmp_path, FoundFile("a.wav", 10, 20), FoundFile("b.wav", 10, 20))
    now = [FoundFile("a.wav", 11, 20), FoundFile("b.wav", 10, 21)]
    plan = plan_of(tmp_path, *now)
    assert not plan.keep.any()
    assert plan.todo == now


def test_of_an_old_and_a_new_state_of_a_file_the_new_one_counts(tmp_path: Path) -> None:
    old, new = FoundFile("a.wav", 10, 20), FoundFile("a.wav", 10, 30)
    for file in (old, new, old):
        part_of(tmp_path, file, windows=1)
    plan = plan_of(tmp_path, new)
    (row,) = np.flatnonzero(plan.keep)
    assert plan.stored.rows.column("changed")[int(row)].as_py() == 30
    assert plan.todo == []


def test_rows_that_do_not_count_are_not_used_again(tmp_path: Path) -> None:
    file = FoundFile("a.wav", 10, 20)
    part_of(tmp_path, file)
    (part,) = open_parts(tmp_path, "system")
    plan = make_plan([file], Table([part], np.zeros(2, dtype=bool)))
    assert plan.todo == [file]
    assert not plan.keep.any()


def test_the_rows_of_one_of_several_gone_files_of_a_content_are_reusable(tmp_path: Path) -> None:
    part_of(tmp_path, FoundFile("a.wav", 10, 20), FoundFile("b.wav", 10, 20))
    plan = make_plan([FoundFile("c.wav", 1, 1)], Table(open_parts(tmp_path, "system")))
    ((content, rows),) = plan.known().items()
    assert content == "c" * 32
    assert [(row["path"], row["start"]) for row in rows] == [("a.wav", 0.0), ("a.wav", 2.0)]
