-- Who may do what: every object of the extension, every privilege, every kind of role; then the same tried, for a privilege is not the only way.
-- The owner is a plain role (the extension is trusted), the application and the reader have what docs/installation.md and docs/reference.md grant.
CREATE ROLE regress_coupon_owner;
CREATE ROLE regress_coupon_app;
CREATE ROLE regress_coupon_reader;
CREATE ROLE regress_coupon_anybody;
DO $$ BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO regress_coupon_owner', current_database()); END $$;
CREATE SCHEMA shop AUTHORIZATION regress_coupon_owner;
SET ROLE regress_coupon_owner;
CREATE EXTENSION coupon_guard SCHEMA shop;
GRANT USAGE ON SCHEMA shop TO PUBLIC;
\set ECHO none
DO $$
BEGIN
  EXECUTE (SELECT string_agg(format('GRANT EXECUTE ON FUNCTION %s TO regress_coupon_app', oid::regprocedure), '; ') FROM pg_proc
            WHERE pronamespace = 'shop'::regnamespace AND proname ~ '^(redeem_|hold_coupon|confirm_hold|void_redemption|check_coupon|claim_coupon|release_claim)');
END $$;
\set ECHO all
GRANT SELECT ON shop.coupon, shop.campaign, shop.coupon_redemption, shop.coupon_quota, shop.coupon_usage, shop.campaign_usage,
  shop.coupon_shard, shop.coupon_transfer, shop.coupon_user_transfer, shop.coupon_user_gate, shop.coupon_guard_rights, shop.coupon_look TO regress_coupon_reader;
GRANT EXECUTE ON FUNCTION shop.coupon_guard_verify() TO regress_coupon_reader;
INSERT INTO shop.campaign (name) VALUES ('Spring');
INSERT INTO shop.coupon (code, max_redemptions, rights) VALUES ('ONE', 5, 5), ('TWO', NULL, NULL);
SELECT shop.coupon_guard_set_shard('here', 0);
SELECT status FROM shop.redeem_coupon(1, 'ONE', 'order-1');
SELECT status FROM shop.hold_coupon(2, 'TWO');
RESET ROLE;

-- As \dp has them: r select, a insert, w update, d delete, D truncate, x references, t trigger, U usage, X execute; of a table and of each column.
\set ECHO none
CREATE TEMP TABLE role (name name, no int, label text);
INSERT INTO role VALUES (current_user, 1, 'superuser'), ('regress_coupon_owner', 2, 'owner'), ('regress_coupon_app', 3, 'app'),
  ('regress_coupon_reader', 4, 'reader'), ('regress_coupon_anybody', 5, 'anybody');
CREATE TEMP TABLE letter (letter "char", privilege text, kinds text);
INSERT INTO letter VALUES ('r', 'SELECT', 'rvSc'), ('a', 'INSERT', 'rvc'), ('w', 'UPDATE', 'rvSc'), ('d', 'DELETE', 'rv'), ('D', 'TRUNCATE', 'rv'),
  ('x', 'REFERENCES', 'rvc'), ('t', 'TRIGGER', 'rv'), ('U', 'USAGE', 'S');
CREATE TEMP VIEW member AS
SELECT classid, objid FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
   AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'coupon_guard');
CREATE FUNCTION pg_temp.letters(role name, relation oid, kind "char", part int2 DEFAULT 0) RETURNS text LANGUAGE sql AS $$
  SELECT coalesce(string_agg(letter::text, '' ORDER BY privilege), '') FROM letter
   WHERE CASE WHEN kinds !~ kind::text THEN false
              WHEN kind = 'S' THEN has_sequence_privilege(role, relation, privilege)
              WHEN part > 0 THEN has_column_privilege(role, relation, part, privilege)
              ELSE has_table_privilege(role, relation, privilege) END
