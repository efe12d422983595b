# shellcheck shell=bash
# What scripts/demo, scripts/test and scripts/bench share: telling what is being done, finding or installing what the build
# needs, the build itself, and a server of our own.
#
# The caller has set `set -euo pipefail`. Nothing here touches a PostgreSQL cluster that exists: packages are installed
# so that they make none (install_packages), and every server that runs for a test is one of our own.

# The oldest PostgreSQL the extension is built for.
readonly oldest_postgres=15

# The tree this script belongs to, wherever it was called from.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly root

say() { printf '==> %s\n' "$*"; }
note() { printf '    %s\n' "$*"; }
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

# What the caller wants of the distribution's extensions for the server, whichever it is: NAME of postgresql-15-NAME.
server_extensions=()

# choose_postgres: sets PG_CONFIG, and postgres_packages to what it takes to have that server and build for it.
#
# PG_CONFIG from the environment wins: a server of the user's own, whose packages are none of our business (but for
# server_extensions, if it is the distribution's). Else the newest server that is installed, else the distribution's.
choose_postgres() {
    local major
    postgres_packages=()
    if [ -n "${PG_CONFIG:-}" ]; then
        PG_CONFIG=$(command -v "$PG_CONFIG") || die "PG_CONFIG names no program"
        if [[ $("$PG_CONFIG" --bindir) =~ ^/usr/lib/postgresql/([0-9]+)/bin$ ]]; then
            postgres_packages=("${server_extensions[@]/#/postgresql-${BASH_REMATCH[1]}-}")
        fi
        return
    fi
    if ! uses_apt; then
        PG_CONFIG=$(command -v pg_config || true)
        return
    fi
    major=$(installed_postgres)
    if [ -z "$major" ]; then
        major=$(distribution_postgres)
        if [ -z "$major" ]; then
            note "apt-get update"
            apt_get update >/dev/null
            major=$(distribution_postgres)
        fi
    fi
    [ -n "$major" ] || die "apt has no package postgresql"
    ((major >= oldest_postgres)) ||
        die "this distribution's PostgreSQL is $major; $oldest_postgres or later is needed (set PG_CONFIG to one)"
    PG_CONFIG=/usr/lib/postgresql/$major/bin/pg_config
    postgres_packages=("postgresql-$major" "postgresql-server-dev-$major" "${server_extensions[@]/#/postgresql-$major-}")
}

