"""Jobs side by side: what is run, skipped, retried, killed, ended and resumed."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from vocalsketch.errors import VocalSketchError
from vocalsketch.jobs import pool as module
from vocalsketch.jobs.job import Job, Slot
from vocalsketch.jobs.pool import End, Pool, Watcher

FAIL = "print('it was too much'); raise SystemExit(1)"
SHORT = "import time; time.sleep(0.3)"
ENDLESS = "import time\nwhile True: time.sleep(0.1)"
# as a training does, whatever it is doing just now
GOES_ON = "import pathlib, os, signal\nif not pathlib.Path('{0}').exists():\n    "
GOES_ON += "pathlib.Path('{0}').touch()\n    os.kill(os.getpid(), signal.SIGKILL)"


class Notes(Watcher):
    """Remembers what it is told; may interrupt."""

    def __init__(self, interrupt_after: str = "") -> None:
        super().__init__(0)
        self.events: list[str] = []
        self.at_once = self.most = 0
        self.interrupt_after = interrupt_after

    def started(self, job: Job, slot: Slot) -> None:
        self.events.append(f"+{job.name}")
        self.at_once += 1
        self.most = max(self.most, self.at_once)

    def ended(self, job: Job, end: End, reason: str) -> None:
        sign = {"done": "=", "failed": "!", "killed": "~"}[end]
        self.events.append(sign + job.name)
        self.at_once -= 1

    def waited(self) -> None:
        if self.interrupt_after in self.events:
            raise KeyboardInterrupt


@pytest.fixture
def job(tmp_path: Path) -> Callable[..., Job]:
    """Make a job that is a short script."""

    def make(name: str, script: str = "pass", *needs: Job, fingerprint: str = "one") -> Job:
        return Job(name, tmp_path / name, ("-S", "-c", script), fingerprint, needs)

    return make


def run(*jobs: Job, slots: int = 1, retry: bool = False, **options: object) -> Pool:
    pool = Pool([Slot("here")] * slots, Notes(), **options)  # type: ignore[arg-type]
    pool.failures = pool.run(jobs, retry=retry)  # type: ignore[attr-defined]
    return pool


def events(pool: Pool) -> list[str]:
    watcher = pool.watcher
    assert isinstance(watcher, Notes)
    return watcher.events


def test_jobs_that_are_done_are_not_run_again(job: Callable[..., Job]) -> None:
    run(job("a"), job("b"))
    assert events(run(job("a"), job("b"), job("c"))) == ["+c", "=c"]


def test_a_job_that_keeps_no_state_runs_each_time(job: Callable[..., Job], tmp_path: Path) -> None:
    for _ in range(2):
        assert events(run(job("a", fingerprint=""))) == ["+a", "=a"]
    assert not (tmp_path / "replaced").exists()


def test_a_job_that_fails_is_told_and_the_others_go_on(job: Callable[..., Job]) -> None:
    a, b = job("a", FAIL), job("b")
    pool = run(a, b)
    assert events(pool) == ["+a", "!a", "+b", "=b"]
    assert pool.failures == [(a, "it was too much")]  # type: ignore[attr-defined]
    assert (a.state(), b.state()) == ("failed", "done")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("epoch 3\nvocalsketch: error: 2 files are bad:\n  a\n  b\n", "2 files are bad:\n  a\n  b"),
        ("vocalsketch: error: of before\nTraceback ...\nValueError: 3\n\n", "ValueError: 3"),
        ("", "it printed nothing"),
    ],
)
def test_why_a_job_failed_is_what_it_said_last(tmp_path: Path, said: str, reason: str) -> None:
    job = Job("a", tmp_path, ())
    job.log.write_text(said)
    assert job.reason() == reason


def test_what_failed_is_told_again_and_run_again_only_on_request(job: Callable[..., Job]) -> None:
    run(job("a", FAIL))
    left = run(job("a"))
    assert events(left) == []
    assert [reason for _, reason in left.failures] == ["it was too much"]  # type: ignore[attr-defined]
    assert events(run(job("a"), retry=True)) == ["+a", "=a"]


def test_a_job_waits_for_what_it_needs(job: Callable[..., Job]) -> None:
    a = job("a", SHORT)
    told = events(run(job("b", "pass", a), job("c"), a, slots=3))
    assert told.index("=a") < told.index("+b")
    assert "=b" in told


def test_what_needs_a_failed_job_is_not_run(job: Callable[..., Job]) -> None:
    a = job("a", FAIL)
    b = job("b", "pass", a)
    assert events(run(a, b, job("d", "pass", b), job("c"))) == ["+a", "!a", "+c", "=c"]


def test_no_more_jobs_run_at_once_than_there_are_slots(job: Callable[..., Job]) -> None:
    pool = run(*(job(name, SHORT) for name in "abcd"), slots=2)
    assert isinstance(pool.watcher, Notes)
    assert pool.watcher.most == 2


def test_a_run_of_another_fingerprint_is_set_aside_whole(
    job: Callable[..., Job], tmp_path: Path
) -> None:
    run(job("a", "print('first')"))
    second = job("a", "print('second')", fingerprint="two")
    run(second)
    assert second.reason() == "second"
    assert (tmp_path / "replaced" / "a-1" / "log.txt").read_text() == "first\n"


def test_ctrl_c_ends_what_runs_and_it_is_begun_again(
    job: Callable[..., Job], tmp_path: Path
) -> None:
    pool = Pool([Slot("here")], Notes(interrupt_after="+b"))
    with pytest.raises(KeyboardInterrupt):
        pool.run([job("a"), job("b", f"import os; print(os.getpid(), flush=True)\n{ENDLESS}")])
    assert is_gone(int((tmp_path / "b" / "log.txt").read_text().split()[0]))
    assert events(run(job("a"), job("b"), job("c"))) == ["+b", "=b", "+c", "=c"]
    assert not (tmp_path / "replaced").exists()


def test_a_killed_job_is_started_again(job: Callable[..., Job], tmp_path: Path) -> None:
    assert events(run(job("a", GOES_ON.format(tmp_path / "seen")))) == ["+a", "~a", "+a", "=a"]


def test_a_job_that_kills_its_process_each_time_is_given_up(job: Callable[..., Job]) -> None:
    pool = run(job("a", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"), restarts=1)
    assert events(pool) == ["+a", "~a", "+a", "!a"]
    assert [reason for _, reason in pool.failures] == ["ended by SIGKILL"]  # type: ignore[attr-defined]


def test_a_training_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    """As after kill -9 of the parent: its end of the pipe is closed by the system."""
    script = "from vocalsketch.jobs.job import end_with_parent\nimport time\nend_with_parent()\n"
    child = f"{script}print('begun', flush=True)\ntime.sleep(600)"
    mother = (
        "import subprocess, sys, os, signal\n"
        f"c = subprocess.Popen([sys.executable, '-c', {child!r}], stdin=-1, stdout=-1)\n"
        "c.stdout.readline(); print(c.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    import subprocess

    said = subprocess.run([sys.executable, "-c", mother], capture_output=True, check=False)
    assert is_gone(int(said.stdout))


def test_a_bar_and_a_line_for_each_say_how_far_jobs_are(
    job: Callable[..., Job], capsys: pytest.CaptureFixture[str]
) -> None:
    module.complete([job("a"), job("b")], [Slot("gpu 0")])
    said = capsys.readouterr().err
    assert "a runs (gpu 0)" in said
    assert "b done" in said
    assert "2/2" in said
    with pytest.raises(VocalSketchError, match=r"c failed: it was too much \(all it said: .*go"):
        module.complete([job("a"), job("c", FAIL)], [Slot("gpu 0")])
    assert "1/2" in capsys.readouterr().err


def is_gone(process: int) -> bool:
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            if " Z " in Path(f"/proc/{process}/stat").read_text():
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False
