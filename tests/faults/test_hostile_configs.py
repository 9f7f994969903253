"""A config from a stranger chooses among what is there: it never runs a command or imports code."""

import os
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import omegaconf
import pytest
import yaml

from vocalsketch.errors import ConfigError
from vocalsketch.experiment.config import read_mapping
from vocalsketch.experiment.parser import ExperimentCLI
from vocalsketch.sweep.definition import read_definition
from vocalsketch.sweep.run import checked

Change = Callable[[dict[str, Any], Any], object]
DDP = "pytorch_lightning.strategies.DDPStrategy"
LAMBDA = "pytorch_lightning.callbacks.LambdaCallback"


def popen(canary: Path) -> dict[str, Any]:
    """A class whose construction runs a command."""
    command = f"{sys.executable} -c 'open({str(canary)!r}, chr(119))'"
    return {"class_path": "subprocess.Popen", "init_args": {"args": command, "shell": True}}


def parse(config: Path, tree: dict[str, Any] | str) -> ExperimentCLI:
    config.write_text(tree if isinstance(tree, str) else yaml.safe_dump(tree))
    return ExperimentCLI("fit", ["--config", str(config), "--run_dir", str(config.parent / "run")])


WHERE: dict[str, Change] = {
    "model": lambda c, attack: c.update(model=attack),
    "data": lambda c, attack: c.update(data=attack),
    "front end": lambda c, attack: c["data"]["init_args"].update(imitation_front_end=attack),
    "optimizer": lambda c, attack: c["model"]["init_args"].update(optimizer=attack),
    "callback": lambda c, attack: c["trainer"]["callbacks"].append(attack),
    "logger": lambda c, attack: c["trainer"].update(logger=attack),
    "strategy": lambda c, attack: c["trainer"].update(strategy=attack),
    "plugin": lambda c, attack: c["trainer"].update(plugins=[attack]),
    "profiler": lambda c, attack: c["trainer"].update(profiler=attack),
    "accelerator": lambda c, attack: c["trainer"].update(accelerator=attack),
    # a parameter of type Any, of which the parser would build whatever class is named
    "anything": lambda c, attack: c["trainer"].update(
        strategy={"class_path": DDP, "init_args": {"ddp_comm_state": attack}}
    ),
    "callable": lambda c, attack: c["trainer"]["callbacks"].append(
        {"class_path": LAMBDA, "init_args": {"on_fit_start": attack}}
    ),
}


@pytest.mark.parametrize("where", WHERE)
def test_a_class_that_would_run_a_command_is_never_built(
    where: str, tiny_config: Path, canary: Path
) -> None:
    tree = yaml.safe_load(tiny_config.read_text())
    WHERE[where](tree, popen(canary))
    with pytest.raises(ConfigError, match=r"subprocess\.Popen"):
        parse(tiny_config, tree)
    assert not canary.exists()


@pytest.mark.parametrize("where", WHERE)
def test_a_module_that_would_run_something_when_imported_is_never_imported(
    where: str, tiny_config: Path, tmp_path: Path, canary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stranger.py").write_text(f"open({str(canary)!r}, 'w').close()\n")
    monkeypatch.syspath_prepend(tmp_path)
    tree = yaml.safe_load(tiny_config.read_text())
    WHERE[where](tree, {"class_path": "stranger.Anything"})
    # where a type accepts anything, what is named so stays a mapping of two words
    expected = r"stranger\.Anything"
    with nullcontext() if where == "anything" else pytest.raises(ConfigError, match=expected):
        parse(tiny_config, tree)
    assert not canary.exists()
    assert "stranger" not in sys.modules


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "builtins.exec",
        "torch.load",
        "torch.hub.load",
        "vocalsketch.experiment.run_folder.os.system",
        "pytorch_lightning.cli.os.system",
    ],
)
def test_a_function_cannot_be_named_by_way_of_a_module_that_imports_it(
    name: str, tiny_config: Path
) -> None:
    tree = yaml.safe_load(tiny_config.read_text())
    WHERE["callable"](tree, name)
    with pytest.raises(ConfigError, match="may name only what lies in vocalsketch"):
        parse(tiny_config, tree)


