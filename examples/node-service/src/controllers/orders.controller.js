import { Refusal } from "../services/refusal.js";

/**
 * POST /api/v1/orders/redeem-coupon  {"userId": 1, "code": "SAVE10"}
 *
 *   ?version=naive | serializable | unique | redeem_coupon   one of the four, instead of the setting's
 *   Idempotency-Key: ...                                     the request id: a retry cannot order twice
 */
export const redeemCoupon = (service) => async (request, response) => {
  const order = await service.redeemCoupon({
    ...readBody(request.body),
    requestId: request.get("Idempotency-Key") ?? null,
    version: request.query.version,
  });
  response.status(201).json(order);
};

const largestInt = 2 ** 31 - 1; // Prisma's Int is PostgreSQL's int

/**
 * A user has one spelling, and it is decided here. In JSON, 1, 1.0 and 1e0 are the same number, and JavaScript reads them so.
 * " 1", "01", "1.0", [1] and "１" are something else, and must not be helped along: Number() makes a 1 of most of them, the
 * text '01' or ' 1' would be another user than '1' to a coupon that is redeemed by text, and a user who has two names has
 * two coupons. So: no Number(), no parseInt(), and ::bigint in SQL behind it.
 */
const readBody = (body) => {
  const { userId, code } = body ?? {};
  if (!Number.isInteger(userId) || userId < 1 || userId > largestInt) {
    throw new Refusal("invalid_request", "userId must be a whole number from 1 on");
  }
  if (typeof code !== "string" || code.includes("\0")) {
    throw new Refusal("invalid_request", "code must be a string");
  }
  return { userId, code };
};
