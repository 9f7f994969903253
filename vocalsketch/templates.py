"""HTML from templates that lie beside the code that fills them in."""

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template


@cache
def template(beside: str, name: str) -> Template:
    """Return a template: what it shows is escaped, and a name that it is not given is an error.

    Args:
        beside: ``__file__`` of the module that fills it in.
        name: File name of the template, in the same folder.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(beside).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
