"""The places that SQL calls a function from.

A place is a function of a Writer that returns the statements of one scene. Those of PLACES write by the extension's functions alone (or
what any shop may write), and may be committed: then coupon_guard_verify() must find nothing. Those of DAMAGE write or change tables as
they like, and are rolled back.
"""

import re

from .values import Values


class Writer:
    """Writes calls, and what they stand in."""

    def __init__(self, random, catalog):
        self.random = random
        self.catalog = catalog
        self.values = Values(random)
        self.functions = catalog.callable_functions()
        self.called = {}

    def pick(self, *choices):
        return self.random.choice(choices)

    def function(self):
        return self.random.choice(self.functions)

    def arguments(self, function, make=None):
        """As they are written in a call: by their places or by name, those with defaults left out now and then."""
        make = make or self.values.of
        count = len(function.types)
        if function.defaults and self.values.chance(0.4):
            count -= self.random.randint(1, function.defaults)
        written = [make(t, a) for t, a in zip(function.types[:count], function.arguments or [""] * count)]
        if function.arguments and self.values.chance(0.25):
            return ", ".join(f"{name} => {value}" for name, value in zip(function.arguments, written))
        return ", ".join(written)

    def call(self, function=None, make=None):
        function = function or self.function()
        self.called[function.name] = self.called.get(function.name, 0) + 1
        schema = "promo." if self.values.chance(0.97) else ""
        return f"{schema}{function.name}({self.arguments(function, make)})"

    def wrapped(self, kind, make=None):
        """A call through one of the wrappers, which take all arguments by their places."""
        number = self.random.randrange(len(self.functions))
        function = self.functions[number]
        self.called[function.name] = self.called.get(function.name, 0) + 1
        make = make or self.values.plausible
        return f"shop.{kind}_{number}({', '.join(make(t, a) for t, a in zip(function.types, function.arguments or [''] * 99))})"

    def constant(self, type_name, argument=""):
        """A value without a query in it, for expressions of definitions."""
        while True:
            value = self.values.plausible(type_name, argument)
            if not re.search(r"SELECT|OVER|clock_timestamp|now|gen_random|tomorrow|1000000|600000|200000", value):
                return value

    def of_columns(self, type_name, argument=""):
        """The columns of shop.orders where they fit."""
        column = {"text": "code", "bigint": "customer"}.get(type_name)
        return column if column and self.values.chance(0.7) else self.constant(type_name, argument)

    def as_text(self, function=None, make=None):
        return f"({self.call(function, make)})::text"

    def expression(self, make=None):
        """Something that a definition could hold."""
        return self.pick(self.as_text, self.as_text, lambda make: self.wrapped("immutable", make), lambda make: self.wrapped("stable", make))(make=make or self.of_columns)

    def table(self, kinds="r"):
        return self.random.choice([t for t in self.catalog.tables if t.kind in kinds])


# ---- queries ---------------------------------------------------------------------------------------

def plain(w):
    return [w.pick("SELECT * FROM {}", "SELECT {}", "SELECT ({}).*", "SELECT count(*) FROM {} x", "SELECT x FROM {} x", "VALUES (({})::text)", "SELECT * FROM {} WITH ORDINALITY",
                   "SELECT row_to_json(x) FROM {} x", "TABLE shop.odd LIMIT 0; SELECT {}").format(w.call())]


