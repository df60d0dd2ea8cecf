"""Sums over pairs: a training step's products, forward and backward (see
`step.kernels`)."""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.cgutils import get_or_insert_function

from tinysae.sae.step.kernels.jit import SUMS, compiled, intrinsic

# Sixteen cache lines of a row.
_AHEAD_COLUMNS = 256


@intrinsic
def _prefetch(_context, matrix, row, column):
    """Asks for the cache line of matrix[row, column]."""
    signature = types.void(matrix, row, column)

    def build(context, builder, signature, arguments):
        array, row, column = arguments
        array = context.make_array(signature.args[0])(context, builder, array)
        width = builder.extract_value(array.shape, 1)
        at = builder.gep(array.data, [builder.add(builder.mul(row, width), column)])
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        fetch = get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        read_keep_data = [ir.Constant(number, n) for n in (0, 3, 1)]
        builder.call(fetch, [builder.bitcast(at, byte), *read_keep_data])
        return context.get_dummy_value()

    return signature, build


@compiled()
def _prefetch_row(matrix, row):
    """Asks for the beginning of what comes next: no processor guesses which row that
    is; of what follows in the row it then thinks by itself."""
    for column in range(0, min(matrix.shape[1], _AHEAD_COLUMNS), 16):
        _prefetch(matrix, row, column)


@compiled()
def _place_of(token, start, stop, least):
    """The first place from `start` to before `stop`, between which tokens ascend, of a
    token that is `least` or more."""
    while start < stop:
        middle = (start + stop) // 2
        if token[middle] < least:
            start = middle + 1
        else:
            stop = middle
    return start


@compiled(fastmath=SUMS)
def decode(first, token, value, weights, out, begin, end):
    """out[t] += sum over the pairs (j, t) of value * weights[j], t from `begin` to
    before `end`."""
    for j in range(first.shape[0] - 1):
        row, stop = weights[j], first[j + 1]
        p = _place_of(token, first[j], stop, begin)
        while p < stop and token[p] < end:
            if p + 2 < token.shape[0]:
                _prefetch_row(out, np.int64(token[p + 2]))
            target, a = out[token[p]], value[p]
            for c in range(row.shape[0]):
                target[c] += a * row[c]
            p += 1


@compiled(fastmath=SUMS)
def pull(first, token, value, error, weights, decay, pulled, gradient):
    """What the error of the reconstruction says to activations and decoder rows.

    For every pair (j, t): pulled = error[t] . weights[j]; and
    gradient[j] = sum of value * error[t] over j's pairs, + decay[j] * weights[j].
    Four pairs at a time, so that the row of the weights is read once for four.

    Args:
        error: [tokens, d_in]; weights, gradient: [features, d_in]; decay: [features].
        pulled: [at least first[-1]], written at the pairs' places.
    """
    for j in range(first.shape[0] - 1):
        w, g, rate = weights[j], gradient[j], decay[j]
        for c in range(w.shape[0]):
            g[c] = rate * w[c]
        p, end = first[j], first[j + 1]
        while p + 4 <= end:
            e0, e1 = error[token[p]], error[token[p + 1]]
            e2, e3 = error[token[p + 2]], error[token[p + 3]]
            a0, a1, a2, a3 = value[p], value[p + 1], value[p + 2], value[p + 3]
            s0 = s1 = s2 = s3 = np.float32(0)
            for c in range(w.shape[0]):
                s0 += e0[c] * w[c]
                s1 += e1[c] * w[c]
                s2 += e2[c] * w[c]
                s3 += e3[c] * w[c]
                g[c] += (a0 * e0[c] + a1 * e1[c]) + (a2 * e2[c] + a3 * e3[c])
            pulled[p], pulled[p + 1], pulled[p + 2], pulled[p + 3] = s0, s1, s2, s3
            p += 4
        while p < end:
            e0, a0, s0 = error[token[p]], value[p], np.float32(0)
            for c in range(w.shape[0]):
                s0 += e0[c] * w[c]
                g[c] += a0 * e0[c]
            pulled[p] = s0
            p += 1


@compiled(fastmath=SUMS)
def push(first, token, value, lift, inputs, gradient, total):
    """gradient[j] = sum of (value + lift[j]) * inputs[t], total[j] that of the factors.

    Args:
        inputs: [tokens, d_in]; gradient: [features, d_in]; lift, total: [features].
    """
    for j in range(first.shape[0] - 1):
        g, up, s = gradient[j], lift[j], np.float32(0)
        g[:] = 0
        p, end = first[j], first[j + 1]
        while p + 4 <= end:
            x0, x1 = inputs[token[p]], inputs[token[p + 1]]
            x2, x3 = inputs[token[p + 2]], inputs[token[p + 3]]
            a0, a1 = value[p] + up, value[p + 1] + up
            a2, a3 = value[p + 2] + up, value[p + 3] + up
            s += (a0 + a1) + (a2 + a3)
            for c in range(g.shape[0]):
                g[c] += (a0 * x0[c] + a1 * x1[c]) + (a2 * x2[c] + a3 * x3[c])
            p += 4
        while p < end:
            x0, a0 = inputs[token[p]], value[p] + up
            s += a0
            for c in range(g.shape[0]):
                g[c] += a0 * x0[c]
            p += 1
        total[j] = s


@compiled(fastmath=SUMS)
def row_sums(first, value, out):
    """out[j] = sum of the values of j's pairs."""
    for j in range(first.shape[0] - 1):
        s = np.float32(0)
        for p in range(first[j], first[j + 1]):
            s += value[p]
        out[j] = s


@compiled(fastmath=SUMS)
def row_squares(matrix, out):
    """out[j] = |matrix[j]|^2."""
    for j in range(matrix.shape[0]):
        s = np.float32(0)
        row = matrix[j]
        for c in range(row.shape[0]):
            s += row[c] * row[c]
        out[j] = s
