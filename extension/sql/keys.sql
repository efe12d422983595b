-- The form in which codes and user ids are compared.

CREATE FUNCTION @extschema@.coupon_key(code pg_catalog.text)
RETURNS pg_catalog.text
AS 'MODULE_PATHNAME', 'coupon_guard_coupon_key'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.coupon_key(pg_catalog.text) IS
  'the form of a code by which uniqueness is judged: Unicode NFKC_Casefold, surrounding blanks removed';

CREATE FUNCTION @extschema@.coupon_code_fits(
  code pg_catalog.text, pattern pg_catalog.text, alphabet pg_catalog.text DEFAULT '23456789ABCDEFGHJKMNPQRSTUVWXYZ')
RETURNS pg_catalog.bool
AS 'MODULE_PATHNAME', 'coupon_guard_code_fits'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.coupon_code_fits(pg_catalog.text, pg_catalog.text, pg_catalog.text) IS
  'false if the code is one of the pattern, but for its check character; as a CHECK on coupon.code it lets redeem_coupon() refuse without a look-up';

CREATE FUNCTION @extschema@.coupon_guard_version()
RETURNS pg_catalog.text
AS 'MODULE_PATHNAME', 'coupon_guard_version'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.coupon_guard_version() IS
  'version of the loaded coupon_guard library';

CREATE FUNCTION @extschema@.coupon_guard_user_id_fault(user_id pg_catalog.text)
RETURNS pg_catalog.text
AS 'MODULE_PATHNAME', 'coupon_guard_user_id_fault'
LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION @extschema@.coupon_guard_user_id_fault(pg_catalog.text) IS
  'what keeps a text from being a user id as the ledger has it where coupon_guard.user_id_type is what it is; NULL: nothing';
