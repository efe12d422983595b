-- The objects of coupon_guard_router. make joins the parts of this folder, and the types of extension/sql/, into
-- coupon_guard_router--VERSION.sql.
--
-- A shard is a server with coupon_guard in a schema of the same name as this one's. Routers keep nothing: what they need to know they ask
-- the shards. Which shards there are says the foreign server coupon_guard, of PL/Proxy.
--
-- What is called from outside runs with the rights of the extension's owner, and so reaches the shards by the owner's user mapping: an
-- application has EXECUTE on what it is to call, and nothing else. Everything else here is for these functions.
--
-- Every name is qualified, and whatever runs later has a search_path of its own.

\echo Use "CREATE EXTENSION coupon_guard_router" to load this file. \quit

SET LOCAL search_path = pg_catalog, pg_temp;
