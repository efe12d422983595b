// What Prisma throws, found by trial: each error is made to happen. src/services/prisma-errors.js has the summary; when a new
// version of Prisma throws something else, it is seen here.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";

import { connect } from "../src/database.js";
import { settings } from "../src/settings.js";
import { isConflict, isLostConnection, isOutOfTime, isUniqueViolation, sqlstateOf } from "../src/services/prisma-errors.js";
import { endBackends, makeTables, openTransaction, owner, patient, run, until, waiting } from "./support.js";

const data = { userId: 1, couponId: 1 };
const serializable = { isolationLevel: "Serializable" };

let prisma;
before(() => (prisma = connect({ ...settings(), ...patient, databaseUrl: process.env.OWNER_URL })));
beforeEach(makeTables);
after(async () => {
  await prisma.$disconnect();
  await owner.end();
});

const errorOf = (promise) => promise.then(() => assert.fail("nothing was thrown"), (error) => error);

/** A point that a transaction of the test reaches, or waits for. */
const point = () => {
  let reach;
  const reached = new Promise((resolve) => (reach = resolve));
  return { reach, reached };
};

const look = (tx) => tx.couponRedemption.findFirst({ where: data });
const insert = (tx) => tx.couponRedemption.create({ data });

/** COMMIT itself waits here: for the advisory lock 1. */
const waitAtCommit = `
  CREATE OR REPLACE FUNCTION wait_at_commit() RETURNS trigger LANGUAGE plpgsql
  AS 'BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END';
  CREATE CONSTRAINT TRIGGER wait_at_commit AFTER INSERT ON "CouponRedemption" DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION wait_at_commit()`;

test("P2002: a unique constraint", async () => {
  await run("unique.sql");
  await insert(prisma);
  const error = await errorOf(insert(prisma));
  assert.equal(error.name, "PrismaClientKnownRequestError");
  assert.equal(error.code, "P2002");
  assert.equal(sqlstateOf(error), "23505");
  assert.ok(isUniqueViolation(error));
});

test("P2034: 40001 at a statement, the rival having committed before it", async () => {
  const error = await errorOf(
    prisma.$transaction(async (tx) => {
      await look(tx);
      await prisma.$transaction(async (rival) => {
        await look(rival);
        await insert(rival);
      }, serializable);
      await insert(tx);
    }, serializable),
  );
  assert.equal(error.name, "PrismaClientKnownRequestError");
  assert.equal(error.code, "P2034");
  assert.ok(isConflict(error));
});

test("a bare DriverAdapterError: 40001 at COMMIT, the rival having committed after the last statement", async () => {
  const rivalHasLooked = point();
  const bothHaveInserted = point();
  const rival = prisma.$transaction(async (tx) => {
    await look(tx);
    rivalHasLooked.reach();
    await bothHaveInserted.reached;
    await insert(tx);
  }, serializable);
  const error = await errorOf(
    prisma.$transaction(async (tx) => {
      await rivalHasLooked.reached;
      await look(tx);
      await insert(tx);
      bothHaveInserted.reach();
      await rival;
    }, serializable),
  );
  assert.equal(error.name, "DriverAdapterError");
  assert.equal(error.code, undefined);
  assert.equal(error.cause.kind, "TransactionWriteConflict");
  assert.equal(sqlstateOf(error), "40001");
  assert.ok(isConflict(error));
});

test("P2034: a deadlock, too", async () => {
  await owner.query(`INSERT INTO "Coupon" (code) VALUES ('OTHER')`);
  const bothHaveOne = [point(), point()];
  const touch = (tx, id) => tx.coupon.update({ where: { id }, data: { active: true } });
  const transactions = [1, 2].map((first) =>
    prisma.$transaction(async (tx) => {
      await touch(tx, first);
      bothHaveOne[first - 1].reach();
      await Promise.all(bothHaveOne.map(({ reached }) => reached));
      await touch(tx, 3 - first);
    }),
  );
  const [failed] = (await Promise.allSettled(transactions)).filter(({ status }) => status === "rejected");
  assert.equal(failed.reason.code, "P2034");
  assert.equal(sqlstateOf(failed.reason), "40P01");
  assert.ok(isConflict(failed.reason));
});

