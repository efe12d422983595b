# A streaming standby refuses to redeem (25006), shows what was redeemed, says of every coupon what the primary says of it, as soon as it
# has been told, and after its promotion goes on from there: in a session that has asked before, too.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use CouponGuard::Session;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->start;
$primary->safe_psql(
	'postgres', q(
	CREATE EXTENSION coupon_guard;
	INSERT INTO coupon (code, max_per_user) VALUES ('ONCE', 1), ('TWICE', 2)));

my $standby = PostgreSQL::Test::Cluster->new('standby');
$primary->backup('base');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->append_conf('postgresql.conf', 'hot_standby_feedback = on'); # no snapshot of ours is in the way of what is replayed
$standby->start;

is($primary->safe_psql('postgres', "SELECT status FROM redeem_coupon(1, 'ONCE')"), 'redeemed', 'the primary redeems');
$primary->safe_psql('postgres', "INSERT INTO coupon (code) VALUES ('LATE')");
$primary->wait_for_catchup($standby);

foreach my $call (
	"redeem_coupon(2, 'ONCE')",
	"redeem_coupon(1, 'ONCE')",
	"redeem_coupon(1, 'NOSUCH')",
	"redeem_coupon('ann'::text, 'LATE')",
	"redeem_coupon_strict(2, 'ONCE')")
{
	my ($result, $stdout, $stderr) =
	  $standby->psql('postgres', "\\set VERBOSITY sqlstate\nSELECT status FROM $call");
	is("$stdout$stderr", 'psql:<stdin>:2: ERROR:  25006', "the standby refuses $call");
}
# Units do not move there; what there is of them is shown.
$primary->safe_psql('postgres', q(SELECT coupon_guard_set_shard('one', 0); INSERT INTO coupon (code, max_redemptions, rights) VALUES ('DIVIDED', 10, 4), ('DRY', 10, 0)));
$primary->wait_for_catchup($standby);
foreach my $call (
	"release_units('DIVIDED', 1, gen_random_uuid(), 'two')",
	"accept_units('DIVIDED', 1, gen_random_uuid(), 'two')",
	'settle_transfer(gen_random_uuid())',
	"coupon_guard_set_shard('two', 2)")
{
	my ($result, $stdout, $stderr) = $standby->psql('postgres', "\\set VERBOSITY sqlstate\nSELECT $call");
	is("$stdout$stderr", 'psql:<stdin>:2: ERROR:  25006', "the standby refuses $call");
}
is($standby->safe_psql('postgres', q(SELECT code, shard, granted, remaining, is_dry FROM coupon_usage, coupon_guard_units(code) WHERE code LIKE 'D%' ORDER BY code)),
	"DIVIDED|one|4|4|f\nDRY|one|0|0|t", 'the standby shows units');
is($standby->safe_psql('postgres', q(SELECT name, rights, used FROM coupon_guard_rights ORDER BY name)), "DIVIDED|4|0\nDRY|0|0", 'and rights');
$primary->safe_psql('postgres', q(DELETE FROM coupon WHERE rights IS NOT NULL; DELETE FROM coupon_shard));

is($standby->safe_psql('postgres', "SELECT coupon_key(' Once ')"), 'once', 'the standby knows keys');
is($standby->safe_psql('postgres', 'SELECT user_id, use_no FROM coupon_redemption'), '1|1', 'the standby shows what was redeemed');

# --- what check_coupon says there, before and after a change ------------------------------------------------

