# A load behind PgBouncer in transaction mode: more workers than sessions of the server. Meanwhile these sessions are ended, the pool is paused,
# told to connect again and killed, and PgBouncer itself dies. What was acknowledged is there, and nothing else; and what a transaction has
# set for itself is not seen by the next one in its session. The long form (COUPON_GUARD_SOAK_SECONDS) plays rounds.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use CouponGuard::Pooler;
use CouponGuard::Trial;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'no pgbouncer' if !CouponGuard::Pooler::program();
plan skip_all => 'no DBD::Pg' if !CouponGuard::Load::is_possible();

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
CouponGuard::Trial::prepare_node($node);
$node->start;
my $owner = getpwuid($>);
$node->safe_psql('postgres', q(CREATE EXTENSION coupon_guard; CREATE ROLE shop LOGIN; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO shop;
	INSERT INTO coupon (code) VALUES ('OPEN');
	-- All sessions of the server may wait for a transaction that has been prepared, and whose end needs one of them.
	ALTER DATABASE postgres SET lock_timeout = '500ms'));

# --- what a transaction sets for itself -------------------------------------------------------------------------------------------------

my $pooler = CouponGuard::Pooler->new($node, $owner, 'shop');
note("PgBouncer $pooler->{version}");

# In the one session that there is.
sub ask
{
	my ($sql) = @_;
	my ($output, $errors);
	$node->psql('postgres', $sql, connstr => $pooler->connstr('shop'), stdout => \$output, stderr => \$errors, on_error_stop => 0);
	return $output . $errors;
}

foreach my $reset ([ 'no reset query', {} ], [ 'DISCARD ALL after each transaction', { server_reset_query => 'DISCARD ALL', server_reset_query_always => 1 } ])
{
	my ($how, $settings) = @$reset;
	my $user = $how =~ /no/ ? 42 : 43;
	$pooler->start('transaction', 1, %$settings);
	is(ask("SELECT status FROM redeem_coupon($user, 'OPEN')"), 'redeemed', "$how: a redemption");
	is(ask("BEGIN; SET LOCAL coupon_guard.client = 'one'; SELECT status FROM redeem_coupon($user, 'OPEN'); COMMIT"), 'already_redeemed', "$how: with a setting of its own");
	is(ask('SHOW coupon_guard.client'), '', "$how: which the next transaction does not see");
	is(ask("BEGIN; SET LOCAL coupon_guard.client = 'two'; SELECT status FROM redeem_coupon($user, 'OPEN'); ROLLBACK"), 'already_redeemed', "$how: nor");
	is(ask('SHOW coupon_guard.client'), '', "$how: one after a rollback");
	$pooler->stop;
}

# --- faults -------------------------------------------------------------------------------------------------------------------------------------

# What PgBouncer says itself when a session of the server is lost comes as 08P01 or 08000.
my $trial = CouponGuard::Trial->new($node, workers => 6, prepare => 0.05, pause => 0.005, settings => {},
	allow => [qw(57P01 57P02 08P01 08000 08006)], through => sub { $pooler->connstr });
my $pooled = "backend_type = 'client backend' AND pid <> pg_backend_pid() AND usename = '$owner'";
my %fault = (
	'a session of the server is ended' => sub {
		$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE $pooled ORDER BY random() LIMIT 1");
	},
	'all sessions of the server are ended' => sub {
		$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE $pooled");
	},
	'a session of the server is killed' => sub {
		my $pid = $node->safe_psql('postgres', "SELECT pid FROM pg_stat_activity WHERE $pooled AND query <> '' ORDER BY random() LIMIT 1");
		kill 'KILL', $pid if $pid;
		$node->poll_query_until('postgres', 'SELECT true') or die 'the server does not come back';
	},
	'PAUSE, RESUME' => sub { $pooler->command($_) foreach 'PAUSE', 'RESUME' },
	'RECONNECT' => sub { $pooler->command('RECONNECT') },
	'KILL, RESUME' => sub { $pooler->command($_) foreach 'KILL postgres', 'RESUME postgres' },
	'the pooler is killed' => sub { $pooler->stop('KILL'); start_pooler() },
	'the pooler is stopped' => sub { $pooler->stop; start_pooler() });

sub start_pooler { return $pooler->start('transaction', 3, server_login_retry => 1) }

start_pooler();
$trial->play(
	'behind a pooler',
	sub {
		foreach my $what (sort { rand() <=> 0.5 } sort keys %fault)
		{
			$trial->{load}->wait_for_work(15 + int(rand(40)));
			note($what);
			$fault{$what}->();
			$trial->count_fault($what);
		}
		$trial->{load}->wait_for_work(20);
	});
$pooler->stop;
$trial->end;
$node->stop;
done_testing();
