# A streaming standby refuses to redeem (25006), shows what was redeemed, and after its promotion goes on from there.

use strict;
use warnings;

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
is($standby->safe_psql('postgres', "SELECT coupon_key(' Once ')"), 'once', 'the standby knows keys');
is($standby->safe_psql('postgres', 'SELECT user_id, use_no FROM coupon_redemption'), '1|1', 'the standby shows what was redeemed');

$primary->stop;
$standby->promote;
is( $standby->safe_psql(
		'postgres', q(
		SELECT status FROM redeem_coupon(1, 'ONCE');
		SELECT status FROM redeem_coupon(2, 'ONCE');
		SELECT status FROM redeem_coupon(1, 'LATE');
		INSERT INTO coupon (code) VALUES ('LATER');
		SELECT status FROM redeem_coupon(1, 'LATER');
		SELECT count(*), count(DISTINCT id) FROM coupon_redemption)),
	"already_redeemed\nredeemed\nredeemed\nredeemed\n4|4",
	'promoted, it goes on from there');
is( $standby->psql('postgres', "DELETE FROM coupon WHERE code = 'ONCE'"),
	3, 'promoted, it keeps coupons that have redemptions');

$standby->stop;
done_testing();
