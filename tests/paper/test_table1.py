"""The whole command on a tiny corpus: run, reported, fused. (Killed: tests/faults.)"""

import csv
import json
import os
import shlex

import numpy as np
import pytest
import yaml
from corpora import write_config

from vocalsketch.cli import main
from vocalsketch.experiment import run_experiment
from vocalsketch.jobs.job import Job
from vocalsketch.paper.plan import Record, folder_of, gather
from vocalsketch.retrieval.scores import Scores

SYSTEMS = ("imisound", "iminet_tied")


@pytest.fixture
def conf(tmp_path, folder_corpus):
    """Configs of small systems."""
    folder = tmp_path / "conf"
    folder.mkdir()
    write_config(folder / "iminet_tied.yaml", folder_corpus, max_epochs=4)
    path = write_config(folder / "imisound.yaml", folder_corpus, max_epochs=3)
    content = yaml.safe_load(path.read_text())
    content["data"]["class_path"] = "vocalsketch.datamodules.ImitationsDataModule"
    content["model"] = {
        "class_path": "vocalsketch.tasks.ImisoundTask",
        "init_args": {"hidden": [12, 6], "layer_epochs": 1},
    }
    path.write_text(yaml.safe_dump(content))
    return folder


def command(conf, corpus, out, *more):
    return [
        *("reproduce", "table1", "--root", str(corpus), "--conf", str(conf), "--out", str(out)),
        *("--rows", "iminet_tied,imisound,contours,fusion", "--seeds", "2", "--devices", "cpu"),
        *("--jobs", "2", *more),
    ]


@pytest.mark.usefixtures("jobs_here")
def test_its_cells_are_plain_fits_and_what_is_done_is_not_done_again(
    conf, folder_corpus, tmp_path, capsys
):
    out = tmp_path / "table1"
    cell = out / "cells" / "iminet_tied" / "seed0"
    assert main(command(conf, folder_corpus, out, "--jobs", "1")) == 0
    plain = tmp_path / "plain"
    config = ["--config", str(conf / "iminet_tied.yaml"), "--seed_everything", "0"]
    run_experiment("fit", [*config, "--run_dir", str(plain)])
    for ours, alone in zip(
        Scores.load(cell / "scores_test.npz").categories,
        Scores.load(plain / "scores_test.npz").categories,
        strict=True,
    ):
        np.testing.assert_allclose(ours.scores, alone.scores, rtol=1e-4, atol=1e-6)

    with (out / "table1.csv").open(newline="") as handle:
        seeds = {line["row"]: line["seeds"] for line in csv.DictReader(handle)}
    assert {row for row, count in seeds.items() if count == "2"} == {
        "imisound",
        "iminet_tied",
        "iminet_tied+imisound",
    }
    assert "Contours" in (out / "report.md").read_text()
    capsys.readouterr()
    done_cells_are_not_run_again(conf, folder_corpus, out)
    fusing_by_hand_is_the_row_of_the_table(out, tmp_path)


def done_cells_are_not_run_again(conf, corpus, out):
    scores = sorted(out.glob("cells/*/*/scores_test.npz"))
    before = [path.stat().st_mtime_ns for path in scores]
    assert main(command(conf, corpus, out)) == 0
    assert [path.stat().st_mtime_ns for path in scores] == before
    (out / "report.html").unlink()
    assert main(["reproduce", "report", "--out", str(out)]) == 0
    assert (out / "report.html").is_file()


def fusing_by_hand_is_the_row_of_the_table(out, tmp_path):
    runs = [str(out / "cells" / system / "seed1") for system in SYSTEMS]
    assert main(["reproduce", "fuse", *runs, "--out", str(tmp_path / "fused")]) == 0
    results = json.loads((tmp_path / "fused" / "results_test.json").read_text())
    by_hand = [each["mrr"] for each in results["categories"].values()]
    assert results["system"] == "imisound+iminet_tied"
    assert len(by_hand) == 2
    assert 0.5 <= min(by_hand) <= 1  # two candidates


def test_a_cell_that_fails_is_reported_with_its_log(conf, folder_corpus, tmp_path, capsys):
    path = conf / "iminet_tied.yaml"
    path.write_text(path.read_text().replace("batch_size: 8", "batch_size: 7"))
    out = tmp_path / "table1"
    assert main(command(conf, folder_corpus, out, "--rows", "iminet_tied", "--seeds", "1")) == 1
    said = capsys.readouterr().err
    log = folder_of(out.resolve(), "iminet_tied/seed0") / "log.txt"
    assert "iminet_tied/seed0 failed: batch_size is 7" in said
    assert str(log) in said
    assert "No finished run to report on" in said


