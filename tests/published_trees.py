"""Tiny made-up trees in the layouts of published data sets, with audio that can be learned from."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import soundfile

RATE = 8000  # hz
SECONDS = 0.25


def tone(path: Path, pitch: float) -> None:
    """Write a tone with a few harmonics."""
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(int(RATE * SECONDS)) / RATE
    waveform = sum(0.3 / k * np.sin(2 * np.pi * k * pitch * time) for k in (1, 2, 3))
    soundfile.write(path, waveform, RATE)


def table(path: Path, rows: Iterable[Sequence[object]], separator: str = ",") -> None:
    """Write a table."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=separator).writerows(rows)


def pitch_of(number: int) -> float:
    return 150.0 * 1.12**number


def write_vimsketch(root: Path, classes: int = 4, of_each: int = 2, imitations: int = 3) -> Path:
    """VimSketch: several references of each class, each with a key of its own."""
    references, queries = [], []
    for number in range(classes * of_each):
        kind = f"Animal_Kind {number // of_each}, (small)"
        key = f"{number:03}{kind}" if number % 2 else f"{number:03}-{kind}"
        references.append(f"{number + 1:03}_{key}.wav")
        tone(root / "references" / references[-1], pitch_of(number))
        for _ in range(imitations):
            queries.append(f"{len(queries) + 1:05}_{key}.wav")
            tone(root / "vocal_imitations" / queries[-1], pitch_of(number) * 1.02)
    (root / "reference_file_names.csv").write_text("\n".join(references) + "\n")
    (root / "vocal_imitation_file_names.csv").write_text("\n".join(queries) + "\n")
    return root


IMITATION_COLUMNS = (
    *("", "imitation_id", "imitation_filename", "category_id"),
    *(f"category_d{depth}" for depth in range(1, 7)),
    *("reference_filename", "included", "draft", "training", "participant_id", "satisfaction"),
)


def write_vocal_imitation_set(root: Path, classes: int = 3, others: int = 2) -> Path:
    """The Vocal Imitation Set: a reference and others of each class, two imitations and a draft."""
    rows: list[Sequence[object]] = [IMITATION_COLUMNS]
    recordings: list[Sequence[object]] = [
        ("filename", "classname", "category_d1", "is_reference", "multi_labeled")
    ]
    original = root / "original_recordings"
    for number in range(classes):
        kind = f"{number:03}Human sounds_Voice, (loud) {number}"
        reference = f"{kind}_reference.wav"
        tone(original / "reference" / reference, pitch_of(5 * number))
        recordings.append((reference, kind, "Human sounds", True, False))
        for other in range(others):
            name = f"{1000 * number + other}_freesound.wav"
            tone(original / "non_reference" / kind / name, pitch_of(5 * number + other + 1))
            recordings.append((name, kind, "Human sounds", False, False))
        for take in range(3):
            draft = take == 2
            name = f"{kind} - {10 * number + take}.wav"
            folder = "excluded" if draft else "included"
            tone(root / "vocal_imitations" / folder / name, pitch_of(5 * number) * 1.02)
            depths = ["Human sounds", *[""] * 5]
            person = f"p{take}"
            rows.append(
                (
                    *(len(rows), 10 * number + take, name, number, *depths, reference),
                    *(not draft, draft, False, person, "Neutral"),
                )
            )
    table(root / "vocal_imitations.txt", rows, "\t")
    table(root / "original_recordings_classes.txt", recordings, "\t")
    return root


def write_qvim(root: Path, classes: int = 2, items: int = 2) -> Path:
    """QVIM-dev: a line above the header, and not every item has three queries."""
    rows: list[Sequence[object]] = [
        ("", "", "", "", "", "a title"),
        ("Label", "Class", "Items", "Query 1", "Query 2", "Query 3"),
    ]
    for number in range(classes):
        for item in range(items):
            kind, name = f"Class {number}", f"item {number}{item}.wav"
            pitch = pitch_of(5 * number + item)
            tone(root / "Items" / kind / name, pitch)
            queries = [f"q{number}{item}_{take}.wav" for take in range(2)]
            for query in queries:
                tone(root / "Queries" / kind / query, 1.02 * pitch)
            rows.append((f"label {number}{item}", kind, name, *queries, ""))
    table(root / "DEV Dataset.csv", rows)
    return root


