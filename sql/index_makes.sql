-- An index is one of ours by everything that an index can have, not by its key columns alone. One of another make does not serve in the
-- place of ours (55000); beside ours it is another index of the shop's, kept up to date, and unique as it says.
\a \t
CREATE EXTENSION coupon_guard;
\getenv source PG_ABS_SRCDIR
\set tour :source '/sql/lib/tour.sql'
\set ECHO none
\i :tour
\set ECHO all
\set VERBOSITY sqlstate

CREATE FUNCTION backward(int4, int4) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT btint4cmp($2, $1)';
CREATE FUNCTION backward(int8, int8) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT btint8cmp($2, $1)';
CREATE OPERATOR CLASS int4_backward_ops FOR TYPE int4 USING btree AS
  OPERATOR 1 >, OPERATOR 2 >=, OPERATOR 3 =, OPERATOR 4 <=, OPERATOR 5 <, FUNCTION 1 backward(int4, int4);
CREATE OPERATOR CLASS int8_backward_ops FOR TYPE int8 USING btree AS
  OPERATOR 1 >, OPERATOR 2 >=, OPERATOR 3 =, OPERATOR 4 <=, OPERATOR 5 <, FUNCTION 1 backward(int8, int8);

-- Ours
\set ECHO none
CREATE TEMP TABLE ours AS
SELECT i.indexrelid::regclass AS index, i.indrelid::regclass AS of_table, CASE WHEN i.indisunique THEN 'UNIQUE' ELSE '' END AS uniqueness,
       keys, types, coalesce('WHERE ' || pg_get_expr(i.indpred, i.indrelid), '') AS predicate,
       format(CASE WHEN c.conname IS NULL THEN 'DROP INDEX %2$I' ELSE 'ALTER TABLE %1$s DROP CONSTRAINT %2$I' END, i.indrelid::regclass, r.relname) AS drop
  FROM pg_index i JOIN pg_class r ON r.oid = i.indexrelid LEFT JOIN pg_constraint c ON c.conindid = i.indexrelid AND c.conrelid = i.indrelid,
       LATERAL (SELECT array_agg(attname::text ORDER BY no) AS keys, array_agg(atttypid::regtype ORDER BY no) AS types
                  FROM unnest(i.indkey) WITH ORDINALITY k (attnum, no) JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum) k
 WHERE i.indrelid = ANY ('{campaign, coupon, coupon_redemption, coupon_quota, coupon_transfer}'::regclass[]);
\set ECHO all
SELECT index, uniqueness, keys, predicate FROM ours ORDER BY of_table::text, index::text;

-- Each of them otherwise: one key column at a time ...
\set ECHO none
CREATE TEMP TABLE otherwise (make text, definition text, drop text);
INSERT INTO otherwise
SELECT make, format('CREATE %s INDEX other ON %s (%s) %s', uniqueness, of_table,
         (SELECT string_agg(CASE n WHEN no THEN replace(template, '?', key) ELSE key END, ', ' ORDER BY n) FROM unnest(keys) WITH ORDINALITY k (key, n)),
         predicate), drop
  FROM ours, generate_subscripts(keys, 1) AS no, (VALUES
    ('descending', '? DESC', '{text,int4,int8,timestamptz}'),
    ('nulls first', '? NULLS FIRST', '{text,int4,int8,timestamptz}'),
    ('expression', 'coalesce(?, ?)', '{text,int4,int8,timestamptz}'),
    ('collation', '? COLLATE "POSIX"', '{text}'),
    ('collation', '? COLLATE "und-x-icu"', '{text}'),
    ('operator class', '? text_pattern_ops', '{text}'),
    ('operator class', '? int4_backward_ops', '{int4}'),
    ('operator class', '? int8_backward_ops', '{int8}')) AS m (make, template, of_types)
 WHERE types[no] = ANY (of_types::regtype[]);
