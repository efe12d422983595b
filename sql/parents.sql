-- Tables that have a parent are changed through it without a statement trigger firing: what is said of them holds all the same. Tables that
-- have children, or are partitions, are refused (55000).
\a \t
CREATE EXTENSION coupon_guard;
\getenv source PG_ABS_SRCDIR
\set tour :source '/sql/lib/tour.sql'
\set ECHO none
\i :tour
\set ECHO all
\set VERBOSITY sqlstate
SET statement_timeout = '10s'; -- for loops that do not end

-- Coupons with two parents: one that has some of their columns, one that has none.
CREATE TABLE offer (id bigint NOT NULL, code text NOT NULL, active bool NOT NULL, expires_at timestamptz, max_redemptions bigint, max_per_user int);
CREATE TABLE thing ();
ALTER TABLE coupon INHERIT offer, INHERIT thing;
INSERT INTO coupon (id, code, max_redemptions, max_per_user) VALUES (11, 'ANY', NULL, NULL), (12, 'TWO', 2, NULL), (13, 'SPARE', NULL, 1), (14, 'FRESH', 3, 1);
SELECT pg_temp.after('SELECT');
-- The session keeps them in mind,
SELECT code, status FROM unnest('{ANY,TWO,SPARE,FRESH}'::text[]) AS code, check_coupon(1, code);
SELECT a.status, t.status FROM redeem_coupon(1, 'ANY') a, redeem_coupon(1, 'TWO') t;
-- and hears of what is done through the parent.
UPDATE offer SET active = false WHERE code = 'ANY';
SELECT status FROM redeem_coupon(1, 'ANY');
UPDATE offer SET active = true, expires_at = '2001-01-01' WHERE code = 'ANY';
SELECT status FROM redeem_coupon(1, 'ANY');
UPDATE offer SET expires_at = NULL, max_per_user = 1 WHERE code = 'ANY';
SELECT status FROM redeem_coupon(1, 'ANY');
UPDATE offer SET code = 'SOME' WHERE code = 'ANY';
SELECT code, status FROM unnest('{ANY,SOME}'::text[]) AS code, redeem_coupon(2, code);
UPDATE offer SET max_redemptions = max_redemptions + 1 WHERE code = 'TWO';
SELECT r.status, count(*) FROM generate_series(1, 3) i, LATERAL redeem_coupon(1 + 0 * i, 'TWO') r GROUP BY 1 ORDER BY 1;
UPDATE offer SET max_redemptions = 2 WHERE code = 'TWO';
UPDATE offer SET max_redemptions = NULL WHERE code = 'TWO';
SELECT status FROM redeem_coupon(1, 'TWO');
UPDATE offer SET max_redemptions = 4 WHERE code = 'TWO';
SELECT status FROM redeem_coupon(1, 'TWO');
DELETE FROM offer WHERE code = 'SPARE';
SELECT status FROM redeem_coupon(1, 'SPARE');
UPDATE offer SET id = 114 WHERE code = 'FRESH';
SELECT status, coupon_id FROM redeem_coupon(1, 'FRESH');
UPDATE offer SET id = 214 WHERE code = 'FRESH';
DELETE FROM offer WHERE code = 'TWO';
DELETE FROM thing;
TRUNCATE offer;
MERGE INTO offer USING (VALUES ('FRESH')) AS old (code) ON offer.code = old.code WHEN MATCHED THEN UPDATE SET active = false;
SELECT status FROM redeem_coupon(2, 'FRESH');
SELECT code, redeemed, remaining_units FROM coupon_usage WHERE redeemed > 0 ORDER BY code;
SELECT * FROM coupon_guard_verify();

-- The ledger and the quota with a parent: served or refused, and no unit too many comes of what is done through it.
CREATE TABLE entry (coupon_id bigint NOT NULL, user_id text COLLATE "C" NOT NULL, voided_at timestamptz);
CREATE TABLE units (remaining bigint NOT NULL);
CREATE FUNCTION pg_temp.live_after(command text) RETURNS text LANGUAGE sql AS $$
  SELECT pg_temp.after('SELECT redeem_coupon(''one''::text, ''TOUR''), redeem_coupon(''two''::text, ''TOUR'');
      ALTER TABLE coupon_redemption INHERIT entry; ALTER TABLE coupon_quota INHERIT units; ' || command,
    'SELECT count(*) FROM (SELECT r.status FROM generate_series(11, 16) i, LATERAL redeem_coupon(i, ''TOUR'') r) AS r WHERE status = ''redeemed''',
    'SELECT remaining_units FROM check_coupon(99, ''TOUR'')', 'SELECT count(*) FROM coupon_redemption l JOIN coupon c ON c.id = l.coupon_id WHERE c.code = ''TOUR'' AND voided_at IS NULL')