def for_many_rows(w):
    call = w.call(make=w.of_columns if w.values.chance(0.6) else None)
    return [w.pick(
        "SELECT {} FROM shop.orders LIMIT 20", "SELECT count(*) FROM shop.orders, LATERAL {} x", "SELECT ({})::text FROM shop.orders WHERE id < 10 ORDER BY 1",
        "SELECT max(({})::text) FROM shop.orders WHERE customer < 4 GROUP BY customer", "SELECT row_number() OVER (ORDER BY ({})::text) FROM shop.orders WHERE id < 8",
        "SELECT * FROM shop.orders WHERE ({})::text > '' AND id < 12", "SELECT DISTINCT ({})::text FROM shop.orders WHERE id < 9", "SELECT * FROM shop.orders LEFT JOIN LATERAL {} x ON true LIMIT 7",
        "SELECT CASE WHEN id % 2 = 0 THEN ({})::text END FROM shop.orders LIMIT 11", "SELECT 1 FROM shop.orders TABLESAMPLE SYSTEM (50) WHERE ({})::text IS NOT NULL LIMIT 3",
        "WITH RECURSIVE r AS (SELECT 1 AS id, 1::bigint AS customer, 'SAVE10' AS code, '' AS note UNION ALL SELECT id + 1, customer + 1, code, ({})::text FROM r WHERE id < 4) TABLE r",
        "SELECT * FROM ROWS FROM ({}, generate_series(1, 2))" if "code" not in call and "customer" not in call else "SELECT {} FROM shop.orders LIMIT 1",
        "EXPLAIN (ANALYZE, BUFFERS, VERBOSE) SELECT {} FROM shop.orders LIMIT 4", "SELECT array_agg(({})::text ORDER BY id) FILTER (WHERE customer = 1) FROM shop.orders WHERE id < 50",
        "WITH x AS MATERIALIZED (SELECT {} AS y FROM shop.orders LIMIT 3), z AS (INSERT INTO shop.orders (note) SELECT y::text FROM x RETURNING id) SELECT count(*) FROM x, z",
        "COPY (SELECT {} FROM shop.orders LIMIT 5) TO STDOUT", "SELECT id FROM shop.orders WHERE id < 5 AND EXISTS (SELECT {}) FOR UPDATE",
    ).format(call)]


def nested(w):
    """One call's answer is another's argument, two in one statement."""
    one, two = w.as_text(), w.call()
    return [w.pick(f"SELECT {two}, {one}", f"SELECT promo.coupon_key({one}), {two}", f"SELECT promo.redeem_coupon({one}, 'SAVE10'), {two}",
                   f"SELECT * FROM {two} a, {w.call()} b", f"SELECT promo.void_redemption(r.redemption_id), ({one}) FROM promo.redeem_coupon({w.values.plausible('bigint', 'user_id')}, 'CAPPED') r",
                   f"SELECT (SELECT {two} LIMIT 1) FROM generate_series(1, 3)", f"SELECT promo.confirm_hold((promo.hold_coupon({w.values.plausible('bigint', 'user_id')}, 'CAPPED', '1 hour')).redemption_id), {two}")]


def prepared(w):
    function = w.function()
    parameters = ", ".join(f"${i + 1}" for i in range(len(function.types)))
    types = ", ".join(t if w.values.chance(0.9) else "unknown" for t in function.types)
    execute = lambda: f"EXECUTE p({', '.join(w.values.of(t, a) for t, a in zip(function.types, function.arguments or [''] * 99))})"
    return [f"PREPARE p({types}) AS SELECT * FROM promo.{function.name}({parameters})" if types else f"PREPARE p AS SELECT promo.{function.name}()",
            *([execute() if types else "EXECUTE p"] * w.random.randint(1, 8)), "DEALLOCATE p"]


def cursor(w):
    declare = w.pick("DECLARE c SCROLL CURSOR FOR", "DECLARE c CURSOR WITH HOLD FOR", "DECLARE c NO SCROLL CURSOR FOR", "DECLARE c INSENSITIVE CURSOR FOR")
    query = w.pick(f"SELECT {w.call()} FROM generate_series(1, 6)", f"SELECT * FROM {w.call()}", f"SELECT {w.call(make=w.of_columns)} FROM shop.orders")
    moves = [w.pick("FETCH 2 FROM c", "FETCH ALL FROM c", "MOVE FORWARD 1 IN c", "FETCH BACKWARD 1 FROM c", "FETCH FIRST FROM c", "SAVEPOINT s", "ROLLBACK TO s", plain(w)[0]) for _ in range(5)]
    return [f"{declare} {query}", "SAVEPOINT s", *moves, "CLOSE c"]


