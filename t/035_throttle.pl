# Attempts at codes are counted: by user, by client and in all, whatever becomes of the transaction, and nobody is forgotten.
#
# A limit is some attempts at once, and then one a day: so it makes no difference how fast the test is.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use CouponGuard::Session;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $one_a_day = 1 / 1440;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'coupon_guard'\nfsync = off\nmax_connections = 120");
$node->start;
$node->safe_psql(
	'postgres', q(
	CREATE EXTENSION coupon_guard;
	INSERT INTO coupon (code, max_per_user) VALUES ('A', NULL), ('B', NULL), ('ONCE', 1);
	INSERT INTO campaign (name) VALUES ('Spring');
	INSERT INTO coupon (code, campaign_id, max_redemptions) SELECT 'S' || i, 1, 1 FROM generate_series(1, 9) i;
	CREATE TABLE shop_order (id int)));

my $session = CouponGuard::Session->new($node);

# The first column of all rows.
sub said { return join ' ', map { $_->[0] } $session->query($_[0]); }

# Of a statement that fails: its SQLSTATE.
sub fails
{
	my ($sql) = @_;
	$session->start($sql);
	my $state = $session->finish->{sqlstate} // 'none';
	$session->query('ROLLBACK') if $session->{is_aborted};
	return $state;
}

# So many attempts at once, and then one a day; 0: any number.
sub allow
{
	my (%bursts) = @_;
	foreach my $kind (keys %bursts)
	{
		$session->query("SET coupon_guard.throttle_${kind}_burst = $bursts{$kind}") if $bursts{$kind};
		$session->query("SET coupon_guard.throttle_${kind}_rate = " . ($bursts{$kind} ? $one_a_day : 0));
	}
	return;
}

# How many attempts the user has left.
sub left_to
{
	my ($user, $client) = @_;
	my $check = "SELECT status FROM check_coupon($user, 'NONE')";
	my $left = 0;
	if (defined $client) { $check = "BEGIN; SET LOCAL coupon_guard.client = '$client'; $check; COMMIT"; }
	while (said($check) ne 'throttled')
	{
		return 'no end' if ++$left == 20;
	}
	return $left;
}

# ---- a user -------------------------------------------------------------------------------------------------------------------

is(said(q(SELECT status FROM generate_series(1, 50) i, redeem_coupon(1, CASE WHEN i > 0 THEN 'A' END))), 'redeemed ' x 49 . 'redeemed',
	'no rate is set: any number of attempts');

allow(user => 3);
is(said(q(SELECT status FROM generate_series(1, 5) i, redeem_coupon(2, CASE WHEN i > 0 THEN 'A' END))), 'redeemed redeemed redeemed throttled throttled',
	'so many attempts at once, and no more');
is(said(q(SELECT count(*) FROM coupon_redemption WHERE user_id = '2')), 3, 'who is throttled has redeemed nothing');
is(said(q(SELECT status FROM redeem_coupon(3, 'A'))), 'redeemed', 'another user is not touched');
is(said(q(SELECT retry_at BETWEEN now() + '23:50:00' AND now() + '1 day' FROM redeem_coupon(2, 'A'))), 't', 'retry_at is when the next attempt may be made');
is(said(q(SELECT num_nulls(redemption_id, coupon_id, use_no, redeemed_at, terms, amount, limited_by) FROM redeem_coupon(2, 'A'))), 7,
	'and that is all there is to know');
is(left_to(4), 3, 'codes that do not exist count alike');
is(fails(q(SELECT redeem_coupon_strict(2, 'A'))), 'RC011', 'the strict form has an SQLSTATE');
my $stderr;
$node->psql('postgres', q(SET coupon_guard.throttle_user_rate = 0.0001; SET coupon_guard.throttle_user_burst = 1; SELECT redeem_coupon_strict(99, 'A'), redeem_coupon_strict(99, 'A')),
	stderr => \$stderr);
like($stderr, qr/ERROR:  too many attempts\nDETAIL:  The next may be made at 2\d\d\d-/, 'and says when to come again');

# ---- what counts --------------------------------------------------------------------------------------------------------------

my $number = 1000;