def made(folder, name, scores=None):
    """Leave a job as a run left it: done, with scores, or failed."""
    job = Job(name, folder_of(folder, name), (), "print")
    job.note("done" if scores else "failed")
    if scores:
        scores.save(job.folder / "scores_test.npz")


def test_what_failed_is_named_in_the_report_on_the_rest(ranked, tmp_path):
    runs = {f"iminet_tied/seed{seed}": "print" for seed in range(2)}
    record = Record(runs, fusion=True, notes=("Take care.",))
    made(tmp_path, "iminet_tied/seed0", ranked({"bells": [1, 2]}))
    made(tmp_path, "iminet_tied/seed1")
    measured = gather(tmp_path, record)
    assert list(measured.runs["iminet_tied"]) == [0]
    assert measured.sample("iminet_tied", "bells").mean == 0.75
    assert measured.notes == (
        "Take care.",
        "Runs that are not in these figures: iminet_tied/seed1.",
    )


def test_a_run_of_ones_own_stands_in_a_row_of_its_own(ranked, tmp_path, capsys):
    Record({"iminet_tied/seed0": "print"}, fusion=False).write(tmp_path)
    made(tmp_path, "iminet_tied/seed0", ranked({"bells": [1, 2]}))
    for number, ranks in enumerate(([1, 1], [1, 4])):
        (tmp_path / f"own{number}").mkdir()
        scores = ranked({"bells": ranks}, "whatever", kind="similarity")
        scores.save(tmp_path / f"own{number}" / "scores_test.npz")
    report = ["reproduce", "report", "--out", str(tmp_path)]
    add = [f"--add=mine={tmp_path / f'own{number}'}" for number in range(2)]
    assert main([*report, *add]) == 0
    assert main(report) == 0  # it stays
    with (tmp_path / "table1.csv").open(newline="") as handle:
        lines = {line["row"]: line for line in csv.DictReader(handle)}
    assert (lines["mine"]["block"], lines["mine"]["seeds"]) == ("Added", "2")
    assert float(lines["mine"]["mean"]) == pytest.approx((1 + 0.625) / 2)
    with (tmp_path / "tests.csv").open(newline="") as handle:
        tests = [(line["first"], line["second"]) for line in csv.DictReader(handle)]
    assert tests == [("mine", "iminet_tied")]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("mine", "give NAME=RUN_FOLDER"),
        ("iminet_tied=runs/x", "with a name that no row has yet"),
        ("mine=nowhere", "No scores at nowhere"),
    ],
)
def test_what_cannot_be_added_is_refused_before_any_run(tmp_path, capsys, given, message):
    out = tmp_path / "out"
    assert main(["reproduce", "table1", "--out", str(out), "--add", given]) == 1
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_runs_on_another_split_are_not_added(ranked, folder_corpus, conf, tmp_path, capsys):
    Record({"iminet_tied/seed0": "print"}, False).write(tmp_path)
    made(tmp_path, "iminet_tied/seed0", ranked({"bells": [1, 2]}))
    ranked({"bells": [1, 2]}, split="other").save(tmp_path / "other.npz")
    report = ["reproduce", "report", "--out", str(tmp_path)]
    assert main([*report, "--add", f"mine={tmp_path / 'other.npz'}"]) == 1
    assert "their split differs" in capsys.readouterr().err
    assert main(report) == 0  # as it was
    table = ["reproduce", "table1", "--root", str(folder_corpus), "--out", str(tmp_path / "new")]
    added = ["--rows", "contours", "--add", f"mine={tmp_path / 'other.npz'}"]
    assert main([*table, "--conf", str(conf), *added]) == 1
    assert "it ranked split 'other'" in capsys.readouterr().err


def test_fusing_runs_of_different_splits_names_the_difference(ranked, tmp_path, capsys):
    for split in ("one", "two"):
        scores = ranked({"bells": [1, 2]}, system=split, split=split)
        scores.save(tmp_path / f"{split}.npz")
    runs = [str(tmp_path / "one.npz"), str(tmp_path / "two.npz")]
    assert main(["reproduce", "fuse", *runs, "--out", str(tmp_path / "out")]) == 1
    assert "their split differs, 'one' and 'two'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("names", [("one",), ("one", "one"), ("one", "two", "one")])
def test_a_fusion_is_of_different_runs(ranked, tmp_path, capsys, names):
    for name in names:
        ranked({"bells": [1, 2]}, system=name).save(tmp_path / f"{name}.npz")
    runs = [str(tmp_path / f"{name}.npz") for name in names]
    assert main(["reproduce", "fuse", *runs, "--out", str(tmp_path / "out")]) == 1
    assert "A fusion is of two or more different runs" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_pretraining_data_that_are_not_there_are_refused_before_any_run(tmp_path, capsys):
    out = tmp_path / "out"
    given = ["--voxforge", str(tmp_path / "speech"), "--rows", "tl_conv1", "--seeds", "1"]
    assert main(["reproduce", "table1", "--out", str(out), *given]) == 1
    assert f"--voxforge is {tmp_path / 'speech'}, where there is no folder" in (
        capsys.readouterr().err
    )
    assert not out.exists()


