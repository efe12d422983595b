# An order on the user's shard, and an order through the router, by the programs of examples/shards/ as they stand; a partition that moves while
# routers know, and do not know, of it; and a shard that is restored from a backup, which verify() names, until its transfers have been repeated.

use strict;
use warnings;

use File::Basename 'dirname';
use FindBin;
use lib "$FindBin::RealBin/lib";
use CouponGuard::Session;
use CouponGuard::Shards;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
my $share = $node->config_data('--sharedir');
chomp $share;
plan skip_all => 'no PL/Proxy' if !-e "$share/extension/plproxy.control";
$node->init;
$node->append_conf('postgresql.conf', "max_connections = 100");
$node->start;

# Four partitions on two shards.
my $cluster = CouponGuard::Shards->new(nodes => [ ($node) x 2 ]);
$cluster->add_router('other_router');
my @connection = map { "dbname=s$_ host=" . $node->host . ' port=' . $node->port } 0, 1;
$node->safe_psql($_, "ALTER SERVER coupon_guard OPTIONS (ADD p2 '$connection[0]', ADD p3 '$connection[1]')") foreach 'router', 'other_router';
my $orders = 'CREATE TABLE orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id bigint NOT NULL, request_id text NOT NULL,
	coupon_status text NOT NULL, redemption_id bigint, UNIQUE (user_id, request_id))';
$node->safe_psql("s$_", $orders) foreach 0, 1;
$node->safe_psql('postgres', 'CREATE DATABASE shop');
$node->safe_psql('shop', $orders);

