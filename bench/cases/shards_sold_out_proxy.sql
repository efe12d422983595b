-- Sold out on every shard; only the user's is asked.
\set customer random(1, 1000000000000)
SELECT status, redemption_id FROM proxy.redeem_coupon(:customer, 'SOLD_OUT');
