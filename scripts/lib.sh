# shellcheck shell=bash
# What scripts/demo, scripts/test and scripts/bench share: telling what is being done, finding what the build needs, the build
# itself, and servers of our own. What is missing is installed by scripts/setup.
#
# The caller has set `set -euo pipefail`. Nothing here touches a PostgreSQL cluster that exists: every server that runs for a test
# is one of our own.

# The oldest PostgreSQL the extension is built for.
readonly oldest_postgres=15

# The tree this script belongs to, wherever it was called from.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly root

# Where all output is TAP, what is told is a comment: SAY_AS='# '.
say() { printf '%s==> %s\n' "${SAY_AS:-}" "$*"; }
note() { printf '%s    %s\n' "${SAY_AS:-}" "$*"; }
die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# yes, or no with --no-install: then what is missing is the user's to install.
install=yes

# Commands to run when the script ends, however it ends, last one first.
exit_commands=()
at_exit() { exit_commands+=("$1"); }
run_exit_commands() {
    local index
    trap '' INT TERM # a signal to the process group would end them halfway
    for ((index = ${#exit_commands[@]} - 1; index >= 0; index--)); do
        eval "${exit_commands[index]}" || true
    done
    exit_commands=()
}
trap run_exit_commands EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# as_root COMMAND...: as it is for root, through sudo for everyone else.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "this needs root, and there is no sudo: $*"
    fi
}

# --- packages ---------------------------------------------------------------------------------------------------------

uses_apt() { command -v apt-get >/dev/null && command -v dpkg-query >/dev/null; }

package_installed() {
    [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# apt_get ARGUMENTS...: asks nothing, and restarts no service of the machine (needrestart, on Ubuntu).
apt_get() { as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l apt-get --quiet --yes "$@"; }

# The newest PostgreSQL server on this machine that the extension can be built for, as a major version; else nothing.
installed_postgres() {
    local server major newest=
    for server in /usr/lib/postgresql/*/bin/postgres; do
        [ -x "$server" ] || continue
        major=${server#/usr/lib/postgresql/}
        major=${major%%/*}
        if [[ $major =~ ^[0-9]+$ ]] && ((major >= oldest_postgres && major > ${newest:-0})); then newest=$major; fi
    done
    printf '%s\n' "$newest"
}

# The major version that the distribution's package `postgresql` stands for; nothing while apt knows no packages.
distribution_postgres() {
    apt-cache depends postgresql 2>/dev/null | sed -n 's/^ *Depends: postgresql-\([0-9][0-9]*\)$/\1/p'
}

# choose_postgres: sets PG_CONFIG. That of the environment wins; else the newest server that is installed, else the one in the PATH.
choose_postgres() {
    local major=
    if [ -n "${PG_CONFIG:-}" ]; then
        PG_CONFIG=$(command -v "$PG_CONFIG") || die "PG_CONFIG names no program"
        return
    fi
    if uses_apt; then major=$(installed_postgres); fi
    if [ -n "$major" ]; then
        PG_CONFIG=/usr/lib/postgresql/$major/bin/pg_config
    else
        PG_CONFIG=$(command -v pg_config || true)
    fi
}

# install_packages PACKAGE...: those that are missing.
install_packages() { "$root/scripts/setup" --packages "$@"; }

# set_up [FOR...]: the server, the compilers, the libraries and what else scripts/setup knows to be FOR this script, installed or
# asked for.
set_up() {
    say "looking for what the build needs"
    if [ "$install" = no ]; then
        note "installing nothing, as asked"
    else
        "$root/scripts/setup" build "$@"
    fi
    choose_postgres
    check_postgres
}

# What PG_CONFIG names must be a server we can build for and start.
check_postgres() {
    [ -x "$PG_CONFIG" ] || die "no pg_config: install PostgreSQL's server headers, or set PG_CONFIG"
    local version directory program
    version=$("$PG_CONFIG" --version)
    directory=$("$PG_CONFIG" --bindir)
    for program in initdb postgres; do
        [ -x "$directory/$program" ] || die "$version: no $program in $directory"
    done
    [ -f "$("$PG_CONFIG" --pgxs)" ] || die "$version: no PGXS; install its server headers"
    export PG_CONFIG
    note "$version, libpqxx $(pkg-config --modversion libpqxx 2>/dev/null || echo unknown)"
}

# The distribution's Python is the one its packages of matplotlib and Jinja are for; another may come first in the PATH.
python() { if [ -x /usr/bin/python3 ]; then /usr/bin/python3 "$@"; else python3 "$@"; fi; }
python_can_report() { python -c 'import jinja2, matplotlib' 2>/dev/null; }

# --- a Node that Prisma runs on ------------------------------------------------------------------------------------

# Prisma 7 wants Node 20.19, 22.12 or 24. Debian 12 has 18.20, on which Prisma's command line does not even start; it is
# enough for npm, though, and npm has Node itself, as a package that is one file.
readonly node_from_npm=22.23.3

node_is_new_enough() {
    "$1" -e 'const [major, minor] = process.versions.node.split(".").map(Number);
             process.exit((major === 20 && minor >= 19) || (major === 22 && minor >= 12) || major >= 24 ? 0 : 1)' 2>/dev/null
}

# Sets $node: the one in the PATH, else the one that npm brings.
find_node() {
    local machine
    node=$(command -v node || true)
    if [ -n "$node" ] && node_is_new_enough "$node"; then return; fi
    case $(uname -m) in
    x86_64) machine=x64 ;;
    aarch64) machine=arm64 ;;
    *) die "Node 20.19 or later is needed, and npm has none for this machine" ;;
    esac
    node=$root/build/node/node_modules/node-linux-$machine/bin/node
    if [ -x "$node" ] && node_is_new_enough "$node"; then return; fi
    if [ "$install" = no ]; then die "Node 20.19 or later is needed; ${0##*/} without --no-install installs one in build/"; fi
    note "npm install node-linux-$machine@$node_from_npm, since $(command -v node || echo node) is too old"
    mkdir -p "$root/build/node"
    quietly "$logs/npm-node.log" npm install --prefix "$root/build/node" --no-save --ignore-scripts --no-audit --no-fund \
        "node-linux-$machine@$node_from_npm"
}

# --- programs whose packages would start a service ------------------------------------------------------------------------

# unpack_package PACKAGE DIRECTORY: into it, without installing it. What cannot be had is told, and done without.
unpack_package() {
    mkdir -p "$2"
    note "unpacking $1 below ${2#"$root/"}"
    (cd "$2" && apt-get download "$1" && dpkg-deb -x "$1"_*.deb .) >"$logs/$1.log" 2>&1 || note "$1 could not be unpacked: $logs/$1.log"
}

# get_exporter: sets $exporter to the program prometheus-postgres-exporter, or to nothing if there is none and none can be had.
get_exporter() {
    local name=prometheus-postgres-exporter unpacked=$root/build/postgres-exporter
    exporter=$(command -v $name || true)
    if [ -z "$exporter" ] && [ ! -x "$unpacked/usr/bin/$name" ] && [ "$install" = yes ] && uses_apt; then
        unpack_package $name "$unpacked"
    fi
    if [ -z "$exporter" ] && [ -x "$unpacked/usr/bin/$name" ]; then exporter=$unpacked/usr/bin/$name; fi
}

# --- building ---------------------------------------------------------------------------------------------------------

# quietly LOG COMMAND...: the command's output goes to LOG, and is shown if it fails.
quietly() {
    local log=$1
    shift
    if ! "$@" >"$log" 2>&1; then
        tail -n 60 "$log" >&2
        die "failed: $*  (all of it: $log)"
    fi
}

# build_extension MAKE-ARGUMENTS...: from nothing, since objects of another server version or other flags look up to date.
build_extension() {
    say "building the extension"
    quietly "$logs/make.log" make -C "$root" clean PG_CONFIG="$PG_CONFIG"
    quietly "$logs/make.log" make -C "$root" --jobs="$(nproc)" PG_CONFIG="$PG_CONFIG" "$@"
}

install_extension() {
    local directory
    directory=$("$PG_CONFIG" --pkglibdir)
    say "installing it into $directory"
    if [ -w "$directory" ]; then
        quietly "$logs/install.log" make -C "$root" install PG_CONFIG="$PG_CONFIG"
    else
        quietly "$logs/install.log" as_root make -C "$root" install PG_CONFIG="$PG_CONFIG"
    fi
}

# build_client CMAKE-ARGUMENTS...
build_client() {
    say "building the client and coupon-race"
    quietly "$logs/cmake.log" cmake -S "$root" -B "$root/build" "$@"
    quietly "$logs/cmake.log" cmake --build "$root/build" --parallel "$(nproc)"
}

# --- a server of our own ----------------------------------------------------------------------------------------------

# Sets $server_user, who runs the server: this user, or `postgres` (else `nobody`) when this user is root, since PostgreSQL
# refuses to run as root.
find_server_user() {
    server_user=$(id -un)
    if [ "$(id -u)" -eq 0 ]; then
        server_user=nobody
        if getent passwd postgres >/dev/null; then server_user=postgres; fi
    fi
}

# make_workplace TEMPLATE: the directory $work, deleted at the end, for a server and for $server_user.
make_workplace() {
    find_server_user
    work=$(mktemp -d "$1") # short: the path of a socket must fit in 107 bytes
    at_exit 'rm -rf "$work"'
    mkdir "$work/socket"
    chown -R "$server_user:$(id -g "$server_user")" "$work"
    cd "$work" || return # the server's user may not be allowed where we were called
    note "as $server_user, in $work"
}

as_server_user() {
    if [ "$server_user" = "$(id -un)" ]; then
        "$@"
    else
        setpriv --reuid="$server_user" --regid="$(id -g "$server_user")" --init-groups \
            env HOME="$work" USER="$server_user" "$@"
    fi
}

# pg_regress and prove write beside their tests: so they run in a copy of the tree, $work/tree, which belongs to whoever runs the server.
copy_tree() {
    mkdir "$work/tree"
    tar -C "$root" --exclude='./build*' --exclude=./.git --exclude='./examples/*/node_modules' -cf - . | tar -C "$work/tree" -xf -
    chown -R "$server_user:$(id -g "$server_user")" "$work/tree"
}

# A file system of 24 MB in memory, for tests that fill a disk, until this script ends: $COUPON_GUARD_SMALL_DISK. Only root can mount one,
# and not in every container; without it those tests are skipped.
mount_small_disk() {
    [ "$(id -u)" -eq 0 ] || return 0
    mkdir "$work/small-disk"
    if mount -t tmpfs -o "size=24m,mode=0700,uid=$(id -u "$server_user"),gid=$(id -g "$server_user")" tmpfs "$work/small-disk" 2>/dev/null; then
        at_exit 'umount "$work/small-disk"'
        export COUPON_GUARD_SMALL_DISK=$work/small-disk
    fi
}

# find_crashes FILE-OR-DIRECTORY...: what logs say of a failed assertion, or of a signal that none of the tests sends; 0 if anything. A server that
# finds no room for its WAL aborts itself, as t/042_disk_full.pl wants it to, which then looks for anything else.
find_crashes() {
    grep --recursive --exclude='042_disk_full_*.log' --extended-regexp 'TRAP: |terminated by signal (4|6|7|8|11)\b' "$@"
}

# Nobody's settings for another server apply from here on.
forget_connection_settings() {
    local name
    for name in "${!PG@}"; do
        if [ "$name" != PG_CONFIG ]; then unset "$name"; fi
    done
}

# make_server PLACE LOCALE <SETTINGS: a server in the directory PLACE, on a unix socket of its own; it is not started.
make_server() {
    as_server_user mkdir -p "$1/socket"
    as_server_user "$("$PG_CONFIG" --bindir)/initdb" --pgdata="$1/data" --username=postgres --auth=trust --encoding=UTF8 \
        --locale="$2" --no-sync >"$work/initdb.log" 2>&1 </dev/null || die "initdb failed: $(cat "$work/initdb.log")"
    {
        printf "%s\n" "listen_addresses = ''" "unix_socket_directories = '$1/socket'" "port = 5432"
        cat
    } | as_server_user tee -a "$1/data/postgresql.conf" >/dev/null
}

# run_server PLACE: until it is stopped, whatever becomes of this script.
run_server() {
    as_server_user "$("$PG_CONFIG" --bindir)/pg_ctl" --pgdata="$1/data" --log="$1/server.log" --wait start >/dev/null 2>&1 ||
        die "the server did not start: $(cat "$1/server.log")"
}

# start_server LOCALE [PLACE] <SETTINGS: one in the directory PLACE ($work), until this script ends, to which psql then connects.
start_server() {
    local place=${2:-$work}
    forget_connection_settings
    make_server "$place" "$1"
    at_exit "stop_server '$place'"
    run_server "$place"
    export PGHOST=$place/socket PGPORT=5432 PGUSER=postgres
}

# stop_server PLACE: by the pid in the data directory that we made: no other server can be meant.
stop_server() {
    local name=${0##*/}-server
    if [ "$1" != "$work" ]; then name=$name-${1##*/}; fi
    cp "$1/server.log" "$logs/$name.log" 2>/dev/null || true
    cd "$work" || return # see make_workplace
    as_server_user "$("$PG_CONFIG" --bindir)/pg_ctl" --pgdata="$1/data" --mode=immediate --silent stop
}

# begin: a place for logs, which the user who runs this can write to.
begin() {
    logs=$root/build/logs
    mkdir -p "$logs" 2>/dev/null || true
    if [ ! -w "$logs" ] || [ ! -w "$root" ]; then
        die "$root or its build/ belongs to another user: run this in a clone of your own"
    fi
}
