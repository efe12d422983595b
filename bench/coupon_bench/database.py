"""Databases of our own on the server of the PG* environment variables, spoken to through psql.

psql and not a driver: it is there wherever pgbench is, and nothing here is in a measured path.
"""

import os
import pathlib
import subprocess

HERE = pathlib.Path(__file__).resolve().parent.parent
RIVALS = HERE.parent / "rivals"


class SqlError(Exception):
    """What psql said when a statement failed."""


def psql_command(database):
    return ["psql", "--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1",
            "--field-separator=\t", f"--dbname={database}"]


def psql(database, text, timeout=1800):
    """Runs SQL, one statement after the other; returns the rows of all of them, as lists of text."""
    done = subprocess.run(psql_command(database), input=text, text=True, capture_output=True, timeout=timeout, check=False)
    if done.returncode != 0:
        raise SqlError(done.stderr.strip())
    return [line.split("\t") for line in done.stdout.splitlines() if line]


class Databases:
    """Creates databases with names that nobody else has, and drops them all at the end."""

    def __init__(self):
        self._names = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for name in list(self._names):
            self.drop(name)

    def create(self, purpose):
        name = f"coupon_guard_bench_{os.getpid()}_{purpose}"
        psql("postgres", f"""CREATE DATABASE "{name}" TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C';""")
        self._names.append(name)
        return name

    def drop(self, name):
        psql("postgres", f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE);')
        self._names.remove(name)


def run_schema(database, files):
    """Runs files of bench/schema and rivals that are scripts for psql, in this order."""
    for name in files:
        path = HERE / "schema" / f"{name}.sql"
        psql(database, (path if path.exists() else RIVALS / f"{name}.sql").read_text())


def checkpoint():
    """Now, so that none falls into the measurements that follow, and WAL can be recycled."""
    psql("postgres", "CHECKPOINT;")


def ask(database, query):
    """The one value that a query returns, as text."""
    return psql(database, query)[-1][0]
