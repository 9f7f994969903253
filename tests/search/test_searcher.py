"""Searching an index."""

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from small_networks import RATE, chirp, write_checkpoint, write_library, write_sound

from vocalsketch.domain import SIDES, Side
from vocalsketch.errors import AudioError, CheckpointError, ConfigError, DatasetError, StorageError
from vocalsketch.features.audio import load_clip
from vocalsketch.features.cqt import CQT
from vocalsketch.features.level import KEPT_BEFORE
from vocalsketch.search import Hit, Index, Searcher, build_index, read_query
from vocalsketch.search import searcher as searcher_module
from vocalsketch.search.query import LOG_LIKELIHOOD_OF_LACK, prepared
from vocalsketch.systems import System, load_system


def pair_score(checkpoint: Path, query: Path, sound: Path) -> float:
    """The network's logit for one pair of files, both through front end and tower."""
    system = load_system(checkpoint)
    clips = (
        torch.from_numpy(load_clip(path, front_end))[None]
        for path, front_end in (
            (query, system.front_ends["imitation"]),
            (sound, system.front_ends["recording"]),
        )
    )
    with torch.no_grad():
        imitation, recording = map(system.hear, SIDES, clips)
        return float(system.score(imitation, recording))


@pytest.fixture
def query() -> np.ndarray:
    return chirp(1, 0.7).astype(np.float32)


def test_every_sound_is_ranked_by_the_systems_score_of_the_pair(
    index: Index, checkpoint: Path, query: np.ndarray, tmp_path: Path
) -> None:
    sung = write_sound(tmp_path / "sung.wav", query)
    hits = index.search(*read_query(str(sung)), k=100)
    assert [hit.rank for hit in hits] == [1, 2, 3, 4, 5, 6]
    assert sorted(hit.path for hit in hits) == index.paths()
    scores = [hit.score for hit in hits]
    assert scores == sorted(scores, reverse=True)
    for hit in hits:
        assert hit.probability == pytest.approx(1 / (1 + np.exp(-hit.score)))
        if hit.path != "long.wav":
            expected = pair_score(checkpoint, sung, hit.file)
            assert hit.score == pytest.approx(expected, abs=1e-4)


def test_a_long_sound_is_found_by_its_best_window(index: Index, query: np.ndarray) -> None:
    (long,) = (hit for hit in index.search(query, RATE, k=100) if hit.path == "long.wav")
    rows = [row for row, path in enumerate(index.table.column("path")) if path == "long.wav"]
    windows = index.scores(index.embeddings([(prepared(query, RATE), RATE)]))[0, rows]
    best = int(np.argmax(windows))
    assert (long.start, long.score) == (2.0 * best, float(windows[best]))
    assert (long.duration, long.sample_rate, long.tags) == (6.5, RATE, ())


def test_fewer_hits_are_the_first_of_more(index: Index, query: np.ndarray) -> None:
    everything = index.search(query, RATE, k=6)
    for count in range(1, 6):
        assert index.search(query, RATE, k=count) == everything[:count]


def test_queries_together_are_answered_as_one_by_one(index: Index) -> None:
    queries = [(chirp(number, 0.5 + 0.2 * number), RATE) for number in range(4)]
    together = Searcher([index]).search_many(queries, k=6)
    assert together == [index.search(*query, k=6) for query in queries]
    assert Searcher([index]).search_many([]) == []


