"""What the reports tell, as tables: a title, a note, a head and rows of text. How a table looks is the report's matter."""

import dataclasses

from .. import targets
from ..cliff import CASES as CLIFF_CASES
from . import format as as_text


@dataclasses.dataclass
class Table:
    title: str
    head: list
    rows: list
    note: str = ""


def conditions(results):
    """Of a merged report: what differs, for each part."""
    lines = {line: None for part in results.get("parts", [results]) for line in _conditions(part)}
    return list(lines)


def _conditions(results):
    where, server = results["machine"], results["server"]
    load = results["load_average"]
    commit = f" (commit {results['commit']})" if results.get("commit") else ""
    lines = [
        f"coupon_guard {results['version']}{commit}, PostgreSQL {server['server_version']}, {results['taken_at']}",
        f"{where['cpu']}, {where['cores']} cores, {where['memory_gb']} GB, {where['system']}",
        f"fsync {server['fsync']}, synchronous_commit {server['synchronous_commit']}, "
        f"shared_buffers {server['shared_buffers']}, checkpoint_timeout {server['checkpoint_timeout']}",
        f"load on the same machine, pgbench with prepared statements but for callers, {as_text.rounds(results['rounds'])} of {results['seconds']} s "
        f"after 1 s of warm-up",
        f"load average before {load['before']}, after {load['after']}",
        f"command: {results['command']}",
    ]
    if load["before"] >= 1:
        lines.append("The machine was busy with other work when this began: the ratios suffer less from it than the rates.")
    return lines


def all_tables(results):
    tables = [_targets(results["targets"])]
    for group in results["groups"].values():
        tables += [_rates(group), _ratios(group)]
        tables += [_waits(group), _wait_ratios(group)] if group.get("waits") else [_latencies(group)]
    for study, table in (("growth", _growth), ("coupons", _coupons), ("wal", _wal), ("wal", _records), ("memory", _memory),
                         ("bulk", _bulk), ("generated", _generated), ("multiuse", _multiuse), ("cliff", _cliff), ("phases", _phases),
                         ("last_codes", _last_codes), ("skewed", _skewed)):
        if study in results:
            tables.append(table(results[study]))
    return [table for table in tables if table and table.rows]


def _targets(rows):
    return Table("Figures to reach", ["case", "against", "at", "wanted", "measured", "verdict"],
                 [[row["case"], row["against"], row["at"], _wanted(row), as_text.ratio(row["ratio"]), targets.verdict(row)]
                  for row in rows],
                 "Median of the ratios of runs in the same round, and their quartiles.")


def _wanted(row):
    if row["least"] is not None:
        return f"at least {row['least']:g}"
    return "report" if row["most"] is None else f"at most {row['most']:g}"


def _clients(group):
    return sorted({int(clients) for case in group["cases"] for clients in case["clients"]})


def _rates(group):
    clients = _clients(group)
    note = f"{group['unit']}: median of the rounds (quartiles)."
    if group["left_out"]:
        note += " Left out: " + "; ".join(group["left_out"]) + "."
    wrong = [case["title"] for case in group["cases"] if not all(run["ledger_is_right"] for run in case["clients"].values())]
    if wrong:
        note += " The ledger did not agree with what was acknowledged: " + "; ".join(wrong) + "."
    return Table(group["title"], ["case"] + [as_text.clients(number) for number in clients],
                 [[case["title"]] + [as_text.rate(case["clients"][str(number)]["per_second"]) for number in clients]
                  for case in group["cases"]], note)


def _ratios(group):
    clients = _clients(group)
    titles = {case["name"]: case["title"] for case in group["cases"]}
    rows = []
    for case in group["cases"]:
        for other in case["against"]:
            if other in titles:
                rows.append([case["title"], titles[other]] +
                            [as_text.ratio(case["clients"][str(number)]["ratios"].get(other)) for number in clients])
    return Table(f"{group['title']}: ratios", ["case", "against"] + [as_text.clients(number) for number in clients], rows)


