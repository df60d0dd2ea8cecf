"""The inner loops of the index, compiled by numba.

A *band* is some consecutive features with all their pairs: those of feature j (counted
from the band's first) are `first[j]:first[j + 1]` in `position`, the tokens' places in
the corpus, ascending, and in `value`. Every function releases the GIL, writes only what
it is given, and gives the same bits whatever thread runs it.
"""

import numpy as np

from tinysae.sae.step.kernels.jit import compiled

_NONE = np.uint64(0xFFFFFFFFFFFFFFFF)


@compiled()
def count_read(first, token, is_read, counts):
    """counts[j] += the pairs of j on tokens that are read."""
    for j in range(first.shape[0] - 1):
        n = 0
        for p in range(first[j], first[j + 1]):
            n += is_read[token[p]]
        counts[j] += n


@compiled()
def place_read(first, token, value, is_read, at, tokens, values):
    """Appends the pairs of j on tokens that are read at place at[j], which moves on."""
    for j in range(first.shape[0] - 1):
        place = at[j]
        for p in range(first[j], first[j + 1]):
            if is_read[token[p]]:
                tokens[place] = token[p]
                values[place] = value[p]
                place += 1
        at[j] = place


@compiled()
def gather(first, token, value, base, at, position, values):
    """Appends a shard's pairs of each feature of a band at place at[j].

    `token` and `value` begin with the pairs of the band's first feature.
    """
    for j in range(first.shape[0] - 1):
        place = at[j]
        for p in range(first[j] - first[0], first[j + 1] - first[0]):
            position[place] = base + token[p]
            values[place] = value[p]
            place += 1
        at[j] = place


@compiled()
def totals(first, value, total, largest):
    """total[j], largest[j]: sum (float64) and maximum of j's values."""
    for j in range(first.shape[0] - 1):
        s, top = 0.0, np.float32(0)
        for p in range(first[j], first[j + 1]):
            s += np.float64(value[p])
            top = max(top, value[p])
        total[j] = s
        largest[j] = top


@compiled()
def _mixed(key):
    """A bijection that looks random: the finaliser of splitmix64 (Steele 2014)."""
    key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return key ^ (key >> np.uint64(31))


@compiled()
def binned(first, position, value, per_width, begin, seed, counts, sample):
    """A histogram of each feature's values, and a uniform sample of each group's pairs.

    A pair's priority is a hash of the seed, the feature and the position; each group
    keeps those of lowest priority, lowest first.

    Args:
        per_width: [features], 1 / width of a bin.
        begin: number of the band's first feature.
        counts: [features, bins], zeros, written.
        sample: [features, groups, n] of places, -1, written.
    """
    n_groups, n_kept = sample.shape[1], sample.shape[2]
    in_group = counts.shape[1] // n_groups
    best = np.empty((n_groups, n_kept), np.uint64)
    for j in range(first.shape[0] - 1):
        best[:] = _NONE
        high = seed ^ (np.uint64(begin + j) << np.uint64(32))
        for p in range(first[j], first[j + 1]):
            b = np.int64(np.float64(value[p]) * per_width[j])
            counts[j, b] += 1
            g = b // in_group
            priority = _mixed(high ^ np.uint64(position[p]))
            if priority < best[g, n_kept - 1]:
                i = n_kept - 1
                while i > 0 and best[g, i - 1] > priority:
                    best[g, i] = best[g, i - 1]
                    sample[j, g, i] = sample[j, g, i - 1]
                    i -= 1
                best[g, i] = priority
                sample[j, g, i] = p


