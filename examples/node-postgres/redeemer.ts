// Redeems for all who wait in one event loop together: one statement, one transaction, few connections. Why it is right is argued in
// docs/grouping.md.
import pg from "pg";

export interface Answer {
  status: string;
  redemption_id: string | null; // a bigint: node-postgres gives its digits
  terms: unknown;
  replayed: boolean;
}

interface Call {
  values: [userId: bigint, code: string, requestId: string];
  lockOrder: string;
  resolve(answer: Answer): void;
  reject(error: Error): void;
}

/** As many wait as may. Nothing has been sent, so it may be asked again. */
export class QueueFull extends Error {}

// lock_timeout is set within the statement, before it calls anything, and ends with it.
const statement = `
  SELECT call_number, status, redemption_id, terms, replayed
  FROM unnest(CASE WHEN set_config('lock_timeout', $1, true) IS NOT NULL THEN $2::bigint[] END, $3::text[], $4::text[])
      WITH ORDINALITY AS calls (user_id, code, request_id, call_number),
    LATERAL promo.redeem_coupon(user_id, code, request_id)`;

export class Redeemer {
  private waiting: Call[] = [];
  private unanswered = 0;
  private isBusy = false;
  // How many share a statement, how many may be unanswered; in milliseconds, how long a group waits for a rival, and a call that is alone.
  private limits = { groupSize: 64, queueLength: 10_000, patience: 50, patienceApart: 1000 };

  /** Of `groups` one connection is used; of `apart` as many as there may be calls that wait for rivals at the same time. */
  constructor(private groups: pg.Pool, private apart: pg.Pool, limits: Partial<Redeemer["limits"]> = {}) {
    Object.assign(this.limits, limits);
  }

  /** Answered when it has been committed. The request id is needed: a group whose connection is lost is asked again. */
  async redeem(userId: bigint, code: string, requestId: string): Promise<Answer> {
    // What JavaScript hands in may be of any type, and an array within an array would be other elements of it.
    const types = [typeof userId, typeof code, typeof requestId].join();
    if (types !== "bigint,string,string") throw new TypeError(`redeem(bigint, string, string) was called with ${types}`);
    const lockOrder = `${code.normalize("NFKC").trim().toLowerCase()}\0${userId}`;
    if (this.unanswered >= this.limits.queueLength) throw new QueueFull("too many wait to redeem");
    const answer = new Promise<Answer>((resolve, reject) => {
      this.waiting.push({ values: [userId, code, requestId], lockOrder, resolve, reject });
    });
    if (!this.isBusy) setImmediate(() => this.answerAll()); // no timer: when the loop has handed in what it has read
    this.isBusy = true;
    this.unanswered++;
    return answer.finally(() => this.unanswered--);
  }

  private async answerAll(): Promise<void> {
    while (this.waiting.length > 0) {
      const group = this.waiting.splice(0, this.limits.groupSize);
      group.sort((a, b) => (a.lockOrder < b.lockOrder ? -1 : a.lockOrder > b.lockOrder ? 1 : 0)); // stable
      await this.settle(group, this.groups, this.limits.patience);
    }
    this.isBusy = false;
  }

  /** Answers each of them, or fails it. Does not throw. */
  private async settle(group: Call[], pool: pg.Pool, patience: number, attempt = 0): Promise<void> {
    try {
      const values = [0, 1, 2].map((n) => group.map((call) => call.values[n]));
      const { rows } = await pool.query<Answer & { call_number: string }>(statement, [Math.ceil(patience), ...values]);
      for (const { call_number, ...answer } of rows) group[Number(call_number) - 1]!.resolve(answer);
    } catch (error) {
      const sqlstate = error instanceof pg.DatabaseError ? error.code ?? "" : "";
      const isLost = /^(|08...|28...|3D000|53...|57P0.)$/.test(sqlstate); // the connection, or the server: no member's fault
      if ((isLost || (group.length === 1 && /^(40001|40P01)$/.test(sqlstate))) && attempt < 4) {
        await new Promise((wake) => setTimeout(wake, Math.random() * 100 * 2 ** attempt));
        await this.settle(group, pool, patience, attempt + 1); // the same request ids
      } else if (isLost) {
        for (const call of group) call.reject(error as Error); // the outcome is unknown
      } else if (group.length > 1) { // all of it is rolled back, and nobody says because of whom
        const middle = Math.ceil(group.length / 2);
        for (const half of [group.slice(0, middle), group.slice(middle)]) await this.settle(half, pool, this.limits.patience / 10);
      } else if (sqlstate === "55P03" && pool === this.groups) {
        void this.settle(group, this.apart, this.limits.patienceApart); // not awaited: nobody else waits with it
      } else {
        group[0]!.reject(error as Error);
      }
    }
  }
}
