"""The inner loops of the sparse training step, compiled by numba.

All of them work on *pairs*: the (feature, token, value) where an activation is not
zero, kept feature by feature as in a CSC matrix. The pairs of row (feature) j are
`first[j]:first[j + 1]` in `token` (int32, ascending) and `value` (float32).

Every function releases the GIL, allocates next to nothing, and gives the same bits
whatever thread runs it: the order of each sum depends on the shapes alone.
`tinysae.sae.step.kernels_torch` has the same functions without numba.

Importing this module raises ImportError where numba is missing; the first call of each
function compiles it, and the result is cached on disk where that is possible.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core.cgutils import get_or_insert_function
from numba.extending import intrinsic as _intrinsic

# Sums may be split over vector lanes and a product be fused with the sum that follows:
# rounding only. Not "nnan" and "ninf": a NaN has to come through.
_SUMS = {"reassoc", "contract", "nsz"}
# What it makes of a function has the arguments after the first.
intrinsic: Any = _intrinsic
LANES = 64
# The density above which SAELens's dense step takes less time than this: none.
DENSE_ABOVE = 1.0
# Sixteen cache lines of a row.
_AHEAD_COLUMNS = 256


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """njit that releases the GIL, and does without a cache where none can be kept."""

    def wrap(function: Callable[..., Any]) -> Any:
        # "numpy": no exception on a division by zero, whose check stops vectorising.
        flags = {"nogil": True, "error_model": "numpy", **options}
        try:
            return njit(cache=True, **flags)(function)
        except RuntimeError:
            # "no locator available": neither this folder nor the user's is writable.
            return njit(**flags)(function)

    return wrap


@intrinsic
def _lanes_above(_context, row, start, bias, scale, floor):
    """Bit i says: not ((row[start + i] + bias) * scale <= floor), NaN included.

    A vector comparison into one word: what is below the floor, nearly everything, costs
    1/64 of a branch. (A mask of bytes costs four times as much.)
    """
    signature = types.uint64(row, start, bias, scale, floor)

    def build(context, builder, signature, arguments):
        array, start, bias, scale, floor = arguments
        lanes = ir.VectorType(ir.FloatType(), LANES)
        same = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        none = ir.Constant(lanes, ir.Undefined)

        def in_every_lane(x):
            one = builder.insert_element(none, x, ir.Constant(ir.IntType(32), 0))
            return builder.shuffle_vector(one, none, same)

        data = context.make_array(signature.args[0])(context, builder, array).data
        at = builder.bitcast(builder.gep(data, [start]), lanes.as_pointer())
        values = builder.load(at)
        values.align = 4
        values = builder.fadd(values, in_every_lane(bias))
        values = builder.fmul(values, in_every_lane(scale))
        mask = builder.fcmp_unordered(">", values, in_every_lane(floor))
        return builder.bitcast(mask, ir.IntType(LANES))

    return signature, build


@intrinsic
def _lowest_bit(_context, word):  # noqa: ARG001
    """Index of the lowest set bit of a word that is not zero."""
    signature = types.int64(types.uint64)

    def build(_context, builder, _signature, arguments):
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return signature, build


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
def _prefetch_row(matrix, row, start, stop):
    """Asks for the beginning of what comes next: no processor guesses which row that
    is; of what follows in the row it then thinks by itself."""
    for column in range(start, min(stop, start + _AHEAD_COLUMNS), 16):
        _prefetch(matrix, row, column)


@compiled()
def _take_above(flat, base, n, bias, scale, floor, index, value, at):
    """Appends the i < n with (flat[base + i] + bias) * scale above the floor, from
    place `at` on; returns the place after the last."""
    i = 0
    while i + LANES <= n:
        word = _lanes_above(flat, base + i, bias, scale, floor)
        while word:
            found = i + _lowest_bit(word)
            index[at] = found
            value[at] = (flat[base + found] + bias) * scale
            at += 1
            word &= word - np.uint64(1)
        i += LANES
    while i < n:
        v = (flat[base + i] + bias) * scale
        if not v <= floor:
            index[at] = i
            value[at] = v
            at += 1
        i += 1
    return at


@compiled()
def compress(product, bias, scale, floor, token, value, first):
    """The pairs with v = (product + bias) * scale above the row's floor, or NaN.

    Args:
        product: [features, tokens].
        bias: [features]; so are `scale` and `floor`.
        token: room for the pairs' tokens; so is `value`.
        first: [features + 1], written.

    Returns:
        Features done: fewer than there are when the room might not hold one more.
    """
    n_features, n = product.shape
    flat = product.reshape(-1)
    at = 0
    for j in range(n_features):
        first[j] = at
        if token.shape[0] - at < n:
            return j
        at = _take_above(flat, j * n, n, bias[j], scale[j], floor[j], token, value, at)
    first[n_features] = at
    return n_features


@compiled()
def _key(bits):
    """Of a float32's bits: unsigned keys in the order of the numbers, NaN on top."""
    if bits & np.uint32(0x7FFFFFFF) > np.uint32(0x7F800000):
        return np.uint32(0xFFFFFFFF)
    if bits >> np.uint32(31):
        return ~bits
    return bits | np.uint32(0x80000000)


