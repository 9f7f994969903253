"""`vocalsketch data`: make, inspect, check, split and download data sets."""

import argparse
import os
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from vocalsketch.commands.actions import RAY, Action, Options
from vocalsketch.datasets.discovery import counted
from vocalsketch.datasets.weights import BACKBONES
from vocalsketch.errors import AudioError, ConfigError, StorageError
from vocalsketch.spread.threads import available_cores

if TYPE_CHECKING:
    from vocalsketch.datasets.labelled import LabelledClip
    from vocalsketch.datasets.open import Inventory
    from vocalsketch.datasets.records import Imitation, Sound

IDS_SHOWN = 10
DOWNLOADS = (
    *("vocalsketch", "vimsketch", "vocal-imitation-set", "qvim-dev"),
    *("voxforge", "urbansound8k"),
)


def _demo(arguments: argparse.Namespace) -> int:
    from vocalsketch.datasets.open import root_of

    if arguments.print_path:
        print(root_of("demo"))
        return 0
    print(f"imitations    {root_of('demo')}")
    print(f"languages     {root_of('demo', 'languages')}")
    print(f"urban sounds  {root_of('demo', 'urban')}")
    return 0


def _info(arguments: argparse.Namespace) -> int:
    import pandas as pd
    from tqdm import tqdm

    from vocalsketch.datasets.open import take_inventory
    from vocalsketch.features.audio import read_header

    inventory = take_inventory(arguments.root)
    rows = []
    for group, kind, record in tqdm(inventory.files, "headers", unit="file", leave=False):
        try:
            header = read_header(record.path, record.id)
        except AudioError:
            header = None
        rows.append((group, kind, record.id, *(header or (0.0, None, None))))
    columns = ["group", "kind", "id", "seconds", "rate", "channels"]
    files = pd.DataFrame(rows, columns=columns).astype({"rate": "Int64", "channels": "Int64"})
    print(f"corpus={inventory.corpus.name} in {inventory.corpus.root}: {inventory.title}\n")
    cells = []
    for kind, of_kind in pd.concat([files, files.assign(group="all")]).groupby("kind", sort=False):
        seconds = of_kind.groupby("group", sort=False)["seconds"]
        cells.append(seconds.size().map("{:,}".format).rename(kind))
        cells.append((seconds.sum() / 3600).map("{:.3f}".format).rename("hours"))
    table = pd.concat(cells, axis=1).reindex([*files["group"].unique(), "all"]).fillna("0")
    grouped_by = "class" if "clips" in table else "category"
    print(table.rename_axis(index=None, columns=grouped_by).to_string(), end="\n\n")
    for kind, of_kind in files.groupby("kind", sort=False):
        rates = _counted(Counter(of_kind["rate"].dropna()), "Hz")
        print(f"{kind}: {rates}; {_counted(Counter(of_kind['channels'].dropna()), 'channel(s)')}")
        unreadable = list(of_kind["id"][of_kind["rate"].isna()])
        if unreadable:
            print(f"{kind} that cannot be read: {_shown(unreadable)}")
    _print_left_out(inventory)
    return 0


def _print_left_out(inventory: "Inventory") -> None:
    for reason, names in inventory.left_out.items():
        print(f"left out: {len(names)} {reason} ({_shown(names)})")
    if inventory.others:
        print(counted(inventory.others))


def _check(arguments: argparse.Namespace) -> int:
    from tqdm import tqdm

    from vocalsketch.datasets.open import take_inventory
    from vocalsketch.datasets.records import Corpus

    inventory = take_inventory(arguments.root)
    files = len(inventory.files)
    with ThreadPoolExecutor(available_cores()) as pool:
        complaints = pool.map(_complaint, (record for _, _, record in inventory.files))
        broken = [text for text in tqdm(complaints, "decoding", files, unit="file") if text]
    broken += inventory.damaged
    for text in broken:
        print(text)
    if isinstance(inventory.corpus, Corpus):
        _print_left_out(inventory)
    elif inventory.others:  # what else is left out of these sets is broken, and named above
        print(counted(inventory.others))
    print(f"{files:,} files decoded, {len(broken)} broken: corpus={inventory.corpus.name}")
    return 1 if broken else 0


def _complaint(record: "Sound | Imitation | LabelledClip") -> str:
    from vocalsketch.features.audio import check_audio

    try:
        check_audio(record.path, record.id)
    except AudioError as error:
        return str(error)
    return ""


def _split(arguments: argparse.Namespace) -> int:
    from pandas import DataFrame

    from vocalsketch.datasets.open import open_corpora
    from vocalsketch.datasets.splits import make_split, write_manifest

    if arguments.out.exists() and not arguments.force:
        raise StorageError(f"{arguments.out} exists: choose another name, or give --force.")
    corpus = open_corpora(arguments.root, arguments.test_root, second_set=arguments.second_set)
    split = make_split(corpus, arguments.split, arguments.seed)
    write_manifest(split, arguments.out)
    rows = {
        "train": (len(split.development_sounds), len(split.train_imitations)),
        "validation": ("(the same)", len(split.validation_imitations)),
        "test": (len(split.test_sounds), len(split.test_imitations)),
    }
    print(DataFrame(rows, index=["sounds", "imitations"]).T.to_string())
    print(f"\ncorpus={split.corpus}, split {split.name}, {split.fingerprint}: {arguments.out}")
    return 0


