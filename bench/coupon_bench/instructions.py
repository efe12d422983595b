"""Instructions and WAL of one call. Started by bench/instructions, which makes the server and has it run under callgrind.

A case is run twice, by one backend each and from the same state: so many calls, and a thousand more. The difference is
what a thousand calls take when the backend's caches are full, from the protocol to the commit. Of many users in one
statement: what each of them takes.
"""

import argparse
import pathlib
import re
import sys
import time

from . import cliff, load, rounds
from .catalogue import REDEEM, REFUSE, SET
from .database import SqlError, ask, psql

DEFAULT = ("refuse_duplicate", "refuse_sold_out", "redeem_uncapped", "redeem_capped")
GROUPS = (REDEEM, REFUSE, SET)
FEW, MANY = 200, 1200
FUNCTION = """
SELECT prosrc FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE nspname = 'guard' AND proname = 'redeem_coupon' AND proargtypes[0] = 'text'::regtype AND pronargs = 4;
"""
WAL = "SELECT wal_records, wal_bytes FROM pg_stat_wal;"


def database_of(case, addition, calls):
    return f"{case.name}_{addition.name}_{calls}"


def prepare(cases):
    for case, addition in cases:
        for calls in (FEW, MANY):
            database = database_of(case, addition, calls)
            psql("postgres", f"CREATE DATABASE {database};")
            rounds.make_tables(case, database)
            cliff.add(database, case, addition)


def measure(case, addition, counts):
    few, many = (_run(case, database_of(case, addition, calls), calls, counts) for calls in (FEW, MANY))
    return {what: max(0, many[what] - few[what]) / (MANY - FEW) / case.redemptions_each for what in many}


def _run(case, database, calls, counts):
    function = ask(database, FUNCTION) if "redeem_coupon" in load.text_of(case.name, case.rival) else None
    seen = set(counts.iterdir())
    before = [int(value) for value in psql(database, WAL)[0]]
    load.fixed_number(database, case.name, calls, rival=case.rival, options=("--random-seed=1",))
    profile = _profile_of(counts, seen, calls)
    records, size = (int(after) - value for after, value in zip(psql(database, WAL)[0], before))
    return {"backend": int(re.search(r"^(?:totals|summary): (\d+)", profile, re.MULTILINE).group(1)),
            "executor": _inclusive(profile, "PortalRun")[1],
            "function": _inclusive(profile, function)[1] if function else 0,
            "records": records, "bytes": size}


def _profile_of(counts, seen, calls):
    """Of the backend that made the calls. A backend's file is there when its process has ended."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for path in set(counts.iterdir()) - seen:
            profile = path.read_text()
            if "\ntotals: " in profile and _inclusive(profile, "PortalRun")[0] >= calls:
                return profile
        time.sleep(0.1)
    raise load.LoadError("no backend that made the calls has left its counts")


def _inclusive(profile, function):
    """How often it was called, and the instructions of it and of all that it called.

    Of a call, callgrind writes the function called, `cfn=(number) name` (the name at the first mention only), then `calls=`
    how often and from where, and in the next line the place in the caller and the instructions."""
    number = re.search(rf"fn=\((\d+)\) {re.escape(function)}$", profile, re.MULTILINE)
    if not number:
        return 0, 0
    calls = re.findall(rf"^cfn=\({number.group(1)}\).*\ncalls=(\d+) .*\n\S+ (\d+)$", profile, re.MULTILINE)
    return sum(int(often) for often, _ in calls), sum(int(cost) for _, cost in calls)


def report(measured):
    print("| call | whole backend | in the executor | in the function | WAL records | WAL bytes |")
    print("| --- | --- | --- | --- | --- | --- |")
    for title, cost in measured:
        function = f"{cost['function']:,.0f}" if cost["function"] else ""
        print(f"| {title} | {cost['backend']:,.0f} | {cost['executor']:,.0f} | {function} "
              f"| {cost['records']:.2f} | {cost['bytes']:.0f} |", flush=True)


def _find(parser, name, addition=cliff.NOTHING.name):
    case = {case.name: case for group in GROUPS for case in group.cases if not case.redis}.get(name)
    added = {each.name: each for each in cliff.ADDITIONS}.get(addition)
    if not case:
        parser.error(f"{name} is no case of the groups redeem, refuse and set (scripts/bench --list)")
    if not added or (added is not cliff.NOTHING and case.ledger.split(".")[0] not in ("guard", "bare")):
        parser.error(f"{addition} is nothing that can be added to the ledger of {name}: "
                     f"{', '.join(each.name for each in cliff.ADDITIONS)}")
    return case, added


def main():
    parser = argparse.ArgumentParser(prog="bench/instructions", usage="bench/instructions [CASE[+ADDITION]...]")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--prepare", action="store_true")
    parser.add_argument("--counts", type=pathlib.Path)
    parser.add_argument("cases", nargs="*")
    given = parser.parse_args()
    cases = [_find(parser, *name.split("+", 1)) for name in given.cases or DEFAULT]
    try:
        if given.prepare:
            prepare(cases)
        elif given.counts:
            report((case.title if addition is cliff.NOTHING else f"{case.title}; {addition.title}", measure(case, addition, given.counts))
                   for case, addition in cases)
    except (SqlError, load.LoadError) as error:
        print(f"bench/instructions: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
