-- What a refusal is measured against: one row of the ledger by its primary key, the columns of an answer.
\set row random(1, 1000)
SELECT id, coupon_id, use_no, redeemed_at, metadata FROM bare.ledger WHERE id = :row;
