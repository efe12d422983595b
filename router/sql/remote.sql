-- What the shards are asked, by PL/Proxy: each of these is one call, and a transaction of its own on each shard that it goes to.

-- By user: the shard's own functions. The caller says where the user is (coupon_router_hash()), which spares PL/Proxy a query, and has the
-- answer as the text of a row, which it casts (so the shard must write dates as ISO does: verify() looks). PL/Proxy prepares nothing on the
-- shard, so each call is parsed and planned there: for a function in FROM, column by column, that took 150,000 instructions more, where
-- redeeming takes 66,000 (docs/performance-notes.md).
DO $by_user$
DECLARE
  one record;
BEGIN
  FOR one IN
    SELECT f.name, replace(f.arguments, 'USER', u.type) AS arguments, f.call
    FROM (VALUES ('pg_catalog.int8'), ('pg_catalog.uuid'), ('pg_catalog.text')) AS u (type),
    (VALUES
      ('redeem', 'user_id USER, code pg_catalog.text, request_id pg_catalog.text, metadata pg_catalog.jsonb', 'redeem_coupon($2, $3, $4, $5)'),
      ('redeem', 'user_id USER, code pg_catalog.text, amount pg_catalog.int8, metadata pg_catalog.jsonb, request_id pg_catalog.text, up_to pg_catalog.bool',
       'redeem_coupon($2, $3, $4, $5, $6, $7)'),
      ('hold', 'user_id USER, code pg_catalog.text, ttl pg_catalog.interval, request_id pg_catalog.text, metadata pg_catalog.jsonb', 'hold_coupon($2, $3, $4, $5, $6)'),
      ('hold', 'user_id USER, code pg_catalog.text, ttl pg_catalog.interval, amount pg_catalog.int8, metadata pg_catalog.jsonb, request_id pg_catalog.text',
       'hold_coupon($2, $3, $4, $5, $6, $7)'),
      ('check', 'user_id USER, code pg_catalog.text', 'check_coupon($2, $3)'),
      ('claim', 'user_id USER, campaign pg_catalog.text', 'claim_coupon($2, $3)'),
      ('release_claim', 'user_id USER, campaign pg_catalog.text', 'release_claim($2, $3)')
    ) AS f (name, arguments, call)
  LOOP
    EXECUTE format('CREATE FUNCTION @extschema@.shard_%s(hash pg_catalog.int4, %s) RETURNS pg_catalog.text LANGUAGE plproxy VOLATILE'
      ' AS $body$ CLUSTER ''coupon_guard''; RUN ON $1; SELECT @extschema@.%s::pg_catalog.text; $body$', one.name, one.arguments, one.call);
    EXECUTE format('COMMENT ON FUNCTION @extschema@.shard_%s(pg_catalog.int4, %s) IS ''asks the shard of the user''', one.name, one.arguments);
  END LOOP;
END
$by_user$;

-- Likewise, where the answer is many rows.
DO $rows_by_user$
DECLARE
  one record;
BEGIN
  FOR one IN
    SELECT f.name, replace(f.arguments, 'USER', u.type) AS arguments, f.result, f.run, u.name AS type
    FROM (VALUES ('bigint', 'pg_catalog.int8'), ('uuid', 'pg_catalog.uuid'), ('text', 'pg_catalog.text')) AS u (name, type),
    (VALUES
      ('redeem_coupons', 'user_id USER, codes pg_catalog.text[], amounts pg_catalog.int8[], metadata pg_catalog.jsonb, request_id pg_catalog.text,'
       ' up_to pg_catalog.bool',
       'SETOF @extschema@.coupon_redeem_row', 'TARGET @extschema@.redeem_coupons;'),
      ('redeem_for_each', 'user_ids USER[], codes pg_catalog.text[], request_ids pg_catalog.text[], metadata pg_catalog.jsonb[], places pg_catalog.int4[]',
       'SETOF @extschema@.coupon_redeem_place',
       'SPLIT user_ids, codes, request_ids, metadata, places;'
       ' SELECT ($5)[r.ordinality] AS place, r.status, r.redemption_id, r.coupon_id, r.use_no, r.redeemed_at, r.terms, r.replayed, r.amount,'
       ' r.limited_by, r.retry_at'
       ' FROM @extschema@.redeem_coupon_for_each($1, $2, $3, $4) WITH ORDINALITY AS r;')
    ) AS f (name, arguments, result, run)
  LOOP
    EXECUTE format('CREATE FUNCTION @extschema@.shard_%s(%s) RETURNS %s LANGUAGE plproxy VOLATILE AS $body$ CLUSTER ''coupon_guard''; RUN ON %s; %s $body$',
      one.name, one.arguments, one.result,
      format(CASE WHEN one.type = 'text' THEN '@extschema@.coupon_router_hash(%s)' ELSE 'coalesce(pg_catalog.hashtext(%s::pg_catalog.text), 0)' END,
        CASE WHEN one.name = 'redeem_for_each' THEN 'user_ids' ELSE 'user_id' END),
      one.run);
    EXECUTE format('COMMENT ON FUNCTION @extschema@.shard_%s(%s) IS ''asks the shard of the user''', one.name, one.arguments);
  END LOOP;
