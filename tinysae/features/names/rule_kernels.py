"""The inner loops of learning and scoring rules, compiled by numba.

`first`, `position`, `value` are a band of features (`tinysae.features.index.kernels`);
the rest is of `surroundings.Surroundings`. Every token is in one group of a kind, so
the best set of groups is all those that the feature fires on more often than some
share: only that share has to be searched.
"""

import numpy as np

from tinysae.sae.step.kernels.jit import compiled

MIN_HITS = 2
# Of F1: what a rule has to gain by naming a place, a kind that is harder to see, or one
# more group.
PLACE_COST, GROUP_COST = 0.02, 0.0015


@compiled()
def count_groups(group, many_first, many, places, is_learnt, count):
    """count [n_places, n_groups] += the tokens to learn from, by place and group."""
    for at in range(group.shape[1]):
        if not is_learnt[at]:
            continue
        for place in range(count.shape[0]):
            if places[at] >> place & 1:
                for kind in range(group.shape[0]):
                    if group[kind, at] >= 0:
                        count[place, group[kind, at]] += 1
                for entry in range(many_first[at], many_first[at + 1]):
                    count[place, many[entry]] += 1


@compiled()
def learn(
    first,
    position,
    value,
    group,
    many_first,
    many,
    places,
    is_learnt,
    count,
    kind_first,
    kind_cost,
    min_gain,
    n_contexts,
    f1_share,
    rule_kind,
    rule_place,
    rule_n,
    rule_groups,
    rule_hits,
):
    """The best clauses of every feature on the tokens to learn from.

    What is best: `f1_share` of F1, and the rest of how well contexts would be detected,
    where every token that is told wrongly spoils one of `n_contexts`.

    kind_first [all kinds + 1]: where each kind's groups begin, and where the last end.
    kind_cost [all kinds], min_gain: of that measure.
    Writes rule_kind, rule_place, rule_n [features, n_clauses] (rule_n 0: no clause);
    rule_groups, rule_hits [features, n_clauses, most]: which, and how often it fires.
    """
    n_kinds, n_places = group.shape[0], count.shape[0]
    n_clauses, most = rule_n.shape[1], rule_groups.shape[2]
    n_groups = count.shape[1]
    fired = np.zeros((n_places, n_groups), np.float32)
    covered_in = np.zeros((n_places, n_groups), np.int32)
    touched = np.empty(n_groups, np.int32)
    is_covered = np.zeros(group.shape[1], np.bool_)
    for j in range(first.shape[0] - 1):
        n_positive = 0
        for p in range(first[j], first[j + 1]):
            n_positive += is_learnt[position[p]]
            is_covered[position[p]] = False
        total = 0.0
        for p in range(first[j], first[j + 1]):
            total += value[p] * is_learnt[position[p]]
        mean = total / max(n_positive, 1)
        hits, found, score = 0, 0, 0.0
        for clause in range(n_clauses):
            n_touched = 0
            for p in range(first[j], first[j + 1]):
                at = position[p]
                if not is_learnt[at]:
                    continue
                # What it is strongest on comes first, then whatever else it fires on.
                weight = value[p] / mean if clause == 0 else 1.0
                n_many = many_first[at + 1] - many_first[at]
                for which in range(n_kinds + n_many):
                    if which < n_kinds:
                        own = group[which, at]
                        if own < 0:
                            continue
                    else:
                        own = many[many_first[at] + which - n_kinds]
                    if fired[0, own] == 0 and covered_in[0, own] == 0:
                        touched[n_touched] = own
                        n_touched += 1
                    for place in range(n_places):
                        if places[at] >> place & 1:
                            if is_covered[at]:
                                covered_in[place, own] += 1
                            else:
                                fired[place, own] += weight
            names = np.sort(touched[:n_touched])
            best, best_kind, best_place, best_n = score + min_gain, -1, 0, 0
            best_found = 0
            begin = 0
            for kind in range(len(kind_cost)):
                end = begin
                while end < n_touched and names[end] < kind_first[kind + 1]:
                    end += 1
                own = names[begin:end]
                begin = end
                for place in range(n_places):
                    cost = kind_cost[kind] + PLACE_COST * (place > 0)
                    kept = own[fired[place][own] >= MIN_HITS]
                    if len(kept) == 0:
                        continue
                    other = count[place][kept] - covered_in[place][kept]
                    order = np.argsort(-(fired[place][kept] / other))
                    more, all_more = 0.0, 0
                    for n in range(min(len(kept), most)):
                        if kind >= n_kinds:
                            # They overlap: one at a time.
                            more, all_more = 0.0, 0
                        more += fired[place, kept[order[n]]]
                        all_more += other[order[n]]
                        right, told = hits + more, found + all_more
                        wrong = (told - right) / n_contexts
                        detects = (1 + right / n_positive - min(wrong, 1.0)) / 2
                        good = f1_share * 2 * right / (told + n_positive)
                        good += (1 - f1_share) * detects
                        size = 1 if kind >= n_kinds else n + 1
                        good -= cost + GROUP_COST * (size - 1)
                        if good > best:
                            best, best_kind, best_place = good, kind, place
                            best_n = size
                            best_found = all_more
                            if kind >= n_kinds:
                                rule_groups[j, clause, 0] = kept[order[n]]
                                rule_hits[j, clause, 0] = more
                            else:
                                for m in range(n + 1):
                                    which = kept[order[m]]
                                    rule_groups[j, clause, m] = which
                                    rule_hits[j, clause, m] = fired[place, which]
            for t in range(n_touched):
                for place in range(n_places):
                    fired[place, touched[t]] = 0
                    covered_in[place, touched[t]] = 0
            if best_kind < 0:
                break
            rule_kind[j, clause], rule_place[j, clause] = best_kind, best_place
            rule_n[j, clause] = best_n
            for p in range(first[j], first[j + 1]):
                at = position[p]
                if not places[at] >> best_place & 1:
                    continue
                for m in range(best_n):
                    wanted = rule_groups[j, clause, m]
                    if best_kind < n_kinds:
                        if group[best_kind, at] == wanted:
                            is_covered[at] = True
                    else:
                        for entry in range(many_first[at], many_first[at + 1]):
                            if many[entry] == wanted:
                                is_covered[at] = True
            hits, found = 0, found + best_found
            for p in range(first[j], first[j + 1]):
                hits += is_covered[position[p]] and is_learnt[position[p]]
            wrong = min((found - hits) / n_contexts, 1.0)
            score = f1_share * 2 * hits / (found + n_positive)
            score += (1 - f1_share) * (1 + hits / n_positive - wrong) / 2


@compiled()
def score(
    first,
    position,
    value,
    is_scored,
    window,
    n_windows,
    places,
    found_first,
    found_at,
    rule_place,
    rule_n,
    rule_groups,
    n_clauses,
    figures,
):
    """What each feature's first `n_clauses` clauses tell of the other half's tokens.

    found_first [n_groups + 1], found_at: the tokens of each group. Writes figures
    [features, 8]: tokens told and right, told, active; contexts told and active, told,
    active; the activations' sum where told, and their squares' sum.
    """
    told = np.full(len(is_scored), -1, np.int32)
    told_window = np.full(n_windows, -1, np.int32)
    is_active = np.full(n_windows, -1, np.int32)
    for j in range(first.shape[0] - 1):
        for clause in range(n_clauses):
            for m in range(rule_n[j, clause]):
                own = rule_groups[j, clause, m]
                for entry in range(found_first[own], found_first[own + 1]):
                    at = found_at[entry]
                    if (
                        is_scored[at]
                        and told[at] != j
                        and places[at] >> rule_place[j, clause] & 1
                    ):
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
