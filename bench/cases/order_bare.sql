-- An order of five statements, the bare row in the middle of them.
\set customer random(1, 1000000000000)
\set article random(1, 100000)
BEGIN;
INSERT INTO shop.orders (customer) VALUES (:customer) RETURNING id AS order_id \gset
INSERT INTO shop.order_item VALUES (:order_id, 1, :article, 9.90);
INSERT INTO shop.order_item VALUES (:order_id, 2, :article, 19.90);
INSERT INTO bare.ledger (coupon_id, user_id, use_no) VALUES (1, :customer, 1) ON CONFLICT DO NOTHING;
UPDATE shop.orders SET total = 26.82 WHERE id = :order_id;
COMMIT;
