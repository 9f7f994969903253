"""Exported models: the same function as the system's, whole or not at all."""

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx
import pytest
import soundfile
import torch
from scipy.ndimage import uniform_filter1d
from small_networks import chirp, siamese

from vocalsketch.cli import main
from vocalsketch.domain import SIDES
from vocalsketch.errors import ConfigError, StorageError
from vocalsketch.export import folder
from vocalsketch.export.folder import (
    Agreement,
    _disorder,
    agreement,
    export_system,
    run,
    trial_clips,
)
from vocalsketch.export.graph import graphs_of, with_precision
from vocalsketch.features.audible_mel import AudibleMel
from vocalsketch.features.audio import clip_of
from vocalsketch.features.contours import ContourFeatures
from vocalsketch.features.cqt import CQT
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.features.mel import ImitationLogMel, RecordingLogMel
from vocalsketch.models.encoder import EncoderGeometry
from vocalsketch.models.tower import ConvStage, TowerGeometry
from vocalsketch.systems import load_system
from vocalsketch.systems.baselines import Contours
from vocalsketch.systems.dual_encoder import DualEncoder
from vocalsketch.systems.ensemble import Ensemble
from vocalsketch.systems.siamese import Siamese, SiameseGeometry

STAGES = TowerGeometry([ConvStage(3, (3, 3), (8, 8)), ConvStage(2, (3, 3))], batch_norm=True)


def dual() -> DualEncoder:
    torch.manual_seed(0)
    geometry = EncoderGeometry((4, 6), places=4, width=8)
    ends = dict.fromkeys(SIDES, AudibleMel(seconds=1.0, bands=16))
    return DualEncoder(ends, geometry, frames=40).eval()


def iminet() -> Siamese:
    torch.manual_seed(0)
    end = CQT(seconds=1.05)
    geometry = SiameseGeometry(end.shape, end.shape, STAGES, STAGES, "tied", hidden=(8, 4))
    return siamese(geometry, end).eval()


