-- 1,000 rows to be read by primary key, ids 1 to 1000.
INSERT INTO bare.ledger (coupon_id, user_id, use_no) SELECT 1, customer, 1 FROM generate_series(1, 1000) customer;
ANALYZE bare.ledger;
