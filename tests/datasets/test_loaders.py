"""What every layout and its loader keep to: one contract over all of them."""

import re
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import published_trees as trees
import pytest

from vocalsketch.datasets.labelled import load_urbansound8k, load_voxforge
from vocalsketch.datasets.open import LAYOUTS, layout_of, open_corpus, take_inventory
from vocalsketch.errors import DatasetError

Write = Callable[[Path], Path]
CORPORA: list[tuple[str, str, Write, int, int]] = [  # layout, name, tree, sounds, imitations
    ("vocalsketch", "vocalsketch", trees.write_vocalsketch, 8, 16),
    ("vocalsketch", "demo", trees.write_demo, 8, 16),
    ("vimsketch", "vimsketch", trees.write_vimsketch, 8, 24),
    ("vocal-imitation-set", "vocal-imitation-set", trees.write_vocal_imitation_set, 9, 6),
    ("qvim-dev", "qvim-dev", trees.write_qvim, 4, 8),
    ("folder", "folder", trees.write_folder, 4, 8),
    ("csv", "folder", trees.write_csv, 4, 4),
]
CLIPS: list[tuple[str, Write]] = [
    ("voxforge", trees.write_voxforge),
    ("voxforge", lambda root: trees.write_voxforge(root, mirrored=True)),
    ("urbansound8k", trees.write_urbansound8k),
    ("urbansound8k", lambda root: trees.write_urbansound8k(root, mirrored=True)),
]


@pytest.mark.parametrize(("layout", "name", "write", "sounds", "imitations"), CORPORA)
def test_a_corpus_is_recognised_and_read(
    tmp_path: Path, layout: str, name: str, write: Write, sounds: int, imitations: int
) -> None:
    root = write(tmp_path)
    recognised = [each.name for each in LAYOUTS if each.recognises(root) == 1.0]
    assert recognised == [layout]
    corpus = open_corpus(root)
    assert (corpus.name, corpus.missing) == (name, {})
    assert (len(corpus.sounds), len(corpus.imitations)) == (sounds, imitations)
    ids = [sound.id for sound in corpus.sounds]
    assert len(set(ids)) == len(ids)
    assert [(s.category, s.id) for s in corpus.sounds] == sorted(
        (s.category, s.id) for s in corpus.sounds
    )
    assert {each.sound_id for each in corpus.imitations} <= set(ids)
    assert len({each.id for each in corpus.imitations}) == imitations
    assert all(record.path.is_file() for record in (*corpus.sounds, *corpus.imitations))
    assert open_corpus(root) == corpus
    inventory = take_inventory(root)
    assert (inventory.corpus.name, len(inventory.files)) == (name, sounds + imitations)


@pytest.mark.parametrize(("layout", "name", "write", "sounds", "imitations"), CORPORA)
def test_every_absent_file_is_named_or_skipped(
    tmp_path: Path, layout: str, name: str, write: Write, sounds: int, imitations: int
) -> None:
    root = write(tmp_path)
    whole = open_corpus(root)
    gone = whole.imitations[0], whole.imitations[-1]
    for each in gone:
        each.path.unlink()
    if layout != "folder":  # a folder holds what it holds
        with pytest.raises(DatasetError) as raised:
            open_corpus(root)
        assert all(each.path.name in str(raised.value) for each in gone)
        assert "on_bad_audio to skip" in str(raised.value)
    kept = {each.id for each in open_corpus(root, on_bad_audio="skip").imitations}
    assert kept == {each.id for each in whole.imitations} - {each.id for each in gone}


@pytest.mark.parametrize(("layout", "write"), CLIPS)
def test_single_clips_are_recognised_and_read(tmp_path: Path, layout: str, write: Write) -> None:
    root = write(tmp_path)
    found = layout_of(root)
    assert found is not None
    assert found.name == layout
    if layout == "voxforge":
        clips = load_voxforge(root, ["nl", "en"]).clips
    else:
        clips = load_urbansound8k(root).clips  # type: ignore[assignment]  # the same in what is used
    ids = [clip.id for clip in clips]
    assert ids == sorted(set(ids))
    assert len(ids) == 4
    assert all(clip.path.is_file() for clip in clips)
    assert len(take_inventory(root).files) == 4
    with pytest.raises(DatasetError, match=f"{found.title}, which holds no vocal imitations"):
        open_corpus(root)


@pytest.mark.parametrize(
    ("name", "beginning"),
    [
        ("vocalsketch", "VocalSketch:"),
        ("imitation_sets", "- VimSketch:"),
        ("imitation_sets", "- The Vocal Imitation Set:"),
        ("imitation_sets", "- QVIM-dev:"),
        ("labelled", "- UrbanSound8K:"),
        ("labelled", "- VoxForge:"),
    ],
)
def test_a_loader_says_whose_the_data_are_and_under_which_licence(
    name: str, beginning: str
) -> None:
    text = import_module(f"vocalsketch.datasets.{name}").__doc__ or ""
    said = text[text.index(beginning) :].partition("\n- ")[0]
    assert re.search(r"CC BY|GPL|licence", said)
    assert re.search(r"doi:|http|DCASE|challenge", said)


def test_real_material_is_recognised(shared: Path) -> None:
    folder = shared / "data"
    names = {"vocalsketch", "voxforge", "urbansound8k"}
    layouts = {name: layout_of(folder / name) for name in names}
    assert {name: layout.name for name, layout in layouts.items() if layout} == {
        name: name for name in names
    }


@pytest.mark.parametrize("write", [trees.write_vimsketch, trees.write_vocal_imitation_set])
def test_a_tree_of_other_capitals_and_suffixes_is_the_same(tmp_path: Path, write: Write) -> None:
    root = write(tmp_path)
    whole = open_corpus(root)
    for table in (*root.glob("*_file_names.csv"), *root.glob("original*.txt")):
        table.unlink()
    for file in list(root.rglob("*.wav")):
        file.rename(file.with_suffix(".WAV"))
    for folder in [each for each in root.iterdir() if each.is_dir()]:
        folder.rename(root / folder.name.upper())
    (root / "outside").mkdir()
    other = open_corpus(root)
    lowered = [(each.id.lower(), each.category) for each in other.sounds]
    assert lowered == [(each.id.lower(), each.category) for each in whole.sounds]
    assert len(other.imitations) == len(whole.imitations)


def test_sounds_that_are_no_part_of_a_data_set_are_said(tmp_path: Path) -> None:
    root = trees.write_vocal_imitation_set(tmp_path)
    trees.tone(root / "extra.WAV", 200.0)
    (root / "._extra.wav").touch()
    inventory = take_inventory(root)
    assert "extra.WAV" in inventory.left_out["sounds in its folder that are no part of it"]
    assert inventory.others[".wav (hidden)"] == 1
    assert inventory.others[".txt"] == 2
