// Two requests of one user at once, in each version. The race is forced: a lock on the table lets both look, and neither
// insert, until both are there.

import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";

import { count, makeTables, openTransaction, owner, run, startService, until, waiting } from "./support.js";

let service;
before(async () => (service = await startService()));
beforeEach(makeTables);
after(async () => {
  await service.close();
  await owner.end();
});

const twoAtOnce = async (version, table) => {
  const gate = await openTransaction(`LOCK TABLE ${table} IN SHARE MODE`); // reading goes on
  const answers = [1, 2].map(() => service.post({ userId: 1, code: "SAVE10" }, { version }));
  await until(async () => (await waiting()) === 2);
  await gate.end();
  return (await Promise.all(answers)).map((answer) => answer.status).sort();
};

test("naive: both are redeemed", async () => {
  assert.deepEqual(await twoAtOnce("naive", '"CouponRedemption"'), ["redeemed", "redeemed"]);
  assert.equal(await count('"CouponRedemption"'), 2);
});

test("serializable: one is redeemed, the other is tried again and finds it used", async () => {
  assert.deepEqual(await twoAtOnce("serializable", '"CouponRedemption"'), ["already_redeemed", "redeemed"]);
  assert.equal(await count('"CouponRedemption"'), 1);
});

test("unique: one is redeemed, the other breaks the constraint", async () => {
  await run("unique.sql");
  assert.deepEqual(await twoAtOnce("unique", '"CouponRedemption"'), ["already_redeemed", "redeemed"]);
  assert.equal(await count('"CouponRedemption"'), 1);
});

test("redeem_coupon: one is redeemed and ordered, the other hears already_redeemed", async () => {
  assert.deepEqual(await twoAtOnce("redeem_coupon", "promo.coupon_redemption"), ["already_redeemed", "redeemed"]);
  assert.equal(await count("promo.coupon_redemption"), 1);
  assert.equal(await count('"Order"'), 1);
});

test("unique.sql refuses a table that has a double", async () => {
  await twoAtOnce("naive", '"CouponRedemption"');
  await assert.rejects(run("unique.sql"), { code: "23505" });
});