sub costs
{
	my ($attempts, $name, $sql) = @_;
	my $user = $number++;
	$sql =~ s/\bme\b/$user/g;
	$session->start($sql);
	$session->finish;
	$session->query('ROLLBACK') if $session->{is_aborted};
	return is(10 - left_to($user), $attempts, $name);
}

allow(user => 10);
costs(1, 'redeem_coupon', q(SELECT redeem_coupon(me, 'A')));
costs(1, 'redeem_coupon of an amount', q(SELECT redeem_coupon(me, 'A', 1::bigint)));
costs(1, 'redeem_coupon by text', q(SELECT redeem_coupon('me'::text, 'A')));
costs(1, 'redeem_coupon_strict', q(SELECT redeem_coupon_strict(me, 'A')));
costs(1, 'redeem_coupon_strict that fails', q(SELECT redeem_coupon_strict(me, 'NONE')));
costs(1, 'redeem_coupon_strict of an amount that fails', q(SELECT redeem_coupon_strict(me, 'NONE', 1::bigint)));
costs(1, 'hold_coupon', q(SELECT hold_coupon(me, 'A')));
costs(1, 'hold_coupon of an amount', q(SELECT hold_coupon(me, 'A', '1 hour', 1)));
costs(1, 'check_coupon', q(SELECT check_coupon(me, 'A')));
costs(1, 'claim_coupon', q(SELECT claim_coupon(me, 'Spring')));
costs(1, 'claim_coupon of no campaign', q(SELECT claim_coupon(me, 'Autumn')));
costs(2, 'claim_coupon and release_claim', q(SELECT claim_coupon(me, 'Spring'); SELECT release_claim(me, 'Spring')));
costs(3, 'each code of redeem_coupons', q(SELECT redeem_coupons(me, '{A,B,NONE}')));
costs(2, 'each code of redeem_coupons with amounts', q(SELECT redeem_coupons(me, '{A,B}', '{1,2}'::bigint[])));
costs(4, 'each row of redeem_coupon_for_each', q(SELECT redeem_coupon_for_each('{me,me,me,me}'::bigint[], '{A,B,NONE,A}')));
costs(2, 'a retry', q(SELECT redeem_coupon(me, 'A', 'order-me'); SELECT redeem_coupon(me, 'A', 'order-me')));
costs(1, 'a transaction that is rolled back', q(BEGIN; SELECT redeem_coupon(me, 'A'); ROLLBACK));
costs(2, 'savepoints that are rolled back',
	q(BEGIN; SAVEPOINT one; SELECT redeem_coupon(me, 'NONE'); ROLLBACK TO one; SELECT redeem_coupon(me, 'NONE'); ROLLBACK TO one; COMMIT));
costs(1, 'a transaction that fails later', q(BEGIN; SELECT redeem_coupon(me, 'A'); SELECT 1 / 0));
costs(1, 'a read-only transaction', q(BEGIN READ ONLY; SELECT check_coupon(me, 'A'); COMMIT));
costs(1, 'a confirmation counts nothing', q(SELECT confirm_hold(redemption_id) FROM hold_coupon(me, 'A')));
costs(1, 'a void counts nothing', q(SELECT void_redemption(redemption_id) FROM redeem_coupon(me, 'A')));
costs(0, 'arguments that are wrong', q(SELECT redeem_coupon(me, NULL)));
costs(0, 'a request id that is wrong', q(SELECT redeem_coupon(me, 'A', '')));
costs(0, 'no amount below 1', q(SELECT redeem_coupon(me, 'A', 0::bigint)));

allow(user => 2);
is(join(', ', map { join ' ', @$_ } $session->query(q(SELECT code, status, retry_at > now() FROM redeem_coupons(10, '{A,B,A,NONE}', NULL::bigint[])))),
	'A withheld , B withheld , A throttled t, NONE throttled t', 'of several codes those beyond are throttled, and the others withheld');
is(said(q(SELECT count(*) FROM coupon_redemption WHERE user_id = '10')), 0, 'then none is redeemed');
is(said(q(SELECT status FROM redeem_coupons(10, '{A}'))), 'throttled', 'the form without amounts has the status alone');
is(said(q(SELECT status FROM redeem_coupon_for_each('{11,12,11,12,11,13}'::bigint[], '{A,A,A,A,A,A}'))), 'redeemed redeemed redeemed redeemed throttled redeemed',
	'of many users each has its own attempts');