# code => what the coupon is like; what the primary has done with it before; user 1's status, uses left and units left. Then what the
# primary does; and the answer after that.
my @changes = (
	[ 'Deactivated', 'DEFAULT', '', 'redeemed|1|', "UPDATE coupon SET active = false WHERE code = 'Deactivated'", 'inactive|1|' ],
	[ 'Reactivated', 'DEFAULT, active => false', '', 'inactive|1|', "UPDATE coupon SET active = true WHERE code = 'Reactivated'", 'redeemed|1|' ],
	[ 'Ended', 'DEFAULT', '', 'redeemed|1|', "UPDATE coupon SET expires_at = '2001-01-01' WHERE code = 'Ended'", 'expired|1|' ],
	[ 'Prolonged', "expires_at => '2001-01-01'", '', 'expired|1|', "UPDATE coupon SET expires_at = NULL WHERE code = 'Prolonged'", 'redeemed|1|' ],
	[ 'Postponed', 'DEFAULT', '', 'redeemed|1|', "UPDATE coupon SET starts_at = '2101-01-01' WHERE code = 'Postponed'", 'not_started|1|' ],
	[ 'Begun', "starts_at => '2101-01-01'", '', 'not_started|1|', "UPDATE coupon SET starts_at = '2001-01-01' WHERE code = 'Begun'", 'redeemed|1|' ],
	[ 'Deleted', 'DEFAULT', '', 'redeemed|1|', "DELETE FROM coupon WHERE code = 'Deleted'", 'not_found||' ],
	[ 'Created', undef, '', 'not_found||', "INSERT INTO coupon (code) VALUES ('Created')", 'redeemed|1|' ],
	[ 'Renamed', 'DEFAULT', '', 'redeemed|1|', "UPDATE coupon SET code = 'other name' WHERE code = 'Renamed'", 'not_found||' ],
	[ 'Limit raised', 'DEFAULT', "redeem_coupon(1, 'Limit raised')", 'already_redeemed|0|', "UPDATE coupon SET max_per_user = 3 WHERE code = 'Limit raised'", 'redeemed|2|' ],
	[ 'Limit lowered', 'max_per_user => 3', "redeem_coupon(1, 'Limit lowered')", 'redeemed|2|', "UPDATE coupon SET max_per_user = 1 WHERE code = 'Limit lowered'", 'already_redeemed|0|' ],
	[ 'Limit lifted', 'DEFAULT', "redeem_coupon(1, 'Limit lifted')", 'already_redeemed|0|', "UPDATE coupon SET max_per_user = NULL WHERE code = 'Limit lifted'", 'redeemed||' ],
	[ 'Cap raised', 'max_redemptions => 2', "redeem_coupon(b, 'Cap raised') FROM generate_series(11, 12) b", 'sold_out|1|0', "UPDATE coupon SET max_redemptions = 5 WHERE code = 'Cap raised'", 'redeemed|1|3' ],
	[ 'Cap lowered', 'max_redemptions => 5', "redeem_coupon(b, 'Cap lowered') FROM generate_series(11, 12) b", 'redeemed|1|3', "UPDATE coupon SET max_redemptions = 2 WHERE code = 'Cap lowered'", 'sold_out|1|0' ],
	[ 'Cap lifted', 'max_redemptions => 1', "redeem_coupon(11, 'Cap lifted')", 'sold_out|1|0', "UPDATE coupon SET max_redemptions = NULL WHERE code = 'Cap lifted'", 'redeemed|1|' ],
	[ 'First cap', 'DEFAULT', "redeem_coupon(b, 'First cap') FROM generate_series(11, 12) b", 'redeemed|1|', "UPDATE coupon SET max_redemptions = 2 WHERE code = 'First cap'", 'sold_out|1|0' ],
	[ 'Sold out', 'max_redemptions => 2', "redeem_coupon(11, 'Sold out')", 'redeemed|1|1', "SELECT redeem_coupon(12, 'Sold out')", 'sold_out|1|0' ],
	[ 'Single', 'max_redemptions => 1', '', 'redeemed|1|1', "SELECT redeem_coupon(11, 'Single')", 'sold_out|1|0' ],
	[ 'Single, mine', 'max_redemptions => 1', '', 'redeemed|1|1', "SELECT redeem_coupon(1, 'Single, mine')", 'already_redeemed|0|0' ],
	[ 'Given back', 'max_redemptions => 1', "redeem_coupon(11, 'Given back', 'back')", 'sold_out|1|0', "SELECT void_redemption(id) FROM coupon_redemption WHERE request_id = 'back'", 'redeemed|1|1' ],
	[ 'Mine given back', 'max_redemptions => 9', "redeem_coupon(1, 'Mine given back', 'mine')", 'already_redeemed|0|8', "SELECT void_redemption(id) FROM coupon_redemption WHERE request_id = 'mine'", 'redeemed|1|9' ],
	[ 'Held', 'max_redemptions => 1', '', 'redeemed|1|1', "SELECT hold_coupon(11, 'Held')", 'sold_out|1|0' ],
	[ 'Held by me', 'max_redemptions => 1', '', 'redeemed|1|1', "SELECT hold_coupon(1, 'Held by me')", 'redeemed|0|0' ],
	[ 'Confirmed', 'max_redemptions => 2', "hold_coupon(1, 'Confirmed', request_id => 'confirmed')", 'redeemed|0|1', "SELECT confirm_hold(id) FROM coupon_redemption WHERE request_id = 'confirmed'", 'already_redeemed|0|1' ],
	[ 'Deadline passed', 'max_redemptions => 1', "hold_coupon(11, 'Deadline passed', request_id => 'passed')", 'sold_out|1|0', "UPDATE coupon_redemption SET hold_expires_at = '2001-01-01' WHERE request_id = 'passed'", 'redeemed|1|1' ],
	[ 'Counted anew', 'max_redemptions => 3', "redeem_coupon(11, 'Counted anew')", 'redeemed|1|2', "DELETE FROM coupon_quota", 'redeemed|1|2' ],
	[ 'Campaign off', 'campaign_id => 1', '', 'redeemed|1|', 'UPDATE campaign SET active = false WHERE id = 1', 'inactive|1|' ],
	[ 'Campaign sold out', 'campaign_id => 2', "redeem_coupon(11, 'Campaign sold out')", 'redeemed|1|1', "SELECT redeem_coupon(12, 'Campaign sold out')", 'sold_out|1|0' ],
	[ 'Campaign used', 'campaign_id => 3', '', 'redeemed|1|', "SELECT redeem_coupon(1, 'Campaign, other')", 'already_redeemed|0|' ],
	[ 'Moved out', 'campaign_id => 2, max_redemptions => 9', "redeem_coupon(13, 'Moved out')", 'redeemed|1|1', "UPDATE coupon SET campaign_id = NULL WHERE code = 'Moved out'", 'redeemed|1|8' ],
	[ 'Ledger by hand', 'max_redemptions => 3', "redeem_coupon(11, 'Ledger by hand', 'hand')", 'redeemed|1|2', "DELETE FROM coupon_redemption WHERE request_id = 'hand'", 'redeemed|1|3' ]);

