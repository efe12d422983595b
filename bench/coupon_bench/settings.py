"""The command line, and what it means for each study."""

import argparse
import dataclasses
import json
import pathlib

from . import skewed
from .catalogue import GROUPS, STUDIES


@dataclasses.dataclass
class Settings:
    clients: list
    rounds: int
    seconds: int
    warm_up: int
    cases: set
    studies: set
    growth_clients: int
    ledger_rows: list
    coupons: list
    memory_calls: int
    wal_transactions: int
    bulk_codes: int
    multiuse_codes: int
    bulk_rounds: int
    last_codes: int
    skewed_units: int
    has_more: bool  # clients, where a group asks for them

    def clients_of(self, group):
        return sorted({*self.clients, *group.also_at}) if self.has_more else self.clients


def parse(arguments):
    parser = argparse.ArgumentParser(prog="scripts/bench", usage="scripts/bench [OPTION...]", add_help=True,
                                     formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--clients", type=_numbers, metavar="N,N", help="numbers of clients (1,8,32,64; callers also 256)")
    parser.add_argument("--rounds", type=_positive, metavar="N", help="rounds of A B C A B C ... (5)")
    parser.add_argument("--seconds", type=_positive, metavar="N", help="seconds of each run, after 1 s of warm-up (3)")
    parser.add_argument("--cases", type=_names, metavar="NAME,NAME",
                        help="cases, groups (" + ", ".join(group.name for group in GROUPS) + ")\nor studies (" +
                        ", ".join(STUDIES) + ") to run, rather than all;\nwhat a case is compared with is run too")
    parser.add_argument("--ledger-rows", type=_numbers, metavar="N,N", help="sizes for growth (10 thousand to 10 million)")
    parser.add_argument("--quick", action="store_true", help="few rounds, short runs and small tables: minutes, not an hour")
    parser.add_argument("--list", action="store_true", help="list the cases and end")
    parser.add_argument("--self-test", action="store_true",
                        help="run everything for a moment on tiny tables, and check\nthat the reports are complete; judges no time")
    parser.add_argument("--merge", nargs="+", type=_results, metavar="RESULTS.json",
                        help="measure nothing: one report of several runs that each measured a part.\n"
                             "Of what two of them measured, the last one's figures count")
    parser.add_argument("--count-shards", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--results", default="bench/results", help=argparse.SUPPRESS)
    parser.add_argument("--command-line", default="", help=argparse.SUPPRESS)
    parser.add_argument("--commit", default="", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    try:
        return given, _settings(given)
    except ValueError as error:
        parser.error(str(error))


def _settings(given):
    cases, studies = _chosen(given.cases)
    if given.self_test:
        return Settings([2], 1, 1, 0, cases, studies, 2, [100, 1000], [10, 100], 20_000, 200, 2000, 100, 2, 1000, 400, False)
    quick = given.quick
    return Settings(
        clients=given.clients or ([1, 32, 64] if quick else [1, 8, 32, 64]),
        rounds=given.rounds or (3 if quick else 5),
        seconds=given.seconds or (1 if quick else 3),
        warm_up=1,
        cases=cases,
        studies=studies,
        growth_clients=32,
        ledger_rows=given.ledger_rows or ([10_000, 100_000, 1_000_000] if quick else [10_000, 100_000, 1_000_000, 10_000_000]),
        coupons=[10, 1000, 100_000] if quick else [10, 1000, 100_000, 1_000_000],
        memory_calls=100_000 if quick else 1_000_000,
        wal_transactions=1000 if quick else 5000,
        bulk_codes=100_000 if quick else 1_000_000,
        multiuse_codes=2000 if quick else 20_000,
        bulk_rounds=2 if quick else 4,
        last_codes=20_000 if quick else 100_000,
        skewed_units=10_000,
        has_more=not quick and not given.clients,
    )


def shards_of(settings):
    """How many servers that are shards the cases want."""
    numbers = [case.route.shards for group in GROUPS for case in group.cases if case.route and case.name in settings.cases]
    return max(numbers + [skewed.SHARDS] * ("skewed" in settings.studies), default=0)


def _chosen(names):
    """Case names and study names, with what the chosen cases are compared with."""
    every = {case.name: case for group in GROUPS for case in group.cases}
    if not names:
        return set(every), set(STUDIES)
    cases, studies = set(), set()
    groups = {group.name: group for group in GROUPS}
    for name in names:
        if name in groups:
            cases.update(case.name for case in groups[name].cases)
        elif name in every:
            cases.update((name, *every[name].against))
        elif name in STUDIES:
            studies.add(name)
        else:
            raise ValueError(f"no case, group or study is called {name} (--list shows them)")
    return cases, studies


def _positive(text):
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be positive")
    return number


def _numbers(text):
    return sorted({_positive(part) for part in text.split(",")})


def _results(name):
    try:
        return json.loads(pathlib.Path(name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _names(text):
    return [part.strip() for part in text.split(",") if part.strip()]
