"""How a campaign's last codes go: every client claims until none is left. What is told is how long the last ones took, beside as
many before them.
"""

import pathlib
import subprocess
import tempfile

from . import figures
from .database import ask, psql, run_schema
from .load import LoadError, text_of

LAST = 100
KEEP = """
DELETE FROM guard.coupon WHERE id IN (SELECT id FROM guard.coupon WHERE campaign_id = 1 ORDER BY id OFFSET {codes});
VACUUM ANALYZE guard.coupon;
"""
RIGHT = "SELECT count(*) = {codes} AND count(DISTINCT holder) = {codes} FROM guard.coupon WHERE holder IS NOT NULL;"


def measure(database, settings, progress):
    clients, runs = max(settings.clients), []
    for number in range(1, settings.bulk_rounds + 1):
        progress.say(f"The last codes: {clients} clients, round {number} of {settings.bulk_rounds}")
        run_schema(database, ("guard", "codes"))
        psql(database, KEEP.format(codes=settings.last_codes))
        runs.append(_run(database, clients, settings.last_codes))
    return {
        "clients": clients, "codes": settings.last_codes, "last": LAST,
        "per_second": figures.spread([run["per_second"] for run in runs]),
        "before_ms": figures.spread([run["before"] for run in runs]),
        "last_ms": figures.spread([run["last"] for run in runs]),
        "ratio": figures.ratios([run["last"] for run in runs], [run["before"] for run in runs]),
        "is_right": all(run["is_right"] for run in runs),
    }


def _run(database, clients, codes):
    with tempfile.TemporaryDirectory(prefix="coupon_guard-bench-log.") as directory:
        path = pathlib.Path(directory)
        (path / "claim.sql").write_text(text_of("claim_to_the_last"), encoding="utf-8")
        # Each client ends with the error, so pgbench does. What failed is not in the log.
        subprocess.run(["pgbench", "--no-vacuum", "--protocol=prepared", f"--client={clients}", f"--transactions={codes}",
                        f"--file={path / 'claim.sql'}", "--log", f"--log-prefix={path / 'log'}", database],
                       text=True, capture_output=True, timeout=1800, check=False)
        ended = sorted(int(field[4]) + int(field[5]) / 1e6 for log in path.glob("log*")
                       for field in map(str.split, log.read_text(encoding="ascii").splitlines()))
    if len(ended) <= 2 * LAST:
        raise LoadError(f"claim_to_the_last: {len(ended)} claims")
    return {
        "per_second": (len(ended) - 1) / (ended[-1] - ended[0]),
        "before": 1000 * (ended[-1 - LAST] - ended[-1 - 2 * LAST]),
        "last": 1000 * (ended[-1] - ended[-1 - LAST]),
        "is_right": len(ended) == codes and ask(database, RIGHT.format(codes=codes)) == "t",
    }
