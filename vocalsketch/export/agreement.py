"""Whether exported models do what the system does, and what a lower precision costs."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnxruntime import InferenceSession

from vocalsketch.datasets.synthetic.procedural import procedural_sound
from vocalsketch.datasets.synthetic.synthesis import SAMPLE_RATE
from vocalsketch.domain import SIDES, Side
from vocalsketch.features.audio import clip_of
from vocalsketch.retrieval.ranking import mean_reciprocal_rank
from vocalsketch.systems import System
from vocalsketch.voice.imitate import imitate, listen
from vocalsketch.voice.listening import SAMPLE_RATE as VOICE_RATE
from vocalsketch.voice.people import anyone

CLIPS = 50  # of each side
LOWEST_COSINE = 0.9999
ROUNDING = 1e-3  # of the deviation of a query's scores: closer ones may change places

Floats = NDArray[np.float32]
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
    clips: dict[Side, list[tuple[Floats, Floats]]] = {side: [] for side in SIDES}
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
    return {
        side: (np.stack([each for each, _ in pairs]), np.stack([each for _, each in pairs]))
        for side, pairs in clips.items()
    }


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
    cosines = [_cosines(expected[side].numpy(), found[side]) for side in SIDES]
    return Agreement(
        clips=len(scores),
        lowest_cosine=float(np.min(cosines)),
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


def _cosines(some: Floats, others: Floats) -> NDArray[np.float64]:
    a, b = some.astype(np.float64), others.astype(np.float64)
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosines: NDArray[np.float64] = ((a * b).sum(1) + 1e-30) / (lengths + 1e-30)  # zeros agree
    return cosines


def _disorder(scores: Floats, exported: Floats) -> float:
    order = np.argsort(-exported, axis=1, kind="stable")
    ranked = np.take_along_axis(scores, order, axis=1).astype(np.float64)
    # what stands behind and scores higher, against the lowest that stands before it
    excess = (ranked - np.minimum.accumulate(ranked, axis=1)).max(1)
    return float((excess / np.maximum(scores.std(1), 1e-30)).max())
