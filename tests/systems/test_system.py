"""What any system is: saved and loaded whole, described by plain values, told from others."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch
from small_networks import write_checkpoint

from vocalsketch.domain import SIDES
from vocalsketch.errors import CheckpointError, ConfigError
from vocalsketch.features.cqt import CQT
from vocalsketch.features.mel import LogMel
from vocalsketch.models.tower import ConvStage, TowerGeometry
from vocalsketch.systems import System, load_system
from vocalsketch.systems.baselines import Contours, Imisound
from vocalsketch.systems.siamese import Siamese, SiameseGeometry

FRONT_END = LogMel(4_000, 0.2, 40, 12, 0.0, 2_000.0, 16)
FRONT_ENDS = dict.fromkeys(SIDES, FRONT_END)
TOWER = TowerGeometry([ConvStage(3, (3, 3), (2, 2)), ConvStage(2, (2, 2))], batch_norm=True)
GEOMETRY = SiameseGeometry((12, 16), (12, 16), TOWER, TOWER, "tied", hidden=(5,))


def siamese(**changes: object) -> Siamese:
    torch.manual_seed(0)
    return Siamese(FRONT_ENDS, replace(GEOMETRY, **changes)).eval()


def imisound() -> Imisound:
    torch.manual_seed(0)
    return Imisound(FRONT_ENDS, [5, 3], patch_frames=4, patch_hop=2).eval()


EVERY = pytest.mark.parametrize("system", [siamese(), imisound(), Contours()], ids=type)


def noise(system: System, clips: int = 2) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {
        side: torch.randn(clips, system.front_ends[side].samples, generator=generator)
        for side in SIDES
    }


@EVERY
@torch.no_grad()
def test_what_is_saved_is_the_same_system_when_loaded(system: System, tmp_path: Path) -> None:
    path = tmp_path / "system.safetensors"
    system.save(path, {"corpus": "folder"})
    loaded = load_system(path)
    assert (loaded.description(), loaded.fingerprint) == (system.description(), system.fingerprint)
    assert loaded.corpus == "folder"
    for side, clips in noise(system).items():
        assert torch.equal(loaded.hear(side, clips), system.hear(side, clips))


@EVERY
@torch.no_grad()
def test_scores_are_inner_products_where_that_is_said(system: System) -> None:
    heard = {side: system.hear(side, clips) for side, clips in noise(system, 3).items()}
    scores = system.score(heard["imitation"], heard["recording"])
    assert scores.shape == (3, 3)
    if system.inner_product:
        torch.testing.assert_close(scores, heard["imitation"] @ heard["recording"].T)


@EVERY
@torch.no_grad()
def test_a_system_arranged_for_speed_is_the_same_function(system: System) -> None:
    clips = noise(system, 3)["recording"]
    torch.testing.assert_close(
        system.fast().hear("recording", clips),
        system.hear("recording", clips),
        rtol=1e-4,
        atol=1e-5,
    )


@EVERY
def test_a_description_is_json_and_rebuilds_the_system(system: System) -> None:
    described = json.loads(json.dumps(system.description()))
    assert type(system).from_description(described).description() == described
    with pytest.raises(ConfigError, match="is of version 99, this program makes version 1"):
        type(system).from_description({**described, "version": 99})


@torch.no_grad()
def test_a_checkpoint_of_a_fit_is_a_system_too(tmp_path: Path) -> None:
    loaded = load_system(write_checkpoint(tmp_path / "a.ckpt"))
    assert (loaded.corpus, loaded.training) == ("folder", False)
    loaded.save(tmp_path / "b")
    assert load_system(tmp_path / "b").fingerprint == loaded.fingerprint


def test_fingerprints_tell_weights_and_descriptions_apart() -> None:
    one, other = siamese(), siamese()
    assert one.fingerprint == other.fingerprint
    with torch.no_grad():
        other.head.recording_share.bias[0] += 1.0
    prints = {one.fingerprint, other.fingerprint, siamese(sharing="untied").fingerprint}
    prints.add(Siamese(dict.fromkeys(SIDES, replace(FRONT_END, top_db=60.0)), GEOMETRY).fingerprint)
    assert len(prints) == 4


def test_dropout_changes_the_training_alone() -> None:
    assert siamese(dropout=0.0).description() == siamese(dropout=0.5).description()


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (siamese(sharing="untied"), "geometry.sharing is 'untied' there and 'tied' here"),
        (siamese(hidden=(6,)), "geometry.hidden is [6] there and [5] here"),
        (
            siamese(recording_tower=TOWER, sharing="partial", private_stages=1),
            "geometry.sharing is 'partial' there and 'tied' here",
        ),
        (imisound(), "system is 'imisound' there and 'siamese' here"),
        (
            Siamese({**FRONT_ENDS, "recording": replace(FRONT_END, top_db=60.0)}, GEOMETRY),
            "front_ends.recording.top_db is 60.0 there and 80.0 here",
        ),
        (
            Siamese({**FRONT_ENDS, "imitation": CQT()}, GEOMETRY),
            "front_ends.imitation.class is 'CQT' there and 'LogMel' here",
        ),
    ],
)
def test_another_system_is_refused_by_the_key_that_differs(other: System, said: str) -> None:
    siamese().require("a.ckpt", siamese().description())
    with pytest.raises(CheckpointError) as caught:
        siamese().require("a.ckpt", other.description())
    assert said in str(caught.value)
    assert "Use the config it was trained with" in str(caught.value)


def test_front_ends_are_the_systems_own_and_like_what_they_hear() -> None:
    system = siamese().double()
    for side, clips in noise(system).items():
        assert system.hear(side, clips.double()).dtype == torch.double
    # processes that train together compare buffers, and one of them makes features first
    assert not any("front_ends" in name for name, _ in system.named_buffers())
    assert system.front_ends["imitation"] is not FRONT_END
    assert "_constants" not in vars(FRONT_END)


@pytest.mark.parametrize(
    ("spec", "error", "said"),
    [
        ("nothing.ckpt", CheckpointError, "No system at nothing.ckpt"),
        ("siamese", ConfigError, "The system siamese has to be trained"),
    ],
)
def test_what_cannot_be_loaded_is_refused(spec: str, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        load_system(spec)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda data: data[: len(data) // 2], "is damaged"),
        (lambda data: data.replace(b'\\"siamese\\"', b'\\"unknown\\"'), "Unknown system 'unk"),
        (
            lambda data: data.replace(b'\\"hidden\\": [5]', b'\\"hidden\\": [6]'),
            "another architecture",
        ),
        (lambda data: data.replace(b'\\"geometry\\"', b'\\"geometrx\\"'), "cannot be used"),
        (lambda data: safetensors.torch.save({"a": torch.zeros(1)}), "does not say what"),
    ],
)
def test_a_damaged_file_is_one_clear_error(damage, said: str, tmp_path: Path) -> None:
    path = tmp_path / "system"
    siamese().save(path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises((CheckpointError, ConfigError), match=said):
        load_system(path)


def test_systems_load_no_training() -> None:
    check = (
        "import sys, vocalsketch.systems; vocalsketch.systems.load_system('contours'); "
        "unwanted = ('lightning', 'vocalsketch.datamodules', 'vocalsketch.tasks'); "
        "sys.exit([name for name in sys.modules if any(each in name for each in unwanted)][:3])"
    )
    done = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=False
    )
    assert done.stderr.strip() in ("", "[]")
