"""The cases: what is measured, from which state, and against what.

A case is bench/cases/NAME.sql, or what a file of rivals/ says, unless something else than pgbench makes its load. The cases
of a group are run one after the other, round by round, so that a case and what it is compared with share the weather of the
machine.
"""

import dataclasses

from . import rivals
from .callers import Asking
from .shards import Route


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    title: str
    schema: tuple = ()          # files of bench/schema and rivals, run before every measurement
    against: tuple = ()         # cases of the same group
    ledger: str = ""            # the table whose rows are counted afterwards ...
    rows_each: int = 0          # ... and how many a transaction must have added
    redemptions_each: int = 1   # throughput counts these
    options: tuple = ()         # for pgbench
    redis: str = ""             # instead of pgbench, redis-benchmark: the appendfsync setting
    asking: Asking = None       # instead of either, bench/callers
    route: Route = None         # over servers that are shards, rather than on one server
    script: str = ""            # the file of bench/cases, if it has another name
    rival: str = ""             # a file of rivals with sections: its tables, and its statements if the case has none of its own


@dataclasses.dataclass(frozen=True)
class Group:
    name: str
    title: str
    unit: str
    cases: tuple
    also_at: tuple = ()         # numbers of clients, besides those at which every group is measured
    waits: bool = False         # how long callers wait is a figure of its own, at every number of clients


GUARD = "guard.coupon_redemption"
BARE = "bare.ledger"
# CREATE TABLE ... LIKE needs the extension's ledger.
BARE_SCHEMA = ("guard", "bare")
PLPGSQL_SCHEMA = ("guard", "plpgsql")


def by_hand(name, title, rival):
    return Case(name, title, ledger=f"{rivals.schema_of(rival)}.redemption", rows_each=1, options=("--max-tries=1000",), rival=rival)


REDEEM = Group("redeem", "Redemptions", "redemptions/s", (
    Case("bare", "INSERT ... ON CONFLICT DO NOTHING (the limit)", BARE_SCHEMA, (), BARE, 1),
    Case("redeem_uncapped", "redeem_coupon, no cap", ("guard",), ("bare", "plpgsql_uncapped"), GUARD, 1),
    Case("redeem_capped", "redeem_coupon, one hot capped coupon", ("guard",),
         ("bare", "textbook", "textbook_count_first", "guarded_update", "for_update", "serializable", "plpgsql_capped",
          "redis_always", "redis_everysec"), GUARD, 1),
    Case("redeem_divided", "redeem_coupon, one hot coupon whose cap is divided over shards", ("guard", "guard_shard"), ("redeem_capped",), GUARD, 1),
    Case("redeem_campaign", "redeem_coupon, one hot coupon of a hot campaign, both capped", ("guard", "guard_campaign"), ("redeem_capped",), GUARD, 1),
    Case("redeem_many", "redeem_coupon, 1,000 capped coupons", ("guard", "guard_many"), ("bare",), GUARD, 1),
    by_hand("textbook", "textbook: foreign key, then counter", "drop/textbook"),
    by_hand("textbook_count_first", "textbook: counter, then foreign key", "drop/textbook_count_first"),
    by_hand("guarded_update", "guarded UPDATE, no foreign key", "drop/guarded_update"),
    by_hand("for_update", "SELECT ... FOR UPDATE", "double-click/for-update"),
    by_hand("serializable", "SERIALIZABLE with retry (no cap)", "double-click/serializable"),
    Case("plpgsql_uncapped", "PL/pgSQL insert-first, no cap", PLPGSQL_SCHEMA, (), "plpgsql.ledger", 1),
    Case("plpgsql_capped", "PL/pgSQL insert-first, striped cap", PLPGSQL_SCHEMA, (), "plpgsql.ledger", 1),
    Case("redis_always", "Redis script, appendfsync always", redis="always"),
    Case("redis_everysec", "Redis script, appendfsync everysec (may lose a second)", redis="everysec"),
))

REFUSALS = ("guard", "guard_refusals")
PLPGSQL_REFUSALS = ("guard", "plpgsql", "plpgsql_in_full", "plpgsql_refusals")

REFUSE = Group("refuse", "Refusals", "answers/s", (
    Case("floor", "a C function that does nothing (the floor)", ("guard",)),
    Case("select_by_key", "SELECT by primary key", ("guard", "bare", "bare_rows"), ("floor",), BARE),
    Case("refuse_duplicate", "redeem_coupon: already redeemed", REFUSALS, ("select_by_key", "plpgsql_duplicate"), GUARD),
    Case("refuse_sold_out", "redeem_coupon: sold out", REFUSALS, ("select_by_key", "plpgsql_sold_out"), GUARD),
    Case("refuse_not_found", "redeem_coupon: not found", REFUSALS, ("select_by_key", "plpgsql_not_found"), GUARD),
    Case("plpgsql_duplicate", "the same logic in PL/pgSQL: already redeemed", PLPGSQL_REFUSALS, (), "plpgsql.ledger"),
    Case("plpgsql_sold_out", "the same logic in PL/pgSQL: sold out", PLPGSQL_REFUSALS, (), "plpgsql.ledger"),
    Case("plpgsql_not_found", "the same logic in PL/pgSQL: not found", PLPGSQL_REFUSALS, (), "plpgsql.ledger"),
))

