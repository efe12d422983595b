-- a reservation, used = used + 1 WHERE used < max; a sweeper counts expired ones back

-- [rules]
ALTER TABLE redemption
  ADD FOREIGN KEY (coupon_id) REFERENCES coupon,
  ADD expires_at timestamptz NOT NULL,
  ADD confirmed_at timestamptz,
  ADD swept_at timestamptz;
CREATE UNIQUE INDEX ON redemption (coupon_id, user_id) WHERE swept_at IS NULL;
CREATE INDEX ON redemption (expires_at) WHERE confirmed_at IS NULL AND swept_at IS NULL;

-- [hold]
BEGIN;
INSERT INTO redemption (coupon_id, user_id, expires_at)
SELECT id, :user, clock_timestamp() + :ttl::interval FROM coupon WHERE code = :code RETURNING id AS redemption_id;
UPDATE coupon SET used = used + 1 WHERE code = :code AND used < max_redemptions RETURNING used;
COMMIT;

-- [confirm]
BEGIN;
UPDATE redemption SET confirmed_at = clock_timestamp()
WHERE id = :redemption_id AND confirmed_at IS NULL AND swept_at IS NULL AND expires_at > clock_timestamp()
RETURNING id AS redemption_id;
COMMIT;

-- [sweep]
WITH swept AS (
  UPDATE redemption SET swept_at = clock_timestamp()
  WHERE confirmed_at IS NULL AND swept_at IS NULL AND expires_at <= clock_timestamp() RETURNING coupon_id
)
UPDATE coupon c SET used = used - s.units
FROM (SELECT coupon_id, count(*) AS units FROM swept GROUP BY coupon_id) s WHERE c.id = s.coupon_id;

-- [ledger]
SELECT r.id AS redemption_id, r.user_id::bigint AS user_id
FROM redemption r JOIN coupon c ON c.id = r.coupon_id WHERE c.code = :code AND r.confirmed_at IS NOT NULL;

-- [came_back]
SELECT count(*) FROM redemption WHERE swept_at IS NOT NULL;

-- [broken]
SELECT count(*) FROM coupon c
WHERE used <> (SELECT count(*) FROM redemption WHERE coupon_id = c.id AND swept_at IS NULL);
