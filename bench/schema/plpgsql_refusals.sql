-- The same state as guard_refusals.sql makes, for the functions of plpgsql.sql.
SELECT count(*) FROM generate_series(1, 1000) customer, plpgsql.redeem_coupon(customer::text, 'UNCAPPED');
INSERT INTO plpgsql.coupon (code_key, max_redemptions) VALUES ('sold_out', 2);
INSERT INTO plpgsql.quota SELECT id, 0, 2 FROM plpgsql.coupon WHERE code_key = 'sold_out';
SELECT count(*) FROM generate_series(1, 2) customer, plpgsql.redeem_coupon(customer::text, 'SOLD_OUT');
ANALYZE plpgsql.ledger;
DO $$
BEGIN
  ASSERT (SELECT status = 'already_redeemed' FROM plpgsql.redeem_in_full('1', 'UNCAPPED'));
  ASSERT (SELECT status = 'sold_out' FROM plpgsql.redeem_in_full('3', 'SOLD_OUT'));
  ASSERT (SELECT status = 'not_found' FROM plpgsql.redeem_in_full('1', 'NO_SUCH_CODE'));
END
$$;
