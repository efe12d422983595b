# 64 connections, the same user and code, let go together, round after round: exactly one is told redeemed each round, the rest
# already_redeemed, nobody an error.
#
# In each round the clients queue for an advisory lock that the controller holds until all of them wait for it.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $clients = 64;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', 'max_connections = 100');
$node->start;
$node->safe_psql(
	'postgres', q(
	CREATE EXTENSION coupon_guard;
	INSERT INTO coupon (code) VALUES ('ONCE');
	CREATE TABLE answer (game int, round int, client int, status text, redemption_id bigint);
	CREATE PROCEDURE start_rounds(game int, rounds int, clients int) LANGUAGE plpgsql AS $$
	BEGIN
	  FOR round IN 1 .. rounds LOOP
	    WHILE (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = game AND objid = round AND NOT granted)
	          < clients LOOP
	      PERFORM pg_sleep(0.001);
	    END LOOP;
	    PERFORM pg_advisory_unlock(game, round);
	  END LOOP;
	END $$));

# Every client runs $script once a round, with :game, :round and :user.
sub play
{
	my ($name, $game, $rounds, $protocol, $script) = @_;
	my $controller = $node->background_psql('postgres', on_error_stop => 1, timeout => 10 * $PostgreSQL::Test::Utils::timeout_default);
	$controller->query_safe("SELECT pg_advisory_lock($game, round) FROM generate_series(1, $rounds) round");
	$controller->query_until(qr/started/, "\\echo started\nCALL start_rounds($game, $rounds, $clients);\n");
	$node->pgbench(
		"--no-vacuum --client=$clients --jobs=2 --transactions=$rounds --protocol=$protocol -D game=$game -D round=0",
		0,
		[ qr{actually processed: @{[$clients * $rounds]}/}, qr{number of failed transactions: 0 } ],
		[qr{^$}],
		$name,
		{
			"double_click_$game" => qq(
				\\set round :round + 1
				\\set user :game * 1000000 + :round
				SELECT pg_advisory_unlock_shared(:game, :round) FROM pg_advisory_lock_shared(:game, :round);
				$script)
		});
	$controller->quit;
}

my $redeem = q(
	INSERT INTO answer SELECT :game, :round, :client_id, status, redemption_id FROM redeem_coupon(:user, 'ONCE');
);
# Rounds in which one was told redeemed, with this one's redemption in the ledger, and all others already_redeemed, with the same.
my $good_rounds = q(
	SELECT count(*) FROM (
	  SELECT round FROM answer a WHERE game = %d GROUP BY round
	  HAVING count(*) FILTER (WHERE status = 'redeemed') = 1
	     AND count(*) FILTER (WHERE status = 'already_redeemed') = %d
	     AND count(DISTINCT redemption_id) = 1
	     AND min(redemption_id) = (SELECT id FROM coupon_redemption WHERE user_id = (%d * 1000000 + round)::text)) good);

play('64 connections, 200 rounds', 1, 200, 'simple', $redeem);
is($node->safe_psql('postgres', sprintf($good_rounds, 1, $clients - 1, 1)), '200', 'one redeemed each round, the rest already_redeemed');
is($node->safe_psql('postgres', 'SELECT count(*) FROM coupon_redemption'), '200', 'one row each round');

play('in a transaction, with prepared statements', 2, 50, 'prepared', "BEGIN; $redeem COMMIT;");
is($node->safe_psql('postgres', sprintf($good_rounds, 2, $clients - 1, 2)), '50', 'one redeemed each round, the rest already_redeemed');

# A quarter of the clients rolls back whatever it was told.
play('some give up', 3, 50, 'simple', "BEGIN; $redeem\n\\if :client_id % 4 = 0\nROLLBACK;\n\\else\nCOMMIT;\n\\endif\n");
is($node->safe_psql('postgres', sprintf($good_rounds, 3, $clients * 3 / 4 - 1, 3)), '50', 'of those that stay, one each round');
is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT user_id) FROM coupon_redemption'), '300|300', 'one row each round');

# A code for one use in all: the others are told that they have it, not that it is gone.
$node->safe_psql('postgres', q(INSERT INTO coupon (code, max_redemptions) SELECT 'LAST' || round, 1 FROM generate_series(1, 200) round));
play('the last unit', 4, 200, 'prepared', $redeem =~ s/'ONCE'/'LAST' || :round/r);
is($node->safe_psql('postgres', sprintf($good_rounds, 4, $clients - 1, 4)), '200', 'one redeemed each round, the rest already_redeemed');

$node->stop;
done_testing();
