"""Numbers as people read them; the same in both reports."""


def number(value):
    if value is None:
        return "–"
    if value >= 1000:
        return f"{round(value, -1 if value < 10000 else -2):,.0f}"
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}"


def rate(spread):
    """Median and quartiles of a throughput."""
    if spread is None:
        return "–"
    return f"{number(spread['median'])} ({number(spread['lower'])}–{number(spread['upper'])})"


def ratio(spread):
    if spread is None:
        return "–"
    digits = 1 if spread["median"] >= 10 else 2
    return f"{spread['median']:.{digits}f} ({spread['lower']:.{digits}f}–{spread['upper']:.{digits}f})"


def percent(part):
    return f"{100 * part:.0f} %"


def clients(number):
    return "1 client" if number == 1 else f"{number} clients"


def rounds(number):
    return "1 round" if number == 1 else f"{number} interleaved rounds"
