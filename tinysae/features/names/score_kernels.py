"""The inner loop of scoring rules, compiled by numba."""

import numpy as np

from tinysae.sae.step.kernels.jit import compiled


@compiled()
def score(first, position, value, seen, scored, tokens_of, rules, figures):
    """What each feature's clauses tell of the other half's tokens.

    `first`, `position`, `value`, `seen`: as in `rule_kernels`. scored: (is_scored,
    window, the number of contexts), of tokens. tokens_of: (first [n_groups + 1],
    tokens): that half's tokens of each group. rules: (n, groups), as `learn`
    wrote them. Writes figures [features, 8]: tokens told and right, told, active;
    contexts told and active, told, active; the activations' sum where told, and their
    squares' sum.
    """
    is_scored, window, n_windows = scored
    token_first, tokens = tokens_of
    seen_first, seen_group = seen
    rule_n, rule_groups = rules
    told = np.full(len(is_scored), -1, np.int32)
    told_window = np.full(n_windows, -1, np.int32)
    is_active = np.full(n_windows, -1, np.int32)
    # Of each group the conditions of a clause that hold in it, a bit each.
    holds = np.zeros(len(token_first) - 1, np.int32)
    n_clauses, n_conditions = rule_n.shape[1:]
    for j in range(len(first) - 1):
        for clause in range(n_clauses):
            wanted = 0
            for c in range(1, n_conditions):
                for m in range(rule_n[j, clause, c]):
                    holds[rule_groups[j, clause, c, m]] |= 1 << c
                    wanted |= 1 << c
            for m in range(rule_n[j, clause, 0]):
                own = rule_groups[j, clause, 0, m]
                for entry in range(token_first[own], token_first[own + 1]):
                    at = tokens[entry]
                    if told[at] == j:
                        continue
                    held = 0
                    for e in range(seen_first[at], seen_first[at + 1]):
                        held |= holds[seen_group[e]]
                    if held != wanted:
                        continue
                    told[at] = j
                    figures[j, 1] += 1
                    if window[at] >= 0 and told_window[window[at]] != j:
                        told_window[window[at]] = j
                        figures[j, 4] += 1
            for c in range(1, n_conditions):
                for m in range(rule_n[j, clause, c]):
                    holds[rule_groups[j, clause, c, m]] = 0
        for p in range(first[j], first[j + 1]):
            at = position[p]
            if not is_scored[at]:
                continue
            figures[j, 2] += 1
            figures[j, 7] += value[p] * value[p]
            if told[at] == j:
                figures[j, 0] += 1
                figures[j, 6] += value[p]
            if window[at] >= 0 and is_active[window[at]] != j:
                is_active[window[at]] = j
                figures[j, 5] += 1
                figures[j, 3] += told_window[window[at]] == j
