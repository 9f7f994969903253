"""Which files below a folder are sounds."""

import os
import shutil
from pathlib import Path

import pytest

from vocalsketch.datasets.discovery import list_audio


def paths_in(folder: Path) -> list[str]:
    return [each.path for each in list_audio(folder).files]


def write(folder: Path, *names: str, content: bytes = b"x") -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def test_every_format_is_listed_under_any_name(shared: Path) -> None:
    folder = shared / "cases/unlisted-formats"
    assert len(paths_in(folder)) == len(list(folder.iterdir())) == 11


def test_upper_case_and_double_suffixes_are_sounds_and_others_are_counted(tmp_path: Path) -> None:
    write(
        tmp_path, "a.WAV", "b.tar.Mp3", "c.wav.txt", "d.TXT", "LICENSE", ".hidden.wav", ".h/x.wav"
    )
    write(tmp_path, "__MACOSX/._a.wav", "__MACOSX/b.wav")
    listing = list_audio(tmp_path)
    assert [each.path for each in listing.files] == ["a.WAV", "b.tar.Mp3"]
    hidden = {".wav (hidden)": 1, "folder (hidden)": 2}
    assert listing.others == {".txt": 2, "without a suffix": 1, **hidden}
    assert listing.unusable == {}


def test_every_format_is_told_by_its_content(shared: Path, tmp_path: Path) -> None:
    sounds = sorted((shared / "cases/unlisted-formats").iterdir())
    for number, file in enumerate(sounds):
        shutil.copy(file, tmp_path / f"{number:02d}.{file.suffix[1:]}.part")
    assert len(paths_in(tmp_path)) == len(sounds)


@pytest.mark.parametrize(
    "content",
    [
        *(b"RIFF....WAVE", b"RF64....WAVE", b"fLaC", b"OggS", b"FORM....AIFC", b"ID3", b"caff"),
        *(b"\0\0\0\x20ftypM4A ", b"\x1aE\xdf\xa3", b"\xff\xfb\x90\x64", b"\xff\xf1\x50\x80"),
    ],
)
def test_what_begins_as_a_sound_is_one_whatever_its_name(tmp_path: Path, content: bytes) -> None:
    write(tmp_path, "kick", "kick.wav.bak", content=content)
    write(tmp_path, "video.dat", content=b"RIFF....AVI ")
    write(tmp_path, "photo.heic", content=b"\0\0\0\x20ftypheic")
    write(tmp_path, "text.utf16", content="sound,category".encode("utf-16"))
    write(tmp_path, "photo.jpeg", content=b"\xff\xd8\xff\xe0")
    assert paths_in(tmp_path) == ["kick", "kick.wav.bak"]


def test_loops_of_links_end_and_a_folder_is_listed_once_under_its_own_name(tmp_path: Path) -> None:
    library, pack = tmp_path / "library", tmp_path / "elsewhere/pack"
    write(library, "z/own.wav")
    write(pack, "kick.wav")
    for place, target in (("a", library / "z"), ("pack", pack), ("pack2", pack), ("z/up", library)):
        (library / place).symlink_to(target)
    (pack / "self").symlink_to(pack)
    (library / "round.wav").symlink_to(library / "round.wav")
    listing = list_audio(library)
    assert [each.path for each in listing.files] == ["pack/kick.wav", "z/own.wav"]
    assert list(listing.unusable) == ["round.wav"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_pipes_are_not_opened_and_said(tmp_path: Path) -> None:
    write(tmp_path, "sound.wav")
    os.mkfifo(tmp_path / "pipe.wav")
    os.mkfifo(tmp_path / "pipe")
    listing = list_audio(tmp_path)
    assert [each.path for each in listing.files] == ["sound.wav"]
    assert listing.unusable == {"pipe.wav": "a pipe, socket or device, not a file"}
    assert listing.others == {"without a suffix": 1}
