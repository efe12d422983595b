# coupon_guard.refusals_alike_after: that a code does not exist, and that it cannot be redeemed, is one answer, at one time. A test that tries to
# tell them apart, from 10,000 answers.
#
# It measures time, which no other test does, for that is what is promised. But it asks only whether the kinds of refusals differ, which were
# measured in turns at random: whatever else the machine does, it does to all. COUPON_GUARD_SOAK_SECONDS: for so long, more answers, each after
# three milliseconds.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use CouponGuard::Session;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seconds = $ENV{COUPON_GUARD_SOAK_SECONDS};
my ($answers, $after) = $seconds ? (280 * $seconds, 3) : (10_000, 1);

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "shared_preload_libraries = 'coupon_guard'\nfsync = off");
$node->start;
$node->safe_psql(
	'postgres', q(
	CREATE EXTENSION coupon_guard;
	INSERT INTO campaign (name, active, starts_at, expires_at) VALUES ('Off', false, NULL, NULL), ('Soon', true, '2999-01-01', NULL), ('Past', true, NULL, '2001-01-01'),
		('Now', true, NULL, NULL);
	INSERT INTO coupon (code, active, starts_at, expires_at, holder, campaign_id) VALUES
		('INACTIVE', false, NULL, NULL, NULL, NULL), ('NOTSTART', true, '2999-01-01', NULL, NULL, NULL), ('EXPIRED1', true, NULL, '2001-01-01', NULL, NULL),
		('RESERVED', true, NULL, NULL, '1', NULL), ('CAMPOFF1', true, NULL, NULL, NULL, 1), ('CAMPSOON', true, NULL, NULL, NULL, 2), ('CAMPPAST', true, NULL, NULL, NULL, 3);
	INSERT INTO coupon (code, terms, max_redemptions) VALUES ('GOOD', '{"percent": 10}', 1000), ('OTHER', NULL, NULL);
	-- How a call ends, and after how many microseconds.
	CREATE TABLE sample (kind text, call text, microseconds float8, answer text);
	CREATE FUNCTION take_samples(kinds text[], calls text[], rounds int) RETURNS void LANGUAGE plpgsql AS $$
	DECLARE
	  kind text; call text; began timestamptz; ended timestamptz; answer text; said text; what text; hint text;
	BEGIN
	  FOR kind, call IN SELECT k, c FROM unnest(kinds) k, unnest(calls) c, generate_series(1, rounds) ORDER BY random() LOOP
	    began := clock_timestamp();
	    CASE call
	    WHEN 'redeem' THEN SELECT r::text INTO answer FROM redeem_coupon(7, kind) r;
	    WHEN 'check' THEN SELECT r::text INTO answer FROM check_coupon(7, kind) r;
	    WHEN 'hold' THEN SELECT r::text INTO answer FROM hold_coupon(7, kind) r;
	    WHEN 'amount' THEN SELECT r::text INTO answer FROM redeem_coupon(7, kind, 100) r;
	    WHEN 'claim' THEN SELECT r::text INTO answer FROM claim_coupon(7, kind) r;
	    WHEN 'strict' THEN
	      BEGIN
	        SELECT r::text INTO answer FROM redeem_coupon_strict(7, kind) r;
	      EXCEPTION WHEN others THEN
	        GET STACKED DIAGNOSTICS said = message_text, what = pg_exception_detail, hint = pg_exception_hint;
	        answer := concat_ws('|', sqlstate, replace(said, kind, 'CODE'), replace(what, kind, 'CODE'), hint);
	      END;
	    END CASE;
	    ended := clock_timestamp();
	    INSERT INTO sample VALUES (kind, call, extract(epoch FROM ended - began) * 1000000, answer);
	  END LOOP;
	END $$));

my $session = CouponGuard::Session->new($node);
my @kinds = qw(NO-SUCH1 INACTIVE NOTSTART EXPIRED1 RESERVED CAMPOFF1 CAMPSOON CAMPPAST);

sub said { return join ' ', map { join '|', @$_ } $session->query($_[0]); }

