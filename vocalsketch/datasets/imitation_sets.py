"""Sets of vocal imitations beside VocalSketch: published ones, and people's own.

- VimSketch: VocalSketch and the Vocal Imitation Set in one, 12,543 imitations of 542 sounds.
  Zenodo record 2596911, CC BY 4.0. B. Kim, M. Cartwright, F. Pishdadian and B. Pardo, 2019,
  doi:10.5281/zenodo.2596911.
- The Vocal Imitation Set: imitations of one recording of each of 302 classes of AudioSet. Zenodo
  record 1340763, CC BY 4.0. B. Kim, M. Ghei, B. Pardo and Z. Duan, "Vocal Imitation Set: a dataset
  of vocally imitated sound events using the AudioSet ontology", DCASE 2018.
- QVIM-dev: the development set of the AES AIMLA challenge 2025; its licence is on its page.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from vocalsketch.datasets.discovery import audio_in, composed, list_audio
from vocalsketch.datasets.records import (
    ALONE,
    ONE_CATEGORY,
    Corpus,
    Layout,
    OnBadAudio,
    Sound,
    Tree,
    single_categories,
)
from vocalsketch.datasets.tables import read_rows, read_text
from vocalsketch.datasets.vocalsketch import rows_of_the_task

VIMSKETCH_TABLES = {
    "references": "reference_file_names.csv",
    "vocal_imitations": "vocal_imitation_file_names.csv",
}
_HEADINGS = ("", "filename")  # mirrors have a heading where the release has none

IMITATIONS = "vocal_imitations.txt"
CLASSES = "original_recordings_classes.txt"
REFERENCES = "original_recordings/reference"
OTHERS = "original_recordings/non_reference"
_COLUMNS = ("imitation_filename", "reference_filename")

QVIM_TABLE = "DEV Dataset.csv"
QUERIES = ("Query 1", "Query 2", "Query 3")

CSV_COLUMNS = ("imitation", "sound", "category")


def load_vimsketch(root: Path, on_bad_audio: OnBadAudio = "error") -> Corpus:
    """Read a tree of VimSketch.

    What follows the first underscore of a file's name is the key that links imitations to
    references; what follows the digits of a key is the class, which several references share.
    Every sound is ranked among all.
    """
    tree = Tree(root, on_bad_audio)
    known = set()
    for name, path in _listed("references", tree):
        key = _key(name)
        known.add(key)
        if key in tree.sounds:
            both = f"{tree.sounds[key].id}, {name}"
            tree.fault("has several references of one key", both, "Keep one of each.")
        elif path is not None:
            kind = class_of(key)
            tree.sounds[key] = Sound(name, path, ONE_CATEGORY, kind, (kind,))
    for name, path in _listed("vocal_imitations", tree):
        key = _key(name)
        if key not in known:
            remedy = "Restore their references, or leave them out of the table and the folder."
            tree.fault("has imitations of nothing", name, remedy)
        elif key in tree.sounds:
            table = VIMSKETCH_TABLES["vocal_imitations"]
            tree.imitated(name, path, tree.sounds[key].id, table=table)
    return tree.corpus(VIMSKETCH.name)


def class_of(key: str) -> str:
    """Return the class in a key.

    >>> class_of("000Animal_Domestic animals_pets_Cat_Growling")
    'Animal_Domestic animals_pets_Cat_Growling'
    >>> class_of("199-synth_metallic_stars-commercial_synthesizers")
    'synth_metallic_stars-commercial_synthesizers'
    """
    return key.lstrip("0123456789").removeprefix("-") or key


def _key(name: str) -> str:
    return PurePosixPath(name).stem.partition("_")[2]


def _listed(folder: str, tree: Tree) -> Iterator[tuple[str, Path | None]]:
    """Yield the names that a table lists, or a folder holds where there is no table."""
    table = tree.find(VIMSKETCH_TABLES[folder])
    if table is not None:
        lines = read_text(table)[0].splitlines()
        names = [line.partition("\t")[0].strip(' ",;') for line in lines]
        if names and names[0].casefold() in _HEADINGS:
            names = names[1:]
    else:
        names = [found.path for found in list_audio(tree.place(folder)).files]
    for name in filter(None, names):
        path = tree.audio(f"{folder}/{name}")
        yield composed(path.name if path else name), path


def load_vocal_imitation_set(root: Path, on_bad_audio: OnBadAudio = "error") -> Corpus:
    """Read a tree of the Vocal Imitation Set (v1.1).

    A class is a category: an imitation is ranked among the recordings of its reference's class,
    about ten of which one was imitated. A class of a single recording is left out and listed.
    """
    tree = Tree(root, on_bad_audio)
    recordings = list(_recordings(tree))
    alone = set(single_categories(recordings))
    tree.sounds = {each.id: each for each in recordings if each.category not in alone}
    for row in rows_of_the_task(tree.place(IMITATIONS), _COLUMNS):
        name, reference = composed(row["imitation_filename"]), row["reference_filename"]
        target = tree.audio(f"{REFERENCES}/{reference}") if reference else None
        if not reference:
            tree.fault("has imitations of nothing", name, f"Restore their rows of {IMITATIONS}.")
        path = tree.audio(f"vocal_imitations/included/{name}")
        sound_id = composed(target.name) if target else ""
        tree.imitated(name, path, sound_id, row["participant_id"], IMITATIONS)
    return tree.corpus(VOCAL_IMITATION_SET.name, {ALONE: alone})


def _recordings(tree: Tree) -> Iterator[Sound]:
    """Yield the recordings, the references' class being that of a folder of others if one fits."""
    classes: dict[str, list[str]] = defaultdict(list)  # that the table gives each file name
    table = tree.place(CLASSES)
    for _, row in read_rows(table, ("filename", "classname")) if table.is_file() else ():
        classes[composed(row["filename"])].append(composed(row["classname"]))
    place = tree.place(OTHERS)
    others = [path for path in audio_in(place) if path.parent != place]
    folders = {composed(path.parent.name) for path in others}
    for path in audio_in(tree.place(REFERENCES)):
        name = composed(path.name)
        kind = composed(path.stem).removesuffix("_reference")
        told = [each for each in classes[name] if each in folders]
        kind = kind if kind in folders or not told else told[0]
        yield Sound(name, path, kind, kind, tuple(dict.fromkeys([kind, *classes[name]])))
    for path in others:
        kind, name = composed(path.parent.name), composed(path.name)
        kinds = tuple(dict.fromkeys([kind, *classes[name]]))
        yield Sound(f"{kind}/{name}", path, kind, name, kinds)


