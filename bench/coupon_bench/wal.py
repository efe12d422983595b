"""WAL per redemption: bytes and records, and which records. One client, so that nothing else is in the log."""

from . import load, rounds
from .catalogue import GROUPS
from .database import SqlError, ask, psql

CASES = ("bare", "redeem_uncapped", "redeem_capped", "plpgsql_uncapped", "plpgsql_capped", "textbook", "guarded_update",
         "refuse_duplicate", "refuse_sold_out", "refuse_not_found", "batch_bare", "batch_uncapped", "batch_capped")
POSITION = "SELECT pg_current_wal_insert_lsn();"
RECORDS = "SELECT wal_records FROM pg_stat_wal;"


def measure(database, settings, progress):
    catalogue = {case.name: case for group in GROUPS for case in group.cases}
    try:
        psql(database, "CREATE EXTENSION IF NOT EXISTS pg_walinspect;")
        inspect = True
    except SqlError:
        inspect = False
    results = []
    for name in CASES:
        case = catalogue[name]
        progress.say(f"WAL: {case.title}")
        rounds.make_tables(case, database)
        transactions = max(2, settings.wal_transactions // case.redemptions_each)
        # The first calls set up what the others find: the counts start after them.
        load.fixed_number(database, name, max(2, transactions // 10), rival=case.rival)
        # The smallest of three counts: autovacuum may write in between.
        counts = [_count(database, case, transactions, transactions * case.redemptions_each, inspect) for _ in range(3)]
        results.append({"name": name, "title": case.title, **min(counts, key=lambda count: count["bytes"])})
    return results


def _count(database, case, transactions, redemptions, inspect):
    start, records = ask(database, POSITION), int(ask(database, RECORDS))
    load.fixed_number(database, case.name, transactions, rival=case.rival)
    end, records_after = ask(database, POSITION), int(ask(database, RECORDS))
    return {
        "redemptions": redemptions,
        "bytes": int(ask(database, f"SELECT pg_wal_lsn_diff('{end}', '{start}');")) / redemptions,
        "records": (records_after - records) / redemptions,
        "types": _types(database, start, end, redemptions) if inspect else None,
    }


def _types(database, start, end, redemptions):
    try:
        rows = psql(database, f"""
            SELECT resource_manager || ' ' || record_type, count(*), sum(record_length + fpi_length)
            FROM pg_get_wal_records_info('{start}', '{end}') GROUP BY 1 ORDER BY 2 DESC, 1;""")
    except SqlError:
        return None
    return [{"type": kind, "records": int(number) / redemptions, "bytes": int(size) / redemptions}
            for kind, number, size in rows]
