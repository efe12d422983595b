# The primary is gone and a standby takes over. With a synchronous standby nothing that was acknowledged is lost, be it acknowledged by a
# retry; and the sessions that were open on the standby go on there, right from the first answer. With an asynchronous one what it has not
# received is lost, transaction by transaction, and what is left is right.
#
# The two servers change places: who has lost comes back by pg_rewind, as the standby of the other.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use CouponGuard::Load;
use CouponGuard::Session;
use CouponGuard::Trial;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $settings = q(
max_connections = 60
max_prepared_transactions = 20
wal_log_hints = on
wal_keep_size = 512MB
autovacuum = off
);

my $primary = PostgreSQL::Test::Cluster->new('first');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', $settings);
$primary->start;
$primary->safe_psql('postgres', 'CREATE EXTENSION coupon_guard');
my $standby = PostgreSQL::Test::Cluster->new('second');
$primary->backup('base', backup_options => [ '--checkpoint=fast' ]);
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;

sub make_synchronous
{
	my ($node, $names) = @_;
	$node->safe_psql('postgres', qq(ALTER SYSTEM SET synchronous_standby_names = '$names'));
	$node->reload;
	$node->poll_query_until('postgres', q(SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state IN ('sync', 'quorum'))) or die 'no synchronous standby' if $names;
	return;
}

# Where a session's backend is: 'answered', or what it waits for.
sub whereabouts
{
	my ($node, $session) = @_;
	my $until = time + 60;
	while (time < $until)
	{
		return 'answered' if $session->has_ended(0.01);
		my $event = $node->safe_psql('postgres', "SELECT wait_event_type || ' ' || wait_event FROM pg_stat_activity WHERE pid = $session->{pid}");
		return $event if $event =~ /^(IPC SyncRep|Lock )/;
	}
	die "neither answered nor waiting: $session->{asked}";
}

# --- let go before the standby has it --------------------------------------------------------------------------------------------

$primary->safe_psql('postgres', q(
	INSERT INTO campaign (name) VALUES ('Spring');
	INSERT INTO coupon (code, max_redemptions) VALUES ('SAVE10', 10), ('HELD', 10), ('CONFIRMED', 10), ('VOIDED', 10);
	INSERT INTO coupon (code, campaign_id) VALUES ('CLAIM', 1);
	SELECT hold_coupon(1, 'CONFIRMED', request_id => 'confirmed');
	SELECT redeem_coupon(1, 'VOIDED', 'voided')));
make_synchronous($primary, '*');
my $of_request = 'SELECT id FROM coupon_redemption WHERE request_id =';
my %calls = (
	'redeem_coupon' => q(SELECT status, replayed FROM redeem_coupon(1, 'SAVE10', 'redeemed')),
	'redeem_coupons' => q(SELECT status, replayed FROM redeem_coupons(2, ARRAY['SAVE10'], 'several')),
	'redeem_coupon_for_each' => q(SELECT status, replayed FROM redeem_coupon_for_each(ARRAY[3], ARRAY['SAVE10'], ARRAY['each'])),
	'hold_coupon' => q(SELECT status, replayed FROM hold_coupon(1, 'HELD')),
	'confirm_hold' => qq(SELECT status, replayed FROM confirm_hold(($of_request 'confirmed'))),
	'claim_coupon' => q(SELECT status, replayed FROM claim_coupon(1, 'Spring')),
	'void_redemption' => qq(SELECT NOT void_redemption(($of_request 'voided'))));
my %answer = ((map { $_ => 'redeemed t' } qw(redeem_coupon redeem_coupons redeem_coupon_for_each confirm_hold)),
	hold_coupon => 'held t', claim_coupon => 'claimed t', void_redemption => 't');

# While the standby is away a COMMIT waits. A cancel lets it go: committed here, and nowhere else.
$standby->stop;
foreach my $name (sort keys %calls)
{
	my $session = CouponGuard::Session->new($primary);
	$session->start($calls{$name});
	is(whereabouts($primary, $session), 'IPC SyncRep', "$name waits for the standby");
	$primary->safe_psql('postgres', "SELECT pg_cancel_backend($session->{pid})");
	is($session->finish->{sqlstate}, undef, "$name is let go, and has committed");
	$session->close;
}