def in_block(w):
    """PL/pgSQL with exception handlers; what must never come is let through."""
    calls = [f"PERFORM {w.as_text()};" for _ in range(w.random.randint(1, 4))]
    handler = "EXCEPTION WHEN OTHERS THEN IF SQLSTATE LIKE 'XX%' THEN RAISE; END IF;"
    block = " ".join(f"BEGIN {c} {w.pick('', '', 'RAISE EXCEPTION USING ERRCODE = ' + chr(39) + 'P0001' + chr(39) + ';')} {handler} END;" for c in calls)
    loop = f"FOR i IN 1 .. {w.random.randint(1, 30)} LOOP {block} END LOOP;"
    return [f"DO $do$ BEGIN {w.pick(block, loop, ' '.join(calls))} END $do$"]


def in_parallel(w):
    """In a worker, behind a function that says that it may be."""
    call = w.wrapped("safe", w.of_columns if w.values.chance(0.5) else None)
    return ["SET LOCAL min_parallel_table_scan_size = 0; SET LOCAL parallel_setup_cost = 0; SET LOCAL parallel_tuple_cost = 0",
            f"SET LOCAL {w.parallel_setting} = {w.pick('on', 'regress')}",
            w.pick("SELECT count({}) FROM shop.orders", "SELECT {}", "SELECT * FROM shop.orders WHERE {} IS NULL", "SELECT {} FROM shop.orders ORDER BY 1 LIMIT 3",
                   "CREATE TEMP TABLE t ON COMMIT DROP AS SELECT {} FROM shop.orders").format(call)]


def in_writes_of_the_shop(w):
    with_columns, without = w.as_text(make=w.of_columns), w.as_text()
    return [w.pick(
        f"UPDATE shop.orders SET note = {with_columns} WHERE id < 6 RETURNING *", f"INSERT INTO shop.orders (code, note) SELECT code, {with_columns} FROM shop.orders WHERE id < 4 RETURNING id",
        f"INSERT INTO shop.orders AS o (id, note) VALUES (1, 'x'), (2, 'y') ON CONFLICT (id) DO UPDATE SET note = {without} WHERE o.id > 1", f"DELETE FROM shop.orders WHERE id > 300 AND {with_columns} IS NOT NULL",
        f"MERGE INTO shop.orders USING generate_series(295, 305) g ON id = g WHEN MATCHED AND g % 2 = 0 THEN UPDATE SET note = {without} WHEN NOT MATCHED THEN INSERT (note) VALUES ('new')",
        f"CREATE TEMP TABLE t ON COMMIT DROP AS SELECT {with_columns} FROM shop.orders LIMIT 5",
    )]


def over_the_ledger(w):
    return [w.pick(
        "SELECT promo.void_redemption(id{}) FROM promo.coupon_redemption ORDER BY id LIMIT 5", "SELECT promo.void_redemption(id, 1::bigint) FROM promo.coupon_redemption WHERE amount > 1 LIMIT 3",
        "SELECT promo.confirm_hold(id) FROM promo.coupon_redemption WHERE hold_expires_at IS NOT NULL LIMIT 3", "SELECT promo.redeem_coupon(user_id, code) FROM promo.coupon_redemption l JOIN promo.coupon c ON c.id = coupon_id LIMIT 9",
        "SELECT promo.void_redemption(max(id)) FROM promo.coupon_redemption", "SELECT promo.check_coupon(user_id, 'CAPPED') FROM promo.coupon_redemption", "SELECT * FROM promo.coupon_usage", "SELECT * FROM promo.campaign_usage",
    ).format(w.pick("", f", {w.values.plausible('text', 'reason')}"))]


