"""What a shop adds to the ledger, and what redeeming then costs: an index, a column, a trigger, a foreign key ...

The extension writes rows of its own ledger the short way; whatever it does not know makes it go the executor's. So one
addition at a time, beside the ledger as it was made, in the same round. The bare INSERT into a copy with the same addition
tells what the addition costs anyway.
"""

import dataclasses

from . import figures, rounds
from .catalogue import BARE_SCHEMA, GROUPS
from .database import psql


@dataclasses.dataclass(frozen=True)
class Addition:
    name: str
    title: str
    statements: str = ""    # {ledger}: the ledger, {schema}: the schema that it is in


NOTHING = Addition("nothing", "the ledger as it was made")
TRIGGER = """
CREATE FUNCTION {{schema}}.note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER note AFTER {event} ON {{ledger}} FOR EACH ROW EXECUTE FUNCTION {{schema}}.note();
"""
ADDITIONS = (
    NOTHING,
    Addition("index", "a B-tree index", "CREATE INDEX ON {ledger} (redeemed_at);"),
    Addition("column", "a nullable column", "ALTER TABLE {ledger} ADD channel text;"),
    Addition("default", "a column with a default", "ALTER TABLE {ledger} ADD channel text NOT NULL DEFAULT 'web';"),
    Addition("check", "a CHECK", "ALTER TABLE {ledger} ADD CHECK (length(user_id) < 100);"),
    Addition("insert_trigger", "a row trigger AFTER INSERT", TRIGGER.format(event="INSERT")),
    Addition("update_trigger", "a row trigger AFTER UPDATE", TRIGGER.format(event="UPDATE")),
    Addition("key_to", "a foreign key to the ledger", "CREATE TABLE {schema}.orders (redemption_id bigint REFERENCES {ledger});"),
    Addition("key_from", "a foreign key from the ledger, to coupon",
             "ALTER TABLE {ledger} ADD FOREIGN KEY (coupon_id) REFERENCES guard.coupon;"),
    Addition("gin", "a GIN index on metadata", "CREATE INDEX ON {ledger} USING gin (metadata);"),
)
CASES = ("redeem_uncapped", "redeem_capped", "bare")


def add(database, case, addition):
    psql(database, addition.statements.format(ledger=case.ledger, schema=case.ledger.split(".")[0]))


def measure(database, settings, progress):
    catalogue = {case.name: case for group in GROUPS for case in group.cases}
    cases = [dataclasses.replace(catalogue[name], schema=BARE_SCHEMA) for name in CASES]
    clients = max(settings.clients)
    runs = {(addition.name, case.name): [] for addition in ADDITIONS for case in cases}
    for number in range(1, settings.rounds + 1):
        progress.say(f"What shops add to the ledger: {clients} clients, round {number} of {settings.rounds}")
        for addition in ADDITIONS:
            for case in cases:
                runs[addition.name, case.name].append(rounds.run_case(
                    case, database, clients, settings, prepare=lambda case=case, addition=addition: add(database, case, addition)))
    per_second = {key: [run.per_second for run in those] for key, those in runs.items()}
    return {
        "clients": clients,
        "additions": [{"name": addition.name, "title": addition.title, "cases": {
            case.name: {"per_second": figures.spread(per_second[addition.name, case.name]),
                        "to_plain": figures.ratios(per_second[addition.name, case.name], per_second[NOTHING.name, case.name]),
                        "ledger_is_right": all(run.rows_right for run in runs[addition.name, case.name])}
            for case in cases}} for addition in ADDITIONS],
    }
