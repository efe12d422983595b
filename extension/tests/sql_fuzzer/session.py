"""One connection that plays transactions; what it meets is answered to the process that started it."""

import collections
import io
import random
import time

import psycopg2

from . import places, verdict
from .world import ROLES

SEARCH_PATHS = ("promo, public", "public", "''", "shop, promo", "pg_catalog, promo", "pg_temp, promo, pg_catalog")
# Changes of coupons are then taken for replicated ones, which are believed: limits below what is in use, deletions of what is redeemed.
REPLICATES = "session_replication_role = replica"
CLIENT_ENCODINGS = ("UTF8", "UTF8", "LATIN1", "SQL_ASCII", "EUC_JP", "WIN1252")


def connect(database):
    connection = psycopg2.connect(dbname=database)
    connection.autocommit = True
    return connection


class Session:
    def __init__(self, database, seed, number, catalog):
        self.database, self.number = database, number
        self.random = random.Random(f"{seed}/{number}")
        self.writer = places.Writer(self.random, catalog)
        self.settings = catalog.settings
        self.tally = collections.Counter()
        self.finds = []
        self.said = []
        self.connection = connect(database)
        server = self.connection.server_version
        self.writer.parallel_setting = "debug_parallel_query" if server >= 160000 else "force_parallel_mode"
        self.run("SET lock_timeout = '400ms'; SET statement_timeout = '20s'; SET client_min_messages = error; SET temp_file_limit = '200MB'")

    # ---- one statement ---------------------------------------------------------------------------

    def run(self, statement):
        """True if it succeeded. A find ends the session."""
        sql, data = statement if isinstance(statement, tuple) else (statement, None)
        self.said.append(sql)
        try:
            with self.connection.cursor() as cursor:
                if data is not None or sql.startswith("COPY ("):
                    cursor.copy_expert(sql, io.StringIO(data or ""))
                else:
                    cursor.execute(sql)
                    if cursor.description:
                        cursor.fetchall()
            self.tally["succeeded"] += 1
            return True
        except (UnicodeError, ValueError, psycopg2.DataError) as error:
            # Of the driver, which cannot read what the server has sent in the client's encoding.
            return self.take_error(getattr(error, "pgcode", None) or "22021", str(error))
        except psycopg2.Error as error:
            return self.take_error(error.pgcode, str(error))

    def take_error(self, sqlstate, message):
        self.tally[sqlstate or "no SQLSTATE"] += 1
        if self.connection.closed:
            if sqlstate == "57P01" or "due to administrator command" in message:
                self.connection = connect(self.database)
                return False
            self.find(f"the connection is lost: {message}")
        elif verdict.is_find(sqlstate, message):
            self.find(f"{sqlstate}: {message}")
        return False

    def find(self, what):
        self.finds.append("\n    ".join([f"session {self.number}: {what.strip()}", *self.said]))
        raise StopIteration

    # ---- one transaction ---------------------------------------------------------------------------

    def begin(self):
        pick = self.writer.pick
        # Not DEFERRABLE: cancelled in a savepoint while it waits for its snapshot, the next statement fails an assertion of the server's
        # (predicate.c, GetSafeSnapshot), with or without the extension.
        level = pick("READ COMMITTED", "READ COMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE")
        does_damage = False
        self.run(f"BEGIN ISOLATION LEVEL {level}{pick('', '', '', '', '', '', '', '', ' READ ONLY', ' READ ONLY')}")
        for setting in self.settings:
            if self.random.random() < 0.15:
                self.run_in_savepoint(f"SET LOCAL {setting.name} = {self.writer.values.setting(setting)}")
        for probability, setting in (
                (0.1, f"search_path = {pick(*SEARCH_PATHS)}"), (0.05, f"work_mem = '{pick('64kB', '1GB')}'"), (0.05, f"session_replication_role = {pick('local', 'origin')}"), (0.05, REPLICATES),
                (0.05, "row_security = off"), (0.05, "transaction_read_only = on"), (0.08, f"client_encoding = '{pick(*CLIENT_ENCODINGS)}'"), (0.05, f"{self.writer.parallel_setting} = regress"),
                (0.05, f"jit_above_cost = {pick(0, -1)}"), (0.05, f"statement_timeout = '{pick('1ms', '5ms', '20ms')}'"), (0.05, "enable_indexscan = off"), (0.05, "DateStyle = 'SQL, DMY'"), (0.05, "TimeZone = 'Pacific/Apia'"),
                (0.05, f"synchronous_commit = {pick('off', 'on')}"), (0.05, "extra_float_digits = -15"), (0.05, f"check_function_bodies = {pick('off', 'on')}"), (0.05, "plan_cache_mode = force_generic_plan")):
            if self.random.random() < probability:
                self.run_in_savepoint(f"SET LOCAL {setting}")
                does_damage = does_damage or setting == REPLICATES
        if self.random.random() < 0.4:
            self.run(f"SET LOCAL ROLE {self.random.choice(ROLES)}")
        return does_damage

    def run_in_savepoint(self, statement):
        """As psql does with ON_ERROR_ROLLBACK: one error does not end the transaction."""
        self.run("SAVEPOINT one")
        if self.run(statement):
            self.run("RELEASE one")
        else:
            self.run("ROLLBACK TO one")

    def play_scene(self, place):
        self.tally[f"in {place.__name__}"] += 1
        statements = place(self.writer)
        deep = self.random.choice((0, 0, 0, 1, 3, 20))
        for level in range(deep):
            self.run(f"SAVEPOINT deep_{level}")
        for statement in statements:
            self.run_in_savepoint(statement)
        if deep:
            self.run(f"{self.writer.pick('RELEASE', 'ROLLBACK TO')} deep_{self.random.randrange(deep)}")

    def end(self, is_damaged):
        if is_damaged:
            return self.run("ROLLBACK")
        dice = self.random.random()
        if dice > 0.06:
            return self.run("ROLLBACK" if dice < 0.16 else "COMMIT")
        name = f"'{self.database} {self.number}'"
        if self.run(f"PREPARE TRANSACTION {name}"):
            self.run(self.writer.pick(places.plain, places.over_the_ledger)(self.writer)[0])
            self.run(f"{self.writer.pick('COMMIT', 'ROLLBACK')} PREPARED {name}")
        return None

    def play_transaction(self):
        if self.tally["transactions"] % 5 == 0:
            self.said = []
        if self.random.random() < 0.06:
            for statement in self.random.choice(places.ALONE)(self.writer):
                self.run(statement)
            return
        is_damaged = self.begin()
        for _ in range(self.random.choice((1, 1, 2, 3, 6))):
            does_damage = self.random.random() < 0.2
            is_damaged = is_damaged or does_damage
            self.play_scene(self.random.choice(places.DAMAGE if does_damage else places.PLACES))
        self.end(is_damaged)
        self.tally["transactions"] += 1

    def call_each(self):
        """Every function once, that none is left out of a short run."""
        for function in self.writer.functions:
            self.said = []
            self.run(f"SELECT * FROM {self.writer.call(function, self.writer.values.plausible)}")

    def judge(self):
        """What is committed breaks no invariant. How a user was spelled hangs on settings that changed."""
        with self.connection.cursor() as cursor:
            cursor.execute("SET coupon_guard.user_id_type = 'text'; SET statement_timeout = 0; SELECT * FROM promo.coupon_guard_verify()")
            broken = cursor.fetchall()
            cursor.execute("RESET coupon_guard.user_id_type; SET statement_timeout = '20s'")
        if broken:
            self.find(f"coupon_guard_verify(): {broken}")

    def play(self, until, transactions, is_alone):
        """Alone, it judges now and then: then the transaction that broke something is among the last."""
        try:
            self.call_each()
            while time.monotonic() < until and (transactions is None or self.tally["transactions"] < transactions):
                self.play_transaction()
                if is_alone and self.tally["transactions"] % 5 == 0:
                    self.judge()
        except StopIteration:
            pass
        return self
