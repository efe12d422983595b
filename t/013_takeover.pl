# A subscriber of logical replication is taken over when the publisher is gone. Whatever of the tables was published, however the
# subscriber was filled, and whatever was tried on it before: when its buyers press, of each coupon exactly the cap is sold.
#
# One publisher and one subscriber; every way of doing it has a database of its own there.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use CouponGuard::Session;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);

my $publisher = PostgreSQL::Test::Cluster->new('publisher');
$publisher->init(allows_streaming => 'logical');
$publisher->append_conf('postgresql.conf', "autovacuum = off\nmax_connections = 100\nmax_wal_senders = 60\nmax_replication_slots = 60");
$publisher->start;
my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init;
$subscriber->append_conf('postgresql.conf',
	"autovacuum = off\nmax_connections = 100\nmax_worker_processes = 60\nmax_logical_replication_workers = 60\nmax_replication_slots = 60");
# Before 18 the replication slots counted for this, too.
$subscriber->append_conf('postgresql.conf', 'max_active_replication_origins = 60') if $subscriber->pg_version >= 18;
$subscriber->start;

my %publications = (
	coupon => 'TABLE coupon',
	ledger => 'TABLE coupon_redemption',
	quota => 'TABLE coupon_quota',
	coupon_ledger => 'TABLE coupon, coupon_redemption',
	coupon_quota => 'TABLE coupon, coupon_quota',
	ledger_quota => 'TABLE coupon_redemption, coupon_quota',
	coupon_ledger_quota => 'TABLE coupon, coupon_redemption, coupon_quota',
	everything => 'ALL TABLES');

# --- the shop before --------------------------------------------------------------------------

my $before = q(
	CREATE EXTENSION coupon_guard;
	INSERT INTO coupon (id, code, max_redemptions) OVERRIDING SYSTEM VALUE VALUES
		(1, 'Sold', 10), (2, 'Drill kept', 10), (3, 'Drill deleted', 10), (4, 'Drill voided', 10), (5, 'Drill rolled back', 10), (6, 'Single', 1),
		(7, 'Single, drilled', 1), (8, 'Given back', 10), (9, 'Held', 10), (10, 'Deleted rows', 10), (11, 'Raised', 5), (12, 'Lowered', 20),
		(13, 'First cap', NULL), (14, 'Cap lifted', 10), (15, 'Deadline moved', 10), (16, 'Unsold', 10), (17, 'Gone', 10);
	SELECT redeem_coupon(b, code) FROM coupon, generate_series(1, 2) b WHERE id <= 5 OR id BETWEEN 8 AND 15;
	SELECT redeem_coupon(b, code) FROM coupon, generate_series(3, 5) b WHERE code IN ('Given back', 'Deleted rows', 'Raised');
	SELECT hold_coupon(b, code, '1 day') FROM coupon, generate_series(11, 13) b WHERE code IN ('Held', 'Deadline moved'));

# --- what is sold on the publisher meanwhile --------------------------------------------------

# Where coupons are not published, the shop does this to its coupons on both sides.
my $coupon_changes = q(
	UPDATE coupon SET max_redemptions = 10 WHERE code IN ('Raised', 'Lowered', 'First cap');
	UPDATE coupon SET max_redemptions = NULL WHERE code = 'Cap lifted';
	DELETE FROM coupon WHERE code = 'Gone';
	INSERT INTO coupon (id, code, max_redemptions) OVERRIDING SYSTEM VALUE VALUES (100, 'New', 10););
