-- A client ends, with an error, when no code is left.
SELECT 1 / (status = 'claimed')::int FROM guard.claim_coupon(nextval('guard.customer'), 'drop');
