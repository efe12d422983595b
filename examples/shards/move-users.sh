#!/usr/bin/env bash
# Moves the users of a partition from one shard to another. Ended at any moment, by whatever it was, it is started again with the same
# arguments: what has been done is not done again.
#
#   move-users.sh FROM TO PARTITION PARTITIONS
#
# FROM and TO: connection strings of the shards, of a role that owns the extension there. PARTITIONS: how many the cluster has.
set -euo pipefail

if (($# != 4)); then
  sed -n 's/^#   //p' "$0" >&2
  exit 2
fi
from=$1 to=$2 partition=$3 partitions=$4

on() { # CONNECTION [ARGUMENT ...]: the statements on standard input, each a transaction
  local connection=$1
  shift
  psql -XAtq -v ON_ERROR_STOP=1 -v partition="$partition" -v partitions="$partitions" "$@" "$connection"
}

to_name=$(on "$to" <<< "SELECT name FROM coupon_shard")

# 1. Close the door on both shards. Who is inside is waited for.
close_door() { # CONNECTION
  on "$1" << 'SQL'
SELECT coupon_guard_begin_moves();
SELECT coupon_guard_close_partition(:partition, :partitions);
SQL
}

# 2. Each user leaves, in a transaction of his own.
release_users() {
  on "$from" -v to="$to_name" << 'SQL'
SELECT format('SELECT release_user(%L, gen_random_uuid(), %L) IS NOT NULL', user_id, :'to')
FROM (SELECT user_id FROM coupon_redemption UNION SELECT holder FROM coupon WHERE holder IS NOT NULL) AS here
WHERE hashtext(user_id) & (:partitions - 1) = :partition
  AND (SELECT direction FROM coupon_user_transfer AS t WHERE t.user_id = here.user_id ORDER BY transfer_no DESC LIMIT 1) IS DISTINCT FROM 'o'
\gexec
SQL
}

# 3. Whoever has left and is not known to have arrived is in coupon_user_transfer: each arrives in a transaction of his own ...
payloads() {
  echo 'CREATE TEMP TABLE payload (payload jsonb); COPY payload FROM STDIN;'
  on "$from" -v to="$to_name" << 'SQL'
SELECT format('COPY (SELECT payload FROM coupon_user_transfer WHERE direction = ''o'' AND settled_at IS NULL AND peer = %L) TO STDOUT', :'to')
\gexec
SQL
  echo '\.'
  cat << 'SQL'
SELECT format('SELECT format(''SELECT settle_user(%%L);'', payload->>''transfer_id'') FROM payload WHERE ctid = %L AND accept_user(payload) IS NOT NULL', ctid)
FROM payload
\gexec
SQL
}

# ... and that is noted on the old shard.
accept_users() {
  payloads | on "$to" | on "$from"
}

# 4. Open the door where they are now. On the old shard it stays closed until nobody comes to it any more.
open_door() {
  on "$to" <<< "SELECT coupon_guard_close_partition(:partition, :partitions, false)"
}

close_door "$from"
close_door "$to"
release_users > /dev/null
accept_users > /dev/null
open_door
