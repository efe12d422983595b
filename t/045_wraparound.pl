# Transaction ids and multixacts near their limits. Where no more transaction ids may be assigned, every call that writes ends with the server's own
# error, and nothing is half done; once the old ones are frozen, the load goes on. Then both counters pass their ends (2^32 for transaction ids,
# into the next epoch) in the middle of the load, with VACUUM FREEZE beside it.
#
# pg_resetwal takes a server that has been stopped to any number of its choice. It is stopped, and all is frozen, before each leap, which is
# shorter than half of the ids: so nothing that is there seems to be of the future.

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
CouponGuard::Trial::prepare_node($node, "autovacuum_naptime = 1s\nlog_min_messages = error\nlog_min_error_statement = panic\n");
$node->start;
$node->safe_psql(
	'postgres', q(
	CREATE EXTENSION coupon_guard;
	CREATE TABLE blocker (i int);
	-- A multixact: a row that a transaction and its subtransaction have locked in different ways.
	CREATE TABLE locked (i int);
	INSERT INTO locked VALUES (1);
	CREATE PROCEDURE lock_twice() LANGUAGE plpgsql AS 'BEGIN
	  PERFORM FROM locked FOR KEY SHARE;
	  BEGIN PERFORM FROM locked FOR NO KEY UPDATE; EXCEPTION WHEN division_by_zero THEN NULL; END;
	END'));
# 54000: no more ids may be assigned.
my $trial = CouponGuard::Trial->new($node, workers => 4, prepare => 0.03, kinds => { move => 8, limit => 8 }, allow => ['54000'], log => qr/ 54000 /);
my $load = $trial->{load};

sub value
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

sub is_sound
{
	my ($what, %with) = @_;
	is(join("\n", $load->judge($trial->connection, %with), $trial->judge_log), '', "$what: " . $load->summary);
	$trial->take_figures;
	return;
}

# The databases that can be connected to, and the one that cannot.
sub freeze_all
{
	value("UPDATE pg_database SET datallowconn = true WHERE datname = 'template0'");
	$node->command_ok([ 'vacuumdb', '--all', '--freeze', '--quiet' ], 'all is frozen');
	value("UPDATE pg_database SET datallowconn = false WHERE datname = 'template0'");
	return;
}

# A segment of pg_xact or the like, of zeros, which the server would have made on its way there.
sub make_segment
{
	my ($directory, $number) = @_;
	my $path = sprintf '%s/%s/%04X', $node->data_dir, $directory, $number;
	return if -e $path;
	open my $file, '>:raw', $path or die "$path: $!";
	print $file "\0" x 262144;
	close $file or die "$path: $!";
	return;
}

# To the next transaction id and the next multixact; undef: stay.
sub leap
{
	my ($transaction, $multixact) = @_;
	my $oldest = value('SELECT min(datminmxid::text::bigint) FROM pg_database');
	my @options;
	push @options, '-x', $transaction if $transaction;
	push @options, '-m', "$multixact,$oldest" if $multixact;
	$node->stop;
	make_segment('pg_xact', int($transaction / 1048576)) if $transaction;
	make_segment('pg_multixact/offsets', int($multixact / 65536)) if $multixact;
	$node->command_ok([ 'pg_resetwal', @options, '-D', $node->data_dir ], "a leap: @options");
	$node->start;
	return;
}

# A session with a table that it keeps from being vacuumed, so that the limits stay where they are.
sub start_blocker
{
	my $blocker = $trial->wait_until_up;
	$blocker->do('BEGIN');
	$blocker->do('LOCK TABLE blocker IN SHARE UPDATE EXCLUSIVE MODE');
	return $blocker;
}

# Asks until the answer is an error, or (true) none; without a question, until the load has met the limit.
sub wait_for_answer
{
	my ($is_good, $sql) = @_;
	my $session = $trial->wait_until_up;
	my $until = time + 120;
	while (time < $until)
	{
		return 1 if !$sql && $load->has_met('54000');
		my $is_done = $sql && eval { $session->do($sql); 1 };
		return $@ if !$is_good && !$is_done;
		return 1 if $is_good && $is_done;
		sleep 0.02;
	}
	die 'it does not come to that: ' . ($sql // 'calls that are told so');
}

# Locks all campaigns, so that a change of one, and a coupon that comes into one, wants a multixact; as soon as it does not want one itself.
sub lock_campaigns
{
	my $locker = $trial->wait_until_up;
	my $until = time + 60;
	until (eval { $locker->do('BEGIN'); $locker->do('SELECT FROM campaign FOR KEY SHARE'); 1 })
	{
		die $@ if time > $until;
		$locker->do('ROLLBACK');
		sleep 0.01;
	}
	return $locker;
}

# Writes until the limit, and beyond it when everything is frozen.
sub play_to_limit
{
	my ($what, $sql) = @_;
	my $blocker = start_blocker();
	$load->set_up($trial->connection);
	$load->start($trial->connection);
	like(wait_for_answer(0, $sql), qr/not accepting commands/, "$what: the limit");
	is($blocker->selectall_arrayref("SELECT status FROM check_coupon(1, 'OPEN')")->[0][0], 'redeemed', 'one may still look');
	my $locker = $sql =~ /lock_twice/ ? lock_campaigns() : undef;
	wait_for_answer(1, undef);
	$locker->disconnect if $locker;
	$load->stop;
	is_sound("$what: at the limit", is_read_only => 1);
	$trial->count_fault($what);
	# Whatever can be vacuumed is, by itself.
	$blocker->do('ROLLBACK');
	$blocker->disconnect;
	ok(wait_for_answer(1, $sql), "$what: the limit has moved");
	$load->start($trial->connection);
	$load->wait_for_work(30);
	$load->stop;
	is_sound("$what: after the limit");
	cmp_ok($load->{states}{54000}{count} // 0, '>', 0, "$what: calls were told so");
	return;
}

# --- as far as the server lets anybody go --------------------------------------------------------------------------

# 3 million before the oldest comes round (varsup.c, multixact.c).
my $before_limit = 2**31 - 1 - 3_000_000;
freeze_all();
leap(value('SELECT min(datfrozenxid::text::bigint) FROM pg_database') + $before_limit - 300, undef);
play_to_limit('no more transaction ids', 'SELECT pg_current_xact_id()');

# A multixact is what a row has that two have locked, as two coupons that are given one campaign do.
freeze_all();
leap(undef, value('SELECT min(datminmxid::text::bigint) FROM pg_database') + $before_limit - 30);
play_to_limit('no more multixacts', 'CALL lock_twice()');

# --- past the ends -----------------------------------------------------------------------------------------------------

sub pass_the_ends
{
	my ($epoch) = @_;
	foreach my $leap ($epoch > 1 ? [ 1_600_000_000, 1_600_000_000 ] : (), [ 3_200_000_000, 3_200_000_000 ], [ 2**32 - 600, 2**32 - 20 ])
	{
		freeze_all();
		leap(@$leap);
	}
	$load->set_up($trial->connection);
	$load->start($trial->connection);
	my $vacuums = $trial->wait_until_up;
	my $until = time + 120;
	my $end = $epoch * 2**32 + 300;
	until ($vacuums->selectall_arrayref("SELECT (pg_snapshot_xmax(pg_current_snapshot())::text::bigint > $end)::int")->[0][0])
	{
		die 'it does not come to that' if time > $until;
		$vacuums->do('VACUUM (FREEZE) ' . CouponGuard::Trial::one_of('coupon_redemption', 'coupon_quota', 'coupon', 'campaign', 'pg_trigger'));
		$vacuums->do('CALL lock_twice()');
	}
	$vacuums->disconnect;
	$load->stop;
	$trial->count_fault('next epoch');
	is_sound("into epoch $epoch");
	value('CHECKPOINT');
	cmp_ok(value('SELECT next_multixact_id::text::bigint FROM pg_control_checkpoint()'), '<', 1_000_000, 'multixacts have come round');
	return;
}

my $until = time + ($ENV{COUPON_GUARD_SOAK_SECONDS} || 0);
my $epoch = 1;
do { pass_the_ends($epoch++) } while (time < $until);
freeze_all();
$load->set_up($trial->connection);
$load->start($trial->connection);
$load->wait_for_work($trial->is_long ? 5000 : 50);
is($load->stop, 0, 'each worker ends');
is_sound('and on');

$trial->end;
$node->stop;
done_testing();
