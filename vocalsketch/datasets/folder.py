"""People's own pairs: a folder of sounds and imitations, or a CSV file that names them."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from vocalsketch.datasets.discovery import audio_in, composed
from vocalsketch.datasets.records import (
    ONE_CATEGORY,
    Corpus,
    Layout,
    OnBadAudio,
    Sound,
    Tree,
)
from vocalsketch.datasets.tables import read_rows

CSV_COLUMNS = ("imitation", "sound", "category")


def load_folder(root: Path, on_bad_audio: OnBadAudio = "error") -> Corpus:
    """Read one's own sounds and imitations of them.

    They lie in ``sounds/x.wav`` or ``sounds/<category>/x.wav`` and ``imitations/<sound
    stem>/*.wav``, in any format that is decoded.
    """
    tree = Tree(root, on_bad_audio)
    _read_sounds(tree)
    _read_imitations(tree)
    if not tree.imitations:
        how = "put audio into imitations/<sound>/"
        tree.fault("holds no imitation", how, "Such a folder is named after the sound's file.")
    return tree.corpus("folder")


def load_csv(table: Path, on_bad_audio: OnBadAudio = "error") -> Corpus:
    """Read the sounds and imitations that a table names, one imitation in a row.

    The columns are imitation, sound and category; paths are relative to the table itself.
    """
    tree = Tree(table, on_bad_audio)
    categories: dict[str, str] = {}

    def located(name: str) -> tuple[str, Path | None]:
        path = tree.find(name)
        identity = tree.identity(name, path)
        if path is None:
            tree.gone(identity)
        return identity, path

    for line, row in read_rows(table, CSV_COLUMNS):
        empty = [column for column, value in row.items() if not value]
        for column in empty:
            tree.fault("has empty cells", f"line {line}: {column} is empty", "Fill them in.")
        if empty:
            continue
        name, path = located(row["sound"])
        category = categories.setdefault(name, row["category"])
        if category != row["category"]:
            of = f"line {line} puts {name!r} into {row['category']!r}, an earlier one into "
            remedy = "Give each sound one category."
            tree.fault("gives sounds two categories", f"{of}{category!r}", remedy)
        if path is not None:
            tree.sounds[name] = Sound(name, path, category, PurePosixPath(name).stem)
        imitation, path = located(row["imitation"])
        tree.imitated(imitation, path, name, table=f"{table.name} (line {line})")
    return tree.corpus("folder")


def _audio_files(tree: Tree, name: str) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Yield each audio file of a folder and the names that lead to it from there."""
    folder = tree.place(name)
    for path in audio_in(folder):
        yield path, tuple(map(composed, path.relative_to(folder).parts))


def _read_sounds(tree: Tree) -> None:
    same_stem: dict[str, list[Sound]] = defaultdict(list)
    for path, parts in _audio_files(tree, "sounds"):
        if len(parts) > 2:
            remedy = "Sounds lie in sounds/ or in sounds/<category>/. Move them."
            tree.fault("holds sounds that lie too deep", "/".join(parts), remedy)
            continue
        category = parts[0] if len(parts) == 2 else ONE_CATEGORY
        stem = PurePosixPath(parts[-1]).stem
        same_stem[stem].append(Sound(parts[-1], path, category, stem))
    for stem, sounds in same_stem.items():
        tree.sounds[stem] = sounds[0]
        if len(sounds) > 1:
            folder = tree.place("sounds")
            files = ", ".join(sorted(str(sound.path.relative_to(folder)) for sound in sounds))
            which = f"imitations/{stem} could mean any of {files}"
            remedy = "Give each sound a name of its own."
            tree.fault("has several sounds of one name", which, remedy)


def _read_imitations(tree: Tree) -> None:
    times = Counter(stem.casefold() for stem in tree.sounds)
    alike = {stem.casefold(): sound for stem, sound in tree.sounds.items()}
    for path, parts in _audio_files(tree, "imitations"):
        key = parts[0].casefold()
        sound = tree.sounds.get(parts[0]) or (alike[key] if times[key] == 1 else None)
        if len(parts) == 2 and sound:
            tree.imitated("/".join(parts), path, sound.id)
        else:
            remedy = "Imitations lie in imitations/<name of the sound's file without its ending>/."
            tree.fault("holds in imitations/ what matches no sound", parts[0], remedy)


FOLDER = Layout(
    name="folder",
    title="a folder of one's own",
    tree="ROOT/sounds/<sound>.wav or ROOT/sounds/<category>/<sound>.wav, and "
    "ROOT/imitations/<sound>/<any name>.wav",
    needs=(("sounds/",), ("imitations/",)),
    load=load_folder,
)
CSV = Layout(
    name="csv",
    title="a table of one's own",
    tree="a .csv file with the columns imitation, sound and category, its paths relative to itself",
    needs=((f"the columns {', '.join(CSV_COLUMNS)}",),),
    columns=CSV_COLUMNS,
    load=load_csv,
)
