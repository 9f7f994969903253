"""Results of a half: JSON, per-query lines, the printed table."""

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from vocalsketch.errors import VocalSketchError
from vocalsketch.retrieval.results import corpus_tag, results_dict, results_table, write_results
from vocalsketch.retrieval.scores import CategoryScores, Scores

DEMO = "corpus=demo (synthetic; not comparable with the paper)"


def made_up() -> Scores:
    # Ranks 1, 2 and 1.5 of 2: MRR (1 + 1/2 + 2/3) / 3 = 13/18; chance (1 + 1/2) / 2 = 3/4.
    first = CategoryScores(
        "bells",
        ("x.wav", "y, z.wav", "w.wav"),
        ("a.wav", "b.wav"),
        np.array([0, 0, 1]),
        np.array([[2.0, 1.0], [1.0, 2.5], [0.5, 0.5]], dtype=np.float32),
    )
    # Rank 3 of 3: MRR 1/3; chance (1 + 1/2 + 1/3) / 3 = 11/18.
    second = CategoryScores(
        "dogs", ("v.wav",), ("c.wav", "d.wav", "e.wav"), np.array([2]), np.array([[3.0, 2.0, 1.0]])
    )
    return Scores("logit", "demo", "abc123", "paper", "test", "iminet_tied", (first, second))


def printed(results) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(results_table(results))
    return console.file.getvalue()


def test_mrr_and_chance_per_category_and_unweighted_mean():
    results = results_dict(made_up())
    # of two candidates the second rank discounts to 1 / log2(3), and so on
    second, third = 1 / np.log2(3), 1 / 2
    bells = {"mrr": 13 / 18, "chance": 3 / 4, "mean_rank": 1.5, "map": (1 + 1 / 2 + 3 / 4) / 3}
    bells |= {"ndcg": (1 + second + (1 + second) / 2) / 3, "ndcg_chance": (1 + second) / 2}
    bells |= {"recall@1": 1 / 3, "recall@5": 1.0, "recall@10": 1.0, "queries": 3, "candidates": 2}
    dogs = {"mrr": 1 / 3, "chance": 11 / 18, "mean_rank": 3.0, "map": 1 / 3, "ndcg": third}
    dogs |= {"ndcg_chance": (1 + second + third) / 3, "queries": 1, "candidates": 3}
    dogs |= {"recall@1": 0.0, "recall@5": 1.0, "recall@10": 1.0}
    intervals = {name: each.pop("intervals") for name, each in results["categories"].items()}
    assert results["categories"] == {"bells": pytest.approx(bells), "dogs": pytest.approx(dogs)}
    assert intervals["dogs"]["mrr"] == {
        "queries": pytest.approx([1 / 3, 1 / 3]),
        "targets": pytest.approx([1 / 3, 1 / 3]),
    }
    assert intervals["bells"]["mrr"]["queries"] == pytest.approx([0.5, 1.0])
    assert results["macro"]["mrr"] == pytest.approx((13 / 18 + 1 / 3) / 2)
    assert results["macro"]["chance"] == pytest.approx((3 / 4 + 11 / 18) / 2)
    assert (results["corpus"], results["split"], results["half"]) == ("demo", "abc123", "test")


def test_files_hold_what_was_computed(tmp_path):
    scores = made_up()
    results = results_dict(scores, ["broken.wav"])
    write_results(tmp_path, scores, results)
    names = ("queries_test.csv", "results.json", "results_test.json", "scores_test.npz")
    queries, latest, own, matrix = (tmp_path / name for name in names)
    assert sorted(tmp_path.iterdir()) == [queries, latest, own, matrix]
    assert json.loads(latest.read_text()) == results
    assert own.read_text() == latest.read_text()
    with queries.open(newline="") as handle:
        lines = list(csv.reader(handle))
    assert lines == [
        ["query", "target", "category", "rank", "score", "candidates"],
        ["x.wav", "a.wav", "bells", "1", "2.0", "2"],
        ["y, z.wav", "a.wav", "bells", "2", "1.0", "2"],
        ["w.wav", "b.wav", "bells", "1.5", "0.5", "2"],
        ["v.wav", "e.wav", "dogs", "3", "1.0", "3"],
    ]
    assert results_dict(Scores.load(matrix)) == results_dict(scores)


def test_both_halves_are_kept_and_the_latest_stands_in_results_json(tmp_path):
    for scores in (replace(made_up(), half="validation"), made_up()):
        write_results(tmp_path, scores, results_dict(scores))
    assert json.loads((tmp_path / "results.json").read_text())["half"] == "test"
    assert json.loads((tmp_path / "results_validation.json").read_text())["half"] == "validation"


def test_the_table_shows_each_category_its_chance_and_the_ratio():
    lines = printed(results_dict(made_up())).splitlines()
    assert lines[0].strip() == "iminet_tied, test half"
    assert lines[1].strip() == DEMO
    bells = next(line for line in lines if "bells" in line)
    assert [cell.strip() for cell in bells.split("│")[1:-1]] == [
        "bells",
        "3",
        "2",
        "0.722",
        "0.750",
        "0.96",
    ]
    macro = next(line for line in lines if "macro mean" in line)
    assert "0.528" in macro
    assert "0.681" in macro


def test_qvim_asks_for_ndcg_over_classes_and_others_do_not():
    shown = printed(results_dict(replace(made_up(), split_name="qvim"))).splitlines()
    bells = next(line for line in shown if "bells" in line)
    assert [cell.strip() for cell in bells.split("│")[4:-1]] == [
        *("0.722", "0.750", "0.96", "0.815", "0.815")
    ]
    assert "NDCG" not in printed(results_dict(made_up()))


def test_skipped_files_are_counted_under_the_table():
    assert "2 unreadable files were skipped" in printed(results_dict(made_up(), ["a", "b"]))
    assert "skipped" not in printed(results_dict(made_up()))


def test_only_the_demo_corpus_is_called_synthetic():
    assert corpus_tag("demo") == DEMO
    assert corpus_tag("vocalsketch") == "corpus=vocalsketch"


def test_a_category_without_queries_is_named():
    nothing = CategoryScores("cats", (), ("c.wav",), np.empty(0, dtype=np.int64), np.empty((0, 1)))
    with pytest.raises(VocalSketchError, match="No query in category 'cats'"):
        results_dict(replace(made_up(), categories=(nothing,)))


def test_no_category_is_refused():
    with pytest.raises(VocalSketchError, match="No category in the test half"):
        results_dict(replace(made_up(), categories=()))
