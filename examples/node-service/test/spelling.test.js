// One user, one spelling: whatever stands in the request's body, user 1 has the coupon once.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import pg from "pg";

import { count, makeTables, owner, startService } from "./support.js";

let service;
before(async () => {
  await makeTables();
  service = await startService();
  assert.equal((await service.post({ userId: 1, code: "SAVE10" })).status, "redeemed");
});
after(async () => {
  await service.close();
  await owner.end();
});

// As they stand in the body, without a JavaScript between that might tidy them up.
const theSameNumber = ["1", "1.0", "1e0", "10e-1", "1.0000000000000000001"];
const noUserId = [
  '" 1"', '"1 "', '"01"', '"+1"', '"1.0"', '"1"', '"1e0"', '"0x1"', '"１"', '"\\u00a01"', '"1\\u0000"',
  "[1]", '["1"]', "[]", '{"a":1}', "true", "false", "null", "1.5", "0", "-1", "-0", "1e400", "2147483648", '""',
];
const noJson = ["01", "+1", "１", "0x1", "1n", "NaN", "'1'", ""];

const bodyOf = (userId) => `{"userId":${userId},"code":"SAVE10"}`;

for (const userId of theSameNumber) {
  test(`${userId} is user 1`, async () => {
    assert.equal((await service.post(bodyOf(userId))).status, "already_redeemed");
    assert.equal(await count("promo.coupon_redemption"), 1);
  });
}

for (const userId of noUserId) {
  test(`${userId} is no user id`, async () => {
    const answer = await service.post(bodyOf(userId));
    assert.equal(answer.http, 400);
    assert.equal(answer.message, "userId must be a whole number from 1 on");
    assert.equal(await count("promo.coupon_redemption"), 1);
  });
}

for (const userId of noJson) {
  test(`${userId || "nothing"} is no JSON`, async () => {
    assert.equal((await service.post(bodyOf(userId))).http, 400);
    assert.equal(await count("promo.coupon_redemption"), 1);
  });
}

for (const code of ['" save10 "', '"ＳＡＶＥ１０"']) {
  test(`${code} is the code SAVE10`, async () => {
    assert.equal((await service.post(`{"userId":1,"code":${code}}`)).status, "already_redeemed");
  });
}

for (const code of ["10", "null", '["SAVE10"]', '"SAVE10\\u0000"']) {
  test(`${code} is no code`, async () => assert.equal((await service.post(`{"userId":1,"code":${code}}`)).http, 400));
}

test("and if the service forgot the cast, its role may not redeem for a text", async () => {
  const shop = new pg.Client({ connectionString: process.env.DATABASE_URL });
  await shop.connect();
  await assert.rejects(shop.query("SELECT status FROM promo.redeem_coupon($1, $2)", [" 1", "SAVE10"]), { code: "42501" });
  await shop.end();
  assert.equal(await count("promo.coupon_redemption"), 1);
});
