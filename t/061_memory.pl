# A backend that lives for days does not grow: however often a function is called, by calls that succeed, that are refused and that fail,
# each a transaction of its own or many in one, the memory contexts of the backend have as much in them as before, and its process as much
# memory. A transaction may keep something for each call until it ends, but little.
#
# Of each kind 70 calls in each way; COUPON_GUARD_SOAK_SECONDS has five times as many, which takes about so long.
# COUPON_GUARD_MEMORY_KINDS is a pattern for the names of those that are wanted.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use CouponGuard::Session;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $calls = $ENV{COUPON_GUARD_SOAK_SECONDS} ? 5 * $ENV{COUPON_GUARD_SOAK_SECONDS} : 70;
my $wanted = $ENV{COUPON_GUARD_MEMORY_KINDS} // '.';
# What is kept for each call would be more than this, a chunk having 16 bytes at least.
my $per_call = 4;
# Of a transaction that goes on, for each statement: a lock, a subtransaction's number, an invalidation message.
my $per_call_of_open = 1000;
# What comes once, whatever it is: a block of malloc()'s, the server's caches.
my $process_slack = 4 * 1024 * 1024;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off\nshared_preload_libraries = 'coupon_guard'");
$node->start;
$node->safe_psql(
	'postgres', q(
	CREATE EXTENSION coupon_guard;
	INSERT INTO campaign (name, max_redemptions, max_per_user, budget) VALUES ('Capped', 1000000000, 1000000000, 1000000000000), ('Claims', NULL, NULL, NULL);
	INSERT INTO coupon (code, max_per_user, max_redemptions, budget, active, holder, campaign_id) VALUES
	  ('PLAIN', NULL, NULL, NULL, true, NULL, NULL), ('CAPPED', NULL, 1000000000, NULL, true, NULL, NULL), ('BUDGET', NULL, NULL, 1000000000000, true, NULL, NULL),
	  ('CAMPAIGN', NULL, NULL, NULL, true, NULL, 1), ('GONE', NULL, 1, NULL, true, NULL, NULL), ('OFF', NULL, NULL, NULL, false, NULL, NULL),
	  ('HERS', NULL, NULL, NULL, true, 'her', NULL);
	UPDATE coupon SET terms = jsonb_build_object('text', repeat('x', 3000)) WHERE code IN ('PLAIN', 'CAMPAIGN');
	INSERT INTO campaign (name) VALUES ('For others');
	INSERT INTO coupon (code, campaign_id, max_redemptions) SELECT 'OTHERS-' || i, 3, 1 FROM generate_series(1, 50) i;
	INSERT INTO coupon (code, max_redemptions, rights) VALUES ('SHARED', 1000000000, 1000000);
	SELECT coupon_guard_set_shard('one', 1);
	INSERT INTO coupon (code, campaign_id) SELECT 'CLAIM-' || i, 2 FROM generate_series(1, 50) i;
	ALTER TABLE coupon ADD CONSTRAINT checked CHECK (coupon_code_fits(code, 'CHECK-????', 'ABCDEFGHJK'));
	SELECT redeem_coupon('first', 'GONE')));

my $session = CouponGuard::Session->new($node);

