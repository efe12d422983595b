"""The report as one HTML page: style and plots inside, no script, no network."""

import pathlib

import jinja2

from . import plots, tables


def render(results):
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(pathlib.Path(__file__).parent), autoescape=True,
                                     trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    return environment.get_template("page.html").render(
        conditions=tables.conditions(results), tables=tables.all_tables(results), plots=_plots(results))


def _plots(results):
    drawn = []
    for group in results["groups"].values():
        drawn.append((f"{group['title']}: throughput against clients", plots.throughput(group)))
        drawn.append((f"{group['title']}: latency", plots.latency(group)))
    for study, title, draw in (("growth", "Throughput against rows in the ledger", plots.growth),
                               ("coupons", "Throughput against the number of coupons", plots.coupons),
                               ("phases", "Share of time by phase", plots.phases),
                               ("memory", "Memory of one backend", plots.memory)):
        if results.get(study):
            drawn.append((title, draw(results[study])))
    return drawn
