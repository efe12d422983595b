// An order and its coupon in one transaction, with node-postgres.
import pg from "pg";

interface Answer {
  status: string;
  redemption_id: string | null; // a bigint: node-postgres gives its digits
  terms: string | null;
}

async function placeOrder(db: pg.ClientBase, userId: bigint, code: string, requestId: string): Promise<string> {
  await db.query("BEGIN");
  await db.query("SET LOCAL lock_timeout = '1s'");
  const { rows: [order] } = await db.query<{ id: string }>(
    "INSERT INTO orders (user_id, request_id) VALUES ($1, $2) ON CONFLICT (user_id, request_id) DO NOTHING RETURNING id",
    [userId, requestId],
  );
  let status: string;
  if (order === undefined) { // an earlier attempt has been committed, redemption and all
    const { rows: [earlier] } = await db.query<{ coupon_status: string }>(
      "SELECT coupon_status FROM orders WHERE user_id = $1 AND request_id = $2", [userId, requestId]);
    status = earlier!.coupon_status;
  } else {
    const { rows: [answer] } = await db.query<Answer>(
      "SELECT status, redemption_id, terms::text FROM promo.redeem_coupon($1::bigint, $2, $3)", [userId, code, requestId]);
    status = answer!.status;
    const redeemed = status === "redeemed"; // a refusal is a value: the order goes on without the discount
    await db.query("UPDATE orders SET coupon_status = $1, redemption_id = $2, discount = $3 WHERE id = $4",
      [status, redeemed ? answer!.redemption_id : null, answer!.terms, order.id]);
  }
  await db.query("COMMIT");
  return status;
}

const ignore = () => {};

export async function checkout(pool: pg.Pool, userId: bigint, code: string, requestId: string): Promise<string> {
  for (let attempt = 0; ; attempt++) {
    let db: pg.PoolClient | undefined;
    let failure: Error | undefined;
    try {
      db = await pool.connect();
      db.on("error", ignore); // a connection lost between two queries would end the process
      return await placeOrder(db, userId, code, requestId);
    } catch (error) {
      failure = error as Error;
      const sqlstate = error instanceof pg.DatabaseError ? error.code ?? "" : "";
      if (sqlstate === "55P03") return "busy"; // an earlier click of this user is still in progress; this one has done nothing
      // A conflict or a lost connection: the same request again. In the end, throw: the outcome is unknown.
      if (attempt === 4 || !/^(|40001|40P01|57P0.|08...)$/.test(sqlstate)) throw error;
    } finally {
      db?.off("error", ignore); // the pool has a listener of its own
      db?.release(failure); // with an error: the pool closes the connection, and its transaction is rolled back
    }
    await new Promise((wake) => setTimeout(wake, Math.random() * 100 * 2 ** attempt));
  }
}
