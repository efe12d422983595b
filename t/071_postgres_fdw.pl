# Redeeming on another server through postgres_fdw and dblink. postgres_fdw ships no volatile function, so the usual way is a table of
# requests whose trigger redeems, and which answers in its own columns. The remote transaction ends with the local one; only a request id
# tells what became of it if that is cut short in between.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use CouponGuard::Session;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $local = PostgreSQL::Test::Cluster->new('local');
my $share = $local->config_data('--sharedir');
chomp $share;
plan skip_all => 'no postgres_fdw' if !-e "$share/extension/postgres_fdw.control";

my $remote = PostgreSQL::Test::Cluster->new('remote');
foreach my $node ($local, $remote)
{
	$node->init(allows_streaming => 1); # so that a commit can wait for a standby
	$node->append_conf('postgresql.conf', "restart_after_crash = on\nmax_prepared_transactions = 5\ndeadlock_timeout = '50ms'");
	$node->start;
}
$remote->safe_psql(
	'postgres', q(
	CREATE EXTENSION coupon_guard;
	INSERT INTO coupon (code, terms) VALUES ('SAVE10', '{"percent": 10}');
	INSERT INTO coupon (code, max_redemptions) VALUES ('CAP', 40), ('LAST', 1);
	CREATE SCHEMA shop;
	CREATE TABLE shop.coupon_request (user_id bigint, code text, request_id text, status text, redemption_id bigint, replayed boolean);
	-- BEFORE: the row that is written has the answer, and RETURNING brings it.
	CREATE FUNCTION shop.answer_request() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS $$
		BEGIN
			SELECT r.status, r.redemption_id, r.replayed INTO NEW.status, NEW.redemption_id, NEW.replayed
			FROM redeem_coupon(NEW.user_id, NEW.code, NEW.request_id) AS r;
			RETURN NEW;
		END $$;
	CREATE TRIGGER answer BEFORE INSERT ON shop.coupon_request FOR EACH ROW EXECUTE FUNCTION shop.answer_request();
	CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(60); RETURN NULL; END $$));
my ($host, $port) = ($remote->host, $remote->port);
$local->safe_psql(
	'postgres', qq(
	CREATE EXTENSION postgres_fdw;
	CREATE SERVER coupons FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$host', port '$port', dbname 'postgres');
	CREATE USER MAPPING FOR PUBLIC SERVER coupons;
	IMPORT FOREIGN SCHEMA shop FROM SERVER coupons INTO public;
	CREATE TABLE orders (user_id bigint PRIMARY KEY, redemption_id bigint)));

my $direct = CouponGuard::Session->new($remote);
my $caller = CouponGuard::Session->new($local);

# The rows as text, or the error.
sub told
{
	my ($sql, $session) = @_;
	$session //= $caller;
	$session->start($sql);
	my $result = $session->finish;
	return $result->{sqlstate} // join ' ', map { join '|', @$_ } @{ $result->{rows} // [] };
}

sub redeem
{
	my ($user, $code, $request) = @_;
	$request //= 'a';
	return "INSERT INTO coupon_request (user_id, code, request_id) VALUES ($user, '$code', '$request') RETURNING status, replayed";
}

sub rows_of { my ($user) = @_; return ($direct->query("SELECT count(*) FROM coupon_redemption WHERE user_id = '$user' AND voided_at IS NULL"))[0][0] }

# --- answers -----------------------------------------------------------------------------------------------------------------------

is(told(redeem(1, 'save10')), 'redeemed|f', 'a request is a row, and the row that comes back has the answer');
is(told(redeem(1, 'SAVE10')), 'redeemed|t', 'its retry');
is(told(redeem(1, 'SAVE10', 'b')), 'already_redeemed|f', 'a refusal');
is(rows_of(1), '1', 'one redemption');
my $next_user = 20;
is(told("BEGIN ISOLATION LEVEL $_; " . redeem($next_user++, 'SAVE10') . '; COMMIT'), 'redeemed|f', "$_: a status")
  foreach 'READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE';

# --- the remote transaction ends with the local one ----------------------------------------------------------------------------------

$caller->query("BEGIN; INSERT INTO orders VALUES (3, 1); " . redeem(3, 'SAVE10'));
is(rows_of(3), '0', 'nothing is committed there before it is here');
$caller->query('ROLLBACK');
is(rows_of(3), '0', 'a rollback undoes it there too');
$caller->query('BEGIN; SAVEPOINT s; ' . redeem(3, 'LAST'));
$caller->query('ROLLBACK TO s; ' . redeem(4, 'LAST') . '; COMMIT');
is(rows_of(3) . rows_of(4), '01', 'so does a savepoint: its unit is free, and the same transaction takes it');
is(told('BEGIN; ' . redeem(5, 'SAVE10') . q(; PREPARE TRANSACTION 'p')), '0A000', 'PREPARE TRANSACTION is refused by postgres_fdw');
$caller->query('ROLLBACK');
is(rows_of(5), '0', 'and nothing is there');

# --- rivals: the remote transaction is REPEATABLE READ, and has its snapshot before the rival ends ------------------------------------------

