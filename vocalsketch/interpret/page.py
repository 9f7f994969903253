"""One HTML page that needs no other file: pictures, sounds and what was measured."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field

from jinja2 import Environment, PackageLoader, StrictUndefined


@dataclass(frozen=True)
class Card:
    """One picture with its sounds and facts."""

    heading: str  # what is shown
    picture: bytes  # PNG
    description: str  # of the picture, for those who do not see it
    sounds: dict[str, bytes] = field(default_factory=dict)  # wav files by label
    facts: dict[str, str] = field(default_factory=dict)  # names and values
    note: str = ""  # a remark that must not be missed, such as that a unit is dead


@dataclass(frozen=True)
class Section:
    """Cards under one heading."""

    heading: str
    text: str
    cards: Sequence[Card]


def page(title: str, corpus: str, paragraphs: Sequence[str], sections: Sequence[Section]) -> str:
    """Return the page.

    Args:
        title: Its title.
        corpus: The line that says on which corpus everything rests.
        paragraphs: What a reader should know first.
        sections: The rest.
    """
    environment = Environment(
        loader=PackageLoader("vocalsketch.interpret", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html.j2").render(
        title=title,
        corpus=corpus,
        paragraphs=paragraphs,
        sections=sections,
        base64=lambda data: base64.b64encode(data).decode(),
    )
