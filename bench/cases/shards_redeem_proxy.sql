-- The same through a function that is PL/Proxy's and nothing else.
\set customer random(1, 1000000000000)
SELECT status, redemption_id FROM proxy.redeem_coupon(:customer, 'CAPPED');
