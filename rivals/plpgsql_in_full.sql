-- The same logic as redeem_coupon(), step by step as in extension/src/redeem/redeem.cpp, on the tables of plpgsql.sql: request ids,
-- holds, any limit per user, codes in any Unicode form. What PL/pgSQL's redeem_coupon() of plpgsql.sql leaves out.
CREATE FUNCTION plpgsql.redeem_in_full(
  customer text, code text, request text DEFAULT NULL, details jsonb DEFAULT NULL,
  OUT status plpgsql.status, OUT redemption_id bigint, OUT coupon_id bigint, OUT use_no int,
  OUT redeemed_at timestamptz, OUT terms jsonb, OUT replayed boolean)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  offer plpgsql.coupon;
  moment timestamptz;
  judged plpgsql.status;
  made plpgsql.ledger;
  latest plpgsql.ledger;
  uses int;
  free int;
  has_unit boolean;
BEGIN
  IF customer IS NULL OR code IS NULL THEN
    RAISE null_value_not_allowed USING MESSAGE = 'user id and code must not be null';
  END IF;
  IF octet_length(customer) NOT BETWEEN 1 AND 255 OR octet_length(request) NOT BETWEEN 1 AND 255 THEN
    RAISE invalid_parameter_value USING MESSAGE = 'user id and request id must have 1 to 255 bytes';
  END IF;
  LOOP
    replayed := false;
    moment := clock_timestamp();
    SELECT * INTO offer FROM plpgsql.coupon c WHERE c.code_key = lower(normalize(btrim(code), NFKC));
    coupon_id := offer.id;

    IF request IS NOT NULL THEN
      SELECT * INTO made FROM plpgsql.ledger r WHERE r.user_id = customer AND r.request_id = request;
      IF made.coupon_id <> offer.id THEN
        RAISE invalid_parameter_value USING MESSAGE = 'request id was used for another coupon';
      END IF;
      IF made.voided_at IS NOT NULL OR made.hold_expires_at <= moment THEN
        status := 'expired';
        replayed := true;
        IF made.voided_at IS NOT NULL AND made.void_reason IS DISTINCT FROM 'hold expired' THEN
          status := 'voided';
          redemption_id := made.id;
        END IF;
        RETURN;
      END IF;
      IF made.id IS NOT NULL AND made.hold_expires_at IS NULL THEN -- a live hold is confirmed below
        status := 'redeemed';
        redemption_id := made.id;
        use_no := made.use_no;
        redeemed_at := made.redeemed_at;
        terms := offer.terms;
        replayed := true;
        RETURN;
      END IF;
    END IF;

    IF offer.id IS NULL THEN status := 'not_found'; RETURN; END IF;
    judged := CASE
      WHEN NOT offer.active THEN 'inactive'
      WHEN moment < offer.starts_at THEN 'not_started'
      WHEN moment >= offer.expires_at THEN 'expired'
      ELSE 'redeemed'
    END;

    uses := 0;
    free := 1;
    has_unit := false;
    FOR made IN
      SELECT * FROM plpgsql.ledger r
      WHERE r.coupon_id = offer.id AND r.user_id = customer AND r.voided_at IS NULL ORDER BY r.use_no
    LOOP
      -- A hold that another request has placed is a use like any other.
      IF (made.hold_expires_at > moment OR (made.hold_expires_at IS NOT NULL AND judged = 'redeemed'))
        AND (request IS NULL OR made.request_id IS NULL OR made.request_id = request)
      THEN
        UPDATE plpgsql.ledger r SET hold_expires_at = NULL, redeemed_at = moment,
          request_id = coalesce(request, r.request_id), metadata = coalesce(details, r.metadata)
        WHERE r.id = made.id RETURNING 'redeemed', r.id, r.use_no, r.redeemed_at, offer.terms
        INTO status, redemption_id, use_no, redeemed_at, terms;
        RETURN;
      END IF;
      IF made.hold_expires_at <= moment AND judged = 'redeemed' THEN -- its unit is for this redemption
        UPDATE plpgsql.ledger r SET voided_at = moment, void_reason = 'hold expired'
        WHERE r.id = made.id AND r.voided_at IS NULL;
        has_unit := has_unit OR FOUND;
        CONTINUE;
      END IF;
      uses := uses + 1;
      latest := made;
      IF made.use_no = free THEN free := free + 1; END IF;
    END LOOP;
    IF judged <> 'redeemed' THEN status := judged; RETURN; END IF;
    IF uses >= offer.max_per_user THEN
      status := 'already_redeemed';
      redemption_id := latest.id;
      use_no := latest.use_no;
      redeemed_at := latest.redeemed_at;
      RETURN;
    END IF;

    IF offer.max_redemptions IS NOT NULL AND NOT has_unit AND NOT plpgsql.take_unit(offer.id) THEN
      -- Take over the unit of an expired hold.
      UPDATE plpgsql.ledger r SET voided_at = moment, void_reason = 'hold expired'
      WHERE r.id = (
        SELECT h.id FROM plpgsql.ledger h
        WHERE h.coupon_id = offer.id AND h.hold_expires_at <= moment AND h.voided_at IS NULL
        ORDER BY h.hold_expires_at LIMIT 1 FOR UPDATE SKIP LOCKED);
      IF NOT FOUND THEN status := 'sold_out'; RETURN; END IF;
    END IF;
    INSERT INTO plpgsql.ledger AS r (coupon_id, user_id, use_no, request_id, metadata)
    VALUES (offer.id, customer, free, request, details)
    ON CONFLICT DO NOTHING
    RETURNING 'redeemed', r.id, r.use_no, r.redeemed_at, offer.terms
    INTO status, redemption_id, use_no, redeemed_at, terms;
    IF FOUND THEN RETURN; END IF;
    -- A rival won in between; its row is committed. The unit taken is given back.
    IF offer.max_redemptions IS NOT NULL THEN
      INSERT INTO plpgsql.quota AS q VALUES (offer.id, 0, 1)
      ON CONFLICT (coupon_id, stripe) DO UPDATE SET remaining = q.remaining + 1;
    END IF;
  END LOOP;
END
$$;
