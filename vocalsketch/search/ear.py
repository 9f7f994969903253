"""A system's hearing of queries on onnxruntime, which answers before torch is imported."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

import vocalsketch
from vocalsketch.domain import Kind, Side
from vocalsketch.features.audio import ClipShape, clip_of

SHIPPED = "default"  # before the fingerprint in the name of the default system's model


class Ear:
    """The imitation side of a system whose score is an inner product, as ``export`` writes it."""

    inner_product = True

    def __init__(self, file: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # a second one would gain a query little
        # what it would do beyond takes longer than it saves one query
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        self._session = onnxruntime.InferenceSession(
            str(file), options, providers=["CPUExecutionProvider"]
        )
        told = self._session.get_modelmeta().custom_metadata_map
        about = {name: json.loads(value) for name, value in told.items()}
        self.fingerprint: str = about["fingerprint"]  # the system's, as is what follows
        self.kind: Kind = about["kind"]
        self.aspects: tuple[str, ...] = tuple(about["aspects"])
        self._shape = ClipShape(
            about["sample_rate"], about["seconds"], about["trim"], absolute=False
        )

    def clip_shape(self, _side: Side) -> ClipShape:
        """Return what the model is given, as a system does."""
        return self._shape

    def hear_query(self, waveform: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
        """Return a query's embedding, (width,), as a system does."""
        whole = clip_of(waveform, rate, replace(self._shape, trim=None))
        clip = clip_of(whole, self._shape.sample_rate, self._shape)  # as an ensemble's members
        embedding: NDArray[np.float32] = self._session.run(None, {"waveforms": clip[None]})[0][0]
        return embedding


def shipped_fingerprint() -> str:
    """Return that of the default system, which comes with the program."""
    return _shipped().stem.partition("-")[2]


@cache
def ear_of(fingerprint: str) -> Ear | None:
    """Return the ear of a system; None where torch has to listen."""
    return Ear(_shipped()) if fingerprint == shipped_fingerprint() else None


@cache
def _shipped() -> Path:
    (file,) = (Path(vocalsketch.__file__).parent / "systems").glob(f"{SHIPPED}-*.onnx")
    return file
