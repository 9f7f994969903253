"""When a study will end."""

import io
from datetime import datetime

import pytest
from rich.console import Console

from vocalsketch.paper.plan import Cell
from vocalsketch.paper.progress import StudyProgress, duration, seconds_left
from vocalsketch.paper.slots import Slot


@pytest.mark.parametrize(
    ("waiting", "running", "took", "slots", "expected"),
    [
        (["a"], [], {}, 1, None),
        (["a", "a"], [], {"a": [10.0, 20.0]}, 1, 30.0),
        (["a", "a"], [], {"a": [10.0, 20.0]}, 2, 15.0),
        (["b"], [], {"a": [10.0, 20.0]}, 1, 15.0),  # never run: the mean of those that were
        (["a", "a", "b"], [("a", 4.0)], {"a": [10.0]}, 2, 18.0),
        ([], [("a", 30.0)], {"a": [10.0]}, 1, 0.0),
    ],
)
def test_what_is_left_is_estimated_from_what_was_done(waiting, running, took, slots, expected):
    assert seconds_left(waiting, running, took, slots) == expected


@pytest.mark.parametrize(
    ("seconds", "text"), [(7.4, "7 s"), (68, "1 min 08 s"), (3600, "1 h 00 min")]
)
def test_durations_are_for_people(seconds, text):
    assert duration(seconds) == text


def test_it_says_what_runs_what_is_done_and_when_it_ends(tmp_path):
    cells = [Cell("iminet_tied", seed, tmp_path) for seed in range(3)]
    out = io.StringIO()
    console = Console(file=out, width=100, force_terminal=False)
    times = iter(range(0, 1000, 5))
    progress = StudyProgress(
        cells, {}, 1, console, clock=lambda: next(times), now=lambda: datetime(2024, 5, 1, 9, 30)
    )
    slot = Slot("gpu 0", {}, ())
    with progress.shown():
        progress.started(cells[0], slot)
        progress.ended(cells[0], done=True, seconds=8.0)
        progress.started(cells[1], slot)
        console.print(progress.table())
        progress.ended(cells[1], done=False, seconds=2.0)
    text = out.getvalue()
    assert "iminet_tied/seed0 done in 8 s (1 of 3, about 16 s left, until 09:30)" in text
    assert "1/3" in text
    assert "seed 1 (gpu 0, 5 s)" in text
    assert "iminet_tied/seed1 failed in 2 s (1 of 3, about 8 s left, until 09:30)" in text


def test_a_terminal_shows_a_table_while_cells_run(tmp_path):
    cells = [Cell("imisound", seed, tmp_path) for seed in range(2)]
    out = io.StringIO()
    console = Console(file=out, width=100, force_terminal=True, color_system=None)
    progress = StudyProgress(cells, {"imisound/seed0": 12.0}, 1, console, clock=lambda: 0.0)
    with progress.shown():
        progress.started(cells[1], Slot("gpu 0", {}, ()))
        progress.ended(cells[1], done=True, seconds=3.0)
    text = out.getvalue()
    assert "1 of 2 runs are done already." in text
    assert "1 of 2 runs done, about 12 s left" in text
    assert "seed 1 (gpu 0, 0 s)" in text
    assert "imisound/seed1 done in 3 s (2 of 2)" in text
