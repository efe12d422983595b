# PgBouncer between the application and the server. In transaction mode a client has a server's session for one transaction only: all that
# a redemption needs is in its transaction, so it works; what a session would have to remember (a setting, a prepared statement) does not.
# In statement mode a redemption stands alone, and an order cannot join it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use CouponGuard::Pooler;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'no pgbouncer' if !CouponGuard::Pooler::program();

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
$node->safe_psql(
	'postgres', q(
	CREATE SCHEMA promo;
	CREATE EXTENSION coupon_guard SCHEMA promo;
	INSERT INTO promo.coupon (code, terms) VALUES ('SAVE10', '{"percent": 10}');
	CREATE TABLE orders (user_id bigint, redemption_id bigint);
	CREATE SEQUENCE customer START 1000;
	CREATE ROLE shop LOGIN;
	CREATE ROLE patient_shop LOGIN IN ROLE shop;
	GRANT INSERT ON orders TO shop;
	GRANT USAGE ON SEQUENCE customer TO shop;
	GRANT USAGE ON SCHEMA promo TO shop;
	GRANT EXECUTE ON FUNCTION promo.redeem_coupon(bigint, text, text, jsonb) TO shop;
	ALTER ROLE shop SET lock_timeout = '1s')); # of a role's own sessions: patient_shop has none of it

sub value
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

# --- a PgBouncer with so many sessions of the server for all its clients -------------------------------------------------

my $pooler = CouponGuard::Pooler->new($node, 'patient_shop', 'shop');
note("PgBouncer $pooler->{version}");

# A customer that nobody else is.
my $script = $node->basedir . '/script';
append_to_file($script, <<'SCRIPT');
BEGIN;
SET LOCAL lock_timeout = '1s';
SELECT nextval('customer') AS customer \gset
SELECT status, redemption_id FROM promo.redeem_coupon(CAST(:customer AS bigint), 'SAVE10') \gset
INSERT INTO orders VALUES (CAST(:customer AS bigint), CAST(:redemption_id AS bigint));
COMMIT;
SCRIPT

# What a client of the pooler gets: its output, and its errors.
sub ask
{
	my ($sql, %options) = @_;
	my ($output, $errors);
	$node->psql(
		'postgres', $sql,
		connstr => $pooler->connstr($options{role}), stdout => \$output, stderr => \$errors, on_error_stop => 0);
	return $options{errors} ? $errors : $output;
}

sub start_client { return $node->background_psql('postgres', extra_params => [ '-d', $pooler->connstr(@_) ]) }

# So many clients, each of which redeems and orders in ten transactions, by the protocol of this name. Each has a thread of its own: to
# prepare a statement, pgbench stops the thread.
sub redeem_by
{
	my ($protocol, $clients) = @_;
	my ($output, $errors) = ('', '');
	my $is_good = IPC::Run::run(
		[ $node->installed_command('pgbench'), '-n', '-M', $protocol, '-c', $clients, '-j', $clients, '-t', 10, '-f', $script, $pooler->connstr ],
		'<', \undef, '>', \$output, '2>', \$errors);
	return ($is_good, $errors);
}

sub orders
{
	return value(q(SELECT format('%s orders, %s with their redemption', count(*), count(r.id))
		FROM orders o LEFT JOIN promo.coupon_redemption r ON r.id = o.redemption_id AND r.user_id = o.user_id::text));
}

# --- transaction mode ----------------------------------------------------------------------------------------------------

$pooler->start('transaction', 1);

foreach my $protocol ('simple', 'extended')
{
	value('TRUNCATE orders');
	my ($is_good, $errors) = redeem_by($protocol, 2);
	ok($is_good, "transaction mode, $protocol protocol: two clients share one session") or diag($errors);
	is(orders(), '20 orders, 20 with their redemption', "$protocol protocol: every order has its redemption");
}

# The first client leaves its statements in the session; the second one's have the same names.
{
	value('TRUNCATE orders');
	my ($is_good, $errors) = redeem_by('prepared', 1);
	ok($is_good, 'named prepared statements work for the first client of a session') or diag($errors);
	($is_good, $errors) = redeem_by('prepared', 1);
	if ($pooler->{keeps_statements})
	{
		ok($is_good, 'and for the second, with max_prepared_statements') or diag($errors);
		is(orders(), '20 orders, 20 with their redemption', 'every order has its redemption');
	}
	else
	{
		like($errors, qr/prepared statement "\w+" already exists/, 'before 1.21, not for the second');
		is(orders(), '10 orders, 10 with their redemption', 'which leaves no order, and no redemption');
	}
}

# One session, so whoever comes next has it.
ask("SET lock_timeout = '7s'");
is(ask('SHOW lock_timeout'), '7s', 'SET is left to the next client of the session');
ask('RESET lock_timeout');
ask("BEGIN; SET LOCAL lock_timeout = '7s'; COMMIT");
is(ask('SHOW lock_timeout'), '0', 'SET LOCAL is not');
is(ask('SHOW lock_timeout', role => 'shop'), '1s', 'ALTER ROLE ... SET holds in each session of the role');
$pooler->stop;

# Two sessions: while a transaction has the first, the client that has set something there is given the second.
$pooler->start('transaction', 2);
{
	my $setter = start_client();
	$setter->query_safe("SET lock_timeout = '7s'");
	my $other = start_client();
	$other->query_safe('BEGIN');
	is($other->query_safe('SHOW lock_timeout'), '7s', 'SET: another client has it');
	is($setter->query_safe('SHOW lock_timeout'), '0', 'and the one that has set it does not');
	$other->query_safe('COMMIT');
	$_->quit foreach $setter, $other;
	ask('BEGIN; RESET lock_timeout; COMMIT');
}

# A rival that waits, through the pooler.
foreach my $way ([ 'SET LOCAL', 'patient_shop', "BEGIN; SET LOCAL lock_timeout = '1s';" ], [ 'ALTER ROLE', 'shop', 'BEGIN;' ])
{
	my ($name, $role, $begin) = @{$way};
	my $first = start_client('patient_shop');
	$first->query_safe(q(BEGIN; SELECT status FROM promo.redeem_coupon(42::bigint, 'SAVE10')));
	like(
		ask("$begin SELECT status FROM promo.redeem_coupon(42::bigint, 'SAVE10'); ROLLBACK", role => $role, errors => 1),
		qr/canceling statement due to lock timeout/,
		"$name: a rival gives up through the pooler");
	$first->query_safe('ROLLBACK');
	$first->quit;
}
$pooler->stop;

# --- statement mode ------------------------------------------------------------------------------------------------------

$pooler->start('statement', 1);
value('TRUNCATE orders, promo.coupon_redemption');
is(ask(q(SELECT status FROM promo.redeem_coupon(1::bigint, 'SAVE10', 'click-1'))), 'redeemed', 'statement mode: a single call works');
is( ask(q(SELECT status, replayed FROM promo.redeem_coupon(1::bigint, 'SAVE10', 'click-1'))),
	'redeemed|t', 'statement mode: so does its retry');
my $refused = ask(q(BEGIN; SELECT status FROM promo.redeem_coupon(2::bigint, 'SAVE10'); COMMIT), errors => 1);
like($refused, qr/transaction blocks not allowed in statement pooling mode/, 'statement mode: a transaction of several statements is refused');
is(value(q(SELECT count(*) FROM promo.coupon_redemption WHERE user_id = '2')), '0', 'and leaves nothing');
$pooler->stop;

$node->stop;
done_testing();
