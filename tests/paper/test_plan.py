"""Which runs a study is made of, and what makes two of them the same."""

from pathlib import Path

import pytest
import yaml

from vocalsketch.errors import ConfigError
from vocalsketch.paper.plan import Cell, make_plan
from vocalsketch.paper.rows import ROWS

CONDITIONS = ("corpus", "split", "code")


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


def names(plan):
    return [cell.name for cell in plan.cells]


def test_iminet_is_three_systems_for_each_seed(configs):
    plan = make_plan(["iminet", "fusion"], 2, configs)
    assert names(plan) == [
        "iminet_untied/seed0",
        "iminet_partial/seed0",
        "iminet_tied/seed0",
        "iminet_untied/seed1",
        "iminet_partial/seed1",
        "iminet_tied/seed1",
    ]
    assert plan.fusion
    assert not make_plan(["iminet"], 2, configs).fusion


def test_pretraining_is_done_once_per_seed_and_only_where_a_row_needs_it(configs):
    assert names(make_plan(["tl_none"], 1, configs)) == ["tl_none/seed0"]
    plan = make_plan(["tl"], 2, configs)
    assert names(plan)[:7] == [
        "tl_none/seed0",
        "pretrain_voxforge/seed0",
        "pretrain_urbansound8k/seed0",
        "tl_conv1/seed0",
        "tl_conv12/seed0",
        "tl_conv123/seed0",
        "tl_none/seed1",
    ]
    assert len(plan.cells) == 12
    needs = {cell.name: [need.name for need in cell.needs] for cell in plan.cells}
    assert needs["tl_conv12/seed1"] == ["pretrain_voxforge/seed1", "pretrain_urbansound8k/seed1"]
    assert needs["tl_none/seed1"] == []


def test_quick_shortens_every_schedule(configs):
    full = {cell.name: cell for cell in make_plan(["imisound", "iminet", "tl"], 1, configs).cells}
    for cell in make_plan(["imisound", "iminet", "tl"], 1, configs, quick=True).cells:
        assert any(each.startswith("--trainer.max_epochs=") for each in cell.arguments), cell.name
        assert cell.fingerprint(CONDITIONS) != full[cell.name].fingerprint(CONDITIONS)


def test_pretraining_data_can_be_chosen(configs):
    plan = make_plan(["tl_conv1"], 1, configs, pretraining_roots={"imitation": "/data/vf"})
    arguments = {cell.system: cell.arguments for cell in plan.cells}
    assert arguments["pretrain_voxforge"] == ("--data.init_args.root=/data/vf",)
    assert arguments["pretrain_urbansound8k"] == ()


@pytest.mark.parametrize(
    ("rows", "seeds", "message"),
    [
        (
            ["iminet", "clever"],
            1,
            "No row 'clever': there are imisound, iminet, tl, beyond, fusion",
        ),
        (["fusion"], 1, "needs runs to fuse"),
        (["iminet"], 0, "--seeds is 0"),
    ],
)
def test_what_cannot_be_planned_is_refused(configs, rows, seeds, message):
    with pytest.raises(ConfigError, match=message):
        make_plan(rows, seeds, configs)


def test_an_absent_config_is_named_with_the_remedy(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere/imisound.yaml: run in a checkout.*--conf"):
        make_plan(["imisound"], 1, tmp_path / "nowhere")


def fingerprint(config: Path, conditions=CONDITIONS, **changes):
    cell = Cell(**{"system": "imisound", "seed": 0, "config": config, **changes})
    return cell.fingerprint(conditions)


def test_a_fingerprint_is_of_all_that_the_result_depends_on(configs):
    config = configs / "imisound.yaml"
    first = fingerprint(config)
    need = Cell("pretrain_voxforge", 0, configs / "pretrain_voxforge.yaml")
    others = [
        fingerprint(config, seed=1),
        fingerprint(config, arguments=("--trainer.max_epochs=3",)),
        fingerprint(config, conditions=("other", "split", "code")),
        fingerprint(config, needs=(need,)),
        fingerprint(configs / "iminet_tied.yaml"),
    ]
    assert len({first, *others}) == 6
    assert fingerprint(config) == first


def test_comments_and_the_place_of_config_and_corpus_change_no_fingerprint(
    configs, tmp_path, monkeypatch
):
    config = configs / "imisound.yaml"
    first = fingerprint(config)
    moved = tmp_path / "elsewhere.yaml"
    text = config.read_text().replace("demo", "${oc.env:VOCALSKETCH_ROOT,demo}")
    moved.write_text(f"# a comment\n{text}")
    monkeypatch.setenv("VOCALSKETCH_ROOT", "/data/moved")
    assert fingerprint(moved) == first


def test_a_transferred_tower_counts_by_its_pretraining_not_by_its_place(configs, monkeypatch):
    (*_, cell) = make_plan(["tl_conv1"], 1, configs).cells
    first = cell.fingerprint(CONDITIONS)
    monkeypatch.setenv("TOWER", "/elsewhere/tower.ckpt")
    assert cell.fingerprint(CONDITIONS) == first
    path = configs / "pretrain_voxforge.yaml"
    path.write_text(path.read_text() + "trainer: {max_epochs: 3}\n")
    assert cell.fingerprint(CONDITIONS) != first


def test_where_pretraining_data_lie_counts(configs, monkeypatch):
    config = configs / "pretrain_voxforge.yaml"
    config.write_text(config.read_text().replace("demo", "${oc.env:VF,demo}"))
    first = fingerprint(config, system="pretrain_voxforge")
    monkeypatch.setenv("VF", "/data/vf")
    assert fingerprint(config, system="pretrain_voxforge") != first
