-- One hot coupon of a hot campaign: every client wants a unit of both quotas.
\set customer random(1, 1000000000000)
SELECT status, redemption_id FROM guard.redeem_coupon(:customer, 'SUMMER');
