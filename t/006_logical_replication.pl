# Logical replication of campaigns, coupons and ledger: a subscriber gets every redemption that stands, none that was rolled back, and
# none that was written and taken back within a call because a rival was faster (a speculative insertion that is aborted).

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $publisher = PostgreSQL::Test::Cluster->new('publisher');
$publisher->init(allows_streaming => 'logical');
$publisher->append_conf('postgresql.conf', 'max_connections = 50');
$publisher->start;
my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init(allows_streaming => 'logical');
$subscriber->start;

$publisher->safe_psql(
	'postgres', q(
	CREATE EXTENSION coupon_guard;
	INSERT INTO coupon (code, max_per_user) VALUES ('ONCE', 1), ('TWICE', 2);
	INSERT INTO campaign (name, max_redemptions, max_per_user) VALUES ('Spring', 4, 2);
	INSERT INTO coupon (code, campaign_id) VALUES ('TULIP', 1), ('DAISY', 1), ('MOVED', 1);
	SELECT status FROM redeem_coupon(1, 'TULIP');
	SELECT status FROM redeem_coupon(1, 'ONCE');
	CREATE PUBLICATION shop FOR TABLE campaign, coupon, coupon_redemption;
	-- Holds a call between its look and its insert, for as long as somebody holds the gate.
	CREATE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
	  IF current_setting('race.waits', true) = 'yes' THEN
	    PERFORM pg_advisory_lock_shared(1);
	    PERFORM pg_advisory_unlock_shared(1);
	  END IF;
	  RETURN NEW;
	END $$;
	CREATE TRIGGER wait_at_gate BEFORE INSERT ON coupon_redemption FOR EACH ROW EXECUTE FUNCTION wait_at_gate()));
$subscriber->safe_psql('postgres', 'CREATE EXTENSION coupon_guard');
$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION shop CONNECTION '" . $publisher->connstr . " dbname=postgres' PUBLICATION shop");
$subscriber->wait_for_subscription_sync($publisher, 'shop');

my $contents = q(
	SELECT * FROM campaign ORDER BY id;
	SELECT id, code, code_key, max_per_user, campaign_id FROM coupon ORDER BY id;
	SELECT id, coupon_id, user_id, use_no, redeemed_at, metadata, campaign_id, campaign_use_no FROM coupon_redemption ORDER BY id);
sub check_same
{
	my ($name) = @_;
	$publisher->wait_for_catchup('shop');
	is($subscriber->safe_psql('postgres', $contents), $publisher->safe_psql('postgres', $contents), $name);
}
check_same('what was there at the start');

$publisher->safe_psql(
	'postgres', q(
	INSERT INTO coupon (code) VALUES (' New ');
	SELECT status FROM redeem_coupon(2, 'new', metadata => '{"order": 17}');
	BEGIN;
	SELECT status FROM redeem_coupon(3, 'ONCE');
	ROLLBACK;
	BEGIN;
	SAVEPOINT s;
	SELECT status FROM redeem_coupon(3, 'ONCE');
	ROLLBACK TO s;
	SELECT status FROM redeem_coupon(4, 'ONCE');
	COMMIT;
	DELETE FROM coupon_redemption WHERE user_id = '2';
	SELECT status FROM redeem_coupon(1, 'MOVED');
	UPDATE coupon SET campaign_id = NULL WHERE code = 'MOVED'));
check_same('redeemed, rolled back, deleted');

# The loser of a race at the index, in a transaction that goes on to redeem something else.
my $gate = $publisher->background_psql('postgres');
$gate->query_safe('SELECT pg_advisory_lock(1)');
my $loser = $publisher->background_psql('postgres');
my $pid = $loser->query_safe('SELECT pg_backend_pid()');
$loser->query_safe("SET race.waits = 'yes'; BEGIN");
$loser->query_until(qr/started/, "\\echo started\nSELECT status FROM redeem_coupon(5, 'ONCE');\n");
$publisher->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_locks WHERE pid = $pid AND locktype = 'advisory' AND NOT granted")
  or die 'the call does not wait at the gate';
$publisher->safe_psql('postgres', "SELECT status FROM redeem_coupon(5, 'ONCE')");
$gate->query_safe('SELECT pg_advisory_unlock(1)');
$gate->quit;
like($loser->query_until(qr/finished/, "\\echo finished\n"), qr/already_redeemed/, 'the loser of the race is told so');
is($loser->query_safe("SELECT status FROM redeem_coupon(5, 'TWICE')"), 'redeemed', 'and goes on');
$loser->query_safe('COMMIT');
$loser->quit;
check_same('an insertion aborted within its transaction is not sent');

# And many of them
$publisher->pgbench(
	'--no-vacuum --client=16 --jobs=2 --transactions=100 --protocol=prepared',
	0, [qr{actually processed: 1600/1600}], [qr{^$}], '16 clients',
	{ race => q(
		\set user 100 + random(1, 50)
		SELECT status FROM redeem_coupon(:user, 'TWICE');) });
check_same('16 clients');
is( $subscriber->safe_psql('postgres', "SELECT count(*), count(DISTINCT user_id) FROM coupon_redemption WHERE user_id::int > 100"),
	'100|50', 'each of 50 users twice');

# A subscriber is a database of its own: what it was sent counts there, in a session that runs already too.
my $session = $subscriber->background_psql('postgres');
is($session->query_safe("SELECT status FROM redeem_coupon(1, 'ONCE')"), 'already_redeemed', 'the subscriber knows its rows');
$publisher->safe_psql('postgres', "UPDATE coupon SET active = false WHERE code = 'ONCE'");
$publisher->wait_for_catchup('shop');
is($session->query_safe("SELECT status FROM redeem_coupon(1, 'ONCE')"), 'inactive', 'and hears of a change to a coupon');

# Campaigns likewise: two of its four units are sold, and none is there twice. What arrives counts, be it too much.
is($session->query_safe("SELECT status, limited_by FROM redeem_coupon(1, 'DAISY')"), 'already_redeemed|campaign', 'a campaign has what was redeemed in it');
is($session->query_safe("SELECT status FROM redeem_coupon(1, 'MOVED')"), 'already_redeemed', 'a coupon that has moved is out of it');
# Another id than those that are to come.
$session->query_safe("ALTER SEQUENCE coupon_redemption_id_seq RESTART 1000000");
is($session->query_safe("SELECT string_agg(status || coalesce(' ' || limited_by, ''), ', ' ORDER BY u) FROM generate_series(21, 23) u, redeem_coupon(u, 'DAISY')"),
	'redeemed, redeemed, sold_out campaign', 'its cap is sold to the last');
$publisher->safe_psql('postgres', "UPDATE campaign SET max_redemptions = 5, terms = '{}'");
$publisher->wait_for_catchup('shop');
is($session->query_safe("SELECT status, terms FROM redeem_coupon(24, 'DAISY')"), 'redeemed|{}', 'and hears of a change to a campaign');
$publisher->safe_psql('postgres', "SELECT redeem_coupon(31, 'DAISY')");
$publisher->wait_for_catchup('shop');
is($session->query_safe("SELECT invariant, detail FROM coupon_guard_verify()"), 'campaign cap|campaign 1: 6 live redemptions and holds, cap 5',
	'what both sides have sold is told');
is($session->query_safe("SELECT status FROM redeem_coupon(25, 'DAISY')"), 'sold_out', 'and nothing more is sold');
$session->quit;

$subscriber->stop;
$publisher->stop;
done_testing();
