import { isUniqueViolation } from "../prisma-errors.js";
import { Refusal } from "../refusal.js";

/**
 * The tutorial's last version: a unique index on (userId, couponId), made by sql/unique.sql. Do not look, insert: of two, the
 * second waits for the first to commit and then fails, whatever the timing.
 *
 * It is right, and simple. Its limits: the error has aborted the transaction, so an order that was begun in it is gone; once
 * per user is all that it can say, not twice, nor 500 in all; and after a lost answer nobody knows whose P2002 it is.
 */
export const unique = async (prisma, { userId, code }) => {
  try {
    return await prisma.$transaction(async (tx) => {
      const coupon = await tx.coupon.findFirst({ where: { code, active: true } });
      if (!coupon) throw new Refusal("not_found", "no such coupon");

      const redemption = await tx.couponRedemption.create({ data: { userId, couponId: coupon.id } });
      return { status: "redeemed", redemptionId: String(redemption.id) };
    });
  } catch (error) {
    if (isUniqueViolation(error)) throw new Refusal("already_redeemed", "you have used this coupon already");
    throw error;
  }
};
