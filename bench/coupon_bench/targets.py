"""The figures to reach, and whether they were: medians of ratios taken in the same round."""

from .catalogue import GROUPS

# Case, what it is measured against, at least.
CASES = (
    ("redeem_uncapped", "bare", 1.0),
    ("redeem_capped", "bare", 0.92),
    ("redeem_capped", "textbook", 50),
    ("redeem_capped", "guarded_update", 9),
    ("refuse_duplicate", "select_by_key", 1.0),
    ("refuse_sold_out", "select_by_key", 1.0),
    ("refuse_not_found", "select_by_key", 1.0),
    ("refuse_duplicate", "plpgsql_duplicate", 2.2),
    ("refuse_sold_out", "plpgsql_sold_out", 2.2),
    ("refuse_not_found", "plpgsql_not_found", 2.2),
    ("batch_uncapped", "batch_bare", 0.9),
    ("redeem_capped", "redis_always", None),  # to be reported
)
CLIENTS = (32, 64)
ONLY_AT_64 = ("textbook", "guarded_update", "redis_always")
LARGE_LEDGER, SMALL_LEDGER, LARGE_TO_SMALL = 10_000_000, 10_000, 0.9


def judge(results):
    """A row for each target and number of clients. Reached is None where nothing is demanded, or nothing was measured."""
    cases = {case["name"]: case for group in results["groups"].values() for case in group["cases"]}
    titles = {case.name: case.title for group in GROUPS for case in group.cases}
    rows = []
    for name, other, least in CASES:
        for clients in CLIENTS:
            if other in ONLY_AT_64 and clients != 64:
                continue
            measured = cases.get(name, {}).get("clients", {}).get(str(clients))
            ratio = measured["ratios"].get(other) if measured else None
            rows.append(_row(titles[name], titles[other], f"{clients} clients", least, ratio))
    rows.append(_growth(results.get("growth")))
    return rows


def _growth(growth):
    sizes = {size["rows"]: size for size in growth["cases"]["growth_redeem"]} if growth else {}
    large = sizes.get(LARGE_LEDGER) if SMALL_LEDGER in sizes else None
    return _row("redeem_coupon, ledger of 10,000,000 rows", "ledger of 10,000 rows",
                f"{growth['clients']} clients" if growth else "", LARGE_TO_SMALL, large["to_smallest"] if large else None)


def _row(case, against, clients, least, ratio):
    reached = None if ratio is None or least is None else ratio["median"] >= least
    return {"case": case, "against": against, "at": clients, "least": least, "ratio": ratio, "reached": reached}


def verdict(row):
    if row["ratio"] is None:
        return "not measured"
    if row["least"] is None:
        return "reported"
    return "reached" if row["reached"] else "not reached"