-- ... and as a whole
INSERT INTO otherwise
SELECT make, replace(replace(replace(replace(template, '{unique}', uniqueness), '{table}', of_table::text), '{keys}', array_to_string(keys, ', ')), '{where}', predicate), drop
  FROM ours, (VALUES
    ('none', '{table}', 'SELECT'),
    ('only another name', '{table}', 'CREATE {unique} INDEX other ON {table} ({keys}) WITH (fillfactor = 50, deduplicate_items = off) {where}'),
    ('included column', 'coupon', 'CREATE {unique} INDEX other ON {table} ({keys}) INCLUDE (active) {where}'),
    ('included column', 'coupon_quota', 'CREATE {unique} INDEX other ON {table} ({keys}) INCLUDE (remaining) {where}'),
    ('included column', 'coupon_redemption', 'CREATE {unique} INDEX other ON {table} ({keys}) INCLUDE (redeemed_at) {where}'),
    ('included columns', 'coupon_redemption', 'CREATE {unique} INDEX other ON {table} ({keys}) INCLUDE (redeemed_at, metadata, void_reason) {where}'),
    ('included column', 'coupon_transfer', 'CREATE {unique} INDEX other ON {table} ({keys}) INCLUDE (units) {where}'),
    ('more columns', 'coupon_transfer', 'CREATE {unique} INDEX other ON {table} ({keys}, made_at) {where}'),
    ('predicate', 'coupon_transfer', 'CREATE {unique} INDEX other ON {table} ({keys}) WHERE settled_at IS NOT NULL'),
    ('more columns', 'coupon', 'CREATE {unique} INDEX other ON {table} ({keys}, active) {where}'),
    ('more columns', 'coupon_quota', 'CREATE {unique} INDEX other ON {table} ({keys}, remaining) {where}'),
    ('more columns', 'coupon_redemption', 'CREATE {unique} INDEX other ON {table} ({keys}, redeemed_at) {where}'),
    ('fewer columns', 'coupon_redemption', 'CREATE {unique} INDEX other ON {table} (coupon_id) {where}'),
    ('column order', 'coupon_redemption', 'CREATE {unique} INDEX other ON {table} (use_no, {keys}) {where}'),
    ('column order', 'coupon_quota', 'CREATE {unique} INDEX other ON {table} (stripe, kind, owner_id) {where}'),
    ('predicate', '{table}', 'CREATE {unique} INDEX other ON {table} ({keys}) WHERE false'),
    ('predicate', 'coupon', 'CREATE {unique} INDEX other ON {table} ({keys}) WHERE id IS NOT NULL'),
    ('predicate', 'coupon_quota', 'CREATE {unique} INDEX other ON {table} ({keys}) WHERE remaining > 0'),
    ('predicate', 'coupon_redemption', 'CREATE {unique} INDEX other ON {table} ({keys}) WHERE voided_at IS NULL AND use_no > 0'),
    ('predicate', 'coupon_redemption', 'CREATE {unique} INDEX other ON {table} ({keys}) WHERE voided_at IS NULL AND request_id IS NOT NULL'),
    ('uniqueness', '{table}', 'CREATE INDEX other ON {table} ({keys}) {where}'),
    ('nulls not distinct', '{table}', 'CREATE UNIQUE INDEX other ON {table} ({keys}) NULLS NOT DISTINCT {where}'),
    ('nulls not distinct', 'coupon_redemption', 'CREATE UNIQUE INDEX other ON {table} (voided_at, {keys}) NULLS NOT DISTINCT {where}'),
    ('deferrable', '{table}', 'ALTER TABLE {table} ADD CONSTRAINT other UNIQUE ({keys}) DEFERRABLE'),
    ('deferred', '{table}', 'ALTER TABLE {table} ADD CONSTRAINT other UNIQUE ({keys}) DEFERRABLE INITIALLY DEFERRED'),
    ('exclusion', 'coupon', 'ALTER TABLE {table} ADD CONSTRAINT other EXCLUDE ({keys} WITH =)'),
    ('exclusion', 'coupon_redemption', 'ALTER TABLE {table} ADD CONSTRAINT other EXCLUDE (coupon_id WITH =, user_id WITH =, use_no WITH =) WHERE (voided_at IS NULL)'),
    ('exclusion', 'coupon_quota', 'ALTER TABLE {table} ADD CONSTRAINT other EXCLUDE (owner_id WITH =, kind WITH =, stripe WITH =)'),
    ('hash', 'coupon', 'CREATE INDEX other ON {table} USING hash ({keys}) {where}'),
    ('hash', 'coupon_redemption', 'CREATE INDEX other ON {table} USING hash (user_id) {where}'),
    ('hash', 'coupon_quota', 'CREATE INDEX other ON {table} USING hash (owner_id) {where}'),
    ('brin', '{table}', 'CREATE INDEX other ON {table} USING brin ({keys}) {where}')) AS m (make, for_table, template)
 WHERE for_table IN ('{table}', of_table::text)
   AND NOT (make = 'uniqueness' AND uniqueness = '') AND NOT (make = 'fewer columns' AND cardinality(keys) = 1)
   AND NOT (make IN ('deferrable', 'deferred') AND (uniqueness = '' OR predicate <> ''))
   AND NOT (template LIKE '%UNIQUE INDEX%' AND uniqueness = '');
\set ECHO all
-- (What one or the other of our indexes cannot be made into is no outcome.)
SELECT make, string_agg(DISTINCT alone, ', ') FILTER (WHERE alone NOT LIKE 'no such%') AS alone, string_agg(DISTINCT beside, ', ') FILTER (WHERE beside NOT LIKE 'no such%') AS beside
  FROM (SELECT make, pg_temp.after(drop || '; ' || definition) AS alone, pg_temp.after(definition) AS beside FROM otherwise
         WHERE NOT (definition LIKE '%und-x-icu%' AND NOT EXISTS (SELECT FROM pg_collation WHERE collname = 'und-x-icu'))) AS outcome GROUP BY make ORDER BY make;

