# PL/Proxy between the application and the servers that redeem: functions of the same names, which run on the partition that the user
# belongs to. Each call is a transaction of its own there: the caller's rollback does not undo it, and a request id makes a retry exact.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use CouponGuard::Session;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $router = PostgreSQL::Test::Cluster->new('router');
my $share = $router->config_data('--sharedir');
chomp $share;
plan skip_all => 'no PL/Proxy' if !-e "$share/extension/plproxy.control";

my @partitions = map { PostgreSQL::Test::Cluster->new("part$_") } 0, 1;
foreach my $node ($router, @partitions)
{
	$node->init(allows_streaming => 1); # so that a commit can wait for a standby
	$node->append_conf('postgresql.conf', "restart_after_crash = on\ndeadlock_timeout = '1min'\nmax_connections = 30");
	$node->start;
}

# --- the partitions ------------------------------------------------------------------------------------------------------------

foreach my $node (@partitions)
{
	$node->safe_psql(
		'postgres', q(
		CREATE ROLE shop LOGIN;
		CREATE EXTENSION coupon_guard;
		GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO shop;
		INSERT INTO coupon (code, max_redemptions, max_per_user, terms) VALUES ('CAP', 3, 1, '{"percent": 10}');
		INSERT INTO coupon (code, terms) VALUES ('P', '{}'), ('Q', '{}');
		INSERT INTO coupon (code, budget, max_per_user) VALUES ('GIFT', 1000, NULL);
		-- PL/Proxy sends rows partition by partition: whoever asks for many users needs to know whose a row is.
		CREATE FUNCTION redeem_for_users(users bigint[], codes text[], request_ids text[])
		RETURNS TABLE (user_id bigint, status text, redemption_id bigint) LANGUAGE sql AS $$
			SELECT $1[r.ordinality], r.status::text, r.redemption_id FROM redeem_coupon_for_each($1, $2, $3) WITH ORDINALITY AS r $$;
		CREATE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS $$
			BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END $$;
		CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$
			BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(60); RETURN NULL; END $$;
		GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO shop));
}

# --- the router: functions of the same names -------------------------------------------------------------------------------------

my $answer = q(OUT status text, OUT redemption_id bigint, OUT coupon_id bigint, OUT use_no integer, OUT redeemed_at timestamptz, OUT terms jsonb,
	OUT replayed boolean, OUT amount bigint, OUT limited_by text, OUT retry_at timestamptz);
my $hold_answer = $answer =~ s/redeemed_at/hold_expires_at/r;
my $by_user = q(CLUSTER 'shop'; RUN ON hashint8(user_id););
my ($p0, $p1) = map { 'dbname=postgres user=shop host=' . $_->host . ' port=' . $_->port } @partitions;
$router->safe_psql(
	'postgres', qq(
	CREATE EXTENSION plproxy;
	CREATE SERVER shop FOREIGN DATA WRAPPER plproxy OPTIONS (p0 '$p0', p1 '$p1');
	CREATE USER MAPPING FOR PUBLIC SERVER shop;
	CREATE TABLE orders (user_id bigint, redemption_id bigint);
	CREATE FUNCTION redeem_coupon(user_id bigint, code text, request_id text DEFAULT NULL, metadata jsonb DEFAULT NULL, $answer)
		AS \$\$ $by_user \$\$ LANGUAGE plproxy;
	CREATE FUNCTION redeem_coupon_strict(user_id bigint, code text, request_id text DEFAULT NULL, metadata jsonb DEFAULT NULL, $answer)
		AS \$\$ $by_user \$\$ LANGUAGE plproxy;
	CREATE FUNCTION redeem_coupon(user_id bigint, code text, amount bigint, metadata jsonb DEFAULT NULL, request_id text DEFAULT NULL,
		up_to boolean DEFAULT false, $answer) AS \$\$ $by_user \$\$ LANGUAGE plproxy;
	CREATE FUNCTION hold_coupon(user_id bigint, code text, ttl interval DEFAULT '15 minutes', request_id text DEFAULT NULL,
		metadata jsonb DEFAULT NULL, $hold_answer) AS \$\$ $by_user \$\$ LANGUAGE plproxy;
	CREATE FUNCTION redeem_coupons(user_id bigint, codes text[], request_id text DEFAULT NULL, metadata jsonb DEFAULT NULL)
		RETURNS TABLE (code text, status text, redemption_id bigint, coupon_id bigint, use_no integer, redeemed_at timestamptz, terms jsonb,
		replayed boolean) AS \$\$ $by_user \$\$ LANGUAGE plproxy;
	CREATE FUNCTION redeem_for_users(users bigint[], codes text[], request_ids text[])
		RETURNS TABLE (user_id bigint, status text, redemption_id bigint)
		AS \$\$ CLUSTER 'shop'; SPLIT users, codes, request_ids; RUN ON hashint8(users); \$\$ LANGUAGE plproxy;
	-- A redemption's id is one of its partition, so what takes an id takes the user too.
	CREATE FUNCTION confirm_hold_of(user_id bigint, redemption_id bigint, $answer)
		AS \$\$ $by_user SELECT status::text, r.redemption_id, coupon_id, use_no, redeemed_at, terms, replayed, amount, limited_by, retry_at
		FROM confirm_hold(\$2) AS r; \$\$ LANGUAGE plproxy;
	CREATE FUNCTION void_redemption_of(user_id bigint, redemption_id bigint) RETURNS boolean
		AS \$\$ $by_user SELECT void_redemption(\$2); \$\$ LANGUAGE plproxy;
	CREATE FUNCTION units_used(code text) RETURNS SETOF bigint AS \$\$ CLUSTER 'shop'; RUN ON ALL;
		SELECT count(*) FROM coupon_redemption r JOIN coupon c ON c.id = r.coupon_id WHERE c.code = \$1 AND voided_at IS NULL; \$\$ LANGUAGE plproxy;
));
$_->safe_psql('postgres', 'GRANT SELECT ON coupon, coupon_redemption TO shop') foreach @partitions;

