"""What several commands have: options by their defaults, subcommands, and jobs."""

import argparse
from collections.abc import Callable, Mapping
from types import FunctionType, MappingProxyType, ModuleType
from typing import Any, NamedTuple

# Names, parted by /, and placeholder -> default or type, and what it does. Behind the names, ! has
# to be given, and * + ? are how many values it takes.
Options = Mapping[str, tuple[Any, str]]

DEVICES: Options = {
    "--devices": (str, "GPUs such as 0,2, or cpu (default: all GPUs, else the processor)")
}
SLOTS: Options = {
    "--jobs": (int, "runs at a time, each a process (default: one per GPU, or one per core)"),
    **DEVICES,
}
RAY: Options = {
    "--ray? ADDRESS": (
        str,
        "a Ray cluster that does the work instead, HOST:PORT or ray://HOST:PORT; without an "
        "address that of $RAY_ADDRESS, or the one begun on this machine, or a new one",
    )
}


class Action(NamedTuple):
    """A subcommand."""

    help: str  # what it does, in lower case and without a full stop
    run: Callable[[argparse.Namespace], int]  # runs it and returns its exit code
    options: Options = MappingProxyType({})  # what it takes
    description: str = ""  # what it does, at length


def add_options(parser: argparse._ActionsContainer, options: Options) -> None:
    """Declare arguments.

    False makes a flag, a list of a type may be given several times, a tuple names the choices, the
    first of which is the default (None for none), and a function returns the default, a text; any
    other default has the type that is asked for.
    """
    for key, (kind, text) in options.items():
        said, _, metavar = key.partition(" ")
        names, mark = said.rstrip("!*+?").split("/"), said[-1]
        given: dict[str, Any] = {"help": text}
        if kind is False:
            given["action"] = "store_true"
        elif isinstance(kind, list):
            given |= {"type": kind[0], "action": "append", "default": []}
        elif isinstance(kind, tuple):
            given |= {"choices": [each for each in kind if each], "default": kind[0]}
        elif isinstance(kind, type):
            given["type"] = kind
        elif isinstance(kind, FunctionType):
            given["default"] = kind()
        else:
            given |= {"type": type(kind), "default": kind}
        if given.get("default") not in (None, "", []) and "(default" not in text:
            given["help"] += " (default: %(default)s)"
        if metavar or not said.startswith("-"):
            given["metavar"] = metavar or names[0].upper()
        given |= {"const": ""} if mark == "?" and said.startswith("-") else {}
        given |= {"required": True} if mark == "!" else {"nargs": mark} if mark in "*+?" else {}
        parser.add_argument(*names, **given)


def declare(parser: argparse.ArgumentParser, command: ModuleType) -> None:
    """Declare what a command takes.

    Its module has ``run`` or, by name, ``ACTIONS``, all of which take the options ``COMMON``; and
    some of ``DESCRIPTION``, ``OPTIONS``, ``ONE_OF`` (options of which one each has to be given).
    """
    parser.description = getattr(command, "DESCRIPTION", parser.description)
    parser.set_defaults(run=getattr(command, "run", None))
    for one_of in getattr(command, "ONE_OF", ()):
        add_options(parser.add_mutually_exclusive_group(required=True), one_of)
    add_options(parser, getattr(command, "OPTIONS", {}))
    actions: Mapping[str, Action] = getattr(command, "ACTIONS", {})
    if actions:
        parsers = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, action in actions.items():
        description = action.description or f"{action.help[0].upper()}{action.help[1:]}."
        subparser = parsers.add_parser(name, help=action.help, description=description)
        add_options(subparser, {**getattr(command, "COMMON", {}), **action.options})
        subparser.set_defaults(run=action.run)
