"""Codes in bulk: a million single-use codes in one INSERT, against the same table without the extension's triggers; and what
the quota of thousands of codes for many uses takes; and a million codes at random against an INSERT of as many that are ready.
"""

import time

from . import figures
from .database import ask, checkpoint, psql, run_schema

FILL = """
INSERT INTO {table} (code, max_redemptions)
SELECT 'CODE-' || upper(substr(md5(number::text), 1, 12)), 1 FROM generate_series(1, {codes}) number;
"""
CAP = 100
FILL_MULTIUSE = f"""
INSERT INTO guard.coupon (code, max_redemptions) SELECT 'CODE-' || number, {CAP} FROM generate_series(1, {{codes}}) number;
"""
REDEEM_EACH = """
SELECT count(*) FROM generate_series(1, {codes}) number, guard.redeem_coupon('one'::text, 'CODE-' || number) r WHERE r.status = 'redeemed';
"""
GENERATE = "SELECT count(*) FROM guard.generate_coupons(NULL, {codes}, '????????????');"
READY = "INSERT INTO guard.coupon (code, max_redemptions) SELECT code, 1 FROM ready.codes;"
WAYS = (("generate_coupons", GENERATE), ("INSERT ... SELECT of codes that are ready", READY))
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


def generated(database, settings, progress):
    """The codes that are ready are of the same kind: drawn at random before, so that both fill the index in no order."""
    run_schema(database, ("guard",))
    psql(database, f"""
        DROP SCHEMA IF EXISTS ready CASCADE;
        CREATE SCHEMA ready;
        CREATE TABLE ready.codes AS SELECT code FROM guard.generate_coupons(NULL, {settings.bulk_codes}, '????????????') code;
        ANALYZE ready.codes;""")
    figures_of = {name: {"seconds": [], "bytes": [], "wal": []} for name, _ in WAYS}
    for number in range(1, settings.bulk_rounds + 1):
        progress.say(f"Bulk: {settings.bulk_codes:,} codes at random, round {number} of {settings.bulk_rounds}")
        for name, statement in WAYS if number % 2 else reversed(WAYS):
            run_schema(database, ("guard",))
            checkpoint()
            size, wal = int(ask(database, _size_of("guard.coupon"))), ask(database, "SELECT pg_current_wal_insert_lsn();")
            started = time.monotonic()
            psql(database, statement.format(codes=settings.bulk_codes))
            figures_of[name]["seconds"].append(time.monotonic() - started)
            figures_of[name]["bytes"].append(int(ask(database, _size_of("guard.coupon"))) - size)
            figures_of[name]["wal"].append(int(ask(database, f"SELECT pg_current_wal_insert_lsn() - '{wal}'::pg_lsn;")))
    psql(database, "DROP SCHEMA ready CASCADE;")
    generate, ready = (figures_of[name] for name, _ in WAYS)
    return {
        "codes": settings.bulk_codes,
        "ways": [{"name": name, "seconds": figures.spread(measured["seconds"]),
                  "bytes_per_code": figures.spread(measured["bytes"])["median"] / settings.bulk_codes,
                  "wal_per_code": figures.spread(measured["wal"])["median"] / settings.bulk_codes}
                 for name, measured in figures_of.items()],
        "seconds_ratio": figures.ratios(generate["seconds"], ready["seconds"]),
    }


def multiuse(database, settings, progress):
    """Their quota when they are made, and when each has been redeemed once."""
    codes = settings.multiuse_codes
    progress.say(f"Bulk: {codes:,} codes for {CAP} uses")
    run_schema(database, ("guard",))
    before = _quota(database)
    started = time.monotonic()
    psql(database, FILL_MULTIUSE.format(codes=codes))
    seconds, made = time.monotonic() - started, _quota(database)
    redeemed = int(ask(database, REDEEM_EACH.format(codes=codes)))
    used = _quota(database)
    return {"codes": codes, "cap": CAP, "seconds": seconds, "redeemed": redeemed,
            **{moment: {what: now[what] - before[what] for what in now} for moment, now in (("made", made), ("used", used))}}


def _quota(database):
    rows, size = psql(database, "SELECT count(*), pg_total_relation_size('guard.coupon_quota') FROM guard.coupon_quota;")[-1]
    return {"rows": int(rows), "bytes": int(size)}


def _size_of(table):
    """Its quota counts too."""
    quota = " + pg_total_relation_size('guard.coupon_quota')" if table.startswith("guard.") else ""
    return f"SELECT pg_total_relation_size('{table}'){quota};"
