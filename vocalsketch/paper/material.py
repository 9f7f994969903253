"""What every run of a study is given: the same corpus, the same split."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from vocalsketch.datasets.open import open_corpus
from vocalsketch.datasets.records import Corpus, OnBadAudio
from vocalsketch.datasets.splits import make_split, write_manifest
from vocalsketch.paper.cell_folder import CellFolder
from vocalsketch.paper.fingerprints import code_fingerprint, corpus_fingerprint
from vocalsketch.paper.plan import PRETRAINED, Cell


@dataclass(frozen=True)
class Material:
    """Corpus and split of a study.

    Attributes:
        study: The study's folder; its name is the group in W&B.
        root: Where the corpus is.
        corpus: The corpus.
        split: The manifest of the split.
        on_bad_audio: ``error`` or ``skip``.
        conditions: Fingerprints of corpus, split and code.
    """

    study: Path
    root: str
    corpus: Corpus
    split: Path
    on_bad_audio: OnBadAudio
    conditions: tuple[str, ...]

    @classmethod
    def prepare(cls, study: Path, root: str, split: str, on_bad_audio: OnBadAudio) -> "Material":
        """Read the corpus, write the split's manifest to the study's folder, fingerprint both.

        Raises:
            ConfigError: The split is not one.
            DatasetError: Corpus or split cannot be used.
        """
        corpus = open_corpus(root, on_bad_audio=on_bad_audio)
        divided = make_split(corpus, split)
        manifest = study / "split.json"
        write_manifest(divided, manifest)
        conditions = (corpus_fingerprint(corpus), divided.fingerprint, code_fingerprint())
        return cls(study, root, corpus, manifest, on_bad_audio, conditions)

    def arguments(self, cell: Cell) -> list[str]:
        """Return what a cell's run is told beside the changes of its config."""
        arguments = ["--trainer.enable_progress_bar=false", *self._tracking(cell)]
        if not cell.pretraining:
            data = {"root": self.root, "split": self.split, "on_bad_audio": self.on_bad_audio}
            arguments += [f"--data.init_args.{key}={value}" for key, value in data.items()]
        for need in cell.needs:
            side = next(side for side, name in PRETRAINED.items() if name == need.system)
            checkpoint = CellFolder(need.folder(self.study)).checkpoint
            arguments.append(f"--model.init_args.transfer.{side}={checkpoint}")
        return arguments

    def _tracking(self, cell: Cell) -> list[str]:
        """Return the run's name and group in W&B, where its config tracks it there."""
        config = yaml.safe_load(cell.config.read_text(encoding="utf-8"))
        logger = config.get("trainer", {}).get("logger")
        if not isinstance(logger, dict) or not logger["class_path"].endswith("WandbTracker"):
            return []
        values = {"group": self.study.name, "name": f"{cell.system}-seed{cell.seed}"}
        return [f"--trainer.logger.init_args.{key}={value}" for key, value in values.items()]
