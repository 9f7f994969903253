"""A search with the default system by its model on onnxruntime, beside one by torch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from vocalsketch.datasets.synthetic.procedural import procedural_sound
from vocalsketch.datasets.synthetic.sounds import SAMPLE_RATE
from vocalsketch.search import Index, Searcher, build_index
from vocalsketch.search.index import ear_of
from vocalsketch.search.library import index_of, is_current
from vocalsketch.systems import load_system
from vocalsketch.voice.imitate import imitate, listen
from vocalsketch.voice.people import anyone

SEARCH = """
import sys
from vocalsketch.cli import main
status = main(["search", *sys.argv[1:], "--json", "--top", "16"])
print(sorted({"torch", "pandas", "scipy"} & set(sys.modules)), file=sys.stderr)
sys.exit(status)
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen sounds, indexed in a cache folder beside them, and imitations of three."""
    folder, rng = tmp_path_factory.mktemp("start"), np.random.default_rng(1)
    (folder / "sounds/kept").mkdir(parents=True)
    for number in range(16):
        sound = procedural_sound(rng)[: 2 * SAMPLE_RATE]
        soundfile.write(folder / f"sounds/kept/{number}.wav", sound, SAMPLE_RATE)
        if number < 3:
            sung = np.pad(imitate(listen(sound, SAMPLE_RATE), anyone(rng), rng), 8_000)
            soundfile.write(folder / f"{number}.wav", sung, 16_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VOCALSKETCH_CACHE", str(folder / "cache"))
        build_index(folder / "sounds", indexed(folder / "sounds"), progress=False)
    return folder / "sounds"


def indexed(library: Path) -> Path:
    return index_of(library, load_system("default").fingerprint)


def by_torch(index: Path) -> Searcher:
    opened = Index.open(index)
    opened.listener = opened.system
    return Searcher([opened])


def test_a_search_from_the_shell_imports_no_torch_and_ranks_as_torch_does(library: Path) -> None:
    environment = {**os.environ, "VOCALSKETCH_CACHE": str(library.parent / "cache")}
    command = [sys.executable, "-c", SEARCH, str(library.parent / "0.wav")]
    command += ["--library", str(library)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr.splitlines()[-1] == "[]"

    (index,) = (library.parent / "cache/indexes").iterdir()
    expected = by_torch(index).search(*soundfile.read(library.parent / "0.wav"), 16)
    found = json.loads(done.stdout)
    assert [hit["path"] for hit in found] == [hit.path for hit in expected]
    np.testing.assert_allclose(
        [hit["score"] for hit in found], [hit.score for hit in expected], atol=5e-3
    )


@pytest.mark.parametrize("aspects", [{}, {"pitch": 0.0, "duration": 2.0}])
def test_ranks_and_scores_are_torchs_with_weighed_aspects_as_well(
    library: Path, aspects: dict[str, float]
) -> None:
    (index,) = (library.parent / "cache/indexes").iterdir()
    queries = [soundfile.read(library.parent / f"{number}.wav") for number in range(3)]
    by_model, reference = Searcher.open([index]), by_torch(index)
    assert by_model.aspects == reference.aspects
    for found, expected in zip(
        by_model.search_many(queries, 16, aspects=aspects),
        reference.search_many(queries, 16, aspects=aspects),
        strict=True,
    ):
        assert [hit.path for hit in found] == [hit.path for hit in expected]
        np.testing.assert_allclose(
            [hit.score for hit in found], [hit.score for hit in expected], atol=5e-3
        )


def test_the_shipped_model_is_the_shipped_systems(library: Path) -> None:
    system = load_system("default")
    ear = ear_of(system.fingerprint)
    assert ear is not None
    assert ear.kind == system.kind
    assert ear_of("0" * 16) is None
    waveform = soundfile.read(library.parent / "1.wav", dtype="float32")[0][4_000:]
    heard = system.hear_query(waveform, 16_000)
    np.testing.assert_allclose(ear.hear_query(waveform, 16_000), heard, rtol=1e-4, atol=5e-4)


def test_what_is_new_changed_or_gone_makes_an_index_old(tmp_path: Path) -> None:
    sounds, index = tmp_path / "sounds", tmp_path / "index"
    assert not is_current(sounds, index)
    sounds.mkdir()
    for name in "ab":
        soundfile.write(sounds / f"{name}.wav", procedural_sound(np.random.default_rng(0)), 16_000)
    build_index(sounds, index, "contours", progress=False)
    assert is_current(sounds, index)
    os.utime(sounds / "a.wav", (1, 1))
    assert not is_current(sounds, index)
    build_index(sounds, index, progress=False)
    assert is_current(sounds, index)
    (sounds / "b.wav").rename(sounds / "c.wav")
    assert not is_current(sounds, index)
    build_index(sounds, index, progress=False)
    assert is_current(sounds, index)
    (sounds / "c.wav").unlink()
    assert not is_current(sounds, index)
