-- The extension in the form of its rivals (rivals/README.md): how it is set up, read and checked. Redeemed is through the client library.

-- [tables]
CREATE EXTENSION coupon_guard;

-- [coupon]
INSERT INTO coupon (code, max_redemptions, budget) VALUES (:code, nullif(:cap::bigint, 0), nullif(:budget::bigint, 0));

-- [ledger]
SELECT r.id AS redemption_id, r.user_id::bigint AS user_id, r.amount
FROM coupon_redemption r JOIN coupon c ON c.id = r.coupon_id
WHERE c.code = :code AND r.voided_at IS NULL AND r.hold_expires_at IS NULL;

-- [came_back]
SELECT count(*) FROM coupon_redemption WHERE void_reason = 'hold expired';

-- What it checks itself; and, not to take its word for it, quota + rows = cap, and quota + amounts = budget.
-- [broken]
SELECT (SELECT count(*) FROM coupon_guard_verify()) +
  (SELECT count(*) FROM coupon c WHERE max_redemptions <>
    (SELECT sum(remaining) FROM coupon_quota WHERE owner_id = c.id AND kind = 'c') +
    (SELECT count(*) FROM coupon_redemption WHERE coupon_id = c.id AND voided_at IS NULL)) +
  (SELECT count(*) FROM coupon c WHERE budget <>
    (SELECT sum(remaining) FROM coupon_quota WHERE owner_id = c.id AND kind = 'b') +
    (SELECT coalesce(sum(amount), 0) FROM coupon_redemption WHERE coupon_id = c.id AND voided_at IS NULL));