def tl_iminet() -> Siamese:
    torch.manual_seed(0)
    ends = {"imitation": ImitationLogMel(), "recording": RecordingLogMel()}
    shapes = (ends[side].shape for side in SIDES)
    return Siamese(ends, SiameseGeometry(*shapes, STAGES, STAGES, hidden=(8,))).eval()


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of contours and a small dual encoder together, which the command makes."""
    contours = Contours(dict.fromkeys(SIDES, ContourFeatures(seconds=1.0)))
    folder = tmp_path_factory.mktemp("export")
    file = folder / "system.safetensors"
    Ensemble([contours, dual()]).save(file, {"corpus": "chirps", "licence": "CC0-1.0"})
    assert main(["export", str(file), "--out", str(folder / "models")]) == 0
    return folder / "models"


@pytest.mark.parametrize("make", [iminet, tl_iminet, dual])
def test_models_are_the_systems_function(make: object) -> None:
    system = make()
    clips = trial_clips(system, 6)
    assert agreement(system, graphs_of(system), clips).exact


def test_clips_of_any_number_level_and_length_are_heard(exported: Path) -> None:
    system = load_system(exported.parent / "system.safetensors")
    clips = np.stack([clip_of(chirp(n), 8000, system.front_ends["recording"]) for n in range(3)])
    clips[1, clips.shape[1] // 4 :] = 0.0  # ends long before the others
    expected = system.hear_cut("recording", torch.from_numpy(clips)).detach().numpy()
    model = onnx.load(exported / "recording.onnx")
    for number in (1, 3):
        np.testing.assert_allclose(
            run(model, waveforms=clips[:number] * 1e-4), expected[:number], rtol=1e-5, atol=1e-5
        )
    silent = np.zeros((1, clips.shape[1]), dtype=np.float32)
    assert np.isfinite(run(model, waveforms=silent)).all()


def test_the_models_say_what_they_are(exported: Path) -> None:
    about = json.loads((exported / "metadata.json").read_text())
    system = load_system(exported.parent / "system.safetensors")
    assert about["fingerprint"] == system.fingerprint
    assert (about["kind"], about["licence"], about["corpus"]) == ("distance", "CC0-1.0", "chirps")
    assert about["agreement"]["lowest_cosine"] >= 0.9999
    told = {
        each.key: json.loads(each.value)
        for each in onnx.load(exported / "imitation.onnx").metadata_props
    }
    assert told["sample_rate"] == 16_000
    assert told["samples"] == 16_000
    assert told["fingerprint"] == system.fingerprint
    for file in exported.glob("*.onnx"):  # nothing of the machine that made them
        assert str(Path(__file__).parents[2]).encode() not in file.read_bytes()


def test_the_readmes_python_gives_the_systems_scores(
    exported: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.copytree(exported, tmp_path, dirs_exist_ok=True)
    system, embeddings = load_system(exported.parent / "system.safetensors"), []
    for number, (side, name) in enumerate(zip(SIDES, ("sung.wav", "sound.wav"), strict=True)):
        soundfile.write(tmp_path / name, chirp(number), 8000, subtype="FLOAT")
        clip = clip_of(chirp(number).astype(np.float32), 8000, system.front_ends[side])
        embeddings.append(system.hear(side, torch.from_numpy(clip[None])))
    monkeypatch.chdir(tmp_path)
    code = re.search(r"```python\n(.*?)```", (exported / "README.md").read_text(), re.DOTALL)
    assert code is not None
    script = code[1].replace('json.load(open("metadata.json"))', "json.loads(TEXT)")
    exec(script, {"TEXT": (exported / "metadata.json").read_text()})
    printed = float(capsys.readouterr().out.strip(" []\n"))
    assert printed == pytest.approx(system.score(*embeddings).item(), abs=1e-4)


def test_lower_precision_is_smaller_by_its_weights_and_its_loss_is_the_roundings(
    exported: Path,
) -> None:
    system = load_system(exported.parent / "system.safetensors")
    graphs = {name: onnx.load(exported / f"{name}.onnx") for name in (*SIDES, "score")}
    clips = trial_clips(system, 6)["imitation"][1]
    exact = run(graphs["imitation"], waveforms=clips)[:, -8:]  # of the encoder, of length 1
    weights = sum(v.numel() for n, v in system.named_parameters() if v.ndim > 1) // 2  # of a side
    losses = []
    for precision, bytes_saved in (("float16", 2), ("int8", 3)):
        reduced = with_precision(graphs["imitation"], precision, system)
        saved = graphs["imitation"].ByteSize() - reduced.ByteSize()
        assert saved == pytest.approx(bytes_saved * weights, abs=1500)
        losses.append(1 - (exact * run(reduced, waveforms=clips)[:, -8:]).sum(1).min())
    assert 0 < losses[0] < 1e-5 < losses[1] < 1e-2


@dataclass
class Loudness(FrontEnd):
    """By scipy."""

    VERSION: ClassVar[int] = 1
    sample_rate: int = 16_000
    seconds: float = 1.0

    @property
    def shape(self) -> tuple[int, int]:
        return 8, 80

    def spectrogram(self, waveforms: torch.Tensor) -> torch.Tensor:
        smooth = uniform_filter1d(np.abs(waveforms.numpy()), 5)
        return torch.from_numpy(smooth[:, :640].reshape(-1, 8, 80))


def test_what_torch_does_not_compute_is_named() -> None:
    system = DualEncoder(dict.fromkeys(SIDES, Loudness()), EncoderGeometry((4,), places=2))
    with pytest.raises(ConfigError, match=r"DualEncoder cannot .* of Loudness: .*Only what torch"):
        graphs_of(system.eval())


def test_what_differs_or_fails_leaves_nothing_and_an_existing_folder_is_kept(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    system, out = load_system(exported.parent / "system.safetensors"), tmp_path / "out"
    graphs = {name: onnx.load(exported / f"{name}.onnx") for name in (*SIDES, "score")}
    monkeypatch.setattr(folder, "graphs_of", lambda _: graphs)
    monkeypatch.setattr(folder, "_write", full)
    with pytest.raises(StorageError, match="No space"):
        export_system(system, out, clips=2)
    system.parts()[0].get_buffer("recording_mean").add_(torch.arange(161.0))
    with pytest.raises(ConfigError, match="nothing was written"):
        export_system(system, out, clips=4)
    assert not list(tmp_path.iterdir())
    out.mkdir()
    with pytest.raises(StorageError, match="exists"):
        export_system(system, out)


def test_a_swap_counts_in_deviations_of_the_scores() -> None:
    scores = np.array([[0.0, 1.0, 2.0, 5.0]])
    assert _disorder(scores, scores * 3 - 1) == 0
    swapped = np.array([[1.0, 0.0, 2.0, 5.0]])  # 0 before 1
    assert _disorder(scores, swapped) == pytest.approx(1 / scores.std())
    assert not Agreement(1, 1.0, 0.01, 1.0, 1.0, 1.0).exact
    assert not Agreement(1, 0.9, 0.0, 1.0, 1.0, 1.0).exact
