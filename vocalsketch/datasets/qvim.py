"""QVIM-dev: the development set of the AES AIMLA challenge 2025; its licence is on its page."""

from pathlib import Path, PurePosixPath

from vocalsketch.datasets.layout import Layout
from vocalsketch.datasets.names import Files
from vocalsketch.datasets.records import ONE_CATEGORY, Corpus, Faults, Imitation, OnBadAudio, Sound
from vocalsketch.datasets.tables import read_rows

TABLE = "DEV Dataset.csv"
QUERIES = ("Query 1", "Query 2", "Query 3")


def load_qvim(root: Path, on_bad_audio: OnBadAudio = "error") -> Corpus:
    """Read a tree of QVIM-dev: one ranking of all items; those of a class are relevant.

    Raises:
        DatasetError: The table is missing or damaged, a cell names no file or one twice.
    """
    faults = Faults(root, on_bad_audio)
    files = Files(root)
    sounds: dict[str, Sound] = {}
    imitations: dict[str, Imitation] = {}

    def located(folder: str, name: str, line: int) -> tuple[str, Path | None]:
        path = files.find(f"{folder}/{name}")
        if path is None:
            faults.add_gone(f"{folder}/{name} ({TABLE}, line {line})")
        return files.identity(f"{folder}/{name}", path).removeprefix(f"{folder}/"), path

    for line, row in read_rows(files.place(TABLE), ("Class", "Items"), (*QUERIES, "Label")):
        kind = row["Class"]
        if not kind or not row["Items"]:
            faults.add("has rows without an item or its class", f"line {line}", "Fill them in.")
            continue
        item, path = located("Items", f"{kind}/{row['Items']}", line)
        if path is not None:
            label = row["Label"] or PurePosixPath(item).stem
            sounds[item] = Sound(item, path, ONE_CATEGORY, label, (kind,))
        for cell in filter(None, (row[column] for column in QUERIES)):
            query, path = located("Queries", f"{kind}/{cell}", line)
            if query in imitations:
                faults.add(f"names queries twice in {TABLE}", query, "Keep one cell of each.")
            if path is not None:
                imitations[query] = Imitation(query, path, item)
    return faults.corpus(LAYOUT.name, sounds.values(), imitations.values())


LAYOUT = Layout(
    name="qvim-dev",
    title="QVIM-dev",
    source="https://qvim-aes.github.io",
    tree=f"ROOT/{TABLE}, ROOT/Items/<class>/<item> and ROOT/Queries/<class>/<query>",
    needs=((TABLE,), ("Items/",), ("Queries/",)),
    load=load_qvim,
)
