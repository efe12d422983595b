--   psql -v user=42 -v code=SAVE10 -v request=a1 -v router='host=router dbname=shop' -v shop='host=shop dbname=shop' -v ON_ERROR_STOP=1 -f order_through_router.sql
\connect :router
-- Committed on the user's shard when it answers. Asked again with the same request id, it is the same redemption.
SELECT status, coalesce(redemption_id, 0) AS redemption_id FROM redeem_coupon(:user::bigint, :'code', :'request') \gset
\connect :shop
INSERT INTO orders (user_id, request_id, coupon_status, redemption_id)
VALUES (:user, :'request', :'status', CASE WHEN :'status' = 'redeemed' THEN :redemption_id END)
ON CONFLICT (user_id, request_id) DO NOTHING;