# Who asks again is told that it is done: not before the standby has it, too.
my %again = map { $_ => CouponGuard::Session->new($primary) } sort keys %calls;
foreach my $name (sort keys %calls)
{
	$again{$name}->start($calls{$name});
	is(whereabouts($primary, $again{$name}), 'IPC SyncRep', "$name again waits for the standby");
}
my $other = CouponGuard::Session->new($primary);
$other->query("SET synchronous_commit = local");
is(($other->query($calls{redeem_coupon}))[0][1], 't', 'a session that does not want to wait does not');
is(($other->query("SELECT status FROM check_coupon(1, 'SAVE10')"))[0][0], 'already_redeemed', 'nor does check_coupon');
$other->query('RESET synchronous_commit');
is(($other->query("SELECT status FROM redeem_coupon(1, 'SAVE10')"))[0][0], 'already_redeemed', 'nor does a refusal');

$standby->start;
is(join(' ', @{ $again{$_}->finish->{rows}[0] }), $answer{$_}, "$_ again is answered when the standby has it") foreach sort keys %calls;
$primary->stop('immediate');
$standby->promote;
make_synchronous($standby, '');
my $asks = CouponGuard::Session->new($standby);
is(join(' ', @{ ($asks->query($calls{$_}))[0] }), $answer{$_}, "$_ was not said too early: the promoted standby says so, too") foreach sort keys %calls;

$asks->close;
($primary, $standby) = ($standby, $primary);

# --- under load ------------------------------------------------------------------------------------------------------------------

# The server that was stopped comes back as the standby of the other. Its settings are its own, which pg_rewind would replace.
sub come_back
{
	my $settings = slurp_file($standby->data_dir . '/postgresql.conf');
	$primary->safe_psql('postgres', 'CHECKPOINT'); # before 16 pg_rewind reads the new timeline from the last one
	my $said = '';
	my @rewind = ($standby->installed_command('pg_rewind'), '--no-sync', '--target-pgdata=' . $standby->data_dir, '--source-server=' . $primary->connstr('postgres'));
	# Of a server that was killed the backends end one by one.
	my $is_done;
	foreach (1 .. 100)
	{
		last if $is_done = IPC::Run::run(\@rewind, '<', \undef, '>&', \$said);
		sleep 0.1;
	}
	die "pg_rewind: $said" if !$is_done;
	unlink $standby->data_dir . '/postgresql.conf';
	append_to_file($standby->data_dir . '/postgresql.conf', $settings);
	$standby->enable_streaming($primary);
	$standby->start;
	return;
}

# What check_coupon must say to somebody who has redeemed nothing, by a count of the ledger: only what it says otherwise.
my $wrong_answers = q(
	WITH live AS (SELECT coupon_id, campaign_id, coalesce(amount, 0) AS amount FROM coupon_redemption
		WHERE voided_at IS NULL AND (hold_expires_at IS NULL OR hold_expires_at > clock_timestamp())),
	expected AS (SELECT c.code,
		least(c.max_redemptions - (SELECT count(*) FROM live WHERE coupon_id = c.id), g.max_redemptions - (SELECT count(*) FROM live WHERE campaign_id = g.id)) AS units,
		least(c.budget - (SELECT coalesce(sum(amount), 0) FROM live WHERE coupon_id = c.id), g.budget - (SELECT coalesce(sum(amount), 0) FROM live WHERE campaign_id = g.id)) AS budget
		FROM coupon c LEFT JOIN campaign g ON g.id = c.campaign_id WHERE c.holder IS NULL)
	SELECT code, status, remaining_units, remaining_budget, 'and not', units, budget FROM expected, LATERAL check_coupon(999999, code)
	WHERE (remaining_units, remaining_budget) IS DISTINCT FROM (units, budget) OR (status = 'sold_out') <> coalesce(units = 0 OR budget = 0, false));

# What is left of each coupon that hangs on nothing else, had to the last unit, and rolled back.
my $had_wrong = q(
	SELECT code, remaining_units, had FROM (SELECT code, remaining_units, (SELECT count(*) FILTER (WHERE r.status = 'redeemed')
		FROM generate_series(200001, 200003 + remaining_units) u, LATERAL redeem_coupon(u, code) r) AS had
		FROM coupon_usage JOIN coupon c USING (code) WHERE remaining_units IS NOT NULL AND c.campaign_id IS NULL AND c.budget IS NULL) h
	WHERE had <> remaining_units);