def write_vocalsketch(root: Path, *, second_set: bool = False, sounds: int = 4) -> Path:
    """VocalSketch v1.0.4, or v1.1 with its second set: old line ends, ruined ids."""
    subsets = ("acoustic instruments", "everyday sounds")
    header = (
        *("id", "filename", "stimulus_type", "included", "draft", "training", "participant_id"),
        *("sound_label", "sound_recording", "audio_concept_subset"),
    )
    recordings: list[Sequence[object]] = [
        ("id", "filename", "sound_label", "sound_label_id", "audio_concept_subset")
    ]
    first: list[Sequence[object]] = [header]
    second: list[Sequence[object]] = [header]
    for number in range(sounds * len(subsets)):
        name, subset = f"sound{number}.wav", subsets[number // sounds]
        tone(root / "sound_recordings" / name, pitch_of(number))
        recordings.append((number, name, f"sound {number}", number, subset))
        for rows, folder, takes in (
            (first, "vocal_imitations/included", (1, 2)),
            (second, "vocal_imitations_set2/included", (3,)),
        ):
            if rows is second and not second_set:
                continue
            for take in takes:
                imitation = f"sound {number} - {take}.wav"
                tone(root / folder / imitation, 1.02 * pitch_of(number))
                ruined = "4.62E+15" if rows is second else f"{number}{take}"
                rows.append(
                    (
                        *(ruined, imitation, "sound recording", "TRUE", "FALSE", "FALSE"),
                        *(f"v{take}", f"sound {number}", name, subset),
                    )
                )
    table(root / "sound_recordings.csv", recordings)
    table(root / "vocal_imitations.csv", first)
    if second_set:
        table(root / "vocal_imitaitons_set2.csv", second)
    for path in root.glob("*.csv"):
        path.write_bytes(path.read_bytes().replace(b"\r\n", b"\r"))
    return root


def write_folder(root: Path) -> Path:
    """One's own folder of two categories."""
    for number in range(4):
        tone(root / f"sounds/kind{number // 2}/s{number}.wav", pitch_of(number))
        for take in (1, 2):
            tone(root / f"imitations/s{number}/{take}.wav", 1.02 * pitch_of(number))
    return root


def write_csv(root: Path) -> Path:
    """A table of one's own pairs, as a spreadsheet saves it."""
    rows: list[Sequence[object]] = [("Imitation", "Sound", "Category")]
    for number in range(4):
        tone(root / f"lib/s{number}.wav", pitch_of(number))
        tone(root / f"takes/s{number}.wav", 1.02 * pitch_of(number))
        rows.append((f"takes\\s{number}.wav", f"lib\\s{number}.wav", "x"))
    table(root / "pairs.csv", [*rows, ("", "", "")], ";")
    return root / "pairs.csv"


def write_urbansound8k(root: Path, *, mirrored: bool = False) -> Path:
    """UrbanSound8K, or as mirrors have it: the table and the folds side by side."""
    rows: list[Sequence[object]] = [
        ("slice_file_name", "fsID", "start", "end", "salience", "fold", "classID", "class")
    ]
    folds = root if mirrored else root / "audio"
    for fold in (1, 2):
        for number, kind in enumerate(("siren", "drilling")):
            name = f"{fold}00-{number}-0-0.wav"
            tone(folds / f"fold{fold}" / name, pitch_of(number))
            rows.append((name, fold, 0, 1, 1, fold, number, kind))
    table((root if mirrored else root / "metadata") / "UrbanSound8K.csv", rows)
    return root


def write_voxforge(root: Path, *, mirrored: bool = False) -> Path:
    """VoxForge, or as mirrors have it: the repository's folders within each language."""
    for language in ("nl", "en"):
        for speaker in ("anna", "bram"):
            folder = root / language / ("Trunk/Audio/Main/16kHz_16bit" if mirrored else "")
            submission = folder / f"{speaker}-20080101-abc"
            tone(submission / "wav/1.wav", 200.0)
            (submission / "etc").mkdir()
            (submission / "etc/PROMPTS").write_text("a sentence\n")
    return root


def write_demo(root: Path) -> Path:
    """A stand-in in VocalSketch's layout."""
    write_vocalsketch(root)
    (root / "DEMO").touch()
    return root
