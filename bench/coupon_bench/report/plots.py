"""The plots, each as one SVG element that needs nothing from outside.

Colour tells the family (the limit, redeem_coupon, what people do today), mark and dashes tell the case; the colours are Okabe
and Ito's, which people who see few colours can tell apart.
"""

import collections
import io
import itertools
import re

import matplotlib

matplotlib.use("svg")
from matplotlib import pyplot, ticker  # noqa: E402  (the backend is chosen first)

LIMIT, OURS, OTHERS = "#000000", "#0072B2", "#D55E00"
PHASE_COLOURS = ("#0072B2", "#009E73", "#D55E00", "#E69F00", "#BBBBBB", "#CC79A7")
SHORTEST = 0.01  # ms; pgbench reads its clock lazily, and calls some answers that come at once 0
MARKS = "osD^vP*X<>ph"
DASHES = ("-", "--", ":", "-.", (0, (8, 2)), (0, (1, 4)), (0, (8, 2, 1, 2, 1, 2)), (0, (4, 4)))  # for each colour anew
PLAIN = ticker.FuncFormatter(lambda value, _: f"{value:,.10g}")
STYLE = {
    "svg.fonttype": "none",  # text stays text: small, and can be searched
    "font.family": "sans-serif", "font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "grid.color": "#dddddd", "axes.axisbelow": True, "legend.frameon": False, "legend.fontsize": 9,
}


def throughput(group):
    """Throughput against clients, with the quartiles as bars."""
    with pyplot.rc_context(STYLE):
        figure, axes = _figure()
        for case, style in _styled(group["cases"]):
            points = [(int(clients), run["per_second"]) for clients, run in case["clients"].items() if run["per_second"]]
            axes.errorbar(
                [clients for clients, _ in points], [spread["median"] for _, spread in points],
                yerr=[[max(0, spread["median"] - spread["lower"]) for _, spread in points],
                      [max(0, spread["upper"] - spread["median"]) for _, spread in points]],
                label=case["title"], capsize=3, **style)
        clients = sorted({int(clients) for case in group["cases"] for clients in case["clients"]})
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.xaxis.set_major_locator(ticker.FixedLocator(clients))
        axes.xaxis.set_minor_locator(ticker.NullLocator())
        axes.xaxis.set_major_formatter(PLAIN)
        _logarithmic_ticks(axes.yaxis)
        axes.set_xlabel("clients")
        axes.set_ylabel(group["unit"])
        return _svg(figure, axes)


def latency(group):
    """Share of the transactions that were answered within a time, at the most clients."""
    with pyplot.rc_context(STYLE):
        figure, axes = _figure()
        for case, style in _styled(group["cases"]):
            if not case["clients"]:
                continue
            points = case["clients"][max(case["clients"], key=int)]["latency_distribution"]
            if points:
                axes.plot([max(value, SHORTEST) for _, value in points], [100 * part for part, _ in points],
                          label=case["title"], **style | {"marker": ""})
        axes.set_xscale("log")
        _logarithmic_ticks(axes.xaxis)
        axes.set_xlabel("latency, ms")
        axes.set_ylabel("% of transactions within it")
        return _svg(figure, axes)


def growth(study):
    return _by_size(study, [("redeem_coupon, no cap", OURS, "o", study["cases"]["growth_redeem"]),
                            ("INSERT ... ON CONFLICT DO NOTHING", LIMIT, "s", study["cases"]["growth_bare"])],
                    "rows", "rows in the ledger before the run")


def coupons(study):
    return _by_size(study, [("redeem_coupon, no cap", OURS, "o", study["sizes"])], "coupons", "coupons")


