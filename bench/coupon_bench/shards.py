"""A coupon over several servers that are shards: asked directly, through a PL/Proxy function written by hand, or through the router.

The router, and that function, are in the database of the cases. How to reach the shards is told by scripts/bench, a line for each: they
have nothing else to do, and are cleared for each run.
"""

import concurrent.futures
import dataclasses
import functools
import heapq
import os

from . import load
from .database import ask, psql, run_schema

CAP = 1_000_000_000  # too high to be reached in a run
DIRECTLY, PROXY, ROUTER = "", "proxy", "router"
NEEDED = {PROXY: ("plproxy",), ROUTER: ("plproxy", "coupon_guard_router")}

# A part of each cap, and of one that its first user has used up.
SHARE = """
SELECT shards.coupon_guard_set_shard('shard{number}', {number});
INSERT INTO shards.coupon (id, code, max_redemptions, rights) OVERRIDING SYSTEM VALUE
VALUES (1, 'CAPPED', {cap}, {cap} / {shards}), (2, 'SOLD_OUT', {shards}, 1);
SELECT status FROM shards.redeem_coupon(
  (SELECT min(n) FROM generate_series(1, 1000) AS n WHERE hashtext(n::text) & ({shards} - 1) = {partition})::text, 'SOLD_OUT');
ANALYZE shards.coupon, shards.coupon_redemption;
"""
CLUSTER = """
CREATE EXTENSION IF NOT EXISTS plproxy;
DROP EXTENSION IF EXISTS coupon_guard_router;
DROP SCHEMA IF EXISTS shards CASCADE;
DROP SERVER IF EXISTS coupon_guard CASCADE;
CREATE SCHEMA shards;
CREATE SERVER coupon_guard FOREIGN DATA WRAPPER plproxy OPTIONS ({partitions});
CREATE USER MAPPING FOR PUBLIC SERVER coupon_guard;
"""


@dataclasses.dataclass(frozen=True)
class Route:
    """Over how many shards, a power of two, and through what. By hand, a user is on the shard that the router would choose."""
    shards: int
    through: str = DIRECTLY


def servers():
    """How to reach each shard, as libpq wants it."""
    return os.environ.get("COUPON_GUARD_BENCH_SHARDS", "").splitlines()


def missing(route):
    """What is not there to ask so; empty if all is."""
    if len(servers()) < route.shards:
        return "there are no servers that are shards"
    return next((f"{name} is not installed" for name in NEEDED.get(route.through, ()) if name not in _extensions()), "")


@functools.lru_cache
def _extensions():
    return {row[0] for row in psql("postgres", "SELECT name FROM pg_available_extensions;")}


def make_tables(route, database, shards):
    for partition, shard in enumerate(shards):
        run_schema(shard, ("shard",))
        psql(shard, SHARE.format(number=partition + 1, partition=partition, shards=len(shards), cap=CAP))
    if route.through:
        partitions = ", ".join(f"p{number} '{shard}'" for number, shard in enumerate(shards))
        psql(database, CLUSTER.format(partitions=partitions))
        run_schema(database, ("proxy",))
    if route.through == ROUTER:
        psql(database, "CREATE EXTENSION coupon_guard_router SCHEMA shards;")


def run_case(case, database, clients, settings):
    """One run from fresh tables. Directly, the clients are divided over the shards."""
    shards = servers()[:case.route.shards]
    make_tables(case.route, database, shards)
    before = _rows(case, shards)
    if case.route.through:
        loads = [(database, clients)]
    else:
        loads = [(shard, (clients + place) // len(shards)) for place, shard in enumerate(reversed(shards))]
    run = _sum_of([(where, number) for where, number in loads if number], case, settings)
    wanted = run.transactions * case.rows_each
    # Random users meet each other now and then.
    run.rows_right = abs(_rows(case, shards) - before - wanted) <= 0.001 * wanted + 1 and is_sound(case.route, database, shards)
    return run


def _sum_of(loads, case, settings):
    """Of runs at the same time. Through PL/Proxy, each backend connects to each shard when a user of it first comes, and 256 new backends take
    seconds to fill their caches."""
    warm_up = settings.warm_up * (1 + 2 * case.route.shards if case.route.through else 1)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        started = [pool.submit(load.pgbench, where, case.script, clients, settings.seconds, warm_up=warm_up, options=case.options)
                   for where, clients in loads]
        runs = [run.result() for run in started]
    return load.Run(sum(run.per_second for run in runs), sum(run.transactions for run in runs), sum(run.failed for run in runs),
                    list(heapq.merge(*(run.latencies for run in runs))))


def _rows(case, shards):
    return sum(int(ask(shard, f"SELECT count(*) FROM {case.ledger};")) for shard in shards)


def is_sound(route, database, shards):
    """Nothing is found on any shard, nor, where the router knows all users' shards, over all."""
    return (not any(psql(shard, "SELECT * FROM shards.coupon_guard_verify();") for shard in shards)
            and (route.through != ROUTER or not psql(database, "SELECT * FROM shards.verify();")))
