"""Fits a system to somebody's own sounds, and keeps it only where that helps."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from vocalsketch.datamodules.imitated import imitated_corpus
from vocalsketch.datasets.imitation_sets import CSV_COLUMNS, load_csv, load_folder
from vocalsketch.datasets.records import Corpus
from vocalsketch.datasets.splits import Split, read_manifest, write_manifest
from vocalsketch.errors import ConfigError, DatasetError, refuse_below
from vocalsketch.experiment.run import rank, run_experiment
from vocalsketch.files import make_folder, write_table, write_text
from vocalsketch.systems import System, load_system
from vocalsketch.systems.checkpoints import SAVED
from vocalsketch.systems.registry import FRONT_ENDS

FEWEST = 20  # sounds: fewer say nothing about whether it helped
HELD_OUT = 5  # one sound in so many is held out
RECORDED, SYNTHESISED = "recorded imitations", "synthesised imitations"
RECIPE = Path(__file__).with_name("adapt.yaml")


class Adapted(NamedTuple):
    """What adapting came to."""

    before: Mapping[str, float]  # MRR of held-out sounds by kind of imitation
    after: Mapping[str, float]  # by the adapted system
    helped: bool  # it rose for one kind and fell for none


@dataclass(frozen=True)
class Adaptation:
    """How a system is fitted to sounds.

    Args:
        people: Synthetic people who imitate every sound; the last of them never train.
        most: Sounds of the library that take part, drawn at random.
        epochs: Passes through the imitations.
        seed: Of all drawing.
        jobs: Processes that make imitations; all cores if left out.
        ray: The address of a Ray cluster that makes imitations and features instead.

    Raises:
        ConfigError: A value is out of range.
    """

    people: int = 6
    most: int = 2000
    epochs: int = 5
    seed: int = 0
    jobs: int | None = None
    ray: str | None = None

    def __post_init__(self) -> None:
        refuse_below(2, people=self.people)
        refuse_below(FEWEST, most=self.most)
        refuse_below(1, epochs=self.epochs)

    def run(self, library: Path, imitations: Path | None, out: Path, system: str) -> Adapted:
        """Adapt a system, as ``load_system`` takes it, to a library, a folder of sounds.

        ``imitations`` are recorded ones in the folder
        layout, of these sounds or others; ``out`` keeps the system and all made on the way.

        Raises:
            ConfigError: Nothing of the system can be adapted, or ``out`` is of other sounds.
            DatasetError: There are too few sounds.
            KeyboardInterrupt: Ctrl-C ended a training; the same call goes on.
        """
        begun = load_system(system)
        encoders = [n for n, each in enumerate(_parts(begun)) if _settings(each)]
        if not encoders:
            raise ConfigError(f"{system} holds no dual encoder, which alone can be adapted.")
        pairs, manifest = out / "pairs.csv", out / "split.json"
        self._prepare(library, imitations, pairs, manifest)
        before = _ranked(out, "before", begun)
        adapted = deepcopy(begun)
        for number in encoders:
            self._fit(_parts(adapted)[number], out, f"encoder{number + 1}")
        after = _ranked(out, "after", adapted)
        helped = after != before and all(after[kind] >= mrr for kind, mrr in before.items())
        kept = adapted if helped else begun
        kept.save(out / SAVED, {**begun.provenance, "adapted_to": str(library)} if helped else None)
        done = Adapted(before, after, helped)
        report = {"library": str(library), **done._asdict()}
        write_text(out / "adapted.json", json.dumps(report, indent=2) + "\n")
        return done

    def _prepare(self, library: Path, imitations: Path | None, pairs: Path, manifest: Path) -> None:
        """Write the table of all pairs, and which of them train."""
        drawn = 0, self.people, self.seed, self.jobs, self.ray, self.most
        made = imitated_corpus([str(library)], *drawn)
        mine = load_folder(imitations, "skip") if imitations else None
        make_folder(pairs.parent)
        write_table(pairs, CSV_COLUMNS, _pairs(made, mine))
        corpus = load_csv(pairs)
        if len(corpus.sounds) < FEWEST:
            raise DatasetError(
                f"{library} holds {len(corpus.sounds)} different sounds that can be imitated: "
                f"give {FEWEST} or more, some of which are held out to see whether it helps."
            )
        split = self._split(corpus, made.root)
        if manifest.exists() and read_manifest(manifest).fingerprint != split.fingerprint:
            raise ConfigError(
                f"{manifest.parent} was begun with other sounds, imitations or options: choose "
                "another --out, or remove it."
            )
        write_manifest(split, manifest)

    def _split(self, corpus: Corpus, synthesised: Path) -> Split:
        """Hold out sounds, and of the synthetic people the last one."""
        generator = np.random.default_rng(self.seed)
        held: set[str] = set()
        for category in corpus.categories:
            ids = sorted(each.id for each in corpus.sounds if each.category == category)
            held |= set(generator.permutation(ids)[: max(2, len(ids) // HELD_OUT)].tolist())
        recorded = {each.id for each in corpus.sounds if each.category == RECORDED}
        parts: dict[str, list[str]] = defaultdict(list)
        for each in corpus.imitations:
            made = each.path.is_relative_to(synthesised)
            stranger = made and each.path.name == f"person{self.people:02d}.wav"
            if each.sound_id not in held:
                parts[f"{'validation' if stranger else 'train'}_imitations"].append(each.id)
            elif not made or (stranger and each.sound_id not in recorded):
                parts["test_imitations"].append(each.id)
        for sound in corpus.sounds:
            parts["test_sounds" if sound.id in held else "development_sounds"].append(sound.id)
        return Split("held out", corpus.name, **{name: tuple(ids) for name, ids in parts.items()})

    def _fit(self, part: System, out: Path, name: str) -> None:
        """Train an encoder and move its weights halfway."""
        start, config, run = out / f"{name}_start.safetensors", out / f"{name}.yaml", out / name
        part.save(start)
        write_text(config, yaml.safe_dump(self._config(part, out, start)))
        arguments = ["--config", str(RECIPE), "--config", str(config), "--name", name]
        arguments += ["--run_dir", str(run), "--ckpt_path", "last", "--test_after_fit", "false"]
        run_experiment("fit", arguments)
        trained = load_system(run / "checkpoints" / "last.ckpt").state_dict()
        for key, value in part.state_dict().items():
            # halfway keeps what it knew of other sounds (Wortsman et al., CVPR 2022)
            if value.is_floating_point():
                value.lerp_(trained[key], 0.5)

    def _config(self, part: System, out: Path, start: Path) -> dict[str, Any]:
        """Return what ``adapt.yaml`` leaves open."""
        front_ends = {
            f"{side}_front_end": _front_end(each.describe())
            for side, each in part.front_ends.items()
        }
        data = {"root": str(out / "pairs.csv"), "split": str(out / "split.json"), "ray": self.ray}
        return {
            "seed_everything": self.seed,
            "data": {"init_args": {**data, **front_ends}},
            "model": {"init_args": {**_settings(part), "start": str(start)}},
            "trainer": {"max_epochs": self.epochs, "check_val_every_n_epoch": self.epochs},
        }


def _ranked(out: Path, name: str, system: System) -> dict[str, float]:
    """Return the MRR of held-out sounds by kind of imitation."""
    data = {"root": str(out / "pairs.csv"), "split": str(out / "split.json")}
    results = rank(out / name, name, system, {**data, "on_bad_audio": "skip"})
    return {kind: each["mrr"] for kind, each in results["categories"].items()}


def _parts(system: System) -> list[System]:
    return list(system.parts()) or [system]


def _settings(part: System) -> dict[str, Any]:
    """Return a dual encoder's settings as its task takes them; nothing of another system."""
    if part.description()["system"] != "dual_encoder":
        return {}
    settings = part.settings()
    told = {"encoder": {**settings.pop("geometry")}, **settings}
    if any(each.timeless for each in part.front_ends.values()):  # no spectrograms
        told |= {"imitation_augmentation": None, "recording_augmentation": None}
    return told


def _front_end(described: Mapping[str, Any]) -> dict[str, Any]:
    plain = {name: v for name, v in described.items() if name not in ("class", "version")}
    path = FRONT_ENDS.get(described["class"], described["class"])
    return {"class_path": path, "init_args": plain}


def _pairs(made: Corpus, mine: Corpus | None) -> Iterator[tuple[Path, Path, str]]:
    """Yield imitation, sound and kind of imitation; sounds of the same content are one."""
    first: dict[str, Path] = {}
    pairs: dict[tuple[Path, Path], None] = {}
    recorded: set[Path] = set()
    for corpus in filter(None, (mine, made)):
        same = {e.id: first.setdefault(_content(e.path), e.path) for e in corpus.sounds}
        pairs |= {(each.path, same[each.sound_id]): None for each in corpus.imitations}
        recorded = recorded or ({sound for _, sound in pairs} if mine else set())
    few = FEWEST // 2
    told = recorded if len(recorded) >= few else set()
    apart = len({sound for _, sound in pairs} - told) >= few  # else they stand among the recorded
    for imitation, sound in pairs:
        kind = RECORDED if sound in told or (told and not apart) else SYNTHESISED
        yield imitation.absolute(), sound.absolute(), kind


def _content(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