$ENV{PGSERVICEFILE} = PostgreSQL::Test::Utils::tempdir() . '/services';
append_to_file($ENV{PGSERVICEFILE}, join '', map { "[s$_]\ndbname=s$_\nhost=" . $node->host . "\nport=" . $node->port . "\n" } 0, 1);
my $router = $cluster->router;
my $examples = dirname(__FILE__) . '/../examples/shards';
sub told { my ($sql, $session) = @_; return CouponGuard::Shards::told($session // $router, $sql) }
sub on { my ($database, $sql) = @_; return $node->safe_psql($database, $sql); }
sub verify { return told('SELECT shard, invariant, name, detail FROM verify()') }

my %users_of; # by partition
push @{ $users_of{ $_->[1] } }, $_->[0] foreach $router->query('SELECT n, hashtext(n::text) & 3 FROM generate_series(1, 1000) n');
sub user { return shift @{ $users_of{ $_[0] } } }

sub run_program
{
	my ($program, $user, $code, $request) = @_;
	my ($out, $err);
	my $is_done = IPC::Run::run([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-v', "user=$user", '-v', "code=$code", '-v', "request=$request", '-v', 'router=' . $node->connstr('router'),
			'-v', 'shop=' . $node->connstr('shop'), '-f', "$examples/$program", $node->connstr('shop') ], '>', \$out, '2>', \$err);
	note $err if $err;
	return $is_done ? 'done' : $err;
}
sub order { my ($database, $user) = @_; return on($database, "SELECT coupon_status, redemption_id IS NOT NULL FROM orders WHERE user_id = $user"); }

# --- where a user is -----------------------------------------------------------------------------------------------------------------

foreach my $partition (0 .. 3)
{
	my $user = user($partition);
	my $place = join '|', $partition, $partition % 2, 's' . $partition % 2;
	is(told("SELECT * FROM shard_of($user)"), $place, "shard_of(), partition $partition");
	is(told("SELECT * FROM shard_of('$user'::text)"), $place, 'likewise as a text');
}

# --- an order each way -----------------------------------------------------------------------------------------------------------------

told(q(SELECT put_coupon('{"code": "CAP", "max_redemptions": 4}'), put_coupon('{"code": "HOLD", "max_redemptions": 2}')));
{
	my ($home, $far) = (user(0), user(1));
	is(run_program('order_on_shard.sql', $home, 'CAP', 'a'), 'done', 'an order on the shard that has units');
	is(order('s0', $home), 'redeemed|t', 'has its coupon');
	is(on('s1', "SELECT rights FROM coupon WHERE code = 'CAP'"), '0', 'the other shard has none');
	is(run_program('order_on_shard.sql', $far, 'CAP', 'a'), 'done', 'an order there');
	is(order('s1', $far), 'redeemed|t', 'gathers some');
	is(run_program('order_on_shard.sql', $far, 'CAP', 'a'), 'done', 'and once more');
	is(on('s1', "SELECT count(*) FROM orders o JOIN coupon_redemption r ON r.id = o.redemption_id WHERE o.user_id = $far"), '1', 'is one order, one redemption');
	my $routed = user(1);
	is(run_program('order_through_router.sql', $routed, 'CAP', 'b'), 'done', 'an order through the router') foreach 1, 2;
	is(order('shop', $routed), 'redeemed|t', 'has its coupon, once');
	is(on('s1', "SELECT count(*) FROM coupon_redemption WHERE user_id = '$routed'"), '1', 'with a redemption on the shard');
	is(run_program('order_through_router.sql', user(0), 'CAP', 'b'), 'done', 'the last unit');
	my ($late, $later) = (user(1), user(2));
	is(run_program('order_on_shard.sql', $late, 'CAP', 'c'), 'done', 'an order without a coupon, on a shard');
	is(order('s1', $late), 'sold_out|f', 'goes on');
	is(run_program('order_through_router.sql', $later, 'CAP', 'c'), 'done', 'and through the router');
	is(order('shop', $later), 'sold_out|f', 'likewise');
	is(on('s0', "SELECT count(*) FROM coupon_redemption r JOIN coupon c ON c.id = coupon_id WHERE code = 'CAP'") + on('s1', "SELECT count(*) FROM coupon_redemption r JOIN coupon c ON c.id = coupon_id WHERE code = 'CAP'"), 4, 'the cap is exact');

	my ($held, $lost) = (user(1), user(1));
	is(run_program('order_with_hold.sql', $held, 'HOLD', 'd'), 'done', 'an order with a hold') foreach 1, 2;
	is(on('s1', "SELECT hold_expires_at IS NULL FROM coupon_redemption WHERE user_id = '$held'"), 't', 'is confirmed');
	# The shop's database refuses the order: what was held is not lost.
	on('shop', 'ALTER TABLE orders ADD CONSTRAINT closed CHECK (false) NOT VALID');
	isnt(run_program('order_with_hold.sql', $lost, 'HOLD', 'd'), 'done', 'an order that cannot be made');
	is(on('s1', "SELECT hold_expires_at IS NOT NULL FROM coupon_redemption WHERE user_id = '$lost'"), 't', 'leaves a hold, which will lapse');
	on('shop', 'ALTER TABLE orders DROP CONSTRAINT closed');
	is(run_program('order_with_hold.sql', $lost, 'HOLD', 'd'), 'done', 'or is made after all, by the same request');
	is(order('shop', $lost) . on('s1', "SELECT hold_expires_at IS NULL FROM coupon_redemption WHERE user_id = '$lost'"), 'held|tt', 'with its redemption');
}
is(verify(), '', 'verify finds nothing');

# --- a partition moves -----------------------------------------------------------------------------------------------------------------

told(q(SELECT put_coupon('{"code": "MOVE", "max_redemptions": 100}'), put_coupon('{"code": "EACH"}')));
my ($stayed, $moved, $new) = (user(1), user(3), user(3));
is(told("SELECT status FROM redeem_coupon($_, 'MOVE', 'm')"), 'redeemed', 'a redemption') foreach $stayed, $moved;

told(q(SELECT put_campaign('{"name": "Codes"}')));
is(told(q(SELECT count(*) FROM generate_coupons('Codes', 20, 'CODE-????????'))), '20', 'codes');
my $code = told("SELECT code FROM claim_coupon($moved, 'Codes')");
like($code, qr/^CODE-/, 'a claim');
is(told("SELECT status FROM hold_coupon($moved, 'EACH', '1 hour', 'h')"), 'held', 'a hold');

sub move
{
	my ($from, $to, $partition) = @_;
	my ($out, $err);
	my $is_done = IPC::Run::run([ 'bash', "$examples/move-users.sh", $node->connstr($from), $node->connstr($to), $partition, 4 ], '>', \$out, '2>', \$err);
	note $err if $err;
	return $is_done;
}

# The user has left and cannot arrive.
on('s1', 'ALTER TABLE coupon_redemption ADD COLUMN till text');
ok(!move('s1', 's0', 3), 'a move that cannot be completed');
is(verify(), "s1|moving user|user $moved|has left for shard s0, which has not accepted the user", 'verify names the user');
is(told("SELECT status FROM redeem_coupon($moved, 'EACH')"), 'RC015', 'the user is refused meanwhile');
is(told("SELECT status FROM redeem_coupon($new, 'EACH')"), 'RC015', 'and whoever is of the partition');
is(told("SELECT status FROM redeem_coupon($stayed, 'EACH')"), 'redeemed', 'others of the shard go on');
on('s0', 'ALTER TABLE coupon_redemption ADD COLUMN till text');
told('SELECT rebalance()');
is(on('s0', "SELECT count(*) FROM coupon_redemption WHERE user_id = '$moved'"), '2', 'rebalance() completes it');
like(verify(), qr/^s0\|user\|user $moved\|2 redemptions, on a shard that is not the user's/, 'routers have still to be told');
on('router', "ALTER SERVER coupon_guard OPTIONS (SET p3 '$connection[0]')");
is(verify(), '', 'one is told');
is(told("SELECT status, replayed FROM redeem_coupon($moved, 'MOVE', 'm')"), 'redeemed|t', 'the user goes on there, and is asked again by the request id');
is(told("SELECT code, replayed FROM claim_coupon($moved, 'Codes')"), "$code|t", 'with the code');
is(told("SELECT status FROM redeem_coupon(@{[ user(1) ]}, '$code')"), 'reserved', 'which is still nobody else\'s');
is(told("SELECT status FROM redeem_coupon($moved, '$code')"), 'redeemed', 'and redeems it');
is(told("SELECT status, replayed FROM hold_coupon($moved, 'EACH', '1 hour', 'h')"), 'held|t', 'with the hold');
is(told("SELECT status FROM confirm_hold($moved, (SELECT redemption_id FROM hold_coupon($moved, 'EACH', '1 hour', 'h')))"), 'redeemed', 'which is confirmed there');
is(told("SELECT status FROM redeem_coupon($new, 'EACH')"), 'RC015', 'those with nothing to move wait for the door');
ok(move('s1', 's0', 3), 'which the script opens, started again');
is(told("SELECT status FROM redeem_coupon($new, 'EACH')"), 'redeemed', 'then they go on, too');
my $other = $cluster->router('other_router');
is(told("SELECT status FROM redeem_coupon($_, 'EACH', 'o')", $other), 'RC015', 'a router that knows nothing yet is refused') foreach $moved, user(3);
on('other_router', "ALTER SERVER coupon_guard OPTIONS (SET p3 '$connection[0]')");
is(told("SELECT status FROM redeem_coupon($moved, 'EACH', 'o')", $other), 'already_redeemed', 'until it knows');
is(told("SELECT * FROM shard_of($moved)"), '3|0|s0', 'shard_of() says it, too');
on($_, 'SELECT coupon_guard_end_moves()') foreach 's0', 's1';
is(verify(), '', 'verify finds nothing');

# --- a shard comes back from a backup ----------------------------------------------------------------------------------------------------

sub units { my ($from, $to, $units) = @_; my $id = on('s0', 'SELECT gen_random_uuid()');
	on($from, "SELECT release_units('MOVE', $units, '$id', '$to')"); on($to, "SELECT accept_units('MOVE', $units, '$id', '$from')"); on($from, "SELECT settle_transfer('$id')"); return; }

my ($comes, $leaves, $loses) = (user(0), user(1), user(1));
told("SELECT status FROM redeem_coupon($_, 'MOVE', 'n')") foreach $comes, $leaves;
units('s0', 's1', 20);
my $since = on('s1', 'SELECT now()');
$router->close;
$other->close;
on('postgres', 'CREATE DATABASE backup TEMPLATE s1');
$router = $cluster->router;

# What happens after the backup: units come and go, a user comes, one leaves.
units('s1', 's0', 7);
units('s0', 's1', 3);
on($_, 'SELECT coupon_guard_begin_moves()') foreach 's0', 's1';
foreach my $move ([ $comes, 's0', 's1' ], [ $leaves, 's1', 's0' ])
{
	my ($user, $from, $to) = @$move;
	my $id = on('s0', 'SELECT gen_random_uuid()');
	my $payload = on($from, "SELECT quote_literal(release_user('$user', '$id', '$to'))");
	on($to, "SELECT accept_user($payload)");
	on($from, "SELECT settle_user('$id')");
}
on('router', "ALTER SERVER coupon_guard OPTIONS (SET p0 '$connection[1]', SET p1 '$connection[0]')");
unlike(verify(), qr/limit/, 'after all this, limits are whole');
is(told("SELECT status FROM redeem_coupon($loses, 'EACH')"), 'redeemed', 'a redemption after the backup');

$router->close;
on('postgres', 'DROP DATABASE s1 WITH (FORCE)');
on('postgres', 'ALTER DATABASE backup RENAME TO s1');
$router = $cluster->router;
my $found = verify();
like($found, qr/\|limit\|MOVE\|/, 'the shard is restored: verify names the limit');
like($found, qr/s1\|user\|user $leaves\|/, 'and the user who has left, and is there again');
is(on('s1', "SELECT count(*) FROM coupon_redemption WHERE user_id = '$comes'") . on('s0', "SELECT count(*) FROM coupon_redemption WHERE user_id = '$comes'"), '00', 'the one who came is nowhere');
foreach (1, 2)
{
	my ($out, $err);
	ok(IPC::Run::run([ 'bash', "$examples/repeat-transfers.sh", $node->connstr('s1'), $node->connstr('s0'), $since ], '>', \$out, '2>', \$err), 'its transfers are repeated')
	  or diag $err;
	note $out;
}
unlike(verify(), qr/limit|user $leaves|moving/, 'verify names neither any more');
is(on('s1', "SELECT count(*) FROM coupon_redemption WHERE user_id = '$comes'") . on('s0', "SELECT count(*) FROM coupon_redemption WHERE user_id = '$leaves'"), '11', 'both users are where they were');
is(on('s1', "SELECT count(*) FROM coupon_redemption WHERE user_id = '$leaves'"), '0', 'and nowhere else');

$router->close;
$node->stop;
done_testing();
