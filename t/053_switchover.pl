# A shop moves to a subscriber of logical replication while it sells. If the subscriber is a synchronous standby, nothing that was acknowledged
# is lost when the publisher is killed; the sequences, which are not replicated, are moved, and of every cap exactly the rest is sold.
#
# The two servers change places: the publisher of before subscribes to the other.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use CouponGuard::Load;
use CouponGuard::Session;
use CouponGuard::Trial;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'no DBD::Pg' if !CouponGuard::Load::is_possible();

sub make_server
{
	my ($name) = @_;
	my $server = PostgreSQL::Test::Cluster->new($name);
	$server->init(allows_streaming => 'logical');
	CouponGuard::Trial::prepare_node($server, "autovacuum = off\nmax_connections = 60\n");
	$server->start;
	$server->safe_psql('postgres', 'CREATE EXTENSION coupon_guard; CREATE PUBLICATION shop FOR TABLE campaign, coupon, coupon_redemption');
	return $server;
}

my ($publisher, $subscriber) = map { make_server($_) } qw(first second);

# The subscriber has what the publisher has, and a COMMIT there waits for it.
sub subscribe
{
	$subscriber->safe_psql('postgres', 'SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots');
	$subscriber->safe_psql('postgres', 'TRUNCATE coupon_redemption, coupon, campaign');
	$subscriber->safe_psql('postgres', "CREATE SUBSCRIPTION shop CONNECTION '" . $publisher->connstr . " dbname=postgres' PUBLICATION shop");
	$subscriber->wait_for_subscription_sync($publisher, 'shop');
	$publisher->safe_psql('postgres', 'ALTER SYSTEM SET synchronous_standby_names = shop');
	$publisher->reload;
	$publisher->poll_query_until('postgres', q(SELECT count(*) = 1 FROM pg_stat_replication WHERE sync_state = 'sync')) or die 'no synchronous subscriber';
	return;
}

# docs/operations.md: end the subscription, move the sequences.
sub take_over
{
	$subscriber->safe_psql('postgres', $_) foreach 'ALTER SUBSCRIPTION shop DISABLE', 'ALTER SUBSCRIPTION shop SET (slot_name = NONE)', 'DROP SUBSCRIPTION shop';
	$subscriber->safe_psql('postgres', "SELECT setval(pg_get_serial_sequence('$_', 'id'), (SELECT coalesce(max(id), 0) + 1000 FROM $_))")
	  foreach qw(campaign coupon coupon_redemption);
	($publisher, $subscriber) = ($subscriber, $publisher);
	return;
}

my $trial = CouponGuard::Trial->new($publisher, prepare => 0.03);
subscribe();
my $round = 0;
$trial->play('the shop moves to a synchronous subscriber', sub {
	subscribe() if $round++;
	# Its buyers' questions are no sale; what its backends know of the coupons must follow what arrives.
	my @sessions = map { CouponGuard::Session->new($subscriber) } 1 .. 2;
	foreach (1 .. 5) { $_->query(q(SELECT count(*) FROM coupon, check_coupon(999999, code))) foreach @sessions }
	$trial->{load}->wait_for_work(150);
	$publisher->stop('immediate');
	take_over();
	$trial->{node} = $publisher;
	$trial->{log_at} = 0;
	$trial->count_fault('publishers stopped');
	foreach my $session (@sessions)
	{
		my @wrong = $session->query(q(SELECT code, c.remaining_units, u.remaining_units FROM coupon JOIN coupon_usage u USING (code), check_coupon(999999, code) c
			WHERE campaign_id IS NULL AND c.remaining_units IS DISTINCT FROM u.remaining_units));
		die 'wrong at once: ' . join ', ', map { join '|', map { $_ // '' } @$_ } @wrong if @wrong;
		$session->close;
	}
	$trial->{load}->redirect($trial->connection);
	$trial->{load}->wait_for_work(100);
	$subscriber->start;
	$subscriber->safe_psql('postgres', 'ALTER SYSTEM RESET synchronous_standby_names');
	$subscriber->reload;
	# What was prepared there is a COMMIT that nobody has heard of.
	$subscriber->safe_psql('postgres', "ROLLBACK PREPARED '$_'") foreach split /\n/, $subscriber->safe_psql('postgres', 'SELECT gid FROM pg_prepared_xacts');
});
$trial->end;
$subscriber->stop;
$publisher->stop;
done_testing();
