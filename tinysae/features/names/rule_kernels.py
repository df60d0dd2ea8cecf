"""The inner loops of learning and scoring rules, compiled by numba.

`first`, `position`, `value` are a band of features (`tinysae.features.index.kernels`),
`seen` is (group, many_first, many) of `surroundings.Surroundings`. A rule is any of a
few clauses, a clause all of a few conditions, a condition "in one of these groups".
Every token is in one group of a single kind, so the best set of groups of it is all
those that the feature fires on more often than some share: only that share has to be
searched. Groups of another kind overlap: those that add most are taken one by one.

Four sums say how good a rule is: tokens told rightly, tokens told, active contexts
found, quiet contexts told falsely.
"""

import numpy as np

from tinysae.sae.step.kernels.jit import compiled

MIN_HITS = 2
# What a rule has to gain by one more group.
GROUP_COST = 0.001
# How dear false alarms are where a clause's first condition is looked for: others after
# it take some away. So many beginnings are tried.
FALSE_SHARE = 0.6
N_BEGINNINGS = 2
# Tokens of quiet contexts in which a next condition is looked for; of more a part.
MOST_QUIET = 3000
# What a context is to a feature and the clauses found so far.
QUIET, ACTIVE, FOUND, FALSE = 0, 1, 2, 3


@compiled()
def _group(seen, at, which):
    group, many_first, many = seen
    if which < group.shape[0]:
        return group[which, at]
    return many[many_first[at] + which - group.shape[0]]


@compiled()
def _n_groups(seen, at):
    group, many_first, _ = seen
    return group.shape[0] + many_first[at + 1] - many_first[at]


@compiled()
def _is_in(seen, kind, groups, at):
    group, many_first, many = seen
    if kind < group.shape[0]:
        own = group[kind, at]
        return (groups == own).any()
    for entry in range(many_first[at], many_first[at + 1]):
        for wanted in groups:
            if many[entry] == wanted:
                return True
    return False


@compiled()
def count_groups(seen, window, tokens, windows):
    """tokens, windows [n_groups] += the tokens to learn from, and contexts with any.

    window [n]: the context to learn from that a token is in, -1 for none.
    """
    last = np.full(len(tokens), -1, np.int32)
    for at in range(len(window)):
        if window[at] < 0:
            continue
        for which in range(_n_groups(seen, at)):
            own = _group(seen, at, which)
            if own >= 0:
                tokens[own] += 1
                if last[own] != window[at]:
                    last[own] = window[at]
                    windows[own] += 1


@compiled()
def _good(f1_share, sizes, right, told, found, false):
    """`f1_share` of F1, and the rest of how well contexts are detected."""
    n_positive, n_active, n_quiet = sizes
    f1 = 2 * right / (told + n_positive)
    # Of sets these are sums: what two groups find of one context is counted twice.
    missed = 1 - min(found / max(n_active, 1), 1.0)
    detects = 1 - (missed + min(false / max(n_quiet, 1), 1.0)) / 2
    return f1_share * f1 + (1 - f1_share) * detects


@compiled()
def _best_conditions(touched, stats, base, sizes, kinds, f1_share, is_open, best):
    """For each kind the best condition, given what is touched group by group.

    touched: the groups, in order. stats [n_groups, 4], base [4]: the sums of each, and
    of the clauses before. is_open [kinds]: which kinds may be used. Of kinds that
    overlap it is the best group. Writes best: (good, n, groups).
    """
    good, n, groups = best
    kind_first, cost, _, _, unites = kinds
    end = 0
    sums = np.empty(4)
    for kind in range(len(cost)):
        good[kind], n[kind] = -1.0, 0
        begin = end
        while end < len(touched) and touched[end] < kind_first[kind + 1]:
            end += 1
        if not is_open[kind]:
            continue
        own = touched[begin:end]
        kept = own[stats[own, 0] >= MIN_HITS]
        order = np.argsort(-(stats[kept, 0] / (stats[kept, 1] + 1)))
        sums[:] = base
        for m in range(len(kept) if unites[kind] else min(len(kept), groups.shape[1])):
            if unites[kind]:
                sums[:] = base
            sums += stats[kept[order[m]]]
            this = _good(f1_share, sizes, sums[0], sums[1], sums[2], sums[3])
            this -= cost[kind]
            if not unites[kind]:
                this -= GROUP_COST * m
            if this > good[kind]:
                good[kind], n[kind] = this, 1 if unites[kind] else m + 1
                if unites[kind]:
                    groups[kind, 0] = kept[order[m]]
        if not unites[kind]:
            groups[kind, : n[kind]] = kept[order[: n[kind]]]


