"""The feature store: computed once, never wrong, whatever happens to its files."""

import errno
import hashlib
import io
import os
import pickle
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st

from vocalsketch.errors import AudioError, StorageError
from vocalsketch.features import store as feature_store
from vocalsketch.features.audio import content_id, load_clip, read_audio
from vocalsketch.features.cqt import CQT
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.features.mel import LogMel, RecordingLogMel
from vocalsketch.features.store import FeatureStore, FeatureTable, transformed

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

    monkeypatch.setattr(feature_store, "load_clip", noted)
    return names


def fill(store: FeatureStore, sources: list[Path], jobs: int = 1) -> FeatureTable:
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
    assert len(table.sources) == 40
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
    monkeypatch.setattr(feature_store, "opened_file", None)  # would fail if anything were opened
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


def entries_in(folder: Path) -> FeatureTable:
    return FeatureTable(folder, (2, 3), np.dtype("<f4"))


def test_an_entry_with_any_bit_flipped_does_not_count(tmp_path: Path) -> None:
    entries = entries_in(tmp_path)
    features = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
    entries.add("a" * 32, features)
    np.testing.assert_array_equal(entries.read("a" * 32), features)
    file = Path(entries.file("a" * 32))
    whole = file.read_bytes()
    for position in range(len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << (position % 8)
        file.write_bytes(damaged)
        assert entries.read("a" * 32) is None


def test_an_entry_with_the_content_of_another_does_not_count(tmp_path: Path) -> None:
    entries = entries_in(tmp_path)
    for content in "af":
        entries.add(content * 32, np.full((2, 3), ord(content)))
    Path(entries.file("a" * 32)).write_bytes(Path(entries.file("f" * 32)).read_bytes())
    assert entries.read("a" * 32) is None
    np.testing.assert_array_equal(entries.read("f" * 32), np.full((2, 3), ord("f")))


def test_an_entry_written_once_more_is_the_same(tmp_path: Path) -> None:
    entries = entries_in(tmp_path)
    files = []
    for _ in range(2):
        entries.add("a" * 32, np.ones((2, 3)))
        files.append(Path(entries.file("a" * 32)).read_bytes())
    assert files[0] == files[1]
    assert list(tmp_path.iterdir()) == [Path(entries.file("a" * 32))]


class Waveforms(LogMel):
    """A front end that is computed where the network is: the clip itself is kept."""

    cached = "waveform"


def test_the_clip_itself_is_kept_where_a_front_end_wants_it(
    store: FeatureStore, sounds: list[Path]
) -> None:
    front_end = Waveforms(8_000, 0.1, 80, 5, 0.0, 4_000.0, 10)
    table = store.fill(sounds, front_end, jobs=1, progress=False)
    clips = np.stack([load_clip(sound, front_end) for sound in sounds])
    assert table.shape == (800,)
    assert table[sounds[0]].dtype == np.int16
    assert table.stack().dtype == np.float32
    np.testing.assert_allclose(table.stack(), clips, atol=0.51 / 32_767)
    features = front_end(torch.from_numpy(table.stack())).numpy()
    np.testing.assert_allclose(features, fill(store, sounds).stack(), atol=0.02)


def test_features_that_are_removed_while_in_use_are_missed_in_words(
    store: FeatureStore, sounds: list[Path]
) -> None:
    table = fill(store, sounds)
    for file in files_of(store):
        file.unlink()
    with pytest.raises(StorageError, match="was removed or cut while its features were in use"):
        table.stack()


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
    store = FeatureStore(tmp_path / "store")
    fill(store, sounds[:1])
    leftover = files_of(store)[0].parent / ".abc.features.x1.tmp"
    leftover.write_bytes(b"half")
    fill(store, sounds[:2])
    assert leftover.exists()  # its writer may be at work
    os.utime(leftover, (leftover.stat().st_mtime - 7200,) * 2)
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


def test_what_is_there_of_cut_files_is_used_on_request_and_never_without(
    store: FeatureStore, sounds: list[Path], tmp_path: Path
) -> None:
    cut = tmp_path / "cut.wav"
    cut.write_bytes(sounds[0].read_bytes()[:-1_000])
    for _ in range(2):  # made, and found
        table = store.fill([*sounds, cut], FRONT_END, on_bad_audio="use", progress=False)
        assert (table.sources, table.cut, table.bad) == ((*sounds, cut), (cut,), {})
    kept, rate = read_audio(cut, whole=False)
    soundfile.write(tmp_path / "whole.wav", kept, rate, subtype="FLOAT")
    np.testing.assert_array_equal(table[cut], fill(store, [tmp_path / "whole.wav"]).stack()[0])
    with pytest.raises(AudioError, match=r"cut\.wav: truncated(?s:.)*on_bad_audio: use"):
        fill(store, [*sounds, cut])
    skipped = store.fill([*sounds, cut], FRONT_END, on_bad_audio="skip", progress=False)
    assert (skipped.sources, list(skipped.bad)) == (tuple(sounds), [cut])
    with pytest.raises(AudioError, match="1 audio files cannot be used"):
        store.fill([tmp_path / "gone.wav"], FRONT_END, on_bad_audio="use", progress=False)


def test_bad_files_are_skipped_on_request(
    store: FeatureStore, sounds: list[Path], tmp_path: Path
) -> None:
    bad = bad_files(tmp_path)
    table = store.fill([bad[0], *sounds, *bad[1:]], FRONT_END, on_bad_audio="skip", progress=False)
    assert list(table.sources) == sounds
    assert list(table.bad) == bad
    assert "too short" in table.bad[bad[2]]
    assert sounds[0] in table
    assert bad[0] not in table


def test_a_store_that_cannot_be_written_is_read(
    store: FeatureStore, sounds: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = fill(store, sounds[:20]).stack()

    def refused(*args: object, **options: object) -> tuple[int, str]:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(feature_store.os, "replace", refused)
    monkeypatch.setattr("vocalsketch.files.tempfile.mkstemp", refused)
    np.testing.assert_array_equal(fill(store, sounds[:20]).stack(), before)
    with pytest.raises(StorageError, match="Read-only file system"):
        fill(store, sounds)


def test_a_full_disk_is_said(
    store: FeatureStore, sounds: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(temporary: str, target: str) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(feature_store.os, "replace", full)
    with pytest.raises(StorageError, match="No space left while writing"):
        fill(store, sounds)
    monkeypatch.undo()
    assert not list(store.folder.rglob("*.tmp"))
    np.testing.assert_allclose(fill(store, sounds).stack(), directly(sounds), atol=1e-5)


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
    assert len(fill(store, [sounds[0], sounds[0]]).sources) == 1


def test_the_callers_torch_threads_are_left_as_they_were(
    store: FeatureStore, sounds: list[Path], tmp_path: Path
) -> None:
    before = torch.get_num_threads()
    fill(store, sounds)
    with pytest.raises(AudioError):
        fill(store, [tmp_path / "gone.wav"])
    assert torch.get_num_threads() == before


def test_the_default_folder_is_in_the_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VOCALSKETCH_CACHE", str(tmp_path / "cache"))
    assert FeatureStore().folder.is_relative_to(tmp_path / "cache" / "features")