-- A rule of the shop's own: one coupon of all for a user, at once or at commit; a redemption that breaks it is undone, and its unit is free.
CREATE UNIQUE INDEX one_for_each ON coupon_redemption (lower(user_id)) WHERE voided_at IS NULL;
SELECT status FROM redeem_coupon('ann'::text, 'TOUR');
SELECT status FROM redeem_coupon('Ann'::text, 'TOUR');
DROP INDEX one_for_each;
ALTER TABLE coupon_redemption ADD CONSTRAINT one_for_each UNIQUE (user_id) DEFERRABLE INITIALLY DEFERRED;
BEGIN;
SELECT status FROM redeem_coupon('ann'::text, 'TOUR');
SELECT void_redemption(id) FROM coupon_redemption;
COMMIT;
ALTER TABLE coupon_redemption DROP CONSTRAINT one_for_each;
SELECT status, remaining_units FROM check_coupon('ann'::text, 'TOUR');

-- What an index includes is read from it as it is in the table.
CREATE UNIQUE INDEX uses ON coupon_redemption (coupon_id, user_id, use_no) INCLUDE (redeemed_at, metadata, request_id) WHERE voided_at IS NULL;
CREATE INDEX reasons ON coupon_redemption (user_id) INCLUDE (void_reason, voided_at);
CREATE INDEX units ON coupon_quota (owner_id) INCLUDE (stripe, remaining);
SELECT status FROM redeem_coupon('bob'::text, 'TOUR', 'b-1', '{"order": 1}');
SELECT void_redemption(redemption_id, 'returned') FROM redeem_coupon('carl'::text, 'TOUR');
VACUUM coupon_redemption, coupon_quota;
CREATE TEMP VIEW read AS
SELECT (SELECT string_agg(r::text, '; ' ORDER BY r::text) FROM (SELECT coupon_id, user_id, use_no, redeemed_at, metadata, request_id
                FROM coupon_redemption WHERE voided_at IS NULL) r) AS uses,
       (SELECT string_agg(r::text, '; ' ORDER BY r::text) FROM (SELECT user_id, void_reason, voided_at FROM coupon_redemption WHERE user_id > '') r) AS reasons,
       (SELECT string_agg(r::text, '; ' ORDER BY r::text) FROM (SELECT owner_id, stripe, remaining FROM coupon_quota WHERE owner_id > 0) r) AS units;
SET enable_indexonlyscan = off;
CREATE TEMP TABLE table_says AS SELECT * FROM read;
RESET enable_indexonlyscan;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT coupon_id, user_id, use_no, redeemed_at, metadata, request_id FROM coupon_redemption WHERE voided_at IS NULL;
SELECT t.uses = r.uses AS uses, t.reasons = r.reasons AS reasons, t.units = r.units AS units FROM table_says t, read r;
RESET enable_seqscan;
RESET enable_bitmapscan;
DROP INDEX uses, reasons, units;
DROP VIEW read;

-- An index that CREATE INDEX CONCURRENTLY has left invalid is none, be it as ours; made valid it serves.
CREATE INDEX CONCURRENTLY broken ON coupon_redemption ((1 / (use_no - 1)));
SELECT status FROM redeem_coupon('dora'::text, 'TOUR');
DROP INDEX coupon_redemption_use_unique;
ALTER TABLE coupon_redemption DISABLE TRIGGER USER;
INSERT INTO coupon_redemption (coupon_id, user_id, use_no) SELECT coupon_id, user_id, use_no FROM coupon_redemption WHERE user_id = 'dora';
CREATE UNIQUE INDEX CONCURRENTLY coupon_redemption_use_unique ON coupon_redemption (coupon_id, user_id, use_no) WHERE voided_at IS NULL;
SELECT status FROM redeem_coupon('dora'::text, 'TOUR');
DELETE FROM coupon_redemption WHERE ctid = (SELECT max(ctid) FROM coupon_redemption WHERE user_id = 'dora');
ALTER TABLE coupon_redemption ENABLE TRIGGER USER;
SELECT status FROM redeem_coupon('emil'::text, 'TOUR');
REINDEX INDEX CONCURRENTLY coupon_redemption_use_unique;
SELECT status FROM redeem_coupon('dora'::text, 'TOUR');
SELECT status FROM redeem_coupon('emil'::text, 'TOUR');
SELECT * FROM coupon_guard_verify();
TRUNCATE coupon_redemption, coupon, campaign;
DROP EXTENSION coupon_guard;
DROP OPERATOR FAMILY int4_backward_ops USING btree;
DROP OPERATOR FAMILY int8_backward_ops USING btree;
DROP FUNCTION backward(int4, int4), backward(int8, int8);
