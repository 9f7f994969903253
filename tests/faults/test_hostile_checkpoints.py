"""A checkpoint from a stranger is weights and plain values: nothing in it runs or deletes."""

import pickle
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
import yaml
from attack import Attack
from small_networks import write_checkpoint, write_library

from vocalsketch.cli import main
from vocalsketch.errors import CheckpointError, StorageError
from vocalsketch.experiment import run_experiment
from vocalsketch.interpret.subject import load_subject
from vocalsketch.models.keras_weights import read_authors_tower
from vocalsketch.search import Index, build_index
from vocalsketch.systems.checkpoints import load_system, read_checkpoint
from vocalsketch.tasks.siamese import _read_tower


def in_torchs_format(file: Path, attack: Attack) -> None:
    torch.save({"state_dict": {"system.x": torch.zeros(1)}, "vocalsketch": attack}, file)


def in_torchs_old_format(file: Path, attack: Attack) -> None:
    torch.save({"state_dict": {}, "x": attack}, file, _use_new_zipfile_serialization=False)


def as_a_bare_pickle(file: Path, attack: Attack) -> None:
    file.write_bytes(pickle.dumps({"state_dict": {}, "x": attack}, protocol=2))


def among_the_weights(file: Path, attack: Attack) -> None:
    torch.save(
        {"state_dict": {"system.x": attack}, "vocalsketch": {"description": {"system": "siamese"}}},
        file,
    )


PATHS = ("kth_best_model_path", "last_model_path", "best_model_path")
FORMS = [in_torchs_format, in_torchs_old_format, as_a_bare_pickle, among_the_weights]


@pytest.mark.parametrize("write", FORMS)
def test_the_attack_is_one(write: Callable[[Path, Attack], None], canary: Path) -> None:
    """What the other tests try works where nobody minds."""
    file = canary.parent / "a.ckpt"
    write(file, Attack(canary))
    with suppress(RuntimeError):  # a bare pickle is run, and then found to be no checkpoint
        torch.load(file, weights_only=False)
    assert canary.exists()


@pytest.mark.parametrize("write", FORMS)
@pytest.mark.parametrize(
    "read",
    [
        read_checkpoint,
        load_system,
        load_subject,
        lambda path: _read_tower(path, "imitation"),
        lambda path: _read_tower(path.rename(path.with_suffix(".h5")), "imitation"),
    ],
)
def test_no_reader_runs_a_pickle(
    read: Callable[[Path], object], write: Callable[[Path, Attack], None], canary: Path
) -> None:
    file = canary.parent / "a.ckpt"
    write(file, Attack(canary))
    with pytest.raises(CheckpointError, match="a.ckpt|a.h5"):
        read(file)
    assert not canary.exists()