@compiled()
def _kth_key(keys, k):
    """The k-th largest of the keys (1 <= k <= their number), by bisection.

    At most 33 passes that vectorise, whatever the data: no worst case, no copy.
    """
    low, high = np.uint64(0), np.uint64(1) << np.uint64(32)
    while high - low > 1:
        middle = (low + high) >> np.uint64(1)
        bound = np.uint32(middle)
        # 32 bits: twice as many to a vector.
        above = np.int32(0)
        for i in range(keys.shape[0]):
            above = np.int32(above + np.int32(keys[i] >= bound))
        if above >= k:
            low = middle
        else:
            high = middle
        if above == k:
            break
    kth, bound = np.uint32(0xFFFFFFFF), np.uint32(low)
    for i in range(keys.shape[0]):
        if keys[i] >= bound:
            kth = min(kth, keys[i])
    return kth


@compiled()
def topk_rows(product, bias, scale, k, bottom, feature, value, count):
    """The k largest v = (product + bias) * scale of every row, if above `bottom`.

    Of equal values at the border the features of lowest index stay; torch.topk's choice
    among them is unspecified. A floor guessed from the rows before leaves few values to
    rank; it only costs time when it is wrong.

    Args:
        product: [tokens, features]; bias, scale: [features].
        bottom: 0 where a ReLU follows (nothing else counts), else -inf.
        feature: [tokens, at least k], written; so is `value`.
        count: [tokens], how many were kept, written.
    """
    n, d = product.shape
    row = np.empty(d, np.float32)
    index = np.empty(d, np.int32)
    found = np.empty(d, np.float32)
    bits = found.view(np.uint32)
    keys = np.empty(d, np.uint32)
    zero, one, bottom = np.float32(0), np.float32(1), np.float32(bottom)
    guess = bottom
    for t in range(n):
        for j in range(d):
            row[j] = (product[t, j] + bias[j]) * scale[j]
        floor, tries = guess, 0
        m = _take_above(row, 0, d, zero, one, floor, index, found, 0)
        while m < k and floor > bottom:
            tries += 1
            floor = np.float32(0.75) * floor if tries < 4 else bottom
            m = _take_above(row, 0, d, zero, one, floor, index, found, 0)
        least, ties = np.uint32(0), m
        if m > k:
            for i in range(m):
                keys[i] = _key(bits[i])
            least = _kth_key(keys[:m], k)
            ties = k
            for i in range(m):
                ties -= keys[i] > least
        kept, smallest = 0, np.float32(np.inf)
        for i in range(m):
            if m > k:
                if keys[i] < least:
                    continue
                if keys[i] == least:
                    if ties == 0:
                        continue
                    ties -= 1
            feature[t, kept] = index[i]
            value[t, kept] = found[i]
            smallest = min(smallest, found[i])
            kept += 1
        count[t] = kept
        if bottom == zero and kept == k:
            # Somewhat below the usual k-th largest.
            target = np.float32(0.85) * smallest
            guess = target if guess == bottom else (guess + target) * np.float32(0.5)
            if not guess > bottom:
                guess = bottom


