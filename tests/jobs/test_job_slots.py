"""Where jobs run."""

import pytest

from vocalsketch.errors import ConfigError
from vocalsketch.jobs import job
from vocalsketch.jobs.job import choose_slots


@pytest.fixture
def machine(monkeypatch):
    """A machine with 8 cores and a number of GPUs."""

    def make(gpus, visible=None):
        monkeypatch.setattr(job, "available_cores", lambda: 8)
        monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
        if visible is None:
            monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        else:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)

    return make


def gpus_and_threads(chosen):
    keys = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")
    return [tuple(slot.environment[key] for key in keys) for slot in chosen]


@pytest.mark.parametrize(
    ("gpus", "visible", "devices", "jobs", "expected"),
    [
        (0, None, None, None, [("", "1")] * 8),
        (0, None, None, 2, [("", "4")] * 2),
        (2, None, None, None, [("0", "4"), ("1", "4")]),
        (2, None, "1", 2, [("1", "4")] * 2),
        (2, None, "0,1", 3, [("0", "2"), ("1", "2"), ("0", "2")]),
        (2, "5,7", "1", None, [("7", "8")]),
        (2, None, "cpu", 1, [("", "8")]),
        (0, None, None, 20, [("", "1")] * 20),
    ],
)
def test_jobs_are_spread_over_devices_and_cores(machine, gpus, visible, devices, jobs, expected):
    machine(gpus, visible)
    assert gpus_and_threads(choose_slots(devices, jobs)) == expected


@pytest.mark.parametrize(
    ("devices", "jobs", "message"),
    [
        ("2", None, "'2' is none of the 2 visible GPUs"),
        ("cuda", None, "'cuda' is none of the 2"),
        (None, 0, "jobs at a time is 0"),
    ],
)
def test_what_is_not_there_is_refused(machine, devices, jobs, message):
    machine(2)
    with pytest.raises(ConfigError, match=message):
        choose_slots(devices, jobs)


@pytest.mark.parametrize(
    ("gpus", "threads", "jobs", "expected"),
    [(0, 3, None, [("", "3")] * 2), (0, 2, 3, [("", "2")] * 3), (1, 2, None, [("0", "2")])],
)
def test_the_threads_of_a_job_may_be_given(machine, gpus, threads, jobs, expected):
    machine(gpus)
    assert gpus_and_threads(choose_slots(None, jobs, threads)) == expected