def _by_size(study, series, key, label):
    with pyplot.rc_context(STYLE):
        figure, axes = _figure()
        for title, colour, mark, sizes in series:
            axes.errorbar([size[key] for size in sizes], [size["per_second"]["median"] for size in sizes],
                          yerr=[[max(0, size["per_second"]["median"] - size["per_second"]["lower"]) for size in sizes],
                                [max(0, size["per_second"]["upper"] - size["per_second"]["median"]) for size in sizes]],
                          label=title, color=colour, marker=mark, capsize=3)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(PLAIN)
        _from_zero(axes)
        axes.set_xlabel(label)
        axes.set_ylabel(f"redemptions/s, {study['clients']} clients")
        return _svg(figure, axes)


def phases(study):
    """One bar a case, divided by what the backends were doing."""
    with pyplot.rc_context(STYLE):
        cases = study["cases"]
        figure, axes = pyplot.subplots(figsize=(10, 0.38 * len(cases) + 1.2))
        axes.grid(False)
        done = [0.0] * len(cases)
        for name, colour in zip(cases[0]["phases"], PHASE_COLOURS):
            shares = [100 * case["phases"][name] for case in cases]
            axes.barh([case["title"] for case in cases], shares, left=done, color=colour, label=name, height=0.7)
            done = [before + share for before, share in zip(done, shares)]
        axes.invert_yaxis()
        axes.set_xlim(0, 100)
        axes.set_xlabel(f"% of the samples, {study['clients']} clients")
        return _svg(figure, axes)


def memory(kinds):
    """Memory of the backend over the calls: flat, or there is a leak."""
    with pyplot.rc_context(STYLE):
        figure, axes = _figure()
        for number, kind in enumerate(kinds):
            looks = kind["looks"][1:]
            axes.plot([look["calls"] for look in looks], [look["contexts_bytes"] / 1024 for look in looks],
                      label=f"{kind['kind']}: memory contexts", color=PHASE_COLOURS[number], marker=MARKS[number])
            if all(look["anonymous_kb"] is not None for look in looks):
                axes.plot([look["calls"] for look in looks], [look["anonymous_kb"] for look in looks],
                          label=f"{kind['kind']}: process", color=PHASE_COLOURS[number], marker=MARKS[number], linestyle="--")
        axes.xaxis.set_major_formatter(PLAIN)
        _from_zero(axes)
        axes.set_xlabel("calls")
        axes.set_ylabel("kB")
        return _svg(figure, axes)


def _figure():
    return pyplot.subplots(figsize=(10, 4.6))


def _styled(cases):
    """Each case with its line."""
    drawn = collections.Counter()
    for case, mark in zip(cases, itertools.cycle(MARKS)):
        colour = _colour(case["name"])
        yield case, {"color": colour, "marker": mark, "linestyle": DASHES[drawn[colour] % len(DASHES)],
                     "alpha": 0.75 if colour == OTHERS else 1}
        drawn[colour] += 1


def _colour(name):
    if name.endswith("bare") or name in ("floor", "select_by_key"):
        return LIMIT
    ours = (name.startswith(("redeem_", "refuse_", "order_", "batch_", "group_", "shards_")) or "_group_" in name or "_futures_" in name
            or name in ("open_uncapped", "open_capped", "open_amount", "open_budget"))
    return OURS if ours else OTHERS


def _logarithmic_ticks(axis):
    """1, 2, 5, 10, ... while there is room for them."""
    lower, upper = axis.get_view_interval()
    axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5) if upper < 10_000 * lower else (1,)))
    axis.set_major_formatter(PLAIN)
    axis.set_minor_locator(ticker.NullLocator())


def _from_zero(axes):
    axes.set_ylim(0, 1.08 * axes.dataLim.y1)
    axes.yaxis.set_major_formatter(PLAIN)


def _svg(figure, axes):
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1))
    text = io.StringIO()
    figure.savefig(text, format="svg", bbox_inches="tight", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    pyplot.close(figure)
    svg = text.getvalue()
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    return _unique_ids(svg[svg.index("<svg"):])


_count = 0


def _unique_ids(svg):
    """Several SVGs share a page, and matplotlib numbers what is in each from 1."""
    global _count
    _count += 1
    return re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>p{_count}-", svg)
