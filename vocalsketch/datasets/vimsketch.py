"""VimSketch: VocalSketch and the Vocal Imitation Set in one, 12,543 imitations of 542 sounds.

Source: zenodo record 2596911, CC BY 4.0. B. Kim, M. Cartwright, F. Pishdadian and B. Pardo, 2019,
doi:10.5281/zenodo.2596911.
"""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from vocalsketch.datasets.discovery import list_audio
from vocalsketch.datasets.layout import Layout
from vocalsketch.datasets.names import Files, composed
from vocalsketch.datasets.records import ONE_CATEGORY, Corpus, Faults, Imitation, OnBadAudio, Sound
from vocalsketch.datasets.tables import read_text

TABLES = {
    "references": "reference_file_names.csv",
    "vocal_imitations": "vocal_imitation_file_names.csv",
}
_HEADINGS = ("", "filename")  # mirrors have a heading where the release has none


def load_vimsketch(root: Path, on_bad_audio: OnBadAudio = "error") -> Corpus:
    """Read a tree of VimSketch.

    What follows the first underscore of a file's name is the key that links imitations to
    references; what follows the digits of a key is the class, which several references share.
    Every sound is ranked among all.

    Raises:
        DatasetError: A file is gone, a key is given twice, or an imitation has no reference.
    """
    faults = Faults(root, on_bad_audio)
    files = Files(root)
    sounds: dict[str, Sound] = {}
    known = set()
    for name, path in _listed("references", files, faults):
        key = _key(name)
        known.add(key)
        if key in sounds:
            remedy = "Keep one of each."
            faults.add("has several references of one key", f"{sounds[key].id}, {name}", remedy)
        elif path is not None:
            kind = class_of(key)
            sounds[key] = Sound(name, path, ONE_CATEGORY, kind, (kind,))
    imitations = {}
    for name, path in _listed("vocal_imitations", files, faults):
        if _key(name) not in known:
            remedy = "Restore their references, or leave them out of the table and the folder."
            faults.add("has imitations of nothing", name, remedy)
        elif name in imitations:
            faults.add("names imitations twice", name, "Keep one row of each.")
        elif path is not None and _key(name) in sounds:
            imitations[name] = Imitation(name, path, sounds[_key(name)].id)
    return faults.corpus(LAYOUT.name, sounds.values(), imitations.values())


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


def _listed(folder: str, files: Files, faults: Faults) -> Iterator[tuple[str, Path | None]]:
    """Yield the names that a table lists, or a folder holds where there is no table."""
    table = files.find(TABLES[folder])
    if table is not None:
        lines = read_text(table)[0].splitlines()
        names = [line.partition("\t")[0].strip(' ",;') for line in lines]
        if names and names[0].casefold() in _HEADINGS:
            names = names[1:]
    else:
        names = [found.path for found in list_audio(files.place(folder)).files]
    for name in filter(None, names):
        path = files.find(f"{folder}/{name}")
        if path is None:
            faults.add_gone(f"{folder}/{name}")
        yield composed(path.name if path else name), path


LAYOUT = Layout(
    name="vimsketch",
    title="VimSketch",
    source="https://zenodo.org/records/2596911",
    tree="ROOT/references/<file>.wav and ROOT/vocal_imitations/<file>.wav, with "
    "reference_file_names.csv and vocal_imitation_file_names.csv beside these folders",
    needs=(("references/",), ("vocal_imitations/",)),
    signs=tuple(TABLES.values()),
    load=load_vimsketch,
    includes=("vocalsketch", "vocal-imitation-set"),
)