def test_a_class_of_another_kind_is_refused_though_it_may_be_named(tiny_config: Path) -> None:
    tree = yaml.safe_load(tiny_config.read_text())
    tree["model"] = {"class_path": "vocalsketch.features.store.FeatureStore"}
    with pytest.raises(ConfigError, match="does not correspond to a subclass of LightningModule"):
        parse(tiny_config, tree)


def test_an_own_package_can_be_trusted(
    tiny_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ownpackage.py").write_text(
        "import pytorch_lightning as pl\n\nclass Mine(pl.Callback):\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    tree = yaml.safe_load(tiny_config.read_text())
    tree["trainer"]["callbacks"].append({"class_path": "ownpackage.Mine"})
    with pytest.raises(ConfigError, match="trust: VOCALSKETCH_EXTENSIONS=ownpackage"):
        parse(tiny_config, tree)
    monkeypatch.setenv("VOCALSKETCH_EXTENSIONS", "other, ownpackage")
    built = parse(tiny_config, tree).trainer.callbacks  # type: ignore[attr-defined]  # Lightning's
    assert "Mine" in [type(callback).__name__ for callback in built]


def test_a_package_that_is_no_longer_trusted_is_not_named_any_more(
    tiny_config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "oncetrusted.py").write_text(
        "import pytorch_lightning as pl\n\nclass Mine(pl.Callback):\n    pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    tree = yaml.safe_load(tiny_config.read_text())
    tree["trainer"]["callbacks"].append({"class_path": "oncetrusted.Mine"})
    monkeypatch.setenv("VOCALSKETCH_EXTENSIONS", "oncetrusted")
    parse(tiny_config, tree)
    monkeypatch.delenv("VOCALSKETCH_EXTENSIONS")
    with pytest.raises(ConfigError, match="trust: VOCALSKETCH_EXTENSIONS=oncetrusted"):
        parse(tiny_config, tree)


TAGS = [
    '!!python/object/apply:os.system ["touch {canary}"]',
    '!!python/object/new:subprocess.Popen [["touch", "{canary}"]]',
    "!!python/name:os.system",
    "!!python/module:antigravity",
]


@pytest.mark.parametrize("tag", TAGS)
def test_yaml_tags_make_no_objects(tag: str, tiny_config: Path, canary: Path) -> None:
    text = tiny_config.read_text() + f"name: {tag.format(canary=canary)}\n"
    with pytest.raises(ConfigError, match="python"):
        parse(tiny_config, text)
    with pytest.raises(ConfigError, match="is no YAML"):
        read_mapping(tiny_config)
    assert not canary.exists()


@pytest.mark.parametrize(
    "value",
    [
        "${oc.decode:\"__import__('os').system('touch {canary}')\"}",
        "${eval:1}",
        "${python:os.getcwd()}",
        "${oc.create:{_target_: os.system}}",
    ],
)
def test_interpolations_compute_nothing(value: str, tiny_config: Path, canary: Path) -> None:
    tree = yaml.safe_load(tiny_config.read_text())
    tree["model"]["init_args"]["dropout"] = value.replace("{canary}", str(canary))
    with pytest.raises(ConfigError):
        parse(tiny_config, tree)
    assert not canary.exists()


def test_the_resolvers_are_omegaconfs_own() -> None:
    """Each of these looks up a key or a variable, or parses a literal; none evaluates."""
    own = {"env", "decode", "coerce", "create", "select", "deprecated", "dict.keys", "dict.values"}
    found = set(omegaconf.basecontainer.BaseContainer._resolvers)
    assert found <= {f"oc.{name}" for name in own}


def test_a_config_reads_no_other_machine(tiny_config: Path) -> None:
    tree = yaml.safe_load(tiny_config.read_text())
    tree["model"] = "memory://model.yaml"
    with pytest.raises(ConfigError, match="memory://"):
        parse(tiny_config, tree)


def test_a_study_file_names_no_more_than_a_config_does(
    tiny_config: Path, tmp_path: Path, canary: Path
) -> None:
    study = tmp_path / "study.yaml"
    space = {"rate": {"key": "model.init_args.dropout", "type": "float", "low": 0.1, "high": 0.2}}
    attack = {"class_path": DDP, "init_args": {"ddp_comm_state": popen(canary)}}
    overrides = {"trainer.strategy": attack}
    study.write_text(
        yaml.safe_dump({"config": tiny_config.name, "space": space, "overrides": overrides})
    )
    with pytest.raises(ConfigError, match=r"subprocess\.Popen"):
        checked(read_definition(study))
    choices = ["subprocess.Popen", "os.system"]
    space["rate"] = {"key": "model.class_path", "type": "categorical", "choices": choices}
    study.write_text(yaml.safe_dump({"config": tiny_config.name, "space": space}))
    with pytest.raises(ConfigError, match=r"subprocess\.Popen"):
        checked(read_definition(study))
    assert not canary.exists()


@pytest.mark.parametrize(
    "bomb",
    [
        "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1]\n"
        + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 8)}]\n" for i in range(1, 30)),
        "a: &a [*a, *a]\n",
    ],
    ids=["multiplied", "within itself"],
)
def test_aliases_that_multiply_are_refused_before_they_do(bomb: str, tiny_config: Path) -> None:
    with pytest.raises(ConfigError, match="expansion exceeds|recursive aliases"):
        parse(tiny_config, bomb + tiny_config.read_text())
    with pytest.raises(ConfigError, match="expansion exceeds|recursive aliases"):
        read_mapping(tiny_config)