my $sales = q(
	SELECT redeem_coupon(b, code) FROM coupon, generate_series(101, 106) b WHERE id <= 5 OR code IN ('Cap lifted', 'New');
	SELECT redeem_coupon(101, code) FROM coupon WHERE id IN (6, 7);
	SELECT void_redemption(l.id) FROM coupon_redemption l, coupon c WHERE c.id = l.coupon_id AND c.code = 'Given back' AND user_id < '5';
	DELETE FROM coupon_redemption USING coupon c WHERE c.id = coupon_id AND c.code = 'Deleted rows' AND user_id < '5';
	SELECT confirm_hold(l.id) FROM coupon_redemption l, coupon c WHERE c.id = l.coupon_id AND c.code = 'Held' AND user_id = '11';
	SELECT void_redemption(l.id) FROM coupon_redemption l, coupon c WHERE c.id = l.coupon_id AND c.code = 'Held' AND user_id = '12';
	UPDATE coupon_redemption SET hold_expires_at = '2001-01-01' FROM coupon c WHERE c.id = coupon_id AND c.code = 'Deadline moved' AND user_id IN ('11', '12');
	BEGIN; SELECT redeem_coupon(199, code) FROM coupon WHERE code IN ('Sold', 'Single'); ROLLBACK;
	SELECT redeem_coupon(b, code) FROM coupon, generate_series(201, 203) b WHERE id BETWEEN 8 AND 15);
my $clearance = q(
	TRUNCATE coupon_redemption;
	SELECT redeem_coupon(b, code) FROM coupon, generate_series(301, 306) b WHERE max_redemptions > 1);

# --- filling a subscriber ------------------------------------------------------------------------

my $directory = $subscriber->basedir;

sub restore
{
	my ($database, $file) = @_;
	$subscriber->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$directory/$file", '-o', '/dev/null', $subscriber->connstr($database) ],
		"$database: $file is restored");
	return;
}

# The databases that those of the tests are copies of.
sub make_fillings
{
	my ($shop) = @_;
	my %dumps = (
		all => [],
		data_without_triggers => [ '--data-only', '--disable-triggers' ],
		coupon => [ '--data-only', '--table=coupon' ],
		coupon_redemption => [ '--data-only', '--table=coupon_redemption' ]);
	foreach my $file (sort keys %dumps)
	{
		$publisher->command_ok([ 'pg_dump', @{ $dumps{$file} }, '-f', "$directory/$file", $publisher->connstr($shop) ], "$shop: dump of $file");
	}
	$subscriber->safe_psql('postgres', "DROP DATABASE IF EXISTS $_; CREATE DATABASE $_") foreach qw(dump copy no_triggers replica_role);
	$subscriber->safe_psql($_, 'CREATE EXTENSION coupon_guard') foreach qw(copy no_triggers replica_role);
	restore('dump', 'all');
	restore('no_triggers', 'data_without_triggers');
	restore('replica_role', 'coupon');
	local $ENV{PGOPTIONS} = '-c session_replication_role=replica';
	restore('replica_role', 'coupon_redemption');
	return;
}

sub is_published
{
	my ($publication, $table) = @_;
	return $publication eq 'everything' || $publication =~ /$table/;
}

sub subscribe
{
	my ($shop, $filling, $publication) = @_;
	my $database = "${shop}_${filling}_$publication";
	$subscriber->safe_psql('postgres', "CREATE DATABASE $database TEMPLATE $filling");
	if ($filling eq 'copy')
	{
		restore($database, 'coupon') if !is_published($publication, 'coupon');
		restore($database, 'coupon_redemption') if !is_published($publication, 'ledger');
	}
	my $copies = $filling eq 'copy' ? 'true' : 'false';
	$subscriber->safe_psql($database, "CREATE SUBSCRIPTION $database CONNECTION '" . $publisher->connstr . " dbname=$shop' PUBLICATION $publication WITH (copy_data = $copies)");
	return $database;
}

# Waits until what was published so far is there; false if it cannot be applied.
sub has_arrived
{
	my ($database) = @_;
	my $lsn = $publisher->lsn('insert');
	foreach (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return 1
		  if $subscriber->safe_psql($database, q(SELECT count(*) FROM pg_subscription_rel WHERE srsubstate NOT IN ('r', 's'))) eq '0'
		  && $publisher->safe_psql('postgres', "SELECT replay_lsn >= '$lsn' FROM pg_stat_replication WHERE application_name = '$database'") eq 't';
		return 0 if $subscriber->safe_psql($database, "SELECT apply_error_count + sync_error_count FROM pg_stat_subscription_stats WHERE subname = '$database'") > 0;
		sleep 0.1;
	}
	die "$database: neither applied nor refused";
}

