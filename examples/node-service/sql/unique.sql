-- The tutorial's step 3: the plain index becomes a unique one. It fails while the table has a user twice.

BEGIN;
DROP INDEX IF EXISTS "CouponRedemption_userId_couponId_idx";
CREATE UNIQUE INDEX IF NOT EXISTS "CouponRedemption_userId_couponId_key" ON "CouponRedemption" ("userId", "couponId");
COMMIT;
