"""Walking a library."""

from pathlib import Path

import pytest
from small_networks import chirp, write_sound

from vocalsketch.errors import DatasetError
from vocalsketch.search.library import list_library, tags_of


def test_audio_of_every_format_is_listed_in_order(library: Path) -> None:
    (library / "notes.txt").write_text("no audio")
    (library / "UPPER.WAV").write_bytes(b"RIFF")
    assert [file.path for file in list_library(library).files] == [
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
    assert list_library(library) == before


def test_links_are_followed_to_files_within_the_library_only(library: Path) -> None:
    outside = write_sound(library.parent / "outside" / "secret.wav", chirp(0))
    (library / "stolen.wav").symlink_to(outside)
    (library / "folder").symlink_to(outside.parent)
    (library / "again.wav").symlink_to(library / "long.wav")
    (library / "nowhere.wav").symlink_to(library / "gone.wav")
    listing = list_library(library)
    paths = {file.path for file in listing.files}
    assert "again.wav" in paths
    assert paths.isdisjoint({"stolen.wav", "folder/secret.wav", "nowhere.wav"})
    assert listing.skipped["stolen.wav"] == "a link that leads out of the library"
    assert "nowhere.wav" in listing.skipped


def test_a_name_that_is_no_utf8_is_skipped_with_the_reason(library: Path) -> None:
    bad = bytes(library) + b"/caf\xe9.wav"
    Path(bad.decode(errors="surrogateescape")).write_bytes(b"x")
    assert any("rename it" in reason for reason in list_library(library).skipped.values())


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
