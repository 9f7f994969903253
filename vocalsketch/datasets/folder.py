"""People's own pairs: a folder of sounds and imitations, or a CSV file that names them."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from vocalsketch.datasets.discovery import audio_in
from vocalsketch.datasets.layout import Layout
from vocalsketch.datasets.names import Files, composed
from vocalsketch.datasets.records import ONE_CATEGORY, Corpus, Faults, Imitation, OnBadAudio, Sound
from vocalsketch.datasets.tables import read_rows, read_text, why_no_table

CSV_COLUMNS = ("imitation", "sound", "category")


def load_folder(root: Path, on_bad_audio: OnBadAudio = "error") -> Corpus:
    """Read one's own sounds and imitations of them.

    They lie in ``sounds/x.wav`` or ``sounds/<category>/x.wav`` and ``imitations/<sound
    stem>/*.wav``, in any format that is decoded.

    Raises:
        DatasetError: Stems are ambiguous, an imitation has no sound, or there is nothing.
    """
    faults = Faults(root, on_bad_audio)
    files = Files(root)
    sounds = _read_sounds(files.place("sounds"), faults)
    imitations = list(_read_imitations(files.place("imitations"), sounds, faults))
    if not imitations:
        how = "put audio into imitations/<sound>/"
        faults.add("holds no imitation", how, "Such a folder is named after the sound's file.")
    return faults.corpus("folder", sounds.values(), imitations)


def load_csv(table: Path, on_bad_audio: OnBadAudio = "error") -> Corpus:
    """Read the sounds and imitations that a table names, one imitation in a row.

    The columns are imitation, sound and category; paths are relative to the table itself.

    Raises:
        DatasetError: A cell is empty, a name is given twice, a file is gone, or there is nothing.
    """
    faults = Faults(table, on_bad_audio)
    files = Files(table.parent)
    sounds: dict[str, Sound] = {}
    imitations: dict[str, Imitation] = {}
    gone: set[str] = set()
    encoding = read_text(table)[1]

    def located(name: str) -> tuple[str, Path]:
        path = files.find(name)
        identity = files.identity(name, path)
        if path is None and identity not in gone:
            gone.add(identity)
            faults.add_gone(identity)
            if on_bad_audio != "skip" and encoding == "windows-1252" and not identity.isascii():
                faults.add("is read as Windows-1252, no UTF-8", identity, "Save it as UTF-8.")
        return identity, path or table.parent / identity

    for line, row in read_rows(table, CSV_COLUMNS):
        empty = [column for column, value in row.items() if not value]
        for column in empty:
            faults.add("has empty cells", f"line {line}: {column} is empty", "Fill them in.")
        if empty:
            continue
        name, path = located(row["sound"])
        sound = Sound(name, path, row["category"], PurePosixPath(name).stem)
        if sounds.setdefault(name, sound) != sound:
            of = f"line {line} puts {name!r} into {row['category']!r}, an earlier one into "
            faults.add(
                "gives sounds two categories",
                f"{of}{sounds[name].category!r}",
                "Give each sound one category.",
            )
        name, path = located(row["imitation"])
        if name in imitations:
            faults.add("names imitations twice", f"line {line} repeats {name!r}", "Keep one row.")
        imitations[name] = Imitation(name, path, sound.id)
    present = [sound for sound in sounds.values() if sound.id not in gone]
    kept = [each for each in imitations.values() if each.id not in gone]
    return faults.corpus("folder", present, kept)


def _audio_files(folder: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Yield each audio file and the names that lead to it from ``folder``."""
    for path in audio_in(folder):
        yield path, tuple(map(composed, path.relative_to(folder).parts))


def _read_sounds(folder: Path, faults: Faults) -> dict[str, Sound]:
    """Return the sounds by their stem."""
    same_stem: dict[str, list[Sound]] = defaultdict(list)
    for path, parts in _audio_files(folder):
        if len(parts) > 2:
            remedy = "Sounds lie in sounds/ or in sounds/<category>/. Move them."
            faults.add("holds sounds that lie too deep", "/".join(parts), remedy)
            continue
        category = parts[0] if len(parts) == 2 else ONE_CATEGORY
        stem = PurePosixPath(parts[-1]).stem
        same_stem[stem].append(Sound(parts[-1], path, category, stem))
    for stem, sounds in same_stem.items():
        if len(sounds) > 1:
            files = ", ".join(sorted(str(sound.path.relative_to(folder)) for sound in sounds))
            faults.add(
                "has several sounds of one name",
                f"imitations/{stem} could mean any of {files}",
                "Give each sound a name of its own.",
            )
    return {stem: sounds[0] for stem, sounds in same_stem.items()}


def _read_imitations(folder: Path, sounds: dict[str, Sound], faults: Faults) -> Iterator[Imitation]:
    times = Counter(stem.casefold() for stem in sounds)
    alike = {stem.casefold(): sound for stem, sound in sounds.items()}
    alike = {stem: sound for stem, sound in alike.items() if times[stem] == 1} | sounds
    for path, parts in _audio_files(folder):
        sound = alike.get(parts[0]) or alike.get(parts[0].casefold())
        if len(parts) == 2 and sound:
            yield Imitation("/".join(parts), path, sound.id)
        else:
            remedy = "Imitations lie in imitations/<name of the sound's file without its ending>/."
            faults.add("holds in imitations/ what matches no sound", parts[0], remedy)


class _CsvLayout(Layout):
    """A table of one's own pairs is told by its columns."""

    def missing(self, root: Path) -> list[str]:
        """Return the columns that a file lacks: all of them where it is no table."""
        if root.is_file() and not why_no_table(root, CSV_COLUMNS):
            return []
        return [f"the columns {', '.join(CSV_COLUMNS)}"]


FOLDER = Layout(
    name="folder",
    title="a folder of one's own",
    tree="ROOT/sounds/<sound>.wav or ROOT/sounds/<category>/<sound>.wav, and "
    "ROOT/imitations/<sound>/<any name>.wav",
    needs=(("sounds/",), ("imitations/",)),
    load=load_folder,
)
CSV = _CsvLayout(
    name="csv",
    title="a table of one's own",
    tree="a .csv file with the columns imitation, sound and category, its paths relative to itself",
    needs=(("",),),
    load=load_csv,
)
