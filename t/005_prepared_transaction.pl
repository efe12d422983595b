# A redemption in a prepared transaction holds its rival until it is resolved: through sessions that end, a crash and a restart.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use CouponGuard::Test;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', 'max_prepared_transactions = 10');
$node->start;
$node->safe_psql('postgres', q(CREATE EXTENSION coupon_guard; INSERT INTO coupon (code, max_per_user) VALUES ('ONCE', 1), ('TWICE', 2)));

sub prepare
{
	my ($name, $call) = @_;
	$node->safe_psql('postgres', "BEGIN; SELECT status FROM $call; PREPARE TRANSACTION '$name'");
}

prepare('first', "redeem_coupon(1, 'ONCE')");
my $rival = start_rival($node, "redeem_coupon(1, 'ONCE')");
is($node->safe_psql('postgres', "SELECT status FROM redeem_coupon(2, 'ONCE')"), 'redeemed', 'another user does not wait');
$node->safe_psql('postgres', "COMMIT PREPARED 'first'");
is(answer($rival), 'already_redeemed', 'commit prepared: the rival is told already_redeemed');

prepare('second', "redeem_coupon(3, 'ONCE')");
$rival = start_rival($node, "redeem_coupon(3, 'ONCE')");
$node->safe_psql('postgres', "ROLLBACK PREPARED 'second'");
is(answer($rival), 'redeemed', 'rollback prepared: the rival redeems');

prepare('third', "redeem_coupon(4, 'TWICE')");
is($node->safe_psql('postgres', "SELECT status, use_no FROM redeem_coupon(4, 'TWICE')"), 'redeemed|2', 'where a use is left nobody waits');

# After a crash it still holds.
$node->stop('immediate');
$node->start;
$rival = start_rival($node, "redeem_coupon(4, 'TWICE')");
$node->safe_psql('postgres', "COMMIT PREPARED 'third'");
is(answer($rival), 'already_redeemed', 'after a crash too');

# A delete waits for it as well.
prepare('fourth', "redeem_coupon(5, 'TWICE')");
my ($result, $stdout, $stderr) =
  $node->psql('postgres', "SET lock_timeout = '10ms'; DELETE FROM coupon WHERE code = 'ONCE'");
like($stderr, qr/canceling statement due to lock timeout/, 'a delete waits for a prepared redemption');
$node->safe_psql('postgres', "ROLLBACK PREPARED 'fourth'");

is( $node->safe_psql('postgres', 'SELECT c.code, l.user_id, l.use_no FROM coupon_redemption l JOIN coupon c ON c.id = l.coupon_id ORDER BY 1, 2, 3'),
	"ONCE|1|1\nONCE|2|1\nONCE|3|1\nTWICE|4|1\nTWICE|4|2",
	'the ledger holds what was committed');

$node->stop;
done_testing();
