# shellcheck shell=bash
# What every example is put through, and how it is judged: by what it says, and by the rows that the database has afterwards.
#
# The caller has set: $name and $program (the driver, the command line of its example), $log, $database, $proxy_port, and $pooler_port if
# there is a pooler; $cut_order is the file at whose sight the proxy cuts. PGHOST, PGPORT and PGUSER are those of the judge. $tests and
# $failed go on counting.
# shellcheck disable=SC2154

# ask USER CODE REQUEST STATUS: runs the example, which is to say STATUS.
ask() {
    local said status=0
    # shellcheck disable=SC2086  # a command line
    said=$(as_shop $program "$1" "$2" "$3" 2>>"$log") || status=$?
    printf 'user %s, %s, %s: %s (%d)\n' "$1" "$2" "$3" "$said" "$status" >>"$log"
    if [ "$said" != "$4" ] || ((status != 0)); then
        trouble+=("user $1 with $2 ($3) was to be told '$4', and heard '$said' (exit status $status)")
    fi
}

# as_shop COMMAND...: with the connection to $port of the loopback interface as libpq, a URL and JDBC name it.
as_shop() {
    local settings="sslmode=disable${extra_settings:+&$extra_settings}"
    env PGHOST=127.0.0.1 PGPORT="$port" PGUSER=shop PGDATABASE="$database" PGSSLMODE=disable PGCONNECT_TIMEOUT=30 \
        DATABASE_URL="postgresql://shop@127.0.0.1:$port/$database?$settings" \
        JDBC_URL="jdbc:postgresql://127.0.0.1:$port/$database?user=shop&$settings" \
        PYTHONDONTWRITEBYTECODE=1 timeout 120 "$@" </dev/null
}

value() { psql -XAtq -v ON_ERROR_STOP=1 -d "$database" -c "$1" 2>>"$log"; }

# is WHAT WANTED SQL
is() {
    local got
    got=$(value "$3") || got="an error"
    if [ "$got" != "$2" ]; then trouble+=("$1: '$got', not '$2'"); fi
}

# has USER WITHOUT WITH REDEMPTIONS: as many orders without a coupon, and with one; as many redemptions.
has() {
    is "user $1" "$2 without, $3 with coupon, 0 wrong; $4 redemptions" "SELECT judge.found($1)"
}

# verdict COLUMN DESCRIPTION: whether there was trouble since the last one.
verdict() {
    tests=$((tests + 1))
    cells[$1]=yes
    if ((${#trouble[@]} > 0)); then
        cells[$1]=NO
        failed=$((failed + 1))
    fi
    if [ "$tap" = yes ]; then
        if [ "${cells[$1]}" = yes ]; then echo "ok $tests - $name: $2"; else echo "not ok $tests - $name: $2"; fi
    fi
    if ((${#trouble[@]} > 0)); then printf "#   $name: %s\n" "${trouble[@]}"; fi
    trouble=()
}

# leave_out COLUMN WHY
leave_out() {
    cells[$1]=-
    note "skipped: $name: $1: $2"
}

case_order() {
    ask 1 SAVE10 click-1 redeemed
    has 1 0 1 1
    ask 10 PLAIN click-11 redeemed
    has 10 0 1 1
    verdict order "the order and its redemption are one transaction"
}

case_refusal() {
    ask 1 SAVE10 click-2 already_redeemed
    has 1 1 1 1
    ask 2 NOSUCH click-1 not_found # the id that user 1 has given a request
    has 2 1 0 0
    verdict refusal "a refused coupon costs the discount, not the order"
}

# The rival's transaction is open until the example has ended, so there is no doubt who waits for whom.
case_waits() {
    local answer
    coproc rival { psql -XAtq -v ON_ERROR_STOP=1 -d "$database" 2>&1; }
    local rival_pid=$rival_PID
    echo "BEGIN; SELECT status FROM promo.redeem_coupon(3::bigint, 'SAVE10');" >&"${rival[1]}"
    read -r answer <&"${rival[0]}" || answer="nothing"
    [ "$answer" = redeemed ] || trouble+=("the rival was told '$answer'")
    ask 3 SAVE10 click-3 busy
    has 3 0 0 0
    printf '%s\n' 'ROLLBACK;' '\q' >&"${rival[1]}"
    wait "$rival_pid" || true
    ask 3 SAVE10 click-3 redeemed
    has 3 0 1 1
    verdict waits "a second click gives up after lock_timeout (55P03), leaves nothing, and may come again"
}

# twice USER: the accident has happened, and there was a second attempt.
twice() { is "user $1 was tried again" t "SELECT last_value >= 2 FROM judge.attempts_$1"; }

# ask_cut USER CODE REQUEST STATUS: the same, with the connection cut after the server's COMMIT.
ask_cut() {
    touch "$cut_order"
    ask "$@"
    if [ -e "$cut_order" ]; then
        trouble+=("user $1: no COMMIT came by, so nothing was cut")
        rm -f "$cut_order"
    fi
}

case_lost() {
    ask 4 SAVE10 click-4 redeemed
    twice 4
    has 4 0 1 1
    ask_cut 5 SAVE10 click-5 redeemed
    has 5 0 1 1
    ask_cut 1 SAVE10 click-6 already_redeemed
    has 1 2 1 1
    verdict lost "a connection lost at COMMIT, before it or after it, makes one order and one redemption"
}

case_conflict() {
    ask 6 SAVE10 click-7 redeemed
    twice 6
    has 6 0 1 1
    ask 7 SAVE10 click-8 redeemed
    twice 7
    has 7 0 1 1
    verdict conflict "40001, and 40P01 at COMMIT, are tried again"
}

# Two programs, one after the other, in one session of the server: what the first has left there is the second one's trouble.
case_pgbouncer() {
    local port=$pooler_port extra_settings=${pooled_settings[$name]:-}
    ask 8 SAVE10 click-9 redeemed
    has 8 0 1 1
    ask 9 SAVE10 click-10 redeemed
    has 9 0 1 1
    verdict pgbouncer "the same through PgBouncer in transaction mode${extra_settings:+, with $extra_settings}"
}

case_end() {
    is "in the end" "" "SELECT judge.broken()"
    verdict end "no redemption is without its order, and nothing is broken"
}

# shellcheck disable=SC2034  # for scripts/examples
columns=(order refusal waits lost conflict pgbouncer end)
judge_example() {
    local trouble=() port=$proxy_port
    case_order
    case_refusal
    case_waits
    case_lost
    case_conflict
    if [ -n "$pooler_port" ]; then case_pgbouncer; else leave_out pgbouncer "no PgBouncer"; fi
    case_end
}
