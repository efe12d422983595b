-- A coupon of a campaign that has a cap and a limit per user, as the coupon has; the caps are too high to be reached in a run.
INSERT INTO guard.campaign (name, max_redemptions, max_per_user) VALUES ('Summer', 1000000000, 1);
INSERT INTO guard.coupon (code, max_redemptions, campaign_id) SELECT 'SUMMER', 1000000000, id FROM guard.campaign;
ANALYZE guard.campaign, guard.coupon;
