"""The same promise kept by Redis: one Lua script, SADD for once per user and DECR for the cap.

On a redis-server of our own, in a directory on the disk where the appendfsync setting means something.
"""

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


def run(appendfsync, clients, seconds):
    with tempfile.TemporaryDirectory(prefix="coupon_guard-redis.", dir=os.environ.get("TMPDIR", "/var/tmp")) as directory:
        socket = f"{directory}/socket"
        server = subprocess.Popen(
            ["redis-server", "--port", "0", "--unixsocket", socket, "--dir", directory, "--save", "", "--appendonly", "yes",
             "--appendfsync", appendfsync], executable=_server(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _wait_for(socket)
            return _measure(socket, clients, seconds)
        finally:
            server.terminate()
            server.wait(timeout=60)


def _wait_for(socket):
    for _ in range(100):
        if _cli(socket, "PING", check=False) == "PONG":
            return
        time.sleep(0.1)
    raise LoadError("redis-server did not start")


def _cli(socket, *words, check=True):
    return subprocess.run(["redis-cli", "-s", socket, *words], text=True, capture_output=True, timeout=60,
                          check=check).stdout.strip()


def _measure(socket, clients, seconds):
    script = _cli(socket, "SCRIPT", "LOAD", SCRIPT)
    _cli(socket, "SET", "units", "1000000000")
    # redis-benchmark knows no duration: a short run tells how many requests fill the time. Its -r is an int.
    rate = _benchmark(socket, script, clients, FEWEST)
    requests = max(FEWEST, int(rate * seconds))
    before = int(_cli(socket, "SCARD", "redeemed"))
    run = Run(_benchmark(socket, script, clients, requests), requests, 0, [])
    # redis-benchmark counts errors as answers. Random users meet each other now and then.
    run.rows_right = abs(int(_cli(socket, "SCARD", "redeemed")) - before - requests) <= 0.001 * requests
    return run


def _benchmark(socket, script, clients, requests):
    done = subprocess.run(
        ["redis-benchmark", "-s", socket, "-c", str(clients), "-n", str(requests), "-r", "2000000000", "--csv",
         "EVALSHA", script, "2", "redeemed", "units", "__rand_int__"], text=True, capture_output=True, timeout=600, check=False)
    if done.returncode != 0:
        raise LoadError(f"redis-benchmark: {done.stderr.strip()}")
    fields = next(csv.DictReader(line for line in done.stdout.splitlines() if line.startswith('"')))
    return float(fields["rps"])
