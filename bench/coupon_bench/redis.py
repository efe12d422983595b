"""The same promise kept by Redis: one Lua script, SADD for once per user and DECR for the cap.

On a redis-server of our own, in a directory on the disk where the appendfsync setting means something.
"""

import contextlib
import csv
import os
import shutil
import subprocess
import tempfile
import time

from .load import LoadError, Run

FEWEST = 2000  # requests; one client waits for the disk each time

SCRIPT = """
if redis.call('SADD', KEYS[1], ARGV[1]) == 0 then return 'already_redeemed' end
if redis.call('DECR', KEYS[2]) < 0 then
  redis.call('INCR', KEYS[2])
  redis.call('SREM', KEYS[1], ARGV[1])
  return 'sold_out'
end
return 'redeemed'
"""


def _server():
    """redis-check-rdb is the same program, which goes by the name that it is called by. Debian's redis-tools has it under
    that name only, and starts no service as the package redis-server does."""
    return shutil.which("redis-server") or shutil.which("redis-check-rdb")


def installed():
    return bool(_server() and shutil.which("redis-cli") and shutil.which("redis-benchmark"))


def version():
    return subprocess.run(["redis-server", "--version"], executable=_server(), text=True, capture_output=True,
                          check=True).stdout.split()[2]


class _Server:
    def __init__(self, socket):
        self.socket = socket
        self._wait_until_it_answers()
        self.script = self._ask("SCRIPT", "LOAD", SCRIPT)
        self._ask("SET", "units", "1000000000")

    def redeemed(self):
        return int(self._ask("SCARD", "redeemed"))

    def _wait_until_it_answers(self):
        for _ in range(100):
            if self._ask("PING", check=False) == "PONG":
                return
            time.sleep(0.1)
        raise LoadError("redis-server did not start")

    def _ask(self, *words, check=True):
        return subprocess.run(["redis-cli", "-s", self.socket, *words], text=True, capture_output=True, timeout=60,
                              check=check).stdout.strip()


@contextlib.contextmanager
def serving(appendfsync):
    """A server that has the script and many units."""
    with tempfile.TemporaryDirectory(prefix="coupon_guard-redis.", dir=os.environ.get("TMPDIR", "/var/tmp")) as directory:
        socket = f"{directory}/socket"
        server = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", socket, "--dir", directory, "--save", "", "--appendonly", "yes",
             "--appendfsync", appendfsync], executable=_server(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            yield _Server(socket)
        finally:
            server.terminate()
            server.wait(timeout=60)


def benchmark(appendfsync, clients, seconds):
    """By redis-benchmark: one event loop with so many connections."""
    with serving(appendfsync) as server:
        # redis-benchmark knows no duration: a short run tells how many requests fill the time. Its -r is an int.
        rate = _benchmark(server, clients, FEWEST).per_second
        requests = max(FEWEST, int(rate * seconds))
        before = server.redeemed()
        run = _benchmark(server, clients, requests)
        # redis-benchmark counts errors as answers. Random users meet each other now and then.
        run.rows_right = abs(server.redeemed() - before - requests) <= 0.001 * requests
        return run


def _benchmark(server, clients, requests):
    done = subprocess.run(
        ["redis-benchmark", "-s", server.socket, "-c", str(clients), "-n", str(requests), "-r", "2000000000", "--csv",
         "EVALSHA", server.script, "2", "redeemed", "units", "__rand_int__"], text=True, capture_output=True, timeout=600,
        check=False)
    if done.returncode != 0:
        raise LoadError(f"redis-benchmark: {done.stderr.strip()}")
    fields = next(csv.DictReader(line for line in done.stdout.splitlines() if line.startswith('"')))
    return Run(float(fields["rps"]), requests, 0, [],
               percentiles={part: float(fields[f"{part}_latency_ms"]) for part in ("p50", "p95", "p99")
                            if f"{part}_latency_ms" in fields})  # before Redis 6.2 it tells none