sub table { return join "\n", map { join '|', map { $_ // '' } @$_ } @_ }

# The sessions that were open on the standby; what is wrong with what they are told now.
sub judge_sessions
{
	my ($trial, @sessions) = @_;
	my @wrong = map { table($_->query($wrong_answers)) } @sessions;
	my $ends = CouponGuard::Load::connect_to($trial->connection);
	$trial->{load}->end_prepared($ends);
	$ends->disconnect;
	foreach my $session (@sessions)
	{
		$session->query('BEGIN');
		push @wrong, table($session->query($had_wrong));
		$session->query('ROLLBACK');
		$session->close;
	}
	return grep { length } @wrong;
}

# The standby is away, and who waits for it at COMMIT is let go, and then asks again: what is then answered must be there after the promotion.
sub let_go
{
	my ($trial) = @_;
	$standby->safe_psql('postgres', q(ALTER SYSTEM SET primary_conninfo = ''));
	$standby->reload;
	$primary->poll_query_until('postgres', 'SELECT count(*) = 0 FROM pg_stat_replication') or die 'the standby listens';
	my $session = CouponGuard::Session->new($primary);
	$session->query('SET synchronous_commit = local');
	my $count = 0;
	foreach (1 .. 2000)
	{
		last if $count >= 40;
		$count += scalar grep { $_->[0] eq 't' } $session->query(q(SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'));
		sleep 0.02;
	}
	die 'nobody waits for the standby' if !$count;
	$session->close;
	$trial->count_fault('commits let go', $count);
	return;
}

# The primary ends so, under load, and the standby goes on; what is wrong with it at once.
sub promote
{
	my ($trial, $end) = @_;
	my @sessions = map { CouponGuard::Session->new($standby) } 1 .. 3;
	foreach (1 .. 5) { $_->query($wrong_answers) foreach @sessions }
	$end eq 'kill' ? $primary->kill9 : $primary->stop('immediate');
	$standby->promote;
	$trial->count_fault($end eq 'kill' ? 'killed primaries' : 'stopped primaries');
	($primary, $standby) = ($standby, $primary);
	make_synchronous($primary, '');
	$primary->safe_psql('postgres', 'ALTER SYSTEM RESET primary_conninfo');
	$trial->{node} = $primary;
	$trial->{log_at} = 0;
	my @wrong = judge_sessions($trial, @sessions);
	$trial->{load}->redirect($trial->connection);
	$trial->{load}->wait_for_work(40);
	come_back();
	$trial->count_fault('rewound servers');
	return @wrong;
}

SKIP:
{
	skip 'no DBD::Pg', 1 if !CouponGuard::Load::is_possible();
	come_back();
	my $trial = CouponGuard::Trial->new($primary, prepare => 0.05, rounds => 2);
	my $round = 0;
	$trial->play('a synchronous standby is promoted', sub {
		my $remote = $round++ % 2 ? 'on' : 'remote_apply';
		$primary->safe_psql('postgres', "ALTER SYSTEM SET synchronous_commit = $remote");
		make_synchronous($primary, '*');
		$trial->{load}->wait_for_work(60); # a COMMIT that has waited: the standby has all that was before
		let_go($trial);
		my @wrong = promote($trial, $round % 4 < 2 ? 'kill' : 'stop');
		die join("\n", @wrong) if @wrong;
	});

	# What the standby does not get is lost.
	make_synchronous($primary, '');
	my $load = $trial->{load};
	$load->set_up($trial->connection);
	$load->start($trial->connection);
	$load->wait_for_work(100);
	$standby->safe_psql('postgres', q(ALTER SYSTEM SET primary_conninfo = ''));
	$standby->reload;
	$primary->poll_query_until('postgres', 'SELECT count(*) = 0 FROM pg_stat_replication') or die 'the standby listens';
	$load->wait_for_work(60);
	my @wrong = promote($trial, 'stop');
	push @wrong, 'a worker had to be killed' if $load->stop;
	push @wrong, $load->judge($trial->connection, lost => 1);
	is(join("\n", @wrong), '', 'an asynchronous standby is promoted: ' . $load->summary);
	cmp_ok($load->{lost}, '>=', 60, 'what it had not received is lost, and counted');
	$trial->end;
}

$standby->stop;
$primary->stop;
done_testing();
