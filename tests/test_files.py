"""Files are written whole or not at all."""

import errno
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from vocalsketch.errors import StorageError
from vocalsketch.files import (
    cache_folder,
    locked,
    remove_leftovers,
    write_text,
    written_whole,
)


def test_a_file_appears_whole_and_alone(tmp_path: Path) -> None:
    target = tmp_path / "new" / "file.txt"
    write_text(target, "größer\n")
    assert target.read_text(encoding="utf-8") == "größer\n"
    assert [path.name for path in target.parent.iterdir()] == ["file.txt"]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "file.txt"
    target.write_text("old")
    with pytest.raises(StorageError, match="No space left while writing .*file.txt"):
        with written_whole(target) as temporary:
            temporary.write_text("half")
            raise OSError(errno.ENOSPC, "No space left on device")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="Cannot write .*inside"):
        write_text(tmp_path / "file" / "inside", "text")


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"VOCALSKETCH_CACHE": "/a"}, "/a"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/vocalsketch"),
        ({"HOME": "/h"}, "/h/.cache/vocalsketch"),
    ],
)
def test_cache_folder(
    variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("VOCALSKETCH_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(expected)


def test_what_a_killed_writer_left_is_removed_and_what_a_living_one_writes_is_kept(
    tmp_path: Path,
) -> None:
    old, young, whole = (tmp_path / name for name in (".a.x1.tmp", ".a.x2.tmp", "a"))
    for file in (old, young, whole):
        file.write_text("content")
    os.utime(old, (1000, 1000))
    os.utime(young, (2000, 2000))
    remove_leftovers(tmp_path, older_than=2000)
    assert sorted(tmp_path.iterdir()) == [young, whole]
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == [whole]


def test_what_killed_writers_of_a_file_left_goes_when_it_is_written_an_hour_later(
    tmp_path: Path,
) -> None:
    old, young, another_s = (
        tmp_path / name for name in (".a[1].x1.tmp", ".a[1].x2.tmp", ".a.x1.tmp")
    )
    for file in (old, young, another_s):
        file.write_text("half")
    for file in (old, another_s):
        os.utime(file, (time.time() - 3700,) * 2)
    write_text(tmp_path / "a[1]", "whole")
    assert set(tmp_path.iterdir()) == {young, another_s, tmp_path / "a[1]"}


def test_a_lock_is_one_s_until_its_block_ends(tmp_path: Path) -> None:
    file = tmp_path / "new folder" / ".lock"
    with locked(file, "it is taken"):
        with pytest.raises(StorageError, match="it is taken"):
            with locked(file, "it is taken"):
                raise AssertionError
    with locked(file, "it is taken"):
        pass


def test_a_lock_whose_holder_is_killed_is_free(tmp_path: Path) -> None:
    file = tmp_path / ".lock"
    hold = (
        "import sys, time; from pathlib import Path; from vocalsketch.files import locked\n"
        "with locked(Path(sys.argv[1]), ''):\n"
        "    print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", hold, str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StorageError, match="it is taken"), locked(file, "it is taken"):
            raise AssertionError
        holder.kill()
    with locked(file, "it is taken"):
        pass


def test_threads_that_write_at_once_leave_the_umask_as_it_is(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        stop = threading.Event()

        def write(number: int) -> None:
            while not stop.is_set():
                write_text(tmp_path / f"file{number}", "text")

        seen = set()
        with ThreadPoolExecutor(3) as pool:
            for number in range(3):
                pool.submit(write, number)
            for _ in range(300):
                (tmp_path / "made").mkdir()
                seen.add((tmp_path / "made").stat().st_mode & 0o777)
                (tmp_path / "made").rmdir()
            stop.set()
        assert seen == {0o750}
        assert (tmp_path / "file0").stat().st_mode & 0o777 == 0o640
    finally:
        assert os.umask(before) == 0o027


@pytest.mark.filterwarnings("ignore:flock not supported")
def test_a_disk_without_locks_has_files_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSYS, "no locks here")

    monkeypatch.setattr("fcntl.flock", refuse)
    with locked(tmp_path / ".lock", "it is taken"):
        with pytest.raises(StorageError, match="it is taken"):
            with locked(tmp_path / ".lock", "it is taken"):
                raise AssertionError
    with locked(tmp_path / ".lock", "it is taken"):
        pass


def test_an_error_within_the_block_is_not_the_lock_s(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="of the block"), locked(tmp_path / ".lock", "taken"):
        raise OSError(errno.ENOLCK, "of the block")


@pytest.mark.parametrize("home", ["/dev/null", "/proc/nowhere"])
def test_a_home_that_cannot_be_written_is_said_with_the_variable_that_helps(
    home: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VOCALSKETCH_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", home)
    remedy = f"Cannot .* {home}.*: set VOCALSKETCH_CACHE to a folder that can be written"
    with pytest.raises(StorageError, match=remedy):
        write_text(cache_folder() / "features" / "file", "text")
    with pytest.raises(StorageError, match=remedy), locked(cache_folder() / ".lock", ""):
        raise AssertionError