def of_the_shopkeeper(w):
    """What a shop does to its coupons."""
    code = w.values.plausible("text", "code")
    return [w.pick(
        f"UPDATE promo.coupon SET max_redemptions = max_redemptions + 1 WHERE code_key = promo.coupon_key({code})", f"UPDATE promo.coupon SET budget = budget + {w.random.randint(0, 99)} WHERE code = {code}",
        f"UPDATE promo.coupon SET max_redemptions = {w.values.of('bigint', 'max_redemptions')} WHERE code = {code}", f"UPDATE promo.coupon SET budget = {w.values.of('bigint', 'budget')} WHERE code = {code}",
        f"UPDATE promo.coupon SET active = NOT active WHERE code = {code}", f"UPDATE promo.coupon SET starts_at = {w.values.of('timestamp with time zone')} WHERE code = {code}",
        f"UPDATE promo.coupon SET terms = {w.values.of('jsonb')} WHERE code = {code}", f"UPDATE promo.coupon SET code = {w.values.of('text', 'code')} WHERE code = {code}",
        f"UPDATE promo.coupon SET stripes = {w.values.of('integer', 'stripes')} WHERE code = {code}", f"UPDATE promo.campaign SET max_redemptions = {w.values.of('bigint', 'max_redemptions')} WHERE id = {w.random.randint(1, 4)}",
        f"UPDATE promo.campaign SET budget = {w.values.of('bigint', 'budget')}, active = true WHERE id = {w.random.randint(1, 4)}", f"INSERT INTO promo.coupon (code, max_redemptions, campaign_id) VALUES ({w.values.of('text', 'code')}, 3, {w.pick('NULL', 1, 2, 3, 99)})",
        f"INSERT INTO promo.campaign (name, max_redemptions) VALUES ({w.values.of('text', 'name')}, {w.values.of('bigint', 'max_redemptions')})", f"DELETE FROM promo.coupon WHERE code = {code}", f"UPDATE promo.coupon SET active = true, starts_at = NULL, expires_at = NULL WHERE id < 15",
        "SELECT * FROM promo.coupon_guard_verify()",
    )]


# ---- damage ------------------------------------------------------------------------------------------

def in_definition(w):
    """In what must be refused, or work: generated columns, defaults, checks, indexes, statistics, domains, partitions."""
    expression = w.expression()
    constant = w.expression(w.constant)
    of_value = re.sub(r"(?<![.])\b(code|customer)\b(?! =>)", "VALUE", expression)
    use = ["INSERT INTO d (customer, code) VALUES (1, 'SAVE10'), (2, 'CAPPED')", "UPDATE d SET code = 'MANY'", "ANALYZE d", "SELECT * FROM d ORDER BY 1"]
    made = w.pick(
        [f"CREATE TEMP TABLE d (customer bigint, code text, g text GENERATED ALWAYS AS ({expression}) STORED)"], [f"CREATE TEMP TABLE d (customer bigint, code text, g text DEFAULT ({constant}))"],
        [f"CREATE TEMP TABLE d (customer bigint, code text, CHECK (({expression}) IS NOT NULL))"], ["CREATE TEMP TABLE d (customer bigint, code text)", "INSERT INTO d VALUES (3, 'SAVE10')", f"CREATE INDEX ON d (({expression}))"],
        ["CREATE TEMP TABLE d (customer bigint, code text)", f"CREATE UNIQUE INDEX ON d (customer) INCLUDE (code) WHERE ({expression}) IS NOT NULL"], ["CREATE TEMP TABLE d (customer bigint, code text)", f"CREATE STATISTICS d_s ON ({expression}), code FROM d"],
        [f"CREATE TEMP TABLE d (customer bigint, code text) PARTITION BY HASH (({expression}))", "CREATE TEMP TABLE d1 PARTITION OF d FOR VALUES WITH (MODULUS 1, REMAINDER 0)"],
        [f"CREATE DOMAIN pg_temp.x AS text CHECK ({of_value} IS NOT NULL)", "CREATE TEMP TABLE d (customer bigint, code pg_temp.x)"],
        ["CREATE TEMP TABLE d AS SELECT 1::bigint AS customer, i::text AS code FROM generate_series(1, 3000) i", "SET LOCAL min_parallel_table_scan_size = 0", f"CREATE INDEX ON shop.orders (({expression}))", f"REINDEX TABLE shop.orders"],
        [f"CREATE MATERIALIZED VIEW d AS SELECT customer, code, {expression} AS g FROM shop.orders WHERE id < 5", "REFRESH MATERIALIZED VIEW d"], [f"CREATE TEMP VIEW d AS SELECT customer, code, {expression} AS g FROM shop.orders WHERE id < 5"],
    )
    return [*made, *use]


