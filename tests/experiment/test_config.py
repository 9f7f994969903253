"""Configs as nested mappings."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from vocalsketch.errors import ConfigError
from vocalsketch.experiment.config import assigned, read_tree, values_of, write_tree

PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
TREES = st.dictionaries(
    st.text(min_size=1),
    st.recursive(
        PLAIN,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1), inner, max_size=3)
        ),
        max_leaves=8,
    ),
)


@given(TREES)
def test_what_is_written_reads_back_the_same(tree: dict[str, object]) -> None:
    assert yaml.safe_load(write_tree(tree)) == tree


def test_a_value_is_set_within_a_list_of_mappings_and_nowhere_else() -> None:
    tree = {"stages": [{"filters": 12, "kernel": [3, 3]}, {"filters": 6}]}
    changed = assigned(tree, {"stages.1.filters": 8, "stages.0.kernel.1": 5})
    assert changed == {"stages": [{"filters": 12, "kernel": [3, 5]}, {"filters": 8}]}
    assert tree["stages"][1] == {"filters": 6}


def test_another_class_drops_the_arguments_of_the_one_before_but_not_those_set_with_it() -> None:
    tree = {"optimizer": {"class_path": "Adam", "init_args": {"lr": 0.1, "betas": [0.9, 0.99]}}}
    changed = assigned(tree, {"optimizer.init_args.lr": 0.5, "optimizer.class_path": "SGD"})
    assert changed == {"optimizer": {"class_path": "SGD", "init_args": {"lr": 0.5}}}


def test_the_same_class_keeps_its_arguments() -> None:
    tree = {"optimizer": {"class_path": "Adam", "init_args": {"lr": 0.1}}}
    assert assigned(tree, {"optimizer.class_path": "Adam"}) == tree


def test_a_later_config_is_laid_over_an_earlier_one(tmp_path: Path) -> None:
    below, above = tmp_path / "below.yaml", tmp_path / "above.yaml"
    below.write_text("trainer: {max_epochs: 100, logger: {class_path: A, init_args: {b: 1}}}")
    above.write_text("trainer: {max_epochs: 2, logger: false}")
    assert read_tree([below, above]) == {"trainer": {"max_epochs": 2, "logger": False}}


def test_interpolations_stay_as_written(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("root: ${oc.env:SOME_VARIABLE,demo}")
    assert "${oc.env:SOME_VARIABLE,demo}" in write_tree(read_tree([config]))


def test_keys_are_those_of_mappings_lists_and_values() -> None:
    tree = {"a": {"b": [{"c": 1}, 2]}}
    assert [key for key, _ in values_of(tree)] == ["a", "a.b", "a.b.0", "a.b.0.c", "a.b.1"]


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("stages.2.filters", "'stages.2.filters' leads nowhere: list index out of range"),
        ("stages.first", "leads nowhere: invalid literal"),
    ],
)
def test_a_key_that_leads_nowhere_is_refused(key: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        assigned({"stages": [{"filters": 1}], "depth": 3}, {key: 1})


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "Cannot read"), ("a: [", "is no YAML"), ("- 1", "holds list, not keys")],
)
def test_a_file_that_is_no_config_is_refused(
    tmp_path: Path, content: str | None, message: str
) -> None:
    path = tmp_path / "config.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigError, match=message):
        read_tree([path])
