"""Batches of imitations for a system that learns without labels."""

import shutil

from vocalsketch.datamodules import ImitationsDataModule


def test_it_trains_on_the_training_imitations_and_opens_nothing_of_the_test_half(
    folder_corpus, tmp_path
):
    root = shutil.copytree(folder_corpus, tmp_path / "corpus")
    for path in (*root.glob("sounds/*/*[23].wav"), *root.glob("imitations/*[23]/*.wav")):
        path.write_bytes(b"not audio")
    data = ImitationsDataModule(str(root), batch_size=3, seed=0, jobs=1)
    data.prepare_data()
    data.setup("fit")
    batches = list(data.train_dataloader())
    # two development sounds in each of two categories; two of their three imitations train
    assert [len(batch.features) for batch in batches] == [3, 3, 2]
    assert batches[0].side == "imitation"
    assert batches[0].features.shape[1:] == (72, 129)
    ids = [data.records("imitation", "train")[row].id for batch in batches for row in batch.rows]
    assert sorted(ids) == sorted(data.split.train_imitations)