ORDER = Group("order", "Inside an order of five statements", "orders/s", (
    Case("order_bare", "order with INSERT ... ON CONFLICT DO NOTHING", BARE_SCHEMA + ("shop",), (), BARE, 1),
    Case("order_uncapped", "order with redeem_coupon, no cap", ("guard", "shop"), ("order_bare",), GUARD, 1),
    Case("order_capped", "order with redeem_coupon, one hot capped coupon", ("guard", "shop"), ("order_bare",), GUARD, 1),
))

OPEN = Group("open", "In a transaction that stays open for 10 ms", "transactions/s", (
    Case("open_bare", "INSERT ... ON CONFLICT DO NOTHING", BARE_SCHEMA, (), BARE, 1),
    Case("open_uncapped", "redeem_coupon, no cap", ("guard",), ("open_bare",), GUARD, 1),
    Case("open_capped", "redeem_coupon, one hot capped coupon", ("guard",),
         ("open_bare", "open_uncapped", "open_guarded_update"), GUARD, 1),
    by_hand("open_guarded_update", "guarded UPDATE, no foreign key", "drop/guarded_update"),
    Case("open_amount", "redeem_coupon of an amount, no budget", ("guard",), ("open_uncapped",), GUARD, 1),
    Case("open_budget", "redeem_coupon of an amount, one hot budget", ("guard", "guard_budget"), ("open_amount", "open_balance"), GUARD, 1),
    by_hand("open_balance", "guarded UPDATE of a balance", "budget/balance"),
))

BATCH = Group("batch", "1,000 users in one statement", "redemptions/s", (
    Case("batch_bare", "INSERT ... SELECT ... ON CONFLICT DO NOTHING", BARE_SCHEMA, (), BARE, 1000, 1000),
    Case("batch_uncapped", "redeem_coupon, no cap", ("guard",), ("batch_bare",), GUARD, 1000, 1000),
    Case("batch_capped", "redeem_coupon, one capped coupon", ("guard",), ("batch_bare",), GUARD, 1000, 1000),
))

CLAIM = Group("claim", "Codes of a campaign handed out", "codes/s", (
    Case("claim_bare", "UPDATE ... WHERE id = (SELECT ... FOR UPDATE SKIP LOCKED LIMIT 1)", ("guard", "codes", "bare_codes"), (),
         "bare.claimed", 1),
    Case("claim_code", "claim_coupon", ("guard", "codes"), ("claim_bare",), "guard.claimed", 1),
))

SET = Group("set", "64 users in one statement", "redemptions/s", (
    Case("group_bare", "INSERT ... SELECT ... ON CONFLICT DO NOTHING", BARE_SCHEMA, (), BARE, 64, 64),
    Case("group_capped", "redeem_coupon, one hot capped coupon", ("guard",), ("group_bare",), GUARD, 64, 64),
    Case("group_each_capped", "redeem_coupon_for_each, one hot capped coupon", ("guard",), ("group_bare", "group_capped"), GUARD, 64, 64),
    Case("group_requests_bare", "INSERT ... SELECT ... ON CONFLICT DO NOTHING, with request ids", BARE_SCHEMA, (), BARE, 64, 64),
    Case("group_requests", "redeem_coupon, with request ids", ("guard",), ("group_requests_bare",), GUARD, 64, 64),
    Case("group_each_requests", "redeem_coupon_for_each, with request ids", ("guard",), ("group_requests_bare", "group_requests"), GUARD,
         64, 64),
))

# Threads are compared with threads, an event loop with an event loop.
THREADS = ("callers_connections", "callers_redis_always")
LOOPS = ("callers_loop_redis_always",)

