-- How a user moves to another shard: everything that is the user's here, and the rights that it uses.
--
-- It takes two transactions, like a transfer of units. Here (release_user()) the user's rows leave the ledger, of each limit the rights go down
-- by what the live ones among them use, and all of it is put into a row of coupon_user_transfer. There (accept_user()) a row of the same
-- transfer_id is written, the rights go up by as much, and the rows come back under their ids. So at every moment
--
--   the rights of all shards + those in rows out that have no row in = the limit
--
-- and each redemption is in one ledger, or in one such row and in no ledger. transfer_id is unique: each half is done once, whoever repeats it.
--
-- Why no redemption is left behind: while users move, a trigger on the ledger (and one on coupon, for claims) locks the user's gate, a row of
-- coupon_user_gate, until the end of the transaction, and then looks whether the user has left (coupon_guard_refuse_moved()). release_user()
-- changes the gate first. So it waits for all who have redeemed and not ended, and those who come later wait for it, and then find its row, for
-- they look after they have the lock; under a snapshot that is older they fail with 40001, as the gate has changed since. Users share gates, and
-- 256 of them are enough that few wait for another's sake.
--
-- A gate can be closed, with those of all other users of a partition (coupon_guard_close_partition()): then whoever has not come from another shard
-- is refused. Closed on both shards, users who have not redeemed yet, and of whom there is no row that says where they are, redeem on neither.
--
-- The triggers are there from coupon_guard_begin_moves() to coupon_guard_end_moves()
-- only: nobody pays for them else.

-- SECURITY DEFINER, for whoever redeems need have no right to read the tables; so it is the extension's owner's (privileges.sql).
CREATE FUNCTION @extschema@.coupon_guard_refuse_moved()
RETURNS pg_catalog.trigger
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
  this_user text;
  is_gate_closed bool;
  last_direction "char";
BEGIN
  IF TG_WHEN = 'BEFORE' AND TG_LEVEL = 'ROW' AND TG_RELID = '@extschema@.coupon_redemption'::regclass AND TG_OP = 'INSERT' THEN
    this_user := NEW.user_id;
  ELSIF TG_WHEN = 'BEFORE' AND TG_LEVEL = 'ROW' AND TG_RELID = '@extschema@.coupon'::regclass AND TG_OP IN ('INSERT', 'UPDATE') THEN
    this_user := NEW.holder;
  ELSE
    RAISE EXCEPTION 'coupon_guard_refuse_moved() is for the triggers that coupon_guard_begin_moves() makes' USING ERRCODE = 'trigger_protocol_violated';
  END IF;
  SELECT g.is_closed INTO is_gate_closed FROM @extschema@.coupon_user_gate AS g WHERE g.number = hashtext(this_user) & 255 FOR SHARE;
  SELECT t.direction INTO last_direction
  FROM @extschema@.coupon_user_transfer AS t WHERE t.user_id = this_user ORDER BY t.transfer_no DESC LIMIT 1;
  IF last_direction = 'o' OR (is_gate_closed AND last_direction IS DISTINCT FROM 'i') THEN
    RAISE EXCEPTION 'user "%" is on another shard, or moving', left(this_user, 100) USING ERRCODE = 'RC015',
      HINT = 'Ask a router, or shard_of() there, where the user is.';
  END IF;
  RETURN NEW;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_guard_refuse_moved() IS
  'trigger on coupon_redemption and coupon, between coupon_guard_begin_moves() and coupon_guard_end_moves(): a user who has moved redeems and claims nothing here';