is(said(q(SELECT status FROM claim_coupon(10, 'Spring'))), 'throttled', 'a claim is throttled');
is(said(q(SELECT status FROM release_claim(10, 'Spring'))), 'throttled', 'so is its release');
is(said(q(SELECT status FROM hold_coupon(10, 'A'))), 'throttled', 'and a hold');
is(said(q(SELECT count(*) FROM (SELECT retry_at FROM claim_coupon(10, 'Spring') UNION ALL SELECT retry_at FROM release_claim(10, 'Spring')
	UNION ALL SELECT retry_at FROM hold_coupon(10, 'A') UNION ALL SELECT retry_at FROM check_coupon(10, 'A')) a WHERE retry_at > now())), 4,
	'each says when to come again');

# ---- a client, a database -----------------------------------------------------------------------------------------------------

allow(user => 0, client => 3);
is(left_to(20), 'no end', 'without a client there is no limit for clients');
is(left_to(20, '203.0.113.7'), 3, 'a client has so many attempts');
is(left_to(21, '203.0.113.7'), 0, 'whoever its users are');
is(left_to(20, '203.0.113.8'), 3, 'another client has its own');
is(left_to(20), 'no end', 'SET LOCAL ends with the transaction');
is(fails(q(SET coupon_guard.client = ') . 'x' x 256 . q(')), '22023', 'a client has 255 bytes at most');
is(left_to(20, 'x' x 255), 3, 'which are enough');

allow(user => 3, client => 5);
is(left_to(22, 'both'), 3, 'an attempt must be within all limits: its user has no more');
is(left_to(23, 'both'), 2, 'what the user was refused, its client has not been charged for');
is(left_to(23), 1, 'what the client was refused, its user has not been charged for');

allow(user => 2, client => 0, database => 5);
is(left_to(24), 2, 'the user has no more');
is(left_to(25), 2, 'the next neither');
is(left_to(26), 1, 'then all users together have no more');
allow(database => 0);
is(left_to(26), 1, 'what was refused to all was not charged to the user');
$node->safe_psql('postgres', 'CREATE DATABASE other TEMPLATE template0');
$node->safe_psql('other', 'CREATE EXTENSION coupon_guard');
is($node->safe_psql('other', "SET coupon_guard.throttle_user_rate = $one_a_day; SET coupon_guard.throttle_user_burst = 2; SELECT status FROM check_coupon(26, 'NONE')"),
	'not_found', 'the same user of another database is another one');

# ---- by whom it is set --------------------------------------------------------------------------------------------------------

$node->safe_psql('postgres', q(
	CREATE ROLE shop LOGIN; CREATE ROLE import LOGIN; CREATE ROLE dba LOGIN;
	GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO shop, import, dba;
	GRANT SET ON PARAMETER coupon_guard.throttle_user_rate TO dba));
$node->append_conf('postgresql.conf', "coupon_guard.throttle_user_rate = $one_a_day\ncoupon_guard.throttle_user_burst = 4");
$session->query('RESET ALL');
is(said(q(SELECT count(*) FROM generate_series(1, 20) i, check_coupon(30, CASE WHEN i > 0 THEN 'A' END) WHERE status = 'throttled')), 0, 'before the reload nothing is throttled');
$node->reload;
$node->poll_query_until('postgres', q(SELECT current_setting('coupon_guard.throttle_user_burst') = '4')) or die;
is(left_to(31), 4, 'a reload sets rate and burst, in sessions that are open, too');
$node->safe_psql('postgres', 'ALTER ROLE import SET coupon_guard.throttle_user_rate = 0');

sub as_role
{
	my ($role, $sql) = @_;
	my ($out, $err) = ('', '');
	$node->psql('postgres', $sql, connstr => $node->connstr('postgres') . " user=$role", stdout => \$out, stderr => \$err);
	return join ' ', split(/\n/, $out), $err =~ /ERROR:  (.*)/;
}
my $six = q(SELECT status FROM generate_series(1, 6) i, check_coupon(32, CASE WHEN i > 0 THEN 'NONE' END));
is(as_role('import', $six), join(' ', ('not_found') x 6), 'a role may have another rate, or none');
is(as_role('shop', $six), join(' ', ('not_found') x 4, ('throttled') x 2), 'that of others stays');
is(as_role('shop', 'SET coupon_guard.throttle_user_rate = 0'), 'permission denied to set parameter "coupon_guard.throttle_user_rate"', 'nobody sets it for itself');
is(as_role('shop', q(SELECT set_config('coupon_guard.client', 'a', true))), 'a', 'but anybody says who the client is');
is(as_role('dba', "SET coupon_guard.throttle_user_rate = 0; $six"), join(' ', ('not_found') x 6), 'unless it has been granted');

