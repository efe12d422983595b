-- redeem_coupon_for_each: redeem_coupon for many users in one call, a row each, in their order.
\a \t
CREATE EXTENSION coupon_guard;
INSERT INTO coupon (code, max_redemptions, max_per_user, terms) VALUES
  ('ANY', NULL, NULL, NULL), ('ONCE', NULL, 1, '{"percent": 10}'), ('THREE', 3, 1, NULL), ('MANY', 1000, 1, NULL), ('MORE', 1000, 1, NULL);
INSERT INTO coupon (code, holder) VALUES ('MINE', '1');
INSERT INTO coupon (code, budget) VALUES ('GIFT', 100);

-- Each sees what those before it have done.
SELECT ordinality, status, redemption_id, coupon_id, use_no, terms, replayed
FROM redeem_coupon_for_each('{1,2,1,3}'::bigint[], '{ONCE,once,ONCE,nosuch}') WITH ORDINALITY;
SELECT ordinality, status FROM redeem_coupon_for_each('{1,2,1,3,4}'::bigint[], '{THREE,THREE,THREE,THREE,THREE}') WITH ORDINALITY;
SELECT ordinality, status FROM redeem_coupon_for_each('{1,2}'::bigint[], '{MINE,MINE}') WITH ORDINALITY;
SELECT use_no FROM redeem_coupon_for_each('{7,7,7}'::bigint[], '{ANY,ANY,ANY}');
-- One type of user id for each call
SELECT status FROM redeem_coupon_for_each('{ann,ann}'::text[], '{ONCE,ONCE}');
SELECT status FROM redeem_coupon_for_each('{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}'::uuid[], '{ONCE}');
SELECT * FROM redeem_coupon_for_each('{}'::bigint[], '{}');
-- In a list of expressions, and for each row of a table
SELECT (redeem_coupon_for_each('{8,8}'::bigint[], '{ONCE,ONCE}')).status;
SELECT g, status FROM generate_series(1, 2) g, LATERAL redeem_coupon_for_each(ARRAY[10 + g, 10]::bigint[], '{ONCE,ONCE}') ORDER BY 1;

-- Request ids and metadata, each with its call
SELECT status, replayed FROM redeem_coupon_for_each('{20,21,20}'::bigint[], '{ONCE,ONCE,ONCE}', '{a,a,a}', ARRAY['{"n": 1}', NULL, '{"n": 3}']::jsonb[]);
SELECT status, replayed FROM redeem_coupon_for_each('{20,21,22}'::bigint[], '{ONCE,ONCE,ONCE}', '{a,NULL,a}');
SELECT user_id, request_id, metadata FROM coupon_redemption WHERE user_id BETWEEN '20' AND '22' ORDER BY id;

-- A hold is confirmed, one of the same call's predecessors too; what was voided is free again
SELECT status FROM hold_coupon(30, 'ONCE');
SELECT status FROM redeem_coupon_for_each('{29,30,30,31}'::bigint[], '{ONCE,ONCE,ONCE,ONCE}');
SELECT void_redemption(id) FROM coupon_redemption WHERE user_id = '30';
SELECT status, use_no FROM redeem_coupon_for_each('{29,30,31}'::bigint[], '{ONCE,ONCE,ONCE}');

-- An error of one is an error of all.
SELECT status FROM redeem_coupon_for_each('{40,20}'::bigint[], '{ONCE,ANY}', '{b,a}');
SELECT status FROM redeem_coupon_for_each('{40,NULL}'::bigint[], '{ONCE,ONCE}');
SELECT status FROM redeem_coupon_for_each('{40,41}'::bigint[], '{ONCE,NULL}');
SELECT status FROM redeem_coupon_for_each('{40,41}'::bigint[], '{ONCE,GIFT}');
SELECT status FROM redeem_coupon_for_each('{40,41}'::bigint[], '{ONCE,ONCE}', ARRAY['c', repeat('x', 256)]);
SELECT status FROM redeem_coupon_for_each('{40,41}'::bigint[], '{ONCE}');
SELECT status FROM redeem_coupon_for_each('{40,41}'::bigint[], '{ONCE,ONCE}', '{c}');
SELECT status FROM redeem_coupon_for_each('{40,41}'::bigint[], '{ONCE,ONCE}', NULL, ARRAY['{}', '{}', '{}']::jsonb[]);
SELECT status FROM redeem_coupon_for_each(NULL::bigint[], '{ONCE}');
SELECT status FROM redeem_coupon_for_each('{40}'::bigint[], NULL);
SELECT count(*) FROM coupon_redemption WHERE user_id IN ('40', '41');
BEGIN READ ONLY;
SELECT status FROM redeem_coupon_for_each('{40}'::bigint[], '{ONCE}');
ROLLBACK;

