-- The extension installs, and its first result is a screen away.
CREATE EXTENSION coupon_guard;
INSERT INTO coupon (code) VALUES ('SAVE10');
SELECT status, redemption_id, coupon_id, use_no, redeemed_at <= clock_timestamp() AS in_time, terms
  FROM redeem_coupon(1, 'SAVE10');
SELECT status, redemption_id, coupon_id, use_no FROM redeem_coupon(1, 'SAVE10');
