# One budget, many connections, random amounts, some rolled back: what the redemptions have and what is left are the budget exactly, and
# nobody is refused what could still be had.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($clients, $budget, $most) = (64, 1_000_000, 5_000);

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "max_connections = 100\nstatement_timeout = '120s'\ndeadlock_timeout = '20ms'");
$node->start;
$node->safe_psql(
	'postgres', q(
	CREATE EXTENSION coupon_guard;
	-- What each buyer was told, written in the same transaction.
	CREATE TABLE answer (buyer bigint, asked bigint, status coupon_status, redemption_id bigint, amount bigint);
	CREATE SEQUENCE buyer;
	-- Counted where no rollback takes it back.
	CREATE SEQUENCE rolled_back;
	CREATE SEQUENCE refused_too_early));

sub value
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

sub new_budget
{
	value("TRUNCATE coupon, coupon_redemption, answer; ALTER SEQUENCE rolled_back RESTART; ALTER SEQUENCE refused_too_early RESTART;
		INSERT INTO coupon (code, budget, max_per_user) VALUES ('BUDGET', $budget, NULL)");
	return;
}

# Runs $each transactions a connection: a buyer wants 1 to $most, and one in ten of those who get it rolls back. A refusal is too early if
# what was committed then, and so if what is committed now, leaves the amount: nobody gives anything back.
sub spend
{
	my ($name, $each, $arguments) = @_;
	$node->pgbench(
		"--no-vacuum --client=$clients --jobs=2 --transactions=$each",
		0,
		[ qr{actually processed: @{[$clients * $each]}/}, qr{number of failed transactions: 0 } ],
		[qr{^$}],
		"$name: no error",
		{
			($name =~ s/\W+/_/gr) => qq(
				\\set asked random(1, $most)
				\\set gives_up random(1, 10)
				BEGIN;
				INSERT INTO answer SELECT b, :asked, status, redemption_id, amount
				  FROM nextval('buyer') b, LATERAL redeem_coupon(b, 'BUDGET', $arguments)
				  RETURNING (status = 'redeemed')::integer AS is_redeemed \\gset
				\\if :is_redeemed = 0
				SELECT nextval('refused_too_early') FROM coupon
				  WHERE budget - (SELECT sum(amount) FROM coupon_redemption) >= :asked;
				COMMIT;
				\\else
				\\sleep 2 ms
				\\if :gives_up = 1
				SELECT nextval('rolled_back');
				ROLLBACK;
				\\else
				COMMIT;
				\\endif
				\\endif)
		});
	return;
}

sub is_exact
{
	my ($when) = @_;
	is(value('SELECT redeemed_amount + remaining_budget FROM coupon_usage'), $budget, "$when: what is redeemed and what is left are the budget");
	is( value('SELECT sum(amount) + (SELECT sum(remaining) FROM coupon_quota) FROM coupon_redemption'),
		$budget, "$when: so they are in the tables, counted without the guard");
	is(value('SELECT * FROM coupon_guard_verify()'), '', "$when: nothing is broken");
	is( value(q(SELECT count(*) FROM answer a FULL JOIN coupon_redemption l ON l.id = a.redemption_id
			WHERE (a.status = 'redeemed') IS DISTINCT FROM (l.id IS NOT NULL) OR l.amount <> a.amount)),
		'0', "$when: what was answered is what is in the ledger");
	is(value(q(SELECT DISTINCT status FROM answer WHERE status NOT IN ('redeemed', 'insufficient', 'sold_out'))), '', "$when: no other answer");
	is(value('SELECT is_called FROM refused_too_early'), 'f', "$when: nobody is refused what is left, or may come back");
	is(value('SELECT is_called FROM rolled_back'), 't', "$when: some have rolled back");
	return;
}

new_budget();
spend('whole amounts', 20, 'amount => :asked');
is_exact('whole amounts');
is(value(q(SELECT count(*) FROM answer WHERE status = 'redeemed' AND amount IS DISTINCT FROM asked)), '0', 'each has the whole amount');
is( value(q(SELECT count(*) > 0, min(asked) > (SELECT remaining_budget FROM coupon_usage) FROM answer WHERE status <> 'redeemed')),
	't|t', 'when the last is refused, nothing that was asked for fits into what is left');
is(value(q(SELECT count(*) FROM answer WHERE status = 'insufficient' AND amount >= asked)), '0', 'what is told to be left is less than was asked for');

new_budget();
spend('up to the amount', 20, 'amount => :asked, up_to => true');
is_exact('up to the amount');
is(value('SELECT remaining_budget FROM coupon_usage'), '0', 'up to the amount: nothing is left');
is(value(q(SELECT count(*) FROM answer WHERE status = 'insufficient' OR amount > asked)), '0', 'up to the amount: nobody has more, and nobody is refused a part');

$node->stop;
done_testing();
