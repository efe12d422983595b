// A click that waits for another click of the same customer keeps its connection. A transaction of customer 1 stays open here
// until the test ends it, and customer 1 clicks 30 times: what becomes of customer 2?

import assert from "node:assert/strict";
import { after, beforeEach, test } from "node:test";

import { count, makeTables, openTransaction, owner, startService, until, waiting } from "./support.js";

const poolSize = 10;
const clicks = 30;

beforeEach(makeTables);
after(() => owner.end());

/** Customer 1's open transaction, and 30 clicks that have filled the pool. */
const impatience = async (service) => {
  const slow = await openTransaction("SELECT promo.redeem_coupon(1::bigint, 'SAVE10')");
  const answers = Array.from({ length: clicks }, () => service.post({ userId: 1, code: "SAVE10" }));
  await until(async () => (await waiting()) === poolSize);
  return { slow, answers };
};

test("with a lock_timeout of a second, customer 2 is served while customer 1's transaction is open", async () => {
  const service = await startService({ poolSize, lockTimeout: 1000 });
  const { slow, answers } = await impatience(service);

  assert.equal((await service.post({ userId: 2, code: "SAVE10" })).status, "redeemed");

  for (const answer of await Promise.all(answers)) {
    assert.equal(answer.http, 503);
    assert.equal(answer.status, "busy");
    assert.equal(answer.retryAfter, "1");
  }
  await slow.end("COMMIT");
  assert.equal((await service.post({ userId: 1, code: "SAVE10" })).status, "already_redeemed");
  await service.close();
});

test("a click that heard busy has done nothing: it may be sent again when the transaction has been rolled back", async () => {
  const service = await startService({ poolSize, lockTimeout: 1000 });
  const { slow, answers } = await impatience(service);
  await Promise.all(answers);
  await slow.end("ROLLBACK");
  assert.equal((await service.post({ userId: 1, code: "SAVE10" })).status, "redeemed");
  assert.equal(await count('"Order"'), 1);
  await service.close();
});

test("without, customer 2 is not served: there is no connection until customer 1's transaction ends", async () => {
  const service = await startService({ poolSize, lockTimeout: 0, maxWait: 2000 }); // 2000 is Prisma's own
  const { slow, answers } = await impatience(service);

  assert.equal((await service.post({ userId: 2, code: "SAVE10" })).status, "busy"); // P2028, after maxWait
  assert.equal(await waiting(), poolSize);

  await slow.end("COMMIT");
  await Promise.all(answers);
  assert.equal((await service.post({ userId: 2, code: "SAVE10" })).status, "redeemed");
  await service.close();
});
