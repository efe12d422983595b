\set customer random(1, 1000000000000)
SELECT status, redemption_id FROM plpgsql.redeem_in_full(:customer, 'SOLD_OUT');
