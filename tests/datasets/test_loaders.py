"""What every loader of a published corpus of single clips keeps to."""

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from vocalsketch.datasets import urbansound8k, voxforge
from vocalsketch.datasets.urbansound8k import UrbanSoundCorpus, load_urbansound8k
from vocalsketch.datasets.voxforge import SpeechCorpus, load_voxforge

Loader = Callable[[Path], SpeechCorpus | UrbanSoundCorpus]
LOADERS = [(voxforge, load_voxforge), (urbansound8k, load_urbansound8k)]


@pytest.mark.parametrize(("module", "load"), LOADERS)
def test_a_module_says_where_its_data_come_from(module: ModuleType, load: Loader) -> None:
    assert module.__name__.rpartition(".")[2] == module.NAME
    assert module.SOURCE.startswith("http")
    assert module.LICENSE.startswith(("CC", "GPL"))
    assert len(module.CITATION) > 40


@pytest.mark.parametrize(("module", "load"), LOADERS)
def test_ids_are_unique_and_sorted_and_files_exist(
    module: ModuleType, load: Loader, shared: Path
) -> None:
    corpus = load(shared / "data" / module.NAME)
    ids = [clip.id for clip in corpus.clips]
    assert corpus.name == module.NAME
    assert ids == sorted(set(ids))
    assert all(clip.path.is_file() for clip in corpus.clips)
    assert load(shared / "data" / module.NAME) == corpus