def load_qvim(root: Path, on_bad_audio: OnBadAudio = "error") -> Corpus:
    """Read a tree of QVIM-dev: one ranking of all items; those of a class are relevant."""
    tree = Tree(root, on_bad_audio)
    for line, row in read_rows(tree.place(QVIM_TABLE), ("Class", "Items"), (*QUERIES, "Label")):
        kind = row["Class"]
        if not kind or not row["Items"]:
            tree.fault("has rows without an item or its class", f"line {line}", "Fill them in.")
            continue
        where = f" ({QVIM_TABLE}, line {line})"
        item, path = tree.located(f"{kind}/{row['Items']}", "Items/", where)
        if path is not None:
            label = row["Label"] or PurePosixPath(item).stem
            tree.sounds[item] = Sound(item, path, ONE_CATEGORY, label, (kind,))
        for cell in filter(None, (row[column] for column in QUERIES)):
            query, path = tree.located(f"{kind}/{cell}", "Queries/", where)
            tree.imitated(query, path, item, table=QVIM_TABLE)
    return tree.corpus(QVIM.name)


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
    for line, row in read_rows(table, CSV_COLUMNS):
        empty = [column for column, value in row.items() if not value]
        for column in empty:
            tree.fault("has empty cells", f"line {line}: {column} is empty", "Fill them in.")
        if empty:
            continue
        name, path = tree.located(row["sound"])
        category = categories.setdefault(name, row["category"])
        if category != row["category"]:
            of = f"line {line} puts {name!r} into {row['category']!r}, an earlier one into "
            remedy = "Give each sound one category."
            tree.fault("gives sounds two categories", f"{of}{category!r}", remedy)
        if path is not None:
            tree.sounds[name] = Sound(name, path, category, PurePosixPath(name).stem)
        imitation, path = tree.located(row["imitation"])
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


VIMSKETCH = Layout(
    name="vimsketch",
    title="VimSketch",
    tree="ROOT/references/<file>.wav and ROOT/vocal_imitations/<file>.wav, with "
    "reference_file_names.csv and vocal_imitation_file_names.csv beside these folders",
    needs=(("references/",), ("vocal_imitations/",)),
    signs=tuple(VIMSKETCH_TABLES.values()),
    load=load_vimsketch,
)
VOCAL_IMITATION_SET = Layout(
    name="vocal-imitation-set",
    title="the Vocal Imitation Set",
    tree="ROOT/vocal_imitations.txt, ROOT/vocal_imitations/included/<file>, "
    "ROOT/original_recordings/reference/<class>_reference.wav and "
    "ROOT/original_recordings/non_reference/<class>/<file>",
    needs=((IMITATIONS,), ("original_recordings/reference/",), ("vocal_imitations/included/",)),
    signs=(CLASSES, "original_recordings/non_reference/"),
    load=load_vocal_imitation_set,
)
QVIM = Layout(
    name="qvim-dev",
    title="QVIM-dev",
    tree=f"ROOT/{QVIM_TABLE}, ROOT/Items/<class>/<item> and ROOT/Queries/<class>/<query>",
    needs=((QVIM_TABLE,), ("Items/",), ("Queries/",)),
    load=load_qvim,
)
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
SETS = VOCAL_IMITATION_SET, VIMSKETCH, QVIM, FOLDER, CSV
