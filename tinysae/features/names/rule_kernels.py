"""The inner loops of learning rules, compiled by numba.

`first`, `position`, `value` are a band of features (`tinysae.features.index.kernels`),
`seen` is (first [n + 1], group): the groups of every token. A rule is any of a few
clauses, a clause all of a few conditions, a condition "in one of these groups". Every
token is in one group of a single kind, so the best set of groups of it is all those
that the feature fires on more often than some share: only that share has to be
searched. Groups of another kind overlap: those that add most are taken one by one.

Four sums say how good a rule is: tokens told rightly, tokens told, active contexts
found, quiet contexts told falsely.

Plain loops over numbers: what numpy would say in a line takes numba up to a second to
compile, which somebody waits for in a fresh install.
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
def _good(stake, right, told, found, false):
    """`f1_share` of F1, and the rest of how well contexts are detected.

    stake: (base [4], the sums of the clauses before; the numbers of tokens that it
    fires on, of active and of quiet contexts; f1_share).
    """
    _, n_positive, n_active, n_quiet, f1_share = stake
    f1 = 2 * right / (told + n_positive)
    # Of sets these are sums: what two groups find of one context is counted twice.
    missed = 1 - min(found / max(n_active, 1.0), 1.0)
    detects = 1 - (missed + min(false / max(n_quiet, 1.0), 1.0)) / 2
    return f1_share * f1 + (1 - f1_share) * detects


@compiled()
def _is_before(stats, g, other):
    """Whether the feature fires on a larger share of the group `g`; of equal ones the
    one that is counted first."""
    own = stats[g, 0] / (stats[g, 1] + 1)
    its = stats[other, 0] / (stats[other, 1] + 1)
    return own > its or (own == its and g < other)


@compiled()
def _enlist(listed, n, g, stats):
    """Puts `g` into its place among the first `n` of `listed`, those of the largest
    share first; returns how many there are then, as many as it can hold."""
    if n == len(listed):
        if not _is_before(stats, g, listed[n - 1]):
            return n
        n -= 1
    at = n
    while at > 0 and _is_before(stats, g, listed[at - 1]):
        listed[at] = listed[at - 1]
        at -= 1
    listed[at] = g
    return n + 1


@compiled()
def _best_conditions(touched, n_touched, stats, stake, kinds, is_open, best):
    """For each kind the best condition, given what is touched group by group.

    touched: the groups, in any order. stats [n_groups, 4]: the sums of each. is_open
    [kinds]: which kinds may be used. Of kinds that overlap it is the best group. Writes
    best: (good, n, groups).
    """
    good, n, groups = best
    kind_of, cost, _, _, unites = kinds
    base = stake[0]
    for kind in range(len(cost)):
        good[kind], n[kind] = -1.0, 0
    for t in range(n_touched):
        g = touched[t]
        kind = kind_of[g]
        if not is_open[kind] or stats[g, 0] < MIN_HITS:
            continue
        if not unites[kind]:
            n[kind] = _enlist(groups[kind], n[kind], g, stats)
            continue
        right, told = base[0] + stats[g, 0], base[1] + stats[g, 1]
        found, false = base[2] + stats[g, 2], base[3] + stats[g, 3]
        this = _good(stake, right, told, found, false) - cost[kind]
        is_first = this == good[kind] and _is_before(stats, g, groups[kind, 0])
        if this > good[kind] or is_first:
            good[kind], n[kind], groups[kind, 0] = this, 1, g
    for kind in range(len(cost)):
        if unites[kind]:
            continue
        right, told, found, false = base[0], base[1], base[2], base[3]
        n_listed, n[kind] = n[kind], 0
        for m in range(n_listed):
            g = groups[kind, m]
            right += stats[g, 0]
            told += stats[g, 1]
            found += stats[g, 2]
            false += stats[g, 3]
            this = _good(stake, right, told, found, false)
            this -= cost[kind]
            this -= GROUP_COST * m
            if this > good[kind]:
                good[kind], n[kind] = this, m + 1


@compiled()
def _unite(
    touched, n_touched, stats, stake, kinds, is_open, seen, drawn, n_drawn, best
):
    """Goes on from the best group of each kind that overlaps: the groups that add most
    are taken one after the other, and what they tell is told.

    drawn: (tokens, their sums [n, 4], how often each counts [n]); stats are used up.
    """
    good, n, groups = best
    kind_of, cost, _, _, unites = kinds
    base = stake[0]
    seen_first, seen_group = seen
    tokens, weights, has_one = drawn
    for kind in range(len(cost)):
        if not (unites[kind] > 1 and is_open[kind] and n[kind]):
            continue
        for t in range(n_drawn):
            has_one[t] = False
        right, told, found, false = base[0], base[1], base[2], base[3]
        taken, this = groups[kind, 0], good[kind]
        while True:
            good[kind] = this
            groups[kind, n[kind] - 1] = taken
            for t in range(n_drawn):
                if has_one[t]:
                    continue
                begin, end = seen_first[tokens[t]], seen_first[tokens[t] + 1]
                for entry in range(begin, end):
                    has_one[t] |= seen_group[entry] == taken
                if not has_one[t]:
                    continue
                right += weights[t, 0]
                told += weights[t, 1]
                found += weights[t, 2]
                false += weights[t, 3]
                for entry in range(begin, end):
                    g = seen_group[entry]
                    if kind_of[g] == kind:
                        for s in range(4):
                            stats[g, s] -= weights[t, s]
            if n[kind] == unites[kind]:
                break
            this, taken = good[kind], -1
            for t in range(n_touched):
                g = touched[t]
                if kind_of[g] != kind or stats[g, 0] < MIN_HITS:
                    continue
                its = _good(
                    stake,
                    right + stats[g, 0],
                    told + stats[g, 1],
                    found + stats[g, 2],
                    false + stats[g, 3],
                )
                its -= cost[kind] + GROUP_COST * n[kind]
                if its > this or (its == this and 0 <= g < taken):
                    this, taken = its, g
            if taken < 0:
                break
            n[kind] += 1


@compiled()
def _add_told(tokens, n, strength, window, state, sums):
    """Adds what is told by the first `n` of some tokens, in the text's order."""
    before = -1
    for t in range(n):
        at = tokens[t]
        sums[0] += strength[at] > 0
        sums[1] += 1
        if window[at] != before:
            before = window[at]
            sums[2] += state[before] == ACTIVE
            sums[3] += state[before] == QUIET


