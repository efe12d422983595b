-- A server that is a shard. Which one, and its part of the caps, are told afterwards.
SELECT to_regclass('shards.coupon') IS NOT NULL AS is_there \gset
\if :is_there
TRUNCATE shards.coupon_redemption, shards.coupon, shards.campaign, shards.coupon_shard, shards.coupon_transfer CASCADE;
\endif
DROP SCHEMA IF EXISTS shards CASCADE;
CREATE SCHEMA shards;
CREATE EXTENSION coupon_guard SCHEMA shards;