@compiled()
def _unite(touched, stats, base, sizes, kinds, f1_share, is_open, seen, drawn, best):
    """Goes on from the best group of each kind that overlaps: the groups that add most
    are taken one after the other, and what they tell is told.

    drawn: (tokens, their sums [n, 4], how often each counts [n]); stats are used up.
    """
    good, n, groups = best
    kind_first, cost, _, _, unites = kinds
    _, many_first, many = seen
    tokens, weights = drawn
    has_one = np.empty(len(tokens), np.bool_)
    end = 0
    for kind in range(len(cost)):
        begin = end
        while end < len(touched) and touched[end] < kind_first[kind + 1]:
            end += 1
        if not (unites[kind] > 1 and is_open[kind] and n[kind]):
            continue
        low, high = kind_first[kind], kind_first[kind + 1]
        own = touched[begin:end]
        own = own[stats[own, 0] >= MIN_HITS]
        has_one[:] = False
        sums = base.copy()
        taken, this = groups[kind, 0], good[kind]
        while True:
            good[kind] = this
            groups[kind, n[kind] - 1] = taken
            for t in range(len(tokens)):
                if has_one[t]:
                    continue
                for entry in range(many_first[tokens[t]], many_first[tokens[t] + 1]):
                    if many[entry] == taken:
                        has_one[t] = True
                        break
                if has_one[t]:
                    sums += weights[t]
                    for entry in range(
                        many_first[tokens[t]], many_first[tokens[t] + 1]
                    ):
                        if low <= many[entry] < high:
                            stats[many[entry]] -= weights[t]
            if n[kind] == unites[kind]:
                break
            this, taken = good[kind], -1
            for g in own:
                if stats[g, 0] < MIN_HITS:
                    continue
                more = sums + stats[g]
                its = _good(f1_share, sizes, more[0], more[1], more[2], more[3])
                its -= cost[kind] + GROUP_COST * n[kind]
                if its > this:
                    this, taken = its, g
            if taken < 0:
                break
            n[kind] += 1


@compiled()
def _told(tokens, fires_here, window, state):
    """The sums of what is told by some tokens, in the text's order."""
    sums = np.zeros(4)
    before = -1
    for at in tokens:
        sums[0] += fires_here[at]
        sums[1] += 1
        if window[at] != before:
            before = window[at]
            sums[2] += state[before] == ACTIVE
            sums[3] += state[before] == QUIET
    return sums


@compiled()
def _drawn(tokens, fires_here, window, state):
    """Some of the tokens, with their sums: all in active contexts, and of quiet ones so
    many that there are about `MOST_QUIET`, counted more often. A context is shared by
    all the tokens that are in it."""
    n_quiet = 0
    for at in tokens:
        n_quiet += state[window[at]] == QUIET
    every = 1 + n_quiet // MOST_QUIET
    kept = np.empty(len(tokens), np.int32)
    weights = np.empty((len(tokens), 4))
    n = begin = 0
    while begin < len(tokens):
        w = window[tokens[begin]]
        end = begin + 1
        while end < len(tokens) and window[tokens[end]] == w:
            end += 1
        is_quiet = state[w] == QUIET
        times = every if is_quiet else 1
        if not is_quiet or w % every == 0:
            for t in range(begin, end):
                kept[n] = tokens[t]
                weights[n, 0] = fires_here[tokens[t]]
                weights[n, 1] = times
                weights[n, 2] = (state[w] == ACTIVE) / (end - begin)
                weights[n, 3] = is_quiet * times / (end - begin)
                n += 1
        begin = end
    return kept[:n], weights[:n]


@compiled()
def _sum_drawn(seen, drawn, stats, touched):
    """Adds up the drawn tokens' sums by group; returns the groups, in order."""
    n = 0
    tokens, weights = drawn
    for t in range(len(tokens)):
        for which in range(_n_groups(seen, tokens[t])):
            g = _group(seen, tokens[t], which)
            if g < 0:
                continue
            if stats[g, 1] == 0:
                touched[n] = g
                n += 1
            for s in range(4):
                stats[g, s] += weights[t, s]
    return np.sort(touched[:n])


