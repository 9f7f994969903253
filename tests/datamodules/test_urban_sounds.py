"""Urban sounds: folds, and what a broken corpus says."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from labelled_corpora import write_urban

from vocalsketch.datamodules import UrbanSoundDataModule
from vocalsketch.errors import AudioError, ConfigError, DatasetError
from vocalsketch.features.mel import RecordingLogMel

SMALL = RecordingLogMel(
    sample_rate=16_000, seconds=0.4, window=133, bands=39, maximum_frequency=5_000.0, frames=48
)


@pytest.fixture
def urban(tmp_path: Path) -> Path:
    return write_urban(tmp_path / "urban")


def module(root: Path, **options: object) -> UrbanSoundDataModule:
    return UrbanSoundDataModule(
        str(root), **{"front_end": SMALL, "batch_size": 8, "jobs": 1, **options}
    )


def folds(data: UrbanSoundDataModule, part: str) -> set[int]:
    ids = set(data.parts[part])
    return {int(clip.group) for clip in data.corpus.clips if clip.id in ids}


def test_one_fold_tests_and_the_others_train(urban: Path) -> None:
    data = module(urban, fold=2)
    assert (folds(data, "train"), folds(data, "test")) == ({1, 3}, {2})
    assert not data.validates


def test_a_validation_fold_is_taken_from_those_that_train(urban: Path) -> None:
    data = module(urban, fold=2, validation_fold=3)
    assert [folds(data, part) for part in ("train", "validation", "test")] == [{1}, {3}, {2}]


def test_labels_follow_the_class_ids(urban: Path) -> None:
    data = module(urban, fold=1)
    data.setup("test")
    batch = next(iter(data.test_dataloader()))
    assert data.classes == ("hum", "siren")
    # ids sort as 1000-0.., 1000-1.., 1001-0.., 1001-1..
    assert batch.labels.tolist() == [0, 1, 0, 1]
    loudest = batch.features.mean(dim=2).argmax(dim=1)
    assert loudest[[0, 2]].max() < loudest[[1, 3]].min()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fold": 0}, "fold is 0: UrbanSound8K has folds 1 to 10"),
        ({"fold": 11}, "fold is 11"),
        ({"fold": 2, "validation_fold": 2}, "validation_fold and fold are both 2"),
        ({"fold": 2, "validation_fold": 12}, "fold is 12"),
    ],
)
def test_folds_out_of_range_are_refused(urban: Path, options: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        _ = module(urban, **options).parts


def test_a_fold_without_clips_is_refused(urban: Path) -> None:
    with pytest.raises(DatasetError, match="Fold 7 .* folds with clips are 1, 2, 3"):
        _ = module(urban, fold=7).parts


def test_validation_is_refused_where_nothing_is_kept_for_it(urban: Path) -> None:
    with pytest.raises(ConfigError, match="No clips are kept for validation"):
        module(urban).val_dataloader()


def test_a_row_whose_file_is_gone_is_an_error_or_is_listed(urban: Path) -> None:
    gone = next((urban / "audio" / "fold3").iterdir())
    gone.unlink()
    with pytest.raises(DatasetError, match=f"lacks 1 of the 12 files.*fold3/{gone.name}"):
        _ = module(urban).corpus
    data = module(urban, on_bad_audio="skip")
    assert len(data.parts["train"]) == 7
    assert data.skipped("train") == {"file is missing": (f"fold3/{gone.name}",)}


def test_a_file_without_samples_is_an_error_or_is_listed(urban: Path) -> None:
    path = sorted((urban / "audio" / "fold3").iterdir())[0]
    soundfile.write(path, np.zeros(0), 8000)
    with pytest.raises(AudioError, match=r"holds no samples"):
        module(urban).setup("fit")
    data = module(urban, on_bad_audio="skip")
    data.setup("fit")
    assert sum(len(batch.labels) for batch in data.train_dataloader()) == 7
    assert data.skipped("train") == {"unreadable audio": (str(path),)}
