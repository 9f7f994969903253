"""A system's functions as ONNX graphs."""

import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import isqrt
from typing import Any, Literal

import numpy as np
import onnx
import onnx_ir as ir
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from onnxscript import opset20
from onnxscript.optimizer import optimize_ir
from torch import Tensor, nn

from vocalsketch.domain import SIDES
from vocalsketch.errors import ConfigError
from vocalsketch.features.front_end import FrontEnd
from vocalsketch.systems import System

Precision = Literal["float32", "float16", "int8"]
Parts = tuple[Any, ...]  # values of a graph: real, imaginary
op: Any = opset20  # whose annotations know no plain lists, which it takes

OPSET = 20  # the latest that the exporter writes without converting
WHOLE = 256  # points up to which one Fourier product is as fast as two small ones
FOLDED = 2**14  # bytes of a constant that is worth its place; others are computed at each run


class Function(nn.Module):
    """A method of a system as a module, which the exporter takes."""

    def __init__(self, system: System, method: Callable[..., Tensor]) -> None:
        super().__init__()
        self.system, self.method = system, method

    def forward(self, *inputs: Tensor) -> Tensor:
        """Call it."""
        return self.method(*inputs)


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
            hear = partial(system.hear_cut, side)
            embeddings.append(hear(clips))  # which makes the front end's constants
            graphs[side] = _graph(Function(system, hear), {"waveforms": clips}, "embeddings")
        named = {f"{side}s": made for side, made in zip(SIDES, embeddings, strict=True)}
        graphs["score"] = _graph(Function(system, system.score), named, "scores")
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
    graph = reduced.graph
    trained = {f"system.{name}" for name, value in system.named_parameters() if value.ndim > 1}
    nodes = []
    for weight in [each for each in graph.initializer if each.name in trained]:
        graph.initializer.remove(weight)
        values, name = numpy_helper.to_array(weight), weight.name
        kept, scale = f"{name}_{precision}", f"{name}_scale"
        if precision == "float16":
            stored = [numpy_helper.from_array(values.astype(np.float16), kept)]
            nodes.append(helper.make_node("Cast", [kept], [name], to=onnx.TensorProto.FLOAT))
        else:
            largest = np.abs(values).reshape(len(values), -1).max(1)
            scales = np.where(largest > 0, largest / 127, 1).astype(np.float32)
            whole = np.rint(values / scales.reshape(-1, *[1] * (values.ndim - 1))).astype(np.int8)
            stored = [numpy_helper.from_array(*each) for each in ((whole, kept), (scales, scale))]
            nodes.append(helper.make_node("DequantizeLinear", [kept, scale], [name], axis=0))
        graph.initializer.extend(stored)
    later = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *later])
    return reduced


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
                dynamic_shapes=[tuple({0: torch.export.Dim(axes[name])} for name in inputs)],
                custom_translation_table=translations(),
            )
        assert program is not None
        optimize_ir(program.model, output_size_limit=FOLDED)
    finally:
        logger.setLevel(level)
    model = program.model_proto
    graph = model.graph
    values = *graph.input, *graph.output, *graph.value_info, *graph.initializer
    for each in (graph, *graph.node, *values):  # which tell of the machine that made them
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


def translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """Return what the exporter writes in place of torch's transforms.

    Short-time Fourier transforms are frames as slices and transforms as matrix products. ONNX's
    operator DFT is computed by onnxruntime with errors that are heard in what lies 60 dB below
    the maximum, several times slower than products, and not on every device. The exporter's own
    frames are looked up sample by sample.
    """
    aten = torch.ops.aten
    return {
        aten._fft_r2c.default: _real,
        aten._fft_c2c.default: _complex,
        aten.unfold.default: _frames,
    }


def _frames(self: Any, dimension: int, size: int, step: int) -> Any:
    """Return frames of (clips, samples): (clips, frames, size)."""
    if len(self.shape) != 2 or dimension not in (1, -1):
        raise NotImplementedError(f"frames along axis {dimension} of {list(self.shape)}")
    samples = int(self.shape[1])
    frames, parts = (samples - size) // step + 1, -(-size // step)
    lacking = (frames + parts - 1) * step - samples
    whole = op.Pad(self, [0, 0, 0, lacking])  # less than nothing takes away
    steps = op.Reshape(whole, [0, frames + parts - 1, step])
    shifted = [op.Slice(steps, [part], [part + frames], [1]) for part in range(parts)]
    return op.Slice(op.Concat(*shifted, axis=2), [0], [size], [2])