# install_packages PACKAGE...: those that are missing, and nothing at all (no network either) when none is.
#
# Debian's server package makes a cluster `main` and starts it, unless createcluster.conf says not to; nobody asked us for
# one, so we say so, for as long as the installation lasts.
install_packages() {
    local package missing=() unknown=()
    for package; do
        package_installed "$package" || missing+=("$package")
    done
    if [ ${#missing[@]} -eq 0 ]; then
        note "everything is installed already"
        return
    fi
    note "apt-get install ${missing[*]}"
    for package in "${missing[@]}"; do
        apt-cache show --no-all-versions "$package" >/dev/null 2>&1 || unknown+=("$package")
    done
    if [ ${#unknown[@]} -gt 0 ]; then
        note "apt-get update first: ${unknown[*]} not known yet"
        apt_get update >/dev/null
        leave_out_unknown
    fi
    forbid_main_cluster
    # Package lists of last month name files that the mirror no longer has: then, and only then, fetch new ones.
    if ! apt_get install --no-install-recommends "${missing[@]}" >"$install_log" 2>&1; then
        note "that failed; once more after apt-get update"
        apt_get update >/dev/null
        if ! apt_get install --no-install-recommends "${missing[@]}" >"$install_log" 2>&1; then
            tail -n 20 "$install_log" >&2
            die "apt-get could not install: ${missing[*]}"
        fi
    fi
    allow_main_cluster
}

# What a distribution may lack (Ubuntu has Chromium as a snap only) is left out of `missing`: the tests that want it do without.
readonly optional_packages='@(chromium-headless-shell|redis-tools|postgresql-*-repack)'
leave_out_unknown() {
    local package known=()
    for package in "${missing[@]}"; do
        # shellcheck disable=SC2053  # it is a pattern
        if [[ $package == $optional_packages ]] && ! apt-cache show "$package" >/dev/null 2>&1; then
            note "there is no package $package here: left out"
        else
            known+=("$package")
        fi
    done
    missing=("${known[@]}")
}

readonly cluster_settings=/etc/postgresql-common/createcluster.d
forbid_main_cluster() {
    [ -d "$cluster_settings" ] || at_exit "as_root rmdir --ignore-fail-on-non-empty $cluster_settings 2>/dev/null"
    at_exit allow_main_cluster
    as_root mkdir -p "$cluster_settings"
    echo 'create_main_cluster = false' | as_root tee "$cluster_settings/coupon_guard.conf" >/dev/null
}
allow_main_cluster() {
    if [ -e "$cluster_settings/coupon_guard.conf" ]; then as_root rm -f "$cluster_settings/coupon_guard.conf"; fi
}

# set_up PACKAGE...: the server, the compilers, the libraries and PACKAGEs, installed or asked for.
set_up() {
    say "looking for what the build needs"
    if [ "$install" = yes ] && ! uses_apt; then
        list_what_is_needed
        exit 1
    fi
    choose_postgres
    local packages=(
        build-essential cmake pkgconf                              # compilers, and CMake for the client
        "${postgres_packages[@]}" libutf8proc-dev                  # the extension
        libpqxx-dev libcli11-dev libfmt-dev nlohmann-json3-dev     # the client
        libjs-chart.js                                             # the page of coupon-race --html
        "$@"
    )
    if [ "$install" = no ]; then
        note "installing nothing, as asked"
    else
        install_packages "${packages[@]}"
    fi
    check_postgres
}

list_what_is_needed() {
    cat >&2 <<LIST
${0##*/}: this machine has no apt-get, so nothing is installed. What is needed:

  - PostgreSQL $oldest_postgres or later, with its headers and its pg_config
  - GCC or Clang with C++17, make, CMake 3.18 or later, pkg-config
  - utf8proc (the extension)
  - libpqxx 6.4 or later, CLI11, {fmt}, nlohmann_json, Chart.js 3 (the client; see race/report/page/page.cmake)
  - for scripts/test also: GoogleTest, Perl with IPC::Run, and pg_repack (without it, the tests that want it are skipped)
  - for scripts/bench, and its part of scripts/test: Python 3 with matplotlib and Jinja, and Redis to compare with
  - to look at the pages that are made: Chromium

Once they are there: ${0##*/} --no-install, with PG_CONFIG set if pg_config is not in the PATH.
LIST
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

# What scripts/bench takes besides; from redis-tools, since redis-server would start a service (bench/coupon_bench/redis.py).
# shellcheck disable=SC2034  # for those who source this
readonly benchmark_packages=(python3 python3-matplotlib python3-jinja2 redis-tools)

# The distribution's Python is the one its packages of matplotlib and Jinja are for; another may come first in the PATH.
python() { if [ -x /usr/bin/python3 ]; then /usr/bin/python3 "$@"; else python3 "$@"; fi; }
python_can_report() { python -c 'import jinja2, matplotlib' 2>/dev/null; }

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

# make_workplace TEMPLATE: the directory $work, deleted at the end, for a server and for $server_user who runs it: this
# user, or `postgres` (else `nobody`) when this user is root, since PostgreSQL refuses to run as root.
make_workplace() {
    server_user=$(id -un)
    if [ "$(id -u)" -eq 0 ]; then
        server_user=nobody
        if getent passwd postgres >/dev/null; then server_user=postgres; fi
    fi
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

# start_server LOCALE <SETTINGS: in $work, on a unix socket of its own; nobody's connection settings but these apply from
# here on.
start_server() {
    local name directory
    for name in "${!PG@}"; do
        if [ "$name" != PG_CONFIG ]; then unset "$name"; fi
    done
    directory=$("$PG_CONFIG" --bindir)
    as_server_user "$directory/initdb" --pgdata="$work/data" --username=postgres --auth=trust --encoding=UTF8 \
        --locale="$1" --no-sync >"$work/initdb.log" 2>&1 </dev/null || die "initdb failed: $(cat "$work/initdb.log")"
    {
        printf "%s\n" "listen_addresses = ''" "unix_socket_directories = '$work/socket'" "port = 5432"
        cat
    } | as_server_user tee -a "$work/data/postgresql.conf" >/dev/null
    at_exit stop_server
    as_server_user "$directory/pg_ctl" --pgdata="$work/data" --log="$work/server.log" --wait start >/dev/null 2>&1 ||
        die "the server did not start: $(cat "$work/server.log")"
    export PGHOST=$work/socket PGPORT=5432 PGUSER=postgres
}

# By the pid in the data directory that we made: no other server can be meant.
stop_server() {
    cp "$work/server.log" "$logs/${0##*/}-server.log" 2>/dev/null || true
    as_server_user "$("$PG_CONFIG" --bindir)/pg_ctl" --pgdata="$work/data" --mode=immediate --silent stop
}

# begin: a place for logs, which the user who runs this can write to.
begin() {
    logs=$root/build/logs
    mkdir -p "$logs" 2>/dev/null || true
    if [ ! -w "$logs" ] || [ ! -w "$root" ]; then
        die "$root or its build/ belongs to another user: run this in a clone of your own"
    fi
    install_log=$logs/apt.log
}
