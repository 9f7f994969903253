"""Every config that is shipped runs: one batch of each part, on a corpus of a few sounds."""

from pathlib import Path

import published_trees
import pytest
from labelled_corpora import write_languages, write_urban

from vocalsketch.experiment import run_experiment

CONFIGS = Path(__file__).resolve().parents[2] / "conf"
LANGUAGES = ("nl", "en", "fr", "de", "it", "ru", "es")


@pytest.fixture(scope="module")
def variables(folder_corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the configs read from the environment; one cache of features for all of them."""
    made = tmp_path_factory.mktemp("shipped")
    return {
        "VOCALSKETCH_CACHE": str(made / "cache"),
        "VOCALSKETCH_ROOT": str(folder_corpus),
        "VIMSKETCH_ROOT": str(published_trees.write_vimsketch(made / "vimsketch")),
        "QVIM_ROOT": str(published_trees.write_qvim(made / "qvim")),
        "VOXFORGE_ROOT": str(write_languages(made / "speech", LANGUAGES, speakers=2, clips=1)),
        "URBANSOUND8K_ROOT": str(write_urban(made / "urban", tuple("abcdefghij"), folds=2)),
        "IMITATION_TOWER": str(made / "pretrain_voxforge" / "checkpoints" / "last.ckpt"),
        "RECORDING_TOWER": str(made / "pretrain_urbansound8k" / "checkpoints" / "last.ckpt"),
    }


def fit(name: str, *options: str) -> None:
    run_experiment("fit", ["--config", str(CONFIGS / name), "--trainer.logger", "false", *options])


@pytest.fixture(scope="module")
def towers(variables: dict[str, str]) -> None:
    """Both towers, pre-trained on a batch each."""
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in variables.items():
            patch.setenv(variable, value)
        for variable in ("IMITATION_TOWER", "RECORDING_TOWER"):
            run = Path(variables[variable]).parents[1]
            once = ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "1"]
            fit(f"{run.name}.yaml", "--run_dir", str(run), "--test_after_fit", "false", *once)


@pytest.mark.filterwarnings("ignore:.*:UserWarning")  # a corpus this small is advised against
@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_shipped_config_runs(
    path: Path,
    variables: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    if "IMITATION_TOWER" in path.read_text():
        request.getfixturevalue("towers")
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.chdir(tmp_path)
    options = []
    if "procedural:" in path.read_text():
        options += ["--data.init_args.procedural", "4", "--data.init_args.people", "1"]
    if "backbone:" in path.read_text():
        options += ["--model.init_args.encoder.backbone", "mn01"]
    if "start:" in path.read_text():
        options += ["--model.init_args.start", "null"]  # of a run that is not here
    fit(path.name, *options, "--trainer.fast_dev_run", "true", "--run_dir", str(tmp_path / "run"))
    assert not (tmp_path / "run" / "config.yaml").exists()


def test_the_overlay_for_trying_is_laid_over_a_config(
    variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    run = tmp_path / "run"
    debug = str(CONFIGS / "debug" / "fast.yaml")
    arguments = ["--config", str(CONFIGS / "iminet_tied.yaml"), "--config", debug]
    outcome = run_experiment("fit", [*arguments, "--run_dir", str(run)])
    assert "max_epochs: 2\n" in (run / "config.yaml").read_text()
    assert set(outcome.results) == {"validation", "test"}