def test_rows_of_published_networks_need_their_weights(
    folder_corpus, tmp_path, capsys, monkeypatch
):
    """Beyond leaves out those that are not there; the others are trained with the file's."""
    monkeypatch.delenv("AISFX_WEIGHTS", raising=False)
    monkeypatch.delenv("MN_WEIGHTS", raising=False)
    planned = []

    def study(arguments, rows, changes, **_):
        planned.append(([row.key for row in rows], changes))
        return 0

    monkeypatch.setattr("vocalsketch.commands.reproduce._study", study)
    table = ["reproduce", "table1", "--root", str(folder_corpus), "--out", str(tmp_path / "out")]
    assert main([*table, "--rows", "dual_aisfx"]) == 1
    assert "data download aisfx --out FILE`, then give --aisfx FILE" in capsys.readouterr().err
    assert main([*table, "--rows", "beyond", "--aisfx", str(tmp_path / "none")]) == 1
    assert f"--aisfx is {tmp_path / 'none'}, where there is no file" in capsys.readouterr().err
    assert main([*table, "--rows", "beyond"]) == 0
    weights = tmp_path / "mn10.pt"
    weights.touch()
    monkeypatch.setenv("MN_WEIGHTS", str(weights))
    assert main([*table, "--rows", "beyond"]) == 0
    (without, nothing), (rows, changes) = planned
    assert without[-4:] == ["views", "ensemble_synthesised", "views_tuned", "ensemble"]
    assert nothing == {}
    assert rows == [*without, "dual_mn10"]
    assert changes == {"dual_mn10": (f"--model.init_args.backbone_weights={weights}",)}


def test_sounds_to_imitate_are_told_to_what_trains_on_them(
    folder_corpus, tmp_path, capsys, monkeypatch
):
    monkeypatch.delenv("AISFX_WEIGHTS", raising=False)
    monkeypatch.delenv("MN_WEIGHTS", raising=False)
    planned = {}
    monkeypatch.setattr(
        "vocalsketch.commands.reproduce._study",
        lambda _, rows, changes, **told: planned.update(changes, notes=told["notes"]) or 0,
    )
    table = ["reproduce", "table1", "--root", str(folder_corpus), "--rows", "beyond"]
    assert main([*table, "--sounds", str(tmp_path / "none")]) == 1
    assert f"--sounds is {tmp_path / 'none'}, where there is no folder" in capsys.readouterr().err
    folders = [tmp_path / "two, with a comma", tmp_path / "drums"]
    for folder in folders:
        folder.mkdir()
    assert main([*table, *(f"--sounds={each}" for each in folders)]) == 0
    (note,) = planned.pop("notes")
    assert str(folders[0]) in note
    assert set(planned) == {"dual_pretrain", "dual_own", "dual_contours"}
    (option,) = planned["dual_pretrain"]
    name, _, value = option.partition("=")
    assert name == "--data.init_args.sounds"
    assert yaml.safe_load(value) == list(map(str, folders))


def test_after_ctrl_c_it_says_how_to_go_on(conf, folder_corpus, tmp_path, capsys, monkeypatch):
    def interrupted(*arguments, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr("vocalsketch.jobs.pool.run_jobs", interrupted)
    out = tmp_path / "it's $HOME table"
    assert main(command(conf, folder_corpus, out)) == 130
    said = capsys.readouterr().err
    assert "The same command goes on with what is not done" in said
    report = shlex.split(said.split("`")[1])
    assert report == ["vocalsketch", "reproduce", "report", "--out", str(out)]


@pytest.mark.skipif(os.name != "posix", reason="the lock is of POSIX systems")
def test_a_second_study_in_the_same_folder_is_refused(conf, folder_corpus, tmp_path, capsys):
    import fcntl

    out = tmp_path / "table1"
    out.mkdir()
    with (out / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert main(command(conf, folder_corpus, out)) == 1
    assert "Another `vocalsketch reproduce` runs in" in capsys.readouterr().err


def test_no_study_no_report(tmp_path, capsys):
    out = tmp_path / "it's $HOME table"
    assert main(["reproduce", "report", "--out", str(out)]) == 1
    said = capsys.readouterr().err
    assert "Nothing to report on at" in said
    remedy = shlex.split(said.split("`")[1])
    assert remedy == ["vocalsketch", "reproduce", "table1", "--out", str(out)]
