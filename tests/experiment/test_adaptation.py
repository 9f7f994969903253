"""A system fitted to somebody's sounds: what is held out, when it is kept, and that it goes on."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from corpora import RATE, tone

from vocalsketch.cli import main
from vocalsketch.datamodules.imitated import imitated_corpus
from vocalsketch.datasets.splits import read_manifest
from vocalsketch.domain import SIDES
from vocalsketch.errors import ConfigError, DatasetError
from vocalsketch.experiment import adaptation
from vocalsketch.experiment.adaptation import Adaptation
from vocalsketch.features.audible_mel import AudibleMel
from vocalsketch.features.contours import ContourFeatures
from vocalsketch.models.encoder import EncoderGeometry
from vocalsketch.systems import load_system
from vocalsketch.systems.baselines import Contours
from vocalsketch.systems.dual_encoder import DualEncoder
from vocalsketch.systems.ensemble import Ensemble

SOUNDS, PEOPLE = 20, 2


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty tones in two folders, one of them twice."""
    root, generator = tmp_path_factory.mktemp("library"), np.random.default_rng(0)
    for number in range(SOUNDS):
        path = root / ("low" if number < 10 else "high") / f"{number}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, tone(150.0 * 1.1**number, generator), RATE)
    shutil.copy(root / "low" / "0.wav", root / "copy of 0.wav")
    return root


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three small dual encoders, one of contours, and the contours."""
    torch.manual_seed(0)
    ends = dict.fromkeys(SIDES, AudibleMel(seconds=0.5, bands=16))
    geometry = EncoderGeometry(filters=(4, 6), places=4, width=8)
    encoders = [DualEncoder(ends, geometry, frames=20, view=view) for view in ("absolute", "own")]
    timeless = EncoderGeometry(filters=(6,), places=1, width=8)
    encoders.append(DualEncoder(dict.fromkeys(SIDES, ContourFeatures(seconds=0.5)), timeless))
    path = tmp_path_factory.mktemp("system") / "system.safetensors"
    Ensemble([*encoders, Contours()]).save(path, {"corpus": "tones"})
    return path


@pytest.fixture
def adapt() -> Adaptation:
    return Adaptation(people=PEOPLE, epochs=1, jobs=1)


@pytest.mark.filterwarnings("ignore:.*:UserWarning")  # a library this small is advised against
def test_what_is_kept_is_the_better_one_and_the_same_command_goes_on(
    library: Path, system: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["adapt", "--library", str(library), "--out", str(tmp_path / "mine"), "--jobs", "1"]
    command += ["--system", str(system), "--people", str(PEOPLE), "--epochs", "1"]
    assert main(command) == 0
    told = json.loads((tmp_path / "mine" / "adapted.json").read_text())
    kept, before = load_system(tmp_path / "mine"), load_system(system)
    said = capsys.readouterr().out
    assert told["helped"] == ("It helped" in said) == (kept.fingerprint != before.fingerprint)
    assert torch.equal(kept.get_buffer("weights"), before.get_buffer("weights"))
    trained = load_system(tmp_path / "mine" / "encoder2" / "checkpoints" / "last.ckpt")
    weights = [each.encoders["imitation"].projection.weight for each in
               (before.parts()[1], trained, kept.parts()[1])]  # fmt: skip
    assert not torch.equal(weights[0], weights[1])
    expected = (weights[0] + weights[1]) / 2 if told["helped"] else weights[0]
    torch.testing.assert_close(weights[2], expected)
    shutil.rmtree(tmp_path / "mine" / "encoder2")  # as if it had been interrupted there
    assert main(command) == 0
    assert json.loads((tmp_path / "mine" / "adapted.json").read_text()) == told
    assert load_system(tmp_path / "mine").fingerprint == kept.fingerprint
    assert main([*command, "--seed", "1"]) == 1
    assert "mine was begun with other sounds" in capsys.readouterr().err


@pytest.mark.parametrize("recorded", [5, 12, 10, SOUNDS])
def test_held_out_sounds_and_the_last_person_never_train(
    recorded: int, library: Path, adapt: Adaptation, tmp_path: Path
) -> None:
    mine = tmp_path / "recorded"
    for number in range(recorded):  # of sounds of the library, under other names
        path = mine / "sounds" / f"x{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(library / ("low" if number < 10 else "high") / f"{number}.wav", path)
        take = mine / "imitations" / f"x{number}" / "take.wav"
        take.parent.mkdir(parents=True)
        soundfile.write(take, tone(100.0, np.random.default_rng(number)), RATE)
    out = tmp_path / "out"
    adapt._prepare(library, mine, out / "pairs.csv", out / "split.json")
    with (out / "pairs.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    sounds = {row["sound"]: row["category"] for row in rows}
    assert len(sounds) == SOUNDS  # the copies of a sound are one
    kinds = list(sounds.values())
    told = {5: 0, 10: 10}.get(recorded, SOUNDS)  # few others stand among the recorded
    assert (kinds.count(adaptation.RECORDED), len(kinds)) == (told, SOUNDS)
    split = read_manifest(out / "split.json")
    target = {row["imitation"]: row["sound"] for row in rows}
    held = set(split.test_sounds)
    assert len(held) == 4
    assert {target[each] for each in split.train_imitations} == set(sounds) - held
    person = {each: Path(each).stem for each in target}
    assert {person[each] for each in split.train_imitations} == {"person01", "take"}
    assert {person[each] for each in split.validation_imitations} == {"person02"}
    for each in split.test_imitations:
        assert target[each] in held
        pure = sounds[target[each]] == adaptation.RECORDED
        assert person[each] == "take" or (person[each] == "person02" and not pure)


@pytest.mark.parametrize(("rises", "helped"), [(0.1, True), (0.0, False), (-0.1, False)])
def test_it_helped_where_no_kind_of_imitation_is_found_less(
    rises: float,
    helped: bool,
    library: Path,
    system: Path,
    adapt: Adaptation,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def ranked(_: Path, name: str, __: object) -> dict[str, float]:
        change = rises if name == "after" else 0.0
        return {"one": 0.5 + max(change, 0.0), "another": 0.5 + change}

    def fit(_: Adaptation, part: DualEncoder, *__: object) -> bool:
        with torch.no_grad():
            part.encoders["imitation"].projection.bias += 1.0
        return False

    monkeypatch.setattr(adaptation, "_ranked", ranked)
    monkeypatch.setattr(Adaptation, "_fit", fit)
    done = adapt.run(library, None, tmp_path / "mine", str(system))
    assert done.helped is helped
    kept, before = load_system(tmp_path / "mine"), load_system(system)
    assert (kept.fingerprint != before.fingerprint) is helped
    assert kept.provenance["corpus"] == "tones"
    assert ("adapted_to" in kept.provenance) is helped


def test_what_cannot_be_adapted_is_refused(
    library: Path, system: Path, adapt: Adaptation, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="contours holds no dual encoder"):
        adapt.run(library, None, tmp_path / "mine", "contours")
    with pytest.raises(DatasetError, match="10 different sounds .*: give 20 or more"):
        adapt.run(library / "low", None, tmp_path / "mine", str(system))
    for name, value in (("people", 1), ("most", 5), ("epochs", 0)):
        with pytest.raises(ConfigError, match=f"{name} is {value}: give"):
            Adaptation(**{name: value})


def test_of_a_large_library_some_sounds_take_part(library: Path) -> None:
    drawn = [imitated_corpus([str(library)], 0, 1, seed, 1, most=5) for seed in (0, 1)]
    names = [{each.id for each in corpus.sounds} for corpus in drawn]
    assert [len(each) for each in names] == [5, 5]
    assert names[0] != names[1]
