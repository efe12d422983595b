-- The extension on shards, behind a router. It is set up by the place of the race, and redeemed is through the client library; this is read on each shard.

-- [ledger]
SELECT r.id AS redemption_id, r.user_id::bigint AS user_id, r.amount
FROM coupon_redemption r JOIN coupon c ON c.id = r.coupon_id
WHERE c.code = :code AND r.voided_at IS NULL AND r.hold_expires_at IS NULL;

-- What the shard checks itself; and, not to take its word for it, quota + rows = rights.
-- [broken]
SELECT (SELECT count(*) FROM coupon_guard_verify()) +
  (SELECT count(*) FROM coupon c WHERE rights <>
    (SELECT sum(remaining) FROM coupon_quota WHERE owner_id = c.id AND kind = 'c') +
    (SELECT count(*) FROM coupon_redemption WHERE coupon_id = c.id AND voided_at IS NULL));

-- [rights]
SELECT coalesce(sum(rights), 0)::bigint FROM coupon;

-- What has left and, as far as this shard knows, not arrived.
-- [under_way]
SELECT coalesce(sum(units), 0)::bigint FROM coupon_transfer WHERE direction = 'o' AND settled_at IS NULL;

-- [transfers]
SELECT count(*) FROM coupon_transfer WHERE direction = 'o';
