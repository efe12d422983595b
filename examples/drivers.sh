# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154  # the tables are read by scripts/examples, which sets $examples, $made and $install
# The examples, driver by driver: the packages that one needs, how its version is asked for (which fails if it is not there), how it is
# built, how it is run. $examples is this directory, $made where a build may write. A build runs under `set -e`.

drivers=(psycopg dbd-pg node-postgres)
declare -A packages versions builds programs

# PACKAGE, or COMMAND=PACKAGE where any COMMAND in the PATH will do.
packages[psycopg]="python3-psycopg"
packages[dbd-pg]="libdbd-pg-perl"
packages[node-postgres]="node=nodejs npm=npm"

# Debian's modules are for Debian's interpreter; another one may come first in the PATH.
python=/usr/bin/python3
perl=/usr/bin/perl

versions[psycopg]="$python -c 'import psycopg; print(psycopg.__version__)'"
programs[psycopg]="$python $examples/psycopg/order.py"

versions[dbd-pg]="$perl -MDBD::Pg -e 'print \$DBD::Pg::VERSION'"
programs[dbd-pg]="$perl $examples/dbd-pg/order.pl"

versions[node-postgres]="node -p 'require(\"$made/node-postgres/node_modules/pg/package.json\").version'"
builds[node-postgres]=build_node_postgres
programs[node-postgres]="node $made/node-postgres/order.js"

# From npm, once; what is there is used again.
build_node_postgres() {
    mkdir -p "$made/node-postgres"
    cp "$examples"/node-postgres/* "$made/node-postgres"
    cd "$made/node-postgres" || return
    if [ ! -d node_modules ] || [ "$examples/node-postgres/package.json" -nt node_modules ]; then
        [ "$install" = yes ] || return 1
        npm install --no-package-lock --no-audit --no-fund
        touch node_modules
    fi
    node_modules/.bin/tsc --project .
}