# What somebody tries there before it is needed, in a session that then goes on. The sequences, which are not replicated, are far ahead.
sub drill
{
	my ($database) = @_;
	my $session = CouponGuard::Session->new($subscriber, $database);
	$session->query($_) foreach (
		q(SELECT setval(pg_get_serial_sequence('coupon', 'id'), 1000000), setval(pg_get_serial_sequence('coupon_redemption', 'id'), 1000000)),
		q(SELECT redeem_coupon(901, 'Drill kept')),
		q(SELECT redeem_coupon(901, 'Drill deleted')),
		q(DELETE FROM coupon_redemption WHERE user_id = '901' AND coupon_id = 3),
		q(SELECT void_redemption(redemption_id) FROM redeem_coupon(901, 'Drill voided')),
		q(BEGIN), q(SELECT redeem_coupon(901, code) FROM coupon WHERE code IN ('Drill rolled back', 'Single, drilled')), q(ROLLBACK),
		q(SELECT check_coupon(901, code) FROM coupon));
	return $session;
}

# --- the takeover ----------------------------------------------------------------------------------

my $check = 'SELECT * FROM coupon_guard_verify()';

# What the session is told instead of an answer.
sub error_of
{
	my ($session, $query) = @_;
	$session->start($query);
	return ($session->finish // {})->{message} // '';
}

sub take_over
{
	my ($database, $publication, $session) = @_;
	my $other = CouponGuard::Session->new($subscriber, $database);
	$other->query("DROP SUBSCRIPTION $database");
	is(error_of($other, $coupon_changes), '', "$database: the coupons are changed by hand") if !is_published($publication, 'coupon');
	is($subscriber->safe_psql($database, $check), '', "$database: nothing is broken when it is taken over");
	my $press = q(SELECT redeem_coupon(b, code) FROM coupon, generate_series(%d, %d) b WHERE max_redemptions IS NOT NULL);
	my @errors = (error_of($session, sprintf $press, 1001, 1004), error_of($other, sprintf $press, 1005, 1030), error_of($session, sprintf $press, 1031, 1034));
	is(join('', @errors), '', "$database: buyers press");
	is( $subscriber->safe_psql($database, q(SELECT code, redeemed + held AS live, max_redemptions FROM coupon_usage WHERE redeemed + held <> max_redemptions)),
		'', "$database: of each coupon exactly the cap is sold");
	is($subscriber->safe_psql($database, $check), '', "$database: and nothing is broken");
	$_->close foreach $session, $other;
	return;
}

sub test_takeovers
{
	my ($shop, $changes, @ways) = @_;
	$publisher->safe_psql('postgres', "CREATE DATABASE $shop");
	$publisher->safe_psql($shop, $before);
	$publisher->safe_psql($shop, "CREATE PUBLICATION $_ FOR $publications{$_}") foreach sort keys %publications;
	make_fillings($shop);
	my @databases = map { { name => subscribe($shop, @$_), publication => $_->[1] } } @ways;
	$_->{is_whole} = has_arrived($_->{name}) foreach @databases;
	$_->{session} = drill($_->{name}) foreach @databases;
	$publisher->safe_psql($shop, $changes);
	foreach my $database (@databases)
	{
		ok($database->{is_whole} && has_arrived($database->{name}), "$database->{name}: all that was published is applied");
	}
	take_over(@{$_}{qw(name publication session)}) foreach @databases;
	return;
}

my @every = sort keys %publications;
test_takeovers('shop', $coupon_changes . $sales,
	(map { [ 'dump', $_ ], [ 'copy', $_ ] } @every),
	(map { [ 'no_triggers', $_ ] } 'coupon', 'coupon_ledger', 'everything'),
	(map { [ 'replica_role', $_ ] } 'ledger', 'coupon_ledger', 'coupon_ledger_quota'));
test_takeovers('cleared', $coupon_changes . $clearance, map { [ 'dump', $_ ], [ 'copy', $_ ] } 'coupon_ledger', 'everything');

$subscriber->stop;
$publisher->stop;
done_testing();
