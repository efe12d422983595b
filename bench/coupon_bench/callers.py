"""One run of bench/callers: callers who each wait for an answer before they ask again, through the client library or of Redis.

pgbench cannot ask through the library, and redis-benchmark is one event loop: threads are measured against threads here, an
event loop against an event loop.
"""

import dataclasses
import json
import os
import subprocess

from . import redis
from .database import HERE
from .load import LoadError, Run

# scripts/bench builds it.
PROGRAM = HERE.parent / "build" / "bench" / "callers" / "callers"


@dataclasses.dataclass(frozen=True)
class Asking:
    """How callers ask: a way that the program knows, and what it wants to know besides."""
    way: str
    options: tuple = ()


def missing(asking):
    """What is not there to ask so; empty if all is."""
    if not PROGRAM.exists():
        return "bench/callers is not built"
    if asking.way not in _run("--ways").split():
        return "hiredis was not there when bench/callers was built"
    return ""


def ask(database, asking, clients, settings):
    return _read(_run(asking.way, *asking.options, f"--conninfo=dbname={database}", *_load(clients, settings)))


def ask_redis(appendfsync, clients, settings):
    with redis.serving(appendfsync) as server:
        run = _read(_run("redis", f"--socket={server.socket}", f"--script={server.script}", *_load(clients, settings)))
        run.rows_right = server.redeemed() == run.redeemed
        return run


def _load(clients, settings):
    return f"--callers={clients}", f"--seconds={settings.seconds}", f"--warm-up={settings.warm_up}"


def _run(*arguments):
    environment = {**os.environ, "PGAPPNAME": "callers"}
    done = subprocess.run([PROGRAM, *arguments], text=True, capture_output=True, timeout=600, check=False, env=environment)
    if done.returncode != 0:
        raise LoadError(f"bench/callers {' '.join(arguments)}: {done.stderr.strip()[-2000:]}")
    return done.stdout


def _read(output):
    told = json.loads(output)
    return Run(told["answers"] / told["seconds"], told["all_answers"], 0, [value / 1000 for value in told["latencies_us"]],
               redeemed=told["redeemed"], percentiles={part: _milliseconds(told[f"{part}_us"]) for part in ("p50", "p95", "p99")})


def _milliseconds(microseconds):
    return None if microseconds is None else microseconds / 1000
