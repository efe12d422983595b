# Many clients, few users, few coupons, every isolation level, some of them giving up, others changing coupons and ledger rows
# meanwhile: the limit per user is never exceeded, exactly reached, and what was answered is what is in the ledger.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "max_connections = 100\ndeadlock_timeout = '20ms'");
$node->start;
$node->safe_psql(
	'postgres', q(
	CREATE EXTENSION coupon_guard;
	INSERT INTO coupon (id, code, max_per_user) VALUES (1, 'ONCE', 1), (3, 'THRICE', 3);
	-- What each client was told, written in the same transaction.
	CREATE TABLE answer (coupon_id bigint, user_id bigint, status text, redemption_id bigint, use_no int)));

my $redeem = q(
	INSERT INTO answer SELECT :coupon, :user, status, redemption_id, use_no
	  FROM redeem_coupon(:user::bigint, CASE :coupon::int WHEN 1 THEN 'ONCE' ELSE 'Thrice' END);
);
my $choose = q(
	\set user random(1, 40)
	\set coupon 1 + 2 * random(0, 1)
);
$node->pgbench(
	'--no-vacuum --client=32 --jobs=2 --transactions=150 --protocol=prepared --max-tries=10000',
	0,
	[qr{number of transactions actually processed: 4800/4800}, qr{number of failed transactions: 0 }],
	[qr{^$}],
	'32 clients of every kind',
	{
		'alone@10' => "$choose $redeem",
		'read_committed@10' => "$choose BEGIN; $redeem COMMIT;",
		'repeatable_read@5' => "$choose BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM coupon; $redeem COMMIT;",
		'serializable@5' => "$choose BEGIN ISOLATION LEVEL SERIALIZABLE; SELECT count(*) FROM coupon; $redeem COMMIT;",
		'gives_up@5' => "$choose BEGIN; $redeem ROLLBACK;",
		'gives_up_half@5' => "$choose BEGIN; SAVEPOINT s; $redeem ROLLBACK TO s; $redeem COMMIT;",
		# Both coupons, in either order: deadlocks, retried.
		'both@2' => "$choose BEGIN; $redeem \\set coupon 4 - :coupon\n $redeem COMMIT;",
		# A new version of a ledger row, which a look at the index may miss; and of the coupon.
		'updates_ledger@3' => "$choose UPDATE coupon_redemption SET metadata = '[1]', redeemed_at = redeemed_at
			WHERE user_id = :user::text AND coupon_id = :coupon;",
		'updates_coupon@1' => "$choose UPDATE coupon SET terms = '[1]' WHERE id = :coupon;",
	});

is( $node->safe_psql('postgres', q(SELECT coupon_id, user_id, count(*) FROM coupon_redemption
		GROUP BY coupon_id, user_id HAVING count(*) <> coupon_id)),
	'', 'every user has redeemed each coupon as often as its limit says, and no more');
is( $node->safe_psql('postgres', 'SELECT coupon_id, count(DISTINCT user_id), min(use_no), max(use_no) FROM coupon_redemption
		GROUP BY coupon_id ORDER BY coupon_id'),
	"1|40|1|1\n3|40|1|3", 'use numbers are those from 1 to the limit');
is( $node->safe_psql('postgres', q(
		SELECT id, coupon_id, user_id::bigint, use_no FROM coupon_redemption
		EXCEPT ALL SELECT redemption_id, coupon_id, user_id, use_no FROM answer WHERE status = 'redeemed')),
	'', 'no redemption that nobody was told of');
is( $node->safe_psql('postgres', q(
		SELECT redemption_id, coupon_id, user_id, use_no FROM answer WHERE status = 'redeemed'
		EXCEPT ALL SELECT id, coupon_id, user_id::bigint, use_no FROM coupon_redemption)),
	'', 'no redemption lost that somebody was told of');
is( $node->safe_psql('postgres', q(SELECT DISTINCT status FROM answer WHERE status NOT IN ('redeemed', 'already_redeemed'))),
	'', 'no other answer');
is($node->safe_psql('postgres', q(SELECT count(*) FROM pg_locks WHERE locktype IN ('spectoken', 'advisory'))), '0', 'no lock left behind');

$node->stop;
done_testing();
