# shellcheck shell=bash
# shellcheck disable=SC2034,SC2154  # the tables are read by scripts/examples, which sets $examples, $made, $install and $root
# The examples, driver by driver: the packages that one needs, how its version is asked for (which fails if it is not there), how it is
# built, how it is run. $examples is this directory, $made where a build may write.

drivers=(libpqxx dbd-pg psycopg psycopg2 django sqlalchemy node-postgres prisma ruby-pg sequel activerecord php-pdo php-pgsql jdbc lib-pq pgx)
# Programs of node-postgres that judge themselves, and how many promises each keeps.
self_judged=(pool grouping)
declare -rA promises=([pool]=7 [grouping]=27)
declare -A packages versions builds programs pooled_settings

# Debian's modules are for Debian's interpreters; others may come first in the PATH.
readonly python=/usr/bin/python3 perl=/usr/bin/perl ruby=/usr/bin/ruby php=/usr/bin/php

# --- packages: PACKAGE, or COMMAND=PACKAGE where any COMMAND in the PATH will do ------------------------------------------

packages=(
    [libpqxx]="libpqxx-dev"
    [dbd-pg]="libdbd-pg-perl"
    [psycopg]="python3-psycopg"
    [psycopg2]="python3-psycopg2"
    [django]="python3-django python3-psycopg2"
    [sqlalchemy]="python3-sqlalchemy python3-psycopg2"
    [node-postgres]="node=nodejs npm=npm"
    [pool]="node=nodejs npm=npm"
    [grouping]="node=nodejs npm=npm"
    [prisma]="npm=npm"
    [ruby-pg]="ruby-pg"
    [sequel]="ruby-sequel ruby-pg"
    [activerecord]="ruby-activerecord ruby-pg"
    [php-pdo]="php-cli php-pgsql"
    [php-pgsql]="php-cli php-pgsql"
    [jdbc]="libpostgresql-jdbc-java javac=default-jdk-headless"
    [lib-pq]="golang-go golang-github-lib-pq-dev"
    [pgx]="golang-go golang-github-jackc-pgx-v4-dev"
)

# --- versions: a command that prints one, of the driver that the program finds --------------------------------------------

package_version() { dpkg-query --show --showformat='${Version}' "$1" | sed 's/^[0-9]*://; s/-[^-]*$//; s/[+~].*$//'; }

versions=(
    [libpqxx]="pkg-config --modversion libpqxx"
    [dbd-pg]="$perl -MDBD::Pg -e 'print \$DBD::Pg::VERSION'"
    [psycopg]="$python -c 'import psycopg; print(psycopg.__version__)'"
    [psycopg2]="$python -c 'import psycopg2; print(psycopg2.__version__.split()[0])'"
    [django]="$python -c 'import psycopg2, django; print(django.__version__)'"
    [sqlalchemy]="$python -c 'import psycopg2, sqlalchemy; print(sqlalchemy.__version__)'"
    [node-postgres]="node -p 'require(\"$made/node-postgres/node_modules/pg/package.json\").version'"
    [prisma]="$made/prisma/node -p 'require(\"$made/prisma/node_modules/@prisma/client/package.json\").version'"
    [ruby-pg]="$ruby -rpg -e 'print PG::VERSION'"
    [sequel]="$ruby -rpg -rsequel -e 'print Sequel::VERSION'"
    [activerecord]="$ruby -rpg -ractive_record -e 'print ActiveRecord::VERSION::STRING'"
    [php-pdo]="$php -r 'in_array(\"pgsql\", PDO::getAvailableDrivers()) && print phpversion(\"pdo_pgsql\");'"
    [php-pgsql]="$php -r 'print phpversion(\"pgsql\");'"
    [jdbc]="command -v javac >/dev/null && package_version libpostgresql-jdbc-java"
    [lib-pq]="command -v go >/dev/null && package_version golang-github-lib-pq-dev"
    [pgx]="command -v go >/dev/null && package_version golang-github-jackc-pgx-v4-dev"
)

# --- builds ---------------------------------------------------------------------------------------------------------------

builds=([libpqxx]=build_cpp [node-postgres]=build_node_postgres [prisma]=build_prisma [jdbc]=build_java [lib-pq]="build_go lib-pq" [pgx]="build_go pgx")

# Against the client as it is installed, as a shop would; the client itself is built by scripts/examples.
build_cpp() {
    cmake --install "$root/build" --prefix "$made/prefix" &&
        cmake -S "$examples/cpp" -B "$made/cpp" -DCMAKE_PREFIX_PATH="$made/prefix" &&
        cmake --build "$made/cpp"
}

# npm_packages DRIVER: a copy of its directory with what its package.json names, from npm, once; what is there is used again. (`npm ls`
# fails if something is missing.)
npm_packages() {
    mkdir -p "$made/$1"
    cp "$examples/$1"/* "$made/$1"
    cd "$made/$1" || return
    if ! npm ls >/dev/null 2>&1; then
        [ "$install" = yes ] && npm install --no-package-lock --no-audit --no-fund --ignore-scripts
    fi
}

build_node_postgres() { npm_packages node-postgres && node_modules/.bin/tsc --project .; }

# Prisma 7 wants Node 20.19, 22.12 or 24. Debian 12 has 18, which is enough for npm; and npm has Node itself, as a package of one file. The
# client needs no engine, but the command line that generates it asks for one, and is content with any program.
build_prisma() {
    npm_packages prisma || return
    find_node && ln -sf "$node" node
    PRISMA_SCHEMA_ENGINE_BINARY=/bin/true ./node node_modules/prisma/build/index.js generate --no-hints --schema schema.prisma &&
        ./node node_modules/typescript/bin/tsc --project .
}

readonly java_driver=/usr/share/java/postgresql.jar
build_java() { javac -Xlint:all -Werror -d "$made/jdbc" "$examples/jdbc/Order.java"; }

# With Debian's packages of Go libraries: sources in a GOPATH of the system's.
build_go() {
    export GO111MODULE=off GOPATH=/usr/share/gocode GOFLAGS='' GOCACHE=$made/go-cache
    go vet "$examples/$1/order.go" && go build -o "$made/$1" "$examples/$1/order.go"
}

# --- programs -------------------------------------------------------------------------------------------------------------

programs=(
    [libpqxx]="$made/cpp/order"
    [dbd-pg]="$perl $examples/dbd-pg/order.pl"
    [psycopg]="$python $examples/psycopg/order.py"
    [psycopg2]="$python $examples/psycopg2/order.py"
    [django]="$python $examples/django/order.py"
    [sqlalchemy]="$python $examples/sqlalchemy/order.py"
    [node-postgres]="node $made/node-postgres/main.js"
    [prisma]="$made/prisma/node $made/prisma/order.js"
    [ruby-pg]="$ruby $examples/ruby-pg/order.rb"
    [sequel]="$ruby $examples/sequel/order.rb"
    [activerecord]="$ruby $examples/activerecord/order.rb"
    [php-pdo]="$php $examples/php-pdo/order.php"
    [php-pgsql]="$php $examples/php-pgsql/order.php"
    [jdbc]="java -cp $made/jdbc:$java_driver Order"
    [lib-pq]="$made/lib-pq"
    [pgx]="$made/pgx"
)

# What the driver has to be told when PgBouncer stands between, as a parameter of its URL: that it shall not keep prepared statements.
pooled_settings=(
    [jdbc]="prepareThreshold=0"
    [pgx]="statement_cache_mode=describe"
)
