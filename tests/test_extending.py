"""What docs/extending.md shows is run as it stands there."""

import csv
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
import torch
import yaml
from corpora import write_config
from starlette.testclient import TestClient

from vocalsketch.cli import main
from vocalsketch.errors import ConfigError
from vocalsketch.experiment import run_experiment
from vocalsketch.features.audio import clip_of, load_clip
from vocalsketch.paper.plan import Record
from vocalsketch.retrieval.scores import Scores, mean_reciprocal_rank
from vocalsketch.search import read_query
from vocalsketch.search.query import prepared
from vocalsketch.systems import front_end_from, load_system
from vocalsketch.web.app import Pages, build_app
from vocalsketch.web.libraries import Libraries
from vocalsketch.web.server import Limits

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


@pytest.fixture
def trained(
    mypackage: None, folder_corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The run of the page's config, in which every category's MRR is as it was found."""
    monkeypatch.setenv("VOCALSKETCH_ROOT", str(folder_corpus))
    config = tmp_path / "mine.yaml"
    config.write_text(blocks("yaml")[0])
    run_experiment("fit", ["--config", str(config), "--run_dir", str(tmp_path / "run"), *QUIET])
    return tmp_path / "run"


def test_the_pages_system_is_used_like_any_other(
    trained: Path, folder_corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    best, index = trained / "checkpoints" / "best.ckpt", tmp_path / "index"
    sounds, query = (
        folder_corpus / "sounds",
        folder_corpus / "imitations" / "bells3" / "bells3-0.wav",
    )
    system = load_system(best)
    assert (system.kind, system.corpus) == ("cosine", "folder")

    # ranked: the MRR that was written is that of the scores, which are cosines
    scores = Scores.load(trained / "scores_test.npz")
    assert (scores.system, scores.kind) == ("mine", "cosine")
    written = json.loads((trained / "results_test.json").read_text())["categories"]
    for category in scores.categories:
        found = mean_reciprocal_rank(category.scores, category.targets)
        assert written[category.category]["mrr"] == pytest.approx(found)
        assert np.abs(category.scores).max() <= 1.0 + 1e-6

    # indexed, and searched from the shell: the scores are the system's own
    assert main(["index", "build", str(sounds), "--system", str(best), "--index", str(index)]) == 0
    capsys.readouterr()
    assert main(["search", str(query), "--index", str(index), "--json", "--top", "8"]) == 0
    hits = json.loads(capsys.readouterr().out)
    hits = hits["hits"] if isinstance(hits, dict) else hits
    assert len(hits) == 8
    (waveform, rate), front_ends = read_query(query), system.front_ends
    asked = system.hear(
        "imitation",
        torch.from_numpy(clip_of(prepared(waveform, rate), rate, front_ends["imitation"]))[None],
    )
    for hit in hits:
        clip = torch.from_numpy(load_clip(Path(hit["file"]), front_ends["recording"]))
        expected = system.score(asked, system.hear("recording", clip[None])).detach()
        assert hit["score"] == pytest.approx(float(expected), abs=1e-3)

    # searched from the page, which finds the same and explains it
    page = TestClient(build_app(Pages(Libraries([index]), Limits()), ["*"]))
    answer = page.post("/api/search?count=8", content=query.read_bytes())
    assert answer.status_code == 200, answer.text
    found = answer.json()["hits"]
    assert [each["path"] for each in found] == [hit["path"] for hit in hits]
    assert [each["score"] for each in found] == pytest.approx([h["score"] for h in hits], abs=1e-6)
    why = page.post(f"/api/explain?path={quote(found[0]['path'])}", content=query.read_bytes())
    assert re.search(r"Cosine -?[01]\.\d{3}", why.text)

    # fused with another run
    other = tmp_path / "other.npz"
    replace(scores, system="another").save(other)
    fused = tmp_path / "fused"
    assert main(["reproduce", "fuse", str(trained), str(other), "--out", str(fused)]) == 0
    assert (fused / "results_test.json").is_file()

    # put into the report on Table I, and the fusion too
    report = tmp_path / "report"
    Record({}, fusion=False).write(report)
    add = [f"--add=mine={trained}", f"--add=both={fused}"]
    assert main(["reproduce", "report", "--out", str(report), *add]) == 0
    lines = list(csv.DictReader((report / "table1.csv").read_text().splitlines()))
    for name, half in (("mine", scores), ("both", Scores.load(fused / "scores_test.npz"))):
        for category in half.categories:
            (line,) = [x for x in lines if (x["row"], x["category"]) == (name, category.category)]
            found = mean_reciprocal_rank(category.scores, category.targets)
            assert float(line["mean"]) == pytest.approx(found)

    # explained, and looked into
    capsys.readouterr()
    why = ["explain", str(query), hits[0]["file"], "--system", str(best), "--out", str(tmp_path)]
    assert main(why) == 0
    assert re.match(r"cosine -?[01]\.\d{3} \(corpus=folder\)", capsys.readouterr().out)
    patterns = ["visualize", str(best), "--units", "1", "--steps", "3", "--out", str(tmp_path)]
    assert main(patterns) == 0
    assert "imitation fc1: 1 patterns" in capsys.readouterr().out


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
