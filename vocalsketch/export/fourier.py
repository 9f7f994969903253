"""Fourier transforms in ONNX, as matrix products.

ONNX has an operator, DFT. onnxruntime computes it with errors that are heard in what lies 60 dB
below the maximum, several times slower than products, and not on every device.
"""

from collections.abc import Callable, Sequence
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
    return {aten._fft_r2c.default: _real, aten._fft_c2c.default: _complex}


def _real(self: Any, dim: Sequence[int], normalization: int, onesided: bool) -> Any:
    points = _points(self.shape, dim, len(self.shape))
    kept = points // 2 + 1 if onesided else points
    return _joined(_transform((self, None), points, kept, normalization, -1))


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