$$;
SELECT command, pg_temp.live_after(command) IN (expected || ', 0, 4', '55000') AS right_or_refused FROM (VALUES
    ('UPDATE entry SET voided_at = now() WHERE user_id = ''one''', 3),
    ('UPDATE entry SET coupon_id = 2 WHERE user_id = ''one''', 3),
    ('DELETE FROM entry WHERE user_id = ''one''', 3),
    ('DELETE FROM entry', 4),
    ('TRUNCATE entry', 4),
    ('UPDATE units SET remaining = 1000', 2),
    ('DELETE FROM units', 2),
    ('TRUNCATE units', 2)) AS c (command, expected);

-- Children
CREATE FUNCTION pg_temp.tables() RETURNS SETOF regclass LANGUAGE sql AS $$ SELECT unnest('{coupon, coupon_redemption, coupon_quota, coupon_transfer, coupon_shard}'::regclass[]) $$;
SELECT t, pg_temp.after(format('CREATE TABLE child () INHERITS (%s)', t)) AS with_child,
       pg_temp.after(format('CREATE TABLE child () INHERITS (%1$s); ALTER TABLE child NO INHERIT %1$s', t)) AS no_longer,
       pg_temp.after(format('CREATE TABLE child () INHERITS (%1$s); DROP TABLE child', t)) AS dropped
  FROM pg_temp.tables() AS t;
CREATE TABLE child () INHERITS (coupon);
INSERT INTO child (id, code) VALUES (21, 'CHILD');
SELECT status FROM redeem_coupon(3, 'CHILD');
SELECT status FROM check_coupon(3, 'SOME');
DROP TABLE child;
SELECT status FROM redeem_coupon(3, 'SOME');

-- Partitions: refused from ATTACH, if PostgreSQL lets them be attached, to DETACH.
ALTER TABLE coupon NO INHERIT offer, NO INHERIT thing;
CREATE FUNCTION pg_temp.attach(t regclass, bound text) RETURNS text LANGUAGE sql AS $$
  SELECT format('CREATE TABLE parent (LIKE %1$s INCLUDING GENERATED) PARTITION BY LIST (%2$s); ALTER TABLE parent ATTACH PARTITION %1$s %3$s; ',
    t, CASE t WHEN 'coupon'::regclass THEN 'id' WHEN 'coupon_quota'::regclass THEN 'owner_id' WHEN 'coupon_transfer'::regclass THEN 'owner_id'
      WHEN 'coupon_shard'::regclass THEN 'number' ELSE 'coupon_id' END, bound)
$$;
SELECT t, bound, regexp_replace(pg_temp.after(pg_temp.attach(t, bound)), '^no such change.*', '55000') AS attached, regexp_replace(pg_temp.after(pg_temp.attach(t, bound) ||
           format('ALTER TABLE parent DETACH PARTITION %s', t)), '^no such change.*', 'right') AS detached
  FROM pg_temp.tables() AS t, unnest('{DEFAULT, "FOR VALUES IN (1, 2, 11, 12, 114)"}'::text[]) AS bound;
SELECT pg_temp.after(pg_temp.attach('coupon_quota', 'DEFAULT'), 'SELECT void_redemption(min(id)) FROM coupon_redemption WHERE coupon_id = 12') AS void,
       pg_temp.after(pg_temp.attach('coupon_quota', 'DEFAULT'), 'UPDATE coupon SET max_redemptions = 9 WHERE code = ''TWO'' RETURNING ''changed''') AS cap;

SELECT pg_temp.after('SELECT');
SELECT * FROM coupon_guard_verify();
TRUNCATE coupon_redemption, coupon, campaign;
DROP EXTENSION coupon_guard;
DROP TABLE offer, thing, entry, units;
