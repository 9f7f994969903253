"""The folder of what was sent does not grow for ever."""

import os
import time
from pathlib import Path

from vocalsketch.web.uploads import Uploads


def sent(folder: Path, name: str, size: int, age: float) -> Path:
    file = folder / name / "sung.wav"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"x" * size)
    then = time.time() - age
    os.utime(file, (then, then))
    return file


def test_the_oldest_go_when_there_is_too_much(tmp_path: Path) -> None:
    forgotten: set[str] = set()
    uploads = Uploads(tmp_path, together=250, forget=forgotten.update)
    files = [sent(tmp_path, str(age), 100, age) for age in (10, 20, 30, 40)]
    uploads.make_room()
    assert forgotten == {str(file) for file in files[2:]}
    assert [file.exists() for file in files] == [True, True, False, False]
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["10", "20"]


def test_what_is_old_goes(tmp_path: Path) -> None:
    example = sent(tmp_path, "example", 1, 9000)
    uploads = Uploads(tmp_path)
    old, new = sent(tmp_path, "old", 1, 3700), sent(tmp_path, "new", 1, 3500)
    uploads.make_room()
    assert not old.exists()
    assert new.exists()
    assert example.exists()  # it was there before any visitor


def test_it_is_looked_at_now_and_then_only(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path)
    uploads.make_room()
    old = sent(tmp_path, "old", 1, 3700)
    uploads.make_room()
    assert old.exists()
