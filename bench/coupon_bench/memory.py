"""Memory of one backend while it answers call after call: it must not grow.

Read from the kernel (anonymous memory of the process) where the server runs on this machine and we may look, and from
the server (the sum of all memory contexts) everywhere.
"""

import pathlib
import re
import subprocess

from .database import psql_command, run_schema

PER_STATEMENT = 1000
LOOKS = 10
CONTEXTS = "SELECT 'contexts', sum(total_bytes), sum(used_bytes) FROM pg_backend_memory_contexts;"

# Each statement redeems for users nobody has seen; the last kind asks for users who have had it.
KINDS = {
    "redeemed, no cap": "SELECT count(*) FROM generate_series({first}, {last}) n, guard.redeem_coupon(n::text, 'UNCAPPED');",
    "redeemed, capped": "SELECT count(*) FROM generate_series({first}, {last}) n, guard.redeem_coupon(n::text, 'CAPPED');",
    "redeemed, 1,000 capped coupons":
        "SELECT count(*) FROM generate_series({first}, {last}) n, guard.redeem_coupon(n::text, (1 + n % 1000)::text);",
    "already redeemed": "SELECT count(*) FROM generate_series(1, 1000) n, guard.redeem_coupon(n::text, 'UNCAPPED');",
}


class Session:
    """One backend, spoken to as long as the object lives."""

    def __init__(self, database):
        self._psql = subprocess.Popen(psql_command(database), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.backend = int(self.ask("SELECT 'pid', pg_backend_pid();", "pid")[0])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._psql.stdin.close()
        self._psql.wait(timeout=60)

    def send(self, text):
        self._psql.stdin.write(text + "\n")
        self._psql.stdin.flush()

    def ask(self, query, first_field):
        """Sends a query whose row starts with this field; returns the fields after it."""
        self.send(query)
        for line in self._psql.stdout:
            field = line.rstrip("\n").split("\t")
            if field[0] == first_field:
                return field[1:]
        raise RuntimeError("psql ended early")


def _anonymous_kilobytes(backend):
    process = pathlib.Path("/proc") / str(backend)
    try:
        if not (process / "comm").read_text().startswith("postgres"):
            return None
        return int(re.search(r"^Anonymous:\s+(\d+) kB", (process / "smaps_rollup").read_text(), re.MULTILINE).group(1))
    except (OSError, AttributeError):
        return None


def measure(database, settings, progress):
    results = []
    for kind, statement in KINDS.items():
        progress.say(f"Memory of a backend, {settings.memory_calls:,} calls: {kind}")
        run_schema(database, ("guard", "guard_many"))
        with Session(database) as session:
            session.send("SET synchronous_commit = off;")
            looks, calls = [], 0
            for look in range(LOOKS + 1):
                target = max(PER_STATEMENT, settings.memory_calls * look // LOOKS)
                while calls < target:
                    session.send(statement.format(first=calls + 1, last=calls + PER_STATEMENT))
                    calls += PER_STATEMENT
                total, used = session.ask(CONTEXTS, "contexts")
                looks.append({"calls": calls, "anonymous_kb": _anonymous_kilobytes(session.backend),
                              "contexts_bytes": int(total), "used_bytes": int(used)})
        results.append({"kind": kind, "looks": looks})
    return results
