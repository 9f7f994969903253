"""Walking a library."""

import os
from pathlib import Path

import pytest
from small_networks import chirp, write_sound

from vocalsketch.errors import DatasetError
from vocalsketch.search.library import list_library, tags_of


def paths_in(library: Path) -> list[str]:
    return [each.path for each in list_library(library).files]


def test_audio_of_every_format_is_listed_in_order(library: Path) -> None:
    (library / "notes.txt").write_text("no audio")
    (library / "UPPER.WAV").write_bytes(b"RIFF")
    assert paths_in(library) == [
        "Drums/Kick Drums/deep.wav",
        "Drums/Snares/tight.flac",
        "House/CarDoor.wav",
        "House/door slam.aiff",
        "House/outdoor.ogg",
        "UPPER.WAV",
        "long.wav",
    ]


def test_hidden_files_and_folders_are_passed_over(library: Path) -> None:
    before = list_library(library)
    write_sound(library / "._deep.wav", chirp(0))
    write_sound(library / ".trash" / "old.wav", chirp(0))
    after = list_library(library)
    assert (after.files, after.unusable) == (before.files, before.unusable)
    assert after.others - before.others == {".wav (hidden)": 1, "folder (hidden)": 1}


def test_links_are_followed_to_files_and_folders(library: Path) -> None:
    outside = write_sound(library.parent / "outside" / "kick.wav", chirp(0))
    (library / "linked.wav").symlink_to(outside)
    (library / "folder").symlink_to(outside.parent)
    (library / "nowhere.wav").symlink_to(library / "gone.wav")
    paths = set(paths_in(library))
    assert {"linked.wav", "folder/kick.wav"} <= paths
    assert list_library(library).unusable == {"nowhere.wav": "a link that leads nowhere"}


def test_a_name_that_is_no_utf8_is_skipped_with_the_reason(library: Path) -> None:
    bad = bytes(library) + b"/caf\xe9.wav"
    Path(bad.decode(errors="surrogateescape")).write_bytes(b"x")
    assert any("rename it" in reason for reason in list_library(library).unusable.values())


@pytest.mark.parametrize(
    ("folder", "message"), [("empty", "holds no audio"), ("nothing", "is no folder")]
)
def test_what_is_no_library_is_refused(tmp_path: Path, folder: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match=message):
        list_library(tmp_path / folder)


def test_tags_are_the_folders_in_small_letters_each_once() -> None:
    assert tags_of("FX/Doors/fx/slam.wav") == ["fx", "doors"]
    assert tags_of("slam.wav") == []


def test_a_folder_that_cannot_be_read_is_said(
    library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan = os.scandir

    def closed(folder):
        if Path(folder).name in ("Snares", "closed"):
            raise PermissionError(13, "Permission denied", str(folder))
        return scan(folder)

    monkeypatch.setattr(os, "scandir", closed)
    assert "Drums/Snares/tight.flac" not in paths_in(library)
    reason = "a folder that cannot be read (Permission denied)"
    assert list_library(library).unusable == {"Drums/Snares": reason}
    (library / "closed").mkdir()
    with pytest.raises(DatasetError, match="closed cannot be read .*: check its permissions"):
        list_library(library / "closed")
