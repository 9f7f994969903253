"""What docs/extending.md shows is run as it stands there."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import yaml
from corpora import write_config

from vocalsketch.errors import ConfigError
from vocalsketch.experiment import run_experiment
from vocalsketch.systems import front_end_from
from vocalsketch.systems.checkpoints import load_system

PAGE = Path(__file__).resolve().parents[1] / "docs" / "extending.md"
QUIET = [
    *("--trainer.max_epochs", "1", "--trainer.logger", "false", "--trainer.accelerator", "cpu"),
    *("--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"),
]


def blocks(language: str) -> list[str]:
    """The page's code in one language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(), re.DOTALL)


@pytest.fixture
def mypackage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The package that the page writes, named as trusted."""
    (tmp_path / "mypackage").mkdir()
    (tmp_path / "mypackage" / "__init__.py").write_text("\n".join(blocks("python")))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("VOCALSKETCH_EXTENSIONS", "mypackage")
    yield
    sys.modules.pop("mypackage", None)


def test_the_pages_system_trains_and_is_ranked(
    mypackage: None, folder_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VOCALSKETCH_ROOT", str(folder_corpus))
    config = tmp_path / "mine.yaml"
    config.write_text(blocks("yaml")[0])
    run = ["--config", str(config), "--run_dir", str(tmp_path / "run"), *QUIET]
    outcome = run_experiment("fit", run)
    assert outcome.results["test"]["system"] == "mine"
    assert 0.25 <= outcome.results["test"]["macro"]["mrr"] <= 1.0
    assert (tmp_path / "run" / "checkpoints" / "best.ckpt").is_file()


def test_a_checkpoint_brings_its_front_end_back_where_the_package_is_trusted(
    mypackage: None, folder_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = write_config(tmp_path / "own.yaml", folder_corpus, max_epochs=1)
    tree = yaml.safe_load(config.read_text())
    for side in ("imitation", "recording"):
        tree["data"]["init_args"][f"{side}_front_end"] = {"class_path": "mypackage.LinearSpectrum"}
    config.write_text(yaml.safe_dump(tree))
    run_experiment("fit", ["--config", str(config), "--run_dir", str(tmp_path / "run")])
    best = tmp_path / "run" / "checkpoints" / "best.ckpt"
    front_end = load_system(best).front_ends["recording"]
    assert front_end(torch.zeros(1, front_end.samples)).shape == (1, 257, 100)
    monkeypatch.delenv("VOCALSKETCH_EXTENSIONS")
    with pytest.raises(ConfigError, match="name that package in VOCALSKETCH_EXTENSIONS"):
        load_system(best)


def test_only_front_ends_are_made_from_a_checkpoint(mypackage: None) -> None:
    with pytest.raises(ConfigError, match="Unknown front end 'mypackage.CosineTask'"):
        front_end_from({"class": "mypackage.CosineTask", "version": 1})
    with pytest.raises(ConfigError, match="Unknown front end 'subprocess.Popen'"):
        front_end_from({"class": "subprocess.Popen", "version": 1, "args": "true"})


def test_a_config_names_a_package_only_where_it_is_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "strangers.py").write_text("\n".join(blocks("python")))
    monkeypatch.syspath_prepend(tmp_path)
    config = tmp_path / "mine.yaml"
    # what a parser was once allowed it stays allowed in this process: another name
    config.write_text(blocks("yaml")[0].replace("mypackage", "strangers"))
    with pytest.raises(ConfigError, match="VOCALSKETCH_EXTENSIONS=strangers"):
        run_experiment("fit", ["--config", str(config)])
    assert "strangers" not in sys.modules
