# Random histories on small caps and budgets, of coupons and of their campaigns: redeem, also for each of several users, hold, confirm, void, in part
# too, expire, raise, lower, move to another campaign, claim several units of two quotas, roll back, roll back to a savepoint, prepare, cancel and kill, from
# several sessions at once. After each the ledger is what the calls answered, no limit is exceeded, nothing is broken.
#
# COUPON_GUARD_SEED repeats a history's choices (its interleaving is the machine's); COUPON_GUARD_HISTORIES says how many.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $histories = $ENV{COUPON_GUARD_HISTORIES} // 60;
my $first_seed = $ENV{COUPON_GUARD_SEED} // int(rand(1_000_000_000));
my $clients = 6;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "max_prepared_transactions = 100\ndeadlock_timeout = '10ms'\nstatement_timeout = '60s'");
$node->start;
$node->safe_psql(
	'postgres', q(
	CREATE EXTENSION coupon_guard;
	-- Declared by tests only.
	CREATE FUNCTION claim_units(text, text[], bigint[]) RETURNS bigint LANGUAGE C STRICT AS '$libdir/coupon_guard', 'coupon_guard_claim_units';
	-- What was answered, written in the same transaction: it stands and falls with what was done.
	CREATE TABLE answer (id bigserial, redemption_id bigint, coupon_id bigint, user_id text, what text);
	-- One step of a history. Errors that a caller must expect are caught, and undo the step.
	CREATE FUNCTION play(step int, who text, which int, cap int) RETURNS text LANGUAGE plpgsql AS $$
	DECLARE
	  r record;
	  code text := 'C' || which;
	  claimer text;
	  buyers text[] := ARRAY[who, (who::int % 5 + 1)::text, (who::int % 5 + 2)::text];
	  target bigint := (SELECT id FROM coupon_redemption WHERE coupon_id = which ORDER BY random() LIMIT 1);
	BEGIN
	  CASE
	  WHEN step = 1 THEN
	    INSERT INTO answer SELECT nextval('answer_id_seq'), redemption_id, which, buyers[ordinality], 'redeemed'
	     FROM redeem_coupon_for_each(buyers, array_fill(code, ARRAY[3])) WITH ORDINALITY WHERE status = 'redeemed';
	  WHEN step <= 6 THEN
	    SELECT * INTO r FROM redeem_coupon(who, code, 1 + cap, up_to => step > 3);
	    IF r.status = 'redeemed' THEN INSERT INTO answer VALUES (DEFAULT, r.redemption_id, which, who, 'redeemed'); END IF;
	  WHEN step <= 8 THEN
	    SELECT * INTO r FROM hold_coupon(who, code, '15 minutes', 1 + cap);
	    IF r.status = 'held' THEN INSERT INTO answer VALUES (DEFAULT, r.redemption_id, which, who, 'held'); END IF;
	  WHEN step = 19 THEN
	    UPDATE coupon SET campaign_id = nullif(cap % 3, 0) WHERE id = which;
	  WHEN step BETWEEN 16 AND 18 THEN
	    claimer := 'c' || nextval('answer_id_seq');
	    IF claim_units(claimer, ARRAY['C1', 'C2'], ARRAY[1 + cap % 3, 1 + which % 2]) IS NULL THEN
	      INSERT INTO answer SELECT nextval('answer_id_seq'), l.id, l.coupon_id, who, 'redeemed' FROM coupon_redemption l WHERE l.user_id LIKE claimer || '-%';
	    END IF;
	  WHEN target IS NULL THEN NULL;
	  WHEN step = 9 THEN
	    IF cap > 2 THEN
	      SELECT * INTO r FROM confirm_hold(target, 1);
	    ELSE
	      SELECT * INTO r FROM confirm_hold(target);
	    END IF;
	    IF r.status = 'redeemed' THEN INSERT INTO answer VALUES (DEFAULT, target, which, NULL, 'redeemed'); END IF;
	  WHEN step = 12 AND cap < 3 THEN
	    IF void_redemption(target, 1) THEN
	      INSERT INTO answer SELECT nextval('answer_id_seq'), target, which, NULL, 'voided' FROM coupon_redemption
	       WHERE id = target AND voided_at IS NOT NULL;
	    END IF;
	  WHEN step <= 12 THEN
	    IF void_redemption(target) THEN INSERT INTO answer VALUES (DEFAULT, target, which, NULL, 'voided'); END IF;
	  WHEN step = 13 THEN
	    UPDATE coupon_redemption SET hold_expires_at = '2001-01-01' WHERE id = target AND hold_expires_at IS NOT NULL;
	  WHEN step = 14 THEN
	    UPDATE coupon SET max_redemptions = nullif(cap, 0), budget = CASE which WHEN 1 THEN NULL ELSE nullif(cap * 3, 0) END WHERE id = which;
	  WHEN step = 20 THEN
	    UPDATE campaign SET max_redemptions = nullif(cap, 0) + 2, budget = nullif(cap * 5, 0) WHERE id = 1 + which % 2;
	  ELSE
	    SELECT count(*) INTO r FROM redeem_coupons(who, ARRAY['C3', 'C2', 'C1']) s WHERE s.status = 'redeemed' AND s.code = '';
	    INSERT INTO answer SELECT nextval('answer_id_seq'), l.id, l.coupon_id, who, 'redeemed' FROM coupon_redemption l
	     WHERE l.user_id = who AND l.voided_at IS NULL AND l.hold_expires_at IS NULL;
	  END CASE;
	  RETURN step;
	EXCEPTION WHEN check_violation OR deadlock_detected OR serialization_failure OR SQLSTATE 'RC006' OR SQLSTATE 'RC008' OR SQLSTATE '22023' OR SQLSTATE '22004' OR SQLSTATE 'RC009' THEN
	  RETURN sqlstate;
	END $$));

