-- The functions of coupon_guard, under their own names, each on the shard of its user.

-- Those that may be refused for want of something that another shard has: asked, and while it is worth it, asked again.
-- HASH says where the user is; SHARD is the call; DONE is its status when it is granted; WANT is true of an answer of want.
DO $searching$
DECLARE
  one record;
BEGIN
  FOR one IN
    SELECT f.name, replace(f.arguments, 'USER', u.type) AS arguments,
      CASE u.type WHEN 'pg_catalog.text' THEN '@extschema@.coupon_router_hash(user_id)' ELSE 'coalesce(hashtext(user_id::text), 0)' END AS hash,
      CASE f.name WHEN 'redeem_coupon' THEN 'redeemed' WHEN 'hold_coupon' THEN 'held' ELSE 'claimed' END AS done,
      f.result, f.variables, f.shard, f.want, f.rest, f.sought, f.unsaid, f.refused, f.comment
    FROM (VALUES ('pg_catalog.int8'), ('pg_catalog.uuid'), ('pg_catalog.text')) AS u (type),
    (VALUES
      ('redeem_coupon',
       'user_id USER, code pg_catalog.text, request_id pg_catalog.text DEFAULT NULL, metadata pg_catalog.jsonb DEFAULT NULL',
       '@extschema@.coupon_redeem_answer',
       'answer @extschema@.coupon_redeem_answer;',
       'answer := @extschema@.shard_redeem(hash, user_id, code, request_id, metadata)::@extschema@.coupon_redeem_answer;',
       'answer.status = ''not_found'' OR (answer.status IN (''sold_out'', ''insufficient'') AND answer.limited_by = ''shard'')',
       'false',
       'answer.status, user_id::text, code, NULL, 1, NULL',
       'answer.amount := NULL; answer.limited_by := NULL;',
       'IF answer.limited_by = ''shard'' THEN answer.limited_by := @extschema@.coupon_router_limited_by(search); END IF;',
       'redeem a coupon for a user on his shard; a refusal is a status, never an error'),
      ('redeem_coupon',
       'user_id USER, code pg_catalog.text, amount pg_catalog.int8, metadata pg_catalog.jsonb DEFAULT NULL, request_id pg_catalog.text DEFAULT NULL,'
       ' up_to pg_catalog.bool DEFAULT false',
       '@extschema@.coupon_redeem_answer',
       'answer @extschema@.coupon_redeem_answer;',
       'answer := @extschema@.shard_redeem(hash, user_id, code, amount, metadata, request_id, up_to AND takes_rest)::@extschema@.coupon_redeem_answer;'
       ' IF up_to AND NOT takes_rest AND answer.status = ''insufficient'' AND answer.limited_by IS DISTINCT FROM ''shard'' THEN'
       ' takes_rest := true; answer := @extschema@.shard_redeem(hash, user_id, code, amount, metadata, request_id, true)::@extschema@.coupon_redeem_answer;'
       ' END IF;',
       'answer.status = ''not_found'' OR (answer.status IN (''sold_out'', ''insufficient'') AND answer.limited_by = ''shard'')',
       'up_to AND NOT takes_rest AND answer.status = ''insufficient''',
       'answer.status, user_id::text, code, NULL, 1, amount',
       'answer.amount := NULL; answer.limited_by := NULL;',
       'IF answer.limited_by = ''shard'' THEN answer.limited_by := @extschema@.coupon_router_limited_by(search); END IF;',
       'redeem_coupon() of an amount, which the coupon''s budget must have; with up_to as much of it as there is'),
      ('hold_coupon',
       'user_id USER, code pg_catalog.text, ttl pg_catalog.interval DEFAULT ''15 minutes'', request_id pg_catalog.text DEFAULT NULL,'
       ' metadata pg_catalog.jsonb DEFAULT NULL',
       '@extschema@.coupon_hold_answer',
       'answer @extschema@.coupon_hold_answer;',
       'answer := @extschema@.shard_hold(hash, user_id, code, ttl, request_id, metadata)::@extschema@.coupon_hold_answer;',
       'answer.status = ''not_found'' OR (answer.status IN (''sold_out'', ''insufficient'') AND answer.limited_by = ''shard'')',
       'false',
       'answer.status, user_id::text, code, NULL, 1, NULL',
       'answer.amount := NULL; answer.limited_by := NULL;',
       'IF answer.limited_by = ''shard'' THEN answer.limited_by := @extschema@.coupon_router_limited_by(search); END IF;',
       'hold a coupon for a user until a deadline, to be confirmed by confirm_hold() or redeem_coupon()'),
      ('hold_coupon',
       'user_id USER, code pg_catalog.text, ttl pg_catalog.interval, amount pg_catalog.int8, metadata pg_catalog.jsonb DEFAULT NULL,'
       ' request_id pg_catalog.text DEFAULT NULL',
       '@extschema@.coupon_hold_answer',
       'answer @extschema@.coupon_hold_answer;',
       'answer := @extschema@.shard_hold(hash, user_id, code, ttl, amount, metadata, request_id)::@extschema@.coupon_hold_answer;',
       'answer.status = ''not_found'' OR (answer.status IN (''sold_out'', ''insufficient'') AND answer.limited_by = ''shard'')',
       'false',
       'answer.status, user_id::text, code, NULL, 1, amount',
       'answer.amount := NULL; answer.limited_by := NULL;',
       'IF answer.limited_by = ''shard'' THEN answer.limited_by := @extschema@.coupon_router_limited_by(search); END IF;',
       'hold_coupon() of an amount, which the coupon''s budget must have'),
      ('claim_coupon',
       'user_id USER, campaign pg_catalog.text',
       '@extschema@.coupon_claim_answer',
       'answer @extschema@.coupon_claim_answer;',
       'answer := @extschema@.shard_claim(hash, user_id, campaign)::@extschema@.coupon_claim_answer;',
       'answer.status IN (''not_found'', ''sold_out'')',
       'false',
       'answer.status, user_id::text, NULL, campaign, 1, NULL',
       '',
       '',
       'a code of the campaign that nobody holds, now this user''s; asked again, the same code')
    ) AS f (name, arguments, result, variables, shard, want, rest, sought, unsaid, refused, comment)
  LOOP
    EXECUTE format('CREATE FUNCTION @extschema@.%I(%s) RETURNS %s', one.name, one.arguments, one.result)
      || replace(replace(replace(replace(replace(replace(replace(replace(replace($create$
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
#variable_conflict use_variable
DECLARE
  hash CONSTANT pg_catalog.int4 := HASH;
  VARIABLES
  search @extschema@.coupon_search;
  takes_rest bool := false; -- the others have nothing: what there is here is what there is
BEGIN
  BEGIN
    SHARD
  EXCEPTION WHEN OTHERS THEN
    PERFORM @extschema@.coupon_router_report(SQLSTATE, SQLERRM, @extschema@.coupon_router_partition_of(hash));
    RAISE;
  END;
  IF answer.status = 'DONE' THEN -- what most calls come to takes one look
    RETURN answer;
  ELSIF (WANT) IS NOT TRUE THEN
    RETURN answer;
  END IF;
  search.shard := @extschema@.coupon_router_shard_of(hash);
  BEGIN
    LOOP
      search := @extschema@.coupon_router_search(search, SOUGHT);
      IF search.verdict = 'final' AND REST THEN
        takes_rest := true;
      ELSE
        EXIT WHEN search.verdict <> 'again';
      END IF;
      SHARD
      EXIT WHEN (WANT) IS NOT TRUE;
    END LOOP;
    RAISE SQLSTATE 'RC000'; -- gives the lock of the search back
  EXCEPTION
    WHEN SQLSTATE 'RC000' THEN
      NULL;
    WHEN OTHERS THEN
      PERFORM @extschema@.coupon_router_report(SQLSTATE, SQLERRM, @extschema@.coupon_router_partition_of(hash));
      RAISE;
  END;
  IF (WANT) AND search.verdict IN ('unavailable', 'elsewhere') THEN
    answer.status := coalesce(search.status, 'unavailable');
    UNSAID
  END IF;
  REFUSED
  RETURN answer;
END
$body$$create$, 'DONE', one.done), 'HASH', one.hash), 'VARIABLES', one.variables), 'SHARD', one.shard), 'WANT', one.want), 'REST', one.rest), 'SOUGHT', one.sought), 'UNSAID', one.unsaid), 'REFUSED', one.refused);
    EXECUTE format('COMMENT ON FUNCTION @extschema@.%I(%s) IS %L', one.name, regexp_replace(one.arguments, ' DEFAULT [^,]*', '', 'g'), one.comment);
  END LOOP;
