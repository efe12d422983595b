"""One run of pgbench, from the command to the figures.

The first second of a run is left out: sixty-four new backends fill their caches in it.
"""

import dataclasses
import glob
import os
import pathlib
import re
import subprocess
import tempfile

from . import rivals
from .database import HERE

WARM_UP = 1  # seconds; pgbench reports its progress in whole ones
SAMPLED = 0.1  # of the transactions have their latency logged


class LoadError(Exception):
    """pgbench failed, or said what we do not understand."""


@dataclasses.dataclass
class Run:
    per_second: float
    transactions: int
    failed: int
    latencies: list  # milliseconds, sorted; a sample
    rows_right: bool = True  # the ledger has the rows that were acknowledged
    redeemed: int = None  # what callers were told, one by one, where they were
    percentiles: dict = dataclasses.field(default_factory=dict)  # milliseconds, of more latencies than the sample has


def text_of(script, rival=""):
    """What pgbench runs: bench/cases/SCRIPT.sql; if there is none, what the rival does."""
    path = HERE / "cases" / f"{script}.sql"
    users = rivals.USERS if rival else ""
    return users + path.read_text(encoding="utf-8") if path.exists() else rivals.redeem_script(rival)


def _run(command, database, script, rival, variables, directory, timeout):
    """pgbench's output, and what it says meanwhile. A rival's names are looked up in its own schema."""
    path = pathlib.Path(directory) / f"{script}.sql"
    path.write_text(text_of(script, rival), encoding="utf-8")
    environment = dict(os.environ)
    if rival:
        variables = {"code": rivals.CODE, **(variables or {})}
        environment["PGOPTIONS"] = f"{environment.get('PGOPTIONS', '')} -c search_path={rivals.schema_of(rival)}"
    defined = [f"--define={name}={value}" for name, value in (variables or {}).items()]
    done = subprocess.run(["pgbench", "--no-vacuum", "--protocol=prepared", f"--file={path}", *command, *defined, database],
                          env=environment, text=True, capture_output=True, timeout=timeout, check=False)
    if done.returncode != 0:
        raise LoadError(f"{script}: {done.stderr.strip()[-2000:]}")
    return done.stdout, done.stderr


def pgbench(database, script, clients, seconds, *, rival="", warm_up=WARM_UP, options=(), variables=None):
    """Runs a script with so many clients, for so many seconds after the warm-up."""
    with tempfile.TemporaryDirectory(prefix="coupon_guard-bench-log.") as directory:
        command = [f"--client={clients}", f"--jobs={min(clients, os.cpu_count() or 1)}", f"--time={seconds + warm_up}",
                   "--progress=1", "--log", f"--log-prefix={directory}/log", f"--sampling-rate={SAMPLED}", *options]
        output, progress = _run(command, database, script, rival, variables, directory, seconds + warm_up + 120)
        return _read(output, progress, pathlib.Path(directory), warm_up)


def fixed_number(database, script, transactions, *, rival="", options=(), variables=None):
    """One client, so many transactions: for what is counted, not timed."""
    with tempfile.TemporaryDirectory(prefix="coupon_guard-bench.") as directory:
        _run(["--client=1", f"--transactions={transactions}", "--max-tries=1000", *options],
             database, script, rival, variables, directory, 1800)


def _read(output, progress, directory, warm_up):
    transactions = int(_find(r"number of transactions actually processed: (\d+)", output))
    failed = int(_find(r"number of failed transactions: (\d+)", output, "0"))
    per_second = float(_find(r"tps = ([0-9.]+) \(without", output))
    reports = re.findall(r"^progress: ([0-9.]+) s, ([0-9.]+) tps", progress, re.MULTILINE)[:warm_up]
    if reports and transactions:
        # The progress reports tell what was done in the warm-up; the rest was done in the rest of the time.
        ended, done = 0, 0
        for at, rate in reports:
            ended, done = float(at), done + (float(at) - ended) * float(rate)
        elapsed = transactions / per_second
        if elapsed - ended > 0.5:
            per_second = (transactions - done) / (elapsed - ended)
    return Run(per_second, transactions, failed, _latencies(directory, warm_up))


def _find(pattern, text, otherwise=None):
    found = re.search(pattern, text)
    if found:
        return found.group(1)
    if otherwise is None:
        raise LoadError(f"pgbench's output has no match for {pattern!r}:\n{text[-2000:]}")
    return otherwise


def _latencies(directory, warm_up):
    """Log lines: client, transaction, latency in microseconds, script, epoch in seconds, and its microseconds ..."""
    ended, latency = [], []
    for name in glob.glob(f"{directory}/log*"):
        with open(name, encoding="ascii") as log:
            for line in log:
                field = line.split()
                if len(field) < 6 or not field[2].isdigit():
                    continue  # a failed transaction has no latency
                ended.append(int(field[4]) + int(field[5]) / 1e6)
                latency.append(int(field[2]) / 1000)
    if not ended:
        return []
    measured_from = min(ended) + warm_up
    return sorted(value for at, value in zip(ended, latency) if at >= measured_from)