$$;
CREATE TEMP VIEW privileges AS
SELECT CASE c.relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' WHEN 'S' THEN 'sequence' END AS kind, c.relname::text AS name, r.no, r.label, pg_temp.letters(r.name, c.oid, c.relkind) AS letters
  FROM pg_class c, role r
 WHERE c.relkind IN ('r', 'v', 'S') AND (EXISTS (SELECT FROM member WHERE classid = 'pg_class'::regclass AND objid = c.oid) OR c.relnamespace = 'shop'::regnamespace)
UNION ALL
SELECT 'columns of ' || c.relname, a.attname, r.no, r.label, pg_temp.letters(r.name, c.oid, 'c', a.attnum)
  FROM member JOIN pg_class c ON classid = 'pg_class'::regclass AND objid = c.oid AND c.relkind IN ('r', 'v') JOIN pg_attribute a ON attrelid = c.oid AND attnum > 0, role r
UNION ALL
SELECT 'function', p.proname, r.no, r.label, CASE WHEN has_function_privilege(r.name, p.oid, 'EXECUTE') THEN 'X' ELSE '' END
  FROM member JOIN pg_proc p ON classid = 'pg_proc'::regclass AND objid = p.oid, role r
UNION ALL
SELECT 'type', t.typname, r.no, r.label, CASE WHEN has_type_privilege(r.name, t.oid, 'USAGE') THEN 'U' ELSE '' END
  FROM member JOIN pg_type t ON classid = 'pg_type'::regclass AND objid = t.oid AND typelem = 0, role r
UNION ALL
SELECT 'of another kind', pg_describe_object(classid, objid, 0), r.no, r.label, '' FROM member, role r
 WHERE classid NOT IN ('pg_class'::regclass, 'pg_proc'::regclass, 'pg_type'::regclass);
\set ECHO all
SELECT kind, coalesce(one, 'all ' || count(DISTINCT name)) AS name, string_agg(DISTINCT letters, ' or ') FILTER (WHERE no = 1) AS superuser,
       string_agg(DISTINCT letters, ' or ') FILTER (WHERE no = 2) AS owner, string_agg(DISTINCT letters, ' or ') FILTER (WHERE no = 3) AS app,
       string_agg(DISTINCT letters, ' or ') FILTER (WHERE no = 4) AS reader, string_agg(DISTINCT letters, ' or ') FILTER (WHERE no = 5) AS anybody
  FROM privileges, LATERAL (SELECT CASE WHEN kind NOT LIKE 'columns%' THEN name END) AS o (one) GROUP BY kind, one ORDER BY kind, one;

