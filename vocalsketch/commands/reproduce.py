"""`vocalsketch reproduce`: the paper's Table I from trained runs, its report, and fusions."""

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vocalsketch.errors import ConfigError

if TYPE_CHECKING:
    from vocalsketch.jobs.pool import Failure
    from vocalsketch.paper.table1 import Record

PRETRAINING_DATA = {"voxforge": "imitation", "urbansound8k": "recording"}
QUICK_NOTE = (
    "Trained with --quick, a shortened schedule: the figures show that the program works, and "
    "nothing of what the systems can do."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the subcommands and their arguments."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    table = actions.add_parser("table1", help="train and report every system of Table I")
    _table_arguments(table)
    table.set_defaults(act=_table1)
    report = actions.add_parser("report", help="write the report of the finished runs again")
    report.add_argument("--out", required=True, type=Path, help="the report's folder")
    _add_runs(report)
    report.set_defaults(act=_report)
    fuse = actions.add_parser("fuse", help="multiply the likelihoods of finished runs")
    fuse.add_argument("runs", nargs="+", type=Path, help="run folders, or their scores_test.npz")
    fuse.add_argument("--out", required=True, type=Path, help="folder for the fusion's results")
    fuse.set_defaults(act=_fuse)


def run(arguments: argparse.Namespace) -> int:
    """Run the chosen subcommand and return its exit code."""
    code: int = arguments.act(arguments)
    return code


def _table_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Train every system with several initialisations, fuse them, and write a report beside "
        "the paper's figures. Each run lies in OUT/cells; those that are done are not run again, "
        "and those that were interrupted go on from their last whole epoch: give the same command "
        "again after Ctrl-C or a crash."
    )
    parser.add_argument(
        "--root",
        default=os.environ.get("VOCALSKETCH_ROOT", "demo"),
        help="the corpus (default: $VOCALSKETCH_ROOT, else demo)",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("reports/table1"), help="folder (default: %(default)s)"
    )
    parser.add_argument(
        "--rows",
        default="imisound,iminet,tl,fusion,contours",
        help="imisound, iminet (three rows), tl (four rows, and their pre-training), fusion (all "
        "that can be fused), beyond (what is not the paper's), or single rows such as iminet_tied "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--seeds", type=int, default=10, help="initialisations of each system (default: 10)"
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a few epochs each, to see that all works; the report says so",
    )
    parser.add_argument("--retry", action="store_true", help="run again what failed earlier")
    parser.add_argument(
        "--jobs", type=int, help="runs at a time (default: one per GPU, or one per core)"
    )
    parser.add_argument(
        "--devices", help="GPUs such as 0,2, or cpu (default: all GPUs, else the processor)"
    )
    _data_arguments(parser)


def _data_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--conf", type=Path, default=Path("conf"), help="folder of the configs (default: conf)"
    )
    parser.add_argument(
        "--split", default="paper", help="paper, random, fold K/N, or a manifest (default: paper)"
    )
    parser.add_argument(
        "--on-bad-audio",
        choices=("error", "skip"),
        default="error",
        help="stop at unusable audio, or go on without (default: error)",
    )
    for name, side in PRETRAINING_DATA.items():
        parser.add_argument(
            f"--{name}",
            metavar="ROOT",
            help=f"data that pre-train the {side} tower (default: what conf/pretrain_{name}.yaml "
            "says)",
        )
    parser.add_argument("--note", action="append", default=[], help="a sentence for the report")
    _add_runs(parser)


def _add_runs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--add",
        action="append",
        default=[],
        metavar="NAME=RUN",
        help="put a finished run of your own (its folder, or its scores_test.npz) into a row NAME; "
        "again with the same name for another seed",
    )


def _table1(arguments: argparse.Namespace) -> int:
    from rich.console import Console

    from vocalsketch.jobs.slots import choose_slots
    from vocalsketch.paper.plan import Data, Plan, wanted
    from vocalsketch.paper.rows import FUSION
    from vocalsketch.paper.table1 import Record, refuse_another_split, rows_to_add, run_jobs

    out = arguments.out.resolve()
    names = [name.strip() for name in arguments.rows.split(",") if name.strip()]
    rows = wanted(names, arguments.seeds, arguments.conf)
    added, roots = rows_to_add(arguments.add), _pretraining_roots(arguments)
    slots = choose_slots(arguments.devices, arguments.jobs)
    data = Data.prepare(out, arguments.root, arguments.split, arguments.on_bad_audio)
    refuse_another_split(added, data.split)
    plan = Plan(out, arguments.conf, data, quick=arguments.quick, roots=roots)
    jobs = plan.jobs(rows, arguments.seeds)
    notes = (*arguments.note, *((QUICK_NOTE,) if arguments.quick else ()))
    record = Record({job.name: job.fingerprint for job in jobs}, FUSION in names, notes, added)
    try:
        failures = run_jobs(out, jobs, record, slots, Console(stderr=True), retry=arguments.retry)
    except KeyboardInterrupt:
        print(
            "The same command goes on with what is not done; `vocalsketch reproduce report --out "
            f"{arguments.out}` reports on what is.",
            file=sys.stderr,
        )
        raise
    for failure in failures:
        _say_failure(failure)
    _write(out, record)
    return 1 if failures else 0


def _pretraining_roots(arguments: argparse.Namespace) -> dict[str, str]:
    """Return the folder of each pre-training's data, by its row, where one was given.

    Raises:
        ConfigError: There is none: better said now than after hours of other runs.
    """
    given = {name: getattr(arguments, name) for name in PRETRAINING_DATA}
    for name, root in given.items():
        if root not in (None, "demo") and not Path(root).is_dir():
            raise ConfigError(
                f"--{name} is {root}, where there is no folder: give the data's folder, or demo "
                "for synthetic stand-ins."
            )
    return {f"pretrain_{name}": root for name, root in given.items() if root is not None}


def _say_failure(failure: "Failure") -> None:
    print(
        f"{failure.name} failed: {failure.reason}\n  all it said: {failure.log}\n"
        "  run it again: the same command with --retry",
        file=sys.stderr,
    )


def _report(arguments: argparse.Namespace) -> int:
    from vocalsketch.paper.table1 import Record, rows_to_add

    record = Record.read(arguments.out)
    added = {**record.added, **rows_to_add(arguments.add)}
    _write(arguments.out, replace(record, added=added))
    return 0


def _write(folder: Path, record: "Record") -> None:
    """Write the report, say where it is, and remember what it is of."""
    from vocalsketch.paper.report import write_report
    from vocalsketch.paper.table1 import gather

    for path in write_report(folder, gather(folder, record))[:2]:
        print(path)
    record.write(folder)


def _fuse(arguments: argparse.Namespace) -> int:
    from rich.console import Console

    from vocalsketch.paper.table1 import scores_of
    from vocalsketch.retrieval.fusion import fuse
    from vocalsketch.retrieval.results import results_dict, results_table, write_results

    runs = [run / "scores_test.npz" if run.is_dir() else run for run in arguments.runs]
    if len({run.resolve() for run in runs}) < max(2, len(runs)):
        named = ", ".join(map(str, arguments.runs))
        raise ConfigError(f"A fusion is of two or more different runs: {named} is not.")
    fused = fuse([scores_of(path) for path in runs])
    write_results(arguments.out, fused)
    Console().print(results_table(results_dict(fused)))
    return 0
