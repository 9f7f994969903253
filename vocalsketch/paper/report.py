"""The report on a study, as files."""

from pathlib import Path

from vocalsketch.files import write_text, written_whole
from vocalsketch.paper.content import Content
from vocalsketch.paper.figures import as_png, as_svg, figures
from vocalsketch.paper.latex import latex
from vocalsketch.paper.markdown import markdown
from vocalsketch.paper.page import page
from vocalsketch.paper.spreadsheets import table_csv, tests_csv
from vocalsketch.paper.study import Study


def write_report(folder: Path, study: Study) -> list[Path]:
    """Write the report, each file whole or not at all.

    ``report.html`` is self-contained; ``report.md`` refers to the figures (PNG, and SVG beside
    them); ``table1.tex``, ``table1.csv`` and ``tests.csv`` hold the figures to go on with.

    Returns:
        The paths, ``report.html`` first.

    Raises:
        ConfigError: The study holds no run.
        StorageError: A file cannot be written.
    """
    content = Content.of(study)
    drawn = figures(study)
    pictures = {name: as_svg(figure) for name, figure in drawn.items()}
    texts = {
        "report.html": page(content, pictures),
        "report.md": markdown(content, [f"{name}.png" for name in drawn]),
        "table1.tex": latex(content),
        "table1.csv": table_csv(content),
        "tests.csv": tests_csv(content),
        **{f"{name}.svg": picture for name, picture in pictures.items()},
    }
    for name, text in texts.items():
        write_text(folder / name, text)
    for name, figure in drawn.items():
        with written_whole(folder / f"{name}.png") as temporary:
            temporary.write_bytes(as_png(figure))
    return [folder / name for name in (*texts, *(f"{name}.png" for name in drawn))]
