"""What several commands have: subcommands (`vocalsketch COMMAND ACTION ...`), and jobs."""

import argparse
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from vocalsketch.jobs.slots import Slot


class Action(NamedTuple):
    """A subcommand.

    Attributes:
        help: What it does, in lower case and without a full stop.
        add_arguments: Declares its arguments.
        run: Runs it and returns its exit code.
    """

    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]


def action_parsers(
    parser: argparse.ArgumentParser, actions: Mapping[str, Action]
) -> Iterator[tuple[Action, argparse.ArgumentParser]]:
    """Declare each action and yield it with its parser, for its arguments."""
    parsers = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, action in actions.items():
        description = f"{action.help[0].upper()}{action.help[1:]}."
        yield action, parsers.add_parser(name, help=action.help, description=description)


def slot_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare where runs that are done one after the other may be done side by side."""
    parser.add_argument(
        "--jobs",
        type=int,
        help="runs at a time, each a process (default: one after the other in this process; with "
        "--devices, one per device)",
    )
    parser.add_argument(
        "--devices", help="GPUs such as 0,2, or cpu (default: all GPUs, else the processor)"
    )


def slots_of(arguments: argparse.Namespace) -> list["Slot"]:
    """Return where runs are done side by side; nothing where it is not asked for.

    Raises:
        ConfigError: There is no such GPU, or no job at a time.
    """
    from vocalsketch.jobs.slots import choose_slots

    if arguments.jobs is None and arguments.devices is None:
        return []
    return choose_slots(arguments.devices, arguments.jobs)
