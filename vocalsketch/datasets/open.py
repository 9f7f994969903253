"""The registry of layouts: what lies at a path, what it lacks, and the corpus or clips in it."""

import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Literal

from vocalsketch.datasets.discovery import SUFFIXES, Listing, list_audio, suffix_of
from vocalsketch.datasets.imitation_sets import CSV, SETS, VIMSKETCH, VOCAL_IMITATION_SET
from vocalsketch.datasets.labelled import (
    LANGUAGES,
    URBANSOUND8K,
    VOXFORGE,
    LabelledClip,
    LabelledCorpus,
    language_folder,
    load_urbansound8k,
    load_voxforge,
)
from vocalsketch.datasets.records import (
    FILE_GONE,
    MERGE,
    Corpus,
    Imitation,
    Layout,
    OnBadAudio,
    Sound,
    single_categories,
)
from vocalsketch.datasets.synthetic import demo
from vocalsketch.datasets.tables import why_no_table
from vocalsketch.datasets.vocalsketch import VOCALSKETCH, load_vocalsketch
from vocalsketch.errors import ConfigError, DatasetError

DEMO = "demo"
TABLES = (".csv", ".tsv", ".txt")
MOST_LOOKED_AT = 300  # folders and tables that may be a data set

IN_VIMSKETCH = VOCALSKETCH.name, VOCAL_IMITATION_SET.name  # whose audio it holds too
LAYOUTS = VOCALSKETCH, *SETS, URBANSOUND8K, VOXFORGE

NO_PART = "sounds in its folder that are no part of it"
_DAMAGE = frozenset({FILE_GONE, "file is missing", "zero-byte file", "damaged archive"})


def layout_of(root: Path) -> Layout | None:
    """Return the layout that lies at ``root`` in full, or None."""
    return next((layout for layout in LAYOUTS if layout.recognises(root) == 1.0), None)


def root_of(root: str | Path, kind: Literal["corpus", "languages", "urban"] = "corpus") -> Path:
    """Return a data set's folder; ``demo`` is made in the cache when it is not there yet."""
    if str(root) != DEMO:
        return Path(root).expanduser()
    return demo(kind)


def open_corpus(
    root: str | Path, *, on_bad_audio: OnBadAudio = "error", second_set: bool = False
) -> Corpus:
    """Read the corpus at ``root``, whatever its layout.

    ``demo`` is the built-in corpus (made in the cache when it is not there yet); absent audio is an
    error or is listed in ``Corpus.missing``.

    Raises:
        ConfigError: Another layout is asked for its second set.
        DatasetError: There is no such corpus, it is damaged, or a category has a single sound.
    """
    path = root_of(root)
    layout = layout_of(path)
    if layout is None or layout.load is None:
        raise DatasetError(describe(path))
    if second_set and layout is not VOCALSKETCH:
        raise ConfigError(f"second_set is of VocalSketch v1.1; {path} is {layout.title}.")
    load = partial(load_vocalsketch, second_set=True) if second_set else layout.load
    corpus = load(path, on_bad_audio)
    single = single_categories(corpus.sounds)
    if single:
        names = ", ".join(map(repr, single))
        raise DatasetError(f"Category {names} of {corpus.root} has one sound. {MERGE}")
    return corpus


def open_corpora(
    root: str | Path,
    test_root: str | Path | None = None,
    *,
    on_bad_audio: OnBadAudio = "error",
    second_set: bool = False,
) -> Corpus:
    """Read a corpus to develop on and, where one is given, another that only tests.

    Raises as ``open_corpus`` and ``join``.
    """
    corpus = open_corpus(root, on_bad_audio=on_bad_audio, second_set=second_set)
    if test_root is None:
        return corpus
    return join(corpus, open_corpus(test_root, on_bad_audio=on_bad_audio))


def join(development: Corpus, test: Corpus) -> Corpus:
    """Return both corpora as one, whose ids begin with the name of the one they are from.

    Raises:
        DatasetError: They are one corpus, one includes the other, or a file stands in both.
    """
    for whole, part in ((development, test), (test, development)):
        if whole.name == VIMSKETCH.name and part.name in IN_VIMSKETCH:
            raise DatasetError(
                f"{whole.root} ({whole.name}) includes {part.name}, which {part.root} is: sounds "
                "that train would be tested. Choose another corpus for one side."
            )

    def prefixed(corpus: Corpus, prefix: str) -> Corpus:
        sounds = [replace(each, id=f"{prefix}/{each.id}") for each in corpus.sounds]
        imitations = [
            replace(each, id=f"{prefix}/{each.id}", sound_id=f"{prefix}/{each.sound_id}")
            for each in corpus.imitations
        ]
        return replace(corpus, sounds=tuple(sounds), imitations=tuple(imitations))

    first, second = prefixed(development, development.name), prefixed(test, test.name)
    here, there = ({s.path.resolve() for s in each.sounds} for each in (first, second))
    if here & there or first.name == second.name != "folder":
        raise DatasetError(
            f"{development.root} and {test.root} share sounds: a sound that trains cannot test. "
            "Give test_root another corpus, or divide one corpus by its split."
        )
    if first.name == second.name:
        second = prefixed(test, f"{test.name}-2")
    reasons = first.missing | second.missing
    return Corpus(
        f"{development.name}+{test.name}",
        development.root,
        first.sounds + second.sounds,
        first.imitations + second.imitations,
        {each: first.missing.get(each, ()) + second.missing.get(each, ()) for each in reasons},
        held_out=frozenset(sound.id for sound in second.sounds),
    )