END
$rows_by_user$;

CREATE FUNCTION @extschema@.shard_confirm_hold(hash pg_catalog.int4, user_id pg_catalog.text, redemption_id pg_catalog.int8, amount pg_catalog.int8)
RETURNS @extschema@.coupon_redeem_answer
LANGUAGE plproxy VOLATILE
AS $$ CLUSTER 'coupon_guard'; RUN ON $1;
  SELECT r.status, r.redemption_id, r.coupon_id, r.use_no, r.redeemed_at, r.terms, r.replayed, r.amount, r.limited_by, r.retry_at
  FROM @extschema@.confirm_hold(@extschema@.coupon_shard_redemption_of($2, $3), $4) AS r; $$;

CREATE FUNCTION @extschema@.shard_void_redemption(
  hash pg_catalog.int4, user_id pg_catalog.text, redemption_id pg_catalog.int8, amount pg_catalog.int8, reason pg_catalog.text)
RETURNS pg_catalog.bool
LANGUAGE plproxy VOLATILE
AS $$ CLUSTER 'coupon_guard'; RUN ON $1; SELECT @extschema@.void_redemption(@extschema@.coupon_shard_redemption_of($2, $3), $4, $5); $$;

COMMENT ON FUNCTION @extschema@.shard_confirm_hold(pg_catalog.int4, pg_catalog.text, pg_catalog.int8, pg_catalog.int8) IS 'asks the shard of the user';
COMMENT ON FUNCTION @extschema@.shard_void_redemption(pg_catalog.int4, pg_catalog.text, pg_catalog.int8, pg_catalog.int8, pg_catalog.text) IS
  'asks the shard of the user';

-- Of many shards at once, each row with the shard that it comes from. Each shard gets the part of the array that is its own.
CREATE FUNCTION @extschema@.shard_names(shards pg_catalog.int4[])
RETURNS TABLE (partition pg_catalog.int4, number pg_catalog.int4, name pg_catalog.text)
LANGUAGE plproxy VOLATILE
AS $$ CLUSTER 'coupon_guard'; SPLIT shards; RUN ON $1;
  SELECT (($1))[1] AS partition, max(s.number) AS number, max(s.name) AS name FROM @extschema@.coupon_shard AS s; $$;

CREATE FUNCTION @extschema@.shard_units(shards pg_catalog.int4[], owner pg_catalog.text, k pg_catalog."char")
RETURNS SETOF @extschema@.coupon_shard_units
LANGUAGE plproxy VOLATILE
AS $$ CLUSTER 'coupon_guard'; SPLIT shards; RUN ON $1;
  SELECT (($1))[1] AS partition, true AS answers, u.shard, u.granted, u.used, u.remaining, u.is_dry, u.under_way, u.has_holder, u.transfers, u.evidence
  FROM (SELECT) AS one LEFT JOIN @extschema@.coupon_shard_units($2, $3) AS u ON true; $$;

CREATE FUNCTION @extschema@.shard_use(shards pg_catalog.int4[], owner pg_catalog.text, k pg_catalog."char")
RETURNS TABLE (partition pg_catalog.int4, used pg_catalog.int8)
LANGUAGE plproxy VOLATILE
AS $$ CLUSTER 'coupon_guard'; SPLIT shards; RUN ON $1; SELECT (($1))[1] AS partition, @extschema@.coupon_shard_use($2, $3) AS used; $$;

