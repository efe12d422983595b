-- Limits over many servers.

\echo Use "ALTER EXTENSION coupon_guard UPDATE TO '0.3.0'" to load this file. \quit

SET LOCAL search_path = pg_catalog, pg_temp;
