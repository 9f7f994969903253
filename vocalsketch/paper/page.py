"""The report as one HTML page that needs no other file."""

from collections.abc import Mapping

from markupsafe import Markup

from vocalsketch.paper.content import Content
from vocalsketch.paper.figures import INK
from vocalsketch.paper.published import label
from vocalsketch.paper.table import printed
from vocalsketch.paper.wording import READING, difference, evidence, p_value, signed
from vocalsketch.templates import template

CAPTIONS = {
    "figure6": (
        "Figure 6 of the paper, measured: mean and standard deviation over seeds, a dot for each "
        "seed, dashed chance; a diamond for the paper's mean where the candidates are the paper's."
    ),
    "ranks": (
        "At which rank the target lies, over all seeds of the system that is best on average; the "
        "line is the yardstick without learning where it was measured, dashed is chance."
    ),
}


def page(content: Content, pictures: Mapping[str, str]) -> str:
    """Return the page.

    Args:
        content: What it says.
        pictures: SVG documents by figure name.
    """
    inline = {name: (_inline(svg), CAPTIONS[name]) for name, svg in pictures.items()}
    return template(__file__, "report.html.j2").render(
        content=content,
        pictures=inline,
        printed=printed,
        difference=difference,
        evidence=evidence,
        p_value=p_value,
        signed=signed,
        label=label,
        reading=READING,
    )


def _inline(svg: str) -> Markup:
    """Return the drawing without its XML prologue, its text in the page's colour.

    It was drawn by this program and every name in it is escaped, so it is put in as it is.
    """
    drawing = svg[svg.index("<svg") :]
    return Markup(drawing.replace(INK, "currentColor"))  # noqa: S704 - see above
