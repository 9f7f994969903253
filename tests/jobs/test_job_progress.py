"""When all jobs will be done."""

import io
from datetime import datetime

import pytest
from rich.console import Console

from vocalsketch.jobs.job import Job, Slot
from vocalsketch.jobs.progress import Progress, duration, seconds_left


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
    jobs = [Job(f"iminet_tied/seed{seed}", tmp_path / str(seed)) for seed in range(3)]
    out = io.StringIO()
    console = Console(file=out, width=100, force_terminal=False)
    times = iter(range(0, 1000, 5))
    progress = Progress(
        jobs, 1, console, clock=lambda: next(times), now=lambda: datetime(2024, 5, 1, 9, 30)
    )
    slot = Slot("gpu 0")
    with progress.shown():
        progress.started(jobs[0], slot)
        progress.ended(jobs[0], "done", 8.0, "")
        progress.started(jobs[1], slot)
        console.print(progress.table())
        progress.ended(jobs[1], "failed", 2.0, "no")
    text = out.getvalue()
    assert "iminet_tied/seed0 done in 8 s (1 of 3, about 16 s left, until 09:30)" in text
    assert "1/3" in text
    assert "seed1 (gpu 0, 5 s)" in text
    assert "iminet_tied/seed1 failed in 2 s (1 of 3, about 8 s left, until 09:30)" in text


def test_a_terminal_shows_a_table_while_jobs_run(tmp_path):
    jobs = [Job(f"imisound/seed{seed}", tmp_path / str(seed), (), "one") for seed in range(2)]
    jobs[0].note("done", 12.0)
    out = io.StringIO()
    console = Console(file=out, width=100, force_terminal=True, color_system=None)
    progress = Progress(jobs, 1, console, clock=lambda: 0.0)
    with progress.shown():
        progress.started(jobs[1], Slot("gpu 0"))
        progress.ended(jobs[1], "done", 3.0, "")
    text = out.getvalue()
    assert "1 of 2 runs are done already." in text
    assert "1 of 2 runs done, about 12 s left" in text
    assert "seed1 (gpu 0, 0 s)" in text
    assert "imisound/seed1 done in 3 s (2 of 2)" in text
