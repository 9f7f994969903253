"""The challenge's table: the whole command on tiny trees, and what it says."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import published_trees
import pytest
import yaml
from omegaconf import OmegaConf

from vocalsketch.cli import main
from vocalsketch.paper.measured import Measured
from vocalsketch.paper.qvim import shown, table
from vocalsketch.retrieval.scores import CategoryScores, Scores

CONFIGS = Path(__file__).resolve().parents[2] / "conf"
TRAINED = ("qvim_mn", "qbv_mn", "dual_qvim")


def scores_of(system: str, targets_score: float) -> Scores:
    """Two queries among three items, the first two of which share a class."""
    scores = np.array([[targets_score, 0.5, 0.3], [0.4, targets_score, 0.6]])
    kinds = (("a",), ("a",), ("b",))
    category = CategoryScores("sounds", ("q", "r"), ("x", "y", "z"), np.arange(2), scores, kinds)
    return Scores("cosine", "vimsketch+qvim-dev", "abc", "qvim", "test", system, (category,))


def test_measured_stands_beside_published_and_what_was_not_run_says_so() -> None:
    runs = {"qvim_2dft": {0: scores_of("two_dft", 0.9)}}
    runs["qvim_mn"] = {seed: scores_of("qvim_mn", best) for seed, best in enumerate((0.9, 0.45))}
    lines = table(Measured(runs)).set_index("row")
    assert lines.loc["qvim_2dft", "mrr"] == 1.0
    # ranks 1 and 1; then 2 and 2: the mean of 1 and 1/2, and their deviation
    assert lines.loc["qvim_mn", "mrr"] == 0.75
    assert lines.loc["qvim_mn", "mrr_std"] == pytest.approx(math.sqrt(0.125))
    # of the second query's two relevant items one stands third, not second
    best, third = 1 + 1 / math.log2(3), 1 / math.log2(4)
    assert lines.loc["qvim_2dft", "ndcg"] == pytest.approx((best + 1 + third) / 2 / best)
    assert math.isnan(lines.loc["dual_qvim", "mrr"])
    assert lines.loc["chance", "mrr"] == pytest.approx(11 / 18)
    said = {cells[0]: cells[1:] for cells in shown(lines.reset_index())}
    assert said["Baseline (MobileNet), mended"][:2] == ("0.750 ± 0.354", "0.2726")
    assert said["Dual encoder"][0] == "not run"
    assert said["Best entry"] == ("not run", "0.2932", "not run", "0.6468", "-")
    assert said["Chance"][1::2] == ("0.0444", "0.3370")


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """The shipped configs, of small networks, half a second and an epoch."""
    folder = tmp_path / "conf"
    folder.mkdir()
    for name in TRAINED:
        config = OmegaConf.to_container(OmegaConf.load(CONFIGS / f"{name}.yaml"))
        data, model = config["data"]["init_args"], config["model"]["init_args"]
        for side in ("imitation", "recording"):
            data[f"{side}_front_end"]["init_args"] = {"seconds": 0.5}
        data["jobs"] = 1
        small = {"backbone": "mn01"} if name != "dual_qvim" else {"filters": [4, 6], "width": 8}
        model["encoder"] |= small
        model["frames"] = 25
        config["trainer"] |= {"max_epochs": 1, "logger": False, "precision": "32-true"}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(config))
    return folder


@pytest.mark.usefixtures("jobs_here")
@pytest.mark.filterwarnings("ignore:.*:UserWarning")  # trees this small are advised against
def test_every_system_is_trained_and_ranked_from_trees_as_published(
    conf: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vim = published_trees.write_vimsketch(tmp_path / "vim")
    dev = published_trees.write_qvim(tmp_path / "dev")
    out = tmp_path / "out"
    command = ["reproduce", "qvim", "--root", str(vim), "--test-root", str(dev), "--out", str(out)]
    command += ["--conf", str(conf), "--seeds", "1", "--jobs", "1", "--devices", "cpu", "--quick"]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "corpus=vimsketch+qvim-dev: 8 queries, 4 items" in said
    assert "not run" in said
    report = (out / "report.md").read_text()
    assert "began with random weights" in report
    for name in ("qvim_2dft", *TRAINED, "default"):
        scores = Scores.load(out / "cells" / name / "seed0" / "scores_test.npz")
        assert (scores.corpus, scores.split_name, scores.half) == (
            *("vimsketch+qvim-dev", "qvim", "test"),
        )
        assert len(scores.categories[0].queries) == 8
    the_submission_of_a_run_is_its_scores(out / "cells" / "dual_qvim" / "seed0", dev, tmp_path)
    (out / "qvim.csv").unlink()
    assert main(["reproduce", "report", "--out", str(out)]) == 0
    assert (out / "qvim.csv").read_text().count("\n") == 8


def the_submission_of_a_run_is_its_scores(run: Path, dev: Path, folder: Path) -> None:
    options = ["--items", str(dev / "Items"), "--queries", str(dev / "Queries")]
    assert main(["submit", str(run), *options, "--out", str(folder / "scores.csv")]) == 0
    submitted = pd.read_csv(folder / "scores.csv", index_col=0)
    ranked = Scores.load(run / "scores_test.npz").categories[0]
    for names, prefixed in (
        (submitted.index, ranked.queries),
        (submitted.columns, ranked.candidates),
    ):
        assert [f"qvim-dev/{name}" for name in names] == list(prefixed)
    np.testing.assert_allclose(submitted.to_numpy(), ranked.scores, atol=1e-5)


def test_an_unknown_row_and_absent_weights_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["reproduce", "qvim", "--rows", "clever"]) == 1
    assert "No row 'clever': there are all, qvim_2dft, qvim_mn" in capsys.readouterr().err
    assert main(["reproduce", "qvim", "--weights", str(tmp_path / "mn10.pt")]) == 1
    assert "mn10.pt, where there is no file" in capsys.readouterr().err
