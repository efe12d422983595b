import { setTimeout as sleep } from "node:timers/promises";

import { Refusal } from "../refusal.js";

/**
 * The tutorial's first version: look, then insert, in a transaction. It reads well, and is wrong.
 *
 * Under READ COMMITTED a statement sees what was committed before the statement began. Two transactions that look before
 * either has committed both see no redemption, and both insert one. The pause makes that easy to see; without it, it happens
 * less often.
 */
export const naive = (prisma, request, { pause }) =>
  prisma.$transaction((tx) => lookThenInsert(tx, request, pause));

export const lookThenInsert = async (tx, { userId, code }, pause) => {
  const coupon = await tx.coupon.findFirst({ where: { code, active: true } });
  if (!coupon) throw new Refusal("not_found", "no such coupon");

  const used = await tx.couponRedemption.findFirst({ where: { userId, couponId: coupon.id } });
  if (used) throw new Refusal("already_redeemed", "you have used this coupon already");

  await sleep(pause);

  const redemption = await tx.couponRedemption.create({ data: { userId, couponId: coupon.id } });
  return { status: "redeemed", redemptionId: String(redemption.id) };
};
