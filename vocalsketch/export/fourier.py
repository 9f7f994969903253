"""Short-time Fourier transforms in ONNX: frames as slices, transforms as matrix products.

ONNX has an operator, DFT. onnxruntime computes it with errors that are heard in what lies 60 dB
below the maximum, several times slower than products, and not on every device. The exporter's own
frames are looked up sample by sample.
"""

from collections.abc import Callable, Iterable, Sequence
from math import isqrt
from typing import Any

import numpy as np
import onnx_ir as ir
import torch
from numpy.typing import NDArray
from onnxscript import opset20

op: Any = opset20  # whose annotations know no plain lists, which it takes

WHOLE = 256  # points up to which one product is as fast as two small ones

Parts = tuple[Any, ...]  # values of a graph: real, imaginary


def translations() -> dict[Callable[..., Any], Callable[..., Any]]:
    """Return what the exporter writes in place of torch's transforms."""
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
    places = op.Mul(op.Cast(loud, to=ir.DataType.INT64), _whole(range(1, frames + 1)))
    count = op.Max(op.ReduceMax(places, keepdims=1), _whole([1]))
    heard = op.Slice(self, [0], count, [1])
    heard.shape = ir.Shape([self.shape[0], None, self.shape[2]])
    spectra = _joined(_transform((heard, None), points, kept, normalization, -1))
    rest = op.Sub(_whole([frames]), count)
    return op.Pad(spectra, op.Concat(_whole([0] * 5), rest, _whole([0] * 2), axis=0))


def _whole(numbers: Iterable[int]) -> Any:
    return op.Constant(value_ints=list(numbers))


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
    a = _factor(points)
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


def _factor(points: int) -> int:
    if points <= WHOLE:
        return 1
    return next(a for a in range(isqrt(points), 0, -1) if points % a == 0)


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