def test_level_channels_and_leading_silence_change_nothing(index: Index, query: np.ndarray) -> None:
    plain = index.search(query, RATE, k=6)
    late = np.concatenate([np.zeros(RATE // 2, dtype=np.float32), query])
    for other in (0.01 * query, np.stack([query, query], axis=1)):
        found = index.search(other, RATE, k=6)
        assert [hit.path for hit in found] == [hit.path for hit in plain]
        assert [hit.score for hit in found] == pytest.approx([h.score for h in plain], abs=1e-3)
    margin = late[-len(prepared(late, RATE)) :]
    assert KEPT_BEFORE <= (len(margin) - len(query)) / RATE <= KEPT_BEFORE + 0.02
    assert index.search(late, RATE, k=6) == index.search(margin, RATE, k=6, trim=False)


def test_a_tag_narrows_and_ranks_among_what_is_left(index: Index, query: np.ndarray) -> None:
    everything = index.search(query, RATE, k=6)
    drums = index.search(query, RATE, k=6, tags=["drums"])
    assert [hit.rank for hit in drums] == [1, 2]
    assert [hit.path for hit in drums] == [h.path for h in everything if "drums" in h.tags]
    with pytest.raises(ConfigError, match="No sound is tagged piano"):
        index.search(query, RATE, tags=["piano"])


def test_a_word_makes_sounds_without_it_a_tenth_as_likely(index: Index, query: np.ndarray) -> None:
    plain = {hit.path: hit for hit in index.search(query, RATE, k=6)}
    for hit in index.search(query, RATE, k=6, text="door"):
        lacks = not hit.path.endswith(("CarDoor.wav", "door slam.aiff"))
        likelihood = np.log(plain[hit.path].probability) + lacks * LOG_LIKELIHOOD_OF_LACK
        assert hit.score == pytest.approx(likelihood, abs=1e-6)
        assert hit.probability == pytest.approx(np.exp(likelihood), abs=1e-6)


@pytest.fixture
def two(tmp_path: Path, checkpoint: Path) -> list[Index]:
    """Indexes of one library by two networks, one of them with a deeper head."""
    library = write_library(tmp_path / "library")
    deep = write_checkpoint(tmp_path / "deep.ckpt", hidden=(8, 4), seed=3)
    for name, network in (("flat", checkpoint), ("deep", deep)):
        build_index(library, tmp_path / name, network, jobs=1, progress=False)
    return [Index.open(tmp_path / "flat"), Index.open(tmp_path / "deep")]


def test_several_systems_are_fused_by_the_product_of_their_likelihoods(
    two: list[Index], query: np.ndarray
) -> None:
    alone = [{hit.path: hit.probability for hit in one.search(query, RATE, k=6)} for one in two]
    fused = Searcher(two, fuse=True).search(query, RATE, k=6)
    swapped = Searcher(two[::-1], fuse=True).search(query, RATE, k=6)
    assert [hit.path for hit in fused] == [hit.path for hit in swapped]
    for hit in fused:
        if hit.path != "long.wav":  # whose best window may be another for each
            product = alone[0][hit.path] * alone[1][hit.path]
            assert hit.probability == pytest.approx(product, rel=1e-4)


def test_systems_of_different_states_of_a_library_are_not_fused(
    two: list[Index], tmp_path: Path
) -> None:
    write_sound(tmp_path / "library" / "new.wav", chirp(7))
    build_index(tmp_path / "library", tmp_path / "deep", progress=False)
    with pytest.raises(ConfigError, match="different states"):
        Searcher([two[0], Index.open(tmp_path / "deep")], fuse=True)
    with pytest.raises(ConfigError, match="different libraries"):
        Searcher([two[0], Index.open(tmp_path / "flat", library=tmp_path)], fuse=True)


def test_searches_at_once_do_not_disturb_one_another(index: Index) -> None:
    queries = [(chirp(number), RATE) for number in range(6)]
    expected = [index.search(*query, k=6) for query in queries]
    found: dict[int, list[Hit]] = {}

    def search(number: int) -> None:
        for _ in range(5):
            found[number] = index.search(*queries[number], k=6)

    threads = [threading.Thread(target=search, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found[number] for number in range(6)] == expected


def test_a_reader_keeps_its_version_while_another_is_built(
    library: Path, checkpoint: Path, tmp_path: Path, query: np.ndarray
) -> None:
    build_index(library, tmp_path / "index", checkpoint, progress=False)
    reader = Index.open(tmp_path / "index")
    before = reader.search(query, RATE, k=6)
    write_sound(library / "new.wav", chirp(7))
    build_index(library, tmp_path / "index", progress=False)
    assert reader.search(query, RATE, k=6) == before
    assert Index.open(tmp_path / "index").sounds == 7


def test_only_indexed_files_within_the_library_are_given_out(
    library: Path, checkpoint: Path, tmp_path: Path
) -> None:
    build_index(library, tmp_path / "index", checkpoint, progress=False)
    index = Index.open(tmp_path / "index")
    assert index.file_of("long.wav") == (library / "long.wav").resolve()
    secret = write_sound(tmp_path / "secret.wav", chirp(0))
    for path in ("../secret.wav", str(secret), "", ".", "House", "long.wav/", "House/../long.wav"):
        with pytest.raises(DatasetError):
            index.file_of(path)
    (library / "long.wav").unlink()
    with pytest.raises(DatasetError, match="any more"):
        index.file_of("long.wav")
    (library / "long.wav").symlink_to(secret)
    with pytest.raises(DatasetError, match="any more"):
        index.file_of("long.wav")


def test_what_was_indexed_through_a_link_is_given_out(
    library: Path, checkpoint: Path, tmp_path: Path
) -> None:
    pack = write_sound(tmp_path / "pack" / "kick.wav", chirp(0)).parent
    (library / "pack").symlink_to(pack)
    build_index(library, tmp_path / "index", checkpoint, progress=False)
    index = Index.open(tmp_path / "index")
    assert index.file_of("pack/kick.wav") == (pack / "kick.wav").resolve()
    (pack / "kick.wav").write_bytes(b"something else")
    with pytest.raises(DatasetError, match="any more"):
        index.file_of("pack/kick.wav")


def test_a_found_sound_is_a_query_for_more_like_it(index: Index, query: np.ndarray) -> None:
    hit = next(hit for hit in index.search(query, RATE, k=6) if hit.path == "long.wav")
    waveform, rate = read_query(hit.file, start=hit.start)
    assert len(waveform) == pytest.approx((hit.duration - hit.start) * rate, abs=1)
    assert index.search(waveform, rate, k=3) != []


@pytest.mark.parametrize(
    ("waveform", "options", "error", "message"),
    [
        (np.zeros(RATE), {}, AudioError, "silent"),
        (chirp(0, 0.05), {}, AudioError, "too short"),
        (np.full(RATE, np.nan), {}, AudioError, "NaN"),
        (chirp(0), {"k": 0}, ConfigError, "ask for 1 or more"),
        (chirp(0), {"tags": ["none"]}, ConfigError, "No sound is tagged none"),
    ],
)
def test_bad_queries_are_refused(
    index: Index, waveform: np.ndarray, options: dict, error: type, message: str
) -> None:
    with pytest.raises(error, match=message):
        index.search(waveform, RATE, **options)


def test_an_hour_of_imitation_is_listened_to_at_its_beginning(index: Index) -> None:
    hour = np.tile(chirp(0, 1.0), 3600)
    assert index.search(hour, RATE, k=6) == index.search(hour[: RATE * 10], RATE, k=6)


def test_an_index_whose_system_was_replaced_is_refused(
    library: Path, checkpoint: Path, tmp_path: Path
) -> None:
    build_index(library, tmp_path / "index", checkpoint, progress=False)
    other = load_system(write_checkpoint(tmp_path / "other.ckpt", seed=1))
    other.save(tmp_path / "index" / "system.safetensors")
    with pytest.raises(CheckpointError, match="was made by system"):
        Index.open(tmp_path / "index")


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda folder: (folder / "index.json").write_text("{"), "index.json is damaged"),
        (lambda folder: (folder / "index.json").write_text("[]"), "index.json is damaged"),
        (lambda folder: (folder / "index.json").write_text('{"format": 9}'), "of format 9"),
        (lambda folder: (folder / "1.arrow").unlink(), "missing or damaged"),
        (lambda folder: (folder / "1.arrow").write_bytes(b"ARROW"), "missing or damaged"),
        (lambda folder: (folder / "index.json").unlink(), "vocalsketch index build"),
    ],
)
def test_a_damaged_index_says_so(
    library: Path, checkpoint: Path, tmp_path: Path, damage, message: str
) -> None:
    build_index(library, tmp_path / "index", checkpoint, progress=False)
    damage(tmp_path / "index")
    with pytest.raises(StorageError, match=message):
        Index.open(tmp_path / "index")


def test_systems_whose_indexes_grew_in_other_ways_are_fused_as_built_at_once(
    two: list[Index], tmp_path: Path, query: np.ndarray
) -> None:
    library, deep = tmp_path / "library", tmp_path / "deep"
    write_sound(library / "House/CarDoor.wav", chirp(8, 0.6))
    build_index(library, deep, progress=False)
    write_sound(library / "a new one.wav", chirp(7))
    build_index(library, deep, progress=False)
    build_index(library, tmp_path / "flat", progress=False)
    grown = Searcher.open([tmp_path / "flat", deep], fuse=True).search(query, RATE, k=7)
    for name in ("flat", "deep"):
        fresh = load_system(tmp_path / name / "system.safetensors")
        build_index(library, tmp_path / f"fresh {name}", fresh, jobs=1, progress=False)
    fresh = [tmp_path / "fresh flat", tmp_path / "fresh deep"]
    expected = Searcher.open(fresh, fuse=True).search(query, RATE, k=7)
    assert [hit.path for hit in grown] == [hit.path for hit in expected]
    scores = [hit.score for hit in expected]
    assert [hit.score for hit in grown] == pytest.approx(scores, rel=1e-6)
    assert len(grown) == 7


def test_an_index_of_many_segments_answers_as_one_of_one(
    library: Path, checkpoint: Path, tmp_path: Path, query: np.ndarray
) -> None:
    build_index(library, tmp_path / "grown", checkpoint, progress=False)
    for number in range(4):  # of equal sounds, whose scores tie
        write_sound(library / f"{'zyab'[number]}.wav", chirp(2))
        build_index(library, tmp_path / "grown", progress=False)
    write_sound(library / "long.wav", chirp(5, 5.0))
    build_index(library, tmp_path / "grown", progress=False)
    build_index(library, tmp_path / "fresh", checkpoint, progress=False)
    grown, fresh = (Index.open(tmp_path / name) for name in ("grown", "fresh"))
    assert len(grown.table.segments) == 6
    equal = ["a.wav", "b.wav", "y.wav", "z.wav"]
    for k in range(1, 11):
        for options in ({}, {"text": "door"}, {"tags": ["house"]}):
            found = grown.search(query, RATE, k, **options)
            expected = fresh.search(query, RATE, k, **options)
            # the last bits of a score depend on how many rows are scored at once
            scores = [hit.score for hit in expected]
            assert [hit.score for hit in found] == pytest.approx(scores, rel=1e-5, abs=1e-5)
            heard, wanted = (
                [("equal" if hit.path in equal else hit.path, hit.start) for hit in hits]
                for hits in (found, expected)
            )
            assert heard == wanted
    hits = fresh.search(query, RATE, 10)
    assert [hit.path for hit in hits if hit.path in equal] == equal


def halves(library: Path, root: Path) -> list[Path]:
    """Two libraries that hold a library's sounds between them."""
    for path in sorted(library.rglob("*.*")):
        half = root / ("one" if "Drums" in path.parts else "two")
        target = half / path.relative_to(library)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    return [root / "one", root / "two"]


@pytest.mark.parametrize("system", ["siamese", "contours"])
@pytest.mark.parametrize("text", ["", "door"])
def test_shards_are_searched_as_the_whole_library(
    library: Path, checkpoint: Path, tmp_path: Path, query: np.ndarray, system: str, text: str
) -> None:
    chosen = checkpoint if system == "siamese" else system
    folders = []
    for half in halves(library, tmp_path / "halves"):
        folders.append(tmp_path / f"index of {half.name}")
        build_index(half, folders[-1], chosen, progress=False)
    build_index(library, tmp_path / "whole", chosen, progress=False)
    whole = Index.open(tmp_path / "whole")
    searcher = Searcher.open(folders)
    assert not searcher.missing
    for k in (1, 3, 10):
        expected = whole.search(query, RATE, k, text=text)
        found = searcher.search(query, RATE, k, text=text)
        assert [hit.path for hit in found] == [hit.path for hit in expected]
        for mine, theirs in zip(found, expected, strict=True):
            assert mine.score == pytest.approx(theirs.score, rel=1e-6)
            assert mine.probability == pytest.approx(theirs.probability, rel=1e-5)
            assert mine.file.is_file()
    with pytest.raises(ConfigError, match="No sound is tagged piano"):
        searcher.search(query, RATE, tags=["piano"])
    assert len(searcher.search(query, RATE, tags=["kick"])) == 1  # one shard has it


def test_a_missing_shard_is_named_and_the_answer_is_partial(built: Path, tmp_path: Path) -> None:
    searcher = Searcher.open([built, tmp_path / "away"])
    assert searcher.missing
    assert list(searcher.missing) == [str(tmp_path / "away")]
    assert "No index in" in searcher.missing[str(tmp_path / "away")]
    assert len(searcher.search(chirp(1), RATE, k=6)) == 6
    for folders, fuse in (([tmp_path / "away"], False), ([built, tmp_path / "away"], True)):
        with pytest.raises(StorageError, match="No index in"):
            Searcher.open(folders, fuse=fuse)


def test_indexes_that_do_not_go_together_are_refused(two: list[Index]) -> None:
    with pytest.raises(ConfigError, match="--fuse"):
        Searcher(two)
    with pytest.raises(ConfigError, match="give one of them"):
        Searcher([two[0], two[0]])
    with pytest.raises(ConfigError, match="at least one"):
        Searcher([])


def test_the_probabilities_of_a_distance_are_a_softmax_over_the_library(
    library: Path, tmp_path: Path, query: np.ndarray
) -> None:
    build_index(library, tmp_path / "index", "contours", progress=False)
    index = Index.open(tmp_path / "index")
    rows = index.scores(index.embeddings([(prepared(query, RATE), RATE)]))[0].astype(np.float64)
    mass = np.exp(rows).sum()
    for hit in index.search(query, RATE, k=6):
        assert hit.probability == pytest.approx(np.exp(hit.score) / mass)


def test_many_queries_are_scored_in_groups(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    queries = [(chirp(number), RATE) for number in range(5)]
    expected = Searcher([index]).search_many(queries, k=6)
    asked = []
    scores = Index.scores

    def noted(self, some, weights):
        asked.append(len(some))
        return scores(self, some, weights)

    monkeypatch.setattr(Index, "scores", noted)
    monkeypatch.setattr(searcher_module, "SCORES_AT_ONCE", 16)  # of 8 rows
    assert Searcher([index]).search_many(queries, k=6) == expected
    assert asked == [2, 2, 1]


def test_a_sound_that_was_deleted_is_marked(
    library: Path, checkpoint: Path, tmp_path: Path, query: np.ndarray
) -> None:
    build_index(library, tmp_path / "index", checkpoint, progress=False)
    (library / "long.wav").unlink()
    hits = Index.open(tmp_path / "index").search(query, RATE, k=6)
    assert {hit.path for hit in hits if hit.gone} == {"long.wav"}
    assert next(hit for hit in hits if hit.gone).to_dict()["gone"] is True


def test_an_index_knows_whether_it_is_current(
    library: Path, checkpoint: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "index"
    build_index(library, folder, checkpoint, progress=False)
    index = Index.open(folder)
    assert index.is_current()
    build_index(library, folder, progress=False)  # nothing is new
    assert index.is_current()
    manifest = (folder / "index.json").read_text()
    (folder / "index.json").write_text(manifest)  # written again, and the same
    assert index.is_current()
    (folder / "index.json").unlink()
    with pytest.raises(StorageError, match="cannot be read"):
        index.is_current()
    (folder / "index.json").write_text(manifest)
    write_sound(library / "new.wav", chirp(7))
    build_index(library, folder, progress=False)
    assert not index.is_current()
    assert Index.open(folder).is_current()


class Loudness(System):
    """How alike two clips' levels are: a system that an extension might bring."""

    kind = "similarity"

    def embed(self, side: Side, features: torch.Tensor) -> torch.Tensor:
        return features.abs().mean(dim=(1, 2))[:, None]

    def score(self, imitations: torch.Tensor, recordings: torch.Tensor) -> torch.Tensor:
        return -(imitations - recordings.T).abs()

    def settings(self) -> dict[str, object]:
        return {}


def test_a_system_of_ones_own_is_indexed_and_searched(
    library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, query: np.ndarray
) -> None:
    monkeypatch.setenv("VOCALSKETCH_EXTENSIONS", __name__)
    system = Loudness(dict.fromkeys(SIDES, CQT(seconds=1.05)))
    build_index(library, tmp_path / "index", system, progress=False)
    index = Index.open(tmp_path / "index")
    hits = index.search(query, RATE, k=6)
    asked = index.embeddings([(prepared(query, RATE), RATE)])[0, 0]
    rows = zip(index.table.column("path"), np.concatenate(index.table.blocks), strict=True)
    levels = {path: float(level[0]) for path, level in rows if path != "long.wav"}
    for hit in hits:
        if hit.path in levels:
            assert hit.score == pytest.approx(-abs(levels[hit.path] - asked))
    with pytest.raises(ConfigError, match="similarities without a meaning"):
        index.search(query, RATE, text="door")


def test_searching_loads_no_training() -> None:
    code = (
        "import sys, vocalsketch.search as search; [getattr(search, n) for n in search.__all__]\n"
        "import vocalsketch.search.query\n"
        "print(sorted(m for m in sys.modules if m.split('.')[0] in ('pytorch_lightning', 'pandas')"
        " or m.startswith(('vocalsketch.datamodules', 'vocalsketch.tasks'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
