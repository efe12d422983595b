-- One hot coupon whose cap is divided; on a shard, or on the router, whose functions have the same names.
\set customer random(1, 1000000000000)
SELECT status, redemption_id FROM shards.redeem_coupon(:customer, 'CAPPED');
