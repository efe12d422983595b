# More buyers than units, from many connections: exactly as many redemptions as the cap says, and nobody refused who could have had
# a unit. Partly used quotas outlive dump, restore, crash and prepared transactions; a request id tells what became of a COMMIT.

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
$node->append_conf('postgresql.conf', "max_connections = 150\nmax_prepared_transactions = 10\nstatement_timeout = '120s'\ndeadlock_timeout = '20ms'");
$node->start;
$node->safe_psql(
	'postgres', q(
	CREATE EXTENSION coupon_guard;
	CREATE TABLE answer (coupon_id bigint, buyer bigint, status text, redemption_id bigint);
	CREATE SEQUENCE buyer));

sub value
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

sub is_sound
{
	my ($when) = @_;
	is(value('SELECT * FROM coupon_guard_verify()'), '', "nothing is broken $when");
}

# --- B buyers of C units, all of whom commit ----------------------------------

foreach my $cap (1, 2, 63, 64, 65, 1000)
{
	my $clients = 32;
	my $each = int(($cap + 200) / $clients) + 1;
	value("TRUNCATE coupon, coupon_redemption, answer; INSERT INTO coupon (code, max_redemptions) VALUES ('CAP', $cap)");
	$node->pgbench(
		"--no-vacuum --client=$clients --jobs=2 --transactions=$each --protocol=prepared",
		0,
		[ qr{actually processed: @{[$clients * $each]}/}, qr{number of failed transactions: 0 } ],
		[qr{^$}],
		"cap $cap, $clients connections",
		{
			"buy_$cap" => q(
				BEGIN;
				INSERT INTO answer SELECT coupon_id, b, status, redemption_id FROM nextval('buyer') b, LATERAL redeem_coupon(b, 'CAP');
				COMMIT;)
		});
	my $refused = $clients * $each - $cap;
	is( value("SELECT count(*) FILTER (WHERE status = 'redeemed'), count(*) FILTER (WHERE status = 'sold_out') FROM answer"),
		"$cap|$refused", "cap $cap: exactly $cap redeemed, the others sold_out");
	is(value('SELECT redeemed, remaining_units FROM coupon_usage'), "$cap|0", "cap $cap: and so says the ledger");
	is_sound("with cap $cap");
}

# --- cap 1000, 64 connections, 5,000 buyers of whom one in ten gives up --------

# After the last unit is gone all are refused; were one refused too early and were it the last to come, a unit would be left.
value(q(TRUNCATE coupon, coupon_redemption, answer; INSERT INTO coupon (code, max_redemptions) VALUES ('CAP', 1000)));
$node->pgbench(
	'--no-vacuum --client=64 --jobs=2 --transactions=79 --protocol=prepared',
	0,
	[ qr{actually processed: 5056/}, qr{number of failed transactions: 0 } ],
	[qr{^$}],
	'one in ten gives up after its redemption',
	{
		'drop' => q(
			\set gives_up random(1, 10)
			BEGIN;
			INSERT INTO answer SELECT coupon_id, b, status, redemption_id FROM nextval('buyer') b, LATERAL redeem_coupon(b, 'CAP');
			\if :gives_up = 1
			ROLLBACK;
			\else
			COMMIT;
			\endif)
	});
is( value('SELECT redeemed, voided, remaining_units FROM coupon_usage'),
	'1000|0|0', 'exactly 1000 live redemptions: nobody was refused for a unit that came back');
is( value(q(SELECT count(*) FROM answer a FULL JOIN coupon_redemption l ON l.id = a.redemption_id
		WHERE (a.status = 'redeemed') IS DISTINCT FROM (l.id IS NOT NULL))),
	'0', 'what was answered is what is in the ledger');
is_sound('after the drop');

# The last unit changes hands until somebody keeps it: whoever is refused has seen it kept.
value('CREATE SEQUENCE refused_too_early');
value(q(TRUNCATE coupon, coupon_redemption, answer; INSERT INTO coupon (code, max_redemptions) VALUES ('CAP', 1)));
$node->pgbench(
	'--no-vacuum --client=32 --jobs=2 --transactions=20',
	0,
	[ qr{actually processed: 640/}, qr{number of failed transactions: 0 } ],
	[qr{^$}],
	'the last unit, given up and taken again',
	{
		'last_unit' => q(
			\set gives_up random(1, 20)
			BEGIN;
			INSERT INTO answer SELECT coupon_id, b, status, redemption_id FROM nextval('buyer') b, LATERAL redeem_coupon(b, 'CAP');
			-- Refused although nobody has it for good: counted where no rollback takes it back.
			SELECT CASE WHEN status = 'sold_out' AND NOT EXISTS (SELECT FROM coupon_redemption) THEN nextval('refused_too_early') END
			  FROM answer ORDER BY buyer DESC LIMIT 1;
			\if :gives_up > 1
			ROLLBACK;
			\else
			COMMIT;
			\endif)
	});
is(value('SELECT is_called FROM refused_too_early'), 'f', 'nobody is refused before somebody keeps the last unit');
is_sound('after the last unit');

# --- dump and restore ----------------------------------------------------------

value(q(TRUNCATE coupon, coupon_redemption, answer;
	INSERT INTO coupon (code, max_redemptions) VALUES ('ONE', 1), ('USED', 1), ('TEN', 10), ('FULL', 2), ('ANY', NULL), ('MANY', 5000)));