END
$searching$;

-- Several coupons, all or none. Of each that is refused for want it is found out: the answer to each is true, not only that to the first.
-- What all of them together take of a campaign is not known here, so each is looked for as much as all might.
DO $several$
DECLARE
  type text;
BEGIN
  FOREACH type IN ARRAY ARRAY['pg_catalog.int8', 'pg_catalog.uuid', 'pg_catalog.text'] LOOP
    EXECUTE replace($create$
CREATE FUNCTION @extschema@.redeem_coupons(
  user_id USER, codes pg_catalog.text[], amounts pg_catalog.int8[], metadata pg_catalog.jsonb DEFAULT NULL, request_id pg_catalog.text DEFAULT NULL,
  up_to pg_catalog.bool DEFAULT false)
RETURNS TABLE (
  code pg_catalog.text, status @extschema@.coupon_status, redemption_id pg_catalog.int8, coupon_id pg_catalog.int8, use_no pg_catalog.int4,
  redeemed_at pg_catalog.timestamptz, terms pg_catalog.jsonb, replayed pg_catalog.bool, amount pg_catalog.int8, limited_by pg_catalog.text,
  retry_at pg_catalog.timestamptz)
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
#variable_conflict use_column
DECLARE
  answers @extschema@.coupon_redeem_row[];
  searches @extschema@.coupon_search[] := '{}';
  one @extschema@.coupon_redeem_row;
  search @extschema@.coupon_search;
  is_again bool;
  takes_rest bool := false;
  in_all CONSTANT int8 := (SELECT sum(a) FROM unnest($3) AS a);
BEGIN
  BEGIN
    LOOP
      answers := ARRAY(
        SELECT ROW (r.code, r.status, r.redemption_id, r.coupon_id, r.use_no, r.redeemed_at, r.terms, r.replayed, r.amount, r.limited_by,
                    r.retry_at)::@extschema@.coupon_redeem_row
        FROM @extschema@.shard_redeem_coupons($1, $2, $3, $4, $5, $6 AND takes_rest) WITH ORDINALITY AS r ORDER BY r.ordinality);
      is_again := false;
      FOR i IN 1 .. cardinality(answers) LOOP
        one := answers[i];
        search := searches[i];
        IF (one.status = 'not_found' OR (one.status IN ('sold_out', 'insufficient') AND one.limited_by = 'shard'))
           AND coalesce(search.verdict, 'again') = 'again' THEN
          search.shard := coalesce(search.shard, @extschema@.coupon_router_shard_of(@extschema@.coupon_router_hash($1::text)));
          search := @extschema@.coupon_router_search(search, one.status, $1::text, one.code, NULL, cardinality($2), in_all);
          is_again := is_again OR search.verdict = 'again';
          searches[i] := search;
        END IF;
      END LOOP;
      IF NOT is_again AND $6 AND NOT takes_rest AND 'insufficient' IN (SELECT a.status::text FROM unnest(answers) AS a) THEN
        takes_rest := true;
      ELSE
        EXIT WHEN NOT is_again;
      END IF;
    END LOOP;
    RAISE SQLSTATE 'RC000'; -- gives the locks of the searches back
  EXCEPTION
    WHEN SQLSTATE 'RC000' THEN
      NULL;
    WHEN OTHERS THEN
      PERFORM @extschema@.coupon_router_report(SQLSTATE, SQLERRM, @extschema@.coupon_router_partition_of(@extschema@.coupon_router_hash($1::text)));
      RAISE;
  END;
  FOR i IN 1 .. cardinality(answers) LOOP
    one := answers[i];
    search := searches[i];
    IF one.status IN ('not_found', 'sold_out', 'insufficient') AND search.verdict IN ('unavailable', 'elsewhere') THEN
      one.status := coalesce(search.status, 'unavailable');
      one.amount := NULL;
      one.limited_by := NULL;
    ELSIF one.limited_by = 'shard' THEN
      one.limited_by := @extschema@.coupon_router_limited_by(search);
    END IF;
    RETURN QUERY SELECT one.*;
  END LOOP;
END
$body$$create$, 'USER', type);
  END LOOP;
