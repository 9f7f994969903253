"""The command line: finds the command, and imports that command only."""

import argparse
import io
import os
import signal
import sys
from importlib import import_module
from pathlib import Path

from vocalsketch import __version__
from vocalsketch.commands.actions import declare
from vocalsketch.errors import VocalSketchError

EXPERIMENTS = {
    "fit": "train a system from a config, then rank validation and test half",
    "validate": "rank the validation half with a checkpoint",
    "test": "rank the test half with a checkpoint",
    "predict": "write the score of every query and candidate of the test half",
}
COMMANDS = {
    "data": "make, inspect, check, split and download data sets",
    "crossvalidate": "train and test a fresh model for each of UrbanSound8K's ten folds",
    "sweep": "search hyperparameters in parallel: run, status, best, report, prune-failed",
    "reproduce": "make the paper's Table I: train, fuse, test and report every system",
    "submit": "write the score of every query and item of a challenge",
    "index": "make a folder of sounds searchable by voice, and keep it up to date",
    "adapt": "fit the default system to a folder of sounds, and to recorded imitations",
    "search": "find sounds of an indexed library by a vocal imitation",
    "serve": "a web page and an API to search by voice, in sounds of your own or synthetic ones",
    "collect": "a web page on which people imitate sounds, and a study of how well they find them",
    "export": "write a system as ONNX models, for programs without Python or torch",
    "visualize": "see and hear what the units of a trained network look for",
    "explain": "show what in a query and in a sound a system's score rests on",
}
CACHES = (  # of libraries, which lie in the home where nothing else is said
    "MPLCONFIGDIR",
    "NUMBA_CACHE_DIR",
    "WANDB_CACHE_DIR",
    "WANDB_CONFIG_DIR",
    "WANDB_DATA_DIR",
)
INTERRUPTED = 130  # the shell's exit status of what Ctrl-C ended


def run() -> int:
    """Run the command in ``sys.argv`` as this process's only work; return as ``main``."""
    _take_any_environment()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # helpers are ended and locks freed
    status = main()
    if status == INTERRUPTED:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # nothing is left that another could end
    return status


def main(arguments: list[str] | None = None) -> int:
    """Run a command; return the exit status: 0 done, 1 bad input, 2 wrong use, 130 Ctrl-C."""
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments
    arguments = [argument for argument in arguments if argument != "--debug"]
    try:
        return _dispatch(arguments)
    except VocalSketchError as error:
        if debug:
            raise
        print(f"vocalsketch: error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # the reader of a pipe left; nothing more can be said to it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("vocalsketch: interrupted", file=sys.stderr)
        return INTERRUPTED


def _take_any_environment() -> None:
    """Let no inherited setting of output, pictures or home end a command, nor one it starts."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    encoding = os.environ.get("PYTHONIOENCODING", "").partition(":")[0]
    os.environ["PYTHONIOENCODING"] = f"{encoding}:backslashreplace"
    if "MPLBACKEND" in os.environ:  # such as a notebook's; pictures go to files here
        os.environ["MPLBACKEND"] = "agg"
    cache = os.environ.get("VOCALSKETCH_CACHE")
    if cache and not os.access(os.path.expanduser("~"), os.W_OK):  # noqa: PTH111 - no home raises
        for variable in CACHES:
            folder = Path(cache).expanduser() / variable.partition("_")[0].lower()
            os.environ.setdefault(variable, str(folder.absolute()))


def _dispatch(arguments: list[str]) -> int:
    command = arguments[0] if arguments else ""
    if command in EXPERIMENTS:
        from vocalsketch.experiment import run_experiment

        run_experiment(command, arguments[1:])  # type: ignore[arg-type]  # a key
        return 0
    parser = argparse.ArgumentParser(
        prog="vocalsketch",
        description="Sound search by vocal imitation.",
        epilog="`vocalsketch COMMAND --help` says more. --debug shows tracebacks.",
    )
    parser.add_argument("--version", action="version", version=f"vocalsketch {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, summary in {**EXPERIMENTS, **COMMANDS}.items():
        subparser = subparsers.add_parser(name, help=summary, description=summary)
        if name == command:
            declare(subparser, import_module(f"vocalsketch.commands.{name}"))
    parsed = parser.parse_args(arguments)
    return parsed.run(parsed) or 0


if __name__ == "__main__":
    sys.exit(run())
