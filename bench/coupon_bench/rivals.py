"""What people write by hand: the files of rivals/, whose form rivals/README.md describes. coupon-race runs the same statements."""

import re

from .database import RIVALS, psql

CODE, CAP, BUDGET = "CAPPED", 1_000_000_000, 1_000_000_000_000_000  # too high to be reached in a run
USERS = "\\set user random(1, 1000000000000)\n"


def schema_of(rival):
    """Each has a schema of its own, which the search_path names: drop/for-update is in for_update."""
    return rival.rpartition("/")[2].replace("-", "_")


def sections(rival):
    """The sections of its file, and of shop.sql those that it does not have."""
    found = {}
    for name in ("shop", rival):
        parts = re.split(r"^-- \[(\w+)\]\n", (RIVALS / f"{name}.sql").read_text(encoding="utf-8"), flags=re.MULTILINE)
        found.update(zip(parts[1::2], parts[2::2]))
    return found


def set_up(database, rival):
    schema, text = schema_of(rival), sections(rival)
    coupon = text["coupon"].replace(":code", f"'{CODE}'").replace(":cap", str(CAP)).replace(":budget", str(BUDGET))
    psql(database, f"""
        DROP SCHEMA IF EXISTS {schema} CASCADE;
        CREATE SCHEMA {schema};
        SET search_path = {schema};
        {text["tables"]}{text["rules"]}{coupon}""")


def redeem_script(rival):
    return USERS + sections(rival)["redeem"]
