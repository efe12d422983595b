"""Where the time goes: what the backends were waiting for, sampled from pg_stat_activity while a case runs.

In runs of their own, so that looking costs no measurement anything. Every look is a transaction of its own: a snapshot
held over the run would keep dead rows alive.
"""

import collections
import subprocess
import tempfile

from . import load, rounds
from .catalogue import GROUPS
from .database import psql_command

CASES = ("bare", "redeem_uncapped", "redeem_capped", "plpgsql_uncapped", "plpgsql_capped", "textbook", "guarded_update",
         "for_update", "serializable", "select_by_key", "refuse_duplicate", "refuse_sold_out", "refuse_not_found")
EVERY = 0.05  # seconds
LOOK = """
SELECT CASE WHEN state = 'active' AND wait_event IS NULL THEN 'CPU' ELSE wait_event_type || ':' || wait_event END, count(*)
FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'pgbench' GROUP BY 1 \\watch %s
"""
PHASES = ("running", "commit to disk", "row and transaction locks", "other locks inside the server", "waiting for the client", "other")


def phase(event):
    """The phase of a wait event, in the words of the page."""
    if event == "CPU":
        return "running"
    if event.startswith("Client:"):
        return "waiting for the client"
    if event in ("IO:WALSync", "IO:WALWrite", "LWLock:WALWrite", "IO:WalSync", "IO:WalWrite", "Timeout:CommitDelay"):
        return "commit to disk"
    if event.startswith("Lock:"):
        return "row and transaction locks"
    if event.startswith(("LWLock:", "BufferPin:", "Timeout:SpinDelay")):
        return "other locks inside the server"
    return "other"


def measure(database, settings, progress):
    catalogue = {case.name: case for group in GROUPS for case in group.cases}
    clients = max(settings.clients)
    results = []
    for name in CASES:
        case = catalogue[name]
        progress.say(f"Phases: {case.title}, {clients} clients")
        rounds.make_tables(case, database)
        with tempfile.TemporaryFile("w+") as looks:
            watcher = subprocess.Popen(psql_command(database), stdin=subprocess.PIPE, stdout=looks,
                                       stderr=subprocess.DEVNULL, text=True)
            watcher.stdin.write(LOOK % EVERY)
            watcher.stdin.close()
            load.pgbench(database, name, clients, max(1, settings.seconds), rival=case.rival, warm_up=settings.warm_up,
                         options=case.options)
            watcher.terminate()
            watcher.wait(timeout=60)
            looks.seek(0)
            events = _count(looks)
        total = sum(events.values()) or 1
        shares = collections.Counter()
        for event, number in events.items():
            shares[phase(event)] += number / total
        results.append({"name": name, "title": case.title, "samples": sum(events.values()),
                        "phases": {name: shares[name] for name in PHASES},
                        "events": {event: number / total for event, number in events.most_common(12)}})
    return {"clients": clients, "cases": results}


def _count(looks):
    events = collections.Counter()
    for line in looks:
        event, _, number = line.strip().partition("\t")
        if number.isdigit() and event:
            events[event] += int(number)
    return events
