"""Runs the cases of a group in rounds, A B C A B C ..., at each number of clients."""

import heapq
import sys

from . import callers, figures, load, redis, rivals, shards
from .database import ask, psql, run_schema

PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


class Progress:
    """Tells on standard error what is being run."""

    def say(self, text):
        print(f"    {text}", file=sys.stderr, flush=True)


def missing(case):
    """What a case needs and is not there; empty if all is."""
    if case.redis and not redis.installed():
        return "Redis is not installed"
    if case.route:
        return shards.missing(case.route)
    return callers.missing(case.asking) if case.asking else ""


def run_group(group, database, settings, progress):
    chosen = [case for case in group.cases if case.name in settings.cases]
    cases = [case for case in chosen if not missing(case)]
    results = {case.name: {} for case in cases}
    for clients in settings.clients_of(group):
        if clients not in settings.clients and clients > _most_clients():
            progress.say(f"{group.title}: left out {clients} clients, for which max_connections is too low")
            continue
        runs = {case.name: [] for case in cases}
        for number in range(1, settings.rounds + 1):
            progress.say(f"{group.title}: {clients} clients, round {number} of {settings.rounds}")
            for case in cases:
                runs[case.name].append(run_case(case, database, clients, settings))
        for case in cases:
            results[case.name][str(clients)] = _summarise(case, runs)
    return {
        "title": group.title,
        "unit": group.unit,
        "waits": group.waits,
        "cases": [{"name": case.name, "title": case.title, "against": list(case.against), "clients": results[case.name]}
                  for case in cases],
        "left_out": [f"{case.title}: {missing(case)}" for case in chosen if missing(case)],
    }


def _most_clients():
    """Of those that max_connections allows, a few look at the server meanwhile."""
    most = ask("postgres", "SELECT current_setting('max_connections')::integer - "
               "current_setting('superuser_reserved_connections')::integer - 3;")
    return int(most)


def make_tables(case, database):
    """Fresh ones, as the case begins with."""
    run_schema(database, case.schema)
    if case.rival:
        rivals.set_up(database, case.rival)


def run_case(case, database, clients, settings, prepare=lambda: None):
    """One run from fresh tables, which `prepare` may change before it starts."""
    if case.redis and case.asking:
        return callers.ask_redis(case.redis, clients, settings)
    if case.redis:
        return redis.benchmark(case.redis, clients, settings.seconds)
    if case.route:
        return shards.run_case(case, database, clients, settings)
    make_tables(case, database)
    prepare()
    rows = f"SELECT count(*) FROM {case.ledger};"
    before = int(ask(database, rows)) if case.ledger else 0
    if case.asking:
        run = callers.ask(database, case.asking, clients, settings)
    else:
        run = load.pgbench(database, case.name, clients, settings.seconds, rival=case.rival, warm_up=settings.warm_up,
                           options=case.options)
    run.per_second *= case.redemptions_each
    added = int(ask(database, rows)) - before if case.ledger else 0
    # That a case did what its name says is read from the ledger. Random users meet each other now and then.
    wanted = run.transactions * case.rows_each
    run.rows_right = abs(added - wanted) <= 0.001 * wanted + 1 and _is_sound(case, database)
    if run.redeemed is not None:
        run.rows_right = run.rows_right and added == run.redeemed
    return run


def _is_sound(case, database):
    return not case.ledger.startswith("guard.") or not psql(database, "SELECT * FROM guard.coupon_guard_verify();")


def _summarise(case, runs):
    mine = runs[case.name]
    others = [other for other in case.against if other in runs]
    latencies = list(heapq.merge(*(run.latencies for run in mine)))
    return {
        "per_second": figures.spread([run.per_second for run in mine]),
        "ratios": {other: figures.ratios([run.per_second for run in mine], [run.per_second for run in runs[other]])
                   for other in others},
        "latency_ms": {**{name: _latency(name, part, latencies, mine) for name, part in PERCENTILES.items()},
                       "samples": len(latencies)},
        "latency_ratios": {other: {name: figures.ratios(_percentiles(name, mine), _percentiles(name, runs[other]))
                                   for name in PERCENTILES} for other in others},
        "latency_distribution": [] if case.redis and not case.asking else figures.distribution(latencies),
        "failed": sum(run.failed for run in mine),
        "ledger_is_right": all(run.rows_right for run in mine),
    }


def _percentiles(name, runs):
    """One of each run; None where it is not known."""
    return [run.percentiles.get(name) or figures.quantile(run.latencies, PERCENTILES[name]) for run in runs]


def _latency(name, part, latencies, runs):
    """Of all runs together; where no latencies are known, the median of what is told of each."""
    if latencies:
        return figures.quantile(latencies, part)
    told = figures.spread([value for value in _percentiles(name, runs) if value is not None])
    return told["median"] if told else None