@compiled()
def strongest(first, position, value, context_size, kept):
    """The strongest pair of each of the contexts in which a feature is strongest.

    Of equals the earlier one. kept: [features, k] of places, -1, written.
    """
    k = kept.shape[1]
    best = np.empty(k, np.float32)
    for j in range(first.shape[0] - 1):
        best[:] = 0
        p, end = first[j], first[j + 1]
        while p < end:
            stop = (position[p] // context_size + 1) * context_size
            peak = p
            p += 1
            while p < end and position[p] < stop:
                if value[p] > value[peak]:
                    peak = p
                p += 1
            if value[peak] > best[k - 1]:
                i = k - 1
                while i > 0 and best[i - 1] < value[peak]:
                    best[i] = best[i - 1]
                    kept[j, i] = kept[j, i - 1]
                    i -= 1
                best[i] = value[peak]
                kept[j, i] = peak


@compiled()
def ranges(first, position, context_size, place, begin, end):
    """The pairs begin[j, i] ... end[j, i] of a feature in the context of its pair
    place[j, i]; none where that is -1."""
    for j in range(first.shape[0] - 1):
        for i in range(place.shape[1]):
            p = place[j, i]
            if p < 0:
                begin[j, i] = end[j, i] = 0
                continue
            start = position[p] // context_size * context_size
            low = p
            while low > first[j] and position[low - 1] >= start:
                low -= 1
            high = p + 1
            while high < first[j + 1] and position[high] < start + context_size:
                high += 1
            begin[j, i] = low
            end[j, i] = high


@compiled()
def token_sums(first, position, value, corpus, d_vocab, entries, token, mass, n_fired):
    """What each feature's values come to by token: an entry each that it fires on.

    entries: [features + 1], written: places in token, mass (float64) and n_fired, which
    have room for an entry a pair.
    """
    place_of = np.full(d_vocab, -1, np.int64)
    at = 0
    for j in range(first.shape[0] - 1):
        entries[j] = at
        for p in range(first[j], first[j + 1]):
            t = corpus[position[p]]
            place = place_of[t]
            if place < 0:
                place_of[t] = at
                token[at] = t
                mass[at] = value[p]
                n_fired[at] = 1
                at += 1
            else:
                mass[place] += np.float64(value[p])
                n_fired[place] += 1
        for i in range(entries[j], at):
            place_of[token[i]] = -1
    entries[first.shape[0] - 1] = at


@compiled()
def _is_before(a, b, score, weight, token):
    if score[a] != score[b]:
        return score[a] > score[b]
    if weight[a] != weight[b]:
        return weight[a] > weight[b]
    return token[a] < token[b]


@compiled()
def largest(entries, score, weight, token, kept):
    """The entries of each feature with the largest score above 0; of equals those with
    the larger weight, then of the smaller token. kept: [features, n], -1, written."""
    n = kept.shape[1]
    for j in range(entries.shape[0] - 1):
        held = 0
        for e in range(entries[j], entries[j + 1]):
            if not score[e] > 0:
                continue
            if held == n:
                if not _is_before(e, kept[j, n - 1], score, weight, token):
                    continue
            else:
                held += 1
            i = held - 1
            while i > 0 and _is_before(e, kept[j, i - 1], score, weight, token):
                kept[j, i] = kept[j, i - 1]
                i -= 1
            kept[j, i] = e


@compiled()
def keep_best(
    entries, token, score, mass, n_fired, begin, best, feature, masses, counts
):
    """For each token the features of largest score, over the bands given so far.

    Of equals the earlier feature.

    Args:
        score, mass, n_fired: of the band's entries; begin: its first feature's number.
        best, masses, counts: [tokens, n], 0 at first, the score, mass and n_fired of
            `feature`, which is -1 at first; all updated.
    """
    n = best.shape[1]
    for j in range(entries.shape[0] - 1):
        for e in range(entries[j], entries[j + 1]):
            t, s = token[e], score[e]
            if not s > best[t, n - 1]:
                continue
            i = n - 1
            while i > 0 and best[t, i - 1] < s:
                best[t, i] = best[t, i - 1]
                feature[t, i] = feature[t, i - 1]
                masses[t, i] = masses[t, i - 1]
                counts[t, i] = counts[t, i - 1]
                i -= 1
            best[t, i] = s
            feature[t, i] = begin + j
            masses[t, i] = mass[e]
            counts[t, i] = n_fired[e]


@compiled()
def by_token(first, token, n_tokens, feature):
    """A shard's pairs by token: returns begins [n_tokens + 1]; writes `feature`."""
    start = np.zeros(n_tokens + 1, np.int64)
    for p in range(token.shape[0]):
        start[token[p] + 1] += 1
    for t in range(n_tokens):
        start[t + 1] += start[t]
    for j in range(first.shape[0] - 1):
        for p in range(first[j], first[j + 1]):
            t = token[p]
            feature[start[t]] = j
            start[t] += 1
    for t in range(n_tokens, 0, -1):
        start[t] = start[t - 1]
    start[0] = 0
    return start


@compiled()
def together(first, token, begin, start, feature, counts):
    """counts[j, f] += the tokens on which feature begin + j fires and so does f.

    A feature after the other, so that its row of counts stays in the nearest cache:
    token after token, in the order of the text, costs five times as much.
    """
    for j in range(counts.shape[0]):
        row = counts[j]
        for p in range(first[begin + j], first[begin + j + 1]):
            t = token[p]
            for q in range(start[t], start[t + 1]):
                row[feature[q]] += np.uint32(1)


@compiled()
def partners(counts, n_fired, begin, feature, n_both, jaccard):
    """The features that fire with each most, by Jaccard; of equals the earlier.

    Args:
        counts: [features, d_sae] of features from `begin` on; n_fired: [d_sae].
        feature: [features, n], -1; n_both, jaccard: 0; written.
    """
    n = feature.shape[1]
    for j in range(counts.shape[0]):
        own = n_fired[begin + j]
        for f in range(counts.shape[1]):
            both = np.int64(counts[j, f])
            if both == 0 or f == begin + j:
                continue
            share = np.float32(both / (own + n_fired[f] - both))
            if not share > jaccard[j, n - 1]:
                continue
            i = n - 1
            while i > 0 and jaccard[j, i - 1] < share:
                jaccard[j, i] = jaccard[j, i - 1]
                feature[j, i] = feature[j, i - 1]
                n_both[j, i] = n_both[j, i - 1]
                i -= 1
            jaccard[j, i] = share
            feature[j, i] = f
            n_both[j, i] = both


@compiled()
def row_histograms(rows, edges, counts):
    """counts[j] [bins] of rows[j] in its equal bins `edges[j]` [bins + 1], as
    `np.histogram` counts them: the last bin includes its end."""
    n_bins = counts.shape[1]
    for j in range(rows.shape[0]):
        low = edges[j, 0]
        per_width = n_bins / (edges[j, n_bins] - low)
        for i in range(rows.shape[1]):
            v = np.float64(rows[j, i])
            b = min(n_bins - 1, max(0, np.int64((v - low) * per_width)))
            if v < edges[j, b]:
                b -= 1
            elif b < n_bins - 1 and v >= edges[j, b + 1]:
                b += 1
            counts[j, b] += 1
