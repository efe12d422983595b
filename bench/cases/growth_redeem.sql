-- A redemption somewhere in a ledger that has :rows rows.
\set customer random(1000000000, 1000000000 + :rows)
\set shade random(1, 1000000000)
SELECT status, redemption_id FROM guard.redeem_coupon(:customer::text || '-' || :shade::text, 'UNCAPPED');