# Calls by kind. N is another number each time, KEPT the id of a redemption that stays.
my $kept = $node->safe_psql('postgres', q(SELECT redemption_id FROM redeem_coupon('kept', 'BUDGET', 1000000000)));
my %call = (
	'redeems' => q(SELECT redeem_coupon('user N', 'PLAIN')),
	'redeems capped' => q(SELECT redeem_coupon('user N', 'CAPPED', 'request N', '{"order": 1}')),
	'redeems an amount' => q(SELECT redeem_coupon('user N', 'BUDGET', 5, request_id => 'request N')),
	'redeems of a campaign' => q(SELECT redeem_coupon('user N', 'CAMPAIGN', 5)),
	'redeems several' => q(SELECT redeem_coupons('user N', ARRAY['PLAIN', 'CAPPED', 'CAMPAIGN'], ARRAY[1, 2, 3], request_id => 'several N')),
	'is withheld' => q(SELECT redeem_coupons('user N', ARRAY['PLAIN', 'CAPPED', 'GONE'])),
	'redeems for each' => q(SELECT redeem_coupon_for_each(ARRAY['each N', 'other N'], ARRAY['PLAIN', 'CAPPED'])),
	'is replayed' => q(SELECT redeem_coupon('retry', 'CAPPED', 'request')),
	'holds, confirms, voids' => q(SELECT void_redemption((confirm_hold((hold_coupon('user N', 'CAPPED', '1 hour')).redemption_id)).redemption_id, 'why')),
	'holds an amount, confirms less' => q(SELECT confirm_hold((hold_coupon('user N', 'BUDGET', '1 hour', 9)).redemption_id, 3)),
	'voids a part' => "SELECT void_redemption($kept, 1)",
	'takes a lapsed hold over' => q(SELECT hold_coupon('lapsed', 'CAPPED', '1 microsecond')),
	'claims and releases' => q(SELECT claim_coupon('user N', 'claims'), release_claim('user N', 'claims')),
	'is sold out' => q(SELECT redeem_coupon('user N', 'GONE')),
	'is not found' => q(SELECT redeem_coupon('user N', 'NO SUCH N')),
	'has a wrong check character' => q(SELECT redeem_coupon('user N', 'CHECK-ABAC'), coupon_code_fits('CHECK-ABAC', 'CHECK-????', 'ABCDEFGHJK')),
	'is reserved, inactive' => q(SELECT redeem_coupon('user N', 'HERS'), redeem_coupon('user N', 'OFF')),
	'checks' => q(SELECT check_coupon('user N', 'CAMPAIGN'), check_coupon('user N', 'CAPPED'), check_coupon('user N', 'NO SUCH')),
	'generates' => q(SELECT generate_coupons('Claims', 2, 'MADE-????????', check_character => true)),
	'verifies' => 'SELECT coupon_guard_verify() WHERE N % 25 = 0',
	'tells keys' => q(SELECT coupon_key(U&'  Caf\00E9 \FB03 N'), coupon_guard_user_id_fault(U&'\FF11N'), coupon_guard_version(), coupon_guard_generation()),
	'changes coupons' => q(UPDATE coupon SET max_redemptions = max_redemptions + 1, budget = budget + 1 WHERE code IN ('CAPPED', 'BUDGET')),
	'changes campaigns' => q(UPDATE campaign SET max_redemptions = 1000000000 + N WHERE id = 1),
	'makes and deletes coupons' => q(WITH made AS (INSERT INTO coupon (code, max_redemptions) VALUES ('NEW N', 3) RETURNING id) DELETE FROM coupon WHERE code = 'NEW ' || N - 1),
	'writes the ledger by hand' => q(INSERT INTO coupon_redemption (coupon_id, user_id, use_no) SELECT id, 'by hand N', 1 FROM coupon WHERE code IN ('CAPPED', 'PLAIN')),
	'voids by hand' => q(UPDATE coupon_redemption SET voided_at = now() WHERE id = (SELECT max(id) FROM coupon_redemption)),
	'has the tables proven anew' => q(ALTER TABLE coupon ALTER terms SET (n_distinct = N); SELECT redeem_coupon('user N', 'PLAIN'), redeem_coupon('user N', 'CHECK-ABAC')),
	'is throttled' => q(SET coupon_guard.throttle_user_rate = 1; SET coupon_guard.throttle_client_rate = 1; SET coupon_guard.client = 'client N';
		SELECT redeem_coupon('throttled', 'PLAIN'), check_coupon('user N', 'PLAIN'); RESET coupon_guard.throttle_user_rate; RESET coupon_guard.throttle_client_rate),
	'moves units' => q(SELECT accept_units('SHARED', 3, md5('in N')::uuid, 'two'), release_units('SHARED', 2, md5('out N')::uuid, 'two'), settle_transfer(md5('out N')::uuid)),
	'repeats a transfer' => q(SELECT accept_units('SHARED', 3, md5('in')::uuid, 'two'), release_units('SHARED', 2, md5('out')::uuid, 'two')),
	'has no units to release' => q(SELECT release_units('GONE', 1, md5('none N')::uuid, 'two')),
	'looks at units' => q(SELECT coupon_guard_units('SHARED'), coupon_guard_units('PLAIN'), coupon_guard_units('CAPPED')),
	'is the same shard' => q(SELECT coupon_guard_set_shard('one', 1)),
	'looks for routers' => q(SELECT coupon_shard_end_look('c', 'SHARED', coupon_shard_begin_look('c', 'SHARED'), true), coupon_shard_units('SHARED', 'c'), coupon_shard_limits('SHARED', NULL),
		coupon_shard_use('SHARED', 'c'), coupon_shard_unsettled('c', 'SHARED'), coupon_shard_unsettled_users(), coupon_shard_redemption_of('kept', KEPT);
		SELECT coupon_shard_row('SHARED'), coupon_shard_campaign_row('Capped'), coupon_shard_digests(false, '{1,2}'), coupon_shard_known_codes('{SHARED}'), coupon_shard_divided('{1,2}'),
		coupon_shard_new_rights(true, 10, 10, 20, 20, 5), coupon_shard_strangers('{0}', 2, false)),
	'changes rows for routers' => q(SELECT coupon_shard_put_coupon('{"code": "PUT", "max_redemptions": 7}', true), coupon_shard_put_campaign('{"name": "Put", "budget": 7}', true);
		SELECT coupon_shard_put_coupon('{"code": "PUT", "max_redemptions": 8}', true), coupon_shard_delete('PUT', 'Put')),
	'has a code for another shard' => q(SELECT coupon_shard_release_code('For others', md5('code N')::uuid, 'two')),
	'reads the statistics' => 'SELECT coupon_guard_read_stats(), coupon_guard_stats_reset()',
	'has other settings' => q(SET coupon_guard.user_id_type = text; SELECT redeem_coupon('user N', 'PLAIN'); RESET coupon_guard.user_id_type),
);
s/KEPT/$kept/ foreach values %call;
# When users may move, which makes a redemption go through the executor.
my %call_of_movers = (
	'moves users' => q(SELECT redeem_coupon('mover N', 'CAPPED', metadata => '{"order": 1}');
		SELECT accept_user(release_user('mover N', md5('user N')::uuid, 'two') || jsonb_build_object('transfer_id', md5('back N')::uuid, 'from', 'two', 'to', 'one')), settle_user(md5('user N')::uuid)),
	'closes a partition' => q(SELECT coupon_guard_close_partition(1, 2), coupon_guard_close_partition(1, 2, false)),
	'has rows as texts' => q(SELECT coupon_guard_row_texts('coupon'), coupon_guard_insert_texts('coupon', '[]', true)),
);
# These fail, each in another place.
my %failure = (
	'is refused strictly' => q(SELECT redeem_coupon_strict('user N', 'GONE')),
	'sends units to itself' => q(SELECT release_units('GONE', 1, md5('none N')::uuid, 'one')),
	'releases what is not divided' => q(SELECT release_units('PLAIN', 1, md5('plain N')::uuid, 'two')),
	'accepts for another limit' => q(SELECT accept_units('GONE', 3, md5('in')::uuid, 'two')),
	'has no user' => q(SELECT redeem_coupon(NULL::text, 'PLAIN')),
	'has a bad user' => q(SELECT redeem_coupon(' N', 'PLAIN')),
	'has no amount' => q(SELECT redeem_coupon('user N', 'BUDGET')),
	'has a bad code in several' => q(SELECT redeem_coupons('user N', ARRAY['PLAIN', 'CAPPED', NULL])),
	'fails for each, the second' => q(SELECT redeem_coupon_for_each(ARRAY['a N', ' '], ARRAY['CAPPED', 'CAPPED'])),
	'fails after redeeming' => q(SELECT redeem_coupon('user N', 'CAPPED'), redeem_coupon('user N', 'CAMPAIGN', 1), redeem_coupon_for_each(ARRAY['f N'], ARRAY['PLAIN']), 1 / (N - N)),
	'generates what is no pattern' => q(SELECT generate_coupons(NULL, 2, 'MADE')),
	'generates into a check' => q(SELECT generate_coupons(NULL, 2, 'CHECK-???A', alphabet => 'ABCDEFGHJK', max_share => 1), 1 / (N - N)),
	'voids too much' => "SELECT void_redemption($kept, 4000000000)",
	'has no key' => q(SELECT coupon_key(repeat('x', 2000))),
	'lowers a cap' => q(UPDATE coupon SET max_redemptions = 1 WHERE code = 'CAPPED'),
	'deletes what is redeemed' => q(DELETE FROM coupon WHERE code = 'GONE'),
);