def _real(self: Any, dim: Sequence[int], normalization: int, onesided: bool) -> Any:
    points = _points(self.shape, dim, len(self.shape))
    kept = points // 2 + 1 if onesided else points
    if len(self.shape) != 3:
        return _joined(_transform((self, None), points, kept, normalization, -1))
    # frames that follow the end of every clip are zero, and so are their transforms
    frames = int(self.shape[1])
    loud = op.Greater(op.ReduceMax(op.Abs(self), [0, 2], keepdims=0), 0.0)
    places = op.Mul(op.Cast(loud, to=ir.DataType.INT64), _whole(*range(1, frames + 1)))
    count = op.Max(op.ReduceMax(places, keepdims=1), _whole(1))
    heard = op.Slice(self, [0], count, [1])
    heard.shape = ir.Shape([self.shape[0], None, self.shape[2]])
    spectra = _joined(_transform((heard, None), points, kept, normalization, -1))
    rest = op.Sub(_whole(frames), count)
    return op.Pad(spectra, op.Concat(_whole(*[0] * 5), rest, _whole(*[0] * 2), axis=0))


def _whole(*numbers: int) -> Any:
    return op.Constant(value_ints=numbers)


def _complex(self: Any, dim: Sequence[int], normalization: int, forward: bool) -> Any:
    points = _points(self.shape, dim, len(self.shape) - 1)
    parts = tuple(op.Squeeze(part, [-1]) for part in op.Split(self, axis=-1, num_outputs=2))
    return _joined(_transform(parts, points, points, normalization, -1 if forward else 1))


def _points(shape: Any, dim: Sequence[int], axes: int) -> int:
    if [each % axes for each in dim] != [axes - 1]:
        raise NotImplementedError(f"a Fourier transform along {list(dim)}, not the last axis alone")
    return int(shape[axes - 1])


def _joined(parts: Parts) -> Any:
    return op.Concat(*(op.Unsqueeze(part, [-1]) for part in parts), axis=-1)


def _transform(parts: Parts, points: int, kept: int, normalization: int, sign: int) -> Parts:
    """Return the first ``kept`` values of the transform of (..., points).

    Of a x b points, X[p + a q] = sum_s B[q, s] w^(p s) sum_r A[p, r] x[b r + s] (Cooley, Tukey).
    """
    scale = (1.0, points**-0.5, 1.0 / points)[normalization]
    factors = (a for a in range(isqrt(points), 0, -1) if points % a == 0)
    a = 1 if points <= WHOLE else next(factors)
    b = points // a
    asked = -(-kept // a)
    last = _roots(np.outer(np.arange(b), np.arange(asked)), b, sign) * scale
    if a == 1:
        return _product(parts, last)
    leading = [0] * (len(parts[0].shape) - 1)
    folded = tuple(None if part is None else op.Reshape(part, [*leading, a, b]) for part in parts)
    rows = _product(folded, _roots(np.outer(np.arange(a), np.arange(a)), a, sign), left=True)
    turned = _times(rows, _roots(np.outer(np.arange(a), np.arange(b)), points, sign), op.Mul)
    order = [*range(len(leading)), len(leading) + 1, len(leading)]
    flat = (
        op.Reshape(op.Transpose(part, perm=order), [*leading, a * asked])
        for part in _product(turned, last)
    )
    real, imaginary = (op.Slice(part, [0], [kept], [-1]) for part in flat)
    return real, imaginary


def _roots(exponents: NDArray[np.int64], points: int, sign: int) -> NDArray[np.complex128]:
    roots: NDArray[np.complex128] = np.exp(sign * 2j * np.pi * (exponents % points) / points)
    return roots


def _product(parts: Parts, matrix: NDArray[np.complex128], left: bool = False) -> Parts:
    return _times(parts, matrix, lambda x, m: op.MatMul(m, x) if left else op.MatMul(x, m))


def _times(parts: Parts, matrix: NDArray[np.complex128], by: Callable[[Any, Any], Any]) -> Parts:
    """Return a complex product with a constant; the imaginary part None is zero."""
    real, imaginary = parts
    cosine, sine = (
        op.Constant(value=ir.tensor(np.ascontiguousarray(part, dtype=np.float32)))
        for part in (matrix.real, matrix.imag)
    )
    if imaginary is None:
        return by(real, cosine), by(real, sine)
    return (
        op.Sub(by(real, cosine), by(imaginary, sine)),
        op.Add(by(real, sine), by(imaginary, cosine)),
    )
