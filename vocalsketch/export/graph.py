"""A system's functions as ONNX graphs."""

import logging
import warnings
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper
from onnxscript.optimizer import optimize_ir
from torch import Tensor, nn

from vocalsketch.domain import SIDES, Side
from vocalsketch.errors import ConfigError
from vocalsketch.export.fourier import translations
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.systems import System

Precision = Literal["float32", "float16", "int8"]

OPSET = 20  # the latest that the exporter writes without converting
FOLDED = 2**14  # bytes of a constant that is worth its place; others are computed at each run


class Hearing(nn.Module):
    """Waveforms of any level (clips, samples) to embeddings (clips, width)."""

    def __init__(self, system: System, side: Side) -> None:
        super().__init__()
        self.system = system
        self.side = side

    def forward(self, waveforms: Tensor) -> Tensor:
        """Embed."""
        return self.system.hear_cut(self.side, waveforms)


class Scoring(nn.Module):
    """Embeddings (queries, width), (candidates, width) to scores (queries, candidates)."""

    def __init__(self, system: System) -> None:
        super().__init__()
        self.system = system

    def forward(self, imitations: Tensor, recordings: Tensor) -> Tensor:
        """Score every query against every candidate."""
        return self.system.score(imitations, recordings)


@torch.no_grad()
def graphs_of(system: System) -> dict[str, onnx.ModelProto]:
    """Return a model of each side, from waveforms to embeddings, and ``score``.

    Raises:
        ConfigError: A part of the system cannot be traced; it is named, and why.
    """
    graphs: dict[str, onnx.ModelProto] = {}
    embeddings = []
    try:
        for side in SIDES:
            clips = torch.zeros(2, system.clip_shape(side).samples)
            embeddings.append(system.hear_cut(side, clips))  # which makes the front end's constants
            graphs[side] = _graph(Hearing(system, side), {"waveforms": clips}, "embeddings")
        named = {f"{side}s": made for side, made in zip(SIDES, embeddings, strict=True)}
        graphs["score"] = _graph(Scoring(system), named, "scores")
    except torch.onnx.errors.OnnxExporterError as error:
        raise ConfigError(_refusal(system, error)) from error
    return graphs


def with_precision(model: onnx.ModelProto, precision: Precision, system: System) -> onnx.ModelProto:
    """Return a model whose matrices and kernels are stored as float16, or as int8.

    Each output's int8 weights have a scale of their own. All is computed in float32, so that what
    is lost is the weights' rounding alone, on any device; front ends are left as they are.
    """
    reduced = onnx.ModelProto()
    reduced.CopyFrom(model)
    if precision == "float32":
        return reduced
    graph = reduced.graph
    trained = {f"system.{name}" for name, value in system.named_parameters() if value.ndim > 1}
    nodes = []
    for weight in [each for each in graph.initializer if each.name in trained]:
        graph.initializer.remove(weight)
        stored, node = _stored(numpy_helper.to_array(weight), weight.name, precision)
        graph.initializer.extend(stored)
        nodes.append(node)
    later = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *later])
    return reduced


def _stored(
    values: np.ndarray[Any, Any], name: str, precision: Precision
) -> tuple[list[onnx.TensorProto], onnx.NodeProto]:
    """Return initializers, and the node that makes float32 of them."""
    kept, scale = f"{name}_{precision}", f"{name}_scale"
    if precision == "float16":
        node = helper.make_node("Cast", [kept], [name], to=onnx.TensorProto.FLOAT)
        return [numpy_helper.from_array(values.astype(np.float16), kept)], node
    largest = np.abs(values).reshape(len(values), -1).max(1)
    scales = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    whole = np.rint(values / scales.reshape(-1, *[1] * (values.ndim - 1))).astype(np.int8)
    node = helper.make_node("DequantizeLinear", [kept, scale], [name], axis=0)
    return [numpy_helper.from_array(whole, kept), numpy_helper.from_array(scales, scale)], node


def _graph(module: nn.Module, inputs: Mapping[str, Tensor], output: str) -> onnx.ModelProto:
    axes = {"waveforms": "clips", "imitations": "queries", "recordings": "candidates"}
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(action="ignore"):  # of the exporter's own code
            program = torch.onnx.export(
                module.eval(),
                tuple(inputs.values()),
                dynamo=True,
                verbose=False,
                optimize=False,
                opset_version=OPSET,
                input_names=list(inputs),
                output_names=[output],
                dynamic_shapes={name: {0: torch.export.Dim(axes[name])} for name in inputs},
                custom_translation_table=translations(),
            )
        assert program is not None
        optimize_ir(program.model, output_size_limit=FOLDED)
    finally:
        logger.setLevel(level)
    return _without_traces(program.model_proto)


def _without_traces(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return a model that tells nothing of the machine that made it."""
    graph = model.graph
    values = *graph.input, *graph.output, *graph.value_info, *graph.initializer
    for each in (graph, *graph.node, *values):
        each.ClearField("metadata_props")
        each.ClearField("doc_string")
    return model


def _refusal(system: System, error: Exception) -> str:
    ends = [end for each in system.parts() or [system] for end in each.front_ends.values()]
    failures = [(type(end).__name__, why) for end in ends if (why := _failure(end))]
    culprit, reason = next(iter(failures), (type(system).__name__, _root(error)))
    return (
        f"{type(system).__name__} cannot be exported because of {culprit}: {reason}. Only what "
        "torch computes can be exported, not what numpy or another library does."
    )


def _failure(front_end: FrontEnd) -> str | None:
    """Return why a front end cannot be traced; None where it can."""
    clips = torch.zeros(2, front_end.samples)
    front_end(clips)
    try:
        torch.export.export(front_end, (clips,))
    except Exception as error:  # whatever the front end meets
        return _root(error)
    return None


def _root(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
