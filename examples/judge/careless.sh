#!/usr/bin/env bash
# Everything that the examples do not do: a transaction for the coupon and one for the order, no request id for the coupon, nothing tried
# again, no refusal but the one that was thought of. The judge must find fault with it: careless.sh USER CODE REQUEST
set -euo pipefail
export PGOPTIONS='-c lock_timeout=1s'

run() { psql -XAtq -v ON_ERROR_STOP=1 -v user="$1" -v code="$2" -v request="$3" <<<"$4"; }

coupon=$(run "$@" "SELECT status, redemption_id FROM promo.redeem_coupon(:user, :'code')")
status=${coupon%%|*}
redemption=${coupon#*|}
case $status in
redeemed) ;;
already_redeemed) redemption=NULL ;;
*) exit 1 ;;
esac
run "$@" "INSERT INTO orders (request_id, user_id, coupon_status, redemption_id) VALUES (:'request', :user, '$status', $redemption)"
echo "$status"