sub fails
{
	my ($sql) = @_;
	$session->start($sql);
	return $session->finish->{sqlstate} // 'none';
}

sub sample
{
	my ($rounds, $kinds, @calls) = @_;
	my ($of_kinds, $of_calls) = map { 'ARRAY[' . join(', ', map { "'$_'" } @$_) . ']' } $kinds, \@calls;
	$session->query('TRUNCATE sample');
	for (my $left = $rounds; $left > 0; $left -= 500)
	{
		my $now = $left < 500 ? $left : 500;
		$session->query("SELECT take_samples($of_kinds, $of_calls, $now)");
	}
	return;
}

# How well the time of a call tells one kind from the others: how often it takes longer than theirs, which is 0.5 if it tells nothing; and how
# far from that the worst is.
sub worst_advantage
{
	my ($call) = @_;
	my @of_all = sort { $a->[1] <=> $b->[1] } $session->query("SELECT kind, microseconds FROM sample WHERE call = '$call'");
	my (%rank_sum, %count, $from);
	for ($from = 0; $from < @of_all;)
	{
		my $to = $from;
		$to++ while $to < @of_all && $of_all[$to][1] == $of_all[$from][1];
		foreach my $one (@of_all[ $from .. $to - 1 ])
		{
			$rank_sum{ $one->[0] } += ($from + $to + 1) / 2; # of equal ones, the rank in the middle
			$count{ $one->[0] }++;
		}
		$from = $to;
	}
	my $worst = 0;
	foreach my $kind (keys %count)
	{
		my ($of_kind, $others) = ($count{$kind}, @of_all - $count{$kind});
		my $longer = ($rank_sum{$kind} - $of_kind * ($of_kind + 1) / 2) / ($of_kind * $others);
		note(sprintf '%s of %s: longer than others in %.3f of the comparisons', $call, $kind, $longer);
		$worst = abs($longer - 0.5) if abs($longer - 0.5) > $worst;
	}
	return $worst;
}

# ---- the reason ---------------------------------------------------------------------------------------------------------------

sample(1, \@kinds, 'redeem');
is(said(q(SELECT string_agg(split_part(substr(answer, 2), ',', 1), ' ' ORDER BY kind COLLATE "C") FROM sample)),
	'inactive expired not_started expired inactive not_found not_started reserved', 'by default every refusal has its reason');
sample(1000, \@kinds, 'redeem');
cmp_ok(worst_advantage('redeem'), '>', 0.2, 'and its time, which this test can tell');

$session->query('SET coupon_guard.refusals_alike_after = 1');
my @calls = qw(redeem check hold amount strict);
sample(2, \@kinds, @calls);
my %expected = (
	(map { $_ => '(not_found,,,,,,f,,,)' } qw(redeem hold amount)),
	check => '(not_found,,,,,,)',
	claim => '(not_found,,,,f,)',
	strict => 'RC001|coupon "CODE" does not exist|No coupon has this code, whatever the case, blanks and Unicode form.|'
	  . 'Function coupon_key() shows the form by which codes are compared.');