# Asks about every coupon; column 3 has the answers before the change, 5 those after it.
sub are_answers
{
	my ($session, $column, $name) = @_;
	my @wrong;
	foreach my $change (@changes)
	{
		my ($code, $answer) = @{$change}[ 0, $column ];
		my $got = join '|', @{ ($session->query("SELECT status, remaining_uses, remaining_units FROM check_coupon(1, '$code')"))[0] };
		push @wrong, "$code: $got, not $answer" if $got ne $answer;
	}
	is(join("\n", @wrong), '', $name);
	return;
}

$primary->safe_psql('postgres', q(
	INSERT INTO campaign (name, max_redemptions, max_per_user) VALUES ('One', NULL, NULL), ('Two', 3, NULL), ('Three', NULL, 1);
	INSERT INTO coupon (code, campaign_id) VALUES ('Campaign, other', 3)));
foreach my $change (@changes)
{
	my ($code, $like, $before) = @$change;
	next if !defined $like;
	my %set = (code => "'$code'", map { split / => / } grep { $_ ne 'DEFAULT' } split /, /, $like);
	$primary->safe_psql('postgres', sprintf 'INSERT INTO coupon (%s) VALUES (%s)', join(', ', sort keys %set), join(', ', map { $set{$_} } sort keys %set));
	$primary->safe_psql('postgres', "SELECT $before") if $before;
}
$primary->wait_for_catchup($standby);

my $asks = CouponGuard::Session->new($standby);
my $asks_in_transaction = CouponGuard::Session->new($standby);
$asks_in_transaction->query('BEGIN');
my $asks_of_old_snapshot = CouponGuard::Session->new($standby);
$asks_of_old_snapshot->query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM coupon');
my @sessions = ([ $asks, 'the session' ], [ $asks_in_transaction, 'within a transaction' ], [ $asks_of_old_snapshot, 'REPEATABLE READ' ]);
foreach (1 .. 2)
{
	are_answers($_->[0], 3, "before the changes: $_->[1]") foreach @sessions;
}

# A redemption that is not committed has taken nothing yet; the standby waits for nobody.
my $holder = CouponGuard::Session->new($primary);
$holder->query("BEGIN; SELECT redeem_coupon(21, 'Sold out'); SELECT redeem_coupon(21, 'Single')");
$primary->safe_psql('postgres', 'CHECKPOINT'); # what the holder has written is flushed, too
$primary->wait_for_catchup($standby);
are_answers($_->[0], 3, "beside a redemption that is not committed: $_->[1]") foreach @sessions;
$holder->query('ROLLBACK');

foreach my $change (@changes)
{
	$primary->safe_psql('postgres', $change->[4]);
}
$primary->wait_for_catchup($standby);
are_answers($_->[0], 5, "after the changes: $_->[1]") foreach @sessions;
$asks_of_old_snapshot->query('COMMIT');
$asks_in_transaction->query('COMMIT');
are_answers(CouponGuard::Session->new($primary), 5, 'and so says the primary');

