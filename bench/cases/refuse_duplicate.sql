-- Users who have had it.
\set customer random(1, 1000)
SELECT status, redemption_id FROM guard.redeem_coupon(:customer, 'UNCAPPED');
