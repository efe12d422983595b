"""A drop through the router whose users are not spread as its rights are: nine of ten are on one shard. What is told is how many transfers
the units took, by where they were at first and whether somebody rebalances meanwhile.

One buyer in ten finds all units gone.
"""

import os
import pathlib
import subprocess
import tempfile

from . import figures, shards
from .database import ask, psql, psql_command
from .load import LoadError, text_of

SHARDS, HOT = 4, 2  # servers; the partition of the nine
ROUTE = shards.Route(SHARDS, shards.ROUTER)
CODE = "DROP"
STARTS = (("home", "at home, as put_coupon() leaves them"), ("divided", "divided evenly"))

# Every tenth buyer is on one of the other shards.
BUYERS = """
CREATE UNLOGGED TABLE shards.buyer (n bigint PRIMARY KEY, user_id text NOT NULL);
CREATE UNLOGGED TABLE shards.answer (status text);
CREATE SEQUENCE shards.next_buyer CACHE 1;
INSERT INTO shards.buyer
SELECT CASE WHEN is_hot THEN place + (place - 1) / 9 ELSE 10 * place END, user_id
FROM (SELECT u::text AS user_id, partition = {hot} AS is_hot, row_number() OVER (PARTITION BY partition = {hot} ORDER BY u) AS place
      FROM generate_series(1, 8 * {buyers}) AS u CROSS JOIN LATERAL (SELECT hashtext(u::text) & ({shards} - 1)) AS at (partition)) AS candidate
WHERE CASE WHEN is_hot THEN place + (place - 1) / 9 ELSE 10 * place END <= {buyers};
ANALYZE shards.buyer;
"""
PUT = """SELECT * FROM shards.put_coupon('{{"code": "{code}", "max_redemptions": {units}}}');"""
DIVIDE = "UPDATE shards.coupon SET rights = {rights} WHERE code = '{code}';"
COUNTS = """
SELECT (SELECT count(*) FROM shards.coupon_redemption AS r JOIN shards.coupon AS c ON c.id = r.coupon_id WHERE c.code = '{code}'),
  (SELECT count(*) FROM shards.coupon_transfer WHERE direction = 'o'),
  (SELECT coalesce(sum(units), 0) FROM shards.coupon_transfer WHERE direction = 'o'),
  (SELECT extract(epoch FROM min(redeemed_at)) FROM shards.coupon_redemption AS r JOIN shards.coupon AS c ON c.id = r.coupon_id WHERE c.code = '{code}'),
  (SELECT extract(epoch FROM max(redeemed_at)) FROM shards.coupon_redemption AS r JOIN shards.coupon AS c ON c.id = r.coupon_id WHERE c.code = '{code}');
"""


def measure(database, settings, progress):
    left_out = shards.missing(ROUTE)
    clients, units = max(settings.clients), settings.skewed_units
    results = {"clients": clients, "units": units, "shards": SHARDS, "left_out": left_out, "ways": []}
    if left_out:
        return results
    ways = [(start, rebalances) for start in STARTS for rebalances in (False, True)]
    runs = {way: [] for way in ways}
    for number in range(1, settings.bulk_rounds + 1):
        progress.say(f"A skewed drop over {SHARDS} shards: {clients} clients, round {number} of {settings.bulk_rounds}")
        for way in ways:
            (start, _), rebalances = way
            runs[way].append(_run(database, clients, units, start, rebalances))
    for ((start, title), rebalances), those in runs.items():
        results["ways"].append({
            "start": start, "title": title, "rebalances": rebalances,
            **{what: figures.spread([run[what] for run in those]) for what in ("transfers", "moved", "seconds")},
            "per_thousand": figures.spread([1000 * run["transfers"] / units for run in those]),
            "is_right": all(run["is_right"] for run in those),
        })
    return results


def _run(database, clients, units, start, rebalances):
    servers = shards.servers()[:SHARDS]
    shards.make_tables(ROUTE, database, servers)
    psql(database, PUT.format(code=CODE, units=units))
    psql(database, BUYERS.format(hot=HOT, buyers=units + units // 9, shards=SHARDS))
    if start == "divided":
        for place, server in enumerate(servers):
            psql(server, DIVIDE.format(rights=units // SHARDS + (place < units % SHARDS), code=CODE))
    with _rebalancing(database) if rebalances else tempfile.TemporaryDirectory():
        _buy(database, clients, units + units // 9)
    counts = [psql(server, COUNTS.format(code=CODE))[0] for server in servers]
    redeemed, transfers, moved = (sum(int(count[column]) for count in counts) for column in range(3))
    told = dict(psql(database, "SELECT status, count(*) FROM shards.answer GROUP BY 1;"))
    return {
        "transfers": transfers, "moved": moved,
        "seconds": max(float(count[4]) for count in counts if count[4]) - min(float(count[3]) for count in counts if count[3]),
        # All who came have their answer, and who was refused was refused because all was gone.
        "is_right": redeemed == units and told == {"redeemed": str(units), "sold_out": str(units // 9)}
        and shards.is_sound(ROUTE, database, servers),
    }


def _buy(database, clients, buyers):
    with tempfile.TemporaryDirectory(prefix="coupon_guard-bench-log.") as directory:
        path = pathlib.Path(directory) / "skewed.sql"
        path.write_text(text_of("skewed"), encoding="utf-8")
        share = -(-buyers // clients)  # who comes beyond the last buyer does nothing
        done = subprocess.run(["pgbench", "--no-vacuum", "--protocol=prepared", f"--client={clients}", f"--transactions={share}",
                               f"--jobs={min(clients, os.cpu_count() or 1)}", f"--file={path}", database],
                              text=True, capture_output=True, timeout=1800, check=False)
    if done.returncode != 0:
        raise LoadError(f"skewed: {done.stderr.strip()[-2000:]}")


class _rebalancing:
    """Somebody who calls rebalance() each second, as a cron job would less often."""

    def __init__(self, database):
        self._psql = subprocess.Popen(psql_command(database), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self._psql.stdin.write("SELECT count(*) FROM shards.rebalance() \\watch 1\n")
        self._psql.stdin.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._psql.poll() is not None:
            raise LoadError(f"rebalance: {self._psql.stderr.read()[-2000:]}")
        self._psql.terminate()
        self._psql.wait(timeout=60)
        self._psql.stderr.close()
