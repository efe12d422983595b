# The primary is gone and a standby takes over. With a synchronous standby nothing that was acknowledged is lost, be it acknowledged by a
# retry; and the sessions that were open on the standby go on there, right from the first answer.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use CouponGuard::Session;
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

$standby->stop;
done_testing();
