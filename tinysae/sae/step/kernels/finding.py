"""Which pairs there are: those above a floor, or the k largest (see `step.kernels`)."""

import numpy as np
from llvmlite import ir
from numba import types

from tinysae.sae.step.kernels.jit import compiled, intrinsic

LANES = 64


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


@compiled()
def _take_above(flat, base, n, bias, scale, floor, index, value, at):
    """Appends the i < n with (flat[base + i] + bias) * scale above the floor, from
    place `at` on; returns the place after the last."""
    i = 0
    while i + LANES <= n:
        word = _lanes_above(flat, base + i, bias, scale, floor)
        while word:
            place = i + _lowest_bit(word)
            index[at] = place
            value[at] = (flat[base + place] + bias) * scale
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
    above = np.empty(d, np.float32)
    bits = above.view(np.uint32)
    keys = np.empty(d, np.uint32)
    zero, one, bottom = np.float32(0), np.float32(1), np.float32(bottom)
    guess = bottom
    for t in range(n):
        for j in range(d):
            row[j] = (product[t, j] + bias[j]) * scale[j]
        floor, tries = guess, 0
        m = _take_above(row, 0, d, zero, one, floor, index, above, 0)
        while m < k and floor > bottom:
            tries += 1
            floor = np.float32(0.75) * floor if tries < 4 else bottom
            m = _take_above(row, 0, d, zero, one, floor, index, above, 0)
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
            value[t, kept] = above[i]
            smallest = min(smallest, above[i])
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