def _import_everyday(arguments: argparse.Namespace) -> int:
    from vocalsketch.datasets.vocalsketch import import_everyday

    done = import_everyday(arguments.folder, arguments.root)
    print(f"{len(done.copied)} copied, {len(done.present)} there before and left as they were")
    if done.not_found:
        print(f"{len(done.not_found)} not found in {arguments.folder}:")
        print(*(f"  {name}" for name in done.not_found), sep="\n")
    return 0


def _download(arguments: argparse.Namespace) -> int:
    from vocalsketch.datasets import download, labelled

    chosen = arguments.languages is not None or arguments.limit is not None
    if arguments.dataset != "voxforge" and chosen:
        raise ConfigError(f"--languages and --limit are of voxforge, not {arguments.dataset}.")
    if arguments.dataset in BACKBONES:
        done = download.download_weights(arguments.dataset, arguments.out)
    elif arguments.dataset != "voxforge":
        done = download.download(download.PUBLISHED[arguments.dataset], arguments.out)
    else:
        languages = arguments.languages or labelled.LANGUAGES
        limit = labelled.CLIPS_PER_LANGUAGE if arguments.limit is None else arguments.limit
        done = download.download_voxforge(arguments.out, languages, limit)
    print(done)
    return 1 if done.damaged else 0


def _imitate(arguments: argparse.Namespace) -> int:
    from vocalsketch.datamodules.imitated import imitate_folders

    made = imitate_folders(
        arguments.folders,
        arguments.out,
        procedural=arguments.procedural,
        people=arguments.people,
        seed=arguments.seed,
        jobs=arguments.jobs,
        ray=arguments.ray,
    )
    for line in made.left_out:
        print(line)
    print(f"{made.imitations:,} imitations of {made.sounds:,} sounds: {arguments.out}")
    return 0


def _counted(counter: Counter[int], unit: str) -> str:
    return ", ".join(f"{value} {unit} ({count:,})" for value, count in counter.most_common())


def _shown(names: Sequence[str]) -> str:
    more = f", and {len(names) - IDS_SHOWN} more" if len(names) > IDS_SHOWN else ""
    return ", ".join(names[:IDS_SHOWN]) + more


ROOT: Options = {
    "root?": (
        lambda: os.environ.get("VOCALSKETCH_ROOT", "demo"),
        "a data set's folder, a CSV file, or demo (default: $VOCALSKETCH_ROOT, else demo)",
    )
}
DEMO: Options = {
    "--print-path": (
        False,
        "make the corpus of imitations only, and print its folder and nothing else",
    )
}
SPLIT: Options = {
    "--out!": (Path, "the manifest to write (JSON)"),
    "--split HOW": (
        "paper",
        "paper, random, 'fold K/N', 'qbv_coarse K', another manifest, or of two corpora qvim, "
        "qbv_fine, corpora",
    ),
    "--test-root": (str, "a second corpus, which only tests"),
    "--second-set": (False, "add the second set of VocalSketch v1.1"),
    "--seed": (0, "for random and fold"),
    "--force": (False, "write over an existing file"),
}
DOWNLOAD: Options = {
    "dataset": (
        (None, *DOWNLOADS, *BACKBONES),
        f"{', '.join(DOWNLOADS)}; or the weights of a network trained on AudioSet or, aisfx, on "
        f"sound effects: {', '.join(BACKBONES)}",
    ),
    "--out!": (Path, "the folder to make, or the file of weights"),
    "--languages+": (str, "of voxforge (default: the paper's seven)"),
    "--limit": (int, "of voxforge: clips per language (default: the paper's 8000)"),
}
IMITATE: Options = {
    "folders* DIR": (Path, "folders of sounds"),
    "--out!": (Path, "the corpus to make, or to go on with"),
    "--people": (6, "synthetic, each of whom imitates every sound once"),
    "--seed": (0, "of all drawing: the same gives the same bytes"),
    "--procedural": (0, "sounds drawn at random beside those of the folders"),
    "--jobs": (int, "processes (default: all cores that may be used)"),
    **RAY,
}
IMPORT: Options = {
    "folder": (Path, "where the originals lie"),
    "--root!": (Path, "the VocalSketch folder"),
}
ACTIONS = {
    "demo": Action("make the built-in data sets and print where they lie", _demo, DEMO),
    "info": Action("count what a data set holds, and what is missing", _info, ROOT),
    "check": Action("decode every file and list what is broken", _check, ROOT),
    "split": Action("divide a corpus and write the manifest", _split, {**ROOT, **SPLIT}),
    "download": Action("fetch a public data set, or published weights", _download, DOWNLOAD),
    "imitate": Action(
        "make a corpus of any sounds and synthesised imitations of them", _imitate, IMITATE
    ),
    "import-everyday": Action(
        "copy the everyday originals into VocalSketch under its names", _import_everyday, IMPORT
    ),
}