def in_policy(w):
    """In row security, of the shop's tables and of the extension's."""
    table = w.pick("shop.orders", w.table().name)
    expression = w.expression() if table == "shop.orders" else w.expression(w.constant)
    return [f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY", f"ALTER TABLE {table} {w.pick('FORCE', 'NO FORCE')} ROW LEVEL SECURITY",
            f"CREATE POLICY p ON {table} {w.pick('', 'AS RESTRICTIVE')} USING (({expression}) IS NOT NULL) WITH CHECK (({expression}) IS NOT NULL)",
            f"SET LOCAL ROLE {w.pick('app', 'shopkeeper', 'reader')}", f"SET LOCAL row_security = {w.pick('on', 'off')}", f"SELECT count(*) FROM {table}", f"UPDATE {table} SET id = id WHERE id < 3", plain(w)[0], plain(w)[0]]


def in_rule(w):
    table = w.pick("shop.orders", "shop.orders", w.table("rv").name)
    event = w.pick("INSERT", "UPDATE", "DELETE")
    return [f"CREATE RULE r AS ON {event} TO {table} DO {w.pick('ALSO', 'INSTEAD')} {w.pick('NOTHING', 'SELECT ' + w.call(), 'SELECT ' + w.call() + ' FROM shop.odd')}", *write(w, table), plain(w)[0]]


def in_trigger(w):
    """A trigger of the shop's that calls, and does things to the row that it should not."""
    table = w.pick("shop.orders", "promo.coupon", "promo.coupon_redemption", "promo.coupon_redemption", "promo.campaign", "promo.coupon_quota")
    columns = next((t.columns for t in w.catalog.tables if t.name == table), ["id", "note"])
    mischief = w.pick("", "", "RETURN NULL;", f"NEW.{w.random.choice(columns)} := NULL;", "RAISE EXCEPTION 'no';", f"DELETE FROM {table};", f"UPDATE {table} SET {columns[-1]} = {columns[-1]};",
                      "IF pg_trigger_depth() < 3 THEN INSERT INTO shop.orders (note) VALUES ('from a trigger'); END IF;")
    body = f"BEGIN IF pg_trigger_depth() < 4 THEN PERFORM {w.as_text()}; {mischief} END IF; RETURN {w.pick('NEW', 'NEW', 'OLD', 'NULL')}; END"
    timing, level = w.pick(("BEFORE", "ROW"), ("AFTER", "ROW"), ("BEFORE", "STATEMENT"), ("AFTER", "STATEMENT"))
    return [f"CREATE FUNCTION pg_temp.f() RETURNS trigger LANGUAGE plpgsql AS $f${body}$f$", f"CREATE TRIGGER {w.pick('a', 'z')} {timing} {w.pick('INSERT', 'UPDATE', 'DELETE', 'INSERT OR UPDATE OR DELETE')} ON {table} FOR EACH {level} EXECUTE FUNCTION pg_temp.f()",
            plain(w)[0], *write(w, table), plain(w)[0], over_the_ledger(w)[0], plain(w)[0]]


def by_the_wrong_trigger(w):
    """The extension's trigger functions, on tables that they are not for."""
    name = w.random.choice(w.catalog.trigger_functions()).name
    table = w.pick("shop.orders", "shop.odd", *[t.name for t in w.catalog.tables])
    timing, level = w.pick(("BEFORE", "ROW"), ("AFTER", "ROW"), ("BEFORE", "STATEMENT"), ("AFTER", "STATEMENT"), ("INSTEAD OF", "ROW"))
    when = w.pick("INSERT", "UPDATE", "DELETE", "TRUNCATE", "INSERT OR UPDATE OR DELETE")
    transition = w.pick("", "", "REFERENCING NEW TABLE AS n", "REFERENCING OLD TABLE AS o")
    event = w.random.choice(w.catalog.event_trigger_functions()).name
    return [w.pick(f"CREATE TRIGGER a {timing} {when} ON {table} {transition} FOR EACH {level} EXECUTE FUNCTION promo.{name}({w.pick('', chr(39) + 'x' + chr(39))})",
                   f"CREATE CONSTRAINT TRIGGER a AFTER {when} ON {table} DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION promo.{name}()",
                   f"CREATE EVENT TRIGGER a ON {w.pick('sql_drop', 'ddl_command_start', 'ddl_command_end', 'table_rewrite')} EXECUTE FUNCTION promo.{event}()"),
            *write(w, table), f"TRUNCATE {table} CASCADE", "CREATE TABLE shop.made (a int)", "ALTER TABLE shop.made ALTER a TYPE text", "DROP TABLE shop.made", "SET CONSTRAINTS ALL IMMEDIATE", f"SELECT promo.{name}()", plain(w)[0]]


