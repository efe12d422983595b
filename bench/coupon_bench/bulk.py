"""A million single-use codes in one INSERT, against the same table without the extension's triggers."""

import time

from . import figures
from .database import ask, psql, run_schema

FILL = """
INSERT INTO {table} (code, max_redemptions)
SELECT 'CODE-' || upper(substr(md5(number::text), 1, 12)), 1 FROM generate_series(1, {codes}) number;
"""
TABLES = (("with the extension's triggers", "guard.coupon"), ("without", "plain.coupon"))


def measure(database, settings, progress):
    seconds = {name: [] for name, _ in TABLES}
    size = {}
    for number in range(1, settings.bulk_rounds + 1):
        progress.say(f"Bulk: {settings.bulk_codes:,} single-use codes, round {number} of {settings.bulk_rounds}")
        run_schema(database, ("guard",))
        psql(database, """
            DROP SCHEMA IF EXISTS plain CASCADE;
            CREATE SCHEMA plain;
            CREATE TABLE plain.coupon (LIKE guard.coupon INCLUDING ALL);""")
        # Each table goes first as often as second: the first fills caches for the other, and leaves it its writes.
        for name, table in TABLES if number % 2 else reversed(TABLES):
            before = int(ask(database, _size_of(table)))
            started = time.monotonic()
            psql(database, FILL.format(table=table, codes=settings.bulk_codes))
            seconds[name].append(time.monotonic() - started)
            size[name] = int(ask(database, _size_of(table))) - before
    psql(database, "DROP SCHEMA plain CASCADE;")
    return {
        "codes": settings.bulk_codes,
        "tables": [{"name": name, "seconds": figures.spread(seconds[name]), "bytes_per_code": size[name] / settings.bulk_codes}
                   for name, _ in TABLES],
        "seconds_ratio": figures.ratios(seconds[TABLES[0][0]], seconds[TABLES[1][0]]),
    }


def _size_of(table):
    """Its quota counts too."""
    quota = " + pg_total_relation_size('guard.coupon_quota')" if table.startswith("guard.") else ""
    return f"SELECT pg_total_relation_size('{table}'){quota};"
