"""Which runs a study is made of, and what makes two of them the same."""

import json
from dataclasses import replace

import pytest
import yaml

from vocalsketch.errors import ConfigError
from vocalsketch.paper.plan import Plan
from vocalsketch.paper.rows import KNOWN, ROWS, chosen


@pytest.fixture
def configs(tmp_path):
    folder = tmp_path / "conf"
    folder.mkdir()
    for name in filter(None, (row.config for row in ROWS)):
        content = {"data": {"init_args": {"root": "demo"}}, "model": {"init_args": {"name": name}}}
        if name.startswith("tl_iminet_conv"):
            content["model"]["init_args"]["transfer"] = {"imitation": "${oc.env:TOWER,a.ckpt}"}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(content))
    return folder


def plan(configs, corpus="corpus", split="split", **options):
    manifest = str(configs.parent / "split.json")
    data = {"root": "demo", "split": manifest, "on_bad_audio": "error"}
    return Plan(configs.parent / "report", configs, data, corpus, split, **options)


def jobs(configs, names, seeds=1, **options):
    """Return the jobs of some rows by name."""
    made = plan(configs, **options).jobs(chosen(names), seeds)
    return {job.name: job for job in made}


def test_iminet_is_three_systems_for_each_seed(configs):
    assert list(jobs(configs, ["iminet", "fusion"], 2)) == [
        "iminet_untied/seed0",
        "iminet_partial/seed0",
        "iminet_tied/seed0",
        "iminet_untied/seed1",
        "iminet_partial/seed1",
        "iminet_tied/seed1",
    ]


def test_what_is_not_trained_is_ranked_once(configs):
    (job,) = jobs(configs, ["contours"], 3).values()
    assert job.name == "contours/seed0"
    assert job.command[1:4] == ("vocalsketch.paper.plan", str(job.folder), "contours")


def test_pretraining_is_done_once_per_seed_and_only_where_a_row_needs_it(configs):
    assert list(jobs(configs, ["tl_none"])) == ["tl_none/seed0"]
    made = jobs(configs, ["tl"], 2)
    assert list(made)[:7] == [
        "tl_none/seed0",
        "pretrain_voxforge/seed0",
        "pretrain_urbansound8k/seed0",
        "tl_conv1/seed0",
        "tl_conv12/seed0",
        "tl_conv123/seed0",
        "tl_none/seed1",
    ]
    assert len(made) == 12
    needs = [need.name for need in made["tl_conv12/seed1"].needs]
    assert needs == ["pretrain_voxforge/seed1", "pretrain_urbansound8k/seed1"]
    assert made["tl_none/seed1"].needs == ()
    tower = made["pretrain_voxforge/seed1"].folder / "checkpoints" / "last.ckpt"
    arguments = made["tl_conv12/seed1"].command
    assert f"--model.init_args.transfer.imitation={tower}" in arguments


def test_the_rows_beyond_the_paper_start_from_one_another(configs):
    made = jobs(configs, ["beyond"], 2)
    first = made["dual_pretrain/seed1"]
    assert made["dual/seed1"].needs == (first,)
    start = first.folder / "checkpoints" / "best.ckpt"
    assert f"--model.init_args.start={start}" in made["dual/seed1"].command
    assert "default/seed0" in made
    assert "default/seed1" not in made


def test_an_ensemble_is_of_the_systems_of_the_same_seed_and_of_what_is_not_trained(configs):
    made = jobs(configs, ["ensemble"], 2)
    trained = [
        "dual_pretrain",
        "dual",
        "dual_own",
        "dual_own_tuned",
        "dual_contours",
        "dual_contours_tuned",
    ]
    assert list(made) == [f"{name}/seed{n}" for n in (0, 1) for name in (*trained, "ensemble")]
    last = made["ensemble/seed1"]
    assert last.needs == tuple(made[f"{name}/seed1"] for name in trained[1::2])
    best = [str(each.folder / "checkpoints" / "best.ckpt") for each in last.needs]
    module, folder, name, data, weights, *systems = last.command[1:]
    assert (module, folder, name) == ("vocalsketch.paper.plan", str(last.folder), "ensemble")
    split = str(configs.parent / "split.json")
    assert json.loads(data) == {"root": "demo", "split": split, "on_bad_audio": "error"}
    assert json.loads(weights) == KNOWN["ensemble"].weights
    assert systems == [*best, "contours"]
    assert len({job.fingerprint for job in made.values()}) == 14
    (configs / "dual_pretrain.yaml").unlink()
    with pytest.raises(ConfigError, match=r"No config .*dual_pretrain.yaml"):
        jobs(configs, ["ensemble"])