-- Tried, each with what has been done undone: done, or - for 42501, or what else comes of it; for several tables or functions each outcome once.
\set ECHO none
CREATE FUNCTION shop.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TEMP TABLE attempt (no int GENERATED ALWAYS AS IDENTITY, what text, command text, on_what text DEFAULT 'tables');
INSERT INTO attempt (what, command) VALUES
  ('SELECT', 'SELECT * FROM @'), ('SELECT count(*)', 'SELECT count(*) FROM @'), ('INSERT', 'INSERT INTO @ SELECT FROM pg_class WHERE false'),
  ('UPDATE', 'UPDATE @ SET # = # WHERE false'), ('DELETE', 'DELETE FROM @ WHERE false'), ('TRUNCATE', 'TRUNCATE @, shop.coupon_redemption, shop.coupon, shop.campaign'),
  ('COPY to a table', 'COPY @ FROM ''/dev/null'''), ('MERGE', 'MERGE INTO @ USING (SELECT 1) AS s ON false WHEN MATCHED THEN DELETE'),
  ('SELECT FOR UPDATE', 'SELECT 1 FROM @ FOR UPDATE'), ('SELECT FOR KEY SHARE', 'SELECT 1 FROM @ FOR KEY SHARE'),
  ('LOCK IN ACCESS SHARE MODE', 'LOCK TABLE @ IN ACCESS SHARE MODE'), ('LOCK IN ROW EXCLUSIVE MODE', 'LOCK TABLE @ IN ROW EXCLUSIVE MODE'),
  ('LOCK IN ACCESS EXCLUSIVE MODE', 'LOCK TABLE @ IN ACCESS EXCLUSIVE MODE'), ('CREATE TRIGGER', 'CREATE TRIGGER mine BEFORE INSERT ON @ FOR EACH ROW EXECUTE FUNCTION shop.nothing()'),
  ('DISABLE TRIGGER', 'ALTER TABLE @ DISABLE TRIGGER ALL'), ('CREATE RULE', 'CREATE RULE mine AS ON DELETE TO @ DO ALSO NOTHING'), ('CREATE POLICY', 'CREATE POLICY mine ON @'),
  ('ROW LEVEL SECURITY', 'ALTER TABLE @ ENABLE ROW LEVEL SECURITY'), ('CREATE INDEX', 'CREATE INDEX ON @ ((1))'), ('ADD COLUMN', 'ALTER TABLE @ ADD COLUMN mine int'),
  ('ALTER ... INHERIT', 'CREATE TEMP TABLE child () INHERITS (@)'), ('CREATE STATISTICS', 'CREATE STATISTICS shop.mine ON (1), (2) FROM @'),
  ('COMMENT ON', 'COMMENT ON TABLE @ IS ''mine'''), ('GRANT SELECT', 'GRANT SELECT ON @ TO regress_coupon_anybody; SET LOCAL ROLE regress_coupon_anybody; SELECT 1 FROM @'), ('OWNER TO', 'ALTER TABLE @ OWNER TO CURRENT_USER'),
  ('REINDEX', 'REINDEX TABLE @'), ('CLUSTER', 'ALTER TABLE @ SET WITHOUT CLUSTER'), ('DROP', 'DROP TABLE @ CASCADE'),
  ('a view of it', 'CREATE TEMP VIEW mine AS SELECT * FROM @; SELECT * FROM mine'), ('CREATE TABLE LIKE', 'CREATE TEMP TABLE mine (LIKE @)');
