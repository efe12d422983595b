SELECT status, code FROM guard.claim_coupon(nextval('guard.customer'), 'drop');