my ($before_moves, $after_moves) = ('SELECT coupon_guard_begin_moves()', 'SELECT coupon_guard_end_moves()');
my $all_calls = join "\n", values %call, values %call_of_movers, values %failure, $before_moves, $after_moves;
my @uncalled = grep { $all_calls !~ /\b$_\(/ } split /\n/, $node->safe_psql(
	'postgres', q(SELECT DISTINCT proname FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'e'
		JOIN pg_extension e ON e.oid = refobjid AND extname = 'coupon_guard' WHERE prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)));
is("@uncalled", '', 'every function is called');

# What is in the backend's memory contexts, and what its process has of its own.
sub memory
{
	my ($row) = $session->query('SELECT sum(used_bytes), pg_backend_pid() FROM pg_backend_memory_contexts');
	my ($process) = slurp_file("/proc/$row->[1]/status") =~ /^RssAnon:\s+(\d+) kB/m;
	return ($row->[0], 1024 * $process);
}

my $number = 0;

sub ask
{
	my ($sql) = @_;
	$number++;
	$session->start($sql =~ s/\bN\b/$number/gr);
	my $result = $session->finish;
	die "connection lost: $sql" if $session->{is_lost};
	return $result->{sqlstate};
}

# The call so many times, each a transaction of its own; all in one; and each in a subtransaction of one, which a failure needs.
sub call_alone
{
	my ($sql, $fails) = @_;
	foreach (1 .. $calls)
	{
		my $sqlstate = ask($sql);
		die "$sql: $session->{result}{message}" if $sqlstate && !$fails;
		die "$sql succeeds" if !$sqlstate && $fails;
	}
	return;
}