def test_weights_that_a_row_gives_are_told_and_make_another_job(configs, monkeypatch):
    given = jobs(configs, ["views"])["views/seed0"]
    assert json.loads(given.command[5]) == [1, 1]
    monkeypatch.setitem(KNOWN, "views", replace(KNOWN["views"], weights=(1, 2)))
    other = plan(configs).job(KNOWN["views"], 0)
    assert json.loads(other.command[5]) == [1, 2]
    assert other.fingerprint != given.fingerprint


def test_runs_are_told_the_corpus_and_pretrainings_are_not(configs):
    made = jobs(configs, ["tl_conv1"])
    told = {
        name: {each for each in job.command if each.startswith("--data.init_args.")}
        for name, job in made.items()
    }
    assert told["tl_conv1/seed0"] == {
        "--data.init_args.root=demo",
        f"--data.init_args.split={configs.parent / 'split.json'}",
        "--data.init_args.on_bad_audio=error",
    }
    assert told["pretrain_voxforge/seed0"] == set()


def test_a_runs_name_and_group_are_told_to_the_tracker(configs):
    job = jobs(configs, ["imisound"])["imisound/seed0"]
    assert job.environment == {"WANDB_RUN_GROUP": "report", "WANDB_NAME": "imisound-seed0"}


def test_quick_shortens_every_schedule(configs):
    rows = ["imisound", "iminet", "tl"]
    full = jobs(configs, rows)
    for name, job in jobs(configs, rows, quick=True).items():
        assert any(each.startswith("--trainer.max_epochs=") for each in job.command), name
        assert job.fingerprint != full[name].fingerprint


def test_pretraining_data_can_be_chosen(configs):
    changes = {"pretrain_voxforge": ("--data.init_args.root=/data/vf",)}
    made = jobs(configs, ["tl_conv1"], changes=changes)
    given = {n for n, job in made.items() if "--data.init_args.root=/data/vf" in job.command}
    assert given == {"pretrain_voxforge/seed0"}


@pytest.mark.parametrize(
    ("rows", "seeds", "message"),
    [
        (["iminet", "clever"], 1, "No row 'clever': there are imisound, iminet, tl, beyond, fusi"),
        (["fusion"], 1, "needs runs to fuse"),
        (["iminet"], 0, "seeds is 0"),
    ],
)
def test_what_cannot_be_planned_is_refused(configs, rows, seeds, message):
    with pytest.raises(ConfigError, match=message):
        jobs(configs, rows, seeds)


def test_an_absent_config_is_named_with_the_remedy(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere/imisound.yaml: run in a checkout.*--conf"):
        jobs(tmp_path / "nowhere", ["imisound"])


def fingerprint(configs, name="imisound", seed=0, **options):
    return plan(configs, **options).job(KNOWN[name], seed).fingerprint


def test_a_fingerprint_is_of_all_that_the_result_depends_on(configs):
    first = fingerprint(configs)
    others = [
        fingerprint(configs, seed=1),
        fingerprint(configs, quick=True),
        fingerprint(configs, corpus="other"),
        fingerprint(configs, split="other"),
        fingerprint(configs, "iminet_tied"),
        fingerprint(configs, "contours"),
        fingerprint(configs, "contours", corpus="other"),
    ]
    assert len({first, *others}) == 8
    assert fingerprint(configs) == first


def test_comments_and_the_place_of_the_corpus_change_no_fingerprint(configs, monkeypatch):
    first = fingerprint(configs)
    config = configs / "imisound.yaml"
    text = config.read_text().replace("demo", "${oc.env:VOCALSKETCH_ROOT,demo}")
    config.write_text(f"# a comment\n{text}")
    monkeypatch.setenv("VOCALSKETCH_ROOT", "/data/moved")
    assert fingerprint(configs) == first


def test_a_transferred_tower_counts_by_its_pretraining_not_by_its_place(configs, monkeypatch):
    first = fingerprint(configs, "tl_conv1")
    monkeypatch.setenv("TOWER", "/elsewhere/tower.ckpt")
    assert fingerprint(configs, "tl_conv1") == first
    path = configs / "pretrain_voxforge.yaml"
    path.write_text(path.read_text() + "trainer: {max_epochs: 3}\n")
    assert fingerprint(configs, "tl_conv1") != first


def test_where_pretraining_data_lie_counts(configs, monkeypatch):
    config = configs / "pretrain_voxforge.yaml"
    config.write_text(config.read_text().replace("demo", "${oc.env:VF,demo}"))
    first = fingerprint(configs, "pretrain_voxforge")
    monkeypatch.setenv("VF", "/data/vf")
    assert fingerprint(configs, "pretrain_voxforge") != first
