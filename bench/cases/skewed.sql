-- The next buyer, and what he is told.
INSERT INTO shards.answer
SELECT r.status FROM shards.buyer AS b, shards.redeem_coupon(b.user_id, 'DROP') AS r WHERE b.n = (SELECT nextval('shards.next_buyer'));
