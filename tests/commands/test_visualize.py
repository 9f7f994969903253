"""`vocalsketch visualize` and `vocalsketch explain`, from checkpoint to page."""

import argparse
import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from vocalsketch.commands import explain, visualize
from vocalsketch.commands.actions import declare
from vocalsketch.domain import SIDES
from vocalsketch.errors import CheckpointError, ConfigError, StorageError, VocalSketchError
from vocalsketch.features.mel import LogMel
from vocalsketch.models.tower import Classifier, ConvStage, TowerGeometry
from vocalsketch.systems import load_system
from vocalsketch.systems.ensemble import Ensemble
from vocalsketch.systems.siamese import Siamese, SiameseGeometry

FRONT_END = LogMel(4000, 0.5, 40, 12, 0.0, 2000.0, 20)
TOWER = TowerGeometry([ConvStage(4, (3, 3), (2, 2)), ConvStage(5, (2, 3))])


def save(path: Path, prefix: str, network: torch.nn.Module, described: dict) -> Path:
    path.parent.mkdir(parents=True)
    weights = {f"{prefix}.{name}": value for name, value in network.state_dict().items()}
    made = {"description": described, "provenance": {"corpus": "demo"}}
    torch.save({"state_dict": weights, "vocalsketch": made}, path)
    return path


@pytest.fixture
def siamese(tmp_path: Path) -> Path:
    geometry = SiameseGeometry((12, 20), (12, 20), TOWER, TOWER, hidden=(8,))
    torch.manual_seed(0)
    network = Siamese(dict.fromkeys(SIDES, FRONT_END), geometry)
    path = tmp_path / "plain" / "checkpoints" / "best.ckpt"
    return save(path, "system", network, network.description())


@pytest.fixture
def classifier(tmp_path: Path) -> Path:
    made = {
        "system": "classifier",
        "side": "imitation",
        "input_shape": [12, 20],
        "tower": asdict(TOWER),
        "classes": ["nl", "en", "fr"],
        "front_end": FRONT_END.describe(),
    }
    network = Classifier((12, 20), TOWER, 3, (6,))
    return save(tmp_path / "languages" / "checkpoints" / "best.ckpt", "network", network, made)


