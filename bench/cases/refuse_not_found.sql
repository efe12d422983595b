\set customer random(1, 1000000000000)
SELECT status, redemption_id FROM guard.redeem_coupon(:customer, 'NO_SUCH_CODE');
