# Calls of every function with whatever arguments, from wherever SQL can call one, by several sessions (extension/tests/sql_fuzzer): the
# server lives, no error comes that no caller should see, and what is committed breaks no invariant.
#
# COUPON_GUARD_SEED repeats the statements: the short form has the same ones each time, the long one others. COUPON_GUARD_SOAK_SECONDS is how
# long, 6 by default.

use strict;
use warnings;

use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($python) = grep { system(qq("$_" -c 'import psycopg2' 2>/dev/null)) == 0 } '/usr/bin/python3', 'python3';
plan skip_all => 'no Python with psycopg2' if !defined $python;

my $seconds = $ENV{COUPON_GUARD_SOAK_SECONDS} || 6;
my $seed = $ENV{COUPON_GUARD_SEED} || ($ENV{COUPON_GUARD_SOAK_SECONDS} ? undef : 5);
my @seed = $seed ? ('--seed', $seed) : ();

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
# After a crash the server stays down. An error that a handler has caught is in the log all the same, with its SQLSTATE.
$node->append_conf('postgresql.conf',
	"fsync = off\nmax_prepared_transactions = 20\nrestart_after_crash = off\nlog_error_verbosity = verbose\nlog_statement = none\ndeadlock_timeout = '100ms'");
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'coupon_guard'");
$node->start;

$ENV{PYTHONPATH} = "$FindBin::RealBin/../extension/tests";
$ENV{PYTHONDONTWRITEBYTECODE} = 1;
local @ENV{ 'PGHOST', 'PGPORT' } = ($node->host, $node->port);
my $output = `"$python" -m sql_fuzzer --seconds $seconds --sessions 2 @seed 2>&1`;
my $status = $?;
my ($summary) = $output =~ /^# (\d+ rounds, \d+ calls)$/m;
is($status, 0, 'no finds: ' . ($summary // 'it came to no end')) or diag($output);
note($output);
note('figures: ', $summary // 'none');
my $found = `"$python" -m sql_fuzzer.verdict < "@{[ $node->logfile ]}"`;
is($found, '', 'nor in the log of the server');

$node->stop('immediate');
done_testing();
