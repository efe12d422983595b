// Many callers of a Redeemer at once, and what may happen to one of them. For each promise it prints a line, "ok - PROMISE" or "not ok -
// PROMISE". Nothing is judged by a clock: what is said to happen while a rival's transaction is open happens before this program ends it.
import pg from "pg";
import { judge, tally } from "./promises.js";
import { QueueFull, Redeemer } from "./redeemer.js";

const owner = new pg.Pool({ user: "postgres", max: 2 }); // sees what is left in the ledger, and has accidents happen

/** A Redeemer on pools of its own; one with the limits of `patient` waits for rivals as long as they like, once it waits apart. */
function redeemerWith(limits: ConstructorParameters<typeof Redeemer>[2] = {}, groups = new pg.Pool({ max: 1 })) {
  const apart = new pg.Pool({ max: 4 });
  for (const pool of [groups, apart]) pool.on("error", () => {}); // a connection that is lost in the pool would end the process
  const redeemer = new Redeemer(groups, apart, limits);
  return {
    answer: redeemer.redeem.bind(redeemer),
    /** The status, or the SQLSTATE of the error, or its name. */
    redeem: (user: number | bigint, code = "SAVE10", requestId = `click of ${user}`): Promise<string> =>
      redeemer.redeem(BigInt(user), code, requestId).then(
        (answer) => answer.status,
        (error) => error.code ?? (error instanceof QueueFull ? "queue full" : error.constructor.name)),
    end: () => Promise.all([groups.end(), apart.end()]),
  };
}
const patient = { patienceApart: 600_000 };

const users = (first: number, count: number) => Array.from({ length: count }, (_, n) => first + n);

/** What the ledger has of users from `first` to `last`: "3 redemptions of 3 users in 1 transactions". */
async function ledger(first: number, last: number): Promise<string> {
  const { rows: [found] } = await owner.query<{ found: string }>(
    `SELECT format('%s redemptions of %s users in %s transactions', count(*), count(DISTINCT user_id), count(DISTINCT xmin::text)) AS found
     FROM promo.coupon_redemption WHERE user_id::bigint BETWEEN $1 AND $2`, [first, last]);
  return found!.found;
}

/** A rival: a transaction in which the user has redeemed, open until it is ended. */
async function rivalOf(user: number, code = "SAVE10"): Promise<(how: "COMMIT" | "ROLLBACK") => Promise<void>> {
  const rival = new pg.Client();
  await rival.connect();
  await rival.query("BEGIN");
  await rival.query("SELECT status FROM promo.redeem_coupon($1::bigint, $2)", [user, code]);
  return async (how) => {
    await rival.query(how);
    await rival.end();
  };
}

async function manyAtOnce(): Promise<void> {
  const { redeem, answer, end } = redeemerWith();
  judge("200 callers at once are redeemed", await tally(users(1000, 200).map((user) => redeem(user))), "200 redeemed");
  judge("by four statements", await ledger(1000, 1199), "200 redemptions of 200 users in 4 transactions");

  const first = redeem(2000);
  await new Promise(setImmediate); // the first one's statement is under way
  await tally([first, ...users(2001, 50).map((user) => redeem(user))]);
  judge("a lone caller is redeemed at once, those who come meanwhile together", await ledger(2000, 2050),
    "51 redemptions of 51 users in 2 transactions");

  const backwards = await Promise.all(users(2100, 50).reverse().map((user) => answer(BigInt(user), "SAVE10", "one")));
  const ids = backwards.map(({ redemption_id }) => Number(redemption_id));
  judge("a group is redeemed in the order of its users, not in that of their coming", ids.join(), ids.slice().sort((a, b) => b - a).join());
  await end();
}

async function eachItsOwnAnswer(): Promise<void> {
  const { redeem, answer, end } = redeemerWith();
  const [redeemed, again, replayed, plain, unknown] = await Promise.all([
    answer(3000n, "SAVE10", "one"), answer(3000n, " save10 ", "two"), answer(3000n, "SAVE10", "one"), answer(3001n, "PLAIN", "one"),
    answer(3002n, "NOSUCH", "one")]);
  judge("each caller of a group gets its own answer",
    JSON.stringify([redeemed, again, replayed, plain, unknown].map(({ status, terms, replayed }) => [status, terms, replayed])),
    JSON.stringify([["redeemed", { percent: 10 }, false], ["already_redeemed", null, false], ["redeemed", { percent: 10 }, true],
      ["redeemed", null, false], ["not_found", null, false]]));
  judge("and a request that is repeated its first redemption", replayed.redemption_id ?? "none", redeemed.redemption_id ?? "nothing");
  judge("of a coupon with five units, five are redeemed", await tally(users(3100, 100).map((user) => redeem(user, "FIVE"))),
    "5 redeemed, 95 sold_out");
  await end();
}

async function errorOfOne(): Promise<void> {
  const { redeem, end } = redeemerWith();
  await redeem(4000, "SAVE10", "reused");
  const others = users(4001, 60).map((user) => redeem(user));
  const wrong = [redeem(4000, "PLAIN", "reused"), redeem(4100, "SAVE10", "x".repeat(2000)), redeem(4101, "SAVE\0"), redeem(10n ** 30n),
    redeem(4102, "SAVE10", ["click"] as unknown as string)];
  judge("an error reaches the caller that has made it", (await Promise.all(wrong)).join(), "RC007,22023,22021,22003,TypeError");
  judge("and nobody else", await tally(others), "60 redeemed");
  judge("and nobody is redeemed twice", (await ledger(4000, 4102)).replace(/ in .*/, ""), "61 redemptions of 61 users");
  await end();
}

