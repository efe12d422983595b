# Codes that are handed out to many at once: each code to one user, each user one code, all of them; nobody is refused while a code is
# free, or may come free. What is claimed outlives crash, dump and a prepared transaction.

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
$node->append_conf('postgresql.conf', "max_connections = 100\nmax_prepared_transactions = 5\nfsync = off\nstatement_timeout = '120s'\ndeadlock_timeout = '20ms'");
$node->start;
$node->safe_psql(
	'postgres', q(
	CREATE EXTENSION coupon_guard;
	CREATE TABLE answer (user_id bigint, status text, code text, replayed boolean);
	CREATE SEQUENCE customer;
	CREATE FUNCTION must(got coupon_status, wanted text) RETURNS text LANGUAGE plpgsql AS $$
	BEGIN
		IF got::text <> wanted THEN RAISE EXCEPTION '% and not %', got, wanted; END IF;
		RETURN got;
	END $$));

sub value
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

# Campaign DROP with so many codes, for one use each.
sub start_anew
{
	my ($codes) = @_;
	return value(qq(TRUNCATE answer, coupon_redemption, coupon, campaign; ALTER SEQUENCE customer RESTART;
		INSERT INTO campaign (id, name) VALUES (1, 'Drop');
		INSERT INTO coupon (id, campaign_id, code, max_redemptions) SELECT i, 1, 'D' || i, 1 FROM generate_series(1, $codes) AS i));
}

sub is_sound
{
	my ($when) = @_;
	is(value('SELECT * FROM coupon_guard_verify()'), '', "nothing is broken $when");
	is(value(q(SELECT count(*) FROM (SELECT user_id, code FROM answer WHERE status = 'claimed'
		EXCEPT SELECT holder::bigint, code FROM coupon WHERE holder IS NOT NULL) AS wrong)),
		'0', "what users were told is theirs $when");
	return;
}

# --- more users than codes, some of whom give up, ask twice, or redeem at once --------------------------------------------------

my $claim = q(INSERT INTO answer SELECT c, status, code, replayed FROM nextval('customer') AS c, claim_coupon(c, 'drop'););
foreach my $codes (1, 50, 3000)
{
	my $clients = 64;
	my $each = int(($codes + 400) / $clients * 1.3) + 1;
	start_anew($codes);
	$node->pgbench(
		"--no-vacuum --client=$clients --jobs=2 --transactions=$each --protocol=prepared",
		0,
		[ qr{actually processed: @{[$clients * $each]}/}, qr{number of failed transactions: 0 } ],
		[qr{^$}],
		"$codes codes, $clients connections",
		{
			"alone_$codes\@6" => $claim,
			"in_transaction_$codes\@4" => "BEGIN; $claim COMMIT;",
			"gives_up_$codes\@1" => "BEGIN; $claim ROLLBACK;",
			"gives_up_half_$codes\@1" => "BEGIN; SAVEPOINT s; $claim ROLLBACK TO s; $claim COMMIT;",
			"redeems_$codes\@2" => "BEGIN; $claim
				SELECT redeem_coupon(user_id, code) FROM answer WHERE user_id = currval('customer') AND status = 'claimed'; COMMIT;",
			"asks_twice_$codes\@1" => "$claim SELECT must(status, coalesce((SELECT status FROM answer WHERE user_id = currval('customer')), 'sold_out'))
				FROM claim_coupon(currval('customer'), 'DROP');",
		});
	is(value('SELECT count(*), count(holder), count(DISTINCT holder) FROM coupon'), "$codes|$codes|$codes", 'each code has a user of its own');
	is(value(q(SELECT count(DISTINCT code), count(DISTINCT user_id) FROM answer WHERE status = 'claimed')), "$codes|$codes", 'and each was told so');
	is(value(q(SELECT count(*) FROM answer WHERE status NOT IN ('claimed', 'sold_out'))), '0', 'the others heard sold_out');
	is_sound("with $codes codes");
}

# --- few users, many connections ------------------------------------------------------------------------------------------------

