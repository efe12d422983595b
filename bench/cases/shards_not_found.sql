-- A code that no shard has.
\set customer random(1, 1000000000000)
SELECT status, redemption_id FROM shards.redeem_coupon(:customer, 'NO_SUCH_CODE');