my %users_of; # by partition
push @{ $users_of{ $_->[1] } }, $_->[0]
  foreach CouponGuard::Session->new($router)->query('SELECT n, hashint8(n) & 1 FROM generate_series(1, 400) n');
sub new_user { my ($partition) = @_; return shift @{ $users_of{ $partition // 1 } } }

my $caller = CouponGuard::Session->new($router);
my @direct = map { CouponGuard::Session->new($_) } @partitions;

# The rows of a query through the router as text; or its error.
sub told
{
	my ($sql, $session) = @_;
	$session //= $caller;
	$session->start($sql);
	my $result = $session->finish;
	return $result->{sqlstate} // join ' ', map { join '|', @$_ } @{ $result->{rows} // [] };
}

# What the partition's ledger has of the user.
sub rows_of
{
	my ($user, $partition) = @_;
	return ($direct[ $partition // 1 ]->query("SELECT count(*) FROM coupon_redemption WHERE user_id = '$user' AND voided_at IS NULL"))[0][0];
}

sub broken { return join ' ', map { map { @$_ } $_->query('SELECT v::text FROM coupon_guard_verify() v') } @direct }

# --- answers -------------------------------------------------------------------------------------------------------------------------

foreach my $partition (0, 1)
{
	my $user = new_user($partition);
	like(told("SELECT * FROM redeem_coupon($user, 'cap', 'a')"), qr/^redeemed\|\d+\|\d+\|1\|[^|]+\|\{"percent": 10\}\|f\|\|\|$/, "partition $partition: a composite answer");
	is(told("SELECT status, replayed FROM redeem_coupon($user, 'CAP', 'a')"), 'redeemed|t', 'a replay');
	is(told("SELECT status FROM redeem_coupon($user, 'CAP')"), 'already_redeemed', 'a refusal');
	is(rows_of($user, $partition), '1', 'on the partition of the user');
	is(rows_of($user, 1 - $partition), '0', 'and on no other');
	is(told("SELECT status, amount FROM redeem_coupon($user, 'GIFT', 1200, up_to => true)"), 'redeemed|1000', 'an amount');
	my $id = told("SELECT redemption_id FROM hold_coupon($user, 'P')");
	is(told("SELECT status, redemption_id FROM confirm_hold_of($user, $id)"), "redeemed|$id", 'a hold is confirmed');
	is(told("SELECT void_redemption_of($user, $id)") . told("SELECT void_redemption_of($user, $id)"), 'tf', 'and voided, once');
	is(told("SELECT code, status FROM redeem_coupons($user, '{Q,P}')"), 'Q|redeemed P|redeemed', 'several coupons, all of them, in their order');
	is(told("SELECT code, status FROM redeem_coupons($user, '{Q,P}')"), 'Q|already_redeemed P|already_redeemed', 'or none');
}

# Users of both partitions in one call.
{
	my @users = map { new_user($_ % 2) } 1 .. 8;
	my $list = join ',', @users;
	my $ids = join ',', map { "r$_" } @users;
	my $call = "SELECT string_agg(user_id || ' ' || status, ',' ORDER BY array_position('{$list}'::bigint[], user_id)) FROM redeem_for_users('{$list}',
		array_fill('P'::text, '{8}'), '{$ids}')";
	is(told($call), join(',', map { "$_ redeemed" } @users), 'many users of both partitions: each is told its own');
	is(told($call), join(',', map { "$_ redeemed" } @users), 'and again by its request id');
	is(join(',', map { rows_of($users[$_], ($_ + 1) % 2) } 0 .. 7), '1,1,1,1,1,1,1,1', 'each once, on its partition');
}

# A cap is one of the partition.
told("SELECT status FROM redeem_coupon(@{[ new_user($_ % 2) ]}, 'CAP')") foreach 1 .. 12;
is(told(q(SELECT * FROM units_used('CAP'))), '3 3', 'a cap holds on each partition by itself');

# --- errors ----------------------------------------------------------------------------------------------------------------------------

my $user = new_user();
my %strict = (RC001 => "$user, 'NONE'", RC005 => "@{[ do { my $u = new_user(); told(qq(SELECT redeem_coupon($u, 'P'))); $u } ]}, 'P'", RC006 => "$user, 'CAP'");
is(told("SELECT redeem_coupon_strict($strict{$_})"), $_, "$_ passes through") foreach sort keys %strict;
is(told("SELECT redeem_coupon($user, 'GIFT')"), '22004', '22004 passes through');
told("SELECT redeem_coupon($user, 'P', 'once')");
is(told("SELECT redeem_coupon($user, 'Q', 'once')"), 'RC007', 'RC007 passes through');

# A rival on the partition, who does not end.
my $rival = CouponGuard::Session->new($partitions[1]);
sub await_waiter
{
	my ($type) = @_;
	$partitions[1]->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_locks WHERE NOT granted AND locktype = '$type'") or die "nobody waits for $type";
	return;
}
{
	my $user = new_user();
	$rival->query("BEGIN; SELECT redeem_coupon($user, 'P')");
	$partitions[1]->safe_psql('postgres', q(ALTER ROLE shop SET lock_timeout = '50ms'));
	my $other = CouponGuard::Session->new($router);
	is(told("SELECT redeem_coupon($user, 'P')", $other), '55P03', 'lock_timeout of the role on the partition');
	$partitions[1]->safe_psql('postgres', q(ALTER ROLE shop RESET lock_timeout));
	$other = CouponGuard::Session->new($router);
	is(told("SET statement_timeout = '100ms'; SELECT redeem_coupon($user, 'P')", $other), '57014', 'statement_timeout of the session on the router');
	$partitions[1]->poll_query_until('postgres', q(SELECT count(*) = 0 FROM pg_locks WHERE NOT granted)) or die 'it waits still';
	pass('ends the call on the partition too');
	$other->query('SET statement_timeout = 0');
	$other->start("SELECT status FROM redeem_coupon($user, 'P')");
	await_waiter('transactionid');
	$router->safe_psql('postgres', "SELECT pg_cancel_backend($other->{pid})");
	is($other->finish->{sqlstate}, '57014', 'a cancel');
	$partitions[1]->poll_query_until('postgres', q(SELECT count(*) = 0 FROM pg_locks WHERE NOT granted)) or die 'it waits still';
	pass('ends the call on the partition too');
	$other->start("SELECT status FROM redeem_coupon($user, 'P')");
	await_waiter('transactionid');
	$rival->query('ROLLBACK');
	is($other->finish->{rows}[0][0], 'redeemed', 'a wait for a rival who rolls back');
	is(rows_of($user), '1', 'leaves one redemption');
}

# A deadlock: the call has P and waits for the rival, who has Q and then wants P.
{
	my $user = new_user();
	$direct[1]->query(q(CREATE TRIGGER gate BEFORE INSERT ON coupon_redemption FOR EACH ROW WHEN (NEW.metadata IS NOT NULL) EXECUTE FUNCTION wait_at_gate()));
	my $keeper = CouponGuard::Session->new($partitions[1]);
	$keeper->query('SELECT pg_advisory_lock(1)');
	$rival->query("BEGIN; SELECT redeem_coupon($user, 'Q')");
	$caller->start("SELECT status FROM redeem_coupons($user, '{P,Q}', NULL, '{}')");
	await_waiter('advisory');
	$keeper->query('SELECT pg_advisory_unlock(1)');
	await_waiter('transactionid');
	is($caller->has_ended(0) ? 'ended' : 'waits', 'waits', 'the call has P and waits for the rival');
	$rival->query("SET deadlock_timeout = '10ms'"); # it looks for a circle before the call does
	is(told("SELECT redeem_coupon($user, 'P')", $rival), '40P01', 'whoever closes the circle is ended');
	$rival->query('ROLLBACK');
	is(join(',', map { $_->[0] } @{ $caller->finish->{rows} }), 'redeemed,redeemed', 'and the call goes on');
	$direct[1]->query('DROP TRIGGER gate ON coupon_redemption');
	$partitions[1]->safe_psql('postgres', q(CREATE FUNCTION conflict() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN RAISE EXCEPTION 'once more' USING ERRCODE = NEW.metadata->>'state'; END $$;
		CREATE TRIGGER conflict BEFORE INSERT ON coupon_redemption FOR EACH ROW WHEN (NEW.metadata ? 'state') EXECUTE FUNCTION conflict()));
	my $victim = new_user();
	is(told(qq(SELECT redeem_coupon($victim, 'P', 'a', '{"state": "$_"}'))), $_, "$_ passes through") foreach '40P01', '40001';
	is(told("SELECT status, replayed FROM redeem_coupon($victim, 'P', 'a')"), 'redeemed|f', 'and the call may be repeated');
}

# --- whose transaction it is ---------------------------------------------------------------------------------------------------------------

{
	my $user = new_user();
	$caller->query("BEGIN; INSERT INTO orders SELECT $user, redemption_id FROM redeem_coupon($user, 'P', 'order-1')");
	is(rows_of($user), '1', 'the redemption is committed before the transaction on the router');
	$caller->query('ROLLBACK');
	is(rows_of($user), '1', 'and its rollback does not undo it');
	$caller->query("BEGIN; INSERT INTO orders SELECT $user, redemption_id FROM redeem_coupon($user, 'P', 'order-1'); COMMIT");
	is(told("SELECT count(*) FROM orders WHERE user_id = $user") . rows_of($user), '11', 'made again with the same request id, the order has it');
}

# --- the partition is lost at a chosen moment -------------------------------------------------------------------------------------------------

# Before its COMMIT record: all but that is written.
{
	my $user = new_user();
	$direct[1]->query(qq(CREATE CONSTRAINT TRIGGER die AFTER INSERT ON coupon_redemption DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
		WHEN (NEW.user_id = '$user' AND NEW.metadata IS NOT NULL) EXECUTE FUNCTION die()));
	isnt(told("SELECT status FROM redeem_coupon($user, 'P', 'a', '{}')"), 'redeemed', 'killed before its COMMIT record: an error');
	is(rows_of($user), '0', 'and nothing is there');
	is(told("SELECT status, replayed FROM redeem_coupon($user, 'P', 'a')"), 'redeemed|f', 'asked again it is made');
	is(rows_of($user), '1', 'once');
	$direct[1]->query('DROP TRIGGER die ON coupon_redemption');
}

# After it: the commit waits for a standby that there is not.
{
	my $user = new_user();
	my $name_standby = sub {
		my ($name) = @_;
		$partitions[1]->safe_psql('postgres', qq(SET synchronous_commit = local; ALTER SYSTEM SET synchronous_standby_names = '$name'));
		$partitions[1]->reload;
		$partitions[1]->poll_query_until('postgres', qq(SELECT current_setting('synchronous_standby_names') = '$name')) or die 'the setting is not taken';
	};
	$name_standby->('nobody');
	$caller->start("SELECT status FROM redeem_coupon($user, 'P', 'a')");
	$partitions[1]->poll_query_until('postgres', q(SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep')) or die 'no commit waits';
	my $pid = $partitions[1]->safe_psql('postgres', q(SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep'));
	$partitions[1]->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
	my $result = $caller->finish;
	# With a warning in the place of an error the server may still answer: then the caller has its answer.
	isnt($result->{sqlstate} // 'none', 'none', 'killed after its COMMIT record: an error');
	$name_standby->('');
	is(rows_of($user), '1', 'and it is there');
	is(told("SELECT status, replayed FROM redeem_coupon($user, 'P', 'a')"), 'redeemed|t', 'asked again it is found');
	is(rows_of($user), '1', 'once');
}

# The server of the partition, as a whole.
{
	my ($user, $neighbour) = (new_user(), new_user(0));
	$direct[1]->close;
	$rival->close;
	$partitions[1]->stop('immediate');
	like(told("SELECT status FROM redeem_coupon($user, 'P', 'a')"), qr/^\w{5}$/, 'the partition is gone: an error with an SQLSTATE');
	is(told("SELECT status FROM redeem_coupon($neighbour, 'P', 'a')"), 'redeemed', 'the other partition goes on');
	$partitions[1]->start;
	is(told("SELECT status FROM redeem_coupon($user, 'P', 'a')"), 'redeemed', 'the partition is back: the same session is answered');
	$direct[1] = CouponGuard::Session->new($partitions[1]);
	is(rows_of($user), '1', 'once');
}

is(broken(), '', 'no invariant is broken on any partition');
$_->close foreach $caller, @direct;
$_->stop foreach $router, @partitions;
done_testing();