CREATE FUNCTION @extschema@.coupon_guard_begin_moves()
RETURNS pg_catalog.void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF NOT EXISTS (SELECT FROM @extschema@.coupon_shard) THEN
    RAISE EXCEPTION 'this server is no shard' USING ERRCODE = 'object_not_in_prerequisite_state',
      HINT = 'Function coupon_guard_set_shard() makes it one.';
  END IF;
  -- Whoever redeems later meets the triggers.
  LOCK TABLE @extschema@.coupon_redemption IN SHARE ROW EXCLUSIVE MODE;
  INSERT INTO @extschema@.coupon_user_gate (number) SELECT generate_series(0, 255) ON CONFLICT DO NOTHING;
  CREATE OR REPLACE TRIGGER coupon_redemption_refuse_moved
  BEFORE INSERT ON @extschema@.coupon_redemption
  FOR EACH ROW EXECUTE FUNCTION @extschema@.coupon_guard_refuse_moved();
  CREATE OR REPLACE TRIGGER coupon_refuse_moved
  BEFORE INSERT OR UPDATE OF holder ON @extschema@.coupon
  FOR EACH ROW WHEN (NEW.holder IS NOT NULL) EXECUTE FUNCTION @extschema@.coupon_guard_refuse_moved();
  ALTER TABLE @extschema@.coupon_redemption ENABLE TRIGGER coupon_redemption_refuse_moved;
  ALTER TABLE @extschema@.coupon ENABLE TRIGGER coupon_refuse_moved;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_guard_begin_moves() IS
  'from now on users can move from this shard, and whoever has moved is refused here (RC015)';

CREATE FUNCTION @extschema@.coupon_guard_end_moves()
RETURNS pg_catalog.void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $$
BEGIN
  LOCK TABLE @extschema@.coupon_redemption IN ACCESS EXCLUSIVE MODE;
  DROP TRIGGER IF EXISTS coupon_redemption_refuse_moved ON @extschema@.coupon_redemption;
  DROP TRIGGER IF EXISTS coupon_refuse_moved ON @extschema@.coupon;
  DELETE FROM @extschema@.coupon_user_gate;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_guard_end_moves() IS
  'users move from this shard no more, and redemptions cost no more than before; whoever has moved is not refused any longer';

CREATE FUNCTION @extschema@.coupon_guard_close_partition(partition pg_catalog.int4, partitions pg_catalog.int4, is_closed pg_catalog.bool DEFAULT true)
RETURNS pg_catalog.void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
BEGIN
  IF $1 IS NULL OR $2 IS NULL OR $3 IS NULL THEN
    RAISE EXCEPTION 'partition, partitions and is_closed must not be null' USING ERRCODE = 'null_value_not_allowed';
  ELSIF $2 NOT BETWEEN 1 AND 256 OR $2 & ($2 - 1) <> 0 OR $1 NOT BETWEEN 0 AND $2 - 1 THEN
    RAISE EXCEPTION 'there is no partition % of %', $1, $2 USING ERRCODE = 'invalid_parameter_value',
      DETAIL = 'There are 1, 2, 4, ... or 256 partitions, and they are numbered from 0.';
  END IF;
  UPDATE @extschema@.coupon_user_gate AS g SET moves = g.moves + 1, is_closed = $3 WHERE g.number & ($2 - 1) = $1;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'users do not move from this shard or to it' USING ERRCODE = 'object_not_in_prerequisite_state',
      HINT = 'Call coupon_guard_begin_moves() first.';
  END IF;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_guard_close_partition(pg_catalog.int4, pg_catalog.int4, pg_catalog.bool) IS
  'from now on users of this partition (hashtext(user_id) & partitions - 1) are refused here, but for those who have come from another shard; or (false) no longer';

-- Rows travel as the text of each column, whatever columns a shop has added: as JSON a value could become another one (null, numbers).
CREATE FUNCTION @extschema@.coupon_guard_row_texts(relation pg_catalog.regclass)
RETURNS pg_catalog.text
LANGUAGE sql STABLE STRICT
BEGIN ATOMIC
  SELECT format('pg_catalog.jsonb_object(ARRAY[%s]::pg_catalog.text[])', string_agg(format('%L, r.%I::pg_catalog.text', a.attname, a.attname), ', ' ORDER BY a.attnum))
  FROM pg_attribute AS a
  WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '';
