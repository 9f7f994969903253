"""Files are written whole or not at all."""

import errno
from pathlib import Path

import pytest

from vocalsketch.errors import StorageError
from vocalsketch.storage import cache_folder, write_text, written_whole


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