my $choose = q(
\set step random(1, 20)
\set which random(1, 3)
\set user random(1, 5)
\set cap random(0, 4)
\set stripes random(1, 3)
\set level random(1, 3)
);
my $step = q(SELECT play(:step, :user::text, :which, :cap););
my %scripts = (
	'alone@6' => "$choose $step",
	'two@6' => "$choose BEGIN; $step $choose $step COMMIT;",
	'gives_up@4' => "$choose BEGIN; $step $choose $step ROLLBACK;",
	'repeatable_read@3' => "$choose BEGIN ISOLATION LEVEL REPEATABLE READ; $step $choose $step COMMIT;",
	'serializable@3' => "$choose BEGIN ISOLATION LEVEL SERIALIZABLE; $step $choose $step COMMIT;",
	'savepoint@4' => "$choose BEGIN; $step SAVEPOINT s; $choose $step $choose $step ROLLBACK TO s; $choose $step COMMIT;",
	'released@2' => "$choose BEGIN; SAVEPOINT s; $step RELEASE s; $choose $step COMMIT;",
	'prepared@2' => "$choose \\set name random(1, 1000000000)\nBEGIN; $step $choose $step PREPARE TRANSACTION 'p:name';\n"
	  . "\\set name_kept :name\n\\if :step % 2 = 0\nCOMMIT PREPARED 'p:name';\n\\else\nROLLBACK PREPARED 'p:name';\n\\endif\n",
	'cancels@1' => "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgbench' AND wait_event_type IN ('Lock', 'Extension') ORDER BY random() LIMIT 1;",
	'kills@1' => "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgbench' AND pid <> pg_backend_pid() AND random() < 0.2 ORDER BY random() LIMIT 1;");
my @files;
foreach my $name (sort keys %scripts)
{
	my ($plain, $weight) = split /@/, $name;
	my $file = $node->basedir . "/$plain";
	open my $out, '>', $file or die "$file: $!";
	print $out $scripts{$name};
	close $out;
	push @files, '-f', "$file\@$weight";
}

