// A pool of ten connections, a slow transaction of one customer, 30 impatient clicks of the same customer, and behind them 20 others. For
// each promise it prints a line, "ok - PROMISE" or "not ok - PROMISE". Nothing is judged by a clock: what is said to happen while the slow
// transaction is open happens before this program ends that transaction.
import { createHash } from "node:crypto";
import pg from "pg";
import { checkout } from "./order.js";
import { judge, tally } from "./promises.js";

const size = 10;
const clicks = 30;
const others = 20;

type Order = (pool: pg.Pool, userId: bigint, code: string, requestId: string) => Promise<string>;

/** A transaction in which the customer has redeemed, on a connection outside the pool. */
async function slowTransaction(customer: bigint, lock = "SELECT 1"): Promise<pg.Client> {
  const slow = new pg.Client();
  await slow.connect();
  await slow.query("BEGIN");
  await slow.query(lock);
  await slow.query("SELECT status FROM promo.redeem_coupon($1::bigint, 'SAVE10')", [customer]);
  return slow;
}

/** The 30 clicks of the customer, and after them in the pool's queue the others, who have other numbers. */
function rush(pool: pg.Pool, order: Order, customer: bigint) {
  const began = performance.now();
  const request = (user: bigint, n: number) => order(pool, user, "SAVE10", `rush-${user}-${n}`);
  return {
    clicked: Array.from({ length: clicks }, (_, n) => request(customer, n)),
    served: Array.from({ length: others }, (_, n) => request(customer * 1000n + BigInt(n), n)),
    seconds: () => ((performance.now() - began) / 1000).toFixed(1),
  };
}

async function withLockTimeout(customer: bigint): Promise<void> {
  const pool = new pg.Pool({ max: size });
  const slow = await slowTransaction(customer);
  const { clicked, served, seconds } = rush(pool, checkout, customer);
  judge("with lock_timeout, other customers are served while the slow transaction is open", await tally(served), `${others} redeemed`);
  console.log(`#   after ${seconds()} s`);
  judge("and its customer's clicks are told busy", await tally(clicked), `${clicks} busy`);
  await slow.query("COMMIT");
  await slow.end();
  await pool.end();
}

/** Connections on which the line SET LOCAL lock_timeout does nothing. */
function forgetLockTimeout(db: pg.PoolClient): void {
  const query = db.query.bind(db) as (...all: unknown[]) => unknown;
  const without = (...all: unknown[]) => (all[0] === "SET LOCAL lock_timeout = '1s'" ? Promise.resolve() : query(...all));
  db.query = without as typeof db.query;
}

async function withoutLockTimeout(customer: bigint): Promise<void> {
  const pool = new pg.Pool({ max: size, application_name: "without" }).on("connect", forgetLockTimeout);
  const slow = await slowTransaction(customer);
  const { clicked, served } = rush(pool, checkout, customer);
  let answered = 0;
  for (const answer of [...clicked, ...served]) answer.finally(() => answered++);

  let waiting = 0;
  while (waiting < size) { // if the pool is not used up, for ever: scripts/examples ends the program then
    await slow.query("SELECT pg_stat_clear_snapshot()"); // within a transaction, the view stays as it was first seen
    const { rows } = await slow.query("SELECT FROM pg_stat_activity WHERE application_name = 'without' AND wait_event_type IN ('Lock', 'Extension')");
    waiting = rows.length;
  }
  judge("without, all ten connections wait for a lock, and nobody is served",
    `${answered} answered, ${pool.waitingCount} queued`, `0 answered, ${clicks + others - size} queued`);
  await slow.query("ROLLBACK");
  await slow.end();
  judge("until it ends: then one click redeems, and the others come too late",
    await tally(clicked), `1 redeemed, ${clicks - 1} already_redeemed`);
  judge("and other customers are served at last", await tally(served), `${others} redeemed`);
  await pool.end();
}

/** A lock of the shop's own on the customer. It is tried, never waited for, and ends with the transaction. */
function tryLock(customer: bigint): string {
  const key = createHash("sha256").update(`redeem ${customer}`).digest().readBigInt64BE();
  return `SELECT pg_try_advisory_xact_lock(${key}) AS is_mine`;
}

const redeemOrBusy: Order = async (pool, userId, code, requestId) => {
  const db = await pool.connect();
  try {
    await db.query("BEGIN");
    const { rows: [lock] } = await db.query<{ is_mine: boolean }>(tryLock(userId));
    const { rows: [answer] } = await db.query<{ status: string }>(lock!.is_mine
      ? { text: "SELECT status FROM promo.redeem_coupon($1::bigint, $2, $3)", values: [userId, code, requestId] }
      : { text: "SELECT 'busy' AS status" });
    await db.query("COMMIT");
    return answer!.status;
  } finally {
    db.release();
  }
};

async function withTryLock(customer: bigint): Promise<void> {
  const pool = new pg.Pool({ max: size });
  const slow = await slowTransaction(customer, tryLock(customer));
  const { clicked, served, seconds } = rush(pool, redeemOrBusy, customer);
  judge("with a lock that is only tried, no click waits, though there is no lock_timeout: all are told busy",
    await tally(clicked), `${clicks} busy`);
  judge("and other customers are served while the slow transaction is open", await tally(served), `${others} redeemed`);
  console.log(`#   after ${seconds()} s`);
  await slow.query("COMMIT");
  await slow.end();
  await pool.end();
}

await withLockTimeout(1n);
await withoutLockTimeout(2n);
await withTryLock(3n);
