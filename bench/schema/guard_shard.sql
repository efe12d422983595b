-- This server is one shard of several, and the limit of the hot coupon is divided: what it may give here is too much to be given in a run.
SELECT guard.coupon_guard_set_shard('one', 1);
UPDATE guard.coupon SET rights = max_redemptions / 2 WHERE code = 'CAPPED';