INSERT INTO attempt (what, command, on_what) VALUES
  ('REFERENCES the ledger', 'CREATE TEMP TABLE mine (id bigint); CREATE TABLE shop.mine (id bigint REFERENCES shop.coupon_redemption)', ''),
  ('SELECT of views', 'SELECT * FROM shop.coupon_usage; SELECT * FROM shop.campaign_usage; SELECT * FROM shop.coupon_guard_rights', ''),
  ('SELECT coupon_guard_verify()', 'SELECT * FROM shop.coupon_guard_verify()', ''),
  ('nextval()', 'SELECT nextval(''shop.coupon_redemption_id_seq'')', ''), ('setval()', 'SELECT setval(''shop.coupon_redemption_id_seq'', 1000)', ''),
  ('currval() after redeeming', 'SELECT status FROM shop.redeem_coupon(77, ''TWO''); SELECT currval(''shop.coupon_redemption_id_seq'')', ''),
  ('lastval() after redeeming', 'SELECT status FROM shop.redeem_coupon(77, ''TWO''); SELECT lastval()', ''),
  ('redeem_coupon()', 'SELECT shop.redeem_coupon(77, ''TWO'')', ''), ('generate_coupons()', 'SELECT shop.generate_coupons(NULL, 1, ''????????'')', ''),
  ('claim_coupon()', 'SELECT shop.claim_coupon(77, ''Spring'')', ''), ('void_redemption() of another''s', 'SELECT shop.void_redemption(1)', ''),
  ('coupon_guard_set_shard()', 'SELECT shop.coupon_guard_set_shard(''there'', 1)', ''), ('release_units()', 'SELECT shop.release_units(''ONE'', 1, gen_random_uuid(), ''two'')', ''),
  ('accept_units()', 'SELECT shop.accept_units(''ONE'', 1, gen_random_uuid(), ''two'')', ''), ('settle_transfer()', 'SELECT shop.settle_transfer(gen_random_uuid())', ''),
  ('release_user()', 'SELECT shop.coupon_guard_begin_moves(), shop.release_user(''1'', gen_random_uuid(), ''two'')', ''),
  ('accept_user()', 'SELECT shop.accept_user(''{"transfer_id": "00000000-0000-0000-0000-000000000001", "user_id": "1", "from": "two", "to": "here"}'')', ''),
  ('settle_user()', 'SELECT shop.settle_user(gen_random_uuid())', ''), ('coupon_guard_units()', 'SELECT shop.coupon_guard_units(''ONE'')', ''),
  ('coupon_guard_generation()', 'SELECT shop.coupon_guard_generation()', ''), ('a trigger function on a table of one''s own',
   'CREATE TEMP TABLE mine (id int); CREATE TRIGGER mine BEFORE INSERT ON mine FOR EACH ROW EXECUTE FUNCTION shop.coupon_guard_follow_coupon()', ''),
  ('a trigger function on a table of one''s own, fired',
   'CREATE TEMP TABLE mine (id int); CREATE TRIGGER mine AFTER INSERT ON mine FOR EACH ROW EXECUTE FUNCTION shop.coupon_guard_follow_coupon(); INSERT INTO mine VALUES (1)', ''),
  ('ALTER FUNCTION redeem_coupon()', 'ALTER FUNCTION shop.redeem_coupon(bigint, text, text, jsonb) SECURITY DEFINER', ''),
  ('ALTER FUNCTION coupon_key()', 'ALTER FUNCTION shop.coupon_key(text) STABLE', ''), ('LEAKPROOF', 'ALTER FUNCTION shop.coupon_guard_version() LEAKPROOF', ''),
  ('a function of the library', 'CREATE FUNCTION shop.mine(bigint) RETURNS bigint LANGUAGE C AS ''$libdir/coupon_guard'', ''coupon_guard_redeem_text''', ''),
  ('ALTER TYPE coupon_status', 'ALTER TYPE shop.coupon_status RENAME VALUE ''held'' TO ''redeemed!''', ''),
  ('ALTER TYPE coupon_redeem_answer', 'ALTER TYPE shop.coupon_redeem_answer ADD ATTRIBUTE mine int', ''),
  ('ALTER EVENT TRIGGER', 'ALTER EVENT TRIGGER coupon_guard_keep_rows DISABLE', ''), ('an event trigger of one''s own',
   'CREATE EVENT TRIGGER mine ON ddl_command_start EXECUTE FUNCTION shop.coupon_guard_keep_rows()', ''),
  ('ALTER EXTENSION UPDATE', 'ALTER EXTENSION coupon_guard UPDATE', ''), ('ALTER EXTENSION DROP TABLE', 'ALTER EXTENSION coupon_guard DROP TABLE shop.coupon_quota', ''),
  ('ALTER EXTENSION DROP FUNCTION coupon_key', 'ALTER EXTENSION coupon_guard DROP FUNCTION shop.coupon_key(text)', ''),
  ('DROP EXTENSION', 'DROP EXTENSION coupon_guard', ''), ('CREATE in the schema', 'CREATE TABLE shop.mine ()', ''),
  ('SET coupon_guard.quota_stripes', 'SET coupon_guard.quota_stripes = 1', ''), ('SET coupon_guard.user_id_type', 'SET LOCAL coupon_guard.user_id_type = auto', ''),
  ('session_replication_role', 'SET LOCAL session_replication_role = replica', '');