@compiled()
def _sum_all(seen, window, state, is_told, own, inside, counts, stats, more):
    """Of all tokens not told yet the sums by group, for the groups that the feature
    fires on; returns these, in order.

    own: where it fires. inside: tokens, contexts [n_groups]: what is in contexts that
    are active. counts: the same of all.
    """
    touched, last, token = more
    n = 0
    token[0] += 1
    stamp = token[0] * len(state)
    for at in own:
        w = window[at]
        if w < 0 or is_told[at]:
            continue
        for which in range(_n_groups(seen, at)):
            g = _group(seen, at, which)
            if g < 0:
                continue
            if stats[g, 0] == 0:
                touched[n] = g
                n += 1
                stats[g, 1] = counts[0][g]
                stats[g, 3] = counts[1][g] - inside[g]
            stats[g, 0] += 1
            if state[w] == ACTIVE and last[g] != stamp + w:
                last[g] = stamp + w
                stats[g, 2] += 1
    return np.sort(touched[:n])


@compiled()
def learn(
    first,
    position,
    value,
    seen,
    window,
    begins,
    counts,
    tokens_of,
    kinds,
    costs,
    rule_kind,
    rule_n,
    rule_groups,
    rule_hits,
    rule_strength,
):
    """The best clauses of every feature on the tokens to learn from.

    window [n]: the context of each token, -1 for none; begins [contexts + 1]: where
    each begins. counts: `count_groups`. tokens_of: (first [n_groups + 1], tokens): the
    tokens of each group. kinds: (first, cost, family, begins, unites): where each
    kind's groups begin; what a condition has to gain by being of it; conditions of one
    clause are of different families; whether a clause may begin with it; how many of
    its groups are united, where a token is in several (0 where it is in one). costs:
    (f1_share, condition_cost, min_gain).

    Writes rule_kind, rule_n [features, n_clauses, n_conditions] (rule_n 0: none);
    rule_groups, rule_hits [..., most]: which, and how often the feature fires there;
    rule_strength [features, n_clauses]: the sum of its activations there.
    """
    n_groups, n_windows = len(counts[0]), len(begins) - 1
    n_kinds = len(kinds[1])
    n_clauses, n_conditions, most = rule_groups.shape[1:]
    f1_share, condition_cost, min_gain = costs
    fires_here = np.zeros(len(window), np.bool_)
    strength = np.zeros(len(window), np.float32)
    is_told = np.zeros(len(window), np.bool_)
    inside = np.zeros(n_groups, np.int32)
    last = np.full(n_groups, -1, np.int64)
    token = np.zeros(1, np.int64)
    touched = np.empty(n_groups, np.int32)
    stats = np.zeros((n_groups, 4))
    best = (
        np.empty(n_kinds),
        np.zeros(n_kinds, np.int32),
        np.empty((n_kinds, most), np.int32),
    )
    head_kind = np.empty(N_BEGINNINGS, np.int32)
    head_groups = np.empty((N_BEGINNINGS, most), np.int32)
    head_n = np.empty(N_BEGINNINGS, np.int32)
    clause_kind = np.empty(n_conditions, np.int32)
    clause_n = np.empty(n_conditions, np.int32)
    clause_groups = np.empty((n_conditions, most), np.int32)
    is_open = np.empty(n_kinds, np.bool_)
    for j in range(first.shape[0] - 1):
        own = position[first[j] : first[j + 1]]
        state = np.zeros(n_windows, np.int8)
        strength[own] = value[first[j] : first[j + 1]]
        n_positive = 0
        for at in own:
            if window[at] >= 0:
                fires_here[at] = True
                n_positive += 1
                state[window[at]] = ACTIVE
        n_active = (state == ACTIVE).sum()
        sizes = (float(n_positive), float(n_active), float(n_windows - n_active))
        inside[:] = 0
        for w in np.flatnonzero(state):
            for at in range(begins[w], begins[w + 1]):
                if window[at] != w:
                    continue
                for which in range(_n_groups(seen, at)):
                    g = _group(seen, at, which)
                    if g >= 0 and last[g] != token[0] * n_windows + w:
                        last[g] = token[0] * n_windows + w
                        inside[g] += 1
        base = np.zeros(4)
        score = (1 - f1_share) / 2
        for clause in range(n_clauses if n_positive >= MIN_HITS else 0):
            names = _sum_all(
                seen,
                window,
                state,
                is_told,
                own,
                inside,
                counts,
                stats,
                (touched, last, token),
            )
            n_found = 0
            stats[names, 3] *= FALSE_SHARE
            _best_conditions(names, stats, base, sizes, kinds, f1_share, kinds[3], best)
            for _ in range(N_BEGINNINGS):
                kind = np.argmax(best[0])
                if best[0][kind] < 0:
                    break
                best[0][kind] = -1
                head_kind[n_found], head_n[n_found] = kind, best[1][kind]
                head_groups[n_found] = best[2][kind]
                n_found += 1
            stats[names] = 0
            top, top_cost, top_n = score + min_gain, 0.0, 0
            top_tokens = np.empty(0, np.int32)
            for head in range(n_found):
                clause_kind[0], clause_n[0] = head_kind[head], head_n[head]
                clause_groups[0] = head_groups[head]
                matching = np.empty(0, np.int32)
                for g in head_groups[head, : head_n[head]]:
                    those = tokens_of[1][tokens_of[0][g] : tokens_of[0][g + 1]]
                    matching = np.append(matching, those[~is_told[those]])
                matching = np.sort(matching)
                cost = 0.0
                for n in range(1, n_conditions + 1):
                    cost += kinds[1][clause_kind[n - 1]]
                    cost += GROUP_COST * (clause_n[n - 1] - 1)
                    cost += condition_cost * (n > 1)
                    sums = base + _told(matching, fires_here, window, state)
                    good = _good(f1_share, sizes, sums[0], sums[1], sums[2], sums[3])
                    if good - cost > top:
                        top, top_cost, top_n = good - cost, cost, n
                        top_tokens = matching
                        rule_kind[j, clause] = clause_kind
                        rule_groups[j, clause] = clause_groups
                        rule_n[j, clause] = 0
                        rule_n[j, clause, :n] = clause_n[:n]
                    if n == n_conditions or len(matching) == sums[0] - base[0]:
                        break
                    for kind in range(n_kinds):
                        is_open[kind] = True
                        for c in range(n):
                            if kinds[2][kind] == kinds[2][clause_kind[c]]:
                                is_open[kind] = False
                    drawn = _drawn(matching, fires_here, window, state)
                    names = _sum_drawn(seen, drawn, stats, touched)
                    _best_conditions(
                        names, stats, base, sizes, kinds, f1_share, is_open, best
                    )
                    _unite(
                        names,
                        stats,
                        base,
                        sizes,
                        kinds,
                        f1_share,
                        is_open,
                        seen,
                        drawn,
                        best,
                    )
                    stats[names] = 0
                    kind = np.argmax(best[0])
                    if best[0][kind] < 0:
                        break
                    clause_kind[n], clause_n[n] = kind, best[1][kind]
                    clause_groups[n] = best[2][kind]
                    wanted = clause_groups[n, : clause_n[n]]
                    is_left = np.empty(len(matching), np.bool_)
                    for t in range(len(matching)):
                        is_left[t] = _is_in(seen, kind, wanted, matching[t])
                    matching = matching[is_left]
            if top_n == 0:
                break
            score = top + top_cost
            base += _told(top_tokens, fires_here, window, state)
            for at in top_tokens:
                is_told[at] = True
                w = window[at]
                if state[w] == ACTIVE:
                    state[w] = FOUND
                elif state[w] == QUIET:
                    state[w] = FALSE
                if not fires_here[at]:
                    continue
                rule_strength[j, clause] += strength[at]
                for c in range(top_n):
                    kind = rule_kind[j, clause, c]
                    for m in range(rule_n[j, clause, c]):
                        only = rule_groups[j, clause, c, m : m + 1]
                        rule_hits[j, clause, c, m] += _is_in(seen, kind, only, at)
        token[0] += 1
        fires_here[own] = False
        is_told[:] = False


