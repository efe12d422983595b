-- An order with its coupon, on the shard of the user: both are committed, or neither.
BEGIN;
SET LOCAL lock_timeout = '1s';
SELECT status, coalesce(redemption_id, 0) AS redemption_id,
  status IN ('sold_out', 'insufficient') AND limited_by IS NOT DISTINCT FROM 'shard' AS may_be_elsewhere
FROM redeem_coupon(:user::bigint, :'code', :'request') \gset
\if :{?is_final}
  \set may_be_elsewhere false
\endif
\if :may_be_elsewhere
  ROLLBACK;
\else
  INSERT INTO orders (user_id, request_id, coupon_status, redemption_id)
  VALUES (:user, :'request', :'status', CASE WHEN :'status' = 'redeemed' THEN :redemption_id END)
  ON CONFLICT (user_id, request_id) DO NOTHING;
  COMMIT;
\endif
