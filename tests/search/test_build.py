"""Building an index, again and again."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event

import numpy as np
import pyarrow as pa
import pytest
import soundfile
import torch
from filelock import FileLock
from small_networks import RATE, chirp, write_checkpoint, write_sound

from vocalsketch.errors import (
    CheckpointError,
    ConfigError,
    DatasetError,
    StorageError,
    VocalSketchError,
)
from vocalsketch.features.audio import load_clip
from vocalsketch.search import BuildReport, Index, build_index, embedding
from vocalsketch.search import build as building
from vocalsketch.search.embedding import Embedder
from vocalsketch.systems import load_system


def build(library: Path, checkpoint: Path | None = None, **options: object) -> BuildReport:
    settings = {"jobs": 2, "progress": False, **options}
    return build_index(library, library.parent / "index", checkpoint, **settings)


def figures(report: BuildReport) -> tuple[object, ...]:
    """Version, sounds and windows; files embedded, unchanged and removed; what was skipped."""
    made = report.manifest
    counts = (report.embedded, report.unchanged, report.removed)
    return made.version, made.sounds, made.windows, *counts, made.skipped


def stored(folder: Path) -> dict[tuple[str, float], np.ndarray]:
    """Every embedding by path and start, in this order."""
    table = Index.open(folder).table
    embeddings = table.embeddings(np.flatnonzero(table.counting))
    keys = zip(table.column("path"), table.column("start"), strict=True)
    return dict(sorted(zip(keys, embeddings, strict=True), key=lambda each: each[0]))


def segments(folder: Path) -> list[int]:
    """How many rows each segment has."""
    return [each.num_rows for each in Index.open(folder).table.segments]


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The files that builds decode."""
    paths: list[str] = []
    read = Embedder._read

    def noted(self, file):
        paths.append(file.path)
        return read(self, file)

    monkeypatch.setattr(Embedder, "_read", noted)
    return paths


def test_every_window_of_every_sound_is_stored_with_what_is_known_of_it(
    library: Path, checkpoint: Path
) -> None:
    report = build(library, checkpoint)
    assert figures(report) == (1, 6, 8, 6, 0, 0, {})
    index = Index.open(library.parent / "index")
    rows = index.table.live.to_pylist()
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
    system = load_system(checkpoint)
    front_end = system.front_ends["recording"]
    for (path, start), found in stored(library.parent / "index").items():
        if start == 0.0:
            clip = torch.from_numpy(load_clip(library / path, front_end))
            with torch.no_grad():
                expected = system.hear("recording", clip[None])[0]
            # float32 sums over thousands of values of about 10
            np.testing.assert_allclose(found, expected, atol=5e-4, rtol=0)


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
    assert figures(report) == (2, 6, 6, 2, 4, 1, {})
    after = stored(library.parent / "index")
    assert segments(library.parent / "index") == [8, 2]
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
    for key, expected in one.items():
        np.testing.assert_array_equal(expected, other[key])


def test_nothing_new_makes_no_version(library: Path, checkpoint: Path, decoded: list[str]) -> None:
    build(library, checkpoint)
    files = [library.parent / "index" / name for name in ("index.json", "1.arrow")]
    stamps = [file.stat().st_mtime_ns for file in files]
    decoded.clear()
    assert figures(build(library)) == (1, 6, 8, 0, 6, 0, {})
    assert decoded == []
    assert [file.stat().st_mtime_ns for file in files] == stamps