@compiled()
def score(
    first,
    position,
    value,
    seen,
    is_scored,
    window,
    n_windows,
    tokens_of,
    rule_kind,
    rule_n,
    rule_groups,
    figures,
):
    """What each feature's clauses tell of the other half's tokens.

    tokens_of: (first [n_groups + 1], tokens): that half's tokens of each group. Writes
    figures [features, 8]: tokens told and right, told, active; contexts told and
    active, told, active; the activations' sum where told, and their squares' sum.
    """
    told = np.full(len(is_scored), -1, np.int32)
    told_window = np.full(n_windows, -1, np.int32)
    is_active = np.full(n_windows, -1, np.int32)
    n_clauses, n_conditions = rule_n.shape[1:]
    for j in range(first.shape[0] - 1):
        for clause in range(n_clauses):
            for own in rule_groups[j, clause, 0, : rule_n[j, clause, 0]]:
                for at in tokens_of[1][tokens_of[0][own] : tokens_of[0][own + 1]]:
                    is_all = told[at] != j
                    for c in range(1, n_conditions):
                        n = rule_n[j, clause, c]
                        if n and is_all:
                            kind = rule_kind[j, clause, c]
                            wanted = rule_groups[j, clause, c, :n]
                            is_all = _is_in(seen, kind, wanted, at)
                    if not is_all:
                        continue
                    told[at] = j
                    figures[j, 1] += 1
                    if window[at] >= 0 and told_window[window[at]] != j:
                        told_window[window[at]] = j
                        figures[j, 4] += 1
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
