"""Medians, quartiles and ratios of what was measured."""

import statistics


def spread(values):
    """Median and quartiles; None for no values."""
    if not values:
        return None
    if len(values) == 1:
        return {"median": values[0], "lower": values[0], "upper": values[0], "values": list(values)}
    lower, median, upper = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": median, "lower": lower, "upper": upper, "values": list(values)}


def ratios(values, others):
    """Pair by pair: what was measured in the same round."""
    return spread([value / other for value, other in zip(values, others) if value is not None and other])


def quantile(ordered, part):
    """Of a sorted list; None if it is empty."""
    if not ordered:
        return None
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))]


def distribution(ordered, points=200):
    """A sorted list thinned to so many evenly spaced quantiles, its last part finer: what a plot needs."""
    if not ordered:
        return []
    parts = [step / points for step in range(points)] + [0.999, 0.9999]
    return [[part, round(quantile(ordered, part), 4)] for part in parts]