foreach my $call (@calls)
{
	is(said("SELECT DISTINCT answer FROM sample WHERE call = '$call'"), $expected{$call}, "$call: one answer to codes that do not exist or cannot be redeemed");
}
sample(2, [qw(Off Soon Past Spring)], 'claim');
is(said('SELECT DISTINCT answer FROM sample'), $expected{claim}, 'so of campaigns');
is(said(q(SELECT DISTINCT r FROM release_claim(7, 'Now') r UNION SELECT release_claim(7, 'None'))), $expected{claim}, 'and of claims to be released');
my $array = 'ARRAY[' . join(', ', map { "'$_'" } @kinds) . ']';
is(said("SELECT DISTINCT r FROM redeem_coupon_for_each(array_fill(7::bigint, ARRAY[8]), $array) r"), $expected{redeem}, 'of many calls in one');
is(said("SELECT count(*), count(DISTINCT (status, redemption_id, coupon_id, use_no, redeemed_at, terms, replayed, amount, limited_by, retry_at)), min(status), max(status)
	FROM redeem_coupons(7, $array, NULL::bigint[])"), '8|1|not_found|not_found', 'of many codes');
is(said(q(SELECT code, status FROM redeem_coupons(7, '{GOOD,EXPIRED1,RESERVED}') ORDER BY 1)), 'EXPIRED1|not_found GOOD|withheld RESERVED|not_found',
	'beside one that could be redeemed');

# ---- what is the user's own ---------------------------------------------------------------------------------------------------

is(said(q(SELECT status, terms FROM redeem_coupon(8, 'GOOD', 'order-8'))), 'redeemed|{"percent": 10}', 'what can be redeemed is redeemed');
is(said(q(SELECT status FROM redeem_coupon(8, 'GOOD'))), 'already_redeemed', 'and told to be already');
is(fails(q(SELECT redeem_coupon(8, 'OTHER', 'order-8'))), 'RC007', 'a request id that is used for another coupon is told');
is(said("SELECT DISTINCT status, replayed, coupon_id FROM unnest($array) code, redeem_coupon(8, code, 'order-8')"), 'redeemed|t|8',
	'but not whether the other exists, if it cannot be redeemed');
is(said(q(SELECT status FROM hold_coupon(9, 'OTHER', '1 hour', 'hold-9'); UPDATE coupon SET expires_at = '2001-01-01' WHERE code = 'OTHER';
	SELECT status FROM redeem_coupon(9, 'OTHER', 'hold-9'))), 'held redeemed', 'a live hold is honoured');
is(said(q(SELECT status FROM hold_coupon(10, 'GOOD', '1 microsecond', 'hold-10'); SELECT status, replayed FROM redeem_coupon(10, 'GOOD', 'hold-10'))), 'held expired|t',
	'what has become of a hold is told to its request');
is(said(q(SELECT status FROM confirm_hold((SELECT id FROM coupon_redemption WHERE request_id = 'hold-10')))), 'expired', 'and to who has its id');

# ---- the time -----------------------------------------------------------------------------------------------------------------

my @told = @kinds[ 0 .. 4 ];
$session->query("SET coupon_guard.refusals_alike_after = $after");
sample(int($answers / @told / 4), \@told, qw(redeem redeem check hold));
my ($count, $rows, $soonest) = map { @$_ } $session->query(q(SELECT count(*), count(DISTINCT (answer)) FILTER (WHERE call <> 'check'), min(microseconds) FROM sample));
is("$count $rows", 20 * int($answers / 20) . " 1", 'so many answers are one row');
cmp_ok($soonest, '>=', 990 * $after, 'none comes sooner than it is set'); # the two clocks need not agree to the last microsecond
# By chance it is 0.01 for most, and a wait that is rounded to milliseconds gives 0.09 away.
my %advantage = map { $_ => worst_advantage($_) } qw(redeem check hold);
cmp_ok($advantage{redeem}, '<', 0.06, 'redeem: its time does not tell which it is');
cmp_ok($advantage{$_}, '<', 0.08, "$_: its time does not tell which it is") foreach qw(check hold);
note(sprintf 'figures: %d answers; the time of none tells it from the others by more than %.3f', $answers, (sort values %advantage)[-1]);

$session->query('SET coupon_guard.refusals_alike_after = 1000');
is(said(q(SELECT count(*) FROM redeem_coupons(7, (SELECT array_agg('C' || i) FROM generate_series(1, 1000) i)))), 1000, 'many codes in one call wait once');
is(said(q(SELECT count(*) FROM redeem_coupon_for_each((SELECT array_agg(i) FROM generate_series(1, 1000) i), (SELECT array_agg('C' || i) FROM generate_series(1, 1000) i)))),
	1000, 'and many users');
$session->query('SET coupon_guard.refusals_alike_after = 10000');
is(said(q(SET statement_timeout = 100; SELECT count(*) FROM generate_series(1, 3) i, redeem_coupon(20 + i, 'GOOD') WHERE status = 'redeemed')), 3, 'whoever is not refused does not wait');
is(fails(q(SELECT redeem_coupon(7, 'NO-SUCH1'))), '57014', 'the wait can be ended');

$node->stop;
done_testing();
