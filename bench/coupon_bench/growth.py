"""Throughput against the rows in the ledger, and against the number of coupons.

Each size has a database of its own, so that a round can go from one size to the next. Small ledgers are filled anew for
every run: the run itself makes them grow.

Large ones are measured as they are most of the time between two checkpoints: what filling them has left dirty is on disk,
and rows have been added all over them since. Else every row pays for evicting a page that the filling has left dirty, or
for the image of a page in the WAL that only the first change after a checkpoint writes.
"""

from . import figures, load
from .database import checkpoint, psql, run_schema

REFILLED_UP_TO = 100_000

# User ids of ten digits, in an order that looks random (a factor that is prime to the number of rows): pages of the index
# are as full as they become where users come in no order. A run's users have one of these ids and a random suffix, so they
# go anywhere in the index.
FILL = """
SET session_replication_role = replica;
TRUNCATE {ledger};
INSERT INTO {ledger} (coupon_id, user_id, use_no)
SELECT (SELECT id FROM guard.coupon WHERE code = 'UNCAPPED'), 1000000000 + number * 2654435761 % {rows}, 1
FROM generate_series(1, {rows}::bigint) number;
RESET session_replication_role;
ANALYZE {ledger};
"""

# Some rows to each page of the index.
SPREAD = """
SET session_replication_role = replica;
INSERT INTO {ledger} (coupon_id, user_id, use_no)
SELECT (SELECT id FROM guard.coupon WHERE code = 'UNCAPPED'),
  1000000000 + floor(random() * {rows})::bigint || '-' || number, 1 FROM generate_series(1, {rows} / 50) number;
"""

LEDGERS = (("growth_bare", "bare.ledger"), ("growth_redeem", "guard.coupon_redemption"))


def ledger(databases, settings, progress):
    names = {}
    for rows in settings.ledger_rows:
        names[rows] = databases.create(f"rows_{rows}")
        run_schema(names[rows], ("guard", "bare"))
        if rows > REFILLED_UP_TO:
            progress.say(f"Growth: filling two ledgers with {rows:,} rows")
            for _, table in LEDGERS:
                psql(names[rows], FILL.format(ledger=table, rows=rows))
    checkpoint()
    for rows, database in names.items():
        if rows > REFILLED_UP_TO:
            progress.say(f"Growth: adding to {rows:,} rows, all over the index")
            for _, table in LEDGERS:
                psql(database, SPREAD.format(ledger=table, rows=rows))
    runs = {case: {rows: [] for rows in names} for case, _ in LEDGERS}
    for number in range(1, settings.rounds + 1):
        progress.say(f"Growth of the ledger: {settings.growth_clients} clients, round {number} of {settings.rounds}")
        for rows, database in names.items():
            for case, table in LEDGERS:
                if rows <= REFILLED_UP_TO:
                    psql(database, FILL.format(ledger=table, rows=rows))
                runs[case][rows].append(load.pgbench(
                    database, case, settings.growth_clients, settings.seconds, warm_up=settings.warm_up,
                    variables={"rows": rows}).per_second)
    for name in names.values():
        databases.drop(name)
    smallest = min(names)
    return {
        "clients": settings.growth_clients,
        "cases": {case: [{"rows": rows, "per_second": figures.spread(values),
                          "to_smallest": figures.ratios(values, runs[case][smallest])}
                         for rows, values in by_rows.items()] for case, by_rows in runs.items()},
        "redeem_to_bare": [{"rows": rows, "ratio": figures.ratios(runs["growth_redeem"][rows], runs["growth_bare"][rows])}
                           for rows in names],
    }


def coupons(databases, settings, progress):
    names = {}
    for number_of_coupons in settings.coupons:
        names[number_of_coupons] = databases.create(f"coupons_{number_of_coupons}")
        run_schema(names[number_of_coupons], ("guard",))
        progress.say(f"Growth: creating {number_of_coupons:,} coupons")
        psql(names[number_of_coupons],
             f"INSERT INTO guard.coupon (code) SELECT number::text FROM generate_series(1, {number_of_coupons}) number; "
             "ANALYZE guard.coupon;")
    runs = {number_of_coupons: [] for number_of_coupons in names}
    for number in range(1, settings.rounds + 1):
        progress.say(f"Growth of the coupons: {settings.growth_clients} clients, round {number} of {settings.rounds}")
        for number_of_coupons, database in names.items():
            psql(database, "TRUNCATE guard.coupon_redemption;")
            runs[number_of_coupons].append(load.pgbench(
                database, "growth_coupons", settings.growth_clients, settings.seconds, warm_up=settings.warm_up,
                variables={"coupons": number_of_coupons}).per_second)
    for name in names.values():
        databases.drop(name)
    smallest = min(names)
    return {
        "clients": settings.growth_clients,
        "sizes": [{"coupons": number_of_coupons, "per_second": figures.spread(values),
                   "to_smallest": figures.ratios(values, runs[smallest])} for number_of_coupons, values in runs.items()],
    }
