"""Fuzzes the extension on the server of the PG* variables; databases of its own are made and dropped. Needs a superuser.

Prints a line a round and what was met; the exit status is 1 if there was a find.
"""

import argparse
import collections
import multiprocessing
import queue
import random
import sys
import time

import psycopg2

from . import world
from .catalog import Catalog
from .session import Session, connect

# A statement ends by its timeout; who does not for much longer does not listen. (On a machine with too much to do, a minute is nothing.)
PATIENCE = 300


def arguments():
    parser = argparse.ArgumentParser(prog="sql_fuzzer", description=__doc__)
    parser.add_argument("--seed", type=int, default=None, help="of the first round; those that follow have the next numbers")
    parser.add_argument("--seconds", type=float, default=10, help="how long in all")
    parser.add_argument("--round-seconds", type=float, default=60, help="how long a round, each with a database of its own")
    parser.add_argument("--sessions", type=int, default=2, help="connections at once; with one a seed is the same in every run")
    parser.add_argument("--transactions", type=int, default=None, help="of each session in a round, instead of a time")
    return parser.parse_args()


def asker(connection):
    def ask(sql):
        with connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall() if cursor.description else []
    return ask


def play_session(database, seed, number, until, transactions, is_alone, answers):
    catalog = Catalog(asker(connect(database)))
    session = Session(database, seed, number, catalog)
    try:
        session.play(until, transactions, is_alone)
    except BaseException as error:  # of the fuzzer itself: that is a find too, or it would be silent
        session.finds.append(f"session {number}: {type(error).__name__}: {error}; last: {session.said[-1:]}")
    answers.put((session.tally, session.writer.called, session.finds))


class Round:
    """A database with its sessions."""

    def __init__(self, seed, options, until):
        self.seed, self.options, self.until = seed, options, until
        self.encoding = random.Random(seed).choice(world.ENCODINGS)
        self.database = "fuzz"
        self.tally, self.called, self.finds = collections.Counter(), collections.Counter(), []

    def play(self):
        ask = asker(connect("postgres"))
        world.make_roles(ask)
        world.make_database(ask, self.database, self.encoding)
        try:
            in_database = asker(connect(self.database))
            world.furnish(in_database)
            self.catalog = Catalog(in_database)
            world.add_wrappers(in_database, self.catalog)
        except psycopg2.Error as error:
            self.finds.append(f"the database cannot be made: {error}")
            return self
        self.play_sessions()
        try:
            self.judge()
        except psycopg2.Error as error:
            self.finds.append(f"the server is not asked: {error}")
        return self

    def play_sessions(self):
        answers = multiprocessing.Queue()
        processes = [multiprocessing.Process(target=play_session, args=(self.database, self.seed, i, self.until, self.options.transactions, self.options.sessions == 1, answers))
                     for i in range(self.options.sessions)]
        for process in processes:
            process.start()
        for _ in processes:
            try:
                tally, called, finds = answers.get(timeout=max(1, self.until - time.monotonic()) + PATIENCE)
            except queue.Empty:
                self.finds.append("a session does not come to an end: " + self.activity())
                break
            self.tally.update(tally)
            self.called.update(called)
            self.finds += finds
        for process in processes:
            process.join(1)
            process.kill()

    def activity(self):
        ask = asker(connect("postgres"))
        return str(ask("SELECT pid, state, wait_event, pg_blocking_pids(pid), left(query, 500) FROM pg_stat_activity WHERE datname = 'fuzz'"))

    def judge(self):
        """Nothing that was committed may break an invariant. How a user was spelled hangs on settings that changed."""
        ask = asker(connect(self.database))
        for (name,) in ask("SELECT gid FROM pg_prepared_xacts WHERE database = current_database()"):
            ask(f"ROLLBACK PREPARED '{name}'")
        ask("SET coupon_guard.user_id_type = 'text'")
        self.finds += [f"coupon_guard_verify(): {row}" for row in ask("SELECT * FROM promo.coupon_guard_verify()")]
        never = {f.name for f in self.catalog.callable_functions()} - {name for name, count in self.called.items() if count}
        if never and not self.finds:
            self.finds.append(f"never called: {', '.join(sorted(never))}")
        self.tally["redemptions in the ledger"] += ask("SELECT count(*) FROM promo.coupon_redemption")[0][0]


def main():
    options = arguments()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1_000_000_000)
    end = time.monotonic() + options.seconds
    tally, called, rounds = collections.Counter(), collections.Counter(), 0
    while time.monotonic() < end or rounds == 0:
        print(f"# seed {seed}", flush=True)
        played = Round(seed, options, min(end, time.monotonic() + options.round_seconds)).play()
        tally.update(played.tally)
        called.update(played.called)
        rounds, seed = rounds + 1, seed + 1
        print(f"#   {played.encoding}: {played.tally['transactions']} transactions, {played.tally['succeeded']} statements succeeded", flush=True)
        if played.finds:
            print("\n".join(f"FIND, seed {played.seed}: {find}" for find in played.finds))
            break
    print(f"# {rounds} rounds, {sum(called.values())} calls")
    for name, count in sorted(tally.items()):
        print(f"#   {name}: {count}")
    for name, count in sorted(called.items()):
        print(f"#   calls of {name}: {count}")
    return 1 if played.finds else 0


if __name__ == "__main__":
    sys.exit(main())
