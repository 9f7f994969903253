"""The feature store: computed once, never wrong, whatever happens to its files."""

import errno
import hashlib
import io
import os
import pickle
import random
import signal
import tarfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

from vocalsketch.errors import AudioError, ConfigError, StorageError
from vocalsketch.features import making, workers
from vocalsketch.features.audio import load_clip
from vocalsketch.features.cqt import CQT
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.features.log_mel import LogMel, RecordingLogMel
from vocalsketch.features.making import transformed
from vocalsketch.features.shelf import Shelf
from vocalsketch.features.source import AudioSource, content_id
from vocalsketch.features.store import FeatureStore
from vocalsketch.features.table import FeatureTable

FRONT_END = LogMel(8_000, 0.1, 80, 5, 0.0, 4_000.0, 10)


def write_sound(file: Path, seed: int, form: str = "WAV") -> Path:
    samples = np.random.default_rng(seed).uniform(-0.5, 0.5, 800)
    soundfile.write(file, samples, 8_000, format=form)
    return file


@pytest.fixture
def sounds(tmp_path: Path) -> list[Path]:
    return [write_sound(tmp_path / f"{number}.wav", number) for number in range(40)]


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "store")


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The name of every clip that is decoded, in the order in which that happens."""
    names: list[str] = []

    def noted(source: io.BytesIO, front_end: FrontEnd, *, name: str) -> np.ndarray:
        names.append(name)
        return load_clip(source, front_end, name=name)

    monkeypatch.setattr(making, "load_clip", noted)
    return names


def fill(
    store: FeatureStore, sources: list[Path] | list[AudioSource], jobs: int = 1
) -> FeatureTable:
    return store.fill(sources, FRONT_END, jobs=jobs, progress=False)


def directly(sounds: list[Path]) -> np.ndarray:
    """The features without a store, one clip at a time."""
    return np.stack(
        [
            FRONT_END(torch.from_numpy(load_clip(sound, FRONT_END))[None])[0].numpy()
            for sound in sounds
        ]
    )


def files_of(store: FeatureStore) -> list[Path]:
    return sorted(store.folder.rglob("*.features"))


def test_features_are_the_front_ends(store: FeatureStore, sounds: list[Path]) -> None:
    table = fill(store, sounds)
    assert len(table) == 40
    assert table.shape == FRONT_END.shape
    assert table.bad == {}
    np.testing.assert_allclose(table.stack(), directly(sounds), atol=1e-5)
    np.testing.assert_array_equal(table[sounds[3]], table.stack()[3])
    np.testing.assert_array_equal(
        table.stack([sounds[7], sounds[2], sounds[7]]), table.stack()[[7, 2, 7]]
    )


def test_one_spectrogram_is_memory_mapped_and_cannot_be_changed(
    store: FeatureStore, sounds: list[Path]
) -> None:
    features = fill(store, sounds)[sounds[0]]
    assert isinstance(features, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        features[0, 0] = 1


def test_a_second_fill_reads_no_audio(
    store: FeatureStore, sounds: list[Path], decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = fill(store, sounds)
    assert len(decoded) == 40
    monkeypatch.setattr(making, "opened", None)  # would fail if anything were opened
    second = fill(FeatureStore(store.folder.parent), sounds)
    np.testing.assert_array_equal(second.stack(), first.stack())


def test_only_what_is_new_is_computed(
    store: FeatureStore, sounds: list[Path], decoded: list[str]
) -> None:
    fill(store, sounds[:30])
    decoded.clear()
    table = fill(store, sounds)
    assert sorted(decoded) == sorted(map(str, sounds[30:]))
    np.testing.assert_allclose(table.stack(), directly(sounds), atol=1e-5)


def test_a_changed_file_is_seen(store: FeatureStore, sounds: list[Path]) -> None:
    fill(store, sounds)
    write_sound(sounds[0], seed=99)  # of the same size
    np.testing.assert_allclose(fill(store, sounds).stack(), directly(sounds), atol=1e-5)


def test_moved_and_copied_files_are_recognised_by_content(
    store: FeatureStore, sounds: list[Path], decoded: list[str], tmp_path: Path
) -> None:
    before = fill(store, sounds).stack()
    decoded.clear()
    moved = [sound.rename(tmp_path / f"moved {sound.name}") for sound in sounds]
    np.testing.assert_array_equal(fill(store, moved).stack(), before)
    assert decoded == []


def test_front_ends_and_versions_are_kept_apart(
    store: FeatureStore, sounds: list[Path], decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = fill(store, sounds).stack()
    other = LogMel(8_000, 0.1, 80, 5, 0.0, 3_000.0, 10)  # of the same shape
    assert not np.array_equal(store.fill(sounds, other, progress=False).stack(), before)
    np.testing.assert_array_equal(fill(store, sounds).stack(), before)
    assert len(decoded) == 80
    monkeypatch.setattr(LogMel, "VERSION", LogMel.VERSION + 1)
    fill(store, sounds)
    assert len(decoded) == 120


def test_results_do_not_depend_on_threads_or_on_what_was_there(
    tmp_path: Path, sounds: list[Path]
) -> None:
    whole = fill(FeatureStore(tmp_path / "a"), sounds, jobs=1).stack()
    parted = FeatureStore(tmp_path / "b")
    fill(parted, sounds[5:12], jobs=3)
    np.testing.assert_array_equal(fill(parted, sounds, jobs=3).stack(), whole)


def test_processes_make_what_threads_make(
    tmp_path: Path, sounds: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = bad_files(tmp_path)
    members = archive_of(sounds[:5], tmp_path / "a.tgz")
    sources = [bad[0], *map(AudioSource, sounds), *members, *bad[1:]]

    def filled(folder: str) -> FeatureTable:
        return FeatureStore(tmp_path / folder).fill(
            sources, FRONT_END, jobs=2, on_bad_audio="skip", progress=False
        )

    threads = filled("threads")
    monkeypatch.setattr(workers, "ENOUGH_FOR_PROCESSES", 1)
    processes = filled("processes")
    np.testing.assert_array_equal(processes.stack(), threads.stack())
    assert processes.bad == threads.bad
    assert len(processes.bad) == 4


class Fatal(LogMel):
    """A front end that kills its process, as a system out of memory does."""

    def spectrogram(self, waveforms: torch.Tensor) -> torch.Tensor:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("not reached")


def test_a_killed_process_is_said_and_what_others_made_is_kept(
    store: FeatureStore, sounds: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "ENOUGH_FOR_PROCESSES", 1)
    fatal = Fatal(8_000, 0.1, 80, 5, 0.0, 4_000.0, 10)
    with pytest.raises(StorageError, match="A process that computed features was killed"):
        store.fill(sounds, fatal, jobs=2, progress=False)
    assert not list(store.folder.rglob("*.tmp"))


@pytest.mark.parametrize("front_end", [FRONT_END, CQT(seconds=0.5), CQT(), RecordingLogMel()])
def test_a_clips_features_are_the_same_bits_in_any_company(front_end: FrontEnd) -> None:
    rng = np.random.default_rng(0)
    clips = rng.uniform(-1, 1, (11, front_end.samples)).astype(np.float32)
    order = rng.permutation(11)
    shuffled = list(transformed(clips[order], front_end))
    for place, number in enumerate(order):
        (alone,) = transformed([clips[number]], front_end)
        np.testing.assert_array_equal(shuffled[place], alone)


def truncate(file: Path, rng: random.Random) -> None:
    os.truncate(file, rng.randrange(file.stat().st_size))


def zero(file: Path, rng: random.Random) -> None:
    file.write_bytes(bytes(file.stat().st_size))


def flip(file: Path, rng: random.Random) -> None:
    data = bytearray(file.read_bytes())
    for _ in range(5):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    file.write_bytes(data)


def empty(file: Path, rng: random.Random) -> None:
    file.write_bytes(b"")


def remove(file: Path, rng: random.Random) -> None:
    file.unlink()


def extend(file: Path, rng: random.Random) -> None:
    file.write_bytes(file.read_bytes() + rng.randbytes(99))


@pytest.mark.parametrize("damage", [truncate, zero, flip, empty, remove, extend])
@pytest.mark.parametrize("seed", range(5))
def test_damaged_features_are_made_again(
    store: FeatureStore,
    sounds: list[Path],
    damage: Callable[[Path, random.Random], None],
    seed: int,
) -> None:
    before = fill(store, sounds).stack()
    rng = random.Random(seed)
    for file in [*files_of(store), store.folder / "contents.json"]:
        damage(file, rng)
    np.testing.assert_array_equal(fill(store, sounds).stack(), before)
    np.testing.assert_array_equal(fill(store, sounds).stack(), before)


def test_a_flipped_bit_costs_its_record_and_in_an_id_its_file(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, (2, 3))
    rng = np.random.default_rng(0)
    ids = ["0" * 32, "a" * 32, "f" * 32]
    shelf.add({content: rng.normal(size=(2, 3)) for content in reversed(ids)})
    file = shelf.file_of(ids)
    whole = file.read_bytes()
    record = len(whole) // 3
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << (position % 8)
        file.write_bytes(damaged)
        hit = {ids[position // record]} if position % record >= 32 else set(ids)
        assert shelf.places().keys() == set(ids) - hit
        assert not shelf.holds(ids)


def test_a_file_written_once_more_is_the_same_in_any_order(tmp_path: Path) -> None:
    """Whoever looks a record up by its place in the file must not find another there."""
    shelf = Shelf(tmp_path, (2, 3))
    features = {content * 32: np.full((2, 3), ord(content)) for content in "fa0"}
    shelf.add(features)
    (file,) = tmp_path.iterdir()
    before = file.read_bytes()
    shelf.add(dict(sorted(features.items())))
    assert file.read_bytes() == before


def test_a_file_with_the_content_of_another_does_not_count(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path, (2, 3))
    for content in "af":
        shelf.add({content * 32: np.full((2, 3), ord(content))})
    file, other = shelf.file_of(["a" * 32]), shelf.file_of(["f" * 32])
    file.write_bytes(other.read_bytes())
    assert shelf.places() == {"f" * 32: (other, 0)}


def test_features_that_are_removed_while_in_use_are_missed_in_words(
    store: FeatureStore, sounds: list[Path]
) -> None:
    table = fill(store, sounds)
    for file in files_of(store):
        file.unlink()
    with pytest.raises(StorageError, match="was removed or cut while its features were in use"):
        table.stack()


@given(st.sets(st.text("0123456789abcdef", min_size=32, max_size=32)), st.randoms())
def test_a_files_name_is_of_the_ids_in_it_in_any_order(ids: set[str], rng: random.Random) -> None:
    shelf = Shelf(Path("store"), (2, 3))
    name = shelf.file_of(sorted(ids))
    assert shelf.file_of(rng.sample(sorted(ids), len(ids))) == name
    assert all(shelf.file_of(ids - {each}) != name for each in ids)


@given(st.binary(max_size=99), st.binary(max_size=99))
def test_a_content_id_is_of_all_bytes_and_of_no_others(one: bytes, other: bytes) -> None:
    ids = [content_id(io.BytesIO(data)) for data in (one, other)]
    assert (ids[0] == ids[1]) == (one == other)
    assert ids[0] == hashlib.sha256(one).hexdigest()[:32]


def test_a_store_may_be_filled_by_several_at_once(tmp_path: Path, sounds: list[Path]) -> None:
    stores = [FeatureStore(tmp_path / "store") for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        tables = list(pool.map(lambda store: fill(store, sounds, jobs=2), stores))
    alone = fill(FeatureStore(tmp_path / "alone"), sounds).stack()
    for table in tables:
        np.testing.assert_array_equal(table.stack(), alone)
    assert not list((tmp_path / "store").rglob("*.tmp"))
    assert len(files_of(stores[0])) == len(files_of(FeatureStore(tmp_path / "alone")))


def test_what_killed_processes_left_is_removed(tmp_path: Path, sounds: list[Path]) -> None:
    clock = {"now": 0.0}
    store = FeatureStore(tmp_path / "store", clock=lambda: clock["now"])
    fill(store, sounds[:1])
    leftover = files_of(store)[0].parent / ".abc.features.x1.tmp"
    leftover.write_bytes(b"half")
    clock["now"] = leftover.stat().st_mtime + 60
    fill(store, sounds[:2])
    assert leftover.exists()  # its writer may be at work
    clock["now"] += 7200
    fill(store, sounds[:3])
    assert not leftover.exists()


def bad_files(folder: Path) -> list[Path]:
    empty_file, text, short = folder / "empty.wav", folder / "text.wav", folder / "short.wav"
    empty_file.write_bytes(b"")
    text.write_text("not audio")
    soundfile.write(short, np.zeros(9), 8_000)
    return [empty_file, text, short, folder / "gone.wav"]


def test_every_bad_file_is_named_at_once(
    store: FeatureStore, sounds: list[Path], tmp_path: Path
) -> None:
    with pytest.raises(AudioError) as caught:
        fill(store, [*sounds, *bad_files(tmp_path)])
    message = str(caught.value)
    assert "4 audio files cannot be used" in message
    for part in ("empty.wav", "text.wav", "short.wav: too short", "gone.wav: there is no such"):
        assert part in message
    assert "on_bad_audio: skip" in message


def test_many_bad_files_are_counted(store: FeatureStore, tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"(?s)25 audio files cannot be used.*and 5 more"):
        fill(store, [tmp_path / f"gone{number}.wav" for number in range(25)])


def test_bad_files_are_skipped_on_request(
    store: FeatureStore, sounds: list[Path], tmp_path: Path
) -> None:
    bad = bad_files(tmp_path)
    table = store.fill([bad[0], *sounds, *bad[1:]], FRONT_END, on_bad_audio="skip", progress=False)
    assert [source.path for source in table.sources] == sounds
    assert [source.path for source in table.bad] == [bad[0], *bad[1:]]
    assert "too short" in table.bad[AudioSource(bad[2])]
    assert sounds[0] in table
    assert bad[0] not in table


def test_a_store_that_cannot_be_written_is_read(
    store: FeatureStore, sounds: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = fill(store, sounds[:20]).stack()

    def refused(*args: object, **options: object) -> tuple[int, str]:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("vocalsketch.files.tempfile.mkstemp", refused)
    np.testing.assert_array_equal(fill(store, sounds[:20]).stack(), before)
    with pytest.raises(StorageError, match="Read-only file system"):
        fill(store, sounds)


def test_a_full_disk_is_said(
    store: FeatureStore, sounds: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StorageError, match="No space left while writing"):
        fill(store, sounds)
    monkeypatch.undo()
    assert not list(store.folder.rglob("*.tmp"))
    np.testing.assert_allclose(fill(store, sounds).stack(), directly(sounds), atol=1e-5)


def archive_of(sounds: list[Path], file: Path) -> list[AudioSource]:
    with tarfile.open(file, "w:gz") as archive:
        for sound in sounds:
            archive.add(sound, f"speech/wav/{sound.name}")
    return [AudioSource(file, f"speech/wav/{sound.name}") for sound in sounds]


def test_members_of_archives_are_read_without_unpacking(
    store: FeatureStore, sounds: list[Path], tmp_path: Path
) -> None:
    members = archive_of(sounds[:5], tmp_path / "a.tgz") + archive_of(
        sounds[5:9], tmp_path / "b.tgz"
    )
    members.reverse()
    table = fill(store, members)
    np.testing.assert_allclose(table.stack(), directly(sounds[:9])[::-1], atol=1e-5)


def test_an_archive_is_opened_once(
    store: FeatureStore, sounds: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = []
    original = tarfile.open
    members = archive_of(sounds[:9], tmp_path / "a.tgz")
    monkeypatch.setattr(tarfile, "open", lambda *a, **k: opened.append(a) or original(*a, **k))
    fill(store, members)
    assert len(opened) == 1


def test_damaged_archives_and_absent_members_are_bad_audio(
    store: FeatureStore, sounds: list[Path], tmp_path: Path
) -> None:
    whole = archive_of(sounds[:3], tmp_path / "whole.tgz")
    cut = archive_of(sounds[3:30], tmp_path / "cut.tgz")
    data = cut[0].path.read_bytes()
    cut[0].path.write_bytes(data[: len(data) // 2])
    absent = AudioSource(whole[0].path, "no such member")
    gone = AudioSource(tmp_path / "gone.tgz", "a")
    sources = [*whole, absent, *cut, gone]
    table = store.fill(sources, FRONT_END, on_bad_audio="skip", progress=False)
    assert set(whole) <= set(table.sources)
    assert {absent, gone, cut[-1]} <= table.bad.keys()
    assert "does not hold it" in table.bad[absent]
    assert "damaged or cut short" in table.bad[cut[-1]]
    assert len(table) + len(table.bad) == len(sources)


def test_a_table_survives_pickling_without_carrying_its_features(
    store: FeatureStore, sounds: list[Path]
) -> None:
    table = fill(store, sounds)
    values = table.stack()
    pickled = pickle.dumps(table)
    assert len(pickled) < values.nbytes
    np.testing.assert_array_equal(pickle.loads(pickled).stack(), values)


def test_nothing_asked_for_and_one_file_twice(store: FeatureStore, sounds: list[Path]) -> None:
    assert fill(store, []).stack().shape == (0, 5, 10)
    assert len(fill(store, [sounds[0], sounds[0]])) == 1


def test_the_callers_torch_threads_are_left_as_they_were(
    store: FeatureStore, sounds: list[Path], tmp_path: Path
) -> None:
    before = torch.get_num_threads()
    fill(store, sounds)
    with pytest.raises(AudioError):
        fill(store, [tmp_path / "gone.wav"])
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("options", "message"),
    [({"jobs": 0}, "jobs is 0"), ({"on_bad_audio": "ignore"}, "on_bad_audio is 'ignore'")],
)
def test_options_that_are_refused(
    store: FeatureStore, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        store.fill([], FRONT_END, **options)  # type: ignore[arg-type]  # wrong on purpose


def test_the_default_folder_is_in_the_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VOCALSKETCH_CACHE", str(tmp_path / "cache"))
    assert FeatureStore().folder.is_relative_to(tmp_path / "cache" / "features")
