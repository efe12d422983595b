-- What plain SQL and replication do to the tables is followed; and what is in them is not dropped along
-- with something else.
--
-- ALWAYS, so that a subscriber follows what is applied to it. Without them redemptions are right,
-- too, but slow (claims.cpp); ALTER TABLE ... ENABLE TRIGGER ALL leaves them as if they were off.

-- A coupon that has redemptions stays (the ledger has no foreign key, for its check would lock the
-- coupon's row once per redemption); the quota follows the cap; and backends, which keep coupons
-- that they have read, hear of every change before it can be committed.
CREATE FUNCTION @extschema@.coupon_guard_follow_coupon()
RETURNS pg_catalog.trigger
AS 'MODULE_PATHNAME', 'coupon_guard_follow_coupon'
LANGUAGE C;
COMMENT ON FUNCTION @extschema@.coupon_guard_follow_coupon() IS
  'trigger on coupon: one that has redemptions cannot be deleted, truncated away or renumbered; the quota follows the cap; backends are told of changes';

-- The lock on the ledger comes first, then those on the coupons' rows.
CREATE TRIGGER coupon_lock_ledger
BEFORE DELETE OR UPDATE OF id ON @extschema@.coupon
FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.coupon_guard_follow_coupon();

CREATE TRIGGER coupon_follow_before_change
BEFORE UPDATE OR DELETE ON @extschema@.coupon
FOR EACH ROW EXECUTE FUNCTION @extschema@.coupon_guard_follow_coupon();

CREATE TRIGGER coupon_follow_change
AFTER UPDATE OR DELETE ON @extschema@.coupon
FOR EACH ROW EXECUTE FUNCTION @extschema@.coupon_guard_follow_coupon();

CREATE TRIGGER coupon_follow_truncate
AFTER TRUNCATE ON @extschema@.coupon
FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.coupon_guard_follow_coupon();

-- For the sake of the first buyers only; a single-use code needs no quota before it is used. And a coupon's campaign must exist.
CREATE TRIGGER coupon_follow_new
AFTER INSERT ON @extschema@.coupon
FOR EACH ROW WHEN (NEW.max_redemptions OPERATOR(pg_catalog.>) 1 OR NEW.campaign_id IS NOT NULL)
EXECUTE FUNCTION @extschema@.coupon_guard_follow_coupon();

ALTER TABLE @extschema@.coupon
  ENABLE ALWAYS TRIGGER coupon_lock_ledger,
  ENABLE ALWAYS TRIGGER coupon_follow_before_change,
  ENABLE ALWAYS TRIGGER coupon_follow_change,
  ENABLE ALWAYS TRIGGER coupon_follow_truncate,
  ENABLE ALWAYS TRIGGER coupon_follow_new;

-- The same of campaigns.
CREATE FUNCTION @extschema@.coupon_guard_follow_campaign()
RETURNS pg_catalog.trigger
AS 'MODULE_PATHNAME', 'coupon_guard_follow_campaign'
LANGUAGE C;
COMMENT ON FUNCTION @extschema@.coupon_guard_follow_campaign() IS
  'trigger on campaign: one that has redemptions cannot be deleted, truncated away or renumbered; the quotas follow cap and budget; backends are told of changes';

CREATE TRIGGER campaign_lock_ledger
BEFORE DELETE OR UPDATE OF id ON @extschema@.campaign
FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.coupon_guard_follow_campaign();

CREATE TRIGGER campaign_follow_before_change
BEFORE UPDATE OR DELETE ON @extschema@.campaign
FOR EACH ROW EXECUTE FUNCTION @extschema@.coupon_guard_follow_campaign();

CREATE TRIGGER campaign_follow_change
AFTER UPDATE OR DELETE ON @extschema@.campaign
FOR EACH ROW EXECUTE FUNCTION @extschema@.coupon_guard_follow_campaign();

CREATE TRIGGER campaign_follow_truncate
AFTER TRUNCATE ON @extschema@.campaign
FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.coupon_guard_follow_campaign();

-- For the sake of the first buyers only.
CREATE TRIGGER campaign_follow_new_limits
AFTER INSERT ON @extschema@.campaign
FOR EACH ROW WHEN (NEW.max_redemptions IS NOT NULL OR NEW.budget IS NOT NULL)
EXECUTE FUNCTION @extschema@.coupon_guard_follow_campaign();

ALTER TABLE @extschema@.campaign
  ENABLE ALWAYS TRIGGER campaign_lock_ledger,
  ENABLE ALWAYS TRIGGER campaign_follow_before_change,
  ENABLE ALWAYS TRIGGER campaign_follow_change,
  ENABLE ALWAYS TRIGGER campaign_follow_truncate,
  ENABLE ALWAYS TRIGGER campaign_follow_new_limits;

-- The quota follows ledger rows that plain SQL writes: imports, restores, clean-ups.
CREATE FUNCTION @extschema@.coupon_guard_follow_ledger()
RETURNS pg_catalog.trigger
AS 'MODULE_PATHNAME', 'coupon_guard_follow_ledger'
LANGUAGE C;
COMMENT ON FUNCTION @extschema@.coupon_guard_follow_ledger() IS
  'trigger on coupon_redemption: the quota follows rows that plain SQL or replication writes';

CREATE TRIGGER coupon_redemption_follow_change
AFTER INSERT OR UPDATE OR DELETE ON @extschema@.coupon_redemption
FOR EACH ROW EXECUTE FUNCTION @extschema@.coupon_guard_follow_ledger();

CREATE TRIGGER coupon_redemption_follow_truncate
AFTER TRUNCATE ON @extschema@.coupon_redemption
FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.coupon_guard_follow_ledger();

ALTER TABLE @extschema@.coupon_redemption
  ENABLE ALWAYS TRIGGER coupon_redemption_follow_change,
  ENABLE ALWAYS TRIGGER coupon_redemption_follow_truncate;

-- Nobody need write to the quota by hand. If somebody does, the quota of that coupon is ended. What is
-- replicated there is left out (BEFORE): a subscriber's quota follows its own ledger.
CREATE FUNCTION @extschema@.coupon_guard_follow_quota()
RETURNS pg_catalog.trigger
AS 'MODULE_PATHNAME', 'coupon_guard_follow_quota'
LANGUAGE C;
COMMENT ON FUNCTION @extschema@.coupon_guard_follow_quota() IS
  'trigger on coupon_quota: a quota that anybody else writes to is ended, to be counted anew; what is replicated is left out';

CREATE TRIGGER coupon_quota_follow_before_change
BEFORE INSERT OR UPDATE OR DELETE ON @extschema@.coupon_quota
FOR EACH ROW EXECUTE FUNCTION @extschema@.coupon_guard_follow_quota();

CREATE TRIGGER coupon_quota_follow_change
AFTER INSERT OR UPDATE OR DELETE ON @extschema@.coupon_quota
FOR EACH ROW EXECUTE FUNCTION @extschema@.coupon_guard_follow_quota();

CREATE TRIGGER coupon_quota_follow_truncate
AFTER TRUNCATE ON @extschema@.coupon_quota
FOR EACH STATEMENT EXECUTE FUNCTION @extschema@.coupon_guard_follow_quota();

ALTER TABLE @extschema@.coupon_quota
  ENABLE ALWAYS TRIGGER coupon_quota_follow_before_change,
  ENABLE ALWAYS TRIGGER coupon_quota_follow_change,
  ENABLE ALWAYS TRIGGER coupon_quota_follow_truncate;

-- The library refuses (keep_rows.cpp), if it is there; so it is loaded before whatever can drop a
-- table by name, or by CASCADE.
CREATE FUNCTION @extschema@.coupon_guard_keep_rows()
RETURNS pg_catalog.event_trigger
AS 'MODULE_PATHNAME', 'coupon_guard_keep_rows'
LANGUAGE C;
COMMENT ON FUNCTION @extschema@.coupon_guard_keep_rows() IS
  'event trigger: loads the library, which keeps the extension from being dropped while there are coupons or redemptions';

CREATE EVENT TRIGGER coupon_guard_keep_rows ON ddl_command_start
WHEN TAG IN (
  'ALTER DOMAIN', 'ALTER EXTENSION', 'ALTER FOREIGN TABLE', 'ALTER MATERIALIZED VIEW', 'ALTER TABLE', 'ALTER TYPE', 'ALTER VIEW',
  'DROP ACCESS METHOD', 'DROP AGGREGATE', 'DROP CAST', 'DROP COLLATION', 'DROP CONVERSION', 'DROP DOMAIN',
  'DROP EXTENSION', 'DROP FOREIGN DATA WRAPPER', 'DROP FOREIGN TABLE', 'DROP FUNCTION', 'DROP INDEX', 'DROP LANGUAGE',
  'DROP MATERIALIZED VIEW', 'DROP OPERATOR', 'DROP OPERATOR CLASS', 'DROP OPERATOR FAMILY', 'DROP OWNED', 'DROP PROCEDURE',
  'DROP PUBLICATION', 'DROP ROUTINE', 'DROP SCHEMA', 'DROP SEQUENCE', 'DROP SERVER', 'DROP TABLE', 'DROP TEXT SEARCH CONFIGURATION',
  'DROP TEXT SEARCH DICTIONARY', 'DROP TEXT SEARCH PARSER', 'DROP TEXT SEARCH TEMPLATE', 'DROP TRANSFORM', 'DROP TYPE', 'DROP VIEW')
EXECUTE FUNCTION @extschema@.coupon_guard_keep_rows();
ALTER EVENT TRIGGER coupon_guard_keep_rows ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER coupon_guard_keep_rows IS
  'keeps extension coupon_guard from being dropped while there are coupons or redemptions';
