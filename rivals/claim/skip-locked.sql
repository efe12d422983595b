-- the same with FOR UPDATE SKIP LOCKED
--
-- Nobody waits, and each code is given once. But a code that is locked is passed over as if it were gone: it comes back if its transaction
-- is rolled back, and whoever was told that there is none has left. And two requests of one user at once get two.

-- [tables]
CREATE TABLE coupon (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  campaign text NOT NULL,
  code text NOT NULL UNIQUE,
  holder bigint
);

-- [rules]
CREATE INDEX ON coupon (campaign, id) WHERE holder IS NULL;
CREATE INDEX ON coupon (campaign, holder);

-- [coupon]
INSERT INTO coupon (campaign, code) SELECT :code, :code || '-' || n FROM generate_series(1, :cap::int) AS n;

-- [redeem]
BEGIN;
UPDATE coupon SET holder = :user WHERE id = coalesce(
  (SELECT id FROM coupon WHERE campaign = :code AND holder = :user LIMIT 1),
  (SELECT id FROM coupon WHERE campaign = :code AND holder IS NULL ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED))
RETURNING id AS redemption_id;
COMMIT;

-- [ledger]
SELECT id AS redemption_id, holder AS user_id FROM coupon WHERE campaign = :code AND holder IS NOT NULL;
