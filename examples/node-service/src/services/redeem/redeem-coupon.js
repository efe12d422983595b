import { Refusal } from "../refusal.js";

/**
 * The extension: one call decides, and the order is made in the same transaction, so they stand or fall together.
 *
 * A refusal is an answer, not an error: the transaction could go on here, and sell at the full price. This service is asked for
 * the discount or nothing, so it ends it.
 */
export const redeemCoupon = (prisma, { userId, code, requestId }, { lockTimeout }) =>
  prisma.$transaction(async (tx) => {
    // SET LOCAL, with a parameter. A second click of one customer waits for the first one's transaction, and keeps its
    // connection meanwhile: without a limit, one slow transaction and ten impatient clicks have the whole pool.
    await tx.$queryRaw`SELECT set_config('lock_timeout', ${String(lockTimeout)}, true)`;

    // ::bigint, or the id would be text, and the user whatever is in it. Prisma reads a bigint as a BigInt, which JSON does
    // not have: hence String() below.
    const [answer] = await tx.$queryRaw`
      SELECT status, redemption_id, terms, replayed
      FROM promo.redeem_coupon(${userId}::bigint, ${code}, ${requestId})`;
    if (answer.status !== "redeemed") throw new Refusal(answer.status);

    const redemptionId = answer.redemption_id;
    const order = answer.replayed
      ? await tx.order.findUniqueOrThrow({ where: { redemptionId } }) // a retry: the order was committed with the redemption
      : await tx.order.create({ data: { userId, terms: answer.terms, redemptionId } });
    return { status: "redeemed", redemptionId: String(redemptionId), orderId: order.id, terms: order.terms };
  });
