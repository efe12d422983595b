"""Instructions and WAL of one call. Started by bench/instructions, which makes the server and has it run under callgrind.

A case is run twice, by one backend each and from the same state: so many calls, and a thousand more. The difference is
what a thousand calls take when the backend's caches are full, from the protocol to the commit. Of many users in one
statement: what each of them takes. Over shards, which are databases here: what the backend that the client has takes, and what those of the
shards do, apart.
"""

import argparse
import os
import pathlib
import re
import sys
import time

from . import cliff, load, rounds, shards
from .catalogue import REDEEM, REFUSE, SET, SHARDS, SHARDS_OTHER
from .database import SqlError, ask, psql

DEFAULT = ("refuse_duplicate", "refuse_sold_out", "redeem_uncapped", "redeem_capped")
GROUPS = (REDEEM, REFUSE, SET, SHARDS, SHARDS_OTHER)
FEW, MANY = 200, 1200
FUNCTION = """
SELECT prosrc FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE nspname = '{schema}' AND proname = 'redeem_coupon' AND proargtypes[0] = 'text'::regtype AND pronargs = 4;
"""
PROXY_FUNCTION = "plproxy_call_handler"
WAL = "SELECT wal_records, wal_bytes FROM pg_stat_wal;"


def database_of(case, addition, calls):
    return f"{case.name}_{addition.name}_{calls}"


def shards_of(case, database):
    server = f"host={os.environ['PGHOST']} port={os.environ['PGPORT']} user={os.environ['PGUSER']}"
    return [f"{server} dbname={database}_{number}" for number in range(case.route.shards)]


def prepare(cases):
    for case, addition in cases:
        for calls in (FEW, MANY):
            database = database_of(case, addition, calls)
            psql("postgres", f"CREATE DATABASE {database};")
            if case.route:
                for number in range(case.route.shards):
                    psql("postgres", f"CREATE DATABASE {database}_{number};")
                shards.make_tables(case.route, database, shards_of(case, database))
            else:
                rounds.make_tables(case, database)
            cliff.add(database, case, addition)


def measure(case, addition, counts):
    few, many = (_run(case, database_of(case, addition, calls), calls, counts) for calls in (FEW, MANY))
    return {what: max(0, many[what] - few[what]) / (MANY - FEW) / case.redemptions_each for what in many}


def _run(case, database, calls, counts):
    script = case.script or case.name
    through = case.route.through if case.route else shards.DIRECTLY
    if case.route and not through:
        database = shards_of(case, database)[0]
    if through:
        function = PROXY_FUNCTION
    else:
        function = "redeem_coupon" in load.text_of(script, case.rival) and ask(database, FUNCTION.format(schema=case.ledger.split(".")[0]))
    seen = set(counts.iterdir())
    before = [int(value) for value in psql(database, WAL)[0]]
    load.fixed_number(database, script, calls, rival=case.rival, options=("--random-seed=1",))
    profile = _profile_of(counts, seen, calls, function if through else "PortalRun")
    on_shards = _on_shards(counts, seen, profile, calls, case.route.shards) if through else 0
    records, size = (int(after) - value for after, value in zip(psql(database, WAL)[0], before))
    return {"backend": _all_of(profile),
            "executor": _inclusive(profile, "PortalRun")[1],
            "function": _inclusive(profile, function)[1] if function else 0,
            "on_shards": on_shards,
            "records": records, "bytes": size}


def _profile_of(counts, seen, calls, function):
    """Of the backend that made the calls, of this function among others. A backend's file is there when its process has ended."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for path in set(counts.iterdir()) - seen:
            profile = path.read_text()
            if "\ntotals: " in profile and min(_inclusive(profile, name)[0] for name in ("PortalRun", function)) >= calls:
                return profile
        time.sleep(0.1)
    raise load.LoadError("no backend that made the calls has left its counts")


def _on_shards(counts, seen, client, calls, number):
    """Of so many backends that PL/Proxy had, which end when the client's does. Each answered its part of the calls; what else there is
    answered a handful."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        profiles = [path.read_text() for path in set(counts.iterdir()) - seen]
        asked = [profile for profile in profiles if profile != client and "\ntotals: " in profile
                 and _inclusive(profile, "PortalRun")[0] > calls // number // 4]
        if len(asked) >= number:
            return sum(map(_all_of, asked))
        time.sleep(0.1)
    raise load.LoadError("not every backend of the shards has left its counts")


def _all_of(profile):
    return int(re.search(r"^(?:totals|summary): (\d+)", profile, re.MULTILINE).group(1))


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
    print("| call | whole backend | in the executor | in the function | the shards' backends | WAL records | WAL bytes |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for title, cost in measured:
        function, on_shards = (f"{cost[what]:,.0f}" if cost[what] else "" for what in ("function", "on_shards"))
        print(f"| {title} | {cost['backend']:,.0f} | {cost['executor']:,.0f} | {function} | {on_shards} "
              f"| {cost['records']:.2f} | {cost['bytes']:.0f} |", flush=True)


def _find(parser, name, addition=cliff.NOTHING.name):
    case = {case.name: case for group in GROUPS for case in group.cases if not case.redis}.get(name)
    added = {each.name: each for each in cliff.ADDITIONS}.get(addition)
    if not case:
        parser.error(f"{name} is no case of the groups {', '.join(group.name for group in GROUPS)} (scripts/bench --list)")
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