foreach my $end ([ 'COMMIT', 'own', 'already_redeemed|f' ], [ 'COMMIT', 'rival', 'redeemed|t' ], [ 'ROLLBACK', 'own', 'redeemed|f' ])
{
	my ($how, $request, $answer) = @$end;
	my $user = $next_user++;
	my $rival = CouponGuard::Session->new($local);
	$rival->query('BEGIN; ' . redeem($user, 'SAVE10', 'rival'));
	$caller->query('BEGIN; SELECT count(*) FROM coupon_request'); # the snapshot
	$caller->start(redeem($user, 'SAVE10', $request));
	$remote->poll_query_until('postgres', q(SELECT count(*) = 1 FROM pg_locks WHERE NOT granted AND locktype = 'transactionid')) or die 'nobody waits';
	$rival->query($how);
	my $result = $caller->finish;
	is($result->{sqlstate} // join('|', @{ $result->{rows}[0] }), $answer, "a rival ends with $how, own request id '$request': a status, no 40001");
	$caller->query('COMMIT');
	is(rows_of($user), '1', 'one redemption');
	$rival->close;
}

# Clients at once, more than there are units; each is asked for by two of them.
{
	my $script = $local->basedir . '/script';
	append_to_file($script, "\\set n random(1, 100)\n"
		  . "INSERT INTO coupon_request (user_id, code, request_id) VALUES (1000 + :n, 'CAP', 'r' || :client_id) RETURNING status;\n");
	$local->command_ok([ 'pgbench', '-n', '-c', '4', '-j', '2', '-t', '60', '-f', $script, 'postgres' ], 'clients at once: no error');
	is(told(q(SELECT count(*) FILTER (WHERE NOT replayed) || ' ' || count(DISTINCT user_id) FROM coupon_request WHERE code = 'CAP' AND status = 'redeemed')),
		'40 40', 'as many are told so as there are units');
	is(($direct->query(q(SELECT count(*) FROM coupon_redemption JOIN coupon c ON c.id = coupon_id WHERE code = 'CAP')))[0][0], '40', 'and have them');
}

# --- the remote is lost ---------------------------------------------------------------------------------------------------------------------

# Order and redemption in one transaction, made again until it is told.
sub order
{
	my ($user) = @_;
	return "BEGIN; INSERT INTO orders SELECT $user, 1; " . redeem($user, 'SAVE10', 'order') . '; COMMIT';
}

sub orders { my ($user) = @_; return told("SELECT count(*) FROM orders WHERE user_id = $user") }

{
	$caller->query('BEGIN; INSERT INTO orders VALUES (8, 1); ' . redeem(8, 'SAVE10'));
	my $fdw = "application_name = 'postgres_fdw'";
	$direct->query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE $fdw");
	$remote->poll_query_until('postgres', "SELECT count(*) = 0 FROM pg_stat_activity WHERE $fdw") or die 'it does not end';
	like(told('COMMIT'), qr/^(08006|57P01|08003)$/, 'the remote session is killed before COMMIT: COMMIT is an error');
	$caller->query('ROLLBACK') if told('SELECT 1') eq '25P02';
	is(rows_of(8) . orders(8), '00', 'and nothing is half done');
	is(told(order(8)), 'redeemed|f', 'the same session is answered again');
	is(rows_of(8) . orders(8), '11', 'once');
}

# Killed in the remote COMMIT, before its record.
{
	$direct->query(q(CREATE CONSTRAINT TRIGGER die AFTER INSERT ON coupon_redemption DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
		WHEN (NEW.user_id = '9') EXECUTE FUNCTION die()));
	like(told(order(9)), qr/^\w{5}$/, 'killed before its COMMIT record: an error');
	told('ROLLBACK');
	is(rows_of(9) . orders(9), '00', 'and nothing is half done');
	$direct->query('DROP TRIGGER die ON coupon_redemption');
	is(told(order(9)), 'redeemed|f', 'made again');
	is(rows_of(9) . orders(9), '11', 'it is there once');
}

# After it: the one case in which the two differ. The request id heals it.
{
	my $name_standby = sub {
		my ($name) = @_;
		$remote->safe_psql('postgres', qq(SET synchronous_commit = local; ALTER SYSTEM SET synchronous_standby_names = '$name'));
		$remote->reload;
		$remote->poll_query_until('postgres', qq(SELECT current_setting('synchronous_standby_names') = '$name')) or die 'the setting is not taken';
	};
	$name_standby->('nobody');
	$caller->start(order(10));
	$remote->poll_query_until('postgres', q(SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep')) or die 'no commit waits';
	$remote->safe_psql('postgres', q(SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'));
	isnt($caller->finish->{sqlstate} // 'none', 'none', 'killed after its COMMIT record: an error');
	$name_standby->('');
	told('ROLLBACK');
	is(rows_of(10) . orders(10), '10', 'the redemption is there, and the order is not');
	is(told(order(10)), 'redeemed|t', 'made again with the same request id');
	is(rows_of(10) . orders(10), '11', 'both are there once');
}

# --- dblink: each statement by itself ----------------------------------------------------------------------------------------------------------

SKIP:
{
	skip 'no dblink', 4 if !-e "$share/extension/dblink.control";
	$caller->query('CREATE EXTENSION dblink');
	my $call = sub {
		my ($user) = @_;
		return qq(SELECT * FROM dblink('coupons', format('SELECT status, replayed FROM redeem_coupon(%s, %L, %L)', $user, 'SAVE10', 'a')) AS t(status text, replayed boolean));
	};
	is(told($call->(11)), 'redeemed|f', 'dblink: an answer');
	$caller->query('BEGIN; ' . $call->(12));
	$caller->query('ROLLBACK');
	is(rows_of(12), '1', 'dblink: the rollback of the caller does not undo it');
	is(told($call->(12)), 'redeemed|t', 'made again with the same request id it is found');
	is(told(q(SELECT * FROM dblink('coupons', 'SELECT status FROM redeem_coupon_strict(1, ''SAVE10'')') AS t(status text))), 'RC005', 'dblink: SQLSTATEs pass through');
}

is(join(' ', map { @$_ } $direct->query('SELECT v::text FROM coupon_guard_verify() v')), '', 'no invariant is broken');
$_->close foreach $caller, $direct;
$_->stop foreach $local, $remote;
done_testing();