-- Of a capped coupon no unit is lost: not of those for whom it was refused, not by a rollback.
SELECT status, count(*) FROM redeem_coupon_for_each((SELECT array_agg(i % 300) FROM generate_series(1, 900) i), array_fill('MANY'::text, ARRAY[900])) GROUP BY 1 ORDER BY 1;
BEGIN;
SAVEPOINT s;
SELECT status, count(*) FROM redeem_coupon_for_each((SELECT array_agg(i::bigint) FROM generate_series(1, 900) i), array_fill('MANY'::text, ARRAY[900])) GROUP BY 1 ORDER BY 1;
ROLLBACK TO s;
SELECT status, count(*) FROM redeem_coupon_for_each((SELECT array_agg(i::bigint) FROM generate_series(201, 400) i), array_fill('MANY'::text, ARRAY[200])) GROUP BY 1 ORDER BY 1;
COMMIT;
SELECT code, redeemed, remaining_units FROM coupon_usage WHERE max_redemptions > 0 ORDER BY code;
SELECT status, count(*) FROM redeem_coupon_for_each((SELECT array_agg(i::bigint) FROM generate_series(1, 2000) i), array_fill('MANY'::text, ARRAY[2000])) GROUP BY 1 ORDER BY 1;
SELECT code, redeemed, remaining_units FROM coupon_usage WHERE max_redemptions > 0 ORDER BY code;
SELECT * FROM coupon_guard_verify();

-- What the shop's triggers do between the calls: redeem, change the coupon, alter the ledger.
CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.user_id = '50' THEN PERFORM redeem_coupon_for_each('{51,52}'::bigint[], '{ONCE,ONCE}'); END IF;
  IF NEW.user_id = '60' THEN UPDATE coupon SET active = false WHERE code = 'ONCE'; END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER meddle AFTER INSERT ON coupon_redemption FOR EACH ROW EXECUTE FUNCTION meddle();
SELECT status FROM redeem_coupon_for_each('{49,50,51,52,53,60,61}'::bigint[], '{ONCE,ONCE,ONCE,ONCE,ONCE,ONCE,ONCE}');
DROP TRIGGER meddle ON coupon_redemption;
UPDATE coupon SET active = true WHERE code = 'ONCE';
-- The other way to write rows: a trigger that is made while the calls go on
CREATE FUNCTION make_trigger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  CREATE OR REPLACE TRIGGER meddle AFTER INSERT ON coupon_redemption FOR EACH ROW EXECUTE FUNCTION meddle();
  RETURN NULL;
END $$;
CREATE TRIGGER make_trigger AFTER UPDATE ON coupon_quota FOR EACH STATEMENT EXECUTE FUNCTION make_trigger();
SELECT status FROM redeem_coupon_for_each('{70,60,50,71}'::bigint[], '{MORE,MORE,MORE,MORE}');
SELECT * FROM coupon_guard_verify();
DROP TRIGGER make_trigger ON coupon_quota;
DROP FUNCTION make_trigger(), meddle() CASCADE;

-- EXECUTE is the right to redeem.
CREATE ROLE regress_coupon_each;
SET ROLE regress_coupon_each;
SELECT status FROM redeem_coupon_for_each('{80}'::bigint[], '{ONCE}');
RESET ROLE;
GRANT EXECUTE ON FUNCTION redeem_coupon_for_each(bigint[], text[], text[], jsonb[]) TO regress_coupon_each;
SET ROLE regress_coupon_each;
SELECT status FROM redeem_coupon_for_each('{80}'::bigint[], '{ONCE}');
RESET ROLE;
DROP OWNED BY regress_coupon_each;
DROP ROLE regress_coupon_each;

-- The type of the answers altered
ALTER TYPE coupon_redeem_answer ADD ATTRIBUTE extra integer;
SELECT status FROM redeem_coupon_for_each('{81}'::bigint[], '{ONCE}');
ALTER TYPE coupon_redeem_answer DROP ATTRIBUTE extra;
SELECT status FROM redeem_coupon_for_each('{81}'::bigint[], '{ONCE}');

TRUNCATE coupon_redemption, coupon;
DROP EXTENSION coupon_guard;
