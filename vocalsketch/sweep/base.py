"""The base config of a study: whether it runs, which keys it has, what data it reads."""

import dataclasses
import tempfile
from pathlib import Path

import yaml

from vocalsketch.callbacks import WandbTracker
from vocalsketch.datamodules import RetrievalDataModule
from vocalsketch.datasets.records import Corpus
from vocalsketch.errors import ConfigError
from vocalsketch.experiment.config import Tree, assigned, values_of, write_tree
from vocalsketch.experiment.parser import LINKS, ExperimentCLI
from vocalsketch.experiment.refusals import without_noise
from vocalsketch.files import write_text
from vocalsketch.sweep.definition import Definition


def checked(definition: Definition, *, prepare: bool = True) -> Definition:
    """Check a study against its base config; return it with what it reads filled in.

    ``prepare`` computes the features of the development half, for all workers.

    Raises:
        ConfigError: The base config does not validate, a parameter sets a key it has not, its
            trials do not log the objective, or their seeds would draw other splits.
        DatasetError: The corpus cannot be read.
    """
    try:
        cli = _parsed(definition.config)
    except ConfigError as error:
        raise ConfigError(f"The base config does not validate: {error}") from error
    space = definition.parameters
    keys = _keys(cli)
    for key, classes in space.class_choices().items():
        if key in keys:
            for choice in classes:
                try:
                    keys |= _keys(_parsed(assigned(definition.config, {key: choice})))
                except ConfigError as error:
                    raise ConfigError(f"{key}: {choice} does not validate: {error}") from error
    space.check_keys(keys)
    data = cli.datamodule
    if not isinstance(data, RetrievalDataModule):
        raise ConfigError(
            f"data is a {type(data).__name__}: a sweep searches retrieval systems, whose "
            "validation half is ranked."
        )
    categories = sorted({sound.category.replace(" ", "_") for sound in data.corpus.sounds})
    known = ["val/mrr", "val/loss", *(f"val/mrr/{category}" for category in categories)]
    if definition.metric not in known:
        raise ConfigError(f"objective is {definition.metric!r}: choose {', '.join(known)}.")
    loggers = cli.trainer.loggers
    found = dataclasses.replace(
        definition,
        corpus=data.corpus.name,
        split=data.split.fingerprint,
        tracked=len(loggers) == 1 and isinstance(loggers[0], WandbTracker),
    )
    check_one_split(found, found.trained_seeds)
    if prepare:
        data.prepare_data()
    return found


def check_one_split(definition: Definition, seeds: range) -> None:
    """Check that seeds are trained and ranked on the study's own split.

    A split that each seed drew anew would rank sounds on which the search was made.

    Raises:
        ConfigError: Another seed draws another split.
    """
    others = [seed for seed in seeds if seed != definition.base_seed]
    if not others:
        return
    data = _parsed(assigned(definition.config, {"seed_everything": others[0]})).datamodule
    if data.split.fingerprint != definition.split:
        raise ConfigError(
            f"data.init_args.split is {data.split_spec!r}, which each seed draws anew: give "
            "data.init_args.seed, or a manifest (vocalsketch data split), so that all seeds have "
            "one split."
        )


def corpus_of(definition: Definition) -> Corpus:
    """Return the corpus of a study."""
    corpus: Corpus = _parsed(definition.config).datamodule.corpus
    return corpus


def _keys(cli: ExperimentCLI) -> set[str]:
    plain = cli.config.clone()
    for value in LINKS:
        plain.model.init_args.pop(value, None)
    text = cli.parser.dump(plain, skip_none=False, skip_validation=True)
    return {key for key, _ in values_of(yaml.safe_load(text))}


def _parsed(tree: Tree) -> ExperimentCLI:
    with tempfile.TemporaryDirectory() as folder, without_noise():
        config = Path(folder) / "base.yaml"
        write_text(config, write_tree(tree))
        return ExperimentCLI("fit", ["--config", str(config), "--run_dir", folder])
