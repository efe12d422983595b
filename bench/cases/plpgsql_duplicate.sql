-- Users who have had it.
\set customer random(1, 1000)
SELECT status, redemption_id FROM plpgsql.redeem_in_full(:customer, 'UNCAPPED');
