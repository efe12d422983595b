-- What one writes by hand to reach the shards: functions that are PL/Proxy's, and nothing else.
DROP SCHEMA IF EXISTS proxy CASCADE;
CREATE SCHEMA proxy;
CREATE FUNCTION proxy.redeem_coupon(user_id text, code text, request_id text DEFAULT NULL, metadata jsonb DEFAULT NULL, OUT status text,
  OUT redemption_id bigint, OUT coupon_id bigint, OUT use_no integer, OUT redeemed_at timestamptz, OUT terms jsonb, OUT replayed boolean,
  OUT amount bigint, OUT limited_by text, OUT retry_at timestamptz)
LANGUAGE plproxy AS $$ CLUSTER 'coupon_guard'; RUN ON hashtext(user_id); TARGET shards.redeem_coupon; $$;
CREATE FUNCTION proxy.nothing(user_id text) RETURNS text
LANGUAGE plproxy AS $$ CLUSTER 'coupon_guard'; RUN ON hashtext(user_id); SELECT shards.coupon_guard_version(); $$;
