"""Building an index, again and again."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import soundfile
import torch
from filelock import FileLock
from small_networks import RATE, chirp, write_checkpoint, write_library, write_sound

from vocalsketch.errors import (
    CheckpointError,
    ConfigError,
    DatasetError,
    StorageError,
    VocalSketchError,
)
from vocalsketch.features.audio import load_clip
from vocalsketch.search import BuildReport, Index, build_index, building
from vocalsketch.search.embedding import LibraryEmbedder
from vocalsketch.systems.checkpoints import load_system


def build(library: Path, checkpoint: Path | None = None, **options: object) -> BuildReport:
    settings = {"jobs": 2, "progress": False, **options}
    report = build_index(library, library.parent / "index", checkpoint, **settings)
    assert report is not None
    return report


def stored(folder: Path) -> dict[tuple[str, float], np.ndarray]:
    """Every share by path and start."""
    table = Index.open(folder).table
    shares = np.concatenate(table.blocks)
    keys = zip(table.column("path"), table.column("start"), strict=True)
    return dict(zip(keys, shares, strict=True))


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The files that builds decode."""
    paths: list[str] = []
    read = LibraryEmbedder._read

    def noted(self, file, done):
        paths.append(file.path)
        return read(self, file, done)

    monkeypatch.setattr(LibraryEmbedder, "_read", noted)
    return paths


def test_every_window_of_every_sound_is_stored_with_what_is_known_of_it(
    library: Path, checkpoint: Path
) -> None:
    report = build(library, checkpoint)
    assert report == BuildReport(1, 6, 8, embedded=6, unchanged=0, removed=0, skipped={})
    index = Index.open(library.parent / "index")
    rows = index.table.rows.to_pylist()
    assert [(row["path"], row["start"], row["end"]) for row in rows] == [
        ("Drums/Kick Drums/deep.wav", 0.0, 0.5),
        ("Drums/Snares/tight.flac", 0.0, 0.5),
        ("House/CarDoor.wav", 0.0, 0.5),
        ("House/door slam.aiff", 0.0, 0.5),
        ("House/outdoor.ogg", 0.0, 0.5),
        ("long.wav", 0.0, 4.0),
        ("long.wav", 2.0, 6.0),
        ("long.wav", 4.0, 6.5),
    ]
    assert rows[0]["tags"] == ["drums", "kick drums"]
    assert rows[-1] | {"content": "", "changed": 0} == {
        "path": "long.wav",
        "start": 4.0,
        "end": 6.5,
        "duration": 6.5,
        "sample_rate": RATE,
        "tags": [],
        "content": "",
        "size": (library / "long.wav").stat().st_size,
        "changed": 0,
    }


def test_a_share_is_the_networks_for_the_clip_that_training_sees(
    library: Path, checkpoint: Path
) -> None:
    build(library, checkpoint)
    trained = load_system(checkpoint)
    front_end = trained.front_ends["recording"]
    for (path, start), share in stored(library.parent / "index").items():
        if start == 0.0:
            clip = torch.from_numpy(load_clip(library / path, front_end))
            with torch.no_grad():
                expected = trained.embed("recording", front_end(clip[None]))[0]
            # float32 sums over thousands of values of about 10
            np.testing.assert_allclose(share, expected, atol=5e-4, rtol=0)


def test_a_second_build_embeds_what_is_new_or_changed_and_drops_what_is_gone(
    library: Path, checkpoint: Path, decoded: list[str]
) -> None:
    build(library, checkpoint)
    before = stored(library.parent / "index")
    decoded.clear()
    write_sound(library / "new" / "seventh.wav", chirp(7))
    write_sound(library / "House/CarDoor.wav", chirp(8, 0.6))
    (library / "long.wav").unlink()

    report = build(library)

    assert sorted(decoded) == ["House/CarDoor.wav", "new/seventh.wav"]
    assert report == BuildReport(2, 6, 6, embedded=2, unchanged=4, removed=1, skipped={})
    after = stored(library.parent / "index")
    assert [path for path, _ in after] == sorted(path for path, _ in after)
    for key in before.keys() & after.keys() - {("House/CarDoor.wav", 0.0)}:
        np.testing.assert_array_equal(after[key], before[key])
    assert ("new/seventh.wav", 0.0) in after
    assert not any(path == "long.wav" for path, _ in after)


def test_an_incremental_index_is_that_of_one_build(library: Path, checkpoint: Path) -> None:
    build(library, checkpoint)
    write_sound(library / "new.wav", chirp(7))
    (library / "House/outdoor.ogg").unlink()
    build(library)
    build_index(library, library.parent / "fresh", checkpoint, jobs=1, progress=False)
    one, other = stored(library.parent / "index"), stored(library.parent / "fresh")
    assert list(one) == list(other)
    for key, share in one.items():
        np.testing.assert_array_equal(share, other[key])


