# shellcheck shell=bash
# shellcheck disable=SC2154  # $root, $work, $logs and $install are those of scripts/lib.sh
# A PgBouncer of our own. Debian's package would start one as a service of the machine, on all its interfaces' port 6432, and again at each
# start: nobody asked for that, so the package is not installed but unpacked, below build/, and only the libraries that it needs are
# installed.

# get_pgbouncer: sets $pgbouncer to the program, or to nothing if there is none and none can be had.
get_pgbouncer() {
    local unpacked=$root/build/pgbouncer libraries
    pgbouncer=$(PATH=$PATH:/usr/sbin command -v pgbouncer || true)
    if [ -z "$pgbouncer" ] && [ ! -x "$unpacked/usr/sbin/pgbouncer" ] && [ "$install" = yes ]; then
        mapfile -t libraries < <(apt-cache depends pgbouncer 2>/dev/null | sed -n 's/^ *Depends: \(lib[^ ]*\)$/\1/p')
        if ((${#libraries[@]} > 0)); then
            install_packages "${libraries[@]}"
            unpack_package pgbouncer "$unpacked"
        fi
    fi
    if [ -z "$pgbouncer" ] && [ -x "$unpacked/usr/sbin/pgbouncer" ]; then pgbouncer=$unpacked/usr/sbin/pgbouncer; fi
}

# start_pgbouncer: in transaction mode, before the server in $work, with one session of it for all clients. Sets $pooler_port.
# It must not run as root, and what is in $root the server's user may not read.
start_pgbouncer() {
    mkdir "$work/pooler"
    cp "$pgbouncer" "$work/pooler/pgbouncer"
    pooler_port=$(free_port)
    cat >"$work/pooler/settings" <<SETTINGS
[databases]
* = host=$work/socket port=5432
[pgbouncer]
pool_mode = transaction
default_pool_size = 1
query_wait_timeout = 60
listen_addr = 127.0.0.1
listen_port = $pooler_port
unix_socket_dir =
pidfile = $work/pooler/pid
auth_type = trust
auth_file = $work/pooler/users
ignore_startup_parameters = extra_float_digits
SETTINGS
    echo '"shop" ""' >"$work/pooler/users"
    chown -R "$server_user:$(id -g "$server_user")" "$work/pooler"
    as_server_user "$work/pooler/pgbouncer" "$work/pooler/settings" >"$logs/examples-pgbouncer.log" 2>&1 &
    local started=$!
    at_exit 'kill "$(cat "$work/pooler/pid")" 2>/dev/null'
    until grep -q 'process up' "$logs/examples-pgbouncer.log"; do
        kill -0 "$started" 2>/dev/null || die "PgBouncer did not start: $(cat "$logs/examples-pgbouncer.log")"
        sleep 0.1
    done
}

# One that nobody listens on, as the kernel gives them. (PgBouncer cannot be told to take any.)
free_port() {
    "$perl" -MIO::Socket::INET -e 'print IO::Socket::INET->new(LocalAddr => "127.0.0.1", Listen => 1)->sockport'
}