@compiled()
def _draw(tokens, n, strength, window, state, drawn):
    """Some of the tokens, with their sums: all in active contexts, and of quiet ones so
    many that there are about `MOST_QUIET`, counted more often. A context is shared by
    all the tokens that are in it. Returns how many were written to `drawn`."""
    kept, weights, _ = drawn
    n_quiet = 0
    for t in range(n):
        n_quiet += state[window[tokens[t]]] == QUIET
    every = 1 + n_quiet // MOST_QUIET
    n_kept = begin = 0
    while begin < n:
        w = window[tokens[begin]]
        end = begin + 1
        while end < n and window[tokens[end]] == w:
            end += 1
        is_quiet = state[w] == QUIET
        times = every if is_quiet else 1
        if not is_quiet or w % every == 0:
            for t in range(begin, end):
                kept[n_kept] = tokens[t]
                weights[n_kept, 0] = strength[tokens[t]] > 0
                weights[n_kept, 1] = times
                weights[n_kept, 2] = (state[w] == ACTIVE) / (end - begin)
                weights[n_kept, 3] = is_quiet * times / (end - begin)
                n_kept += 1
        begin = end
    return n_kept


@compiled()
def _sum_drawn(seen, drawn, n_drawn, stats, touched):
    """Adds up the drawn tokens' sums by group; returns how many groups there are."""
    first, group = seen
    tokens, weights, _ = drawn
    n = 0
    for t in range(n_drawn):
        for entry in range(first[tokens[t]], first[tokens[t] + 1]):
            g = group[entry]
            if stats[g, 1] == 0:
                touched[n] = g
                n += 1
            for s in range(4):
                stats[g, s] += weights[t, s]
    return n


@compiled()
def _sum_all(seen, half, state, is_told, own, inside, stats, touched, last, stamp):
    """Of all tokens not told yet the sums by group, for the groups that the feature
    fires on; returns how many these are.

    own: where it fires. inside [n_groups]: of the contexts that are active those in
    which each group is. last [n_groups]: below `stamp`.
    """
    first, group = seen
    window, n_tokens, n_contexts = half[0], half[1], half[2]
    n = 0
    for p in range(len(own)):
        at = own[p]
        w = window[at]
        if w < 0 or is_told[at]:
            continue
        for entry in range(first[at], first[at + 1]):
            g = group[entry]
            if stats[g, 0] == 0:
                touched[n] = g
                n += 1
                stats[g, 1] = n_tokens[g]
                stats[g, 3] = (n_contexts[g] - inside[g]) * FALSE_SHARE
            stats[g, 0] += 1
            if state[w] == ACTIVE and last[g] != stamp + w:
                last[g] = stamp + w
                stats[g, 2] += 1
    return n


