# pg_repack rebuilds a table beside those who write to it: it copies the rows, hears of what is written meanwhile by a row trigger, and in
# the end puts the copy in the table's place. Whatever of the four tables it rebuilds, and whenever: exactly the cap is sold.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use CouponGuard::Test;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
my $program = find_pg_repack($node);
plan skip_all => 'no pg_repack for this server' if !$program;

$node->init;
$node->append_conf('postgresql.conf', 'autovacuum = off');
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION pg_repack; CREATE EXTENSION coupon_guard');

sub value
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

sub repack
{
	my (@options) = @_;
	my $output = '';
	my $run = IPC::Run::start(
		[ $program, '-h', $node->host, '-p', $node->port, '-d', 'postgres', '--no-kill-backend', @options ],
		'<', \undef, '>&', \$output, IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
	return { run => $run, output => \$output };
}

# A transaction that has been open since before, in a session of its own: until it ends, pg_repack gets no further than to the end of its
# copy, and CREATE INDEX CONCURRENTLY, by which it rebuilds indexes, no further than to the end of the index.
sub start_bystander
{
	my $bystander = $node->background_psql('postgres');
	$bystander->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
	return $bystander;
}

sub wait_for_copy
{
	my ($repack) = @_;
	my $has_index = "SELECT count(*) FROM pg_stat_progress_create_index WHERE phase = 'waiting for old snapshots'";
	while ($repack->{run}->pumpable && ${ $repack->{output} } !~ /Waiting for \d+ transactions to finish/ && !value($has_index))
	{
		$repack->{run}->pump_nb;
	}
	return;
}

sub end_of
{
	my ($repack) = @_;
	my $is_good = $repack->{run}->finish && ${ $repack->{output} } !~ /WARNING|ERROR/;
	diag(${ $repack->{output} }) if !$is_good;
	return $is_good;
}

# --- written between the copy and the swap -------------------------------------------------

foreach my $table ('coupon_quota', 'coupon_redemption', 'coupon', 'campaign')
{
	value(q(TRUNCATE campaign, coupon, coupon_redemption, coupon_quota RESTART IDENTITY;
		INSERT INTO campaign (name, max_redemptions) VALUES ('Spring', 12);
		INSERT INTO coupon (code, campaign_id) VALUES ('TULIP', 1), ('DAISY', 1), ('OUT', 1);
		INSERT INTO coupon (code, max_redemptions) VALUES ('SOLD', 10), ('VOID', 10), ('HELD', 10), ('RAISED', 5), ('LOWERED', 20), ('FIRST', NULL), ('OFF', 10);
		SELECT redeem_coupon(b, c.code) FROM generate_series(1, 4) b, coupon c));
	my $bystander = start_bystander();
	my $repack = repack('--no-order', "--table=$table");
	wait_for_copy($repack);
	# A first cap locks the ledger, for which a pg_repack of the ledger is waited for from 1.5 on.
	my $coupons = $table eq 'coupon_redemption' ? q('RAISED', 'LOWERED') : q('RAISED', 'LOWERED', 'FIRST');
	value(qq(
		SELECT redeem_coupon(b, 'SOLD') FROM generate_series(101, 103) b;
		SELECT void_redemption(l.id) FROM coupon_redemption l, coupon c WHERE c.id = l.coupon_id AND c.code = 'VOID' AND l.user_id < '3';
		SELECT hold_coupon(b, 'HELD', request_id => b::text) FROM generate_series(101, 102) b;
		SELECT void_redemption(l.id) FROM coupon_redemption l WHERE request_id = '101';
		SELECT confirm_hold(l.id) FROM coupon_redemption l WHERE request_id = '102';
		UPDATE coupon SET max_redemptions = 10 WHERE code IN ($coupons);
		SELECT redeem_coupon(b, c.code) FROM generate_series(201, 202) b, coupon c WHERE code IN ('RAISED', 'LOWERED', 'FIRST');
		UPDATE coupon SET active = false WHERE code = 'OFF';
		UPDATE coupon SET campaign_id = NULL WHERE code = 'OUT';
		UPDATE campaign SET max_redemptions = 15;
		SELECT void_redemption(l.id) FROM coupon_redemption l, coupon c WHERE c.id = l.coupon_id AND c.code = 'TULIP' AND l.user_id < '3';
		SELECT redeem_coupon(101, 'DAISY');
		BEGIN; SELECT redeem_coupon(301, 'SOLD'); ROLLBACK));
	$bystander->query_safe('COMMIT');
	$bystander->quit;
	ok(end_of($repack), "$table is rebuilt");
	value("UPDATE coupon SET max_redemptions = 10 WHERE code = 'FIRST'");
	is(value('SELECT * FROM coupon_guard_verify()'), '', "$table: nothing is broken afterwards");
	is(value("SELECT status FROM redeem_coupon(1001, 'OFF')"), 'inactive', "$table: a coupon switched off meanwhile is off");
	value("UPDATE coupon SET active = true WHERE code = 'OFF'");
	value("SELECT redeem_coupon(b, '$_') FROM generate_series(1001, 1020) b") foreach qw(SOLD VOID HELD RAISED LOWERED FIRST OFF);
	value("SELECT redeem_coupon(b, code) FROM generate_series(1001, 1006) b, unnest('{TULIP,DAISY}'::text[]) code");
	is( value('SELECT code, redeemed + held FROM coupon_usage WHERE redeemed + held <> max_redemptions'),
		'', "$table: of each coupon exactly the cap is sold");
	is(value('SELECT redeemed, remaining_units FROM campaign_usage'), '15|0', "$table: and of the campaign");
	is(value('SELECT * FROM coupon_guard_verify()'), '', "$table: and nothing is broken");
}

# --- in a loop, beside three buyers -------------------------------------------------------

# They buy on until the shop closes, and then what is left. One in ten gives up, one in ten gives back.
value(q(
	TRUNCATE campaign, coupon, coupon_redemption, coupon_quota RESTART IDENTITY;
	INSERT INTO campaign (name, max_redemptions) VALUES ('Spring', 300);
	INSERT INTO coupon (code, max_redemptions, campaign_id) VALUES ('A', 100, NULL), ('B', 100, NULL), ('C', NULL, 1);
	CREATE SEQUENCE buyer;
	CREATE TABLE closing ();
	CREATE TABLE answer (code text, status text, voided bool);
	CREATE PROCEDURE buy() LANGUAGE plpgsql AS $$
	DECLARE
	  last_round bool := false;
	  bought bool;
	  answer record;
	  voided bool;
	BEGIN
	  LOOP
		bought := false;
		FOR of_coupon IN 0 .. 2 LOOP
		  SELECT chr(65 + of_coupon) AS code, r.* INTO answer FROM nextval('buyer') b, redeem_coupon(b, chr(65 + of_coupon)) r;
		  bought := bought OR answer.status = 'redeemed';
		  voided := NOT last_round AND answer.status = 'redeemed' AND random() < 0.1 AND void_redemption(answer.redemption_id);
		  INSERT INTO answer VALUES (answer.code, answer.status, voided);
		  IF NOT last_round AND random() < 0.1 THEN ROLLBACK; ELSE COMMIT; END IF;
		END LOOP;
		EXIT WHEN last_round AND NOT bought;
		last_round := EXISTS (SELECT FROM closing);
		IF NOT bought THEN PERFORM pg_sleep(0.01); END IF;
	  END LOOP;
	END $$));
my @buyers = map {
	IPC::Run::start([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('postgres'), '-c', 'CALL buy()' ],
		'<', \undef, '>&', \my $output);
} 1 .. 3;
my $cap = 100;
my $is_good = 1;
foreach my $round (1 .. 3)
{
	foreach my $table ('coupon_quota', 'coupon_redemption', 'coupon', 'campaign')
	{
		my $bystander = start_bystander();
		my $repack = repack($round == 2 ? '--only-indexes' : '--no-order', "--table=$table");
		wait_for_copy($repack);
		$cap += 200;
		value("UPDATE coupon SET max_redemptions = $cap WHERE code <> 'C'; UPDATE campaign SET max_redemptions = $cap");
		$node->poll_query_until('postgres', "SELECT min(redeemed) > $cap - 100 FROM coupon_usage") or die 'nobody buys';
		$bystander->query_safe('COMMIT');
		$bystander->quit;
		$is_good &&= end_of($repack);
	}
}
ok($is_good, 'every table is rebuilt several times beside the buyers');
value('INSERT INTO closing DEFAULT VALUES');
is(scalar(grep { $_->finish } @buyers), 3, 'no buyer meets an error');
is( value('SELECT code, redeemed, remaining_units FROM coupon_usage ORDER BY code'),
	"A|$cap|0\nB|$cap|0\nC|$cap|", 'exactly the cap is sold');
is(value('SELECT redeemed, remaining_units FROM campaign_usage'), "$cap|0", 'and that of the campaign');
is( value(q(SELECT code, status, count(*) FILTER (WHERE NOT voided) FROM answer WHERE status <> 'sold_out' GROUP BY 1, 2 ORDER BY 1)),
	"A|redeemed|$cap\nB|redeemed|$cap\nC|redeemed|$cap", 'and so the buyers were told');
is(value('SELECT * FROM coupon_guard_verify()'), '', 'nothing is broken');

$node->stop;
done_testing();
