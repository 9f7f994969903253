"""Opening whatever corpus lies at a path."""

from collections import Counter
from pathlib import Path
from typing import Literal, get_args

from vocalsketch.datasets.folder import load_folder
from vocalsketch.datasets.records import Corpus, OnBadAudio
from vocalsketch.datasets.vocalsketch import FIRST_SET, load_vocalsketch
from vocalsketch.errors import ConfigError, DatasetError

DEMO = "demo"

Layout = Literal["vocalsketch", "folder", "voxforge", "urbansound8k"]


def layout_of(root: Path) -> Layout | None:
    """Return which data set's layout ``root`` has, or None."""
    if (root / FIRST_SET[0]).is_file():
        return "vocalsketch"
    if (root / "metadata" / "UrbanSound8K.csv").is_file():
        return "urbansound8k"
    if root.is_file() and root.suffix.lower() == ".csv":
        return "folder"
    if (root / "sounds").is_dir() and (root / "imitations").is_dir():
        return "folder"
    if any(root.glob("*/*/etc")) or any(root.glob("*/*.tgz")):
        return "voxforge"
    return None


def open_corpus(root: str | Path, *, on_bad_audio: OnBadAudio = "error") -> Corpus:
    """Read the corpus at ``root``, whatever its layout.

    Args:
        root: ``demo`` for the built-in corpus (made in the cache when it is not there yet), a
            folder in the VocalSketch layout, a folder with ``sounds/`` and ``imitations/``, or a
            CSV file of (imitation, sound, category).
        on_bad_audio: Whether absent audio is an error or is listed in ``Corpus.missing``.

    Raises:
        ConfigError: ``on_bad_audio`` is neither.
        DatasetError: There is no such corpus, it is damaged, or a category has a single sound.
    """
    if on_bad_audio not in get_args(OnBadAudio):
        raise ConfigError(f"on_bad_audio is {on_bad_audio!r}: choose error or skip.")
    path = Path(root).expanduser()
    if str(root) == DEMO:
        # Making it needs signal processing, which reading another corpus should not wait for.
        from vocalsketch.datasets.synthetic import demo_corpus

        path = demo_corpus()
    layout = layout_of(path)
    if layout == "vocalsketch":
        corpus = load_vocalsketch(path, on_bad_audio=on_bad_audio)
    elif layout == "folder":
        corpus = load_folder(path, on_bad_audio=on_bad_audio)
    else:
        raise DatasetError(_no_corpus(path, layout))
    _check_categories(corpus)
    return corpus


def _check_categories(corpus: Corpus) -> None:
    counts = Counter(sound.category for sound in corpus.sounds)
    single = [category for category, count in counts.items() if count == 1]
    if single:
        raise DatasetError(
            f"Category {', '.join(map(repr, single))} of {corpus.root} has one sound: ranking "
            "needs at least two. Add a sound to it, or merge it into another category."
        )


def _no_corpus(path: Path, layout: Layout | None) -> str:
    wanted = (
        f"A corpus is {DEMO!r}, a folder with {FIRST_SET[0]}, a folder with sounds/ and "
        "imitations/, or a .csv file of (imitation, sound, category)"
    )
    if not path.exists():
        return f"{path} does not exist. {wanted}."
    if layout is not None:
        found = {"voxforge": "VoxForge", "urbansound8k": "UrbanSound8K"}.get(layout, layout)
        return f"{path} looks like {found}, which holds no vocal imitations. {wanted}."
    if path.is_file():
        return f"{path} is a file of another kind. {wanted}."
    nested = [c for c in sorted(path.iterdir()) if layout_of(c) in ("vocalsketch", "folder")]
    if nested:
        return f"{path} is no corpus, but {nested[0]} looks like one: give that. {wanted}."
    names = sorted(child.name for child in path.iterdir())
    held = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "") if names else "nothing"
    return f"{path} is no corpus: it holds {held}. {wanted}."