my %checks = (
	'nothing is broken' => 'SELECT * FROM coupon_guard_verify()',
	'no more than the cap' => q(SELECT code, redeemed, held, max_redemptions FROM coupon_usage WHERE redeemed + held > max_redemptions),
	'no more than the budget' => q(SELECT code, redeemed_amount, held_amount, budget FROM coupon_usage WHERE redeemed_amount + held_amount > budget),
	'no more than one use a user' => q(SELECT coupon_id, user_id FROM coupon_redemption WHERE voided_at IS NULL GROUP BY 1, 2 HAVING count(*) > 1),
	'no more than the cap of the campaign' => q(SELECT name, redeemed, held, max_redemptions FROM campaign_usage WHERE redeemed + held > max_redemptions),
	'no more than the budget of the campaign' => q(
		SELECT name, redeemed_amount, held_amount, budget FROM campaign_usage WHERE redeemed_amount + held_amount > budget),
	'no more than one use of the campaign a user' => q(
		SELECT l.campaign_id, l.user_id FROM coupon_redemption l JOIN campaign m ON m.id = l.campaign_id
		 WHERE l.voided_at IS NULL GROUP BY 1, 2, m.max_per_user HAVING count(*) > m.max_per_user),
	'every row was answered' => q(SELECT id FROM coupon_redemption EXCEPT SELECT redemption_id FROM answer),
	'every answer has its row' => q(SELECT redemption_id FROM answer EXCEPT SELECT id FROM coupon_redemption),
	'voided is what was voided, once, or taken over as an expired hold' => q(
		SELECT l.id, l.void_reason, count(a.id) FROM coupon_redemption l LEFT JOIN answer a ON a.redemption_id = l.id AND a.what = 'voided'
		 GROUP BY l.id HAVING count(a.id) <> (l.voided_at IS NOT NULL AND l.void_reason IS DISTINCT FROM 'hold expired')::int),
	'who was told redeemed has no hold' => q(
		SELECT l.id FROM coupon_redemption l JOIN answer a ON a.redemption_id = l.id AND a.what = 'redeemed' WHERE l.hold_expires_at IS NOT NULL));

my $bad = 0;
foreach my $seed ($first_seed .. $first_seed + $histories - 1)
{
	srand($seed);
	my $stripes = (1, 2, 64)[ int(rand(3)) ];
	my $some = sub { my ($most) = @_; return int(rand($most)) || 'NULL' };
	my @caps = map { $some->(5) } 1 .. 3;
	my @campaigns = map { join ', ', $some->(8), $some->(30), $some->(2) } 1 .. 2;
	my @of = map { $some->(3) } 1 .. 3;
	$node->safe_psql('postgres', "SET coupon_guard.quota_stripes = $stripes; TRUNCATE coupon, coupon_redemption, campaign, answer;
		INSERT INTO campaign (id, name, max_redemptions, budget, max_per_user) VALUES (1, 'M1', $campaigns[0]), (2, 'M2', $campaigns[1]);
		INSERT INTO coupon (id, code, max_redemptions, budget, campaign_id) VALUES
		 (1, 'C1', $caps[0], NULL, $of[0]), (2, 'C2', $caps[1], NULL, $of[1]), (3, 'C3', $caps[2], 7, $of[2])");
	# pgbench ends a client that was cancelled or killed: its exit status says nothing.
	my ($out, $err) = ('', '');
	IPC::Run::run([ 'pgbench', '--no-vacuum', "--client=$clients", '--jobs=1', '--transactions=8', '--max-tries=100', "--random-seed=$seed", @files,
			$node->connstr('postgres') ], '>', \$out, '2>', \$err, IPC::Run::timeout(120));
	# Whoever was killed between PREPARE and its end has left it behind.
	foreach my $name (split /\n/, $node->safe_psql('postgres', 'SELECT gid FROM pg_prepared_xacts'))
	{
		$node->safe_psql('postgres', (rand() < 0.5 ? 'COMMIT' : 'ROLLBACK') . " PREPARED '$name'");
	}
	$node->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'pgbench'") or die 'a session does not end';
	foreach my $check (sort keys %checks)
	{
		my $found = $node->safe_psql('postgres', $checks{$check});
		next if $found eq '';
		fail("seed $seed: $check");
		diag("stripes $stripes, caps @caps, campaigns (@campaigns), of them @of\n$found\n$err");
		$bad++;
	}
	last if $bad > 3;
}
is($bad, 0, "$histories histories from seed $first_seed");
is($node->safe_psql('postgres', q(SELECT count(*) FROM pg_locks WHERE locktype IN ('spectoken', 'advisory'))), '0', 'no lock left behind');

$node->stop;
done_testing();
