"""Languages: who trains and who tests, and what a broken corpus says."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from labelled_corpora import write_languages

from vocalsketch.datamodules import LanguageDataModule
from vocalsketch.errors import AudioError, DatasetError
from vocalsketch.features.mel import ImitationLogMel

SMALL = ImitationLogMel(seconds=0.4, frames=48)


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    return write_languages(tmp_path / "speech")


def module(root: Path, **options: object) -> LanguageDataModule:
    values = {"languages": ["en", "nl"], "front_end": SMALL, "batch_size": 8, "jobs": 1}
    return LanguageDataModule(str(root), **{**values, **options})


def speakers(data: LanguageDataModule, part: str) -> set[str]:
    ids = set(data.parts[part])
    return {clip.group for clip in data.corpus.clips if clip.id in ids}


def test_no_speaker_stands_in_two_parts(speech: Path) -> None:
    data = module(speech, test_share=0.25, validation_share=0.34)
    parts = [speakers(data, part) for part in ("train", "validation", "test")]
    assert [len(part) for part in parts] == [4, 2, 2]
    assert len(set.union(*parts)) == 8
    assert sum(len(ids) for ids in data.parts.values()) == 16


def test_labels_are_the_languages_in_the_order_of_the_config(speech: Path) -> None:
    data = module(speech, languages=["nl", "en"])
    assert data.classes == ("nl", "en")
    data.setup("test")
    labels = torch.cat([batch.labels for batch in data.test_dataloader()])
    clips = data._opened["test"].records
    named = {(clip.label, int(label)) for clip, label in zip(clips, labels, strict=True)}
    assert named == {("nl", 0), ("en", 1)}


def test_every_training_clip_is_in_an_epoch_once_with_its_label(speech: Path) -> None:
    data = module(speech, test_share=0.25)
    data.prepare_data()
    data.setup("fit")
    batches = list(data.train_dataloader())
    assert [len(batch.labels) for batch in batches] == [8, 4]
    features = torch.cat([batch.features for batch in batches])
    labels = torch.cat([batch.labels for batch in batches])
    assert features.shape == (12, *data.input_shape) == (12, 39, 48)
    assert labels.bincount().tolist() == [6, 6]
    # English is the lower tone, so its loudest band is lower for every clip
    loudest = features.mean(dim=2).argmax(dim=1)
    assert loudest[labels == 0].max() < loudest[labels == 1].min()


def test_fit_opens_no_test_clip(speech: Path) -> None:
    data = module(speech)
    tested = set(data.parts["test"])
    for clip in data.corpus.clips:
        if clip.id in tested:
            clip.path.write_bytes(b"no audio")
    data.prepare_data()
    data.setup("fit")
    assert sum(len(batch.labels) for batch in data.train_dataloader()) == 16 - len(tested)
    with pytest.raises(AudioError, match=f"{len(tested)} audio files cannot be used"):
        data.setup("test")


@pytest.mark.parametrize(
    ("rate", "channels", "subtype"),
    [(96_000, 1, "PCM_16"), (44_100, 2, "PCM_16"), (8_000, 1, "PCM_U8")],
    ids=["96 kHz", "stereo", "8 bit"],
)
def test_any_rate_channels_and_depth_are_read(
    speech: Path, rate: int, channels: int, subtype: str
) -> None:
    path = speech / "en" / "enperson0-20200101-abc" / "wav" / "0.wav"
    waveform = 0.5 * np.sin(2 * np.pi * 400 * np.arange(int(0.3 * rate)) / rate)
    soundfile.write(path, np.repeat(waveform[:, None], channels, axis=1), rate, subtype=subtype)
    data = module(speech)
    sources = [clip.path for clip in data.corpus.clips]
    table = data.store.fill(sources, SMALL, jobs=1, progress=False)
    found = table[path].mean(axis=1).argmax()
    other = table[path.with_name("1.wav")].mean(axis=1).argmax()  # of a tone 1 Hz apart
    assert found == other


def test_unreadable_clips_stop_or_are_left_out_and_named(speech: Path) -> None:
    data = module(speech)
    broken = data.corpus.root / data.parts["train"][0].replace("abc/", "abc/wav/")
    broken.write_bytes(b"no audio")
    with pytest.raises(AudioError, match="1 audio files cannot be used"):
        data.prepare_data()
    lenient = module(speech, on_bad_audio="skip")
    lenient.setup("fit")
    rows = sum(len(batch.labels) for batch in lenient.train_dataloader())
    assert rows == len(data.parts["train"]) - 1
    assert lenient.skipped("train")["unreadable audio"] == (str(broken),)


def test_a_language_without_a_usable_clip_is_named(speech: Path) -> None:
    for path in (speech / "nl").rglob("*.wav"):
        path.write_bytes(b"")
    with pytest.raises(DatasetError, match=r"No usable clip of nl.*8 x zero-byte file"):
        _ = module(speech).corpus


def test_a_part_of_which_nothing_can_be_read_is_refused(speech: Path) -> None:
    for path in speech.rglob("*.wav"):
        path.write_bytes(b"no audio")
    data = module(speech, on_bad_audio="skip")
    with pytest.raises(DatasetError, match=r"None of the \d+ train clips"):
        data.setup("fit")
