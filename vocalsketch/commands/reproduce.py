"""`vocalsketch reproduce`: the paper's table and the challenge's from trained runs, and fusions."""

import argparse
import json
import os
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vocalsketch.commands.actions import SLOTS, Action, Options
from vocalsketch.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vocalsketch.paper.plan import Record
    from vocalsketch.paper.rows import Row

PRETRAINING_DATA = {"voxforge": "imitation", "urbansound8k": "recording"}
WEIGHTS = {"aisfx": "AISFX_WEIGHTS", "mn10": "MN_WEIGHTS"}  # variables that name a file
QUICK_NOTE = (
    "Trained with --quick, a shortened schedule: the figures show that the program works, and "
    "nothing of what the systems can do."
)
RANDOM_NOTE = (
    "qvim_mn and qbv_mn began with random weights; the published ones began with those trained on "
    "AudioSet (--weights)."
)

SOUNDS_NOTE = "What trains on synthesised imitations hears those of procedural sounds and of {}."

RUNS: Options = {
    "--add NAME=RUN": (
        [str],
        "put a finished run of your own (its folder, or its scores_test.npz) into a row NAME; "
        "again with the same name for another seed",
    )
}
STUDY: Options = {
    "--seeds": (10, "initialisations of each system"),
    "--quick": (False, "a few epochs each, to see that all works; the report says so"),
    "--retry": (False, "run again what failed earlier"),
    **SLOTS,
    "--conf": (Path("conf"), "folder of the configs"),
    "--on-bad-audio": (
        ("error", "skip", "use"),
        "stop at unusable audio, go on without, or with what is there",
    ),
    **RUNS,
}
TABLE_I = (
    "Train every system with several initialisations, fuse them, and write a report beside the "
    "paper's figures. Each run lies in OUT/cells; those that are done are not run again, and those "
    "that were interrupted go on from their last whole epoch: give the same command again after "
    "Ctrl-C or a crash."
)
TABLE: Options = {
    "--out": (Path("reports/table1"), "folder"),
    "--rows": (
        "imisound,iminet,tl,fusion,contours",
        "imisound, iminet (three rows), tl (four rows, and their pre-training), fusion (all that "
        "can be fused), beyond (what is not the paper's), or single rows such as iminet_tied",
    ),
    **STUDY,
    "--root": (
        lambda: os.environ.get("VOCALSKETCH_ROOT", "demo"),
        "the corpus (default: $VOCALSKETCH_ROOT, else demo)",
    ),
    "--split": ("paper", "paper, random, fold K/N, or a manifest"),
    **{
        f"--{name} ROOT": (
            str,
            f"data that pre-train the {side} tower (default: what conf/pretrain_{name}.yaml says)",
        )
        for name, side in PRETRAINING_DATA.items()
    },
    **{
        f"--{name} FILE": (
            Path,
            f"published weights of {name} (`vocalsketch data download {name}`), with which beyond "
            f"has a row of it (default: ${variable})",
        )
        for name, variable in WEIGHTS.items()
    },
    "--sounds FOLDER": (
        [str],
        "sounds, beside procedural ones, whose synthesised imitations the rows of beyond train on",
    ),
}
QVIM: Options = {
    "--out": (Path("reports/qvim"), "folder"),
    "--rows": ("all", "qvim_2dft, qvim_mn, qbv_mn, dual_qvim, default, or all of them"),
    **STUDY,
    "--root": (os.environ.get("VIMSKETCH_ROOT", "data/VimSketch"), "VimSketch, which trains"),
    "--test-root": (os.environ.get("QVIM_ROOT", "data/QVIM-dev"), "QVIM-dev, which tests"),
    "--weights FILE": (Path, "of mn10, trained on AudioSet (`vocalsketch data download mn10`)"),
}


def _table1(arguments: argparse.Namespace) -> int:
    from vocalsketch.paper.rows import FUSION, chosen

    names, rows = arguments.rows.split(","), []
    sounds = [str(Path(folder).resolve()) for folder in arguments.sounds]
    changes: dict[str, tuple[str, ...]] = {}
    for folder in sounds:
        if not Path(folder).is_dir():
            raise ConfigError(f"--sounds is {folder}, where there is no folder.")
    for row in chosen(names):
        weights = _weights(arguments, row.backbone) if row.backbone else ()
        if row.backbone and not weights:
            if row.key not in names:
                continue
            raise ConfigError(
                f"The row {row.key} begins with published weights: `vocalsketch data download "
                f"{row.backbone} --out FILE`, then give --{row.backbone} FILE."
            )
        heard = (f"--data.init_args.sounds={json.dumps(sounds)}",) if sounds else ()
        if given := (*weights, *(heard if row.synthesised else ())):
            changes[row.key] = given
        rows.append(row)
    for name in PRETRAINING_DATA:
        root = getattr(arguments, name)
        if root not in (None, "demo") and not Path(root).is_dir():  # said before hours of runs
            raise ConfigError(
                f"--{name} is {root}, where there is no folder: give the data's folder, or demo "
                "for synthetic stand-ins."
            )
        if root is not None:
            changes[f"pretrain_{name}"] = (f"--data.init_args.root={root}",)
    notes = [SOUNDS_NOTE.format(", ".join(sounds))] if sounds else []
    return _study(arguments, rows, changes, fusion=FUSION in names, notes=notes)