CREATE FUNCTION @extschema@.shard_rows(shards pg_catalog.int4[], coupon_code pg_catalog.text, campaign_name pg_catalog.text)
RETURNS TABLE (partition pg_catalog.int4, number pg_catalog.int4, found pg_catalog.jsonb)
LANGUAGE plproxy VOLATILE
AS $$ CLUSTER 'coupon_guard'; SPLIT shards; RUN ON $1;
  SELECT (($1))[1] AS partition, (SELECT max(s.number) FROM @extschema@.coupon_shard AS s) AS number,
    coalesce(@extschema@.coupon_shard_row($2), @extschema@.coupon_shard_campaign_row($3)) AS found; $$;

COMMENT ON FUNCTION @extschema@.shard_names(pg_catalog.int4[]) IS 'asks these shards';
COMMENT ON FUNCTION @extschema@.shard_units(pg_catalog.int4[], pg_catalog.text, pg_catalog."char") IS 'asks these shards';
COMMENT ON FUNCTION @extschema@.shard_use(pg_catalog.int4[], pg_catalog.text, pg_catalog."char") IS 'asks these shards';
COMMENT ON FUNCTION @extschema@.shard_rows(pg_catalog.int4[], pg_catalog.text, pg_catalog.text) IS 'asks these shards';

-- Of one shard.
DO $of_one$
DECLARE
  one record;