@compiled()
def _clear(stats, touched, n):
    for t in range(n):
        for s in range(4):
            stats[touched[t], s] = 0


@compiled()
def _take_best(best, kind, size, groups, c):
    """Makes the best condition the `c`-th of a clause; False where there is none. It is
    not among the best any more."""
    good, n, its_groups = best
    top = 0
    for other in range(1, len(good)):
        if good[other] > good[top]:
            top = other
    if good[top] < 0:
        return False
    good[top] = -1.0
    kind[c], size[c] = top, n[top]
    for m in range(n[top]):
        groups[c, m] = its_groups[top, m]
    return True


@compiled()
def _tokens_in(groups, n_groups, half, is_told, matching):
    """Writes the tokens of the first `n_groups` of `groups` that are not told yet, in
    the text's order; returns how many there are."""
    first, tokens = half[3], half[4]
    n = 0
    for m in range(n_groups):
        begin, end = first[groups[m]], first[groups[m] + 1]
        n_new = 0
        for p in range(begin, end):
            n_new += not is_told[tokens[p]]
        before, at = n - 1, n + n_new - 1
        for p in range(end - 1, begin - 1, -1):
            if is_told[tokens[p]]:
                continue
            while before >= 0 and matching[before] > tokens[p]:
                matching[at] = matching[before]
                before, at = before - 1, at - 1
            matching[at] = tokens[p]
            at -= 1
        n += n_new
    return n


@compiled()
def _keep_those_in(groups, n_groups, seen, mark, matching, n):
    """Of the first `n` tokens keeps those in one of the groups; returns how many."""
    first, group = seen
    for m in range(n_groups):
        mark[groups[m]] = 1
    n_kept = 0
    for t in range(n):
        at = matching[t]
        is_in = 0
        for entry in range(first[at], first[at + 1]):
            is_in |= mark[group[entry]]
        if is_in:
            matching[n_kept] = at
            n_kept += 1
    for m in range(n_groups):
        mark[groups[m]] = 0
    return n_kept