def write(w, table):
    """Rows of any kind into a table, by INSERT, UPDATE, DELETE and MERGE."""
    found = [t for t in w.catalog.tables if t.name == table]
    columns, types = (found[0].columns, found[0].types) if found else (["id", "customer", "code", "note"], ["bigint", "bigint", "text", "text"])
    chosen = [i for i in range(len(columns)) if w.values.chance(0.5)] or [0]
    names = ", ".join(columns[i] for i in chosen)
    row = lambda: ", ".join("DEFAULT" if w.values.chance(0.1) else w.values.of(types[i], columns[i]) for i in chosen)
    i = w.random.choice(chosen)
    one = f"{columns[i]} = {w.values.of(types[i], columns[i])}"
    return [w.pick(
        f"INSERT INTO {table} ({names}) VALUES ({row()}), ({row()})", f"INSERT INTO {table} ({names}) VALUES ({row()}) ON CONFLICT DO NOTHING", f"UPDATE {table} SET {one}", f"UPDATE {table} SET {one} WHERE ctid = '(0,1)'",
        f"DELETE FROM {table} WHERE {columns[0]} = 1", f"DELETE FROM {table}", f"MERGE INTO {table} AS t USING generate_series(1, 3) g ON t.{columns[0]} = g WHEN MATCHED THEN UPDATE SET {one} WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({row()})",
        f"INSERT INTO {table} SELECT * FROM {table} LIMIT 3", f"TRUNCATE {table}", f"INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE VALUES ({row()}) RETURNING *", f"SELECT * FROM {table} FOR UPDATE NOWAIT",
    ) for _ in range(w.random.randint(1, 3))]


def write_by_hand(w):
    return [*write(w, w.table("rv").name), plain(w)[0], over_the_ledger(w)[0]]


def copy_by_hand(w):
    """COPY FROM with lines that may be anything."""
    table = w.table()
    chosen = [i for i in range(len(table.columns)) if w.values.chance(0.6)] or [0]
    fields = ("1", "2", "\\N", "x", "", "SAVE10", "-1", "9223372036854775807", "infinity", "294276-12-31 BC", "{}", "c", "t", "\\xff", "\\x00", "NaN", "x" * 3000)
    data = "\n".join("\t".join(w.random.choice(fields) for _ in chosen) for _ in range(w.random.randint(1, 4))) + "\n"
    return [(f"COPY {table.name} ({', '.join(table.columns[i] for i in chosen)}) FROM STDIN", data), plain(w)[0]]