# ---- at once ------------------------------------------------------------------------------------------------------------------

$node->safe_psql('postgres', 'ALTER SYSTEM SET coupon_guard.throttle_user_burst = 20');
$node->reload;
$node->poll_query_until('postgres', q(SELECT current_setting('coupon_guard.throttle_user_burst') = '20')) or die;
my @crowd = map { CouponGuard::Session->new($node) } 1 .. 64;
$_->start(q(SELECT status FROM redeem_coupon(40, 'A'))) foreach @crowd;
my %answers;
$answers{ $_->finish->{rows}[0][0] }++ foreach @crowd;
is_deeply(\%answers, { redeemed => 20, throttled => 44 }, 'of 64 attempts of one user at once exactly the burst gets through');
$_->close foreach @crowd;

# ---- a restart, and more users than there is room for -------------------------------------------------------------------------

my ($burst, $entries) = (3, 64);
$node->safe_psql('postgres', "ALTER SYSTEM SET coupon_guard.throttle_user_burst = $burst; ALTER SYSTEM SET coupon_guard.throttle_entries = $entries");
$node->restart;
$session = CouponGuard::Session->new($node);
my $size = said(q(SELECT allocated_size FROM pg_shmem_allocations WHERE name = 'coupon_guard throttle'));
is(left_to(31), $burst, 'a restart forgets');
is(left_to(31), 0, 'and counts anew');
# Enough users that all places are taken: each has one burst, whoever used it.
my $crowd = q(SELECT count(*) FROM (SELECT array_agg(i) AS users, array_agg('NONE'::text) AS codes FROM generate_series(1000, 20999) i) u,
	redeem_coupon_for_each(u.users, u.codes) WHERE status <> 'throttled');
my $allowed = said($crowd) + said($crowd);
is($allowed + $burst, $entries * $burst, 'an attacker with 20,000 users has as many attempts as the memory has room for, and no more');
is(left_to(31), 0, 'and has not been able to make it forget a user');
is(left_to(500), 0, 'then newcomers are refused');
is(said(q(SELECT allocated_size FROM pg_shmem_allocations WHERE name = 'coupon_guard throttle')), $size, 'the memory has not grown');
$session->close;

# ---- without preloading -------------------------------------------------------------------------------------------------------

$node->append_conf('postgresql.conf', q(shared_preload_libraries = ''));
$node->safe_psql('postgres', 'ALTER SYSTEM RESET coupon_guard.throttle_entries');
$node->restart;
is($node->safe_psql('postgres', q(SELECT status FROM generate_series(1, 20) i, check_coupon(31, CASE WHEN i > 0 THEN 'A' END) GROUP BY 1)), 'redeemed',
	'without preloading nothing is throttled, whatever is set');
is($node->safe_psql('postgres', q(SELECT redeem_coupon(50, 'A'); SELECT current_setting('coupon_guard.throttle_entries', true) IS NULL)) =~ s/.*\n//r, 't',
	'and it can be seen');
is($node->safe_psql('postgres', q(UPDATE coupon SET active = false WHERE code = 'B'; SET coupon_guard.refusals_alike_after = 1; SELECT status FROM redeem_coupon(50, 'B'))),
	'not_found', 'refusals can be alike all the same');
$node->psql('postgres', q(SELECT coupon_guard_version(); SET coupon_guard.throttle_user_rate = 1), stderr => \$stderr);
like($stderr, qr/WARNING:  without preloading, coupon_guard throttles nothing/, 'who sets a rate by hand is warned');
$node->psql('postgres', q(SELECT coupon_guard_version(); SET coupon_guard.client = 'a'), stderr => \$stderr);
is($stderr, '', 'who says who the client is, is not');

$node->stop;
done_testing();
