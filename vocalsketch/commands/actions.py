"""Commands that have subcommands: `vocalsketch COMMAND ACTION ...`."""

import argparse
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple


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