CHANGES = (
    "ALTER TABLE {t} ADD COLUMN own int DEFAULT 7", "ALTER TABLE {t} ADD COLUMN own text GENERATED ALWAYS AS ('x') STORED", "ALTER TABLE {t} SET (fillfactor = 10)", "ALTER TABLE {t} DROP COLUMN {c} CASCADE",
    "ALTER TABLE {t} ALTER {c} DROP NOT NULL", "ALTER TABLE {t} RENAME {c} TO other", "ALTER TABLE {t} RENAME TO other", "ALTER TABLE {t} SET SCHEMA shop", "ALTER TABLE {t} DISABLE TRIGGER ALL", "ALTER TABLE {t} DISABLE TRIGGER USER",
    "ALTER TABLE {t} ENABLE REPLICA TRIGGER ALL", "ALTER TABLE {t} SET UNLOGGED", "ALTER TABLE {t} REPLICA IDENTITY FULL", "ALTER TABLE {t} INHERIT shop.orders", "CREATE TABLE shop.heir () INHERITS ({t})", "CREATE UNIQUE INDEX ON {t} ({c})",
    "CREATE INDEX ON {t} (({c}::text)) WHERE {c} IS NOT NULL", "ALTER TABLE {t} ADD CHECK ({c} IS NULL)", "ALTER TABLE {t} ADD CONSTRAINT e EXCLUDE USING hash (({c}::text) WITH =)", "ALTER TABLE {t} ALTER {c} TYPE text USING {c}::text",
    "ALTER TABLE {t} ALTER {c} SET DEFAULT NULL", "ALTER TABLE {t} ALTER {c} SET STORAGE EXTERNAL", "ALTER TABLE {t} ALTER {c} SET (n_distinct = 3)", "ALTER TABLE {t} OWNER TO app", "REVOKE ALL ON {t} FROM PUBLIC, app, shopkeeper", "VACUUM {t}",
    "CLUSTER {t} USING {n}_pkey", "REINDEX TABLE {t}", "ANALYZE {t}", "TRUNCATE {t} CASCADE", "DROP TABLE {t} CASCADE", "LOCK {t}", "DROP EXTENSION coupon_guard CASCADE", "ALTER EXTENSION coupon_guard DROP TABLE {t}",
    "ALTER EXTENSION coupon_guard SET SCHEMA shop", "ALTER SCHEMA promo RENAME TO other", "ALTER FUNCTION promo.coupon_key(text) RENAME TO other", "ALTER TYPE promo.coupon_status RENAME VALUE 'redeemed' TO 'gone'",
    "ALTER TYPE promo.coupon_status RENAME TO other", "ALTER TYPE promo.coupon_redeem_answer ADD ATTRIBUTE own int", "ALTER TYPE promo.coupon_redeem_answer DROP ATTRIBUTE terms", "ALTER TYPE promo.coupon_check_answer ALTER ATTRIBUTE coupon_id TYPE text",
    "CREATE OR REPLACE FUNCTION promo.coupon_key(code text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT lower($1)'", "ALTER FUNCTION promo.coupon_guard_generation() SET search_path = ''", "ALTER DOMAIN shop.code ADD CHECK (VALUE <> 'x')",
    "ALTER SEQUENCE promo.coupon_redemption_id_seq MAXVALUE 9223372036854775807 RESTART 9223372036854775806", "ALTER SEQUENCE promo.coupon_redemption_id_seq MINVALUE -9 MAXVALUE 1000000 RESTART -3", "DROP EVENT TRIGGER coupon_guard_keep_rows",
    "CREATE PUBLICATION p FOR TABLE {t}", "COMMENT ON TABLE {t} IS 'x'", "ALTER TABLE {t} SET ACCESS METHOD heap", "ALTER TABLE {t} SET TABLESPACE pg_default",
    "ALTER TYPE promo.coupon_guard_returns RENAME TO other", "DROP TYPE promo.coupon_guard_changes CASCADE", "ALTER ROLE app SET coupon_guard.user_id_type = 'bigint'", "CREATE ACCESS METHOD other TYPE TABLE HANDLER heap_tableam_handler",
)


def after_change(w):
    """Definitions of the extension's are changed, then it is called."""
    changes = []
    for _ in range(w.random.randint(1, 2)):
        table = w.table()
        changes.append(w.random.choice(CHANGES).format(t=table.name, n=table.name.split(".")[-1], c=w.random.choice(table.columns)))
    return [plain(w)[0], *changes, *[w.pick(plain, over_the_ledger, of_the_shopkeeper, for_many_rows)(w)[0] for _ in range(4)]]


# Alone, outside a transaction: what ends transactions of its own.
def in_procedure(w):
    calls = "; ".join(f"PERFORM {w.as_text()}; {w.pick('COMMIT', 'ROLLBACK', 'NULL')}" for _ in range(3))
    return [f"DO $do$ BEGIN {calls}; END $do$"]


def several_at_once(w):
    """A query string of several statements is one transaction of its own."""
    return ["; ".join(plain(w)[0] for _ in range(3))]


PLACES = (plain, plain, plain, plain, for_many_rows, for_many_rows, nested, prepared, cursor, in_block, in_block, in_parallel, in_writes_of_the_shop, over_the_ledger, over_the_ledger, of_the_shopkeeper, of_the_shopkeeper)
DAMAGE = (in_definition, in_definition, in_policy, in_rule, in_trigger, in_trigger, by_the_wrong_trigger, write_by_hand, write_by_hand, copy_by_hand, after_change, after_change)
ALONE = (in_procedure, several_at_once)