# What was rebuilt is a file that the session does not know.
$primary->safe_psql('postgres', "VACUUM FULL $_; REINDEX TABLE $_") foreach qw(campaign coupon coupon_redemption coupon_quota);
$primary->safe_psql('postgres', q(TRUNCATE coupon_quota; UPDATE coupon SET active = false WHERE code = 'Reactivated'));
$_->[5] =~ s/redeemed/inactive/ foreach grep { $_->[0] eq 'Reactivated' } @changes;
$primary->wait_for_catchup($standby);
are_answers($asks, 5, 'after the tables were rebuilt: the session');

# --- promoted --------------------------------------------------------------------------------------

# The last that the standby hears.
$primary->safe_psql('postgres', q(
	UPDATE coupon SET active = false WHERE code = 'Begun';
	UPDATE coupon SET max_redemptions = 1 WHERE code = 'Given back';
	SELECT redeem_coupon(31, 'Given back');
	SELECT void_redemption(id) FROM coupon_redemption WHERE user_id IN ('11', '12') AND coupon_id IN (SELECT id FROM coupon WHERE code IN ('Single', 'Sold out'))));
$primary->wait_for_catchup($standby);
$asks_in_transaction->query("BEGIN; SELECT check_coupon(1, 'Begun')");
$primary->stop;
$standby->promote;
is( $standby->safe_psql(
		'postgres', q(
		SELECT status FROM redeem_coupon(1, 'ONCE');
		SELECT status FROM redeem_coupon(2, 'ONCE');
		SELECT status FROM redeem_coupon(1, 'LATE');
		INSERT INTO coupon (code) VALUES ('LATER');
		SELECT status FROM redeem_coupon(1, 'LATER');
		SELECT count(*), count(DISTINCT l.id) FROM coupon_redemption l JOIN coupon c ON c.id = coupon_id WHERE code ~ '^(ONCE|LATE)')),
	"already_redeemed\nredeemed\nredeemed\nredeemed\n4|4",
	'promoted, it goes on from there');

# In the sessions that have asked before.
$asks_in_transaction->start("SELECT status FROM redeem_coupon(1, 'Ended')");
is($asks_in_transaction->finish->{sqlstate}, '25006', 'a transaction that began before the promotion stays read-only');
$asks_in_transaction->query('ROLLBACK');
my %expected = (
	'Deactivated' => 'inactive', 'Reactivated' => 'inactive', 'Ended' => 'expired', 'Prolonged' => 'redeemed', 'Postponed' => 'not_started',
	'Begun' => 'inactive', 'Deleted' => 'not_found', 'Renamed' => 'not_found', 'other name' => 'redeemed', 'Created' => 'redeemed',
	'Cap raised' => 'redeemed', 'Cap lowered' => 'sold_out', 'Cap lifted' => 'redeemed', 'First cap' => 'sold_out', 'Sold out' => 'redeemed',
	'Single' => 'redeemed', 'Given back' => 'sold_out', 'Held by me' => 'redeemed', 'Held' => 'sold_out', 'Deadline passed' => 'redeemed');
my %status = map { $_ => ($asks->query("SELECT status FROM redeem_coupon(1, '$_')"))[0][0] } sort keys %expected;
is_deeply(\%status, \%expected, 'a session that had asked the standby redeems after the promotion');
my %again = map { $_ => ($asks_in_transaction->query("SELECT status FROM redeem_coupon(1, '$_')"))[0][0] } sort keys %expected;
$_ =~ s/^redeemed$/already_redeemed/ foreach values %expected;
is_deeply(\%again, \%expected, 'and another one knows of it');
is( $standby->safe_psql('postgres', q(
		SELECT redeem_coupon(b, c.code) FROM generate_series(1001, 1010) b, coupon c WHERE max_redemptions IS NOT NULL \g /dev/null
		SELECT code, redeemed + held, max_redemptions FROM coupon_usage WHERE redeemed + held <> max_redemptions)),
	'', 'exactly the cap can be had');
is( $standby->psql('postgres', "DELETE FROM coupon WHERE code = 'ONCE'"),
	3, 'promoted, it keeps coupons that have redemptions');
is($standby->safe_psql('postgres', 'SELECT * FROM coupon_guard_verify()'), '', 'nothing is broken');

$standby->stop;
done_testing();