def _latencies(group):
    most = _clients(group)[-1]
    rows = []
    for case in group["cases"]:
        run = case["clients"][str(most)]
        if run["latency_ms"]["samples"]:
            rows.append([case["title"]] + [as_text.number(run["latency_ms"][part]) for part in ("p50", "p95", "p99")] +
                        [str(run["failed"])])
    return Table(f"{group['title']}: latency in ms, {as_text.clients(most)}", ["case", "median", "95 %", "99 %", "failed"], rows)


def _waits(group):
    """At every number of clients, for how long callers wait is what the group is about."""
    clients = _clients(group)

    def cell(run):
        return " / ".join(as_text.number(run["latency_ms"][part]) for part in ("p50", "p95", "p99"))

    return Table(f"{group['title']}: latency in ms", ["case"] + [as_text.clients(number) for number in clients],
                 [[case["title"]] + [cell(case["clients"][str(number)]) for number in clients] for case in group["cases"]],
                 "Median / 95 % / 99 %, of all rounds together; of redis-benchmark's own, the median of the rounds.")


def _wait_ratios(group):
    clients = _clients(group)
    titles = {case["name"]: case["title"] for case in group["cases"]}

    def cell(run, other):
        ratios = run["latency_ratios"][other]
        return " / ".join(as_text.number(ratios[part] and ratios[part]["median"]) for part in ("p50", "p99"))

    return Table(f"{group['title']}: latency, ratios", ["case", "against"] + [as_text.clients(number) for number in clients],
                 [[case["title"], titles[other]] + [cell(case["clients"][str(number)], other) for number in clients]
                  for case in group["cases"] for other in case["against"] if other in titles],
                 "Of the medians / of the 99 %: median of the rounds. Below 1 is faster.")


def _growth(growth):
    bare = {size["rows"]: size for size in growth["cases"]["growth_bare"]}
    to_bare = {size["rows"]: size["ratio"] for size in growth["redeem_to_bare"]}
    return Table("Rows in the ledger",
                 ["rows", "redeem_coupon/s", "to the smallest", "bare INSERT/s", "to the smallest", "redeem_coupon to bare"],
                 [[f"{size['rows']:,}", as_text.rate(size["per_second"]), as_text.ratio(size["to_smallest"]),
                   as_text.rate(bare[size["rows"]]["per_second"]), as_text.ratio(bare[size["rows"]]["to_smallest"]),
                   as_text.ratio(to_bare[size["rows"]])] for size in growth["cases"]["growth_redeem"]],
                 f"{growth['clients']} clients; users anywhere in the index.")


def _coupons(study):
    return Table("Number of coupons", ["coupons", "redemptions/s", "to the smallest"],
                 [[f"{size['coupons']:,}", as_text.rate(size["per_second"]), as_text.ratio(size["to_smallest"])]
                  for size in study["sizes"]], f"{study['clients']} clients, each coupon as likely as the other, no caps.")


def _wal(cases):
    return Table("WAL", ["case", "bytes per call", "records per call"],
                 [[case["title"], as_text.number(case["bytes"]), f"{case['records']:.2f}"] for case in cases],
                 "Per redemption or refusal; one client. In a batch: per user.")


def _records(cases):
    rows = []
    for case in cases:
        for kind in (case["types"] or [])[:6]:
            if kind["records"] >= 0.05:
                rows.append([case["title"], kind["type"], f"{kind['records']:.2f}", as_text.number(kind["bytes"])])
    return Table("WAL: which records", ["case", "record", "per call", "bytes per call"], rows, "From pg_walinspect.")


def _memory(kinds):
    rows = []
    for kind in kinds:
        first, last = kind["looks"][1], kind["looks"][-1]
        process = "–"
        if first["anonymous_kb"] is not None and last["anonymous_kb"] is not None:
            process = f"{first['anonymous_kb']:,} → {last['anonymous_kb']:,}"
        rows.append([kind["kind"], f"{first['calls']:,} → {last['calls']:,}", process,
                     f"{first['contexts_bytes'] // 1024:,} → {last['contexts_bytes'] // 1024:,}"])
    return Table("Memory of one backend, kB", ["calls", "how many", "process (anonymous)", "memory contexts"], rows)