def _weights(arguments: argparse.Namespace, name: str) -> tuple[str, ...]:
    """Return how a config is told of weights, where they are there."""
    told = getattr(arguments, name) or os.environ.get(WEIGHTS.get(name, ""))
    if told and not Path(told).is_file():
        raise ConfigError(f"--{name} is {told}, where there is no file.")
    return (f"--model.init_args.backbone_weights={Path(told).resolve()}",) if told else ()


def _qvim(arguments: argparse.Namespace) -> int:
    from vocalsketch.paper.rows import QVIM, QVIM_GROUPS, chosen

    rows = chosen(arguments.rows.split(","), QVIM, QVIM_GROUPS)
    networks = [row.key for row in rows if row.key in ("qvim_mn", "qbv_mn")]
    given = _weights(arguments, "weights")
    arguments.split = "qvim"
    notes = (RANDOM_NOTE,) if networks and not given else ()
    return _study(arguments, rows, dict.fromkeys(networks, given), notes=notes, table="qvim")


def _study(
    arguments: argparse.Namespace,
    rows: "Sequence[Row]",
    changes: "Mapping[str, tuple[str, ...]]",
    *,
    fusion: bool = False,
    notes: "Sequence[str]" = (),
    table: str = "table1",
) -> int:
    """Run rows, seed by seed, and write the report."""
    from vocalsketch.files import locked
    from vocalsketch.jobs.job import choose_slots
    from vocalsketch.jobs.pool import run_jobs
    from vocalsketch.paper.measured import rows_to_add
    from vocalsketch.paper.plan import Plan, Record

    out, names = arguments.out.resolve(), ("root", "split", "on_bad_audio", "test_root")
    rows_to_add(arguments.add)  # what is wrong with them is said before the corpus is read
    slots = choose_slots(arguments.devices, arguments.jobs)
    data = {name: getattr(arguments, name) for name in names if hasattr(arguments, name)}
    plan = Plan.prepare(out, arguments.conf, data, quick=arguments.quick, changes=changes)
    jobs = plan.jobs(rows, arguments.seeds)
    notes = (*notes, *((QUICK_NOTE,) if arguments.quick else ()))
    runs = {job.name: job.fingerprint for job in jobs}
    record = Record(runs, fusion, notes, rows_to_add(arguments.add, plan.split), table)
    busy = f"Another `vocalsketch reproduce` runs in {out}: wait for it, or choose another --out."
    try:
        with locked(out / "lock", busy):
            record.write(out)
            failures = run_jobs(jobs, slots, retry=arguments.retry)
    except KeyboardInterrupt:
        print(
            "The same command goes on with what is not done; `vocalsketch reproduce report --out "
            f"{shlex.quote(str(arguments.out))}` reports on what is.",
            file=sys.stderr,
        )
        raise
    for job, reason in failures:
        print(
            f"{job.name} failed: {reason}\n  all it said: {job.log}\n"
            "  run it again: the same command with --retry",
            file=sys.stderr,
        )
    _write(out, record)
    return 1 if failures else 0


def _report(arguments: argparse.Namespace) -> int:
    from vocalsketch.paper.measured import rows_to_add
    from vocalsketch.paper.plan import Record

    record = Record.read(arguments.out)
    added = {**record.added, **rows_to_add(arguments.add)}
    _write(arguments.out, replace(record, added=added))
    return 0


def _write(folder: Path, record: "Record") -> None:
    """Write the report, say where it is, and remember what it is of."""
    from vocalsketch.paper import qvim, report
    from vocalsketch.paper.plan import gather

    write = qvim.write_report if record.table == "qvim" else report.write_report
    paths = write(folder, gather(folder, record))
    if record.table == "qvim":
        print(paths[0].read_text(encoding="utf-8"))
    print(*paths[:2], sep="\n")
    record.write(folder)


def _fuse(arguments: argparse.Namespace) -> int:
    from rich.console import Console

    from vocalsketch.paper.measured import scores_of
    from vocalsketch.retrieval.results import results_dict, results_table, write_results
    from vocalsketch.retrieval.scores import fuse

    runs = arguments.runs
    if len({run.resolve() for run in runs}) < max(2, len(runs)):
        named = ", ".join(map(str, runs))
        raise ConfigError(f"A fusion is of two or more different runs: {named} is not.")
    fused = fuse([scores_of(run) for run in runs])
    results = results_dict(fused)
    write_results(arguments.out, fused, results)
    Console().print(results_table(results))
    return 0


ACTIONS = {
    "table1": Action("train and report every system of Table I", _table1, TABLE, TABLE_I),
    "qvim": Action("train and rank the systems of the 2025 challenge on QVIM-dev", _qvim, QVIM),
    "report": Action(
        "write the report of the finished runs again",
        _report,
        {"--out!": (Path, "the report's folder"), **RUNS},
    ),
    "fuse": Action(
        "multiply the likelihoods of finished runs",
        _fuse,
        {
            "runs+": (Path, "run folders, or their scores_test.npz"),
            "--out!": (Path, "folder for the fusion's results"),
        },
    ),
}