END
$several$;

-- Those that go to the user's shard, and what comes back is the answer.
DO $routed$
DECLARE
  one record;
BEGIN
  FOR one IN
    SELECT f.name, replace(f.arguments, 'USER', u.type) AS arguments, f.result, f.body, f.comment
    FROM (VALUES ('pg_catalog.int8'), ('pg_catalog.uuid'), ('pg_catalog.text')) AS u (type),
    (VALUES
      ('redeem_coupon_strict',
       'user_id USER, code pg_catalog.text, request_id pg_catalog.text DEFAULT NULL, metadata pg_catalog.jsonb DEFAULT NULL',
       '@extschema@.coupon_redeem_answer',
       'RETURN @extschema@.coupon_router_strict(@extschema@.redeem_coupon(user_id, code, request_id, metadata), user_id::text, code, request_id);',
       'redeem_coupon(), but a refusal is an error with an SQLSTATE of its own (RC001 ...)'),
      ('redeem_coupon_strict',
       'user_id USER, code pg_catalog.text, amount pg_catalog.int8, metadata pg_catalog.jsonb DEFAULT NULL,'
       ' request_id pg_catalog.text DEFAULT NULL, up_to pg_catalog.bool DEFAULT false',
       '@extschema@.coupon_redeem_answer',
       'RETURN @extschema@.coupon_router_strict(@extschema@.redeem_coupon(user_id, code, amount, metadata, request_id, up_to), user_id::text, code, request_id);',
       'redeem_coupon() of an amount, but a refusal is an error with an SQLSTATE of its own (RC001 ...)'),
      ('redeem_coupons',
       'user_id USER, codes pg_catalog.text[], request_id pg_catalog.text DEFAULT NULL, metadata pg_catalog.jsonb DEFAULT NULL',
       'TABLE (code pg_catalog.text, status @extschema@.coupon_status, redemption_id pg_catalog.int8, coupon_id pg_catalog.int8,'
       ' use_no pg_catalog.int4, redeemed_at pg_catalog.timestamptz, terms pg_catalog.jsonb, replayed pg_catalog.bool)',
       'RETURN QUERY SELECT r.code, r.status, r.redemption_id, r.coupon_id, r.use_no, r.redeemed_at, r.terms, r.replayed'
       ' FROM @extschema@.redeem_coupons($1, $2, NULL::pg_catalog.int8[], $4, $3, false) AS r;',
       'redeem several coupons for a user, all or none, one row a code; those not refused are withheld if another is'),
      ('redeem_coupon_for_each',
       'user_ids USER[], codes pg_catalog.text[], request_ids pg_catalog.text[] DEFAULT NULL, metadata pg_catalog.jsonb[] DEFAULT NULL',
       'SETOF @extschema@.coupon_redeem_answer',
       'IF cardinality(codes) <> cardinality(user_ids) OR cardinality(request_ids) <> cardinality(user_ids) OR cardinality(metadata) <> cardinality(user_ids) THEN'
       ' RAISE EXCEPTION ''there must be as many codes, request_ids and metadata as user_ids'' USING ERRCODE = ''invalid_parameter_value'';'
       ' END IF;'
       ' RETURN QUERY SELECT n.* FROM ('
       ' SELECT r.* FROM @extschema@.shard_redeem_for_each(user_ids, codes,'
       ' coalesce(request_ids, array_fill(NULL::text, ARRAY[cardinality(user_ids)])), coalesce(metadata, array_fill(NULL::jsonb, ARRAY[cardinality(user_ids)])),'
       ' ARRAY(SELECT generate_series(1, cardinality(user_ids)))) AS r) AS a'
       ' CROSS JOIN LATERAL (SELECT a.status, a.redemption_id, a.coupon_id, a.use_no, a.redeemed_at, a.terms, a.replayed, a.amount, a.limited_by, a.retry_at'
       ' WHERE (a.status = ''not_found'' OR (a.status IN (''sold_out'', ''insufficient'') AND a.limited_by = ''shard'')) IS NOT TRUE'
       ' UNION ALL SELECT q.* FROM @extschema@.redeem_coupon(user_ids[a.place], codes[a.place], request_ids[a.place], metadata[a.place]) AS q'
       ' WHERE a.status = ''not_found'' OR (a.status IN (''sold_out'', ''insufficient'') AND a.limited_by = ''shard'')) AS n'
       ' ORDER BY a.place;',
       'redeem_coupon() for each of many users; one row each, in their order'),
      ('release_claim',
       'user_id USER, campaign pg_catalog.text',
       '@extschema@.coupon_claim_answer',
       'RETURN @extschema@.shard_release_claim(@extschema@.coupon_router_hash(user_id::text), user_id, campaign)::@extschema@.coupon_claim_answer;',
       'give the user''s code of the campaign back for others, unless it is redeemed or held'),
      ('confirm_hold',
       'user_id USER, redemption_id pg_catalog.int8, amount pg_catalog.int8 DEFAULT NULL',
       '@extschema@.coupon_redeem_answer',
       'RETURN @extschema@.shard_confirm_hold(@extschema@.coupon_router_hash(user_id::text), @extschema@.coupon_router_user(user_id::text), redemption_id, amount);',
       'turn a hold of the user into a redemption (of this amount); RC008 if it is another user''s'),
      ('void_redemption',
       'user_id USER, redemption_id pg_catalog.int8, reason pg_catalog.text DEFAULT NULL',
       'pg_catalog.bool',
       'RETURN @extschema@.shard_void_redemption(@extschema@.coupon_router_hash(user_id::text), @extschema@.coupon_router_user(user_id::text), redemption_id, NULL, reason);',
       'give a redemption or hold of the user back, and its unit with it; RC008 if it is another user''s'),
      ('void_redemption',
       'user_id USER, redemption_id pg_catalog.int8, amount pg_catalog.int8, reason pg_catalog.text DEFAULT NULL',
       'pg_catalog.bool',
       'RETURN @extschema@.shard_void_redemption(@extschema@.coupon_router_hash(user_id::text), @extschema@.coupon_router_user(user_id::text), redemption_id, amount, reason);',
       'give a part of the amount of a redemption or hold of the user back; RC008 if it is another user''s'),
      ('check_coupon',
       'user_id USER, code pg_catalog.text',
       '@extschema@.coupon_check_answer',
       'RETURN @extschema@.coupon_router_check(@extschema@.shard_check(@extschema@.coupon_router_hash(user_id::text), user_id, code)::@extschema@.coupon_check_answer, user_id::text, code);',
       'what redeem_coupon() would answer now, and what is left to this user and on all shards that answer (NULL: no limit); changes and locks nothing')
    ) AS f (name, arguments, result, body, comment)
  LOOP
    EXECUTE format($create$CREATE FUNCTION @extschema@.%I(%s) RETURNS %s
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $body$
#variable_conflict use_variable
BEGIN
  %s
EXCEPTION WHEN OTHERS THEN
  PERFORM @extschema@.coupon_router_report(SQLSTATE, SQLERRM, %s);
  RAISE;
END
$body$$create$, one.name, one.arguments, one.result,
      CASE WHEN one.name = 'redeem_coupons' THEN replace(one.body, '#', '') ELSE one.body END,
      CASE WHEN one.arguments LIKE 'user_ids%' THEN 'NULL'
           ELSE '@extschema@.coupon_router_partition_of(@extschema@.coupon_router_hash(user_id::text))' END);
    EXECUTE format('COMMENT ON FUNCTION @extschema@.%I(%s) IS %L', one.name, regexp_replace(one.arguments, ' DEFAULT [^,]*', '', 'g'), one.comment);
  END LOOP;
END
$routed$;
