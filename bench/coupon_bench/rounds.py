"""Runs the cases of a group in rounds, A B C A B C ..., at each number of clients."""

import heapq
import sys

from . import figures, load, redis, rivals
from .database import ask, psql, run_schema


class Progress:
    """Tells on standard error what is being run."""

    def say(self, text):
        print(f"    {text}", file=sys.stderr, flush=True)


def run_group(group, database, settings, progress):
    cases = [case for case in group.cases if case.name in settings.cases and (not case.redis or redis.installed())]
    results = {case.name: {} for case in cases}
    for clients in settings.clients:
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
        "cases": [{"name": case.name, "title": case.title, "against": list(case.against), "clients": results[case.name]}
                  for case in cases],
        "left_out": [f"{case.title}: Redis is not installed" for case in group.cases
                     if case.name in settings.cases and case.redis and not redis.installed()],
    }


def make_tables(case, database):
    """Fresh ones, as the case begins with."""
    run_schema(database, case.schema)
    if case.rival:
        rivals.set_up(database, case.rival)


def run_case(case, database, clients, settings, prepare=lambda: None):
    """One run from fresh tables, which `prepare` may change before it starts."""
    if case.redis:
        return redis.run(case.redis, clients, settings.seconds)
    make_tables(case, database)
    prepare()
    rows = f"SELECT count(*) FROM {case.ledger};"
    before = int(ask(database, rows)) if case.ledger else 0
    run = load.pgbench(database, case.name, clients, settings.seconds, rival=case.rival, warm_up=settings.warm_up,
                       options=case.options)
    run.per_second *= case.redemptions_each
    added = int(ask(database, rows)) - before if case.ledger else 0
    # That a case did what its name says is read from the ledger. Random users meet each other now and then.
    wanted = run.transactions * case.rows_each
    run.rows_right = abs(added - wanted) <= 0.001 * wanted + 1 and _is_sound(case, database)
    return run


def _is_sound(case, database):
    return not case.ledger.startswith("guard.") or not psql(database, "SELECT * FROM guard.coupon_guard_verify();")


def _summarise(case, runs):
    mine = runs[case.name]
    latencies = list(heapq.merge(*(run.latencies for run in mine)))
    return {
        "per_second": figures.spread([run.per_second for run in mine]),
        "ratios": {other: figures.ratios([run.per_second for run in mine], [run.per_second for run in runs[other]])
                   for other in case.against if other in runs},
        "latency_ms": {"p50": figures.quantile(latencies, 0.5), "p95": figures.quantile(latencies, 0.95),
                       "p99": figures.quantile(latencies, 0.99), "samples": len(latencies)},
        "latency_distribution": [] if case.redis else figures.distribution(latencies),
        "failed": sum(run.failed for run in mine),
        "ledger_is_right": all(run.rows_right for run in mine),
    }
