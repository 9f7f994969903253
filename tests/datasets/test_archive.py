"""Archives that others made."""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from vocalsketch.datasets.archive import unpack, unpack_whole
from vocalsketch.errors import DatasetError

CONTENT = {"set/a.wav": b"first" * 100, "set/deep/b.wav": b"second", "set/c.txt": b""}


def tar_of(path: Path, members: dict[str, bytes], kind: bytes = tarfile.REGTYPE) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size, member.type = len(content), kind
            member.linkname = "target" if kind != tarfile.REGTYPE else ""
            tar.addfile(member, io.BytesIO(content))
    return path


def zip_of(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.mkdir("set")
        for name, content in members.items():
            zipped.writestr(name, content)
    return path


def files_below(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "unpacked").mkdir()
    return tmp_path / "unpacked"


def test_zip_and_tar_unpack_to_the_same_files(tmp_path: Path, folder: Path) -> None:
    unpack(zip_of(tmp_path / "a.zip", CONTENT), folder)
    assert files_below(folder) == CONTENT
    (tmp_path / "other").mkdir()
    unpack(tar_of(tmp_path / "a.tgz", CONTENT), tmp_path / "other")
    assert files_below(tmp_path / "other") == CONTENT


@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_an_archive_that_unpacks_to_too_much_is_refused(
    tmp_path: Path,
    folder: Path,
    make: Callable[[Path, dict[str, bytes]], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("vocalsketch.datasets.archive.SMALLEST_LIMIT", 2**20)
    suffix = "tgz" if make is tar_of else "zip"
    bomb = make(tmp_path / f"bomb.{suffix}", {"bomb.wav": bytes(2 * 2**20)})
    many = make(tmp_path / f"many.{suffix}", {f"{number}.wav": b"" for number in range(2050)})
    for archive in (bomb, many):
        monkeypatch.setattr("vocalsketch.datasets.archive.EXPANSION_LIMIT", 0)
        with pytest.raises(DatasetError, match="unpacks to more than 1,048,576 bytes"):
            unpack(archive, folder)
    assert not (folder / "bomb.wav").exists()


def test_modes_of_the_archive_do_not_reach_the_disk(tmp_path: Path, folder: Path) -> None:
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        member = tarfile.TarInfo("run.sh")
        member.mode = 0o6777
        tar.addfile(member)
    unpack(tmp_path / "a.tar", folder)
    assert (folder / "run.sh").stat().st_mode & 0o7111 == 0


@pytest.mark.parametrize(
    "name",
    ["/etc/passwd", "C:\\boot.ini", "set/../../outside.wav", "set\\..\\..\\outside.wav"],
)
@pytest.mark.parametrize("make", [tar_of, zip_of])
def test_no_member_reaches_outside_of_the_folder(
    tmp_path: Path, folder: Path, make: object, name: str
) -> None:
    archive = tmp_path / ("a.tgz" if make is tar_of else "a.zip")
    with suppress(DatasetError):
        unpack(make(archive, {name: b"x"}), folder)  # type: ignore[operator]  # one of two functions
    assert {path.name for path in tmp_path.iterdir()} == {archive.name, "unpacked"}
    assert all(path.is_relative_to(folder.resolve()) for path in folder.resolve().rglob("*"))


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)
def test_links_and_devices_are_refused(tmp_path: Path, folder: Path, kind: bytes) -> None:
    with pytest.raises(DatasetError, match="'evil' is a special file"):
        unpack(tar_of(tmp_path / "a.tgz", {"evil": b""}, kind), folder)
    assert list(folder.iterdir()) == []


def test_a_link_in_a_zip_becomes_a_plain_file(tmp_path: Path, folder: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as zipped:
        link = zipfile.ZipInfo("evil")
        link.external_attr = 0o120777 << 16
        zipped.writestr(link, "/etc/passwd")
    unpack(tmp_path / "a.zip", folder)
    assert not (folder / "evil").is_symlink()


@pytest.mark.parametrize("make", [tar_of, zip_of])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_truncated_archive_is_named(
    tmp_path: Path, folder: Path, make: object, share: float
) -> None:
    archive = tmp_path / ("a.tgz" if make is tar_of else "a.zip")
    make(archive, {"a.wav": bytes(range(256)) * 400})  # type: ignore[operator]  # as above
    content = archive.read_bytes()
    archive.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DatasetError, match=f"{archive.name} is unsafe, damaged or cut short"):
        unpack(archive, folder)


def test_a_damaged_checksum_at_the_end_of_the_stream_is_noticed(
    tmp_path: Path, folder: Path
) -> None:
    archive = tar_of(tmp_path / "a.tgz", CONTENT)
    plain = gzip.decompress(archive.read_bytes())
    packed = bytearray(gzip.compress(plain))
    packed[-8] ^= 1  # in the CRC-32
    archive.write_bytes(packed)
    with pytest.raises(DatasetError, match="CRC"):
        unpack(archive, folder)


def test_a_folder_is_unpacked_whole_or_not_at_all(tmp_path: Path) -> None:
    unpack_whole([tar_of(tmp_path / "a.tgz", CONTENT)], tmp_path / "whole")
    assert files_below(tmp_path / "whole") == {
        name.removeprefix("set/"): content for name, content in CONTENT.items()
    }
    bad = tar_of(tmp_path / "b.tgz", CONTENT | {"../outside": b"x"})
    with pytest.raises(DatasetError, match="outside the destination"):
        unpack_whole([bad], tmp_path / "half")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tgz", "b.tgz", "whole"]


def test_what_is_not_the_data_set_is_refused(tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a.zip", {"set/deep/table.csv": b"x", "other/y": b""})
    unpack_whole([archive], tmp_path / "found", "table.csv")
    assert files_below(tmp_path / "found") == {"table.csv": b"x"}
    with pytest.raises(DatasetError, match=r"a\.zip holds no list\.csv"):
        unpack_whole([archive], tmp_path / "out", "list.csv")
    assert not (tmp_path / "out").exists()