def test_aliases_that_only_save_writing_are_read(tiny_config: Path) -> None:
    text = tiny_config.read_text() + "name: &name one\n"
    text = text.replace("seed_everything: 1", "seed_everything: &seed 1")
    assert parse(tiny_config, text.replace("max_epochs: 2", "max_epochs: *seed")).trainer.max_epochs


@pytest.mark.parametrize(
    ("encoding", "named"),
    [
        ("utf-16", r"is not UTF-8 \(line 1\): save it as UTF-8"),
        ("utf-16-le", "is not UTF-8|special characters are not allowed"),
        ("utf-32", "is not UTF-8"),
        ("latin-1", r"is not UTF-8 \(line 2\)"),
        ("cp932", "is not UTF-8"),
    ],
)
@pytest.mark.parametrize("made", [read_mapping, lambda path: parse_bytes(path, path.read_bytes())])
def test_a_config_that_is_not_utf_8_is_named(
    encoding: str, named: str, made: Callable[[Path], object], tiny_config: Path
) -> None:
    name = "\u30c6\u30b9\u30c8" if encoding == "cp932" else "h\u00f6rt"
    text = f"# a comment\nname: {name}\n" + tiny_config.read_text()
    tiny_config.write_bytes(text.encode(encoding))
    with pytest.raises(ConfigError, match=f"tiny.yaml .*({named})"):
        made(tiny_config)


def parse_bytes(config: Path, content: bytes) -> ExperimentCLI:
    config.write_bytes(content)
    return parse_config(config)


def parse_config(config: Path) -> ExperimentCLI:
    return ExperimentCLI("fit", ["--config", str(config), "--run_dir", str(config.parent / "run")])


@pytest.mark.parametrize("made", [read_mapping, lambda path: parse_config(path)])
def test_a_pipe_is_not_waited_for(made: Callable[[Path], object], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    with pytest.raises(ConfigError, match=r"Cannot read .*pipe\.yaml \(a folder, pipe or device"):
        made(tmp_path / "pipe.yaml")


def test_a_config_may_begin_with_the_mark_of_utf_8(tiny_config: Path) -> None:
    text = "name: h\u00f6rt\n" + tiny_config.read_text()
    assert parse_bytes(tiny_config, text.encode("utf-8-sig")).name == "h\u00f6rt"
    assert read_mapping(tiny_config)["name"] == "h\u00f6rt"


@pytest.mark.parametrize("made", [read_mapping, lambda path: parse_bytes(path, path.read_bytes())])
@pytest.mark.parametrize(
    ("more", "named"),
    [
        ("\nname: a\nother: {}\nname: b\n", "(?s)found duplicate key name.*line {}"),
        ("\nmore:\n  - deep: {x: 1, x: 2}\n", "found duplicate key x"),
        ("\ndata: {}\n", "found duplicate key data"),
    ],
)
def test_a_key_that_is_given_twice_is_refused(
    more: str, named: str, made: Callable[[Path], object], tiny_config: Path
) -> None:
    before = tiny_config.read_text()
    first = before.count("\n") + 2
    tiny_config.write_text(before + more)
    with pytest.raises(ConfigError, match=named.replace("{}", str(first + 2))):
        made(tiny_config)