END;
COMMENT ON FUNCTION @extschema@.coupon_guard_row_texts(pg_catalog.regclass) IS
  'an expression that makes of row r of a table a JSON object with the text of each column, generated ones apart';

CREATE FUNCTION @extschema@.coupon_guard_insert_texts(relation pg_catalog.regclass, texts pg_catalog.jsonb, skips_present pg_catalog.bool)
RETURNS pg_catalog.void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO'
SET intervalstyle = 'postgres'
AS $$
DECLARE
  names text;
  columns text;
  missing text;
BEGIN
  SELECT string_agg(format('%I', k.name), ', '), string_agg(format('(v.one->>%L)::%s', k.name, format_type(a.atttypid, a.atttypmod)), ', '),
         min(k.name) FILTER (WHERE a.attname IS NULL)
  INTO names, columns, missing
  FROM jsonb_object_keys(texts->0) AS k (name)
  LEFT JOIN pg_attribute AS a ON a.attrelid = relation AND a.attname = k.name AND a.attnum > 0 AND NOT a.attisdropped;
  IF missing IS NOT NULL THEN
    RAISE EXCEPTION 'column "%" of relation "%" does not exist on this shard', missing, relation USING ERRCODE = 'undefined_column',
      HINT = 'Add to the tables of all shards the same columns.';
  END IF;
  IF names IS NOT NULL THEN
    EXECUTE format('INSERT INTO %s (%s) SELECT %s FROM jsonb_array_elements($1) AS v (one)', relation, names, columns)
      || CASE WHEN skips_present THEN ' ON CONFLICT (id) DO NOTHING' ELSE '' END
    USING texts;
  END IF;
END
$$;
COMMENT ON FUNCTION @extschema@.coupon_guard_insert_texts(pg_catalog.regclass, pg_catalog.jsonb, pg_catalog.bool) IS
  'inserts rows that coupon_guard_row_texts() has made; or those whose id is not there yet';

CREATE FUNCTION @extschema@.release_user(user_id pg_catalog.text, transfer_id pg_catalog.uuid, to_shard pg_catalog.text)
RETURNS pg_catalog.jsonb
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET timezone = 'UTC'
SET datestyle = 'ISO'
SET intervalstyle = 'postgres'
SET extra_float_digits = 1
AS $$
#variable_conflict use_column
DECLARE
  own_name CONSTANT text := (SELECT s.name FROM @extschema@.coupon_shard AS s);
  made @extschema@.coupon_user_transfer;
  last_move record;
  redemptions jsonb;
  coupons jsonb;
  campaigns jsonb;
  rights jsonb;
  held int8[];
  coupon_ids int8[];
  one record;
