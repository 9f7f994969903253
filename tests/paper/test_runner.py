"""Cells side by side: what is run, skipped, retried, ended and resumed."""

import subprocess
import sys

import pytest

from vocalsketch.paper.cell_folder import CellFolder
from vocalsketch.paper.plan import Cell
from vocalsketch.paper.runner import Runner
from vocalsketch.paper.slots import Slot

SLOT = Slot("here", {}, ())


class Watcher:
    """Remembers what it is told; may interrupt."""

    def __init__(self, interrupt_after=None):
        self.events, self.at_once, self.most = [], 0, 0
        self.interrupt_after = interrupt_after

    def started(self, cell, slot):
        self.events.append(f"+{cell.system}")
        self.at_once += 1
        self.most = max(self.most, self.at_once)

    def ended(self, cell, done, seconds):
        self.events.append(f"{'=' if done else '!'}{cell.system}")
        self.at_once -= 1

    def waited(self):
        if self.interrupt_after in self.events:
            raise KeyboardInterrupt


@pytest.fixture
def study(tmp_path):
    """A maker of runners whose cells are short scripts."""

    def make(scripts, slots=1, fingerprints=None, watcher=None):
        def launch(cell, folder, slot):
            script = scripts.get(cell.system, "pass")
            with folder.log.open("ab") as log:
                return subprocess.Popen(
                    [sys.executable, "-S", "-c", script], stdout=log, stderr=log
                )

        names = fingerprints or {}
        prints = {f"{name}/seed0": names.get(name, "one") for name in "abcd"}
        return Runner(tmp_path, prints, [SLOT] * slots, launch, watcher or Watcher())

    return make


def cell(name, *needs):
    return Cell(name, 0, None, needs=needs)


A, B, C = cell("a"), cell("b"), cell("c")
FAIL = "print('it was too much'); raise SystemExit(1)"


def test_cells_that_are_done_are_not_run_again(study):
    study({}).run([A, B], retry=False)
    again = study({})
    again.run([A, B, C], retry=False)
    assert again.watcher.events == ["+c", "=c"]


def test_a_cell_that_fails_is_told_and_the_others_go_on(study, tmp_path):
    runner = study({"a": FAIL})
    runner.run([A, B], retry=False)
    assert runner.watcher.events == ["+a", "!a", "+b", "=b"]
    assert runner.failed(A)
    assert runner.done(B)
    folder = CellFolder(A.folder(tmp_path))
    assert folder.reason() == "it was too much"
    assert folder.seconds() is None


def test_what_failed_is_run_again_only_on_request(study):
    study({"a": FAIL}).run([A], retry=False)
    left = study({})
    left.run([A], retry=False)
    assert left.watcher.events == []
    retried = study({})
    retried.run([A], retry=True)
    assert retried.watcher.events == ["+a", "=a"]


def test_a_cell_waits_for_what_it_needs(study):
    needy = cell("b", A)
    runner = study({"a": "import time; time.sleep(0.3)"}, slots=3)
    runner.run([needy, C, A], retry=False)
    events = runner.watcher.events
    assert events.index("=a") < events.index("+b")
    assert runner.done(needy)


def test_what_needs_a_failed_cell_is_not_run(study):
    runner = study({"a": FAIL})
    runner.run([A, cell("b", A), C], retry=False)
    assert runner.watcher.events == ["+a", "!a", "+c", "=c"]


def test_no_more_cells_run_at_once_than_there_are_slots(study):
    runner = study(dict.fromkeys("abcd", "import time; time.sleep(0.4)"), slots=2)
    runner.run([A, B, C, cell("d")], retry=False)
    assert runner.watcher.most == 2


def test_a_run_of_another_fingerprint_is_set_aside_whole(study, tmp_path):
    study({"a": "print('first')"}).run([A], retry=False)
    study({"a": "print('second')"}, fingerprints={"a": "two"}).run([A], retry=False)
    assert CellFolder(A.folder(tmp_path)).reason() == "second"
    assert CellFolder(tmp_path / "replaced" / "a" / "seed0-1").reason() == "first"


def test_ctrl_c_ends_what_runs_and_it_is_begun_again(study, tmp_path):
    endless = "import time\nwhile True: time.sleep(0.1)"
    runner = study({"b": endless}, watcher=Watcher(interrupt_after="+b"))
    processes = []
    launch = runner.launch

    def remembered(*arguments):
        processes.append(launch(*arguments))
        return processes[-1]

    runner.launch = remembered
    with pytest.raises(KeyboardInterrupt):
        runner.run([A, B, C], retry=False)
    assert processes[1].poll() is not None
    again = study({})
    again.run([A, B, C], retry=False)
    assert again.watcher.events == ["+b", "=b", "+c", "=c"]
    assert not (tmp_path / "replaced").exists()
