"""Which systems a page offers, and what it is asked for."""

from pathlib import Path

import pytest
from small_networks import RATE, chirp, write_checkpoint, write_sound

from vocalsketch.errors import ConfigError
from vocalsketch.search import Index, build_index
from vocalsketch.web.finding import Place
from vocalsketch.web.limits import Limits
from vocalsketch.web.systems import LiveSystems, Systems


def test_each_index_is_a_system_and_so_is_their_fusion(indexes: list[Index]) -> None:
    systems = Systems(indexes)
    assert list(systems.searchers) == ["one", "two", "one + two"]
    assert systems.searcher("one + two").indexes == tuple(indexes)
    assert systems.number_of(systems.searcher("two")) == 1
    assert systems.apart == ""
    assert list(Systems(indexes[:1]).searchers) == ["one"]


def test_indexes_of_different_libraries_stand_apart(indexes: list[Index], tmp_path: Path) -> None:
    library = tmp_path / "other"
    write_sound(library / "a.wav", chirp(1))
    checkpoint = write_checkpoint(tmp_path / "best.ckpt")
    build_index(library, tmp_path / "one", checkpoint, jobs=1, progress=False)
    systems = Systems([indexes[0], Index.open(tmp_path / "one", threads=1)])
    names = list(systems.searchers)
    assert len(set(names)) == 2  # of the same name, told apart by the folders around them
    assert all(name.endswith("/one") for name in names)
    assert "different libraries" in systems.apart


def test_an_index_given_twice_is_there_once(root: Path) -> None:
    systems = Systems.open([root / "one", root / "two" / ".." / "one"])
    assert list(systems.searchers) == ["one"]


def test_a_new_build_is_searched_from_when_it_ends(tmp_path: Path) -> None:
    library = tmp_path / "library"
    write_sound(library / "a.wav", chirp(1))
    folders = [tmp_path / "one", tmp_path / "two"]
    checkpoints = [write_checkpoint(tmp_path / f"{seed}.ckpt", seed=seed) for seed in range(2)]

    def build(number: int) -> None:
        build_index(library, folders[number], checkpoints[number], jobs=1, progress=False)

    build(0)
    build(1)
    live = LiveSystems(Systems.open(folders))
    before = live.now()
    assert live.now() is before
    build(0)  # nothing is new
    assert live.now() is before
    write_sound(library / "b.wav", chirp(2))
    build(0)
    apart = live.now()
    assert [index.sounds for index in apart.indexes] == [2, 1]
    assert apart.indexes[1] is before.indexes[1]
    with pytest.raises(ConfigError, match=r"choose one or two\. .* different states"):
        apart.searcher("one + two")
    build(1)
    together = live.now()
    assert len(together.searcher("one + two").search(chirp(2), RATE)) == 2
    assert [index.sounds for index in before.indexes] == [1, 1]  # a search that is under way


def test_an_index_that_is_damaged_meanwhile_is_searched_as_it_was(tmp_path: Path) -> None:
    write_sound(tmp_path / "library" / "a.wav", chirp(1))
    checkpoint = write_checkpoint(tmp_path / "best.ckpt")
    build_index(tmp_path / "library", tmp_path / "one", checkpoint, jobs=1, progress=False)
    live = LiveSystems(Systems.open([tmp_path / "one"]))
    before = live.now()
    manifest = tmp_path / "one" / "index.json"
    manifest.write_text("half")
    assert live.now() is before
    manifest.unlink()
    assert live.now() is before
    write_sound(tmp_path / "library" / "b.wav", chirp(2))
    checkpoint = write_checkpoint(tmp_path / "best.ckpt")
    build_index(tmp_path / "library", tmp_path / "one", checkpoint, jobs=1, progress=False)
    opened = Index.open
    with pytest.MonkeyPatch.context() as patch:  # an error that passes
        patch.setattr(Index, "open", lambda folder: opened(folder / "not yet"))
        assert live.now() is before
    assert live.now().indexes[0].sounds == 2
    assert len(before.searcher("one").search(chirp(1), RATE)) == 1


@pytest.mark.parametrize("name", ["three", "", None, 1, ["one"]])
def test_unknown_systems_are_refused(indexes: list[Index], name: object) -> None:
    with pytest.raises(ConfigError, match="choose one or two or one \\+ two"):
        Systems(indexes).searcher(name)


def test_the_commonest_tags_are_offered(indexes: list[Index]) -> None:
    systems = Systems(indexes)
    assert systems.tags(10) == ["drums", "house", "kick drums", "odd", "snares"]
    assert set(systems.tags(2)) == {"house", "odd"}


def test_a_place_is_a_path_and_a_time() -> None:
    assert Place.of({"sound": "a.wav", "start": 2}) == Place("a.wav", 2.0)


@pytest.mark.parametrize(
    "value",
    [
        None,
        "a.wav",
        [],
        {},
        {"sound": "a.wav"},
        {"sound": 3, "start": 0},
        {"sound": "a.wav", "start": "0"},
        {"sound": "a.wav", "start": -0.1},
        {"sound": "a.wav", "start": float("nan")},
        {"sound": "a.wav", "start": float("inf")},
    ],
)
def test_anything_else_is_no_place(value: object) -> None:
    with pytest.raises(ConfigError, match="names no sound"):
        Place.of(value)


def test_limits_are_checked() -> None:
    assert Limits(10, 0.5).bytes == 500_000
    for seconds in (0, -1, 61, float("nan")):
        with pytest.raises(ConfigError, match="--max-seconds"):
            Limits(seconds=seconds)
    for megabytes in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ConfigError, match="--max-megabytes"):
            Limits(megabytes=megabytes)
