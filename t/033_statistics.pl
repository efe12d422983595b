# What coupon_guard_stats counts: every function and status, errors, waits and how long they take, what else a call does; of each database
# its own, exactly, also from many sessions at once. And that pg_stat_activity says what a redemption waits for, and is right again when the
# wait ends by an error.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use CouponGuard::Session;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf(
	'postgresql.conf', q(
	shared_preload_libraries = 'coupon_guard'
	coupon_guard.statistics_databases = 3
	restart_after_crash = on
	autovacuum = off));
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION coupon_guard');
my ($major) = $node->safe_psql('postgres', 'SHOW server_version_num') =~ /^(\d\d)/;

sub value
{
	my ($sql, $database) = @_;
	return $node->safe_psql($database // 'postgres', $sql);
}

# A session that goes on after errors; what it answers is not looked at.
sub run_all
{
	my (@statements) = @_;
	my $session = CouponGuard::Session->new($node);
	foreach my $statement (@statements)
	{
		$session->start($statement);
		$session->finish;
	}
	$session->close;
	return;
}

sub reset_stats { return value('SELECT coupon_guard_stats_reset()'); }

# That the rows are these: "function status calls" of each.
sub is_counted
{
	my ($rows, $name, $database) = @_;
	my @counted = split /\n/, value(q(SELECT format('%s %s %s', function, coalesce(status::text, 'error'), calls) FROM coupon_guard_stats), $database);
	return is_deeply([ sort @counted ], [ sort @{$rows} ], $name);
}

# One column, of a function and status ("error": none), or of all.
sub count_of
{
	my ($column, $function, $status) = @_;
	my $which = !defined $function ? 'true' : "function = '$function' AND coalesce(status::text, 'error') = '$status'";
	return value("SELECT coalesce(sum($column), 0) FROM coupon_guard_stats WHERE $which");
}

# ---- every function, every status -----------------------------------------------------------------------------------------------

value(
	q(INSERT INTO coupon (code, active, starts_at, expires_at, max_redemptions, max_per_user, holder, budget) VALUES
		('OPEN', true, NULL, NULL, NULL, NULL, NULL, NULL), ('ONCE', true, NULL, NULL, NULL, 1, NULL, NULL),
		('OFF', false, NULL, NULL, NULL, 1, NULL, NULL), ('LATER', true, now() + interval '1 day', NULL, NULL, 1, NULL, NULL),
		('OVER', true, NULL, now() - interval '1 day', NULL, 1, NULL, NULL), ('TWO', true, NULL, NULL, 2, 1, NULL, NULL),
		('HERS', true, NULL, NULL, NULL, 1, 'she', NULL), ('CARD', true, NULL, NULL, NULL, NULL, NULL, 100);
	  INSERT INTO campaign (name, active, starts_at, expires_at) VALUES
		('one', true, NULL, NULL), ('off', false, NULL, NULL), ('later', true, now() + interval '1 day', NULL), ('over', true, NULL, now());
	  INSERT INTO coupon (code, campaign_id, max_redemptions) SELECT 'one-' || n, 1, 1 FROM generate_series(1, 2) n));
reset_stats();
is_counted([], 'after a reset there are no rows');

my @refused = ([ 'not_found', 'NONE' ], [ 'inactive', 'OFF' ], [ 'not_started', 'LATER' ], [ 'expired', 'OVER' ], [ 'already_redeemed', 'ONCE' ],
	[ 'sold_out', 'TWO' ], [ 'reserved', 'HERS' ]);
run_all(
	"SELECT redeem_coupon('a'::text, 'ONCE'), redeem_coupon('b'::text, 'TWO'), redeem_coupon('c'::text, 'TWO')",
	(map { my $function = $_; map { "SELECT $function('a'::text, '$_->[1]')" } @refused } 'redeem_coupon', 'redeem_coupon_strict', 'hold_coupon', 'check_coupon'),
	"SELECT redeem_coupon('a'::text, 'CARD', 101)",
	"SELECT redeem_coupon_strict('a'::text, 'CARD', 101)",
	"SELECT redeem_coupon_strict('a'::text, 'OPEN')",
	"SELECT redeem_coupons('d'::text, '{ONCE,OPEN}')",
	"SELECT redeem_coupons('d'::text, '{OPEN,NONE,OPEN}')",
	"SELECT redeem_coupon_for_each('{e,f,a}'::text[], '{ONCE,ONCE,ONCE}')",
	"SELECT hold_coupon('h'::text, 'OPEN')",
	"SELECT confirm_hold((SELECT max(id) FROM coupon_redemption WHERE user_id = 'h'))",
	"SELECT void_redemption((SELECT max(id) FROM coupon_redemption WHERE user_id = 'h'))",
	"SELECT confirm_hold((SELECT max(id) FROM coupon_redemption WHERE user_id = 'h'))",
	"SELECT check_coupon('z'::text, 'ONCE')",
	(map { "SELECT claim_coupon('$_->[0]'::text, '$_->[1]')" } [ 'a', 'one' ], [ 'b', 'one' ], [ 'c', 'one' ], [ 'a', 'none' ], [ 'a', 'off' ], [ 'a', 'later' ], [ 'a', 'over' ]),
	"SELECT release_claim('a'::text, 'one')",
	"SELECT release_claim('a'::text, 'one')");
is_counted(
	[   'redeem_coupon redeemed 3', 'redeem_coupon insufficient 1', 'redeem_coupon_strict insufficient 1', 'redeem_coupon_strict redeemed 1',
		(map { my $function = $_; map { "$function $_->[0] 1" } @refused } 'redeem_coupon', 'redeem_coupon_strict', 'hold_coupon', 'check_coupon'),
		'redeem_coupons redeemed 2', 'redeem_coupons withheld 2', 'redeem_coupons not_found 1', 'redeem_coupon_for_each redeemed 2',
		'redeem_coupon_for_each already_redeemed 1', 'hold_coupon held 1', 'confirm_hold redeemed 1', 'confirm_hold voided 1', 'void_redemption voided 1',
		'check_coupon redeemed 1', 'claim_coupon claimed 2', 'claim_coupon sold_out 1', 'claim_coupon not_found 1', 'claim_coupon inactive 1',
		'claim_coupon not_started 1', 'claim_coupon expired 1', 'release_claim released 1', 'release_claim not_found 1'
	],
	'every call is counted by function and status');
is(count_of('cache_hits', 'redeem_coupon_for_each', 'redeemed'), 2, 'what was done for one of many codes is counted with that code');
is(count_of('cache_hits', 'redeem_coupon_for_each', 'already_redeemed'), 1, 'and not again with the next');

# ---- errors ---------------------------------------------------------------------------------------------------------------------

reset_stats();
run_all(
	'SELECT redeem_coupon(NULL::text, \'OPEN\')',
	"SELECT redeem_coupon('a'::text, 'CARD', -1)",
	"SELECT redeem_coupon_strict(''::text, 'OPEN')",
	"SELECT redeem_coupons('a'::text, '{OPEN,NULL}')",
	"SELECT confirm_hold(NULL)",
	"BEGIN", "SAVEPOINT s", "SELECT hold_coupon('a'::text, 'OPEN', '-1 s')", "ROLLBACK TO s", "SELECT redeem_coupon('a'::text, 'OPEN')", "ROLLBACK",
	"SET default_transaction_read_only = on", "SELECT redeem_coupon('a'::text, 'OPEN')",
	"SET default_transaction_read_only = off",
	q(DO $$ BEGIN FOR n IN 1 .. 3 LOOP BEGIN PERFORM redeem_coupon_strict('a'::text, CASE n WHEN 2 THEN 'NONE' ELSE repeat('x', 0) END || NULLIF(n, 3)); EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END $$));
is_counted(
	[   'confirm_hold error 1', 'hold_coupon error 1', 'redeem_coupon redeemed 1', 'redeem_coupon error 3', 'redeem_coupon_strict not_found 2',
		'redeem_coupon_strict error 2', 'redeem_coupons error 1'
	],
	'a call that ends with an error is counted as one, a refusal that is raised with its status; and what is rolled back has been counted');

# A call in a trigger of a call, which may fail and be caught.
value(
	q(CREATE FUNCTION also() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
	  IF NEW.user_id LIKE 'outer%' THEN
	    PERFORM hold_coupon('inner ' || NEW.user_id, 'OPEN');
	    BEGIN
	      PERFORM redeem_coupon(NULL::text, 'OPEN');
	    EXCEPTION WHEN null_value_not_allowed THEN
	      PERFORM check_coupon('inner', 'ONCE');
	    END;
	  END IF;
	  RETURN NULL;
	END $$;
	CREATE TRIGGER also AFTER INSERT ON coupon_redemption FOR EACH ROW EXECUTE FUNCTION also()));

my $rival = CouponGuard::Session->new($node);
my $buyer = CouponGuard::Session->new($node);

# Starts the statement, and returns when it waits for the rival.
sub start_waiting
{
	my ($statement) = @_;
	$buyer->start($statement);
	$node->poll_query_until('postgres', "SELECT pg_blocking_pids($buyer->{pid}) = ARRAY[$rival->{pid}]") or die "this does not wait: $statement";
	return;
}

# What pg_stat_activity shows that the buyer waits for, once it has had the time to.
sub shows
{
	my ($event, $name) = @_;
	my $shown = "SELECT concat_ws(' ', wait_event_type, wait_event) FROM pg_stat_activity WHERE pid = $buyer->{pid}";
	$node->poll_query_until('postgres', $shown, $event);
	return is(value($shown), $event, $name);
}

sub event_of { return 'Extension ' . ($major < 17 ? 'Extension' : "CouponGuard$_[0]"); }

$rival->query("BEGIN; SELECT redeem_coupon('outer'::text, 'ONCE')");
reset_stats();
start_waiting("SELECT status FROM redeem_coupon('outer'::text, 'ONCE')");
shows(event_of('Rival'), 'a wait for a rival is shown as that');
$rival->query('ROLLBACK');
is_deeply($buyer->finish->{rows}, [ ['redeemed'] ], 'the rival gives up, the buyer redeems');
is_counted(
	[ 'check_coupon redeemed 1', 'hold_coupon held 1', 'redeem_coupon error 1', 'redeem_coupon redeemed 1' ],
	'calls in a trigger are counted by themselves, that of an error which is caught too');
is(count_of('rival_waits', 'redeem_coupon', 'redeemed'), 1, 'the wait is that of the call which waited');
is(count_of('rival_waits'), 1, 'and of no other');
cmp_ok(count_of('rival_wait_time', 'redeem_coupon', 'redeemed'), '>', 0, 'it took time');
cmp_ok(count_of('rounds_again', 'redeem_coupon', 'redeemed'), '>=', 1, 'a round was played again after it');
value('DROP TRIGGER also ON coupon_redemption');

# ---- waits ----------------------------------------------------------------------------------------------------------------------

value("INSERT INTO coupon (code, max_redemptions) VALUES ('LAST', 1)");
$rival->query("BEGIN; SELECT redeem_coupon('a'::text, 'LAST')");
reset_stats();
start_waiting("SELECT status FROM redeem_coupon('b'::text, 'LAST')");
shows(event_of('Stripe'), 'a wait for units is shown as that');
$rival->query('COMMIT');
is_deeply($buyer->finish->{rows}, [ ['sold_out'] ], 'the rival keeps the last unit');
is(count_of('stripe_waits', 'redeem_coupon', 'sold_out'), 1, 'it is counted as a wait for a stripe');
is(count_of('rival_waits + lock_waits'), 0, 'and as no other');
cmp_ok(count_of('stripe_wait_time'), '>', 0, 'it took time');

value("INSERT INTO coupon (code, max_redemptions) VALUES ('PAIR', 1)");
$rival->query("BEGIN; SELECT redeem_coupon('a'::text, 'PAIR')");
reset_stats();
start_waiting("SELECT status FROM redeem_coupons('q'::text, '{OPEN,PAIR}')");
$rival->query('COMMIT');
is_deeply($buyer->finish->{rows}, [ ['withheld'], ['sold_out'] ], 'of two coupons one is waited for, in vain');
is(count_of('stripe_waits', 'redeem_coupons', 'sold_out'), 1, 'the wait is that of this code');
is(count_of('stripe_waits'), 1, 'and of no other');

$rival->query('BEGIN; LOCK TABLE coupon_redemption IN SHARE MODE');
reset_stats();
start_waiting("SELECT status FROM redeem_coupon('l'::text, 'ONCE')");
shows(event_of('Lock'), 'a wait for the lock of a table is shown as that');
$rival->query('COMMIT');
is_deeply($buyer->finish->{rows}, [ ['redeemed'] ], 'once the table is free, the buyer redeems');
is(count_of('lock_waits', 'redeem_coupon', 'redeemed'), 1, 'it is counted as a wait for a lock');
is(count_of('rival_waits + stripe_waits + rounds_again'), 0, 'and as no other');
cmp_ok(count_of('lock_wait_time'), '>', 0, 'it took time');

my $hold = value("SELECT redemption_id FROM hold_coupon('r'::text, 'OPEN')");
$rival->query("BEGIN; SELECT confirm_hold($hold)");
reset_stats();
start_waiting("SELECT void_redemption($hold)");
shows(event_of('Lock'), q(so is one for a hold's row));
$rival->query('COMMIT');
$buyer->finish;
is(count_of('lock_waits', 'void_redemption', 'voided'), 1, 'which is counted, too');

reset_stats();
$rival->query('ROLLBACK');

# ---- waits that end by an error -------------------------------------------------------------------------------------------------

sub take_last_one
{
	return $rival->query("BEGIN; SELECT redeem_coupon('x'::text, 'ONCE')");
}

$buyer->query("SET lock_timeout = '100ms'");
take_last_one();
reset_stats();
$buyer->start("SELECT redeem_coupon('x'::text, 'ONCE')");
is($buyer->finish->{sqlstate}, '55P03', 'a wait ends by lock_timeout');
is_counted(['redeem_coupon error 1'], 'it is counted as an error');
is(count_of('rival_waits', 'redeem_coupon', 'error'), 1, 'with its wait');
cmp_ok(count_of('rival_wait_time', 'redeem_coupon', 'error'), '>=', 90, 'and how long it was, in milliseconds');
shows('Client ClientRead', 'after that the session shows what it waits for: its client');
$buyer->query('RESET lock_timeout');

start_waiting("SELECT redeem_coupon('x'::text, 'ONCE')");
shows(event_of('Rival'), 'the next wait is shown again');
value("SELECT pg_cancel_backend($buyer->{pid})");
is($buyer->finish->{sqlstate}, '57014', 'it is cancelled');
$rival->query('SELECT pg_advisory_xact_lock(1)');
start_waiting('SELECT pg_advisory_lock(1)');
shows('Lock advisory', q(a wait of the server's is then shown as the server shows it));
$rival->query('ROLLBACK');
$buyer->finish;

# In a subtransaction, whose error is caught.
take_last_one();
reset_stats();
$buyer->query(
	q(DO $$ BEGIN
	  SET LOCAL lock_timeout = '50ms';
	  FOR n IN 1 .. 2 LOOP
	    BEGIN PERFORM redeem_coupon('x'::text, 'ONCE'); EXCEPTION WHEN lock_not_available THEN NULL; END;
	  END LOOP;
	  PERFORM redeem_coupon('y'::text, 'ONCE');
	END $$));
is_counted([ 'redeem_coupon redeemed 1', 'redeem_coupon error 2' ], 'two waits end in blocks that catch the error');
is(count_of('rival_waits', 'redeem_coupon', 'error'), 2, 'both are counted there');
is(count_of('rival_waits', 'redeem_coupon', 'redeemed'), 0, 'and not with the call that follows');
shows('Client ClientRead', 'the session shows its client');

# A deadlock is found while our event is shown.
value("INSERT INTO coupon (code) VALUES ('D1'), ('D2')");
$buyer->query("BEGIN; SET LOCAL deadlock_timeout = '10ms'; SELECT redeem_coupon('x'::text, 'D2')");
$rival->query("SET deadlock_timeout = '1h'; SELECT redeem_coupon('x'::text, 'D1')");
$rival->start("SELECT status FROM redeem_coupon('x'::text, 'D2')");
$node->poll_query_until('postgres', "SELECT pg_blocking_pids($rival->{pid}) = ARRAY[$buyer->{pid}]") or die;
$buyer->start("SELECT redeem_coupon('x'::text, 'D1')");
is($buyer->finish->{sqlstate}, '40P01', 'a deadlock is found as ever');
$buyer->query('ROLLBACK');
is_deeply($rival->finish->{rows}, [ ['redeemed'] ], 'and the other one goes on');
$rival->query('ROLLBACK; RESET deadlock_timeout');

# Terminated while it waits: what gets its place in shared memory shows nothing of it.
take_last_one();
start_waiting("SELECT redeem_coupon('x'::text, 'ONCE')");
value("SELECT pg_terminate_backend($buyer->{pid})");
$buyer->has_ended(180);
ok($buyer->{is_lost}, 'a session is terminated while it waits');
$buyer = CouponGuard::Session->new($node);
shows('Client ClientRead', 'the next one shows its own waits');
$rival->query('ROLLBACK');

# ---- what else is done ----------------------------------------------------------------------------------------------------------

value("INSERT INTO coupon (code, max_redemptions) VALUES ('HELD', 1)");
value("SELECT hold_coupon('h'::text, 'HELD', '1 microsecond')");
reset_stats();
run_all("SELECT redeem_coupon('i'::text, 'HELD')", "SELECT redeem_coupon('j'::text, 'HELD')");
is(count_of('units_taken_over', 'redeem_coupon', 'redeemed'), 1, 'the unit of an expired hold is taken over');
is(count_of('units_taken_over'), 1, 'once');

value("INSERT INTO coupon (code, max_redemptions) VALUES ('SET', 1)");
value('DELETE FROM coupon_quota');
reset_stats();
run_all("SELECT redeem_coupon('a'::text, 'SET')", "SELECT redeem_coupon('b'::text, 'SET')");
is(count_of('quotas_set_up', 'redeem_coupon', 'redeemed'), 1, 'a quota is set up by the first who needs it');
is(count_of('quotas_set_up', 'redeem_coupon', 'sold_out'), 0, 'and not by the next');

reset_stats();
run_all(map { "SELECT redeem_coupon('$_'::text, 'ONCE')" } 'k1' .. 'k3');
is(count_of('cache_misses', 'redeem_coupon', 'redeemed'), 1, 'a session reads a coupon once');
is(count_of('cache_hits', 'redeem_coupon', 'redeemed'), 2, 'and then knows it');

# ---- who may read ---------------------------------------------------------------------------------------------------------------

value('CREATE ROLE monitor IN ROLE pg_monitor; CREATE ROLE nobody; CREATE ROLE owner');
is(value('SET ROLE monitor; SELECT count(*) > 0 FROM coupon_guard_stats'), 't', 'pg_monitor may read');
foreach my $case ([ 'nobody', 'SELECT * FROM coupon_guard_stats' ], [ 'nobody', 'SELECT coupon_guard_read_stats()' ],
	[ 'nobody', 'SELECT coupon_guard_stats_reset()' ], [ 'monitor', 'SELECT coupon_guard_stats_reset()' ])
{
	my ($role, $sql) = @{$case};
	my (undef, undef, $errors) = $node->psql('postgres', "SET ROLE $role; $sql");
	like($errors, qr/permission denied/, "$role may not: $sql");
}
value('CREATE DATABASE owned OWNER owner');
value('SET ROLE owner; CREATE EXTENSION coupon_guard SCHEMA public', 'owned') if value("SELECT has_schema_privilege('owner', 'public', 'CREATE')", 'owned') eq 't';
is(value('SET ROLE owner; SELECT coupon_guard_stats_reset(); SELECT count(*) FROM coupon_guard_stats', 'owned') =~ s/\n//r,
	'0', 'the owner of the extension may read and reset');

# ---- exactly, from many sessions ------------------------------------------------------------------------------------------------

my $script = $node->basedir . '/script';
append_to_file($script, <<'SCRIPT');
\set user random(1, 1000000000)
\set code random(1, 3)
SELECT redeem_coupon(CAST(:user AS bigint), CASE :code WHEN 1 THEN 'OPEN' WHEN 2 THEN 'TWO' ELSE 'NONE' END);
SCRIPT
reset_stats();
$node->command_ok([ 'pgbench', '-n', '-c', 10, '-j', 2, '-t', 100, '-f', $script, $node->connstr('postgres') ], 'many sessions redeem');
is(count_of('calls'), 1000, 'every call of theirs is counted, once');
is(count_of('cache_hits + cache_misses - rounds_again'), 1000, 'and what each of them did');

# ---- more databases than are counted --------------------------------------------------------------------------------------------

value("CREATE DATABASE $_"), value('CREATE EXTENSION coupon_guard', $_) foreach 'third', 'fourth';
my $redeem = q(SELECT status FROM redeem_coupon('a'::text, 'NONE'));
is(value($redeem, 'third'), 'not_found', 'a third database is counted');
is_counted(['redeem_coupon not_found 1'], 'by itself', 'third');
is(count_of('calls'), 1000, 'which changes nothing in another');
my $fourth = CouponGuard::Session->new($node, 'fourth');
is_deeply([ $fourth->query($redeem) ], [ ['not_found'] ], 'in a fourth everything works');
$fourth->start('SELECT * FROM coupon_guard_stats');
is($fourth->finish->{sqlstate}, '53400', 'but the view says that it is not counted');
my $number = value(q(SELECT oid FROM pg_database WHERE datname = 'third'));
my $kept = CouponGuard::Session->new($node, 'third');
my (undef, undef, $in_use) = $node->psql('postgres', 'DROP DATABASE third');
like($in_use, qr/being accessed by other users/, 'a database in use is not dropped');
is_deeply([ $kept->query($redeem) ], [ ['not_found'] ], 'it goes on');
is_counted(['redeem_coupon not_found 2'], 'and is counted as before', 'third');
$kept->close;
$node->poll_query_until('postgres', q(SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = 'third')) or die;
value('DROP DATABASE third');
is_deeply([ $fourth->query($redeem) ], [ ['not_found'] ], 'when it is dropped, there is room');
is_counted(['redeem_coupon not_found 1'], 'and the session that was there before is counted from then on', 'fourth');
$fourth->close;
$node->poll_query_until('postgres', q(SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = 'fourth')) or die;
value('DROP DATABASE fourth');
value("CREATE DATABASE again OID $number");
value('CREATE EXTENSION coupon_guard', 'again');
is_counted([], 'a database with the number of one that is gone begins anew', 'again');

# ---- a crash --------------------------------------------------------------------------------------------------------------------

run_all("SELECT redeem_coupon('a'::text, 'NONE')");
$buyer->close;
$rival->close;
my $victim = CouponGuard::Session->new($node);
kill 'KILL', $victim->{pid};
$victim->has_ended(180);
$node->poll_query_until('postgres', 'SELECT true') or die;
is_counted([], 'after a crash the counts begin anew');
run_all("SELECT redeem_coupon('a'::text, 'NONE')");
is_counted(['redeem_coupon not_found 1'], 'and go on');
is(value('SELECT count(*) FROM coupon_guard_verify()'), 0, 'nothing is wrong');

# ---- not preloaded --------------------------------------------------------------------------------------------------------------

$node->append_conf('postgresql.conf', q(shared_preload_libraries = ''));
$node->restart;
$buyer = CouponGuard::Session->new($node);
$rival = CouponGuard::Session->new($node);
foreach my $sql ('SELECT * FROM coupon_guard_stats', 'SELECT coupon_guard_stats_reset()')
{
	$buyer->start($sql);
	my $result = $buyer->finish;
	is($result->{sqlstate}, '55000', "without preloading: $sql") or diag($result->{message});
}
is_deeply([ $buyer->query(q(SELECT status FROM redeem_coupon('n'::text, 'ONCE'))) ], [ ['redeemed'] ], 'redemptions are as ever');
take_last_one();
start_waiting("SELECT status FROM redeem_coupon('x'::text, 'ONCE')");
shows('Lock transactionid', q(and their waits are shown as the server's));
$rival->query('COMMIT');
is_deeply($buyer->finish->{rows}, [ ['already_redeemed'] ], 'until the rival is through');

$node->stop;
done_testing();
