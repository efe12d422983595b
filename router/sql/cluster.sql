-- Which shards there are, where a user is, and what it means that a shard does not answer.

-- One row for each partition, as PL/Proxy counts them. Partitions with the same connection string are one shard, whose calls go to the
-- first of them.
CREATE FUNCTION @extschema@.coupon_router_partitions()
RETURNS TABLE (partition pg_catalog.int4, shard pg_catalog.int4)
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT p.number, min(p.number) OVER (PARTITION BY p.connection)
  FROM (
    SELECT regexp_replace(o.option_name, '^(p|partition_)', '')::int4 AS number, o.option_value AS connection
    FROM pg_foreign_server AS s CROSS JOIN pg_options_to_table(s.srvoptions) AS o
    WHERE s.srvname = 'coupon_guard' AND o.option_name ~ '^(p|partition_)\d+$') AS p;
END;
COMMENT ON FUNCTION @extschema@.coupon_router_partitions() IS 'partitions of the cluster, and for each the first one that is the same shard';

CREATE FUNCTION @extschema@.coupon_router_shards()
RETURNS pg_catalog.int4[]
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT array_agg(DISTINCT p.shard ORDER BY p.shard) FROM @extschema@.coupon_router_partitions() AS p;
END;
COMMENT ON FUNCTION @extschema@.coupon_router_shards() IS 'all shards, each by its first partition; the first of them is home';

-- As the shards read an id that comes as text, where coupon_guard.user_id_type is what it is here.
CREATE FUNCTION @extschema@.coupon_router_user(user_id pg_catalog.text)
RETURNS pg_catalog.text
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  CASE current_setting('coupon_guard.user_id_type', true)
    WHEN 'bigint' THEN RETURN user_id::int8::text;
    WHEN 'uuid' THEN RETURN user_id::uuid::text;
    ELSE RETURN user_id;
  END CASE;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_router_user(pg_catalog.text) IS 'the user id as the ledger has it';

-- What PL/Proxy takes for the partition of a user. For nobody the shard says what is wrong. The usual case first, and nothing else: this is
-- evaluated on each call, and what is inlined is set up on each.
CREATE FUNCTION @extschema@.coupon_router_hash(user_id pg_catalog.text)
RETURNS pg_catalog.int4
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT coalesce(hashtext(CASE WHEN current_setting('coupon_guard.user_id_type', true) IN ('bigint', 'uuid')
                           THEN @extschema@.coupon_router_user(user_id) ELSE user_id END), 0);
END;
COMMENT ON FUNCTION @extschema@.coupon_router_hash(pg_catalog.text) IS 'the number by which PL/Proxy finds the partition of a user';

CREATE FUNCTION @extschema@.coupon_router_partition_of(hash pg_catalog.int4)
RETURNS pg_catalog.int4
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT (CASE WHEN o.is_modular THEN abs(hash::int8) % p.number ELSE hash & (p.number - 1) END)::int4
  FROM (SELECT count(*)::int4 AS number FROM @extschema@.coupon_router_partitions()) AS p,
       (SELECT coalesce(bool_or(o.option_value <> '0'), false) AS is_modular
        FROM pg_foreign_server AS s
        JOIN pg_foreign_data_wrapper AS w ON w.oid = s.srvfdw
        CROSS JOIN pg_options_to_table(w.fdwoptions || s.srvoptions) AS o
        WHERE s.srvname = 'coupon_guard' AND o.option_name = 'modular_mapping') AS o;
END;
COMMENT ON FUNCTION @extschema@.coupon_router_partition_of(pg_catalog.int4) IS 'the partition that PL/Proxy takes for a number';

CREATE FUNCTION @extschema@.coupon_router_shard_of(hash pg_catalog.int4)
RETURNS pg_catalog.int4
LANGUAGE sql STABLE
BEGIN ATOMIC
  SELECT p.shard FROM @extschema@.coupon_router_partitions() AS p WHERE p.partition = @extschema@.coupon_router_partition_of(hash);
END;
COMMENT ON FUNCTION @extschema@.coupon_router_shard_of(pg_catalog.int4) IS 'the shard of a number, by its first partition';

-- Whether an error says that a shard cannot be reached or was lost, not what a shard had to say. PL/Proxy reports what libpq tells it
-- as an internal error of its own; a server that ends a connection has said why.
CREATE FUNCTION @extschema@.coupon_router_is_silence(state pg_catalog.text, message pg_catalog.text)
RETURNS pg_catalog.bool
LANGUAGE sql IMMUTABLE
RETURN state LIKE '08%' OR state IN ('57P01', '57P02', '57P03', '57P05')
  OR (state = 'XX000'
      AND (message ~ '^PL/Proxy function [^:]*: (\[[^]]*\] PQ|connect timeout|query timeout|No memory for PGconn|poll\(\) failed)'
           OR message ~ ': \[[^]]*\] REMOTE \(null\)'));
COMMENT ON FUNCTION @extschema@.coupon_router_is_silence(pg_catalog.text, pg_catalog.text) IS
  'whether an error of a PL/Proxy function says that its server does not answer';

-- For the handler of an error in a call to the user's own shard, before it raises that error again.
CREATE FUNCTION @extschema@.coupon_router_report(state pg_catalog.text, message pg_catalog.text, partition pg_catalog.int4)
RETURNS pg_catalog.void
LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF @extschema@.coupon_router_is_silence(state, message) AND message !~ ' does not answer$' THEN
    RAISE EXCEPTION '%', coalesce('the shard of partition p' || partition, 'a shard') || ' does not answer' USING ERRCODE = 'connection_failure',
      DETAIL = message,
      HINT = 'Whether it has done what it was asked is not known. Call again with the same request id, or look.';
  END IF;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_router_report(pg_catalog.text, pg_catalog.text, pg_catalog.int4) IS
  'raises 08006 if an error says that a server does not answer';
