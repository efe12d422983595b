// An answer that was lost: the client cannot know whether it happened, and asks again with the same Idempotency-Key.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";

import { count, endBackends, makeTables, openTransaction, owner, startService, until, waiting } from "./support.js";

const body = { userId: 1, code: "SAVE10" };
let service;
before(async () => (service = await startService()));
beforeEach(makeTables);
after(async () => {
  await service.close();
  await owner.end();
});

test("a request that is sent again gets the same order, and makes no other", async () => {
  const first = await service.post(body, { requestId: "checkout-1" });
  assert.equal(first.http, 201);
  assert.deepEqual(await service.post(body, { requestId: "checkout-1" }), first);
  assert.equal(await count('"Order"'), 1);
});

test("sent twice at once, too", async () => {
  const gate = await openTransaction("LOCK TABLE promo.coupon_redemption IN SHARE MODE");
  const answers = [1, 2].map(() => service.post(body, { requestId: "checkout-1" }));
  await until(async () => (await waiting()) === 2);
  await gate.end();
  const [one, other] = await Promise.all(answers);
  assert.equal(one.http, 201);
  assert.deepEqual(one, other);
  assert.equal(await count('"Order"'), 1);
});

test("another request of the same user is refused", async () => {
  await service.post(body, { requestId: "checkout-1" });
  assert.equal((await service.post(body, { requestId: "checkout-2" })).status, "already_redeemed");
});

test("a connection that is lost before COMMIT has redeemed nothing, and the retry does", async () => {
  const gate = await openTransaction('LOCK TABLE "Order" IN SHARE MODE'); // the redemption is made, the order is not yet
  const lost = service.post(body, { requestId: "checkout-1" });
  await until(async () => (await waiting()) === 1);
  await endBackends();
  const answer = await lost;
  assert.equal(answer.http, 503);
  assert.equal(answer.status, "busy");
  await gate.end();

  assert.equal((await service.post(body, { requestId: "checkout-1" })).http, 201);
  assert.equal(await count("promo.coupon_redemption"), 1);
  assert.equal(await count('"Order"'), 1);
});

test("an Idempotency-Key that is too long is the client's mistake", async () => {
  assert.equal((await service.post(body, { requestId: "x".repeat(256) })).http, 400);
});