def test_a_moved_file_keeps_its_embedding(
    library: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(library, checkpoint)
    before = stored(library.parent / "index")
    (library / "long.wav").rename(library / "House" / "longer.wav")
    monkeypatch.setattr(Embedder, "_embed", None)  # nothing may be embedded
    build(library)
    after = stored(library.parent / "index")
    for start in (0.0, 2.0, 4.0):
        key = ("House/longer.wav", start)
        np.testing.assert_array_equal(after[key], before["long.wav", start])
    row = Index.open(library.parent / "index").table.live.to_pylist()[-1]
    assert (row["path"], row["tags"], row["end"]) == ("House/longer.wav", ["house"], 6.5)


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
    assert report.manifest.sounds == 6
    assert {path: reason.split(":")[0] for path, reason in report.manifest.skipped.items()} == {
        "cut.wav": "truncated",
        "empty.wav": "the file is empty (0 bytes)",
        "short.wav": "too short",
        "silent.wav": "nothing but silence.",
        "text.wav": "not audio that can be decoded.",
    }
    write_sound(library / "text.wav", chirp(0))
    assert build(library).manifest.sounds == 7


def test_minutes_are_indexed_in_windows(library: Path, checkpoint: Path) -> None:
    soundfile.write(library / "minutes.wav", np.tile(chirp(0, 1.0, 1000), 301), 1000)
    assert build(library, checkpoint).manifest.windows == 8 + 150
    rows = Index.open(library.parent / "index").table.live.to_pylist()
    assert [row["end"] for row in rows if row["path"] == "minutes.wav"][-1] == 301.0


class Killed(BaseException):
    pass


def test_a_killed_build_goes_on_where_it_was(
    library: Path, checkpoint: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding, "FILES_AT_ONCE", 2)
    write = embedding.write_part

    def killed(file, *what):
        if len(list(file.parent.glob("part-*"))) == 2:
            raise Killed
        write(file, *what)

    with monkeypatch.context() as patch:
        patch.setattr(embedding, "write_part", killed)
        with pytest.raises(Killed):
            build(library, checkpoint, jobs=1)
    assert len(decoded) == 6
    with pytest.raises(StorageError, match="No index"):
        Index.open(library.parent / "index")

    (library.parent / "index" / ".1.arrow.x.tmp").write_bytes(b"half")
    decoded.clear()
    report = build(library)
    assert len(decoded) == 2
    assert (report.manifest.sounds, report.embedded) == (6, 6)
    names = {file.name for file in (library.parent / "index").iterdir()}
    assert names == {".lock", "index.json", "system.safetensors", "1.arrow"}


def test_parts_of_another_network_or_damaged_ones_are_not_used(
    library: Path, checkpoint: Path, tmp_path: Path
) -> None:
    build(library, checkpoint)
    expected = stored(tmp_path / "index")
    other = write_checkpoint(tmp_path / "other.ckpt", seed=1)
    build_index(library, tmp_path / "theirs", other, progress=False)
    parts = tmp_path / "again" / "building"
    parts.mkdir(parents=True)
    theirs = (tmp_path / "theirs" / "1.arrow").read_bytes()
    (parts / "part-1.arrow").write_bytes(theirs)
    (parts / "part-2.arrow").write_bytes(theirs[: len(theirs) // 2])
    build_index(library, tmp_path / "again", checkpoint, progress=False)
    again = stored(tmp_path / "again")
    for key, found in expected.items():
        np.testing.assert_array_equal(again[key], found)


@pytest.mark.parametrize("failing", ["part", "2.arrow", "index.json"])
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
    assert build(library).manifest.sounds == 7


def test_two_builds_at_once_are_refused(library: Path, checkpoint: Path) -> None:
    folder = library.parent / "index"
    folder.mkdir()
    with FileLock(folder / ".lock"):
        with pytest.raises(StorageError, match="Another build is at work"):
            build(library, checkpoint)
    assert build(library, checkpoint).manifest.sounds == 6


def test_the_index_is_an_arrow_file_that_other_tools_read(built: Path) -> None:
    table = pa.ipc.open_file(built / "1.arrow").read_all()
    assert table.column_names[0] == "path"
    assert table.schema.field("embedding").type == pa.list_(
        pa.field("item", pa.float32(), False), 8
    )


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
        "another network": ({"system": other}, CheckpointError, "is of system"),
        "no thread": ({"jobs": 0}, ConfigError, "give 1 or more"),
        "no device": ({"devices": 0}, ConfigError, "give 1 or more"),
        "an accelerator that is not there": ({"accelerator": "tpu"}, ConfigError, "machine has"),
        "no checkpoint": ({"system": text}, CheckpointError, "no checkpoint that can be read"),
        "no such system": (
            {"index": tmp_path / "other", "system": "nothing"},
            CheckpointError,
            "No system at nothing",
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
        "no thread",
        "no device",
        "an accelerator that is not there",
        "no checkpoint",
        "no such system",
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
        "system": checkpoint,
        "progress": False,
        **changed,
    }
    with pytest.raises(error, match=message) as raised:
        build_index(**arguments)
    assert isinstance(raised.value, VocalSketchError)
    assert stored(tmp_path / "index").keys() == before.keys()


def test_two_devices_build_the_index_of_one(library: Path, checkpoint: Path) -> None:
    build(library, checkpoint)
    by_two = build_index(library, library.parent / "two", checkpoint, devices=2, progress=False)
    assert figures(by_two) == figures(replace(build(library), embedded=6, unchanged=0))
    one, two = stored(library.parent / "index"), stored(library.parent / "two")
    assert list(one) == list(two)
    for key, found in one.items():
        np.testing.assert_array_equal(two[key], found)


def rebuilt(library: Path, number: int) -> BuildReport:
    """Add a sound and build again."""
    write_sound(library / f"more/{number:02}.wav", chirp(number))
    return build(library)


def test_a_build_leaves_the_segments_of_others_as_they_are(library: Path, checkpoint: Path) -> None:
    build(library, checkpoint)
    folder = library.parent / "index"
    first = (folder / "1.arrow").stat()
    write_sound(library / "House/CarDoor.wav", chirp(8, 0.6))
    rebuilt(library, 1)
    assert (folder / "1.arrow").stat().st_mtime_ns == first.st_mtime_ns
    assert segments(folder) == [8, 2]
    index = Index.open(folder)
    assert index.manifest.removed == [2, 3]
    assert (len(index.table), index.windows, index.sounds) == (9, 9, 7)


def test_small_segments_become_one_when_there_are_many(library: Path, checkpoint: Path) -> None:
    build(library, checkpoint)
    folder = library.parent / "index"
    for number in range(7):
        rebuilt(library, number)
    assert segments(folder) == [8, 1, 1, 1, 1, 1, 1, 1]
    before = stored(folder)
    rebuilt(library, 7)
    assert segments(folder) == [8, 8]
    after = stored(folder)
    assert len(after) == 16
    for key, found in before.items():
        np.testing.assert_array_equal(after[key], found)


def test_a_segment_of_which_most_is_gone_is_written_anew(library: Path, checkpoint: Path) -> None:
    build(library, checkpoint)
    for name in ("long.wav", "House/CarDoor.wav", "House/outdoor.ogg"):
        (library / name).unlink()
    assert build(library).removed == 3
    folder = library.parent / "index"
    assert segments(folder) == [3]
    build(library)
    assert not (folder / "1.arrow").exists()  # kept for one build, for readers that began before


def test_which_segments_are_merged_follows_from_their_sizes() -> None:
    def merged(counts: list[int], new: int) -> list[int]:
        return building._merged(np.array(counts), np.array(counts), new)

    assert merged([1_000_000], 100) == []
    assert merged([1_000_000, *[100] * 6], 100) == []
    assert merged([1_000_000, *[100] * 7], 100) == [1, 2, 3, 4, 5, 6, 7]
    assert merged([*[800] * 7, *[100] * 7], 100) == list(range(14))
    assert building._merged(np.array([10, 4]), np.array([10, 9]), 0) == [1]


def test_each_row_is_written_anew_a_few_times_however_often_one_builds() -> None:
    sizes: list[int] = []
    written = 0
    for _ in range(1_000):
        merge = building._merged(np.array(sizes, dtype=int), np.array(sizes, dtype=int), 1)
        total = 1 + sum(sizes[number] for number in merge)
        sizes = [size for number, size in enumerate(sizes) if number not in merge] + [total]
        written += total
        assert len(sizes) <= 3 * building.FANOUT
    assert sum(sizes) == 1_000
    assert written <= 5 * 1_000


def test_the_contours_need_no_training(library: Path) -> None:
    assert build(library, "contours").manifest.sounds == 6
    index = Index.open(library.parent / "index")
    (best, *_) = index.search(chirp(2), RATE, k=6)
    assert best.path == "House/CarDoor.wav"
    assert 0 < best.probability < 1


def test_without_a_system_the_default_is_used(library: Path) -> None:
    assert build(library).manifest.sounds == 6
    index = Index.open(library.parent / "index")
    assert index.fingerprint == load_system("default").fingerprint


def test_an_interrupted_build_ends_soon_and_keeps_what_is_done(
    library: Path, checkpoint: Path, decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding, "FILES_AT_ONCE", 1)
    ended = Event()
    write = embedding.write_part

    def slow(*what: object) -> None:
        if len(decoded) > 2:  # the first is told of while the second is embedded
            ended.wait(20)
        write(*what)

    def interrupted(done: int, to_do: int) -> None:
        ended.set()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(embedding, "write_part", slow)
        with pytest.raises(KeyboardInterrupt):
            build(library, checkpoint, jobs=1, progress=interrupted)
    there = len(list((library.parent / "index" / "building").iterdir()))
    decoded.clear()
    assert build(library).embedded == 6
    assert 0 < there < 6
    assert len(decoded) == 6 - there


def test_sigterm_ends_a_build_that_waits_for_a_file(library: Path, checkpoint: Path) -> None:
    code = (
        "import sys, time; from vocalsketch.search import embedding; "
        "embedding.content_id = lambda stream: (print('waits', flush=True), time.sleep(99)); "
        "from vocalsketch.cli import main; main(sys.argv[1:])"
    )
    command = ["index", "build", library, "--index", library.parent / "index"]
    command += ["--checkpoint", checkpoint, "--jobs", "1"]
    with subprocess.Popen(
        [sys.executable, "-c", code, *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waits\n"
        process.terminate()
        assert process.wait(timeout=20) != 0


def test_what_cannot_be_written_is_the_builds_error(
    library: Path, checkpoint: Path, tmp_path: Path
) -> None:
    (tmp_path / "index").mkdir()
    (tmp_path / "index" / "building").write_text("in the way of a folder")
    with pytest.raises(VocalSketchError, match="Cannot write"):
        build(library, checkpoint, devices=2)
