"""A folder of models that other programs run, and how far they are from the system."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from jinja2 import Environment, PackageLoader, StrictUndefined
from onnxruntime import InferenceSession

from vocalsketch.datasets.synthetic.procedural import procedural_sound
from vocalsketch.datasets.synthetic.sounds import SAMPLE_RATE
from vocalsketch.domain import SIDES, Side
from vocalsketch.errors import ConfigError
from vocalsketch.export.graph import OPSET, Precision, graphs_of, with_precision
from vocalsketch.features.audio import clip_of
from vocalsketch.files import made_whole
from vocalsketch.retrieval.scores import mean_reciprocal_rank
from vocalsketch.systems import System
from vocalsketch.systems.system import Floats
from vocalsketch.voice.imitate import imitate, listen
from vocalsketch.voice.listening import SAMPLE_RATE as VOICE_RATE
from vocalsketch.voice.people import anyone

CLIPS = 50  # of each side
LOWEST_COSINE = 0.9999
ROUNDING = 1e-3  # of the deviation of a query's scores: closer ones may change places

SAID = ("fingerprint", "kind", "inner_product", "aspects", "corpus")  # of the system
Clips = tuple[Floats, Floats]  # the system's, (number, samples), and what its models hear of them


@dataclass(frozen=True)
class Agreement:
    """How far models are from the system, on synthesised sounds and imitations of them."""

    clips: int  # of each side
    lowest_cosine: float  # between a clip's two embeddings
    # the most by which a candidate is ranked before one that the system scores higher, in
    # standard deviations of the query's scores
    disorder: float
    best_kept: float  # share of the queries whose best candidate is the same
    mrr: float  # the system's mean reciprocal rank of the imitated sound
    exported_mrr: float  # the models'

    @property
    def exact(self) -> bool:
        """Whether they are the same function, to rounding."""
        return self.lowest_cosine >= LOWEST_COSINE and self.disorder <= ROUNDING

    def __str__(self) -> str:
        return (
            f"on {self.clips} clips a side: lowest cosine {self.lowest_cosine:.6f}, same best "
            f"{self.best_kept:.0%}, out of order by at most {self.disorder:.2g} deviations, MRR "
            f"{self.exported_mrr:.4f} (torch {self.mrr:.4f})"
        )


def trial_clips(system: System, number: int = CLIPS) -> dict[Side, Clips]:
    """Return clips of imitations and of the sounds that they imitate."""
    rng = np.random.default_rng(0)
    clips: dict[Side, list[Clips]] = {side: [] for side in SIDES}
    for _ in range(number):
        sound = procedural_sound(rng)
        heard = {
            "imitation": (imitate(listen(sound, SAMPLE_RATE), anyone(rng), rng), VOICE_RATE),
            "recording": (sound, SAMPLE_RATE),
        }
        for side in SIDES:
            end, shape = system.front_ends[side], system.clip_shape(side)
            waveform, rate = heard[side]
            clip = clip_of(waveform.astype(np.float32), rate, end)
            cut = clip if end.trim == shape.trim else clip_of(clip, end.sample_rate, shape)
            clips[side].append((clip, cut))
    split = ((side, zip(*pairs, strict=True)) for side, pairs in clips.items())
    return {side: (np.stack(wholes), np.stack(cuts)) for side, (wholes, cuts) in split}


@torch.inference_mode()
def agreement(
    system: System,
    models: Mapping[str, onnx.ModelProto],
    clips: Mapping[Side, Clips],
) -> Agreement:
    """Compare models (by side, and ``score``) with the system on clips of both sides."""
    expected = {side: system.hear(side, torch.from_numpy(clips[side][0])) for side in SIDES}
    found = {side: run(models[side], waveforms=clips[side][1]) for side in SIDES}
    scores = system.score(expected["imitation"], expected["recording"]).numpy()
    exported = run(models["score"], imitations=found["imitation"], recordings=found["recording"])
    targets = np.arange(len(scores))
    pairs = [(expected[side].double(), torch.from_numpy(found[side]).double()) for side in SIDES]
    lengths = [a.norm(dim=1) * b.norm(dim=1) for a, b in pairs]
    products = [(a * b).sum(1) for a, b in pairs]
    # zeros agree
    cosines = (torch.cat(products) + 1e-30) / (torch.cat(lengths) + 1e-30)
    return Agreement(
        clips=len(scores),
        lowest_cosine=float(cosines.min()),
        disorder=_disorder(scores, exported),
        best_kept=float(np.mean(scores.argmax(1) == exported.argmax(1))),
        mrr=mean_reciprocal_rank(scores, targets),
        exported_mrr=mean_reciprocal_rank(exported, targets),
    )


def run(model: onnx.ModelProto, **inputs: Floats) -> Floats:
    """Return what onnxruntime makes of the inputs on the CPU."""
    session = InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    output: Floats = session.run(None, inputs)[0]
    return output


def _disorder(scores: Floats, exported: Floats) -> float:
    order = np.argsort(-exported, axis=1, kind="stable")
    ranked = np.take_along_axis(scores, order, axis=1).astype(np.float64)
    # what stands behind and scores higher, against the lowest that stands before it
    excess = (ranked - np.minimum.accumulate(ranked, axis=1)).max(1)
    return float((excess / np.maximum(scores.std(1), 1e-30)).max())


def export_system(
    system: System,
    out: Path,
    *,
    precision: Precision = "float32",
    licence: str = "not stated",
    clips: int = CLIPS,
) -> Agreement:
    """Write a system as ONNX models, whole or not at all.

    The folder holds ``imitation.onnx`` and ``recording.onnx`` (waveforms to embeddings),
    ``score.onnx``, ``metadata.json`` and a README with their use.

    Args:
        system: Any that torch alone computes.
        out: A folder that does not exist yet.
        precision: Of the stored weights.
        licence: Of the weights, which the models name.
        clips: Of each side, on which the models are compared with the system.

    Returns:
        How far the models are from the system; in float32 no further than rounding.

    Raises:
        ConfigError: The system cannot be exported: which part, and why; or its models differ.
        StorageError: The folder exists, or cannot be written.
    """
    with made_whole(out) as made:
        graphs, heard = graphs_of(system), trial_clips(system, clips)
        measured = agreement(system, graphs, heard)
        if not measured.exact:
            raise ConfigError(
                f"The models of {type(system).__name__} are not the system that they were made of, "
                f"{measured}: nothing was written."
            )
        if precision != "float32":
            graphs = {name: with_precision(graphs[name], precision, system) for name in graphs}
            measured = agreement(system, graphs, heard)
        about = _about(system, graphs, precision, licence) | {"agreement": asdict(measured)}
        _write(made, graphs, about)
    return measured


def _about(
    system: System, graphs: dict[str, onnx.ModelProto], precision: Precision, licence: str
) -> dict[str, Any]:
    shapes = {side: system.clip_shape(side) for side in SIDES}
    sides = {
        side: {
            "file": f"{side}.onnx",
            **{
                name: getattr(shape, name) for name in ("sample_rate", "seconds", "samples", "trim")
            },
            "width": graphs[side].graph.output[0].type.tensor_type.shape.dim[1].dim_value,
        }
        for side, shape in shapes.items()
    }
    return {
        "system": system.description()["system"],
        **{name: getattr(system, name) for name in SAID},
        "licence": licence,
        "precision": precision,
        "opset": OPSET,
        "sides": sides,
        "score": "score.onnx",
        "description": system.description(),
    }


def _write(folder: Path, graphs: dict[str, onnx.ModelProto], about: dict[str, Any]) -> None:
    plain = {key: value for key, value in about.items() if not isinstance(value, dict)}
    score = {"file": plain.pop("score")}
    for name, graph in graphs.items():
        own = {"side": name, **about["sides"][name]} if name in SIDES else score
        known = {key: json.dumps(value) for key, value in {**own, **plain}.items()}
        onnx.helper.set_model_props(graph, known)
        graph.producer_name, graph.producer_version = "vocalsketch", ""
        onnx.checker.check_model(graph)
        (folder / f"{name}.onnx").write_bytes(graph.SerializeToString())
    text = json.dumps(about, indent=2, ensure_ascii=False)
    (folder / "metadata.json").write_text(f"{text}\n", encoding="utf-8")
    pages = Environment(  # noqa: S701 - Markdown
        loader=PackageLoader("vocalsketch", "export"), undefined=StrictUndefined
    )
    readme = pages.get_template("README.md.j2").render(about)
    (folder / "README.md").write_text(readme, encoding="utf-8")