async function slowRival(): Promise<void> {
  const { redeem, end } = redeemerWith(patient);
  const endRival = await rivalOf(5000);
  let isAnswered = false;
  const slow = redeem(5000).finally(() => (isAnswered = true));
  const others = users(5001, 60).map((user) => redeem(user));
  judge("while one waits for a rival, the others are redeemed", await tally(others), "60 redeemed");
  judge("and those who come later", await tally(users(5100, 60).map((user) => redeem(user))), "60 redeemed");
  judge("and it goes on waiting", String(isAnswered), "false");
  await endRival("ROLLBACK");
  judge("until the rival ends, and then has its unit", await slow, "redeemed");
  await end();

  const impatient = redeemerWith({ patienceApart: 1 });
  const endAnother = await rivalOf(5200);
  judge("or gives up, and is not told a refusal", await impatient.redeem(5200), "55P03");
  await endAnother("COMMIT");
  await impatient.end();
}

async function twoEventLoops(): Promise<void> {
  const loops = [redeemerWith(patient), redeemerWith(patient)] as const;
  const customers = users(8000, 200);
  const answers = [...customers.map((user) => loops[0].redeem(user, "SAVE10", "one")),
    ...customers.reverse().map((user) => loops[1].redeem(user, "SAVE10", "two"))];
  judge("two event loops with the same customers redeem each of them once", await tally(answers), "200 already_redeemed, 200 redeemed");
  for (const { end } of loops) await end();
}

/** Once, when the user's redemption is to be committed, and the rows of the answer have been sent: a trigger executes the statement. */
async function accident(user: number, statement: string): Promise<void> {
  const name = `accident_${user}`;
  await owner.query(`
    CREATE SEQUENCE judge.${name};
    CREATE FUNCTION judge.${name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
    BEGIN
      IF nextval('judge.${name}') = 1 THEN ${statement}; END IF;
      RETURN NULL;
    END $$;
    CREATE CONSTRAINT TRIGGER ${name} AFTER INSERT ON promo.coupon_redemption DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW WHEN (NEW.user_id = '${user}') EXECUTE FUNCTION judge.${name}()`);
}

/** How often it was tried to redeem the user who has an accident. */
async function attempts(user: number): Promise<string> {
  const { rows: [sequence] } = await owner.query<{ last_value: string }>(`SELECT last_value FROM judge.accident_${user}`);
  return `${sequence!.last_value} attempts`;
}

/** A connection that is lost after the server has committed, and before the first answer arrives. */
class LosesFirstAnswer extends pg.Pool {
  private isFirst = true;
  override async query(...all: unknown[]): Promise<any> {
    const answer = await (super.query as (...all: unknown[]) => Promise<unknown>)(...all);
    if (!this.isFirst) return answer;
    this.isFirst = false;
    throw new Error("Connection terminated unexpectedly");
  }
}

async function accidents(): Promise<void> {
  const lost = redeemerWith({}, new LosesFirstAnswer({ max: 1 }));
  const answers = await Promise.all(users(6000, 40).map((user) => lost.answer(BigInt(user), "SAVE10", "one")));
  judge("a group whose answer is lost is asked again, and told of the first redemptions",
    await tally(answers.map(async ({ status, replayed }) => `${status}, replayed ${replayed}`)), "40 redeemed, replayed true");
  judge("which are the only ones", await ledger(6000, 6039), "40 redemptions of 40 users in 1 transactions");
  await lost.end();

  const { redeem, end } = redeemerWith();
  await accident(6110, "PERFORM pg_terminate_backend(pg_backend_pid()), pg_sleep(600)"); // which the signal interrupts
  judge("a group whose session is ended is asked again",
    `${await tally(users(6100, 40).map((user) => redeem(user)))}, ${await attempts(6110)}`, "40 redeemed, 2 attempts");
  judge("and is there once", await ledger(6100, 6139), "40 redemptions of 40 users in 1 transactions");
  for (const [user, sqlstate] of [[6200, "40001"], [6300, "40P01"]] as const) {
    await accident(user, `RAISE EXCEPTION 'a conflict of the judge''s making' USING ERRCODE = '${sqlstate}'`);
    judge(`${sqlstate} is nobody's answer`,
      `${await tally(users(user, 40).map((each) => redeem(each)))}, ${await attempts(user)}`, "40 redeemed, 2 attempts");
    await accident(user + 50, `RAISE EXCEPTION 'another' USING ERRCODE = '${sqlstate}'`);
    judge("nor that of a caller who is alone", `${await redeem(user + 50)}, ${await attempts(user + 50)}`, "redeemed, 2 attempts");
  }
  await end();
}

async function fullQueue(): Promise<void> {
  const { redeem, end } = redeemerWith({ queueLength: 10 });
  judge("more than may wait are told so at once", await tally(users(7000, 15).map((user) => redeem(user))), "10 redeemed, 5 queue full");
  judge("and may come again", await tally(users(7010, 5).map((user) => redeem(user))), "5 redeemed");
  await end();
}

await owner.query("INSERT INTO promo.coupon (code, max_redemptions) VALUES ('FIVE', 5)");
await manyAtOnce();
await eachItsOwnAnswer();
await errorOfOne();
await slowRival();
await twoEventLoops();
await accidents();
await fullQueue();
const { rows } = await owner.query<{ found: string }>("SELECT v::text AS found FROM promo.coupon_guard_verify() v");
judge("coupon_guard_verify() finds nothing", rows.map((row) => row.found).join("; "), "");
await owner.end();
