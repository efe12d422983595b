--   psql -v user=42 -v code=SAVE10 -v request=a1 -v router='host=router dbname=shop' -v shop='host=shop dbname=shop' -v ON_ERROR_STOP=1 -f order_with_hold.sql
\connect :router
-- Committed on the user's shard when it answers; given back by itself if nobody confirms it.
SELECT status, coalesce(redemption_id, 0) AS redemption_id FROM hold_coupon(:user::bigint, :'code', '15 minutes', :'request') \gset
\connect :shop
INSERT INTO orders (user_id, request_id, coupon_status, redemption_id)
VALUES (:user, :'request', :'status', CASE WHEN :'status' IN ('held', 'redeemed') THEN :redemption_id END)
ON CONFLICT (user_id, request_id) DO NOTHING;
-- The order is there: so is the redemption.
SELECT :'status' = 'held' AS must_confirm \gset
\if :must_confirm
  \connect :router
  SELECT status FROM confirm_hold(:user::bigint, :redemption_id);
\endif
