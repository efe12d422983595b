# Subtransactions and whatever else begins or ends within a transaction. Savepoints 100 deep, more than the 64 that a backend tells others of, each
# of which redeems, holds, confirms, gives back, claims or changes a limit: aborted at any depth, all is as it was there, for the session itself and
# for rivals. Cursors, exception blocks, procedures with COMMIT and ROLLBACK, deferred triggers that redeem: the same call, the same promise.
#
# COUPON_GUARD_SEED repeats the choices; COUPON_GUARD_SOAK_SECONDS plays other ones for so long.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use CouponGuard::Load;
use CouponGuard::Test;
use List::Util qw(sum0);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

plan skip_all => 'no DBD::Pg' if !CouponGuard::Load::is_possible();
my $seed = $ENV{COUPON_GUARD_SEED} || int(rand(1_000_000_000));
note("seed $seed");
srand($seed);
my $began_at = time;
my $until = $began_at + ($ENV{COUPON_GUARD_SOAK_SECONDS} || 0);

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "max_prepared_transactions = 10\ndeadlock_timeout = '50ms'");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION coupon_guard');
my $session = CouponGuard::Load::connect_to($node->connstr('postgres'));
my $observer = CouponGuard::Load::connect_to($node->connstr('postgres'));

sub one_of { return $_[ int(rand(@_)) ] }
sub rows { my ($sql, $from) = @_; return @{ ($from // $session)->selectall_arrayref($sql) } }
sub value { my ($sql, $from) = @_; return (rows($sql, $from))[0][0] }
sub value_of_node { my ($sql) = @_; return $node->safe_psql('postgres', $sql) }

# The shop, anew: caps and budgets that are reached within a hundred calls.
sub set_up
{
	$session->do('TRUNCATE coupon_redemption, coupon, campaign');
	$session->do("INSERT INTO campaign (name, max_redemptions, budget) VALUES ('Spring', 40, 20000), ('Claims', NULL, NULL)");
	$session->do(q(INSERT INTO coupon (code, max_redemptions, budget, max_per_user, campaign_id) VALUES
		('CAP', 30, NULL, NULL, NULL), ('ONE', 1, NULL, 1, NULL), ('GIFT', NULL, 5000, NULL, NULL), ('BOTH', 20, 9000, 3, NULL), ('OPEN', NULL, NULL, 1, NULL),
		('TULIP', 25, NULL, 2, (SELECT id FROM campaign WHERE name = 'Spring'))));
	$session->do(q(INSERT INTO coupon (code, max_redemptions, campaign_id) SELECT 'CLAIM' || n, 1, (SELECT id FROM campaign WHERE name = 'Claims') FROM generate_series(1, 6) n));
	$session->do("SET coupon_guard.quota_stripes = " . one_of(1, 3, 64));
	return;
}

# All of what calls and plain SQL can tell, as this transaction sees it; of quotas what is left, not how it is divided. Units that the
# transaction has ahead are in none of them: the state is compared with one of the same transaction, where as many were ahead.
sub state_now
{
	return join "\n", map { join '|', map { $_ // '' } @$_ }
	  rows('SELECT id, coupon_id, user_id, use_no, hold_expires_at, voided_at, amount, campaign_use_no FROM coupon_redemption ORDER BY id'),
	  rows('SELECT id, max_redemptions, budget, holder, campaign_id FROM coupon ORDER BY id'),
	  rows('SELECT id, max_redemptions, budget FROM campaign ORDER BY id'),
	  rows('SELECT owner_id, kind, sum(remaining) FROM coupon_quota GROUP BY 1, 2 HAVING bool_or(stripe = 0) ORDER BY 1, 2'),
	  rows(q(SELECT code, c.status, c.remaining_units, c.remaining_budget FROM coupon, LATERAL check_coupon(77, code) c ORDER BY 1));
}

sub some_id { return '(SELECT id FROM coupon_redemption WHERE voided_at IS NULL ORDER BY random() LIMIT 1)' }

# A hold that lasts a moment is over before its statement ends: so no state changes by itself.
sub some_call
{
	my $user = 1 + int(rand(12));
	my $code = one_of(qw(CAP CAP ONE GIFT BOTH OPEN TULIP TULIP));
	my $amount = ', amount => ' . (1 + int(rand(300)));
	return one_of(
		"SELECT redeem_coupon($user, '$code'$amount)", "SELECT redeem_coupon($user, '$code'$amount)", "SELECT redeem_coupon($user, '$code'$amount, up_to => true)",
		"SELECT hold_coupon($user, '$code', '1 hour'$amount)", "SELECT hold_coupon($user, '$code', '1 millisecond'$amount), pg_sleep(0.002)",
		'SELECT confirm_hold(id) FROM coupon_redemption WHERE hold_expires_at > clock_timestamp() AND voided_at IS NULL ORDER BY random() LIMIT 1',
		'SELECT confirm_hold(id, amount => 1) FROM coupon_redemption WHERE hold_expires_at > clock_timestamp() AND amount > 1 AND voided_at IS NULL ORDER BY random() LIMIT 1',
		'SELECT void_redemption(' . some_id() . ')',
		'SELECT void_redemption(id, amount => 1) FROM coupon_redemption WHERE amount > 1 AND voided_at IS NULL ORDER BY random() LIMIT 1',
		"SELECT count(*) FROM redeem_coupons($user, ARRAY['CAP', 'TULIP', 'GIFT'], amounts => ARRAY[NULL, 5, 7]::bigint[])",
		"SELECT count(*) FROM redeem_coupon_for_each(ARRAY[$user, $user + 1, $user + 2, $user + 3]::bigint[], ARRAY['CAP', 'OPEN', 'CAP', 'CAP'])",
		"SELECT count(*) FROM generate_series(100, 105) u, LATERAL redeem_coupon(u, 'CAP')",
		"SELECT claim_coupon($user, 'Claims')", "SELECT release_claim($user, 'Claims')",
		"UPDATE coupon SET max_redemptions = max_redemptions + @{[ int(rand(5)) - 2 ]} WHERE code IN ('CAP', 'TULIP')",
		"UPDATE coupon SET budget = budget + @{[ int(rand(200)) - 100 ]} WHERE code = 'GIFT'",
		"UPDATE campaign SET max_redemptions = max_redemptions + @{[ int(rand(5)) - 2 ]} WHERE name = 'Spring'",
		"INSERT INTO coupon_redemption (coupon_id, user_id, use_no, amount) SELECT id, 'by hand ' || random(), 1, 3 FROM coupon WHERE code = '" . one_of('CAP', 'GIFT') . "'",
		'DELETE FROM coupon_redemption WHERE id = ' . some_id(),
		'DELETE FROM coupon_quota WHERE owner_id = (SELECT id FROM coupon WHERE code = \'CAP\')');
}

# --- savepoints, deep -------------------------------------------------------------------------------------------------

# What is expected to end a call here.
my $EXPECTED = qr/RC006|RC009|22023|23514|23505|22004|RC008/;
my %tally;

# Down to the depth, with a call at each step; an error ends that step only. Then up again, to any of the steps, and down anew. Whatever was done
# below a step is gone when it is rolled back to.
sub play_savepoints
{
	my ($depth, $moves) = @_;
	set_up();
	$session->do("SELECT redeem_coupon(u, 'CAP'), hold_coupon(u, 'BOTH', '1 hour', amount => 9) FROM generate_series(50, 53) u");
	my $before_all = state_now();
	$session->do('BEGIN');
	my (@states, @wrong) = (state_now());
	foreach (1 .. $moves)
	{
		while (@states <= $depth)
		{
			$session->do('SAVEPOINT s' . @states);
			my $call = some_call();
			$tally{calls}++;
			if (!eval { $session->do($call); 1 })
			{
				push @wrong, "$call: " . $session->state . ' ' . $session->errstr if $session->state !~ $EXPECTED;
				$session->do('ROLLBACK TO s' . @states);
			}
			push @states, rand() < 0.2 || @states == $depth ? state_now() : undef;
		}
		my $to = one_of(1, 64, 65, $depth - 1, map { 1 + int(rand($depth)) } 1 .. 4);
		$session->do("ROLLBACK TO s$to");
		$#states = $to - 1;
		# The state after step s is that before savepoint s + 1.
		my $state = state_now();
		push @wrong, "rolled back to s$to: " . difference($states[-1], $state) if defined $states[-1] && $states[-1] ne $state;
		$session->do("RELEASE s$to") if rand() < 0.3;
		$states[-1] = $state;
		$tally{aborted}++;
		if (rand() < 0.3 && $to > 2)
		{
			# The work of some steps becomes that of the one above.
			my $kept = 1 + int(rand($to - 1));
			$session->do("RELEASE s$kept");
			$#states = $kept - 1;
			$states[-1] = $state;
		}
	}
	my $is_kept = rand() < 0.5;
	if ($is_kept && rand() < 0.3)
	{
		$session->do("PREPARE TRANSACTION 'deep'");
		$observer->do("COMMIT PREPARED 'deep'");
	}
	else { $session->do($is_kept ? 'COMMIT' : 'ROLLBACK') }
	my $after_all = state_now();
	push @wrong, 'rolled back: ' . difference($before_all, $after_all) if !$is_kept && $after_all ne $before_all;
	push @wrong, map { join ' | ', map { $_ // '' } @$_ } rows('SELECT * FROM coupon_guard_verify()');
	return @wrong;
}

sub difference
{
	my ($before, $after) = @_;
	my %was = map { $_ => 1 } split /\n/, $before;
	my %is = map { $_ => 1 } split /\n/, $after;
	return join ' ', (map { "-($_)" } grep { !$is{$_} } sort keys %was), (map { "+($_)" } grep { !$was{$_} } sort keys %is);
}

my @wrong;
do { push @wrong, play_savepoints(100, 12) } while (!@wrong && time < $until);
is(join("\n", @wrong), '', "100 savepoints deep, $tally{aborted} times rolled back to any of them");

# More subtransactions than are told to others: a rival waits for the top one, whichever of them has the unit.
set_up();
$session->do('BEGIN');
foreach my $level (1 .. 100) { $session->do("SAVEPOINT s$level"); $session->do("SELECT redeem_coupon($level, 'OPEN')") }
$session->do("SELECT redeem_coupon(200, 'ONE')");
my $rival = start_rival($node, "redeem_coupon(201, 'ONE')");
$session->do('ROLLBACK TO s1');
is(answer($rival), 'redeemed', 'a unit taken 100 deep, rolled back at the top: the rival has it at once');
$session->do("SELECT redeem_coupon(u, 'OPEN') FROM generate_series(301, 400) u");
$rival = start_rival($node, "redeem_coupon(350, 'OPEN')");
$session->do('COMMIT');
is(answer($rival), 'already_redeemed', 'and who waits for a use is told when the top commits');

# --- cursors --------------------------------------------------------------------------------------------------------------

set_up();
$session->do('BEGIN');
$session->do(q(DECLARE buyers CURSOR FOR SELECT u, r.status FROM generate_series(1, 60) u, LATERAL redeem_coupon(u, 'CAP') r));
is(scalar(rows('FETCH 7 FROM buyers')), 7, 'a cursor: some rows');
is(value(q(SELECT count(*) FROM coupon_redemption)), 7, 'are some redemptions');
$session->do(q(SAVEPOINT s));
rows('FETCH 5 FROM buyers');
$session->do('ROLLBACK TO s');
is(value(q(SELECT count(*) FROM coupon_redemption)), 7, 'what was fetched since a savepoint is rolled back with it');
rows('FETCH 3 FROM buyers');
$session->do('CLOSE buyers');
$session->do('COMMIT');
is(value(q(SELECT redeemed || ' ' || remaining_units FROM coupon_usage WHERE code = 'CAP')), '10 20', 'closed early: what was fetched counts, and no more');
$session->do('BEGIN');
$session->do(q(DECLARE held CURSOR WITH HOLD FOR SELECT r.status FROM generate_series(101, 130) u, LATERAL redeem_coupon(u, 'CAP') r));
rows('FETCH 2 FROM held');
$session->do('COMMIT');
is(value(q(SELECT redeemed FROM coupon_usage WHERE code = 'CAP')), '30', 'WITH HOLD: the rest is redeemed at COMMIT');
is(join(' ', map { $_->[0] } rows('FETCH ALL FROM held')), join(' ', ('redeemed') x 18, ('sold_out') x 10), 'and its answers are there afterwards');
$session->do('CLOSE held');
$session->do('BEGIN');
$session->do(q(DECLARE held CURSOR WITH HOLD FOR SELECT r.status, 1 / (u - 505) FROM generate_series(501, 510) u, LATERAL redeem_coupon(u, 'OPEN') r));
rows('FETCH 2 FROM held');
ok(!eval { $session->do('COMMIT'); 1 }, 'WITH HOLD, and an error at COMMIT');
is(value(q(SELECT count(*) FROM coupon_redemption WHERE user_id ~ '^50')), 0, 'nothing of it is there');

# --- PL/pgSQL ----------------------------------------------------------------------------------------------------------------

set_up();
$session->do($_) foreach (
	q(CREATE FUNCTION try_many(lowest int, highest int) RETURNS int LANGUAGE plpgsql AS $$
	  DECLARE kept int := 0;
	  BEGIN
	    FOR u IN lowest .. highest LOOP
	      BEGIN
	        PERFORM redeem_coupon_strict(u, 'CAP');
	        IF u % 3 = 0 THEN RAISE division_by_zero; END IF;
	        kept := kept + 1;
	      EXCEPTION WHEN division_by_zero OR SQLSTATE 'RC006' THEN NULL;
	      END;
	    END LOOP;
	    RETURN kept;
	  END $$),
	q(CREATE PROCEDURE in_steps(lowest int, highest int) LANGUAGE plpgsql AS $$
	  BEGIN
	    FOR u IN lowest .. highest LOOP
	      PERFORM redeem_coupon(u, 'CAP');
	      IF u % 2 = 0 THEN COMMIT; ELSE ROLLBACK; END IF;
	    END LOOP;
	    PERFORM redeem_coupon(highest + 1, 'CAP');
	  END $$),
	q(CREATE PROCEDURE in_a_loop() LANGUAGE plpgsql AS $$
	  DECLARE r record;
	  BEGIN
	    FOR r IN SELECT u, (redeem_coupon(u, 'OPEN')).status FROM generate_series(900, 909) u LOOP
	      PERFORM redeem_coupon(r.u, 'CAP');
	      COMMIT;
	      PERFORM redeem_coupon(r.u + 50, 'OPEN');
	      ROLLBACK;
	    END LOOP;
	  END $$));
is(value('SELECT try_many(1, 12)'), 8, 'exception blocks: each third is rolled back');
is(value(q(SELECT redeemed || ' ' || remaining_units FROM coupon_usage WHERE code = 'CAP')), '8 22', 'and its unit is not taken');
$session->do('CALL in_steps(101, 110)');
is(value(q(SELECT redeemed || ' ' || remaining_units FROM coupon_usage WHERE code = 'CAP')), '14 16', 'a procedure that commits and rolls back by turns');
$session->do('CALL in_a_loop()');
is(value(q(SELECT count(*) FROM coupon_redemption WHERE coupon_id = (SELECT id FROM coupon WHERE code = 'OPEN'))), 10, 'a loop over redemptions that commits in its midst');
is(value(q(SELECT redeemed || ' ' || remaining_units FROM coupon_usage WHERE code = 'CAP')), '24 6', 'and redeems more');
$session->do(q(DO $$ BEGIN PERFORM redeem_coupon(950, 'CAP'); COMMIT; PERFORM redeem_coupon(951, 'CAP'); ROLLBACK; PERFORM redeem_coupon(952, 'CAP'); END $$));
is(value(q(SELECT remaining_units FROM coupon_usage WHERE code = 'CAP')), '4', 'a DO block likewise');
is(value('SELECT try_many(961, 990)'), 4, 'exception blocks, until none is left');
is(value(q(SELECT remaining_units FROM coupon_usage WHERE code = 'CAP')), '0', 'not one too many, and not one too few');
is(value('SELECT count(*) FROM coupon_guard_verify()'), 0, 'nothing is broken');

# --- statements of the shop that redeem -----------------------------------------------------------------------------------------

set_up();
$session->do('CREATE TABLE orders (id int PRIMARY KEY, buyer bigint, code text, redemption bigint)');
is(join(' ', map { $_->[0] } rows(q(INSERT INTO orders VALUES (1, 1, 'CAP'), (2, 2, 'CAP') RETURNING (redeem_coupon(buyer, code)).status))), 'redeemed redeemed', 'in RETURNING');
ok(!eval { rows(q(INSERT INTO orders VALUES (3, 3, 'CAP'), (1, 4, 'CAP') RETURNING (redeem_coupon(buyer, code)).status)); 1 }, 'in RETURNING of a statement that fails');
is(value(q(SELECT redeemed FROM coupon_usage WHERE code = 'CAP')), 2, 'it has redeemed nothing');
$session->do(q(CREATE FUNCTION redeem_at_commit() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN UPDATE orders SET redemption = (SELECT redemption_id FROM redeem_coupon_strict(NEW.buyer, NEW.code)) WHERE id = NEW.id; RETURN NULL; END $$));
$session->do(q(CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON orders DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION redeem_at_commit()));
$session->do('BEGIN');
$session->do(q(INSERT INTO orders VALUES (11, 11, 'CAP'), (12, 12, 'ONE')));
is(value(q(SELECT redeemed FROM coupon_usage WHERE code = 'CAP')), 2, 'a deferred trigger has not redeemed yet');
$session->do('COMMIT');
is(value(q(SELECT count(redemption) FROM orders WHERE id IN (11, 12))), 2, 'at COMMIT it has');
# Units that were taken ahead go back at the commit as well, whichever comes first.
$session->do('BEGIN');
$session->do(q(SELECT redeem_coupon(u, 'CAP') FROM generate_series(21, 26) u));
$session->do(q(INSERT INTO orders SELECT u, u, 'CAP' FROM generate_series(27, 32) u));
$session->do('COMMIT');
is(value(q(SELECT redeemed || ' ' || remaining_units FROM coupon_usage WHERE code = 'CAP')), '15 15', 'deferred, after many of the same transaction');
$session->do('BEGIN');
$session->do(q(INSERT INTO orders VALUES (41, 41, 'CAP'), (42, 42, 'ONE')));
ok(!eval { $session->do('COMMIT'); 1 }, 'the deferred trigger is refused: so is the COMMIT');
is($session->state, 'RC006', 'for the reason of the refusal');
is(value(q(SELECT redeemed || ' ' || remaining_units FROM coupon_usage WHERE code = 'CAP')), '15 15', 'and what it has redeemed before is not');
$session->do('BEGIN');
$session->do(q(INSERT INTO orders SELECT u, u, 'CAP' FROM generate_series(51, 55) u));
$session->do('SET CONSTRAINTS ALL IMMEDIATE');
is(value(q(SELECT count(redemption) FROM orders WHERE id BETWEEN 51 AND 55)), 5, 'SET CONSTRAINTS calls them at once');
$session->do('ROLLBACK');
$session->do('BEGIN');
$session->do(q(INSERT INTO orders SELECT u, u, 'CAP' FROM generate_series(61, 65) u));
$session->do(q(PREPARE TRANSACTION 'deferred'));
$session->do(q(COMMIT PREPARED 'deferred'));
is(value(q(SELECT redeemed || ' ' || remaining_units FROM coupon_usage WHERE code = 'CAP')), '20 10', 'at PREPARE TRANSACTION they are called too');
is(value('SELECT count(*) FROM coupon_guard_verify()'), 0, 'nothing is broken');

note(sprintf 'figures: seed %d, %d s, %d calls within savepoints 100 deep, %d aborts', $seed, time - $began_at, @tally{qw(calls aborted)});
$session->disconnect;
$observer->disconnect;
$node->stop;
done_testing();
