-- One hot coupon on a shard that may give a part of its cap.
\set customer random(1, 1000000000000)
SELECT status, redemption_id FROM guard.redeem_coupon(:customer, 'CAPPED');