# Of calls for one user at once, whoever comes first gets a code, and all others the same.
start_anew(1000);
$node->pgbench(
	'--no-vacuum --client=32 --jobs=2 --transactions=100 --protocol=prepared',
	0,
	[ qr{actually processed: 3200/}, qr{number of failed transactions: 0 } ],
	[qr{^$}],
	'40 users, 32 connections',
	{
		'same_user@3' => q(
			\set user random(1, 40)
			INSERT INTO answer SELECT :user, status, code, replayed FROM claim_coupon(:user::bigint, 'drop');),
		'same_user_gives_up@1' => q(
			\set user random(1, 40)
			BEGIN; SELECT must(status, 'claimed') FROM claim_coupon(:user::bigint, 'drop'); ROLLBACK;),
	});
is(value('SELECT count(holder), count(DISTINCT holder) FROM coupon'), '40|40', 'one code a user');
is(value(q(SELECT count(*), count(DISTINCT code), count(*) FILTER (WHERE NOT replayed) FROM (SELECT DISTINCT user_id, code, replayed FROM answer) AS told WHERE NOT replayed)),
	'40|40|40', 'which was new to one call');
is_sound('with few users');

# --- never "sold out" while a code is free --------------------------------------------------------------------------------------

# As many codes as there are users, each of whom has one at a time: so one is always free when somebody asks. The codes are far apart,
# so that a look at all of them takes long enough for others to give codes back behind it, and to take them in front of it. Where a
# backend goes on is forgotten in between, by a campaign of which it remembers that in the same place.
foreach my $users (2, 4)
{
	value(qq(TRUNCATE answer, coupon_redemption, coupon, campaign;
		INSERT INTO campaign (id, name) VALUES (1, 'Drop'), (65, 'Other');
		INSERT INTO coupon (campaign_id, code, max_redemptions, active) SELECT 1, 'D' || i, 1, i % (20000 / $users) = 5 FROM generate_series(1, 20000) AS i;
		INSERT INTO coupon (campaign_id, code, max_redemptions) SELECT 65, 'O' || i, 1 FROM generate_series(1, 100) AS i));
	my $forget = q(SELECT claim_coupon(:client_id::bigint, 'other'); SELECT release_claim(:client_id::bigint, 'other'););
	my $claim = q(SELECT must(status, 'claimed') FROM claim_coupon(:client_id::bigint, 'drop'););
	my $release = q(SELECT must(status, 'released') FROM release_claim(:client_id::bigint, 'drop'););
	$node->pgbench(
		"--no-vacuum --client=$users --jobs=2 --transactions=400 --protocol=prepared",
		0,
		[ qr{actually processed: @{[400 * $users]}/}, qr{number of failed transactions: 0 } ],
		[qr{^$}],
		"$users users of $users codes: nobody is refused",
		{
			"and_back_$users\@2" => "$forget $claim $release",
			"and_back_at_once_$users\@1" => "$forget BEGIN; $claim $release $claim ROLLBACK;",
		});
	is(value('SELECT count(holder) FROM coupon'), '0', 'all have been given back');
	is_sound("with $users users of $users codes");
}

# --- prepared, crashed, dumped --------------------------------------------------------------------------------------------------

start_anew(2);
value(q(BEGIN; SELECT claim_coupon(1, 'drop'); PREPARE TRANSACTION 'one'; SELECT claim_coupon(2, 'drop')));
my $same = start_rival($node, q(claim_coupon(1, 'drop')));
my $other = start_rival($node, q(claim_coupon(3, 'drop')));
value(q(COMMIT PREPARED 'one'));
is(answer($same), 'claimed', 'prepared and committed: the user has the code');
is(answer($other), 'sold_out', 'prepared and committed: nobody else has');
$node->stop('immediate');
$node->start;
is(value(q(SELECT status, replayed FROM claim_coupon(1, 'drop'))), 'claimed|t', 'after a crash, too');
is(value(q(SELECT status FROM claim_coupon(3, 'drop'))), 'sold_out', 'after a crash, too');
my $dump = PostgreSQL::Test::Utils::tempdir() . '/dump.sql';
$node->run_log([ 'pg_dump', '--dbname', $node->connstr('postgres'), '--file', $dump ]);
value('CREATE DATABASE restored');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('restored'), '-f', $dump ], 'the dump is restored');
is($node->safe_psql('restored', q(SELECT user_id, status, replayed FROM generate_series(1, 3) AS user_id, claim_coupon(user_id, 'drop'))),
	"1|claimed|t\n2|claimed|t\n3|sold_out|f", 'and who has which code with it');

done_testing();
