"""Which options make the blend, and with which weights. Pure.

The picture must not flutter when votes are close, so what plays has an advantage: its weight counts `1 + margin`
times when the places are given. A newcomer takes a place only when it is that much ahead, and what plays keeps its
place until it is that much below `min_share`. The weights themselves are true shares of the votes.
"""

from collections.abc import Collection, Mapping


def select(
    weights: Mapping[str, float], playing: Collection[str], *, size: int, min_share: float, margin: float
) -> dict[str, float]:
    """The options that are to play, with shares that sum to 1, the largest first; empty when nothing has weight.

    `weights` is in the ballot's order, which decides between equal newcomers. `min_share * size` is at most 1.
    """
    counted = {
        option: weight * (1.0 + margin) if option in playing else weight
        for option, weight in weights.items()
        if weight > 0.0
    }
    ranked = sorted(counted, key=lambda option: (-counted[option], option not in playing))[:size]
    # The smallest leave until the smallest that is left has its share: of the true weights, so that what stays because
    # it plays is not pushed out by the advantage of what came beside it. The largest of n has 1/n at least, and stays.
    while len(ranked) > 1 and counted[ranked[-1]] < min_share * sum(weights[option] for option in ranked):
        ranked.pop()
    total = sum(weights[option] for option in ranked)
    return {option: weights[option] / total for option in sorted(ranked, key=lambda option: -weights[option])}


def differs(new: Mapping[str, float], old: Mapping[str, float], min_change: float) -> bool:
    """Whether it is worth playing `new` in the place of `old`: other options, or a weight that moved enough."""
    return new.keys() != old.keys() or any(abs(new[option] - old[option]) > min_change for option in new)
