# Whatever a session may run out of, or be stopped by: connections, locks, time for a statement, for a lock, for standing idle; a cancel or a
# termination from beside; memory, and room for temporary files. Each is the server's own error, nothing is half done, and the server
# goes on.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use CouponGuard::Trial;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

plan skip_all => 'no DBD::Pg' if !CouponGuard::Load::is_possible();

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
# Locks for (10 + 20) transactions x 10.
CouponGuard::Trial::prepare_node($node, "max_connections = 10\nsuperuser_reserved_connections = 3\nmax_prepared_transactions = 20\n"
	  . "max_locks_per_transaction = 10\nmax_wal_senders = 0\nautovacuum_naptime = 1s\n");
$node->start;
$node->safe_psql(
	'postgres', q(
	CREATE ROLE shop LOGIN; GRANT ALL ON SCHEMA public TO shop;
	CREATE EXTENSION coupon_guard;
	GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO shop;
	GRANT SELECT, UPDATE ON ALL TABLES IN SCHEMA public TO shop));
# 57014: canceled, or out of its time. 25P03, 57P05: idle for too long. 53300: no connection. 53200: no lock, or no memory. 53400: temporary files.
my $trial = CouponGuard::Trial->new($node, workers => 5, prepare => 0.03, allow => [ '25P03', '57P05', '53300', '53200', '53400' ],
	log => qr/(25P03|57P05|53300|53200|53400) /);
my $load = $trial->{load};
my $loads = "application_name = 'coupon_guard_load'";
my $is_long = $trial->is_long;

sub for_a_while
{
	my ($what) = @_;
	my $until = time + ($is_long ? 4 : 0.5);
	while (time < $until) { $what->() }
	return;
}

# The load with settings of its own: { setting => value, or what makes one }.
sub play_with
{
	my ($what, $settings, $meanwhile) = @_;
	my $share = 1 / 9;
	my $kept = $load->{settings};
	$trial->play(
		$what,
		sub {
			$meanwhile ? $meanwhile->() : sleep($is_long ? 4 : 0.5);
			$trial->count_fault($what);
		},
		$share, sub { $load->{settings} = { %$kept, map { $_ => ref $settings->{$_} ? $settings->{$_}->() : $settings->{$_} } keys %$settings } });
	$load->{settings} = $kept;
	return;
}

# --- from beside ------------------------------------------------------------------------------------------------

play_with(
	'canceled and terminated at random',
	{},
	sub {
		my $session = $trial->wait_until_up;
		for_a_while(
			sub {
				my $how = rand() < 0.7 ? 'pg_cancel_backend' : 'pg_terminate_backend';
				my $done = $session->selectall_arrayref("SELECT $how(pid) FROM pg_stat_activity WHERE $loads AND state <> 'idle' ORDER BY random() LIMIT 1");
				$trial->count_fault($how, scalar @$done);
				sleep 0.003;
			});
		$session->disconnect;
	});

# --- time ----------------------------------------------------------------------------------------------------------

play_with('statement_timeout of 1 to 20 ms', { statement_timeout => sub { (1 + int(rand(20))) . 'ms' } });
play_with('lock_timeout of 1 to 10 ms', { lock_timeout => sub { (1 + int(rand(10))) . 'ms' } });
play_with('idle within a transaction for too long', { idle_in_transaction_session_timeout => '1ms' });
play_with('idle for too long', { idle_session_timeout => '1ms' });

# --- connections, locks, memory -----------------------------------------------------------------------------------------

play_with(
	'out of connections',
	{},
	sub {
		my @sessions;
		for_a_while(
			sub {
				# As many as there are, and then one less.
				my $session = eval { CouponGuard::Load::connect_to($trial->connection) };
				if ($session) { push @sessions, $session }
				elsif (@sessions) { $trial->count_fault('no connection'); shift(@sessions)->disconnect }
				$trial->ask("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE $loads ORDER BY random() LIMIT 1") if rand() < 0.2;
				sleep 0.005;
			});
		$_->disconnect foreach @sessions;
	});

play_with(
	'out of locks',
	{},
	sub {
		my $hog = $trial->wait_until_up;
		for_a_while(
			sub {
				# All that there are, which a session keeps though the statement fails; then some are free again, for some calls.
				eval { $hog->do('SELECT pg_advisory_lock_shared(n) FROM generate_series(1, 10000) n') };
				$trial->count_fault('all locks taken') if $@ =~ /out of shared memory/;
				foreach (1 .. 3)
				{
					sleep 0.01;
					$hog->do('SELECT pg_advisory_unlock_shared(n) FROM generate_series(1, ' . int(rand(12)) . ') n');
				}
				$hog->do('SELECT pg_advisory_unlock_all()') if rand() < 0.3;
			});
		$hog->disconnect;
	});

play_with('with the least memory and no temporary files',
	{ work_mem => '64kB', maintenance_work_mem => '1MB', temp_file_limit => '0', temp_buffers => '800kB', max_stack_depth => '100kB', logical_decoding_work_mem => '64kB' });

# A backend gets no more memory than it has, but for some hundred kilobytes: an allocation fails wherever it happens to be the next one.
sub limit_memory
{
	my ($pid, $more) = @_;
	my ($pages) = (eval { slurp_file("/proc/$pid/statm") } // return) =~ /^(\d+)/ or return;
	my $limit = defined $more ? $pages * 4096 + $more : 'unlimited';
	system("prlimit --pid $pid --as=$limit: 2>/dev/null");
	return;
}
play_with(
	'out of memory',
	{},
	sub {
		for_a_while(
			sub {
				foreach my $pid ($trial->pids($loads))
				{
					limit_memory($pid, rand() < 0.7 ? int(rand(150_000)) : undef);
					$trial->count_fault('memory limited');
				}
				sleep 0.02;
			});
		limit_memory($_, undef) foreach $trial->pids($loads);
	});

$trial->end;
$node->stop;
done_testing();
