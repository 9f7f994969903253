"""One corpus that trains and another that tests, and a second set of imitations."""

from pathlib import Path

import published_trees as trees
import pytest

from vocalsketch.datamodules import ContrastiveDataModule, ImitationsDataModule, PairsDataModule
from vocalsketch.features.cqt import CQT

ENDS = {side: CQT(seconds=0.21) for side in ("imitation_front_end", "recording_front_end")}


@pytest.mark.parametrize("kind", [ContrastiveDataModule, ImitationsDataModule, PairsDataModule])
def test_qvim_develops_on_one_corpus_and_ranks_all_items_of_the_other(
    kind: type, tmp_path: Path
) -> None:
    train, test = trees.write_vimsketch(tmp_path / "v"), trees.write_qvim(tmp_path / "q")
    with (test / "DEV Dataset.csv").open("a") as table:
        table.write("nobody's,Class 0,alone.wav,,,\n")
    trees.tone(test / "Items/Class 0/alone.wav", 700.0)
    data = kind(str(train), test_root=str(test), split="qvim", seed=0, jobs=1, **ENDS)
    data.setup("fit")
    data.setup("test")
    assert all("vimsketch/" in sound.id for sound in data.clips("recording", "validation").records)
    tested = data.evaluation_set("test")
    (category,) = tested.categories()
    # one that nobody imitates is a candidate too
    assert [len(each) for each in category[1:]] == [8, 5]
    assert tested.split.corpus == "vimsketch+qvim-dev"


def test_the_second_set_is_added_where_it_is_asked_for(tmp_path: Path) -> None:
    root = str(trees.write_vocalsketch(tmp_path / "s", second_set=True))
    assert len(ImitationsDataModule(root).corpus.imitations) == 16
    assert len(ImitationsDataModule(root, second_set=True).corpus.imitations) == 24
