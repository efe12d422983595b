-- One of :coupons uncapped coupons.
\set customer random(1, 1000000000000)
\set code random(1, :coupons)
SELECT status, redemption_id FROM guard.redeem_coupon(:customer, :code);
