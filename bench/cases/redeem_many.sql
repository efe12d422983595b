-- 1,000 capped coupons, each as likely as the other.
\set customer random(1, 1000000000000)
\set code random(1, 1000)
SELECT status, redemption_id FROM guard.redeem_coupon(:customer, :code);