def run(command, *arguments: object) -> int:
    parser = argparse.ArgumentParser()
    declare(parser, command)
    status: int = command.run(parser.parse_args([str(each) for each in arguments]))
    return status


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Two sounds of one category, each with an imitation."""
    time = np.arange(2400) / 4000
    root = tmp_path / "corpus"
    for name, hertz in (("low", 150), ("high", 1200)):
        for folder in (root / "sounds" / "tones", root / "imitations" / name):
            folder.mkdir(parents=True, exist_ok=True)
        tone = 0.5 * np.sin(2 * np.pi * hertz * time)
        soundfile.write(root / "sounds" / "tones" / f"{name}.wav", tone, 4000)
        soundfile.write(root / "imitations" / name / "1.wav", 0.8 * tone, 4000)
    return root


def test_one_checkpoint_becomes_figures_sounds_and_a_page(siamese, tmp_path, corpus, capsys):
    out = tmp_path / "out"
    chosen = ("--layers", "conv1,fc1", "--units", 2, "--steps", 20, "--corpus", corpus)
    assert run(visualize, siamese, "--out", out, *chosen) == 0
    names = ("figure7_imitation_tower", "figure8_recording_tower", "figure9_pairs")
    for name in names:
        assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (out / f"{name}.svg").read_text()
    sounds = sorted(path.name for path in (out / "sounds" / "plain").iterdir())
    assert len(sounds) == 2 + 2 + 2 * 2
    assert sum("fc1" in name and "recording" in name for name in sounds) == 2
    for name in sounds:
        waveform, rate = soundfile.read(out / "sounds" / "plain" / name)
        assert rate == 4000
        assert len(waveform) == 19 * 40
        assert np.abs(waveform).max() == pytest.approx(0.7, abs=1e-3)
    html = (out / "page.html").read_text()
    assert html.count("data:image/png") == 6
    assert html.count("data:audio/wav") == len(sounds)
    for said in ("corpus=demo (synthetic", "highest of 2 real clips", "has not risen by 0.1 %"):
        assert said in html
    printed = capsys.readouterr().out
    assert "plain, pair fc1: 2 patterns" in printed
    assert "corpus=demo" in printed


def test_two_checkpoints_stand_side_by_side_with_the_same_units(siamese, tmp_path):
    out = tmp_path / "out"
    names = ("--names", "without pre-training,with pre-training")
    chosen = ("--layers", "conv1,conv2", "--only", "3,0", "--part", "recording", "--steps", 5)
    run(visualize, siamese, siamese, "--out", out, *names, *chosen)
    assert re.findall(r"<h2>(.*)</h2>", (out / "page.html").read_text()) == [
        f"{name} pre-training: {layer}, recording tower"
        for layer in ("conv1", "conv2")
        for name in ("without", "with")
    ]
    svg = (out / "figure8_recording_tower.svg").read_text()
    for name in ("without pre-training", "with pre-training"):
        assert f"{name} (corpus=demo)" in svg
        folder = out / "sounds" / name
        assert {path.name for path in folder.iterdir()} == {
            f"recording_{layer}_00{unit}.wav" for layer in ("conv1", "conv2") for unit in (0, 3)
        }
    assert not (out / "figure7_imitation_tower.svg").exists()


def test_a_pretrained_tower_can_be_looked_into(classifier, tmp_path):
    out = tmp_path / "out"
    run(visualize, classifier, "--out", out, "--units", 1, "--steps", 5)
    svg = (out / "figure7_imitation_tower.svg").read_text()
    assert [layer in svg for layer in ("conv1, unit", "conv2, unit", "fc1, unit")] == [True] * 3
    assert "languages (corpus=demo)" in svg


def test_the_same_seed_writes_the_same_pictures_and_sounds(siamese, tmp_path):
    def written(folder: str, *more: object) -> dict[str, bytes]:
        out = tmp_path / folder
        chosen = ("--layers", "conv1", "--units", 1, "--part", "imitation", "--steps", 30)
        run(visualize, siamese, "--out", out, *chosen, *more)
        return {str(path.relative_to(out)): path.read_bytes() for path in out.rglob("*.*")}

    first, again = written("first", "--seed", 1), written("again", "--seed", 1)
    assert first == again
    assert written("other", "--seed", 2) != first


def test_everything_is_logged_to_wandb_where_asked(siamese, tmp_path, monkeypatch):
    logged: list[dict] = []

    class Experiment:
        def log(self, values: dict) -> None:
            logged.append(values)

    monkeypatch.setattr(
        "vocalsketch.callbacks.wandb_tracker.WandbTracker.experiment", Experiment(), raising=False
    )
    chosen = ("--layers", "conv1", "--units", 1, "--part", "imitation", "--steps", 2)
    run(visualize, siamese, "--out", tmp_path / "out", *chosen, "--wandb")
    (values,) = logged
    assert set(values) == {"visualize/figure7_imitation_tower", "visualize/page"}


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        (("--layers", "conv1,conv7"), ConfigError, "'conv7': the layers are conv1, conv2, fc1"),
        (("--units", "5"), ConfigError, "conv1 has 4: ask for 1 to 4"),
        (("--only", "4"), ConfigError, "There is no unit 4 in conv1: its units are 0 to 3"),
        (("--only", "a"), ConfigError, "--only is 'a'"),
        (("--position", "1,2,3"), ConfigError, "give BIN,FRAME"),
        (("--position", "10,0"), ConfigError, "its channels are 10 x 18"),
        (("--steps", "0"), ConfigError, "steps is 0"),
        (("--slope", "2"), ConfigError, "slope is 2.0"),
        (("--names", "a,b"), ConfigError, "give 1 that differ"),
        (("--device", "abacus"), ConfigError, "--device is 'abacus'"),
    ],
)
def test_what_cannot_be_done_is_refused_before_any_work(siamese, tmp_path, arguments, error, said):
    out = tmp_path / "out"
    with pytest.raises(error) as refused:
        run(visualize, siamese, "--out", out, *arguments)
    assert said in str(refused.value)
    assert not out.exists()


def test_a_folder_that_cannot_be_written_is_refused_before_any_ascent(siamese, tmp_path, capsys):
    out = tmp_path / "file"
    out.write_text("kept")
    with pytest.raises(StorageError, match="Cannot write"):
        run(visualize, siamese, "--out", out)
    assert "step" not in capsys.readouterr().err  # no bar of an ascent
    assert out.read_text() == "kept"


def test_checkpoints_without_a_tower_or_too_many_are_refused(siamese, classifier, tmp_path):
    other = save(
        tmp_path / "sae" / "best.ckpt", "system", torch.nn.Linear(1, 1), {"system": "imisound"}
    )
    for paths, error, said in (
        ([other], CheckpointError, "what it says of its network cannot be used"),
        ([tmp_path / "none.ckpt"], CheckpointError, "No checkpoint at"),
        ([siamese] * 3, ConfigError, "3 checkpoints are given"),
        ([siamese, classifier], ConfigError, "have different layers"),
    ):
        with pytest.raises(error, match=re.escape(said)):
            run(visualize, *paths, "--out", tmp_path / "out")


def test_explain_writes_what_spoke_for_and_against_a_pair(siamese, tmp_path, corpus, capsys):
    query = corpus / "imitations" / "low" / "1.wav"
    sound = corpus / "sounds" / "tones" / "high.wav"
    run(explain, query, sound, "--checkpoint", siamese, "--out", tmp_path / "why")
    html = (tmp_path / "why" / "explanation.html").read_text()
    assert html.count("data:image/png") == html.count("data:audio/wav") == 2
    assert "Why high.wav for 1.wav" in html
    likelihood = re.search(r"Likelihood (\d\.\d{3})", html)
    assert likelihood is not None
    assert f"likelihood {likelihood[1]} (corpus=demo" in capsys.readouterr().out


def test_contours_are_explained_without_any_training(tmp_path, corpus, capsys):
    query = corpus / "imitations" / "low" / "1.wav"
    sound = corpus / "sounds" / "tones" / "high.wav"
    run(explain, query, sound, "--system", "contours", "--out", tmp_path / "why")
    assert "Distance" in (tmp_path / "why" / "explanation.html").read_text()
    assert re.match(r"distance \d+\.\d{3}: ", capsys.readouterr().out)


def test_an_ensemble_is_explained_part_by_part(siamese, tmp_path, corpus, capsys):
    both = Ensemble([load_system(siamese), load_system("contours")])
    both.save(tmp_path / "both.safetensors")
    clip = corpus / "imitations" / "low" / "1.wav"
    run(explain, clip, clip, "--system", tmp_path / "both.safetensors", "--out", tmp_path / "why")
    html = (tmp_path / "why" / "explanation.html").read_text()
    assert re.findall(r"<h2>(.*)</h2>", html) == [
        f"What the system used: part {number} of 2" for number in (1, 2)
    ]
    assert "Likelihood" in html
    assert "Distance" in html
    assert capsys.readouterr().out.startswith("distance ")


def test_explain_refuses_what_is_no_audio(siamese, tmp_path):
    with pytest.raises(VocalSketchError, match=r"nothing\.wav"):
        missing = tmp_path / "nothing.wav"
        run(explain, missing, missing, "--checkpoint", siamese, "--out", tmp_path)