value(q(SELECT count(*) FROM (VALUES ('USED', 1), ('TEN', 4), ('FULL', 2), ('ANY', 3), ('MANY', 1234)) c(code, times),
	generate_series(1, times) buyer, LATERAL redeem_coupon(buyer, c.code);
	SELECT void_redemption(max(id)) FROM coupon_redemption WHERE coupon_id = (SELECT id FROM coupon WHERE code = 'TEN');
	SELECT hold_coupon(99, 'TEN')));
my $usage = 'SELECT code, redeemed, held, voided, remaining_units FROM coupon_usage ORDER BY code';
my $before = value($usage);
my $dump = $node->basedir . '/dump';
$node->command_ok([ 'pg_dump', '-f', "$dump.sql", $node->connstr('postgres') ], 'plain dump');
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dump.custom", $node->connstr('postgres') ], 'custom dump');
value('CREATE DATABASE plain');
value('CREATE DATABASE custom');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$dump.sql", $node->connstr('plain') ], 'plain restore');
$node->command_ok([ 'pg_restore', '-j', '2', '-d', $node->connstr('custom'), "$dump.custom" ], 'custom restore, two jobs');
foreach my $database ('plain', 'custom')
{
	is($node->safe_psql($database, $usage), $before, "$database: every coupon stands as it stood");
	is($node->safe_psql($database, 'SELECT * FROM coupon_guard_verify()'), '', "$database: nothing is broken");
	is( $node->safe_psql($database, q(SELECT c.code, count(*) FROM coupon c, generate_series(10001, 14000) buyer, LATERAL redeem_coupon(buyer, c.code) r
			WHERE r.status = 'redeemed' AND c.max_redemptions IS NOT NULL GROUP BY 1 ORDER BY 1)),
		"MANY|3766\nONE|1\nTEN|6", "$database: exactly the units left can be had");
	is($node->safe_psql($database, 'SELECT * FROM coupon_guard_verify()'), '', "$database: still nothing is broken");
}

# --- PREPARE TRANSACTION with the last unit; a crash ----------------------------

value("BEGIN; SELECT redeem_coupon(1, 'ONE'); PREPARE TRANSACTION 'last'");
my $rival = start_rival($node, "redeem_coupon(2, 'ONE')");
value("ROLLBACK PREPARED 'last'");
is(answer($rival), 'redeemed', 'rollback prepared: the rival has the unit');
value("SELECT void_redemption(id) FROM coupon_redemption WHERE user_id = '2' AND redeemed_at > (SELECT max(voided_at) FROM coupon_redemption)");
value("BEGIN; SELECT redeem_coupon(3, 'ONE'); PREPARE TRANSACTION 'last'");
# Units taken ahead are given back before the transaction is prepared.
value("BEGIN; SELECT redeem_coupon(b, 'MANY') FROM generate_series(5001, 5004) b; PREPARE TRANSACTION 'many'");
my $open = $node->background_psql('postgres');
$open->query_safe("BEGIN; SELECT count(*) FROM generate_series(6001, 6100) b, LATERAL redeem_coupon(b, 'MANY')");
$node->stop('immediate');
$open->{run}->finish;
$node->start;
$rival = start_rival($node, "redeem_coupon(4, 'ONE')");
value("COMMIT PREPARED 'last'");
is(answer($rival), 'sold_out', 'commit prepared, after a crash: sold out');
value("COMMIT PREPARED 'many'");
is(value("SELECT redeemed, remaining_units FROM coupon_usage WHERE code = 'MANY'"), '1238|3762', 'a transaction open at the crash has taken nothing');
is_sound('after a crash');

# --- killed at COMMIT ------------------------------------------------------------

# Whether the transaction had committed when the connection was lost is unknown; the same request id tells, and redeems at most once.
# A deferred trigger holds COMMIT before it is done; or the connection is lost when it is done.
value(q(CREATE FUNCTION wait_here() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NULL; END';
	CREATE CONSTRAINT TRIGGER before_commit AFTER INSERT ON coupon_redemption DEFERRABLE INITIALLY DEFERRED
	  FOR EACH ROW WHEN (NEW.user_id = '201') EXECUTE FUNCTION wait_here()));
my $gate = $node->background_psql('postgres');
$gate->query_safe('SELECT pg_advisory_lock(1)');
sub kill_at_commit
{
	my ($user, $is_there) = @_;
	my $client = $node->background_psql('postgres', on_error_stop => 0);
	my $pid = $client->query_safe('SELECT pg_backend_pid()');
	$client->query_safe("BEGIN; SELECT redeem_coupon($user, 'TEN', 'r-$user')");
	$client->query_until(qr/started/, "\\echo started\nCOMMIT;\n");
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE pid = $pid AND $is_there")
	  or die 'COMMIT is not where it should be';
	value("SELECT pg_terminate_backend($pid)");
	$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = $pid") or die 'the backend does not end';
	$client->{run}->finish;
	return;
}
kill_at_commit(201, "wait_event = 'advisory'");
$gate->quit;
is(value("SELECT status, replayed FROM redeem_coupon(201, 'TEN', 'r-201')"), 'redeemed|f', 'killed before the commit: redeemed by the retry');
kill_at_commit(202, "state = 'idle' AND query = 'COMMIT;'");
is(value("SELECT status, replayed FROM redeem_coupon(202, 'TEN', 'r-202')"), 'redeemed|t', 'killed after the commit: replayed by the retry');
is(value("SELECT count(*) FROM coupon_redemption WHERE request_id IN ('r-201', 'r-202')"), '2', 'each has been redeemed once');
is_sound('after the kills');

$node->stop;
done_testing();