test("P2010 with the SQLSTATE inside: a refusal of redeem_coupon_strict", async () => {
  const strict = () => prisma.$queryRaw`SELECT status FROM promo.redeem_coupon_strict(${1}::bigint, ${"SAVE10"})`;
  await strict();
  const error = await errorOf(strict());
  assert.equal(error.name, "PrismaClientKnownRequestError");
  assert.equal(error.code, "P2010");
  assert.equal(error.meta.driverAdapterError.cause.originalCode, "RC005");
  assert.equal(sqlstateOf(error), "RC005");
});

test("P2010: 55P03, a lock_timeout", async () => {
  const slow = await openTransaction("SELECT promo.redeem_coupon(1::bigint, 'SAVE10')");
  const error = await errorOf(
    prisma.$transaction(async (tx) => {
      await tx.$queryRaw`SELECT set_config('lock_timeout', '10', true)`;
      await tx.$queryRaw`SELECT status FROM promo.redeem_coupon(${1}::bigint, ${"SAVE10"})`;
    }),
  );
  assert.equal(error.code, "P2010");
  assert.equal(sqlstateOf(error), "55P03");
  await slow.end();
});

test("P2010: 40001 in a raw query is not P2034", async () => {
  const error = await errorOf(
    prisma.$transaction(async (tx) => {
      await look(tx);
      await prisma.$queryRaw`SELECT status FROM promo.redeem_coupon(${1}::bigint, ${"SAVE10"})`;
      await tx.$queryRaw`SELECT status FROM promo.redeem_coupon(${1}::bigint, ${"SAVE10"})`;
    }, serializable),
  );
  assert.equal(error.code, "P2010");
  assert.equal(sqlstateOf(error), "40001");
  assert.ok(isConflict(error));
});

/** What `wait` throws, which waits for `lock` when its connection ends. */
const lostIn = async (wait, lock) => {
  const gate = await openTransaction(lock);
  const lost = errorOf(wait());
  await until(async () => (await waiting()) === 1);
  await endBackends();
  const error = await lost;
  await gate.end();
  assert.equal(sqlstateOf(error), "57P01");
  assert.ok(isLostConnection(error));
  return error;
};

test("P2039: the connection is lost in a model query", async () => {
  const lock = 'LOCK TABLE "CouponRedemption"';
  assert.equal((await lostIn(() => prisma.$transaction(look), lock)).code, "P2039");
});

test("P2010: the connection is lost in a raw query", async () => {
  const lock = "SELECT promo.redeem_coupon(1::bigint, 'SAVE10')";
  const query = () => prisma.$queryRaw`SELECT status FROM promo.redeem_coupon(${1}::bigint, ${"SAVE10"})`;
  assert.equal((await lostIn(query, lock)).code, "P2010");
});

test("a bare DriverAdapterError: the connection is lost at COMMIT", async () => {
  await owner.query(waitAtCommit);
  const error = await lostIn(() => prisma.$transaction(insert), "SELECT pg_advisory_xact_lock(1)");
  assert.equal(error.name, "DriverAdapterError");
  assert.equal(error.code, undefined);
});

test("P2028: no connection of the pool within maxWait", async () => {
  const small = connect({ ...settings(), ...patient, poolSize: 1, maxWait: 10 });
  const started = point();
  const end = point();
  const first = small.$transaction(
    async () => {
      started.reach();
      await end.reached;
    },
    { maxWait: 600_000 },
  );
  await started.reached;
  const error = await errorOf(small.$transaction(look));
  assert.equal(error.code, "P2028");
  assert.ok(isOutOfTime(error));
  end.reach();
  await first;
  await small.$disconnect();
});
