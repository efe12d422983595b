-- One hot coupon: every client wants a unit of the same quota.
\set customer random(1, 1000000000000)
SELECT status, redemption_id FROM guard.redeem_coupon(:customer, 'CAPPED');