def _bulk(study):
    rows = [[f"{table['name']}", as_text.rate(table["seconds"]), as_text.number(table["bytes_per_code"])]
            for table in study["tables"]]
    return Table(f"{study['codes']:,} single-use codes in one INSERT", ["table coupon", "seconds", "bytes per code"], rows,
                 f"Time with the triggers to time without: {as_text.ratio(study['seconds_ratio'])}.")


def _generated(study):
    return Table(f"{study['codes']:,} codes at random", ["way", "seconds", "bytes per code", "WAL bytes per code"],
                 [[way["name"], as_text.rate(way["seconds"]), as_text.number(way["bytes_per_code"]), as_text.number(way["wal_per_code"])]
                  for way in study["ways"]],
                 f"Time of generate_coupons to that of the INSERT: {as_text.ratio(study['seconds_ratio'])}.")


def _multiuse(study):
    return Table(f"{study['codes']:,} codes for {study['cap']} uses in one INSERT: their quota",
                 ["when", "rows per code", "bytes per code"],
                 [[title, as_text.number(study[moment]["rows"] / study["codes"]), as_text.number(study[moment]["bytes"] / study["codes"])]
                  for title, moment in (("made", "made"), ("each redeemed once", "used"))],
                 f"Made in {as_text.number(study['seconds'])} s.")


def _cliff(study):
    wrong = [f"{addition['title']}, {name}" for addition in study["additions"] for name, case in addition["cases"].items()
             if not case["ledger_is_right"]]
    plain = study["additions"][0]["cases"]
    note = (f"{as_text.clients(study['clients'])}; each column against the ledger without the addition, in the same round "
            f"({', '.join(as_text.number(plain[name]['per_second']['median']) + '/s' for name in CLIFF_CASES)}).")
    if wrong:
        note += " The ledger did not agree with what pgbench counted: " + "; ".join(wrong) + "."
    return Table("What a shop adds to the ledger", ["addition", "redeem_coupon, no cap", "redeem_coupon, one hot capped coupon",
                                                    "bare INSERT into a ledger with the same addition"],
                 [[addition["title"]] + [as_text.ratio(addition["cases"][name]["to_plain"]) for name in CLIFF_CASES]
                  for addition in study["additions"][1:]], note)


def _phases(study):
    names = list(study["cases"][0]["phases"]) if study["cases"] else []
    return Table(f"Share of time by phase, {study['clients']} clients", ["case"] + names,
                 [[case["title"]] + [as_text.percent(case["phases"][name]) for name in names] for case in study["cases"]],
                 "Wait events of all backends, sampled from pg_stat_activity. A backend whose client has sent something, but that "
                 "has not got a core yet, still counts as waiting for the client.")


def _last_codes(study):
    wrong = "" if study["is_right"] else " Not every code had a user of its own."
    return Table(f"The last of {study['codes']:,} codes, {as_text.clients(study['clients'])}",
                 ["codes", "ms"],
                 [[f"the last {study['last']}", as_text.rate(study["last_ms"])],
                  [f"the {study['last']} before them", as_text.rate(study["before_ms"])]],
                 f"Claimed until sold out, at {as_text.rate(study['per_second'])} codes/s over all. The last ones took, to those "
                 f"before them: {as_text.ratio(study['ratio'])}.{wrong}")


def _skewed(study):
    wrong = [way["title"] for way in study["ways"] if not way["is_right"]]
    note = f"{as_text.clients(study['clients'])} through the router; nine of ten buyers are on one of {study['shards']} shards."
    if wrong:
        note += " Not each unit was sold, or somebody was refused too early: " + "; ".join(wrong) + "."
    return Table(f"A drop of {study['units']:,} units over shards, skewed",
                 ["units at first", "rebalance() each second", "transfers", "for 1,000 redemptions", "units moved", "first to last unit, s"],
                 [[way["title"], "yes" if way["rebalances"] else "no"] +
                  [as_text.rate(way[what]) for what in ("transfers", "per_thousand", "moved", "seconds")] for way in study["ways"]], note)