CALLERS = Group("callers", "Callers who wait for their answers", "redemptions/s", (
    Case("callers_connections", "threads, each with a client", ("guard",), ("callers_redis_always",), GUARD, 1,
         asking=Asking("connections")),
    *(Case(f"callers_group_{number}", f"threads that share a group_client, connections: {number}", ("guard",), THREADS, GUARD, 1,
           asking=Asking("group", (f"--connections={number}",))) for number in (1, 2, 4)),
    *(Case(f"callers_futures_{number}", f"an event loop with a group_client, connections: {number}", ("guard",), LOOPS, GUARD, 1,
           asking=Asking("futures", (f"--connections={number}",))) for number in (1, 2)),
    Case("callers_redis_always", "Redis script, appendfsync always: threads", redis="always", asking=Asking("redis")),
    Case("callers_redis_everysec", "Redis script, appendfsync everysec (may lose a second): threads", redis="everysec",
         asking=Asking("redis")),
    Case("callers_loop_redis_always", "Redis script, appendfsync always: an event loop", redis="always"),
    Case("callers_loop_redis_everysec", "Redis script, appendfsync everysec (may lose a second): an event loop",
         redis="everysec"),
), also_at=(256,), waits=True)

MANY = ("--coupons=1000",)
SOLD_OUT = ("--code=SOLD_OUT",)

CALLERS_OTHER = Group("callers_other", "Callers who are refused, or want one of many coupons", "answers/s", (
    Case("refused_connections", "sold out: threads, each with a client", REFUSALS, (), GUARD,
         asking=Asking("connections", SOLD_OUT)),
    Case("refused_group_2", "sold out: threads that share a group_client, connections: 2", REFUSALS, ("refused_connections",),
         GUARD, asking=Asking("group", ("--connections=2", *SOLD_OUT))),
    Case("many_connections", "1,000 capped coupons: threads, each with a client", ("guard", "guard_many"), (), GUARD, 1,
         asking=Asking("connections", MANY)),
    Case("many_group_2", "1,000 capped coupons: threads that share a group_client, connections: 2", ("guard", "guard_many"),
         ("many_connections",), GUARD, 1, asking=Asking("group", ("--connections=2", *MANY))),
), waits=True)


def sharded(name, title, route, against=(), *, script="shards_redeem", rows_each=1):
    return Case(name, title, against=against, ledger="shards.coupon_redemption", rows_each=rows_each, route=route, script=script)


ONE, ONE_PROXY, ONE_ROUTER = Route(1), Route(1, "proxy"), Route(1, "router")
FOUR, FOUR_PROXY, FOUR_ROUTER = Route(4), Route(4, "proxy"), Route(4, "router")

# What the router costs beside PL/Proxy, and PL/Proxy beside nothing; what four servers cost beside one, on the same machine.
SHARDS = Group("shards", "A divided cap over shards", "redemptions/s", (
    sharded("shards_1", "one shard, directly", ONE),
    sharded("shards_1_proxy", "one shard, through a PL/Proxy function", ONE_PROXY, ("shards_1",), script="shards_redeem_proxy"),
    sharded("shards_1_router", "one shard, through the router", ONE_ROUTER, ("shards_1", "shards_1_proxy")),
    sharded("shards_4", "four shards, the clients divided", FOUR, ("shards_1",)),
    sharded("shards_4_proxy", "four shards, through a PL/Proxy function", FOUR_PROXY, ("shards_4",), script="shards_redeem_proxy"),
    sharded("shards_4_router", "four shards, through the router", FOUR_ROUTER, ("shards_1", "shards_4", "shards_4_proxy", "shards_1_router")),
), waits=True)

SHARDS_OTHER = Group("shards_other", "Answers without a redemption over shards", "answers/s", (
    sharded("shards_nothing", "a C function that does nothing (the floor), directly", ONE, script="shards_nothing", rows_each=0),
    sharded("shards_nothing_proxy", "it, through a PL/Proxy function", ONE_PROXY, ("shards_nothing",), script="shards_nothing_proxy", rows_each=0),
    sharded("shards_sold_out", "sold out, one shard, directly", ONE, script="shards_sold_out", rows_each=0),
    sharded("shards_sold_out_proxy", "sold out, four shards, through a PL/Proxy function", FOUR_PROXY, ("shards_sold_out",),
            script="shards_sold_out_proxy", rows_each=0),
    sharded("shards_sold_out_router", "sold out, four shards, through the router, which asks them all", FOUR_ROUTER,
            ("shards_sold_out", "shards_sold_out_proxy"), script="shards_sold_out", rows_each=0),
    sharded("shards_not_found", "not found, one shard, directly", ONE, script="shards_not_found", rows_each=0),
    sharded("shards_not_found_router", "not found, four shards, through the router, which asks them all", FOUR_ROUTER,
            ("shards_not_found",), script="shards_not_found", rows_each=0),
), waits=True)

GROUPS = (REDEEM, REFUSE, ORDER, OPEN, BATCH, SET, CLAIM, CALLERS, CALLERS_OTHER, SHARDS, SHARDS_OTHER)

# What is not a matter of clients has a module of its own.
STUDIES = ("growth", "coupons", "memory", "wal", "bulk", "generated", "multiuse", "cliff", "phases", "last_codes", "skewed")
