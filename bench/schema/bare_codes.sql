-- The same in a table of the same columns, constraints and indexes, without triggers.
DROP SCHEMA IF EXISTS bare CASCADE;
CREATE SCHEMA bare;
CREATE TABLE bare.coupon (LIKE guard.coupon INCLUDING ALL);
INSERT INTO bare.coupon (campaign_id, code, max_redemptions) SELECT campaign_id, code, max_redemptions FROM guard.coupon WHERE campaign_id = 1;
CREATE VIEW bare.claimed AS SELECT id FROM bare.coupon WHERE holder IS NOT NULL;
VACUUM ANALYZE bare.coupon;
