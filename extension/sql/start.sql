-- The objects of coupon_guard. make joins the parts of this folder into coupon_guard--VERSION.sql.
-- Every name is qualified: nothing here, and nothing that runs later, relies on search_path.

\echo Use "CREATE EXTENSION coupon_guard" to load this file. \quit

SET LOCAL search_path = pg_catalog, pg_temp;
