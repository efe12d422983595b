# What was acknowledged outlives a crash; a backend that is terminated while it waits, or while it is waited for, leaves nothing
# half done.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
$node->safe_psql('postgres', q(CREATE EXTENSION coupon_guard; INSERT INTO coupon (code) VALUES ('ONCE'), ('OTHER')));

sub wait_until_blocked
{
	my ($pid) = @_;
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_locks WHERE pid = $pid AND NOT granted")
	  or die "backend $pid does not wait";
}

# --- terminated -------------------------------------------------------------

my $holder = $node->background_psql('postgres');
my $holder_pid = $holder->query_safe('SELECT pg_backend_pid()');
$holder->query_safe("BEGIN; SELECT status FROM redeem_coupon(1, 'ONCE')");
my $waiter = $node->background_psql('postgres', on_error_stop => 0);
my $waiter_pid = $waiter->query_safe('SELECT pg_backend_pid()');
$waiter->query_safe("BEGIN; SELECT status FROM redeem_coupon(1, 'OTHER')");
$waiter->query_until(qr/started/, "\\echo started\nSELECT status FROM redeem_coupon(1, 'ONCE');\n");
wait_until_blocked($waiter_pid);
$node->safe_psql('postgres', "SELECT pg_terminate_backend($waiter_pid)");
$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $waiter_pid")
  or die 'the waiting backend does not end';
$waiter->{run}->finish;
$holder->query_safe('COMMIT');
is( $node->safe_psql('postgres', 'SELECT c.code, l.user_id FROM coupon_redemption l JOIN coupon c ON c.id = l.coupon_id'),
	'ONCE|1', 'terminated while waiting: its transaction is gone, its rival is not');

$holder->query_safe("BEGIN; SELECT status FROM redeem_coupon(2, 'ONCE')");
$waiter = $node->background_psql('postgres');
$waiter_pid = $waiter->query_safe('SELECT pg_backend_pid()');
$waiter->query_until(qr/started/, "\\echo started\nSELECT status FROM redeem_coupon(2, 'ONCE');\n");
wait_until_blocked($waiter_pid);
$node->safe_psql('postgres', "SELECT pg_terminate_backend($holder_pid)");
like($waiter->query_until(qr/finished/, "\\echo finished\n"), qr/^redeemed/m, 'terminated while waited for: the other one redeems');
$waiter->quit;
$holder->{run}->finish;

# --- crashed ----------------------------------------------------------------

# Four clients, each with customers of its own, until the server is gone. A line of output is an acknowledgement.
my @clients;
foreach my $client (1 .. 4)
{
	my $script = $node->basedir . "/client$client.sql";
	open my $file, '>', $script or die "$script: $!";
	print $file "SELECT ${client}000000 + $_, status, redemption_id FROM redeem_coupon(${client}000000 + $_, 'OTHER');\n"
	  foreach (1 .. 100000);
	close $file;
	my $out = $node->basedir . "/client$client.out";
	my $err = $node->basedir . "/client$client.err";
	push @clients,
	  {
		out => $out,
		run => IPC::Run::start([ 'psql', '-X', '-A', '-t', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), '-f', $script ],
			'<', \undef, '>', $out, '2>', $err)
	  };
}
$node->poll_query_until('postgres', 'SELECT count(*) > 1000 FROM coupon_redemption') or die 'the clients do not redeem';
$node->stop('immediate');
foreach my $client (@clients)
{
	$client->{run}->finish;
}
$node->start;

my @acknowledged = map { split /\n/, slurp_file($_->{out}) } @clients;
cmp_ok(scalar @acknowledged, '>', 900, 'redemptions were acknowledged before the crash');
my %ledger = map { my ($id, $user) = split /\|/; ($id => $user) }
  split /\n/, $node->safe_psql('postgres', 'SELECT id, user_id FROM coupon_redemption');
my @lost = grep { !/^(\d+)\|redeemed\|(\d+)$/ || ($ledger{$2} // '') ne $1 } @acknowledged;
is("@lost", '', 'each of them is in the ledger');
# A client can have one call under way whose answer it did not get.
my $before = 2;
cmp_ok(scalar(keys %ledger) - $before - @acknowledged, '<=', scalar @clients, 'and nothing that was not asked for');

my ($user) = split /\|/, $acknowledged[0];
is($node->safe_psql('postgres', "SELECT status FROM redeem_coupon($user, 'OTHER')"), 'already_redeemed', 'the limit holds after the crash');
is( $node->safe_psql('postgres', "SELECT max(id) < (SELECT redemption_id FROM redeem_coupon('new', 'OTHER')) FROM coupon_redemption"),
	't', 'ids go on after the crash');

$node->stop;
done_testing();
