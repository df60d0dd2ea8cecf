"""The inner loops of the search for features that read a concept, compiled by numba.

Both rest on one fact: as a feature's threshold falls past its tokens, strongest first,
F1 = 2 hits / (fired + n_positive) rises only at a token that is a hit. So the best
threshold of every feature is found exactly by looking at the hits alone.

`first` [n_features + 1], `token` [n_pairs], `value` [n_pairs] are the non-zero
activations feature by feature, strongest first.
"""

import numpy as np

from tinysae.sae.step.kernels.jit import compiled


@compiled()
def best_singles(first, token, value, row_first, row_target, n_positive):
    """Every feature's best F1 for every target, its threshold, and its hits in all.

    `row_first` [n_tokens + 1] and `row_target` say which targets each token is an
    example of; `n_positive` [n_targets]. Returns three arrays [n_features, n_targets].
    """
    n_features, n_targets = len(first) - 1, len(n_positive)
    best = np.zeros((n_features, n_targets), np.float32)
    threshold = np.zeros((n_features, n_targets), np.float32)
    hits = np.zeros((n_features, n_targets), np.int32)
    for feature in range(n_features):
        start = first[feature]
        end = first[feature + 1]
        at = start
        while at < end:
            # Equal activations are on the same side of every threshold.
            after = at
            while after < end and value[after] == value[at]:
                row = token[after]
                for entry in range(row_first[row], row_first[row + 1]):
                    hits[feature, row_target[entry]] += 1
                after += 1
            fired = after - start
            for tied in range(at, after):
                row = token[tied]
                for entry in range(row_first[row], row_first[row + 1]):
                    target = row_target[entry]
                    f1 = 2 * hits[feature, target] / (fired + n_positive[target])
                    if f1 > best[feature, target]:
                        best[feature, target] = f1
                        threshold[feature, target] = value[at]
            at = after
    return best, threshold, hits


@compiled()
def best_addition(
    first, token, value, candidates, hits, is_positive, covered, n_positive
):
    """The feature and threshold that, OR-ed to what is covered, have the highest F1.

    Args:
        candidates: features, those with the most hits first.
        hits: [n_features], how many examples each fires on at all.
        is_positive: [n_tokens], which tokens are examples.
        covered: [n_tokens], how many of the features chosen so far fire.
        n_positive: how many examples there are.

    Returns (feature, threshold, F1); feature -1 where nothing is better than what is
    covered alone.
    """
    n_covered, hits_covered = 0, 0
    for row in range(len(covered)):
        if covered[row]:
            n_covered += 1
            hits_covered += is_positive[row]
    best = 2 * hits_covered / (n_covered + n_positive)
    best_feature, best_threshold = -1, np.float32(0)
    for feature in candidates:
        # What it could come to if it fired on nothing but examples.
        most = hits[feature]
        if 2 * (hits_covered + most) / (n_covered + most + n_positive) <= best:
            break
        start = first[feature]
        end = first[feature + 1]
        fired, hit, seen = 0, 0, 0
        at = start
        while at < end:
            after = at
            hit_before = hit
            while after < end and value[after] == value[at]:
                row = token[after]
                seen += is_positive[row]
                if not covered[row]:
                    fired += 1
                    hit += is_positive[row]
                after += 1
            if hit > hit_before:
                f1 = 2 * (hits_covered + hit) / (n_covered + fired + n_positive)
                if f1 > best:
                    best, best_feature = f1, feature
                    best_threshold = value[at]
            left = most - seen
            together = hits_covered + hit + left
            if 2 * together / (n_covered + fired + left + n_positive) <= best:
                break
            at = after
    return best_feature, best_threshold, best