def describe(path: Path, *, imitated: bool = True) -> str:
    """Return why there is no corpus at ``path`` (of imitations, or any), and what would be one."""
    titles = [layout.title for layout in LAYOUTS if layout.load is not None]
    wanted = f"A corpus is {DEMO!r}, {', '.join(titles[:-1])} or {titles[-1]} (docs/corpora.md)"
    if not path.is_dir():
        return f"{path} {_about_file(path)}. {wanted}."
    below = [(each, _nearest(each)) for each in islice(_below(path), MOST_LOOKED_AT)]
    found = [(each, layout) for each, layout in below if layout is not None]
    whole = [(each, layout) for each, layout in found if layout.recognises(each) == 1.0]
    for each, layout in whole:
        if layout.load is not None or not imitated:
            return f"{path} is no corpus, but {each} is {layout.title}: give that."
    near = _nearest(path)
    nearest = [(path, near)] if near is not None else whole or found
    for each, layout in nearest[:1]:
        if layout.missing(each):
            return layout.explain(each)
        return f"{each} is {layout.title}, which holds no vocal imitations. {wanted}."
    names = sorted(child.name for child in path.iterdir())
    held = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "") if names else "nothing"
    alone = any(suffix_of(name) in SUFFIXES for name in names)
    advice = " To imitate its sounds: `vocalsketch data imitate`." if alone else ""
    return f"{path} is no corpus: it holds {held}. {wanted}.{advice}"


def _below(path: Path) -> Iterator[Path]:
    """Yield folders and tables below a folder, of which a data set may be one; not all of many."""
    for here, folders, names in os.walk(path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        tables = sorted(name for name in names if suffix_of(name) in TABLES)
        yield from (Path(here) / name for name in (*folders, *tables))


def _nearest(root: Path) -> Layout | None:
    """Return the layout that most of lies at ``root``."""
    nearest = max(LAYOUTS, key=lambda layout: layout.recognises(root))
    return nearest if nearest.recognises(root) > 0.0 else None


def _about_file(path: Path) -> str:
    """Return what a file is that is no table of one's own."""
    for layout in LAYOUTS:
        marks = [*(mark for choice in layout.needs for mark in choice), *layout.signs]
        if path.name in (mark.rpartition("/")[2] for mark in marks):
            return f"is a table of {layout.title}: give the data set's folder"
    if path.is_file() and path.suffix.lower() in TABLES:
        why = why_no_table(path, CSV.columns).removeprefix(f"{path} ").rstrip(".")
        return f"lacks {', '.join(CSV.missing(path))}: it is no table of one's own. It {why}"
    if path.suffix.lower() in (".zip", ".tgz", ".gz", ".tar"):
        return "is packed: unpack it and give the folder"
    return "is a file of another kind, or none" if path.exists() else "does not exist"


@dataclass(frozen=True)
class Inventory:
    """The audio of a data set."""

    corpus: Corpus | LabelledCorpus
    title: str  # what people call its layout
    # of each its category or class, its kind (``sounds``, ``imitations`` or ``clips``), its record
    files: list[tuple[str, str, Sound | Imitation | LabelledClip]]
    left_out: Mapping[str, list[str]]  # what is lacking or not used, by reason
    others: Mapping[str, int]  # hidden or no sounds, by suffix

    @property
    def damaged(self) -> list[str]:
        """What the data set ought to hold and does not, each with the reason."""
        reasons = [reason for reason in self.left_out if reason in _DAMAGE]
        return [f"{name}: {reason}" for reason in reasons for name in self.left_out[reason]]


def take_inventory(root: str | Path) -> Inventory:
    """List the audio of a data set of any layout without decoding it; absent files are listed too.

    Raises:
        DatasetError: No data set lies there, or nothing of it is left.
    """
    path = root_of(root)
    layout = layout_of(path)
    if layout is None:
        raise DatasetError(describe(path, imitated=False))
    corpus: Corpus | LabelledCorpus
    if layout.name == VOXFORGE.name:
        present = [name for name in LANGUAGES if language_folder(path, name).is_dir()]
        corpus = load_voxforge(path, present, limit=None)
    elif layout.load is None:
        corpus = load_urbansound8k(path, "skip")
    else:
        corpus = open_corpus(path, on_bad_audio="skip")
    files: list[tuple[str, str, Sound | Imitation | LabelledClip]]
    if isinstance(corpus, LabelledCorpus):
        files = [(clip.label, "clips", clip) for clip in corpus.clips]
    else:
        category = {sound.id: sound.category for sound in corpus.sounds}
        files = [(sound.category, "sounds", sound) for sound in corpus.sounds]
        files += [(category[each.sound_id], "imitations", each) for each in corpus.imitations]
    used = {os.path.realpath(record.path) for _, _, record in files}
    found = list_audio(path) if path.is_dir() else Listing()
    left_out = defaultdict(list, {reason: list(names) for reason, names in corpus.missing.items()})
    for name, reason in found.unusable.items():
        left_out[reason].append(name)
    for each in found.files:
        if os.path.realpath(path / each.path) not in used:
            left_out[NO_PART].append(each.path)
    return Inventory(corpus, layout.title, files, left_out, found.others)
