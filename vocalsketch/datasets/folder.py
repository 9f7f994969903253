"""People's own pairs: a folder of sounds and imitations, or a CSV file that names them."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from vocalsketch.datasets.discovery import audio_in, composed
from vocalsketch.datasets.records import (
    ONE_CATEGORY,
    Corpus,
    Imitation,
    Layout,
    OnBadAudio,
    Sound,
    Tree,
)
from vocalsketch.datasets.tables import read_rows, read_text

CSV_COLUMNS = ("imitation", "sound", "category")


def load_folder(root: Path, on_bad_audio: OnBadAudio = "error") -> Corpus:
    """Read one's own sounds and imitations of them.

    They lie in ``sounds/x.wav`` or ``sounds/<category>/x.wav`` and ``imitations/<sound
    stem>/*.wav``, in any format that is decoded.
    """
    tree = Tree(root, on_bad_audio)
    sounds = _read_sounds(tree)
    imitations = list(_read_imitations(sounds, tree))
    if not imitations:
        how = "put audio into imitations/<sound>/"
        tree.fault("holds no imitation", how, "Such a folder is named after the sound's file.")
    return tree.corpus("folder", sounds.values(), imitations)


def load_csv(table: Path, on_bad_audio: OnBadAudio = "error") -> Corpus:
    """Read the sounds and imitations that a table names, one imitation in a row.

    The columns are imitation, sound and category; paths are relative to the table itself.
    """
    tree = Tree(table, on_bad_audio)
    sounds: dict[str, Sound] = {}
    imitations: dict[str, Imitation] = {}
    gone: set[str] = set()
    encoding = read_text(table)[1]

    def located(name: str) -> tuple[str, Path]:
        path = tree.find(name)
        identity = tree.identity(name, path)
        if path is None:
            gone.add(identity)
            tree.gone(identity)
            if on_bad_audio != "skip" and encoding == "windows-1252" and not identity.isascii():
                tree.fault("is read as Windows-1252, no UTF-8", identity, "Save it as UTF-8.")
        return identity, path or table.parent / identity

    for line, row in read_rows(table, CSV_COLUMNS):
        empty = [column for column, value in row.items() if not value]
        for column in empty:
            tree.fault("has empty cells", f"line {line}: {column} is empty", "Fill them in.")
        if empty:
            continue
        name, path = located(row["sound"])
        sound = Sound(name, path, row["category"], PurePosixPath(name).stem)
        if sounds.setdefault(name, sound) != sound:
            of = f"line {line} puts {name!r} into {row['category']!r}, an earlier one into "
            tree.fault(
                "gives sounds two categories",
                f"{of}{sounds[name].category!r}",
                "Give each sound one category.",
            )
        name, path = located(row["imitation"])
        if name in imitations:
            tree.fault("names imitations twice", f"line {line} repeats {name!r}", "Keep one row.")
        imitations[name] = Imitation(name, path, sound.id)
    present = [sound for sound in sounds.values() if sound.id not in gone]
    kept = [each for each in imitations.values() if each.id not in gone]
    return tree.corpus("folder", present, kept)


def _audio_files(tree: Tree, name: str) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Yield each audio file of a folder and the names that lead to it from there."""
    folder = tree.place(name)
    for path in audio_in(folder):
        yield path, tuple(map(composed, path.relative_to(folder).parts))


def _read_sounds(tree: Tree) -> dict[str, Sound]:
    """Return the sounds by their stem."""
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
        if len(sounds) > 1:
            folder = tree.place("sounds")
            files = ", ".join(sorted(str(sound.path.relative_to(folder)) for sound in sounds))
            tree.fault(
                "has several sounds of one name",
                f"imitations/{stem} could mean any of {files}",
                "Give each sound a name of its own.",
            )
    return {stem: sounds[0] for stem, sounds in same_stem.items()}


def _read_imitations(sounds: dict[str, Sound], tree: Tree) -> Iterator[Imitation]:
    times = Counter(stem.casefold() for stem in sounds)
    alike = {stem.casefold(): sound for stem, sound in sounds.items()}
    alike = {stem: sound for stem, sound in alike.items() if times[stem] == 1} | sounds
    for path, parts in _audio_files(tree, "imitations"):
        sound = alike.get(parts[0]) or alike.get(parts[0].casefold())
        if len(parts) == 2 and sound:
            yield Imitation("/".join(parts), path, sound.id)
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