CREATE FUNCTION pg_temp.outcome(role name, command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('SET LOCAL ROLE %I', role);
  EXECUTE command;
  RAISE EXCEPTION SQLSTATE 'UNDO0';
EXCEPTION
  WHEN SQLSTATE 'UNDO0' THEN RETURN 'done';
  WHEN insufficient_privilege THEN RETURN '-';
  WHEN OTHERS THEN RETURN sqlstate;
END $$;
SET client_min_messages = error;
CREATE TEMP TABLE tried AS
SELECT a.no, a.what, r.no AS role_no, string_agg(DISTINCT pg_temp.outcome(r.name, replace(replace(a.command, '@', t.name), '#', CASE t.name WHEN 'shop.coupon_quota' THEN 'owner_id' WHEN 'shop.coupon_shard' THEN 'number' WHEN 'shop.coupon_transfer' THEN 'units' WHEN 'shop.coupon_user_transfer' THEN 'peer' WHEN 'shop.coupon_user_gate' THEN 'moves' WHEN 'shop.coupon_look' THEN 'begun' ELSE 'id' END)), ' ') AS outcome
  FROM attempt a JOIN (SELECT format('shop.%I', relname) AS name, 'tables' AS kind FROM member JOIN pg_class ON classid = 'pg_class'::regclass AND oid = objid AND relkind = 'r'
                       UNION ALL SELECT '', '') AS t ON t.kind = a.on_what, role r GROUP BY a.no, a.what, r.no;
RESET client_min_messages;
\set ECHO all
SELECT what, max(outcome) FILTER (WHERE role_no = 1) AS superuser, max(outcome) FILTER (WHERE role_no = 2) AS owner, max(outcome) FILTER (WHERE role_no = 3) AS app,
       max(outcome) FILTER (WHERE role_no = 4) AS reader, max(outcome) FILTER (WHERE role_no = 5) AS anybody FROM tried GROUP BY no, what ORDER BY no;

-- What the application's role can learn beyond its answers: nothing of statistics, plans, other sessions' queries, or error messages.
\a \t
ANALYZE shop.coupon, shop.coupon_redemption, shop.coupon_quota, shop.campaign;
SELECT count(*) > 5 AS superuser_sees FROM pg_stats WHERE schemaname = 'shop';
GRANT SELECT ON shop.coupon_usage TO regress_coupon_app;
CREATE FUNCTION shop.leak(text) RETURNS bool LANGUAGE plpgsql COST 0.0001 AS $$ BEGIN RAISE NOTICE 'seen: %', $1; RETURN true; END $$;
SET ROLE regress_coupon_app;
SELECT count(*) FROM pg_stats WHERE schemaname = 'shop';
SELECT count(*) FROM pg_stats_ext WHERE schemaname = 'shop';
EXPLAIN (VERBOSE, COSTS OFF) SELECT status FROM shop.redeem_coupon(77, 'ONE');
-- A view shows the rows of all coupons, and no more of them than its columns: a function that leaks what it is given leaks that.
\set VERBOSITY terse
SELECT code FROM shop.coupon_usage WHERE shop.leak(code) ORDER BY code;
SELECT code FROM shop.coupon_usage WHERE shop.leak(coupon_usage::text) AND code = 'ONE';
\set VERBOSITY default
-- A request id belongs to its user. Another's says nothing of the first one's, nor is it in the way.
SELECT status, replayed FROM shop.redeem_coupon(1, 'ONE', 'order-1');
SELECT status, replayed FROM shop.redeem_coupon(3, 'ONE', 'order-1');
RESET ROLE;
-- A constraint of the shop's on other people's rows names no other row.
CREATE UNIQUE INDEX one_note ON shop.coupon_redemption (metadata);
SET ROLE regress_coupon_owner;
SELECT status FROM shop.redeem_coupon(4, 'TWO', metadata => '{"secret": 1}');
SET ROLE regress_coupon_app;
SELECT status FROM shop.redeem_coupon(5, 'TWO', metadata => '{"secret": 1}');
RESET ROLE;

TRUNCATE shop.coupon_redemption, shop.coupon, shop.campaign, shop.coupon_shard;
SET client_min_messages = warning;
DROP SCHEMA shop CASCADE;
RESET client_min_messages;
DO $$ BEGIN EXECUTE format('REVOKE CREATE ON DATABASE %I FROM regress_coupon_owner', current_database()); END $$;
DROP ROLE regress_coupon_owner, regress_coupon_app, regress_coupon_reader, regress_coupon_anybody;