def test_nothing_new_makes_no_version(library: Path, checkpoint: Path, decoded: list[str]) -> None:
    build(library, checkpoint)
    table = Index.open(library.parent / "index").table.file
    stamp = table.stat().st_mtime_ns
    decoded.clear()
    assert build(library) == BuildReport(1, 6, 8, embedded=0, unchanged=6, removed=0, skipped={})
    assert decoded == []
    assert table.stat().st_mtime_ns == stamp


def test_a_moved_file_keeps_its_share(
    library: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(library, checkpoint)
    before = stored(library.parent / "index")
    (library / "long.wav").rename(library / "House" / "longer.wav")
    monkeypatch.setattr(LibraryEmbedder, "_embed", None)  # nothing may be embedded
    build(library)
    after = stored(library.parent / "index")
    for start in (0.0, 2.0, 4.0):
        key = ("House/longer.wav", start)
        np.testing.assert_array_equal(after[key], before["long.wav", start])
    row = Index.open(library.parent / "index").table.rows.to_pylist()[-1]
    assert (row["path"], row["tags"], row["duration"]) == ("House/outdoor.ogg", ["house"], 0.5)


def test_a_moved_library_keeps_its_index(
    library: Path, checkpoint: Path, decoded: list[str]
) -> None:
    build(library, checkpoint)
    decoded.clear()
    moved = library.rename(library.parent / "moved")
    assert build(moved).unchanged == 6
    assert decoded == []
    assert Index.open(library.parent / "index").library == moved


def test_files_that_cannot_be_used_are_skipped_and_listed(library: Path, checkpoint: Path) -> None:
    (library / "text.wav").write_text("this is no audio")
    (library / "empty.wav").write_bytes(b"")
    write_sound(library / "silent.wav", np.zeros(RATE))
    write_sound(library / "short.wav", chirp(0, 0.01))
    whole = (library / "long.wav").read_bytes()
    (library / "cut.wav").write_bytes(whole[: len(whole) // 2])
    report = build(library, checkpoint)
    assert report.sounds == 6
    assert {path: reason.split(":")[0] for path, reason in report.skipped.items()} == {
        "cut.wav": "truncated",
        "empty.wav": "the file is empty (0 bytes)",
        "short.wav": "too short",
        "silent.wav": "nothing but silence.",
        "text.wav": "not audio that can be decoded, or damaged (Format not recognised)",
    }
    write_sound(library / "text.wav", chirp(0))
    assert build(library).sounds == 7


def test_minutes_are_indexed_in_windows(library: Path, checkpoint: Path) -> None:
    soundfile.write(library / "minutes.wav", np.tile(chirp(0, 1.0, 1000), 301), 1000)
    assert build(library, checkpoint).windows == 8 + 150
    rows = Index.open(library.parent / "index").table.rows.to_pylist()
    assert [row["end"] for row in rows if row["path"] == "minutes.wav"][-1] == 301.0


class Killed(BaseException):
    pass


def test_a_killed_build_goes_on_where_it_was(
    library: Path, checkpoint: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "FILES_AT_ONCE", 2)
    write = building.write_part

    def killed(target, embedded):
        if len(list(target.building.glob("part-*"))) == 2:
            raise Killed
        write(target, embedded)

    with monkeypatch.context() as patch:
        patch.setattr(building, "write_part", killed)
        with pytest.raises(Killed):
            build(library, checkpoint)
    assert len(decoded) == 6
    with pytest.raises(StorageError, match="No index"):
        Index.open(library.parent / "index")

    (library.parent / "index" / ".sounds-1.arrow.x.tmp").write_bytes(b"half")
    decoded.clear()
    report = build(library)
    assert len(decoded) == 2
    assert (report.sounds, report.embedded) == (6, 6)
    names = {file.name for file in (library.parent / "index").iterdir()}
    assert names == {".lock", "index.json", "network.ckpt", "sounds-1.arrow"}


def test_parts_of_another_network_or_damaged_ones_are_not_used(
    library: Path, checkpoint: Path, tmp_path: Path
) -> None:
    build(library, checkpoint)
    expected = stored(tmp_path / "index")
    other = write_checkpoint(tmp_path / "other.ckpt", seed=1)
    build_index(library, tmp_path / "theirs", other, progress=False)
    parts = tmp_path / "again" / "building"
    parts.mkdir(parents=True)
    theirs = Index.open(tmp_path / "theirs").table.file.read_bytes()
    (parts / "part-1.arrow").write_bytes(theirs)
    (parts / "part-2.arrow").write_bytes(theirs[: len(theirs) // 2])
    build_index(library, tmp_path / "again", checkpoint, progress=False)
    again = stored(tmp_path / "again")
    for key, share in expected.items():
        np.testing.assert_array_equal(again[key], share)


@pytest.mark.parametrize("failing", ["part", "sounds", "index.json"])
def test_a_disk_that_is_full_leaves_the_old_index_whole(
    library: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    build(library, checkpoint)
    folder = library.parent / "index"
    before = stored(folder)
    write_sound(library / "new.wav", chirp(7))

    replace = Path.replace

    def full(self, target):
        if Path(target).name.startswith(failing):
            raise OSError(28, "No space left on device")
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(StorageError, match="No space left"):
            build(library)
    assert stored(folder).keys() == before.keys()
    assert not list(folder.rglob("*.tmp"))
    assert build(library).sounds == 7


def test_two_builds_at_once_are_refused(library: Path, checkpoint: Path) -> None:
    folder = library.parent / "index"
    folder.mkdir()
    with FileLock(folder / ".lock"):
        with pytest.raises(StorageError, match="Another build is at work"):
            build(library, checkpoint)
    assert build(library, checkpoint).sounds == 6


def test_half_precision_stores_half_the_bytes(library: Path, checkpoint: Path) -> None:
    build(library, checkpoint, precision="float16")
    build_index(library, library.parent / "full", checkpoint, progress=False)
    half, full = stored(library.parent / "index"), stored(library.parent / "full")
    for key, share in half.items():
        assert share.dtype == np.float16
        np.testing.assert_allclose(share, full[key], rtol=1e-3)
    write_sound(library / "new.wav", chirp(7))
    assert build(library).sounds == 7
    assert all(share.dtype == np.float16 for share in stored(library.parent / "index").values())


def test_the_index_is_an_arrow_file_that_other_tools_read(built: Path) -> None:
    (file,) = built.glob("sounds-*.arrow")
    table = pa.ipc.open_file(file).read_all()
    assert table.column_names[0] == "path"
    assert table.schema.field("share").type == pa.list_(pa.field("item", pa.float32(), False), 8)


def bad_builds(tmp_path: Path) -> dict[str, tuple[dict[str, object], type, str]]:
    """What to pass, and what is said: the error's class and a part of its message."""
    text = tmp_path / "text.ckpt"
    text.write_text("no checkpoint")
    empty, silence = tmp_path / "empty", tmp_path / "silence"
    empty.mkdir()
    write_sound(silence / "silent.wav", np.zeros(RATE))
    other = write_checkpoint(tmp_path / "other.ckpt", seed=1)
    (tmp_path / "file").write_text("")
    another = write_sound(tmp_path / "another" / "sound.wav", chirp(0)).parent
    return {
        "another library": ({"library": another}, ConfigError, "build it in another folder"),
        "an empty folder": (
            {"library": empty, "index": tmp_path / "new"},
            DatasetError,
            "holds no audio",
        ),
        "nothing but unusable files": (
            {"library": silence, "index": tmp_path / "new"},
            DatasetError,
            "None of the 1 audio",
        ),
        "another network": ({"checkpoint": other}, CheckpointError, "is of network"),
        "another precision": ({"precision": "float16"}, ConfigError, "stored in float32"),
        "an unknown precision": ({"precision": "int8"}, ConfigError, "choose float32 or float16"),
        "no thread": ({"jobs": 0}, ConfigError, "give 1 or more"),
        "no checkpoint": ({"checkpoint": text}, CheckpointError, "no checkpoint that can be read"),
        "no index yet": (
            {"index": tmp_path / "other", "checkpoint": None},
            CheckpointError,
            "give --checkpoint",
        ),
        "a file for a folder": ({"index": tmp_path / "file"}, StorageError, "Cannot write into"),
    }


@pytest.mark.parametrize(
    "case",
    [
        "another library",
        "an empty folder",
        "nothing but unusable files",
        "another network",
        "another precision",
        "an unknown precision",
        "no thread",
        "no checkpoint",
        "no index yet",
        "a file for a folder",
    ],
)
def test_what_cannot_be_built_is_refused_and_the_index_stays(
    library: Path, checkpoint: Path, tmp_path: Path, case: str
) -> None:
    build(library, checkpoint)
    before = stored(tmp_path / "index")
    changed, error, message = bad_builds(tmp_path)[case]
    arguments = {
        "library": library,
        "index": tmp_path / "index",
        "checkpoint": checkpoint,
        "progress": False,
        **changed,
    }
    with pytest.raises(error, match=message) as raised:
        build_index(**arguments)
    assert isinstance(raised.value, VocalSketchError)
    assert stored(tmp_path / "index").keys() == before.keys()


def test_two_processes_build_the_index_of_one(tmp_path: Path, checkpoint: Path) -> None:
    library = write_library(tmp_path / "library")
    (library / "text.wav").write_text("this is no audio")
    build(library, checkpoint)
    command = [sys.executable, "-m", "vocalsketch.cli", "index", "build", str(library)]
    options = ["--checkpoint", str(checkpoint), "--index", str(tmp_path / "two"), "--devices", "2"]
    done = subprocess.run(
        [*command, *options],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 sounds (8 windows): 6 new, 0 unchanged, 0 removed, 1 skipped" in done.stdout
    one, two = stored(tmp_path / "index"), stored(tmp_path / "two")
    assert list(one) == list(two)
    for key, share in one.items():
        np.testing.assert_array_equal(two[key], share)