def test_no_command_runs_a_pickle(
    tiny_config: Path, canary: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    evil, run = tmp_path / "evil.ckpt", tmp_path / "run"
    in_torchs_format(evil, Attack(canary))
    (run / "checkpoints").mkdir(parents=True)
    in_torchs_format(run / "checkpoints" / "last.ckpt", Attack(canary))
    library = write_library(tmp_path / "library")
    config = ["--config", str(tiny_config), "--run_dir"]
    sound = str(library / "long.wav")
    transfer = ["--model.init_args.transfer.imitation", str(evil)]
    transfer += ["--model.init_args.transfer.layers", "conv1"]
    for command in (
        ["fit", *config, str(tmp_path / "new"), "--ckpt_path", str(evil)],
        ["fit", *config, str(run), "--ckpt_path", "last"],
        ["validate", *config, str(run), "--ckpt_path", "last"],
        ["test", *config, str(run), "--ckpt_path", str(evil)],
        ["predict", *config, str(run), "--ckpt_path", str(evil)],
        ["fit", *config, str(tmp_path / "tl"), *transfer],
        ["index", "build", str(library), "--checkpoint", str(evil), "--index", str(tmp_path / "i")],
        ["visualize", str(evil), "--out", str(tmp_path / "v")],
        ["explain", sound, sound, "--checkpoint", str(evil), "--out", str(tmp_path / "e")],
    ):
        assert main(command) == 1, command
        assert "no checkpoint that can be read safely" in capsys.readouterr().err, command
    assert not canary.exists()


def test_an_index_runs_no_pickle_in_any_of_its_files(tmp_path: Path, canary: Path) -> None:
    index = tmp_path / "index"
    build_index(
        write_library(tmp_path / "library"),
        index,
        write_checkpoint(tmp_path / "best.ckpt"),
        jobs=1,
        progress=False,
    )
    files = [file for file in index.iterdir() if file.is_file() and not file.name.startswith(".")]
    assert len(files) == 3
    for file in files:
        whole = file.read_bytes()
        for write in FORMS:
            write(file, Attack(canary))
            with pytest.raises((CheckpointError, StorageError)):
                Index.open(index)
        file.write_bytes(whole)
    assert Index.open(index).sounds == 6
    assert not canary.exists()


def whole(path: Path) -> dict[str, Any]:
    checkpoint: dict[str, Any] = torch.load(write_checkpoint(path), weights_only=True)
    return checkpoint


def described(checkpoint: dict[str, Any]) -> dict[str, Any]:
    return checkpoint["vocalsketch"]["description"]


def geometry(checkpoint: dict[str, Any]) -> dict[str, Any]:
    return described(checkpoint)["geometry"]


DAMAGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "no description": lambda c: c.pop("vocalsketch"),
    "another description": lambda c: c.update(vocalsketch=[1, 2]),
    "no geometry": lambda c: described(c).pop("geometry"),
    "no stages": lambda c: geometry(c).update(imitation_tower={}),
    "a stage of words": lambda c: geometry(c)["imitation_tower"].update(stages=["conv", "pool"]),
    "filters of words": lambda c: geometry(c)["imitation_tower"]["stages"][0].update(
        filters="many"
    ),
    "a shape of nothing": lambda c: geometry(c).update(imitation_shape=None),
    "an unknown key": lambda c: geometry(c).update(run="touch canary"),
    "no front ends": lambda c: described(c).pop("front_ends"),
    "an unknown front end": lambda c: described(c)["front_ends"].update(
        imitation={"class": "os.system", "version": 1}
    ),
    "no weights": lambda c: c.update(state_dict={}),
    "weights of another shape": lambda c: c["state_dict"].update(
        {"system.head.rest.2.bias": torch.zeros(3)}
    ),
    "weights of words": lambda c: c["state_dict"].update(dict.fromkeys(c["state_dict"], "w")),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_description_is_one_clear_error(damage: str, tmp_path: Path) -> None:
    file = tmp_path / "a.ckpt"
    checkpoint = whole(file)
    DAMAGES[damage](checkpoint)
    torch.save(checkpoint, file)
    for read in (load_system, load_subject):
        with pytest.raises(Exception, match=r"a\.ckpt|front end") as caught:
            read(file)
        assert type(caught.value).__module__ == "vocalsketch.errors", caught.value


def test_a_network_of_any_size_is_refused_before_it_takes_memory(tmp_path: Path) -> None:
    file = tmp_path / "a.ckpt"
    checkpoint = whole(file)
    # 3 x 3 kernels of a million filters on a million channels: 36 TB
    for side in ("imitation_tower", "recording_tower"):
        for stage in geometry(checkpoint)[side]["stages"]:
            stage["filters"] = 10**6
    torch.save(checkpoint, file)
    with pytest.raises(CheckpointError, match="of another architecture"):
        load_system(file)
    name = next(iter(checkpoint["state_dict"]))
    checkpoint["state_dict"][name] = torch.zeros(1).expand(10**12)  # which is saved as one number
    torch.save(checkpoint, file)
    with pytest.raises(CheckpointError, match="no tensor that holds all of its numbers"):
        load_system(file)


def test_a_compressed_checkpoint_is_refused(tmp_path: Path) -> None:
    plain = write_checkpoint(tmp_path / "plain.ckpt")
    with (
        zipfile.ZipFile(plain) as source,
        zipfile.ZipFile(tmp_path / "a.ckpt", "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for name in source.namelist():
            target.writestr(name, source.read(name))
    with pytest.raises(CheckpointError, match="is compressed, which no"):
        read_checkpoint(tmp_path / "a.ckpt")


def test_a_fit_that_goes_on_removes_nothing_that_a_checkpoint_names(
    tiny_config: Path, tmp_path: Path
) -> None:
    """Lightning keeps in a checkpoint which files a better one replaces, wherever they lie."""
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "chapter.txt").write_text("years")
    run, config = tmp_path / "run", ["--config", str(tiny_config), "--run_dir"]
    run_experiment("fit", [*config, str(run), "--trainer.max_epochs", "1"])
    last = run / "checkpoints" / "last.ckpt"
    checkpoint = torch.load(last, weights_only=True)
    victims = [f"local://{thesis}", f"{run / 'checkpoints'}/../../thesis", str(thesis)]
    stranger = tmp_path / "stranger.ckpt"
    for number, victim in enumerate(victims):
        for name, state in checkpoint["callbacks"].items():
            if name.startswith("ModelCheckpoint"):
                state.pop("dirpath", None)  # then it is taken for this run's
                worst = torch.tensor(float("inf"))
                state.update(best_k_models={victim: worst}, kth_value=worst)
                state.update(dict.fromkeys(PATHS, victim))
        torch.save(checkpoint, stranger)
        run_experiment("fit", [*config, str(tmp_path / str(number)), "--ckpt_path", str(stranger)])
    assert (thesis / "chapter.txt").read_text() == "years"


def keras_file(path: Path, **arrays: Any) -> Path:
    with h5py.File(path, "w") as file:
        for name, value in arrays.items():
            file[f"lid_conv_1/{name}"] = value
    return path


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"kernel": np.zeros((2, 2))},
        {"kernel": np.zeros((2, 2, 1, 3))},
        {"kernel": np.array([b"words"]), "bias": np.zeros(3)},
        {"kernel": np.void(pickle.dumps(Attack(Path("canary")))), "bias": np.zeros(3)},
    ],
)
def test_weights_of_keras_hold_arrays_of_numbers_and_no_more(
    arrays: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(CheckpointError, match=r"a\.h5"):
        read_authors_tower(keras_file(tmp_path / "a.h5", **arrays), "imitation")


def test_an_array_of_keras_that_fills_any_memory_is_left_out(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("lid_conv_1/kernel", (10**4,) * 3, "f4", chunks=(9, 9, 9))
        file["lid_conv_1/bias"] = np.zeros(3)
    with pytest.raises(CheckpointError, match="'kernel'"):
        read_authors_tower(tmp_path / "a.h5", "imitation")


def test_a_damaged_keras_file_is_one_clear_error(tmp_path: Path) -> None:
    file = keras_file(tmp_path / "a.h5", kernel=np.ones((2, 2, 1, 3)), bias=np.zeros(3))
    data = file.read_bytes()
    rng = np.random.default_rng(0)
    refusals = []
    for _ in range(200):
        damaged = bytearray(data)
        for place in rng.integers(0, len(data), 8):
            damaged[place] = rng.integers(256)
        file.write_bytes(damaged[: rng.integers(len(data))] if rng.random() < 0.3 else damaged)
        try:
            read_authors_tower(file, "imitation")
        except CheckpointError as error:
            refusals.append(str(error))
    assert len(refusals) > 100  # what is hit in the numbers themselves is another, whole network
    assert all("a.h5" in refusal for refusal in refusals)


def test_the_config_of_a_trial_goes_through_the_same_door(tiny_config: Path, canary: Path) -> None:
    """A sweep's trial is a config and a fit; of what it says nothing is trusted more."""
    tree = yaml.safe_load(tiny_config.read_text())
    evil = str(canary.parent / "evil.ckpt")
    tree["model"]["init_args"]["transfer"] = {"imitation": evil, "layers": "conv1"}
    in_torchs_format(canary.parent / "evil.ckpt", Attack(canary))
    tiny_config.write_text(yaml.safe_dump(tree))
    run = str(canary.parent / "run")
    assert main(["fit", "--config", str(tiny_config), "--run_dir", run]) == 1
    assert not canary.exists()
