"""Ten-fold cross-validation: a fresh model for each fold, and all of them counted together."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from pandas import DataFrame

from vocalsketch.callbacks.results import show_picture, write_confusion
from vocalsketch.callbacks.wandb_tracker import trackers
from vocalsketch.datamodules import UrbanSoundDataModule
from vocalsketch.datasets.labelled import FOLDS
from vocalsketch.errors import ConfigError
from vocalsketch.experiment.parser import ExperimentCLI
from vocalsketch.experiment.run_folder import RunFolder
from vocalsketch.files import write_text
from vocalsketch.jobs.job import Job, Slot, clips_fingerprint, fingerprint, training
from vocalsketch.jobs.pool import complete
from vocalsketch.retrieval.results import Sample, corpus_tag
from vocalsketch.tasks.classification import Confusion, summed

Folds = Mapping[int, Confusion]  # the confusion on each held-out fold


def cross_validate(
    arguments: list[str],
    folder: Path,
    folds: Sequence[int] = tuple(FOLDS),
    slots: Sequence[Slot] = (),
) -> dict[int, Confusion]:
    """Train and test a fresh model per fold; print, write and return what they came to.

    Each fold is a run of its own in ``<folder>/fold<k>``; folds that were done before are not done
    again, those of another config are moved to ``<folder>/replaced``. When the last is done,
    ``cross_validation.json`` and the confusion matrix over all folds (CSV and PNG, and in W&B) are
    written. ``arguments`` are those of ``vocalsketch fit`` without ``--run_dir``.

    Raises:
        ConfigError: The config is not about folds, or a fold is out of range.
    """
    wrong = [fold for fold in folds if fold not in FOLDS]
    if wrong or not folds or len(set(folds)) < len(folds):
        raise ConfigError(f"folds is {list(folds)}: name folds 1 to {FOLDS[-1]}, each once.")
    cli = ExperimentCLI("fit", [*arguments, "--run_dir", str(folder)])
    data = cli.datamodule
    if not isinstance(data, UrbanSoundDataModule):
        raise ConfigError(
            f"{type(data).__name__} has no folds: cross-validate a config whose data is "
            "UrbanSoundDataModule, such as conf/pretrain_urbansound8k.yaml."
        )
    with RunFolder(folder).alone():
        data.prepare_data()  # once, not by each
        jobs = _jobs(cli, data, arguments, folds)
        complete(jobs, slots)
        done = {}
        for fold, job in zip(folds, jobs, strict=True):
            told = json.loads((job.folder / "accuracy_test.json").read_text(encoding="utf-8"))
            counts = np.array(told["confusion"], dtype=np.int64)
            done[fold] = Confusion(tuple(told["classes"]), counts)
        _write(folder, done, cli)
    return done


def _jobs(
    cli: ExperimentCLI, data: UrbanSoundDataModule, arguments: list[str], folds: Sequence[int]
) -> list[Job]:
    config = yaml.safe_load(cli.resolved())
    del config["data"]["init_args"]["fold"]
    clips = {clip.path: (clip.id, clip.label, clip.group) for clip in data.corpus.clips}
    content, seed = clips_fingerprint(data.corpus.name, clips), config["seed_everything"]
    return [
        training(
            f"{cli.name}/fold{fold}",
            cli.folder.path / f"fold{fold}",
            (*arguments, "--data.init_args.fold", str(fold)),
            fingerprint(config, seed=seed, corpus=content, split=f"fold {fold}"),
        )
        for fold in folds
    ]


def figures(folds: Folds) -> dict[str, Any]:
    """Return the accuracy of each fold, mean and standard deviation, and of all clips together."""
    sample = Sample.of([each.accuracy for each in folds.values()])
    return {
        "accuracy": {str(fold): each.accuracy for fold, each in folds.items()},
        "mean": sample.mean,
        "standard_deviation": sample.std if len(folds) > 1 else 0.0,
        "all": summed(list(folds.values())).to_dict(),
    }


def _write(folder: Path, folds: Folds, cli: ExperimentCLI) -> None:
    corpus, found = cli.datamodule.corpus.name, figures(folds)
    pooled = summed(list(folds.values()))
    told = json.dumps({"system": cli.name, "corpus": corpus, **found}, indent=2) + "\n"
    write_text(folder / "cross_validation.json", told)
    title = f"{cli.name}, {len(folds)} folds\n{corpus_tag(corpus)}"
    picture = write_confusion(folder / "confusion", pooled, title)
    for tracker in trackers(cli.trainer):
        tracker.describe(
            name=f"{cli.name} cross-validation",
            run_id=RunFolder(folder).wandb_id(),
            job_type="crossvalidate",
            tags=[f"corpus={corpus}"],
            config=yaml.safe_load(cli.resolved()),
        )
        measured = {"mean": found["mean"], "deviation": found["standard_deviation"]}
        tracker.log_metrics({f"accuracy/{name}": value for name, value in measured.items()})
        show_picture(tracker, "test/confusion", picture)
        tracker.finish()
    rows = {f"fold {fold}": each for fold, each in folds.items()} | {"all clips": pooled}
    lines = {name: (each.clips, each.accuracy, each.chance) for name, each in rows.items()}
    frame = DataFrame.from_dict(lines, orient="index", columns=["clips", "accuracy", "chance"])
    print(title, frame.to_string(float_format="{:.3f}".format), sep="\n")
    print(f"mean {found['mean']:.3f}, standard deviation {found['standard_deviation']:.3f}")
    print(f"p (binomial) {pooled.p_value:.2g}\nSaved in {folder}")