@compiled()
def learn(first, position, value, seen, half, kinds, costs, rules):
    """The best clauses of every feature on the tokens to learn from.

    half: (window, n_tokens, n_contexts, first, tokens, contexts' first, groups). window
    [n]: the context of each token, -1 for none; n_tokens, n_contexts [n_groups]: of the
    tokens to learn from, and contexts, those in each group; first [n_groups + 1],
    tokens: the tokens of each group; first [contexts + 1], groups: those in each
    context. kinds: (kind [n_groups], cost, family, begins, unites): what each group
    is of; what a condition has to gain by being of a kind; conditions of one clause
    are of different families; whether a clause may begin with it; how many of its
    groups are united, where a token is in several (0 where it is in one). costs:
    (f1_share, condition_cost, min_gain).

    Writes rules: (kind, n, groups, hits, strength): kind, n [features, n_clauses,
    n_conditions] (n 0: none); groups, hits [..., most]: which, and how often the
    feature fires there; strength [features, n_clauses]: the sum of its activations
    there.
    """
    window, n_in = half[0], half[1]
    context_first, context_group = half[5], half[6]
    _, kind_cost, family, begins, _ = kinds
    rule_kind, rule_n, rule_groups, rule_hits, rule_strength = rules
    f1_share, condition_cost, min_gain = costs
    n_groups, n_windows, n_kinds = len(n_in), len(context_first) - 1, len(kind_cost)
    n_clauses, n_conditions, most = rule_groups.shape[1:]
    strength = np.zeros(len(window), np.float32)
    is_told = np.zeros(len(window), np.bool_)
    state = np.empty(n_windows, np.int8)
    inside = np.empty(n_groups, np.int32)
    last = np.full(n_groups, -1, np.int64)
    touched = np.empty(n_groups, np.int32)
    mark = np.zeros(n_groups, np.int32)
    stats = np.zeros((n_groups, 4))
    base, sums = np.empty(4), np.empty(4)
    matching = np.empty(len(window), np.int32)
    told = np.empty(len(window), np.int32)
    drawn = (
        np.empty(len(window), np.int32),
        np.empty((len(window), 4)),
        np.empty(len(window), np.bool_),
    )
    best = (
        np.empty(n_kinds),
        np.zeros(n_kinds, np.int32),
        np.empty((n_kinds, most), np.int32),
    )
    clause_kind = np.empty((N_BEGINNINGS, n_conditions), np.int32)
    clause_n = np.empty((N_BEGINNINGS, n_conditions), np.int32)
    clause_groups = np.empty((N_BEGINNINGS, n_conditions, most), np.int32)
    is_open = np.empty(n_kinds, np.bool_)
    stamp = 0
    for j in range(len(first) - 1):
        own = position[first[j] : first[j + 1]]
        state[:] = QUIET
        n_positive, n_active = 0, 0
        for p in range(len(own)):
            strength[own[p]] = value[first[j] + p]
            w = window[own[p]]
            if w >= 0:
                n_positive += 1
                n_active += state[w] == QUIET
                state[w] = ACTIVE
        n_quiet = n_windows - n_active
        stake = (base, float(n_positive), float(n_active), float(n_quiet), f1_share)
        inside[:] = 0
        for w in range(n_windows):
            if state[w] == ACTIVE:
                for entry in range(context_first[w], context_first[w + 1]):
                    inside[context_group[entry]] += 1
        base[:] = 0
        score = (1 - f1_share) / 2
        for clause in range(n_clauses if n_positive >= MIN_HITS else 0):
            n = _sum_all(
                seen, half, state, is_told, own, inside, stats, touched, last, stamp
            )
            stamp += n_windows
            _best_conditions(touched, n, stats, stake, kinds, begins, best)
            _clear(stats, touched, n)
            top, top_cost, top_head, top_n, n_told = score + min_gain, 0.0, 0, 0, 0
            heads = 0
            while heads < N_BEGINNINGS and _take_best(
                best, clause_kind[heads], clause_n[heads], clause_groups[heads], 0
            ):
                heads += 1
            for head in range(heads):
                kind, size = clause_kind[head], clause_n[head]
                groups = clause_groups[head]
                n_left = _tokens_in(groups[0], size[0], half, is_told, matching)
                cost = 0.0
                for c in range(n_conditions):
                    cost += kind_cost[kind[c]]
                    cost += GROUP_COST * (size[c] - 1)
                    cost += condition_cost * (c > 0)
                    for s in range(4):
                        sums[s] = base[s]
                    _add_told(matching, n_left, strength, window, state, sums)
                    good = _good(stake, sums[0], sums[1], sums[2], sums[3])
                    if good - cost > top:
                        top, top_cost, top_head, top_n = good - cost, cost, head, c + 1
                        n_told = n_left
                        for t in range(n_left):
                            told[t] = matching[t]
                    if c + 1 == n_conditions or n_left == sums[0] - base[0]:
                        break
                    for other in range(n_kinds):
                        is_open[other] = True
                        for before in range(c + 1):
                            if family[other] == family[kind[before]]:
                                is_open[other] = False
                    n_drawn = _draw(matching, n_left, strength, window, state, drawn)
                    n = _sum_drawn(seen, drawn, n_drawn, stats, touched)
                    _best_conditions(touched, n, stats, stake, kinds, is_open, best)
                    _unite(
                        touched,
                        n,
                        stats,
                        stake,
                        kinds,
                        is_open,
                        seen,
                        drawn,
                        n_drawn,
                        best,
                    )
                    _clear(stats, touched, n)
                    if not _take_best(best, kind, size, groups, c + 1):
                        break
                    n_left = _keep_those_in(
                        groups[c + 1], size[c + 1], seen, mark, matching, n_left
                    )
            if top_n == 0:
                break
            score = top + top_cost
            _add_told(told, n_told, strength, window, state, base)
            for c in range(top_n):
                rule_kind[j, clause, c] = clause_kind[top_head, c]
                rule_n[j, clause, c] = clause_n[top_head, c]
                for m in range(clause_n[top_head, c]):
                    g = clause_groups[top_head, c, m]
                    rule_groups[j, clause, c, m] = g
                    mark[g] = c * most + m + 1
            for t in range(n_told):
                at = told[t]
                is_told[at] = True
                w = window[at]
                if state[w] == ACTIVE:
                    state[w] = FOUND
                elif state[w] == QUIET:
                    state[w] = FALSE
                if not strength[at] > 0:
                    continue
                rule_strength[j, clause] += strength[at]
                for entry in range(seen[0][at], seen[0][at + 1]):
                    place = mark[seen[1][entry]] - 1
                    if place >= 0:
                        rule_hits[j, clause, place // most, place % most] += 1
            for c in range(top_n):
                for m in range(rule_n[j, clause, c]):
                    mark[rule_groups[j, clause, c, m]] = 0
        for p in range(len(own)):
            strength[own[p]] = 0
        is_told[:] = False
