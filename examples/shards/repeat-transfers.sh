#!/usr/bin/env bash
# A shard has been restored from a backup and has forgotten what it gave to another shard and got from it since. Here that is done again, by
# the ids that it had: what is remembered is not done twice. Once for each of the other shards, while nobody redeems on the restored one.
#
#   repeat-transfers.sh RESTORED OTHER SINCE
#
# RESTORED and OTHER: connection strings, of a role that owns the extension there. SINCE: when the backup was begun, or earlier.
set -euo pipefail

if (($# != 3)); then
  sed -n 's/^#   //p' "$0" >&2
  exit 2
fi
restored=$1 other=$2 since=$3

on() { # CONNECTION [ARGUMENT ...]: the statements on standard input, each a transaction
  local connection=$1
  shift
  psql -XAtq -v ON_ERROR_STOP=1 "$@" "$connection"
}

restored_name=$(on "$restored" <<< "SELECT name FROM coupon_shard")
other_name=$(on "$other" <<< "SELECT name FROM coupon_shard")

on "$restored" <<< "SELECT coupon_guard_begin_moves()" > /dev/null

# What the other shard knows, as statements for the restored one, in the order in which it happened.
on "$other" -v name="$restored_name" -v own_name="$other_name" -v since="$since" << 'SQL' | on "$restored"
SELECT statement FROM (
  SELECT t.made_at, CASE t.direction
    WHEN 'i' THEN format('SELECT ''of %s, %s of %s units released again: '' || release_units(%2$L, %3$L, %4$L, %5$L, %1$L); SELECT FROM settle_transfer(%4$L);',
      t.kind, n.name, t.units, t.transfer_id, :'own_name')
    ELSE format('SELECT ''of %s, %s, %s units accepted again: '' || accept_units(%2$L, %3$L, %4$L, %5$L, %1$L);', t.kind, n.name, t.units, t.transfer_id, :'own_name') END
  FROM coupon_transfer AS t
  LEFT JOIN coupon AS c ON t.kind IN ('c', 'b') AND c.id = t.owner_id
  LEFT JOIN campaign AS p ON t.kind IN ('C', 'B') AND p.id = t.owner_id
  CROSS JOIN LATERAL coalesce(c.code, p.name) AS n (name)
  WHERE t.peer = :'name' AND t.made_at >= :'since'::timestamptz
  UNION ALL
  SELECT u.made_at, CASE u.direction
    WHEN 'i' THEN format('SELECT ''user %s has left again'' FROM release_user(%1$L, %2$L, %3$L), settle_user(%2$L);', u.user_id, u.transfer_id, :'own_name')
    ELSE format('SELECT ''user %s has come again: '' || accept_user(%2$L);', u.user_id, u.payload) END
  FROM coupon_user_transfer AS u
  WHERE u.peer = :'name' AND u.made_at >= :'since'::timestamptz
) AS known (made_at, statement)
ORDER BY made_at;
SQL
