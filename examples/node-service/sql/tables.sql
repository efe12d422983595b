-- The tutorial's tables, as Prisma would make them from prisma/schema.prisma, and a role for the service.
-- May be run again: everything is then as at the beginning.

DROP TABLE IF EXISTS "Order", "CouponRedemption", "Coupon";

CREATE TABLE "Coupon" (
  id serial PRIMARY KEY,
  code text NOT NULL,
  active boolean NOT NULL DEFAULT true
);
CREATE UNIQUE INDEX "Coupon_code_key" ON "Coupon" (code);

CREATE TABLE "CouponRedemption" (
  id serial PRIMARY KEY,
  "userId" int NOT NULL,
  "couponId" int NOT NULL REFERENCES "Coupon" ON UPDATE CASCADE ON DELETE RESTRICT,
  "createdAt" timestamp(3) NOT NULL DEFAULT current_timestamp
);
-- Finds a user's redemption quickly, and forbids nothing: see unique.sql.
CREATE INDEX "CouponRedemption_userId_couponId_idx" ON "CouponRedemption" ("userId", "couponId");

CREATE TABLE "Order" (
  id serial PRIMARY KEY,
  "userId" int NOT NULL,
  terms jsonb,
  "redemptionId" bigint NOT NULL,
  "createdAt" timestamp(3) NOT NULL DEFAULT current_timestamp
);
CREATE UNIQUE INDEX "Order_redemptionId_key" ON "Order" ("redemptionId");

INSERT INTO "Coupon" (code) VALUES ('SAVE10');

DO $$
BEGIN
  CREATE ROLE shop LOGIN;
EXCEPTION WHEN duplicate_object THEN NULL;
END
$$;
GRANT SELECT, INSERT ON "Coupon", "CouponRedemption", "Order" TO shop;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO shop;