BEGIN
  FOR one IN
    SELECT * FROM (VALUES
      ('limits', 'code pg_catalog.text, campaign pg_catalog.text', 'SETOF @extschema@.coupon_shard_limits',
       'SELECT l.kind, l.name, l.remaining, l.begun, l.in_vain, l.unanswered, l.now FROM @extschema@.coupon_shard_limits($2, $3) AS l;'),
      ('begin_look', 'kind pg_catalog."char", name pg_catalog.text', 'pg_catalog.int8', 'SELECT @extschema@.coupon_shard_begin_look($2, $3);'),
      ('end_look', 'kind pg_catalog."char", name pg_catalog.text, number pg_catalog.int8, is_answered pg_catalog.bool', 'pg_catalog.bool',
       'SELECT @extschema@.coupon_shard_end_look($2, $3, $4, $5);'),
      ('release', 'code pg_catalog.text, units pg_catalog.int8, transfer_id pg_catalog.uuid, to_shard pg_catalog.text, kind pg_catalog."char"', 'pg_catalog.int8',
       'SELECT @extschema@.release_units($2, $3, $4, $5, $6);'),
      ('release_code', 'campaign pg_catalog.text, transfer_id pg_catalog.uuid, to_shard pg_catalog.text', 'pg_catalog.jsonb',
       'SELECT @extschema@.coupon_shard_release_code($2, $3, $4);'),
      ('accept', 'code pg_catalog.text, units pg_catalog.int8, transfer_id pg_catalog.uuid, from_shard pg_catalog.text, kind pg_catalog."char"', 'pg_catalog.bool',
       'SELECT @extschema@.accept_units($2, $3, $4, $5, $6);'),
      ('settle', 'transfer_id pg_catalog.uuid', 'pg_catalog.bool', 'SELECT @extschema@.settle_transfer($2);'),
      ('unsettled', 'kind pg_catalog."char", name pg_catalog.text', 'SETOF @extschema@.coupon_shard_unsettled',
       'SELECT t.transfer_id, t.kind, t.name, t.units, t.peer FROM @extschema@.coupon_shard_unsettled($2, $3) AS t;'),
      ('unsettled_users', '', 'TABLE (transfer_id pg_catalog.uuid, peer pg_catalog.text, payload pg_catalog.jsonb)',
       'SELECT t.transfer_id AS transfer_id, t.peer AS peer, t.payload AS payload FROM @extschema@.coupon_shard_unsettled_users() AS t;'),
      ('accept_user', 'payload pg_catalog.jsonb', 'pg_catalog.bool', 'SELECT @extschema@.accept_user($2);'),
      ('settle_user', 'transfer_id pg_catalog.uuid', 'pg_catalog.bool', 'SELECT @extschema@.settle_user($2);'),
      ('uses', 'coupon_code pg_catalog.text, campaign_name pg_catalog.text', 'TABLE (units pg_catalog.int8, amount pg_catalog.int8)',
       'SELECT count(*) AS units, coalesce(sum(r.amount), 0)::pg_catalog.int8 AS amount FROM @extschema@.coupon_redemption AS r'
       ' WHERE r.voided_at IS NULL AND (r.coupon_id = (SELECT c.id FROM @extschema@.coupon AS c WHERE c.code_key = @extschema@.coupon_key($2))'
       ' OR r.campaign_id = (SELECT p.id FROM @extschema@.campaign AS p WHERE p.name_key = @extschema@.coupon_key($3)));'),
      ('put_coupon', 'given pg_catalog.jsonb, is_home pg_catalog.bool', 'pg_catalog.jsonb', 'SELECT @extschema@.coupon_shard_put_coupon($2, $3);'),
      ('put_campaign', 'given pg_catalog.jsonb, is_home pg_catalog.bool', 'pg_catalog.jsonb', 'SELECT @extschema@.coupon_shard_put_campaign($2, $3);'),
      ('delete', 'coupon pg_catalog.text, campaign pg_catalog.text', 'pg_catalog.bool', 'SELECT @extschema@.coupon_shard_delete($2, $3);'),
      ('digests', 'is_campaign pg_catalog.bool, ids pg_catalog.int8[]', 'TABLE (id pg_catalog.int8, name pg_catalog.text, digest pg_catalog.text)',
       'SELECT d.id AS id, d.name AS name, d.digest AS digest FROM @extschema@.coupon_shard_digests($2, $3) AS d;'),
      ('known_codes', 'codes pg_catalog.text[]', 'SETOF pg_catalog.text', 'SELECT @extschema@.coupon_shard_known_codes($2);'),
      ('check_at', 'user_id pg_catalog.text, code pg_catalog.text', '@extschema@.coupon_check_answer',
       'SELECT a.status, a.coupon_id, a.remaining_uses, a.remaining_units, a.remaining_budget, a.limited_by, a.retry_at'
       ' FROM @extschema@.check_coupon($2, $3) AS a;'),
      ('divided', 'ids pg_catalog.int8[]', 'SETOF @extschema@.coupon_shard_divided',
       'SELECT ($1)::pg_catalog.int4 AS partition, d.kind, d.owner_id, d.name, d.in_all, d.rights, d.under_way, d.transfers'
       ' FROM @extschema@.coupon_shard_divided($2) AS d;'),
      ('strangers', 'own pg_catalog.int4[], partitions pg_catalog.int4, is_modular pg_catalog.bool',
       'TABLE (user_id pg_catalog.text, redemptions pg_catalog.int8)',
       'SELECT s.user_id AS user_id, s.redemptions AS redemptions FROM @extschema@.coupon_shard_strangers($2, $3, $4) AS s;'),
      ('verify', '', 'TABLE (invariant pg_catalog.text, coupon_id pg_catalog.int8, user_id pg_catalog.text, detail pg_catalog.text)',
       'SELECT v.invariant AS invariant, v.coupon_id AS coupon_id, v.user_id AS user_id, v.detail AS detail FROM @extschema@.coupon_guard_verify() AS v;'),
      ('generate', 'campaign pg_catalog.text, count pg_catalog.int8, pattern pg_catalog.text, alphabet pg_catalog.text, check_character pg_catalog.bool,'
       ' max_share pg_catalog.float8, active pg_catalog.bool, starts_at pg_catalog.timestamptz, expires_at pg_catalog.timestamptz,'
       ' max_redemptions pg_catalog.int8, max_per_user pg_catalog.int4, budget pg_catalog.int8, terms pg_catalog.jsonb',
       'SETOF pg_catalog.text',
       'SELECT @extschema@.generate_coupons($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14);'),
      ('setting', 'setting_name pg_catalog.text', 'pg_catalog.text', 'SELECT pg_catalog.current_setting($2);'),
      ('is_there', '', 'pg_catalog.bool', 'SELECT true;')
    ) AS f (name, arguments, result, query)
  LOOP
    EXECUTE format('CREATE FUNCTION @extschema@.shard_%s(%s) RETURNS %s LANGUAGE plproxy VOLATILE AS $body$ CLUSTER ''coupon_guard''; RUN ON $1; %s $body$',
      one.name, concat_ws(', ', 'shard pg_catalog.int4', nullif(one.arguments, '')), one.result, one.query);
    EXECUTE format('COMMENT ON FUNCTION @extschema@.shard_%s(%s) IS ''asks one shard''', one.name, concat_ws(', ', 'shard pg_catalog.int4', nullif(one.arguments, '')));
  END LOOP;
END
$of_one$;