@compiled()
def to_columns(feature, value, count, first, token, values):
    """Rows of (feature, value), `count[t]` of them for token t, as pairs by feature.

    Args:
        feature: [tokens, room]; so is `value`.
        first: [features + 1], zeros, written; token, values: [pairs], written.
    """
    n = feature.shape[0]
    for t in range(n):
        for i in range(count[t]):
            first[feature[t, i] + 1] += 1
    for j in range(first.shape[0] - 1):
        first[j + 1] += first[j]
    for t in range(n):
        for i in range(count[t]):
            j = feature[t, i]
            token[first[j]] = t
            values[first[j]] = value[t, i]
            first[j] += 1
    # Each `first[j]` has moved to the next feature's.
    for j in range(first.shape[0] - 1, 0, -1):
        first[j] = first[j - 1]
    first[0] = 0


@compiled()
def kth_largest(value, k):
    """The k-th largest of `value`, and how many equal to it are among the k largest."""
    bits = value.view(np.uint32)
    keys = np.empty(value.shape[0], np.uint32)
    for i in range(value.shape[0]):
        keys[i] = _key(bits[i])
    least = _kth_key(keys, k)
    ties, kth = k, np.float32(0)
    for i in range(value.shape[0]):
        ties -= keys[i] > least
        if keys[i] == least:
            kth = value[i]
    return kth, ties


@compiled()
def keep_largest(first, token, value, kth, ties):
    """Keeps, in place, the pairs above `kth` and the first `ties` equal to it.

    Returns:
        Pairs kept, and how many of the ties are still to be given out.
    """
    at, begin = 0, first[0]
    for j in range(first.shape[0] - 1):
        end = first[j + 1]
        for p in range(begin, end):
            is_tie = value[p] == kth
            if value[p] < kth or (is_tie and ties == 0):
                continue
            ties -= is_tie
            token[at] = token[p]
            value[at] = value[p]
            at += 1
        begin = end
        first[j + 1] = at
    return at, ties


@compiled(fastmath=_SUMS)
def decode(first, token, value, weights, out, start, stop):
    """out[t, start:stop] += sum over the pairs (j, t) of value * weights[j]."""
    for j in range(first.shape[0] - 1):
        row = weights[j, start:stop]
        for p in range(first[j], first[j + 1]):
            if p + 2 < token.shape[0]:
                _prefetch_row(out, np.int64(token[p + 2]), start, stop)
            target, a = out[token[p], start:stop], value[p]
            for c in range(stop - start):
                target[c] += a * row[c]


@compiled(fastmath=_SUMS)
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


@compiled(fastmath=_SUMS)
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


@compiled(fastmath=_SUMS)
def row_sums(first, value, out):
    """out[j] = sum of the values of j's pairs."""
    for j in range(first.shape[0] - 1):
        s = np.float32(0)
        for p in range(first[j], first[j + 1]):
            s += value[p]
        out[j] = s


@compiled(fastmath=_SUMS)
def row_squares(matrix, out):
    """out[j] = |matrix[j]|^2."""
    for j in range(matrix.shape[0]):
        s = np.float32(0)
        row = matrix[j]
        for c in range(row.shape[0]):
            s += row[c] * row[c]
        out[j] = s


@compiled(fastmath=_SUMS)
def adam(weights, mean, square, gradient, clip, rate, keep1, keep2, correction, eps):
    """One step of Adam (Kingma & Ba 2015, as torch computes it) in one pass.

    Every entry is updated, also where the gradient is zero. All arrays are flat.

    Args:
        clip: factor on the gradient.
        rate: the learning rate over 1 - beta1^t.
        keep1, keep2: the two betas.
        correction: 1 over the root of 1 - beta2^t.
    """
    new1 = np.float32(1 - keep1)
    new2, keep2 = np.float32(1 - keep2), np.float32(keep2)
    clip, rate = np.float32(clip), np.float32(rate)
    correction, eps = np.float32(correction), np.float32(eps)
    for i in range(weights.shape[0]):
        g = clip * gradient[i]
        m = mean[i] + new1 * (g - mean[i])
        v = keep2 * square[i] + new2 * (g * g)
        mean[i] = m
        square[i] = v
        weights[i] -= rate * m / (np.sqrt(v) * correction + eps)
