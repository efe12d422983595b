-- What is refused: UNCAPPED has been redeemed by the users 1 to 1000; SOLD_OUT by the one user it was for.
SELECT count(*) FROM generate_series(1, 1000) customer, guard.redeem_coupon(customer::text, 'UNCAPPED');
INSERT INTO guard.coupon (code, max_redemptions) VALUES ('SOLD_OUT', 2);
SELECT count(*) FROM generate_series(1, 2) customer, guard.redeem_coupon(customer::text, 'SOLD_OUT');
ANALYZE guard.coupon_redemption;
DO $$
BEGIN
  ASSERT (SELECT status = 'already_redeemed' FROM guard.redeem_coupon(1, 'UNCAPPED'));
  ASSERT (SELECT status = 'sold_out' FROM guard.redeem_coupon(3, 'SOLD_OUT'));
  ASSERT (SELECT status = 'not_found' FROM guard.redeem_coupon(1, 'NO_SUCH_CODE'));
END
$$;
