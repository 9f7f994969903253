"""Transfer: what is copied, what is not, and what is refused."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from vocalsketch.datamodules.batches import PairBatch
from vocalsketch.errors import CheckpointError, ConfigError
from vocalsketch.features.mel import ImitationLogMel, LogMel, RecordingLogMel
from vocalsketch.models.tower import Classifier, ConvStage, TowerGeometry
from vocalsketch.systems.siamese import Siamese, SiameseGeometry
from vocalsketch.tasks import SiameseTask
from vocalsketch.tasks.siamese import Transfer, transfer_layers

SHAPE = (12, 16)
IMITATION = TowerGeometry(
    [ConvStage(2, (3, 3), (1, 2)), ConvStage(3, (3, 3)), ConvStage(4, (2, 2))], batch_norm=True
)
RECORDING = TowerGeometry(
    [ConvStage(3, (2, 2), (2, 2)), ConvStage(4, (2, 2)), ConvStage(2, (2, 2))], batch_norm=True
)
FRONT_ENDS = {"imitation": ImitationLogMel(), "recording": RecordingLogMel()}
SMALL = LogMel(4_000, 0.2, 40, *SHAPE[:1], 0.0, 2_000.0, SHAPE[1])
GEOMETRY = SiameseGeometry(SHAPE, SHAPE, IMITATION, RECORDING, hidden=(5,), dropout=0.0)


def pretrained(
    path: Path, side: str, tower: TowerGeometry, *, seed: int = 7
) -> tuple[Classifier, str]:
    """A checkpoint as a pre-training leaves it, with batch statistics of its own."""
    torch.manual_seed(seed)
    network = Classifier(SHAPE, tower, 4)
    network(torch.randn(6, *SHAPE))
    state = {f"network.{name}": value for name, value in network.state_dict().items()}
    made = {
        "system": "classifier",
        "classes": list("abcd"),
        "front_end": FRONT_ENDS[side].describe(),
    }
    torch.save({"state_dict": state, "vocalsketch": {"description": made}}, path)
    return network, str(path)


@pytest.fixture
def checkpoints(tmp_path: Path) -> dict[str, tuple[Classifier, str]]:
    return {
        "imitation": pretrained(tmp_path / "speech.ckpt", "imitation", IMITATION),
        "recording": pretrained(tmp_path / "urban.ckpt", "recording", RECORDING),
    }


def plan(checkpoints: dict[str, tuple[Classifier, str]], layers: str) -> Transfer:
    return Transfer(layers, checkpoints["imitation"][1], checkpoints["recording"][1])


@pytest.mark.parametrize(("layers", "count"), [("conv1", 1), ("conv12", 2), ("conv123", 3)])
def test_the_first_layers_of_both_towers_are_copied_and_nothing_else(
    checkpoints: dict[str, tuple[Classifier, str]], layers: str, count: int
) -> None:
    torch.manual_seed(0)
    network = Siamese(FRONT_ENDS, GEOMETRY)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    report = transfer_layers(network, plan(checkpoints, layers))

    copied = set()
    for side in ("imitation", "recording"):
        for name, value in checkpoints[side][0].tower.state_dict().items():
            if int(name.split(".")[1]) < count:
                copied.add(f"{side}_tower.{name}")
                assert torch.equal(network.state_dict()[f"{side}_tower.{name}"], value)
    for name, value in network.state_dict().items():
        assert (name in copied) or torch.equal(value, before[name]), name
    assert [(each["side"], each["layer"]) for each in report] == [
        (side, layer) for side in ("imitation", "recording") for layer in range(1, count + 1)
    ]
    path = checkpoints["imitation"][1]
    assert (report[0]["shape"], report[0]["batch_norm"]) == ([2, 1, 3, 3], True)
    assert report[0]["path"] == str(path)


@pytest.mark.parametrize(("source", "target"), [(True, False), (False, True)])
def test_batch_norm_is_copied_only_where_both_have_it(
    tmp_path: Path, source: bool, target: bool
) -> None:
    trained, path = pretrained(
        tmp_path / "speech.ckpt", "imitation", replace(IMITATION, batch_norm=source)
    )
    geometry = replace(GEOMETRY, imitation_tower=replace(IMITATION, batch_norm=target))
    network = Siamese(FRONT_ENDS, geometry)
    report = transfer_layers(network, Transfer("conv123", imitation=path))
    assert [each["batch_norm"] for each in report] == [False] * 3
    for own, other in zip(network.imitation_tower.stages, trained.tower.stages, strict=True):
        assert torch.equal(own.conv.weight, other.conv.weight)
        if target:
            assert torch.equal(own.norm.running_mean, torch.zeros_like(own.norm.running_mean))


def test_a_siamese_checkpoint_gives_the_tower_of_its_side(tmp_path: Path) -> None:
    torch.manual_seed(3)
    trained = Siamese(FRONT_ENDS, GEOMETRY)
    state = {f"system.{name}": value for name, value in trained.state_dict().items()}
    path = tmp_path / "siamese.ckpt"
    made = {"description": trained.description()}
    torch.save({"state_dict": state, "vocalsketch": made}, path)
    network = Siamese(FRONT_ENDS, GEOMETRY)
    transfer_layers(network, Transfer("conv12", recording=str(path)))
    for number in (0, 1):
        assert torch.equal(
            network.recording_tower.stages[number].conv.weight,
            trained.recording_tower.stages[number].conv.weight,
        )


def test_the_authors_file_can_be_named_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "tower.h5"
    kernel = np.arange(9.0).reshape(3, 3, 1, 1).repeat(2, axis=3)
    with h5py.File(path, "w") as file:
        file.attrs["backend"] = "theano"
        file["lid_conv_1/kernel"], file["lid_conv_1/bias"] = kernel, np.zeros(2)
    network = Siamese(FRONT_ENDS, GEOMETRY)
    transfer_layers(network, Transfer("conv1", imitation=str(path)))
    weight = network.imitation_tower.stages[0].conv.weight[0, 0]
    assert weight.tolist() == [[8, 7, 6], [5, 4, 3], [2, 1, 0]]


def test_a_tower_of_another_shape_is_refused_by_layer(
    checkpoints: dict[str, tuple[Classifier, str]],
) -> None:
    swapped = Transfer("conv1", imitation=checkpoints["recording"][1])
    ends = {**FRONT_ENDS, "imitation": FRONT_ENDS["recording"]}
    network = Siamese(ends, GEOMETRY)
    before = [value.clone() for value in network.parameters()]
    with pytest.raises(CheckpointError, match="conv1 is 3x1x2x2 .*imitation tower's is 2x1x3x3"):
        transfer_layers(network, swapped)
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))


def test_a_tower_with_fewer_layers_is_refused(tmp_path: Path) -> None:
    shallow = TowerGeometry(IMITATION.stages[:2], batch_norm=True)
    _, path = pretrained(tmp_path / "shallow.ckpt", "imitation", shallow)
    with pytest.raises(CheckpointError, match="conv3 is missing"):
        transfer_layers(Siamese(FRONT_ENDS, GEOMETRY), Transfer("conv123", imitation=path))


def test_a_tower_of_another_front_end_is_refused(
    checkpoints: dict[str, tuple[Classifier, str]],
) -> None:
    other = {**FRONT_ENDS, "imitation": ImitationLogMel(top_db=60.0)}
    with pytest.raises(CheckpointError, match=r"'top_db': 80\.0.*imitation_front_end.*60\.0"):
        transfer_layers(Siamese(other, GEOMETRY), plan(checkpoints, "conv1"))


@pytest.mark.parametrize(
    ("geometry", "layers", "error"),
    [
        (replace(GEOMETRY, recording_tower=IMITATION, sharing="tied"), "conv1", "share the layers"),
        (
            replace(
                GEOMETRY,
                imitation_tower=TowerGeometry(IMITATION.stages[:2]),
            ),
            "conv123",
            "imitation tower has 2 convolutions",
        ),
    ],
)
def test_networks_that_cannot_take_the_layers_are_refused(
    checkpoints: dict[str, tuple[Classifier, str]],
    geometry: SiameseGeometry,
    layers: str,
    error: str,
) -> None:
    with pytest.raises(ConfigError, match=error):
        transfer_layers(Siamese(FRONT_ENDS, geometry), plan(checkpoints, layers))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No checkpoint at"),
        (b"damaged", "no checkpoint that can be read safely"),
        (
            {"state_dict": {}, "vocalsketch": {"description": {"system": "imisound"}}},
            "holds 'imisound', no tower",
        ),
        ({"state_dict": {}}, "does not say what it holds"),
    ],
)
def test_files_that_hold_no_tower_are_refused(
    tmp_path: Path, content: object, message: str
) -> None:
    path = tmp_path / "some.ckpt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(CheckpointError, match=message):
        transfer_layers(Siamese(FRONT_ENDS, GEOMETRY), Transfer("conv1", imitation=str(path)))


def test_a_transfer_from_nowhere_is_refused() -> None:
    with pytest.raises(ConfigError, match="transfer names no checkpoint"):
        transfer_layers(Siamese(FRONT_ENDS, GEOMETRY), Transfer("conv1"))


def task(**options: object) -> SiameseTask:
    torch.manual_seed(0)
    return SiameseTask(
        IMITATION,
        RECORDING,
        hidden=[5],
        dropout=0.0,
        optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.1),
        imitation_front_end=SMALL,
        recording_front_end=SMALL,
        **options,
    )


def test_only_the_start_of_a_training_transfers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained = task().system
    torch.nn.init.ones_(trained.imitation_tower.stages[0].conv.weight)
    path = tmp_path / "pretrained.ckpt"
    state = {f"system.{name}": value for name, value in trained.state_dict().items()}
    made = {"description": trained.description()}
    torch.save({"state_dict": state, "vocalsketch": made}, path)
    for resumed in (False, True):
        module = task(transfer=Transfer("conv1", imitation=str(path)))
        if resumed:
            held = {"transferred": ["what it started from"], "corpus": "another"}
            checkpoint = {"description": module.system.description(), "provenance": held}
            module.on_load_checkpoint({"vocalsketch": checkpoint})
        else:
            module.begin_training()
        copied = bool((module.system.imitation_tower.stages[0].conv.weight == 1).all())
        assert copied is not resumed
        if resumed:
            assert module.system.provenance == {"transferred": ["what it started from"]}
        else:
            assert [line["layer"] for line in module.system.provenance["transferred"]] == [1]
            kernels = "x".join(map(str, module.system.imitation_tower.stages[0].conv.weight.shape))
            said = f"Transferred: imitation conv1 ({kernels}, with batch norm) from {path}"
            assert said in capsys.readouterr().out


def test_frozen_layers_keep_weights_and_statistics_while_the_others_learn() -> None:
    module = task(freeze="conv12").train()
    optimizer = module.configure_optimizers()
    before = {name: value.clone() for name, value in module.system.state_dict().items()}
    batch = PairBatch(
        torch.randn(3, *SHAPE),
        torch.randn(3, *SHAPE),
        torch.tensor([0, 1, 2]),
        torch.tensor([0, 2, 1]),
        torch.tensor([1.0, 0.0, 1.0]),
    )
    module.criterion(module(batch), batch.labels).backward()
    optimizer.step()
    for name, value in module.system.state_dict().items():
        changed = not torch.equal(value, before[name])
        frozen = ".stages.0." in name or ".stages.1." in name
        if frozen:
            assert not changed, name
        elif name.endswith(("weight", "running_mean")):
            assert changed, name