sub call_in_one
{
	my ($sql, $fails) = @_;
	ask('BEGIN');
	my @before;
	foreach (1 .. $calls)
	{
		ask("SAVEPOINT one; $sql; " . ($_ % 2 ? 'ROLLBACK TO one; RELEASE one' : 'RELEASE one'));
		ask('ROLLBACK TO one; RELEASE one') if $fails;
		@before = memory() if $_ == 1;
	}
	my @after = memory();
	ask('COMMIT');
	return ($after[0] - $before[0]) / $calls;
}

# What the memory has grown by, while the calls were made once more.
sub growth
{
	my ($sql, $fails) = @_;
	my @before = memory();
	call_alone($sql, $fails);
	my $of_open = call_in_one($sql, $fails);
	my @after = memory();
	return ($after[0] - $before[0], $after[1] - $before[1], $of_open);
}

# The server fills a cache now and then; what is kept for each call shows every time.
sub check
{
	my ($name, $sql, $fails) = @_;
	call_alone($sql, $fails);
	call_in_one($sql, $fails);
	my ($growth, $of_process, $of_open);
	foreach (1 .. 3)
	{
		($growth, $of_process, $of_open) = growth($sql, $fails);
		note(sprintf '%s: %+d bytes, the process %+d kB; an open transaction %d bytes a call', $name, $growth, $of_process / 1024, $of_open);
		last if $growth <= 2048 + 2 * $calls * $per_call;
	}
	cmp_ok($growth, '<=', 2048 + 2 * $calls * $per_call, "$name, and no memory is kept");
	cmp_ok($of_process, '<=', $process_slack + 2 * $calls * $per_call, "$name, and the process does not grow");
	cmp_ok($of_open, '<=', $per_call_of_open * (1 + $sql =~ tr/;//), "$name, and little is kept until the transaction ends");
	return;
}

check($_, $call{$_}, 0) foreach grep { /$wanted/ } sort keys %call;
check($_, $failure{$_}, 1) foreach grep { /$wanted/ } sort keys %failure;
ask($before_moves);
check($_, $call_of_movers{$_}, 0) foreach grep { /$wanted/ } sort keys %call_of_movers;
ask($after_moves);
note("figures: $number statements in one backend, ", 4 * $calls, ' calls of each of ', keys(%call) + keys(%failure) + keys(%call_of_movers), ' kinds');

is($node->safe_psql('postgres', 'SELECT * FROM coupon_guard_verify()'), '', 'no invariant is broken');
$node->stop;
done_testing();
