# A router whose shards die, are cut off in the middle of a transfer, and come back. Whoever might be given something by a shard that does not
# answer is told so: never that there is nothing. Nothing is lost, and nothing is given twice.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use CouponGuard::Session;
use CouponGuard::Shards;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my @node = map { PostgreSQL::Test::Cluster->new($_) } qw(router home other);
my $share = $node[0]->config_data('--sharedir');
chomp $share;
plan skip_all => 'no PL/Proxy' if !-e "$share/extension/plproxy.control";
foreach my $node (@node)
{
	$node->init;
	$node->append_conf('postgresql.conf', "max_connections = 30\ndeadlock_timeout = '1min'");
	$node->start;
}

my $cluster = CouponGuard::Shards->new(nodes => [ @node[ 1, 2 ] ], router => $node[0]);
my $router = $cluster->router;
my @shard = map { $cluster->shard($_) } 0, 1;
sub user { return $cluster->user($_[0]) }
sub told { my ($sql, $session) = @_; return CouponGuard::Shards::told($session // $router, $sql) }
sub is_well { my ($when) = @_; return is(told('SELECT v::text FROM verify() AS v'), '', "verify finds nothing: $when"); }

sub stop
{
	my ($i) = @_;
	$node[ $i + 1 ]->stop('immediate');
	$shard[$i]->close;
	return;
}

sub start
{
	my ($i) = @_;
	$node[ $i + 1 ]->start;
	$shard[$i] = $cluster->shard($i);
	return;
}

sub await_waiter
{
	my ($i, $type) = @_;
	$node[ $i + 1 ]->poll_query_until("s$i", "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND locktype = '$type'") or die "nobody waits for $type";
	return;
}

told(q(SELECT put_coupon('{"code": "P"}'), put_coupon('{"code": "CAP", "max_redemptions": 10}'), put_coupon('{"code": "OPEN"}'),
	put_coupon('{"code": "MONEY", "budget": 100, "max_per_user": null}'), put_campaign('{"name": "Codes"}')));
told(q(INSERT INTO coupon (code, max_redemptions) VALUES ('THERE', 5)), $shard[1]);
told(q(SELECT generate_coupons('codes', 2, 'AA-????????')));

# --- the other shard is down --------------------------------------------------------------------------------------------------------------

is(told("SELECT status FROM redeem_coupon(@{[ user(1) ]}, 'CAP')"), 'redeemed', 'both shards are up, and the other has half of the cap');
stop(1);
{
	my $user = user(1);
	$router->start("SELECT status FROM redeem_coupon($user, 'P', 'once')");
	my $result = $router->finish;
	is($result->{sqlstate}, '08006', 'the shard of the user is down: an error');
	is($result->{message}, 'the shard of partition p1 does not answer', 'that names it');
	is(told("SELECT redeem_coupon_strict($user, 'P')"), '08006', 'likewise of the strict form');
	is(told("SELECT redeem_coupons($user, '{P}')"), '08006', 'of several coupons');
	is(told("SELECT hold_coupon($user, 'P')"), '08006', 'of a hold');
	is(told("SELECT check_coupon($user, 'P')"), '08006', 'of check_coupon');
	is(told("SELECT void_redemption($user, 1)"), '08006', 'of void_redemption');
	is(told("SELECT redeem_coupon_for_each('{$user}'::bigint[], '{P}')"), '08006', 'of many users');
	is(told("SELECT claim_coupon($user, 'codes')"), '08006', 'of a claim');
}
is(join(' ', map { told("SELECT status FROM redeem_coupon(@{[ user(0) ]}, 'CAP')") } 1 .. 6), 'redeemed redeemed redeemed redeemed redeemed unavailable',
	'what the shard that is up has is given; then others may be there');
is(told("SELECT redeem_coupon_strict(@{[ user(0) ]}, 'CAP')"), 'RC014', 'as an error');
is(told("SELECT status FROM hold_coupon(@{[ user(0) ]}, 'CAP')"), 'unavailable', 'of a hold');
is(told("SELECT status, remaining_units FROM check_coupon(@{[ user(0) ]}, 'CAP')"), 'unavailable|0', 'check_coupon knows of none');
is(told("SELECT code, status FROM redeem_coupons(@{[ user(0) ]}, '{P,CAP}')"), 'P|withheld CAP|unavailable', 'of several coupons');
is(told("SELECT status FROM redeem_coupon_for_each('{@{[ user(0) ]},@{[ user(0) ]}}'::bigint[], '{P,CAP}')"), 'redeemed unavailable', 'of many users');
is(told("SELECT status FROM redeem_coupon(@{[ user(0) ]}, 'THERE')"), 'unavailable', 'a code that it may have');
is(told("SELECT gather_units(@{[ user(0) ]}, 'CAP')"), 'RC014', 'gather_units');
is(told("SELECT status, amount FROM redeem_coupon(@{[ user(0) ]}, 'MONEY', 60)"), 'redeemed|60', 'an amount that is here');
is(told("SELECT status FROM redeem_coupon(@{[ user(0) ]}, 'MONEY', 60)"), 'unavailable', 'an amount that is not');
is(join(' ', map { told("SELECT status FROM claim_coupon(@{[ user(0) ]}, 'codes')") } 1 .. 2), 'claimed unavailable', 'codes of a campaign');
is(told('SELECT name, answers, message IS NOT NULL FROM shards()'), 's0|t|f |f|t', 'shards() tells who does not answer');
like(told('SELECT shard, invariant FROM verify()'), qr/^p1\|answers$/, 'so does verify(), and judges the others');

# Changes meanwhile.
is(told(q(SELECT shard, is_done FROM put_coupon('{"code": "P", "terms": {"percent": 20}}'))), 's0|t p1|f', 'a change is made where that can be done');
is(told(q(SELECT shard, is_done FROM put_coupon('{"code": "CAP", "max_redemptions": 12}'))), 's0|t p1|f', 'a cap is raised at home');
is(join(' ', map { told("SELECT status FROM redeem_coupon(@{[ user(0) ]}, 'CAP')") } 1 .. 3), 'redeemed redeemed unavailable', 'which has the difference');
is(told(q(SELECT put_coupon('{"code": "CAP", "max_redemptions": 8}'))), 'RC014', 'it cannot be lowered below what is left here');
is(told(q(SELECT max_redemptions FROM coupon WHERE code = 'CAP'), $shard[0]), '12', 'and is not');
is(told(q(SELECT put_coupon('{"code": "OPEN", "max_redemptions": 5}'))), '08006', 'a cap does not appear while a shard would not know of it');
is(told(q(SELECT max_redemptions FROM coupon WHERE code = 'OPEN'), $shard[0]), '', 'nowhere');
is(told(q(SELECT shard, is_done FROM put_coupon('{"code": "NEW", "max_redemptions": 2}'))), 's0|t p1|f', 'a coupon is made');
is(told(q(SELECT shard, is_done FROM drop_coupon('MONEY'))), 'p1|f', 'a coupon that is to be deleted stays');
is(told("SELECT status FROM redeem_coupon(@{[ user(0) ]}, 'MONEY', 1)"), 'inactive', 'and is redeemed by nobody who knows of it');
is(told('SELECT shard, is_done FROM sync()'), 'p1|f', 'sync() tells what it cannot reach');

start(1);
is(told('SELECT shard, name, is_done FROM sync() ORDER BY name'), 's1|CAP|t s1|MONEY|t s1|P|t', 'it is back: sync() gives it what has changed');
is(told("SELECT status, terms FROM redeem_coupon(@{[ user(1) ]}, 'P')"), 'redeemed|{"percent": 20}', 'it has that');
is(told("SELECT status FROM redeem_coupon(@{[ user(1) ]}, 'NEW')"), 'redeemed', 'and what is new when it is asked for');
is(told(q(SELECT shard, is_done, message LIKE '%has redemptions%' FROM drop_coupon('MONEY'))), 's1|t| s0|f|t', 'what has redemptions cannot be deleted');
is(join(' ', map { told("SELECT status FROM redeem_coupon(@{[ user(0) ]}, 'CAP')") } 1 .. 5), 'redeemed redeemed redeemed redeemed sold_out', 'its units are to be had, and then it is sold out');
is(told("SELECT status FROM claim_coupon(@{[ user(0) ]}, 'codes')"), 'claimed', 'and its code');
is(told("SELECT status FROM claim_coupon(@{[ user(0) ]}, 'codes')"), 'sold_out', 'and then there is none');
is(told(q(SELECT shard, is_done FROM put_coupon('{"code": "OPEN", "max_redemptions": 5}'))), 's0|t s1|t', 'a cap appears');
is_well('after the other shard was down');

# --- home is down ---------------------------------------------------------------------------------------------------------------------------

told(q(SELECT put_coupon('{"code": "CAP2", "max_redemptions": 10}')));
told("SELECT status FROM redeem_coupon(@{[ user(1) ]}, 'CAP2')");
stop(0);
is(told(q(SELECT put_coupon('{"code": "P", "terms": null}'))), '08006', 'home is down: nothing is changed');
is(told(q(SELECT put_coupon('{"code": "NEWER"}'))), '08006', 'nothing is made');
is(told(q(SELECT drop_coupon('P'))), '08006', 'nothing is deleted');
is(told(q(SELECT terms FROM coupon WHERE code = 'P'), $shard[1]), '{"percent": 20}', 'on no other shard either');
is(join(' ', map { told("SELECT status FROM redeem_coupon(@{[ user(1) ]}, 'CAP2')") } 1 .. 5), 'redeemed redeemed redeemed redeemed unavailable', 'the others go on with what they have');
start(0);
is(join(' ', map { told("SELECT status FROM redeem_coupon(@{[ user(1) ]}, 'CAP2')") } 1 .. 6), 'redeemed redeemed redeemed redeemed redeemed sold_out', 'and with the rest when it is back');
is_well('after home was down');

# --- between the halves of a transfer -----------------------------------------------------------------------------------------------------------

# The buyer's shard cannot accept: a trigger holds its row of the coupon. There the router's call is ended.
sub hold_accept
{
	my $keeper = $cluster->shard(1);
	$keeper->query('SELECT pg_advisory_lock(1)');
	return $keeper;
}
told(q(CREATE FUNCTION wait_at_gate() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END';
	CREATE TRIGGER gate BEFORE UPDATE ON coupon FOR EACH ROW WHEN (NEW.rights > OLD.rights) EXECUTE FUNCTION wait_at_gate()), $shard[1]);

foreach my $way (qw(pg_cancel_backend pg_terminate_backend))
{
	my $code = uc $way;
	told(qq(SELECT put_coupon('{"code": "$code", "max_redemptions": 2}')));
	my $caller = $cluster->router;
	my $keeper = hold_accept();
	$caller->start("SELECT status FROM redeem_coupon(@{[ user(1) ]}, '$code')");
	await_waiter(1, 'advisory');
	is(told(qq(SELECT units FROM coupon_transfer WHERE settled_at IS NULL), $shard[0]), '1', "$way: a unit has left and has not arrived");
	$node[0]->safe_psql('router', "SELECT $way($caller->{pid})");
	is($caller->finish->{sqlstate}, $way eq 'pg_cancel_backend' ? '57014' : '57P01', 'the call ends');
	$node[2]->poll_query_until('s1', q(SELECT count(*) = 0 FROM pg_locks WHERE NOT granted)) if $way eq 'pg_cancel_backend';
	$keeper->query('SELECT pg_advisory_unlock(1)');
	is(join(' ', map { told("SELECT status FROM redeem_coupon(@{[ user($_) ]}, '$code')") } 1, 1, 0, 1), 'redeemed redeemed sold_out sold_out', 'the next buyers have both units');
	is_well($way);
	$_->close foreach $caller, $keeper;
}

# The taking shard dies before it accepts. The router comes to know that; the unit is nobody's until the shard is back.
{
	told(q(SELECT put_coupon('{"code": "DIES", "max_redemptions": 1}')));
	my $keeper = hold_accept();
	$router->start("SELECT status FROM redeem_coupon(@{[ user(1) ]}, 'DIES')");
	await_waiter(1, 'advisory');
	stop(1);
	$keeper->close;
	my $told = CouponGuard::Shards::outcome($router);
	like($told, qr/^(unavailable|08006)$/, 'the taking shard dies: the buyer is told so');
	is(told("SELECT status FROM redeem_coupon(@{[ user(0) ]}, 'DIES')"), 'unavailable', 'others are, too: the unit may come to them');
	start(1);
	is(told("SELECT status FROM redeem_coupon(@{[ user(0) ]}, 'DIES')"), 'redeemed', 'it does');
	is_well('after the taking shard died');
}
told('DROP TRIGGER gate ON coupon', $shard[1]);

# The giving shard dies while the router waits for what it may give.
{
	told(q(SELECT put_coupon('{"code": "GIVES", "max_redemptions": 1}')));
	my $buyer = user(1);
	$shard[0]->query("BEGIN; SELECT redeem_coupon(@{[ user(0) ]}, 'GIVES')");
	$router->start("SELECT status FROM redeem_coupon($buyer, 'GIVES')");
	await_waiter(0, 'transactionid');
	stop(0);
	is(CouponGuard::Shards::outcome($router), 'unavailable', 'the giving shard dies: the buyer is told so');
	start(0);
	is(told("SELECT status FROM redeem_coupon($buyer, 'GIVES')"), 'redeemed', 'and has the unit when it is back');
	is_well('after the giving shard died');
}

# The user's shard ends the session in the middle of his call.
{
	my $user = user(1);
	$shard[1]->query("BEGIN; SELECT redeem_coupon($user, 'P')");
	$router->start("SELECT status FROM redeem_coupon($user, 'P', 'r')");
	await_waiter(1, 'transactionid');
	$node[2]->safe_psql('s1', q(SELECT pg_terminate_backend(pid) FROM pg_locks WHERE NOT granted));
	is(CouponGuard::Shards::outcome($router), '08006', 'the session on the shard is ended: an error');
	$shard[1]->query('ROLLBACK');
	is(told("SELECT status FROM redeem_coupon($user, 'P', 'r')"), 'redeemed', 'the same request id makes it good');
}

# A shard's lock_timeout, and deadlocks of transfers, are not swallowed for the user's own call, and are tried again for a transfer.
{
	$node[1]->safe_psql('s0', q(ALTER DATABASE s0 SET lock_timeout = '100ms'));
	my $caller = $cluster->router;
	told(q(SELECT put_coupon('{"code": "SLOW", "max_redemptions": 1}')), $caller);
	my $seller = user(0);
	$shard[0]->query("BEGIN; SELECT redeem_coupon($seller, 'SLOW')");
	is(told("SELECT redeem_coupon(@{[ user(0) ]}, 'SLOW')", $caller), '55P03', 'lock_timeout of the user\'s shard');
	is(told("SELECT redeem_coupon(@{[ user(1) ]}, 'SLOW')", $caller), '55P03', 'and of the shard that is waited for');
	$shard[0]->query('ROLLBACK');
	$node[1]->safe_psql('s0', 'ALTER DATABASE s0 RESET lock_timeout');
	is(told("SELECT status FROM redeem_coupon(@{[ user(1) ]}, 'SLOW')", $caller), 'redeemed', 'then it is free');
	$caller->close;
}
is_well('at the end');

$_->close foreach $router, @shard;
$_->stop foreach @node;
done_testing();
