-- One user, one spelling: a customer who writes the id in another way is refused, or is the same customer.
\a \t
CREATE EXTENSION coupon_guard;
CREATE EXTENSION citext;
INSERT INTO coupon (code) VALUES ('ONCE'), ('OTHER');

-- What a redemption of ONCE comes to: a status, or the error's code and message.
\set ECHO none
CREATE FUNCTION try(id text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE code text; message text;
BEGIN
  RETURN (SELECT status FROM redeem_coupon(id, 'ONCE'));
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS code = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
  RETURN code || ' ' || message;
END $$;
\set ECHO all

-- auto, the default
SHOW coupon_guard.user_id_type;
SELECT status FROM redeem_coupon(1, 'ONCE');
SELECT id, try(id) FROM unnest('{1," 1","1 ",01,+1,1.0,[1],"{1}","\"1\"",１,١,1e0,0x1,"1,0",1_0,-01}'::text[]) AS id;
SELECT left(try(id), 5) FROM unnest(ARRAY[E'1\n', E'\u200b1', E'1\u200b', E'a\u0085b']) AS id; -- psql of other versions has other widths for them
SELECT status FROM redeem_coupon('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, 'ONCE');
SELECT id, try(id) FROM unnest('{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11,"{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}",a0eebc999c0b4ef8bb6d6bb9bd380a11,urn:uuid:a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'::text[]) AS id;
SELECT id, try(id) FROM unnest('{ann,Ann,1a,555-1234,一,½,true,12345678901234567890123}'::text[]) AS id;
SELECT user_id, count(*) FROM coupon_redemption GROUP BY user_id ORDER BY min(id);
-- Every function that takes a user takes it so.
SELECT * FROM redeem_coupon('01', 'ONCE');
SELECT * FROM redeem_coupon_strict('01', 'ONCE');
SELECT * FROM redeem_coupons('01', '{ONCE}');
SELECT * FROM hold_coupon('01', 'ONCE');
SELECT * FROM check_coupon('01', 'ONCE');

-- bigint: text is read as a number, by the type's own rules
SET coupon_guard.user_id_type = bigint;
SELECT id, try(id) FROM unnest('{1," 1","1 ",01,+1,1.0,[1],１,1e0,ann,9223372036854775808,a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'::text[]) AS id;
SELECT try(E'1\n'), try(''), try(NULL);
SELECT * FROM redeem_coupon('ann', 'ONCE');
SELECT status FROM redeem_coupon(2, 'ONCE');
SELECT try('02'), try('-3'), try('-03');
SELECT status FROM redeem_coupon('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, 'ONCE');
SELECT status FROM redeem_coupons('02', '{OTHER}');
SELECT status FROM hold_coupon(' 2', 'OTHER');
SELECT status FROM check_coupon('+2', 'OTHER');

-- uuid
SET coupon_guard.user_id_type = uuid;
SELECT id, try(id) FROM unnest('{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11,"{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}",a0eebc999c0b4ef8bb6d6bb9bd380a11,urn:uuid:a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11,1,ann}'::text[]) AS id;
SELECT status FROM redeem_coupon(1, 'ONCE');

-- text: as it is written
SET coupon_guard.user_id_type = text;
SELECT id, try(id) FROM unnest('{000123,123,1,01," 1"}'::text[]) AS id;
SELECT status FROM redeem_coupon(123, 'ONCE');

SET coupon_guard.user_id_type = number;
RESET coupon_guard.user_id_type;

-- What has come into the ledger by other ways is told, by what ids are.
SELECT invariant, user_id, detail FROM coupon_guard_verify() ORDER BY user_id;
SET coupon_guard.user_id_type = bigint;
SELECT invariant, user_id FROM coupon_guard_verify() WHERE user_id ~ '^[-\d ]*$' ORDER BY user_id;
SELECT coupon_guard_user_id_fault('1'), coupon_guard_user_id_fault('01'), coupon_guard_user_id_fault(NULL);
RESET coupon_guard.user_id_type;

-- Other types become one of the three, or the call says what is wrong.
TRUNCATE coupon_redemption;
SELECT status FROM redeem_coupon(1::int2, 'ONCE');
SELECT status FROM redeem_coupon(1::int4, 'ONCE');
SELECT status FROM redeem_coupon(1::oid, 'ONCE');
SELECT status FROM redeem_coupon('1'::varchar, 'ONCE');
SELECT status FROM redeem_coupon('1'::char(9), 'ONCE');
SELECT status FROM redeem_coupon('1'::name, 'ONCE');
SELECT status FROM redeem_coupon('1'::citext, 'ONCE');
SELECT status FROM redeem_coupon(1::numeric, 'ONCE');
SELECT status FROM redeem_coupon(1.0::float8, 'ONCE');
SELECT status FROM redeem_coupon('[1]'::jsonb, 'ONCE');
SELECT status FROM redeem_coupon('{1}'::int[], 'ONCE');
SELECT status FROM redeem_coupon(true, 'ONCE');
SELECT user_id FROM coupon_redemption;
-- citext, and any other collation, is text as it is written.
SELECT status FROM redeem_coupon('Bob'::citext, 'ONCE');
SELECT status FROM redeem_coupon('bob'::citext, 'ONCE');

-- An application to which only the form of its type is granted cannot call another by mistake.
CREATE ROLE regress_shop;
GRANT EXECUTE ON FUNCTION redeem_coupon(bigint, text, text, jsonb) TO regress_shop;
SET ROLE regress_shop;
SELECT status FROM redeem_coupon(2, 'ONCE');
SELECT status FROM redeem_coupon('2', 'ONCE');
RESET ROLE;
DROP OWNED BY regress_shop;
DROP ROLE regress_shop;

-- The owner of a database sets it, once the library is there to know it.
CREATE ROLE regress_owner;
SELECT current_database() AS shop \gset
ALTER DATABASE :shop OWNER TO regress_owner;
SET ROLE regress_owner;
ALTER DATABASE :shop SET coupon_guard.user_id_type = 'bigint';
\c -
SHOW coupon_guard.user_id_type;
SELECT try('002');
ALTER DATABASE :shop RESET coupon_guard.user_id_type;
ALTER DATABASE :shop OWNER TO CURRENT_USER;
DROP ROLE regress_owner;

DROP FUNCTION try;
TRUNCATE coupon_redemption, coupon;
DROP EXTENSION coupon_guard, citext;
