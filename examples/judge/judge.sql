-- What scripts/examples adds to the shop's tables: accidents that happen once, and the judgement of what is left of them.
CREATE SCHEMA judge;

-- Without terms: NULL shall be NULL in the order, and not the null of JSON.
INSERT INTO promo.coupon (code) VALUES ('PLAIN');

-- A sequence is not rolled back: so the first attempt can be told from the second.
CREATE SEQUENCE judge.attempts_4;
CREATE SEQUENCE judge.attempts_6;
CREATE SEQUENCE judge.attempts_7;

CREATE FUNCTION judge.first_attempt(user_id bigint) RETURNS boolean LANGUAGE sql
  RETURN nextval('judge.attempts_' || user_id) = 1;

CREATE FUNCTION judge.conflict() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
  IF judge.first_attempt(NEW.user_id) THEN
    RAISE EXCEPTION 'a conflict of the judge''s making' USING ERRCODE = TG_ARGV[0];
  END IF;
  RETURN NEW;
END
$$;

-- Not SECURITY DEFINER: nobody but the superuser may end the session of one.
CREATE FUNCTION judge.end_session() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF judge.first_attempt(NEW.user_id) THEN
    PERFORM pg_terminate_backend(pg_backend_pid());
    PERFORM pg_sleep(600); -- which the signal interrupts
  END IF;
  RETURN NULL;
END
$$;
GRANT USAGE ON SCHEMA judge TO shop;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA judge TO shop;

-- User 4 loses the connection before COMMIT has done anything. User 6 meets a conflict at once, user 7 one that is found at COMMIT.
CREATE CONSTRAINT TRIGGER end_session AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (NEW.user_id = 4) EXECUTE FUNCTION judge.end_session();
CREATE TRIGGER conflict BEFORE INSERT ON orders
  FOR EACH ROW WHEN (NEW.user_id = 6) EXECUTE FUNCTION judge.conflict('40001');
CREATE CONSTRAINT TRIGGER conflict_at_commit AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW WHEN (NEW.user_id = 7) EXECUTE FUNCTION judge.conflict('40P01');

-- The orders of a user, and the redemptions. An order has its coupon if both rows were written by one transaction (xmin), and it says
-- of the redemption what is true; it is without one if it says nothing of any.
CREATE FUNCTION judge.found(whose bigint) RETURNS text LANGUAGE sql AS $$
  SELECT format('%s without, %s with coupon, %s wrong; %s redemptions',
    count(*) FILTER (WHERE is_without), count(*) FILTER (WHERE is_with), count(*) FILTER (WHERE NOT is_without AND NOT is_with),
    (SELECT count(*) FROM promo.coupon_redemption WHERE user_id = whose::text))
  FROM (
    SELECT o.redemption_id IS NULL AND o.discount IS NULL AND o.coupon_status <> 'redeemed' IS TRUE AS is_without,
      (o.coupon_status = 'redeemed' AND o.discount IS NOT DISTINCT FROM c.terms AND r.request_id = o.request_id AND r.xmin = o.xmin) IS TRUE AS is_with
    FROM orders o
    LEFT JOIN promo.coupon_redemption r ON r.id = o.redemption_id AND r.user_id = o.user_id::text AND r.voided_at IS NULL
    LEFT JOIN promo.coupon c ON c.id = r.coupon_id
    WHERE o.user_id = whose
  ) AS judged
$$;

-- What nobody may leave behind, whoever the user.
CREATE FUNCTION judge.broken() RETURNS text LANGUAGE sql AS $$
  SELECT string_agg(what, '; ') FROM (
    SELECT format('redemption %s has no order', id) FROM promo.coupon_redemption r
    WHERE NOT EXISTS (SELECT FROM orders o WHERE o.redemption_id = r.id)
    UNION ALL
    SELECT c::text FROM promo.coupon_guard_verify() c
  ) AS broken(what)
$$;
