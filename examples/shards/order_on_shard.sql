-- PGSERVICEFILE has a service for each shard, under its name.
--
--   psql -v user=42 -v code=SAVE10 -v request=a1 -v router='host=router dbname=shop' -v ON_ERROR_STOP=1 -f order_on_shard.sql
\connect :router
SELECT name AS shard FROM shard_of(:user::bigint) \gset
\connect service=:shard
\ir order_transaction.sql
\if :may_be_elsewhere
  \connect :router
  SELECT coalesce(gather_units(:user::bigint, :'code'), 0) = 0 AS is_nowhere \gset
  \if :is_nowhere
    \set is_final true
  \endif
  \ir order_on_shard.sql
\endif
