"""The figures to reach, and whether they were: medians of ratios taken in the same round."""

import dataclasses

from .catalogue import GROUPS


@dataclasses.dataclass(frozen=True)
class Target:
    case: str
    against: str            # a case of the same group
    least: float = None     # of the ratio; with neither it is reported
    most: float = None
    clients: tuple = (32, 64)
    of: str = ""            # a percentile of the latency, rather than the throughput


TARGETS = (
    Target("redeem_uncapped", "bare", 1.0),
    Target("redeem_capped", "bare", 0.92),
    Target("redeem_capped", "textbook", 50, clients=(64,)),
    Target("redeem_capped", "guarded_update", 9, clients=(64,)),
    Target("redeem_divided", "redeem_capped", 0.98),
    Target("redeem_campaign", "redeem_capped", 0.8, clients=(64,)),
    Target("refuse_duplicate", "select_by_key", 1.0),
    Target("refuse_sold_out", "select_by_key", 1.0),
    Target("refuse_not_found", "select_by_key", 1.0),
    Target("refuse_duplicate", "plpgsql_duplicate", 2.2),
    Target("refuse_sold_out", "plpgsql_sold_out", 2.2),
    Target("refuse_not_found", "plpgsql_not_found", 2.2),
    Target("batch_uncapped", "batch_bare", 0.9),
    Target("claim_code", "claim_bare", 0.5),
    Target("open_budget", "open_amount", 0.8, clients=(64,)),
    Target("open_budget", "open_balance", 30, clients=(64,)),
    Target("redeem_many", "bare", 0.9, clients=(64,)),
    Target("group_each_capped", "group_bare", 1.0, clients=(1, 8)),
    Target("redeem_capped", "redis_always", clients=(64,)),
    Target("shards_1_proxy", "shards_1", clients=(64,)),
    Target("shards_1_router", "shards_1", clients=(64,)),
    Target("shards_1_router", "shards_1_proxy", clients=(64,)),
    Target("shards_4", "shards_1", clients=(64,)),
    Target("shards_4_router", "shards_1", clients=(64,)),
    Target("shards_sold_out_router", "shards_sold_out", clients=(64,)),
    # A group_client as it is made by default, but for an event loop.
    Target("callers_group_2", "callers_connections", 5, clients=(64,)),
    Target("callers_group_2", "callers_connections", 10, clients=(256,)),
    Target("callers_group_2", "callers_connections", most=0.3, clients=(64,), of="p99"),
    Target("callers_group_2", "callers_connections", most=1.1, clients=(1,), of="p50"),
    Target("callers_group_2", "callers_redis_always", 1.2, clients=(64,)),
    Target("callers_futures_2", "callers_loop_redis_always", 1.2, clients=(64,)),
)
GENERATED_TO_READY = 2.5
LARGE_LEDGER, SMALL_LEDGER, LARGE_TO_SMALL = 10_000_000, 10_000, 0.9


def judge(results):
    """A row for each target and number of clients. Reached is None where nothing is demanded, or nothing was measured."""
    cases = {case["name"]: case for group in results["groups"].values() for case in group["cases"]}
    titles = {case.name: case.title for group in GROUPS for case in group.cases}
    rows = []
    for target in TARGETS:
        for clients in target.clients:
            at = "1 client" if clients == 1 else f"{clients} clients"
            if target.of:
                at += f", {target.of} of the latency"
            measured = cases.get(target.case, {}).get("clients", {}).get(str(clients))
            rows.append(_row(titles[target.case], titles[target.against], at, target.least, target.most,
                             _ratio(measured, target)))
    rows.append(_growth(results.get("growth")))
    rows.append(_generated(results.get("generated")))
    return rows


def _ratio(measured, target):
    if not measured:
        return None
    if not target.of:
        return measured["ratios"].get(target.against)
    return measured.get("latency_ratios", {}).get(target.against, {}).get(target.of)


def _growth(growth):
    sizes = {size["rows"]: size for size in growth["cases"]["growth_redeem"]} if growth else {}
    large = sizes.get(LARGE_LEDGER) if SMALL_LEDGER in sizes else None
    return _row("redeem_coupon, ledger of 10,000,000 rows", "ledger of 10,000 rows",
                f"{growth['clients']} clients" if growth else "", LARGE_TO_SMALL, None, large["to_smallest"] if large else None)


def _generated(study):
    return _row("generate_coupons", "INSERT ... SELECT of codes that are ready", f"{study['codes']:,} codes" if study else "",
                None, GENERATED_TO_READY, study["seconds_ratio"] if study else None)


def _row(case, against, at, least, most, ratio):
    reached = None
    if ratio is not None and (least is not None or most is not None):
        reached = (least is None or ratio["median"] >= least) and (most is None or ratio["median"] <= most)
    return {"case": case, "against": against, "at": at, "least": least, "most": most, "ratio": ratio, "reached": reached}


def verdict(row):
    if row["ratio"] is None:
        return "not measured"
    if row["reached"] is None:
        return "reported"
    return "reached" if row["reached"] else "not reached"
