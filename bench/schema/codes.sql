-- 200,000 codes of a campaign, for one use each, that nobody holds: more than are claimed in a run; and a number for each who claims.
INSERT INTO guard.campaign (id, name) VALUES (1, 'Drop');
INSERT INTO guard.coupon (campaign_id, code, max_redemptions)
SELECT 1, 'CODE-' || upper(substr(md5(number::text), 1, 12)), 1 FROM generate_series(1, 200000) number;
CREATE VIEW guard.claimed AS SELECT id FROM guard.coupon WHERE holder IS NOT NULL;
CREATE SEQUENCE guard.customer;
VACUUM ANALYZE guard.coupon;