BEGIN
  IF $1 IS NULL OR $2 IS NULL OR $3 IS NULL THEN
    RAISE EXCEPTION 'user_id, transfer_id and to_shard must not be null' USING ERRCODE = 'null_value_not_allowed';
  ELSIF own_name IS NULL THEN
    RAISE EXCEPTION 'this server is no shard' USING ERRCODE = 'object_not_in_prerequisite_state',
      HINT = 'Function coupon_guard_set_shard() makes it one.';
  ELSIF $3 = own_name OR octet_length($3) NOT BETWEEN 1 AND 63 THEN
    RAISE EXCEPTION 'a user moves to another shard, not to "%"', left($3, 100) USING ERRCODE = 'invalid_parameter_value',
      DETAIL = format('This is shard "%s".', own_name);
  ELSIF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
    -- Under an older snapshot what others have committed meanwhile would be left behind.
    RAISE EXCEPTION 'users move in READ COMMITTED transactions only' USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;

  UPDATE @extschema@.coupon_user_gate AS g SET moves = g.moves + 1 WHERE g.number = hashtext($1) & 255;
  IF NOT FOUND OR (
    SELECT count(*) FROM pg_trigger AS t
    WHERE t.tgrelid IN ('@extschema@.coupon_redemption'::regclass, '@extschema@.coupon'::regclass)
      AND t.tgfoid = '@extschema@.coupon_guard_refuse_moved'::regproc AND t.tgenabled IN ('O', 'A')) < 2
  THEN
    RAISE EXCEPTION 'users do not move from this shard' USING ERRCODE = 'object_not_in_prerequisite_state',
      HINT = 'Call coupon_guard_begin_moves() first.';
  END IF;
  SELECT * INTO made FROM @extschema@.coupon_user_transfer AS t WHERE t.transfer_id = $2;
  IF FOUND THEN
    IF made.direction <> 'o' OR made.user_id <> $1 OR made.peer <> $3 THEN
      RAISE EXCEPTION 'transfer id % has been used for another transfer', $2 USING ERRCODE = 'RC013',
        HINT = 'Use a new transfer id for a new transfer.';
    END IF;
    RETURN made.payload;
  END IF;
  SELECT t.transfer_no, t.direction, t.transfer_id, t.peer INTO last_move
  FROM @extschema@.coupon_user_transfer AS t WHERE t.user_id = $1 ORDER BY t.transfer_no DESC LIMIT 1;
  IF last_move.direction = 'o' THEN
    RAISE EXCEPTION 'user "%" has left already', left($1, 100) USING ERRCODE = 'object_not_in_prerequisite_state',
      DETAIL = format('Transfer %s went to shard "%s".', last_move.transfer_id, last_move.peer);
  END IF;

  -- The rows leave; what they used goes back to the quotas, from where the rights that leave with them are taken below.
  EXECUTE format(
    'WITH gone AS (DELETE FROM @extschema@.coupon_redemption AS r WHERE r.user_id = $1 RETURNING r.id, %s AS texts)
     SELECT coalesce(jsonb_agg(g.texts ORDER BY g.id), ''[]'') FROM gone AS g', @extschema@.coupon_guard_row_texts('@extschema@.coupon_redemption'))
  INTO redemptions USING $1;
  SELECT array_agg(c.id ORDER BY c.id) INTO held FROM @extschema@.coupon AS c WHERE c.holder = $1;

  coupon_ids := held || ARRAY(SELECT DISTINCT (r.one->>'coupon_id')::int8 FROM jsonb_array_elements(redemptions) AS r (one));
  EXECUTE format(
    'SELECT coalesce(jsonb_agg(%s || ''{"rights": "0", "budget_rights": "0"}'' ORDER BY r.id), ''[]'') FROM @extschema@.coupon AS r WHERE r.id = ANY ($1)',
    @extschema@.coupon_guard_row_texts('@extschema@.coupon'))
  INTO coupons USING coupon_ids;
  EXECUTE format(
    'SELECT coalesce(jsonb_agg(%s || ''{"rights": "0", "budget_rights": "0"}'' ORDER BY r.id), ''[]'') FROM @extschema@.campaign AS r WHERE r.id = ANY ($1)',
    @extschema@.coupon_guard_row_texts('@extschema@.campaign'))
  INTO campaigns USING ARRAY(SELECT DISTINCT (r.one->>'campaign_id')::int8 FROM jsonb_array_elements(redemptions || coupons) AS r (one));

  -- What the live rows use of each limit; of a coupon that the user holds all rights but those that others use.
  SELECT coalesce(jsonb_agg(jsonb_build_object('kind', u.kind, 'owner_id', u.owner_id, 'units', u.units) ORDER BY strpos('CBcb', u.kind), u.owner_id), '[]')
  INTO rights
  FROM (
    WITH live AS (
      SELECT (r.one->>'coupon_id')::int8 AS coupon_id, (r.one->>'campaign_id')::int8 AS campaign_id, count(*) AS units,
             coalesce(sum((r.one->>'amount')::int8), 0) AS amount
      FROM jsonb_array_elements(redemptions) AS r (one) WHERE r.one->>'voided_at' IS NULL GROUP BY 1, 2
    ), coupon_use AS (
      SELECT c.id, c.max_redemptions, c.budget,
             CASE WHEN c.id = ANY (held) THEN coalesce(c.rights, c.max_redemptions) - others.units ELSE (SELECT sum(l.units) FROM live AS l WHERE l.coupon_id = c.id) END AS units,
             CASE WHEN c.id = ANY (held) THEN coalesce(c.budget_rights, c.budget) - others.amount ELSE (SELECT sum(l.amount) FROM live AS l WHERE l.coupon_id = c.id) END AS amount
      FROM @extschema@.coupon AS c
      CROSS JOIN LATERAL (
        SELECT count(*) AS units, coalesce(sum(r.amount), 0) AS amount FROM @extschema@.coupon_redemption AS r
        WHERE c.id = ANY (held) AND r.coupon_id = c.id AND r.voided_at IS NULL) AS others
      WHERE c.id = ANY (coupon_ids)
    ), campaign_use AS (
      SELECT p.id, p.max_redemptions, p.budget, sum(l.units) AS units, sum(l.amount) AS amount
      FROM @extschema@.campaign AS p JOIN live AS l ON l.campaign_id = p.id
      GROUP BY p.id
    )
    SELECT 'c' AS kind, u.id AS owner_id, u.units FROM coupon_use AS u WHERE u.max_redemptions IS NOT NULL
    UNION ALL SELECT 'b', u.id, u.amount FROM coupon_use AS u WHERE u.budget IS NOT NULL
    UNION ALL SELECT 'C', u.id, u.units FROM campaign_use AS u WHERE u.max_redemptions IS NOT NULL
    UNION ALL SELECT 'B', u.id, u.amount FROM campaign_use AS u WHERE u.budget IS NOT NULL
  ) AS u
  WHERE u.units > 0;

  FOR one IN
    SELECT r.owner_id, max(r.units) FILTER (WHERE r.kind IN ('C', 'c')) AS units, max(r.units) FILTER (WHERE r.kind IN ('B', 'b')) AS amount,
           bool_or(r.kind IN ('C', 'B')) AS of_campaign
    FROM jsonb_to_recordset(rights) AS r (kind text, owner_id int8, units int8)
    GROUP BY r.owner_id, r.kind IN ('C', 'B') ORDER BY of_campaign DESC, r.owner_id
  LOOP
    IF one.of_campaign THEN
      UPDATE @extschema@.campaign AS p
      SET rights = CASE WHEN one.units IS NULL THEN p.rights ELSE coalesce(p.rights, p.max_redemptions) - one.units END,
          budget_rights = CASE WHEN one.amount IS NULL THEN p.budget_rights ELSE coalesce(p.budget_rights, p.budget) - one.amount END
      WHERE p.id = one.owner_id;
    ELSE
      UPDATE @extschema@.coupon AS c
      SET rights = CASE WHEN one.units IS NULL THEN c.rights ELSE coalesce(c.rights, c.max_redemptions) - one.units END,
          budget_rights = CASE WHEN one.amount IS NULL THEN c.budget_rights ELSE coalesce(c.budget_rights, c.budget) - one.amount END
      WHERE c.id = one.owner_id;
    END IF;
  END LOOP;
  -- Who has the code without a cap, or has it after others, is still the only one who may redeem it.
  UPDATE @extschema@.coupon AS c SET holder = NULL
  WHERE c.id = ANY (held) AND c.max_redemptions IS NOT NULL
    AND NOT EXISTS (SELECT FROM @extschema@.coupon_redemption AS r WHERE r.coupon_id = c.id AND r.voided_at IS NULL);

  INSERT INTO @extschema@.coupon_user_transfer AS t (transfer_id, direction, user_id, transfer_no, peer, payload)
  VALUES ($2, 'o', $1, coalesce(last_move.transfer_no, 0) + 1, $3, jsonb_build_object(
    'transfer_id', $2, 'user_id', $1, 'from', own_name, 'to', $3, 'campaigns', campaigns, 'coupons', coupons,
    'held', to_jsonb(coalesce(held, '{}')), 'rights', rights, 'redemptions', redemptions))
  RETURNING * INTO made;
  RETURN made.payload;
END
$$;
COMMENT ON FUNCTION @extschema@.release_user(pg_catalog.text, pg_catalog.uuid, pg_catalog.text) IS
  'take what a user has here (redemptions, holds, claimed codes), with the rights that it uses, out of this shard, for another one to accept; once for each transfer_id';

CREATE FUNCTION @extschema@.accept_user(payload pg_catalog.jsonb)
RETURNS pg_catalog.bool
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
#variable_conflict use_column
DECLARE
  own_name CONSTANT text := (SELECT s.name FROM @extschema@.coupon_shard AS s);
  given record;
  made @extschema@.coupon_user_transfer;
  one record;
  other text;
BEGIN
  SELECT * INTO given FROM jsonb_to_record($1) AS p (transfer_id uuid, user_id text, "from" text, "to" text, campaigns jsonb, coupons jsonb,
    held int8[], rights jsonb, redemptions jsonb);
  IF $1 IS NULL THEN
    RAISE EXCEPTION 'payload must not be null' USING ERRCODE = 'null_value_not_allowed';
  ELSIF given.transfer_id IS NULL OR given.user_id IS NULL OR given."from" IS NULL OR given."to" IS NULL THEN
    RAISE EXCEPTION 'this is nothing that release_user() has answered' USING ERRCODE = 'invalid_parameter_value';
  ELSIF own_name IS NULL THEN
    RAISE EXCEPTION 'this server is no shard' USING ERRCODE = 'object_not_in_prerequisite_state',
      HINT = 'Function coupon_guard_set_shard() makes it one.';
  ELSIF given."to" <> own_name OR given."from" = own_name THEN
    RAISE EXCEPTION 'this user moves from shard "%" to shard "%"', given."from", given."to" USING ERRCODE = 'invalid_parameter_value',
      DETAIL = format('This is shard "%s".', own_name);
  ELSIF current_setting('transaction_isolation') IN ('repeatable read', 'serializable') THEN
    RAISE EXCEPTION 'users move in READ COMMITTED transactions only' USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;

  -- As in release_user(): the user, who comes back, is still refused here until then.
  UPDATE @extschema@.coupon_user_gate AS g SET moves = g.moves + 1 WHERE g.number = hashtext(given.user_id) & 255;
  INSERT INTO @extschema@.coupon_user_transfer AS t (transfer_id, direction, user_id, transfer_no, peer, settled_at)
  SELECT given.transfer_id, 'i', given.user_id, coalesce(max(o.transfer_no), 0) + 1, given."from", clock_timestamp()
  FROM @extschema@.coupon_user_transfer AS o WHERE o.user_id = given.user_id
  ON CONFLICT (transfer_id) DO NOTHING;
  IF NOT FOUND THEN
    SELECT * INTO STRICT made FROM @extschema@.coupon_user_transfer AS t WHERE t.transfer_id = given.transfer_id;
    IF made.direction <> 'i' OR made.user_id <> given.user_id OR made.peer <> given."from" THEN
      RAISE EXCEPTION 'transfer id % has been used for another transfer', given.transfer_id USING ERRCODE = 'RC013',
        HINT = 'Use a new transfer id for a new transfer.';
    END IF;
    RETURN false;
  END IF;

  -- What is not here yet comes without rights.
  PERFORM @extschema@.coupon_guard_insert_texts('@extschema@.campaign', given.campaigns, true);
  SELECT p.name INTO other
  FROM jsonb_to_recordset(given.campaigns) AS g (id int8, name text) LEFT JOIN @extschema@.campaign AS p ON p.id = g.id
  WHERE p.name_key IS DISTINCT FROM @extschema@.coupon_key(g.name) LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'campaign "%" is another one on this shard', other USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;
  PERFORM @extschema@.coupon_guard_insert_texts('@extschema@.coupon', given.coupons, true);
  SELECT c.code INTO other
  FROM jsonb_to_recordset(given.coupons) AS g (id int8, code text) LEFT JOIN @extschema@.coupon AS c ON c.id = g.id
  WHERE c.code_key IS DISTINCT FROM @extschema@.coupon_key(g.code) LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'coupon "%" is another one on this shard', other USING ERRCODE = 'object_not_in_prerequisite_state';
  END IF;

  FOR one IN
    SELECT r.owner_id, max(r.units) FILTER (WHERE r.kind IN ('C', 'c')) AS units, max(r.units) FILTER (WHERE r.kind IN ('B', 'b')) AS amount,
           bool_or(r.kind IN ('C', 'B')) AS of_campaign
    FROM jsonb_to_recordset(given.rights) AS r (kind text, owner_id int8, units int8)
    GROUP BY r.owner_id, r.kind IN ('C', 'B') ORDER BY of_campaign DESC, r.owner_id
  LOOP
    -- A row whose limit is not that of the other shard, or that has all rights here, is not changed.
    IF one.of_campaign THEN
      UPDATE @extschema@.campaign AS p SET rights = p.rights + coalesce(one.units, 0), budget_rights = p.budget_rights + coalesce(one.amount, 0)
      WHERE p.id = one.owner_id AND (one.units IS NULL OR (p.max_redemptions IS NOT NULL AND p.rights IS NOT NULL))
        AND (one.amount IS NULL OR (p.budget IS NOT NULL AND p.budget_rights IS NOT NULL));
    ELSE
      UPDATE @extschema@.coupon AS c SET rights = c.rights + coalesce(one.units, 0), budget_rights = c.budget_rights + coalesce(one.amount, 0)
      WHERE c.id = one.owner_id AND (one.units IS NULL OR (c.max_redemptions IS NOT NULL AND c.rights IS NOT NULL))
        AND (one.amount IS NULL OR (c.budget IS NOT NULL AND c.budget_rights IS NOT NULL));
    END IF;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'limits of % % are not divided over the shards "%" and "%"', CASE WHEN one.of_campaign THEN 'campaign' ELSE 'coupon' END,
        one.owner_id, given."from", own_name USING ERRCODE = 'object_not_in_prerequisite_state',
        DETAIL = 'Here there is no such limit, or all rights of it.', HINT = 'Give the row the same limits on both, and rights here.';
    END IF;
  END LOOP;
  UPDATE @extschema@.coupon AS c SET holder = given.user_id
  WHERE c.id = ANY (given.held) AND c.holder IS DISTINCT FROM given.user_id;
  PERFORM @extschema@.coupon_guard_insert_texts('@extschema@.coupon_redemption', given.redemptions, false);
  RETURN true;
END
$$;
COMMENT ON FUNCTION @extschema@.accept_user(pg_catalog.jsonb) IS
  'put what another shard has released of a user, with the rights that it uses, into this shard; false: that has been done before; once for each transfer';

CREATE FUNCTION @extschema@.settle_user(transfer_id pg_catalog.uuid)
RETURNS pg_catalog.bool
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
  IF $1 IS NULL THEN
    RAISE EXCEPTION 'transfer_id must not be null' USING ERRCODE = 'null_value_not_allowed';
  END IF;
  UPDATE @extschema@.coupon_user_transfer AS t SET settled_at = clock_timestamp()
  WHERE t.transfer_id = $1 AND t.direction = 'o' AND t.settled_at IS NULL;
  RETURN FOUND;
END
$$;
COMMENT ON FUNCTION @extschema@.settle_user(pg_catalog.uuid) IS
  'note that a user who has left has arrived; false: that was known, or there is no such transfer from here';
