-- Sold out on every shard.
\set customer random(1, 1000000000000)
SELECT status, redemption_id FROM shards.redeem_coupon(:customer, 'SOLD_OUT');
