-- What one would write by hand: a code that nobody else is taking just now. It does not say whether none is left, or all are being taken.
UPDATE bare.coupon SET holder = nextval('guard.customer')::text
WHERE id = (SELECT id FROM bare.coupon WHERE campaign_id = 1 AND holder IS NULL LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING code;
