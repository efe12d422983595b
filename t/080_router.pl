# A router over four shards: it answers what the users' shards answer, and limits hold over all of them. Nobody is refused while any shard has
# a unit, or a transaction still open anywhere may bring one.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use CouponGuard::Shards;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
my $share = $node->config_data('--sharedir');
chomp $share;
plan skip_all => 'no PL/Proxy' if !-e "$share/extension/plproxy.control";
$node->init;
$node->append_conf('postgresql.conf', "max_connections = 100\ndeadlock_timeout = '1min'");
$node->start;

my $cluster = CouponGuard::Shards->new(nodes => [ ($node) x 4 ]);
my $router = $cluster->router;
my @shard = map { $cluster->shard($_) } 0 .. 3;
sub user { return $cluster->user($_[0]) }
sub told { my ($sql, $session) = @_; return CouponGuard::Shards::told($session // $router, $sql) }
sub is_well { my ($when) = @_; return is(told('SELECT v::text FROM verify() AS v'), '', "verify finds nothing: $when"); }

sub await_waiter
{
	my ($type) = @_;
	$node->poll_query_until('postgres', "SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND locktype = '$type'") or die "nobody waits for $type";
	return;
}

is(told('SELECT number, name, partitions, answers FROM shards()'), '0|s0|{0}|t 1|s1|{1}|t 2|s2|{2}|t 3|s3|{3}|t', 'the shards');

is(told("SELECT * FROM shard_of(@{[ user(2) ]})") . told("SELECT name FROM shard_of('@{[ user(3) ]}')"), '2|2|s2s3', 'where a user is');

# --- where a user is, and answers -----------------------------------------------------------------------------------------------

told(q(SELECT put_coupon('{"code": "P", "terms": {"percent": 10}}'), put_coupon('{"code": "Q"}'), put_coupon('{"code": "CAP", "max_redemptions": 1000}'),
	put_coupon('{"code": "GIFT", "budget": 10000, "max_per_user": null}'), put_campaign('{"name": "Summer", "max_redemptions": 1000}')));
told(q(SELECT put_coupon('{"code": "SUN", "campaign": "summer"}')));

foreach my $i (0 .. 3)
{
	my ($user, $text, $uuid) = (user($i), "u$i", '');
	foreach my $call ("$user, 'p', 'a'", "$user, 'P', 'b'", "$user, 'NONE'", "$user, 'CAP'", "$user, 'SUN'", "$user, 'GIFT', amount => 70", "$user, 'gift', 50, '{}', 'c', true")
	{
		my $here = told("SELECT status, coupon_id, use_no, terms, replayed, amount FROM redeem_coupon($call)");
		my ($status) = split /\|/, $here;
		if ($status eq 'redeemed')
		{
			my $row = told("SELECT count(*) FROM coupon_redemption WHERE user_id = '$user' AND voided_at IS NULL", $shard[$i]);
			cmp_ok($row, '>', 0, "redeem_coupon($call): on the user's shard");
		}
		else { is($here, told("SELECT status, coupon_id, use_no, terms, replayed, amount FROM redeem_coupon($call)", $shard[$i]), "redeem_coupon($call): as the shard answers"); }
	}
	is(told("SELECT status, replayed FROM redeem_coupon($user, 'P', 'a')"), 'redeemed|t', 'a replay');
	is(told("SELECT status, replayed FROM redeem_coupon('$user', 'P', 'a')") . told("SELECT status, replayed FROM redeem_coupon('$user'::text, 'P', 'a')"),
		'redeemed|tredeemed|t', 'one user, whatever type the id has');
	is(told("SELECT count(DISTINCT redemption_id) FROM (SELECT redemption_id FROM redeem_coupon($user, 'P', 'a') UNION ALL SELECT redemption_id FROM redeem_coupon('$user', 'P', 'a')) AS r"), '1', 'and one redemption');
	is(told("SELECT status, use_no FROM redeem_coupon_strict($user, 'Q')"), 'redeemed|1', 'the strict form');
	is(told("SELECT redeem_coupon_strict($user, '$_->[0]')"), $_->[1], "a refusal of the strict form: $_->[1]") foreach [ 'Q', 'RC005' ], [ 'NONE', 'RC001' ];
	is(told("SELECT redeem_coupon($user, 'Q', 'a')"), 'RC007', 'an error of the shard passes through');
	is(told("SELECT redeem_coupon($user, 'GIFT')"), '22004', 'and another');

	my $other = user($i);
	is(told("SELECT code, status FROM redeem_coupons($other, '{P,Q}', 'x')"), 'P|redeemed Q|redeemed', 'several coupons');
	is(told("SELECT code, status, replayed FROM redeem_coupons($other, '{P,Q}', 'x')"), 'P|redeemed|t Q|redeemed|t', 'again');
	is(told("SELECT code, status FROM redeem_coupons(@{[ user($i) ]}, '{P,NONE}')"), 'P|withheld NONE|not_found', 'or none');
	is(told("SELECT code, status, amount FROM redeem_coupons(@{[ user($i) ]}, '{GIFT,P}', amounts => '{20,NULL}')"), 'GIFT|redeemed|20 P|redeemed|', 'with amounts');

	$user = user($i);
	my $hold = told("SELECT redemption_id FROM hold_coupon($user, 'CAP')");
	like($hold, qr/^\d+$/, 'a hold');
	is(told("SELECT status, redemption_id, replayed FROM hold_coupon($user, 'CAP')"), "held|$hold|t", 'is there');
	is(told("SELECT status FROM confirm_hold(@{[ user($i) ]}, $hold)"), 'RC008', 'no other user confirms it');
	is(told("SELECT void_redemption(@{[ user(($i + 1) % 4) ]}, $hold)"), 'RC008', 'or voids it, wherever he is');
	is(told("SELECT status FROM confirm_hold($user, $hold)"), 'redeemed', 'its user does');
	is(told("SELECT void_redemption($user, $hold, 'returned')") . told("SELECT void_redemption('$user', $hold)"), 'tf', 'and voids it, once');
	$hold = told("SELECT redemption_id FROM hold_coupon($user, 'GIFT', '1 minute', 100)");
	is(told("SELECT status, amount FROM confirm_hold($user, $hold, 60)"), 'redeemed|60', 'a hold of an amount, confirmed for less');
	is(told("SELECT void_redemption($user, $hold, 10)"), 't', 'a part of it is given back');
	is(told("SELECT amount FROM redeem_coupon($user, 'gift', 1, '{}', 'x')"), '1', 'and another redemption');
	is(told("SELECT status, remaining_uses, remaining_units FROM check_coupon(@{[ user($i) ]}, 'SUN')"), 'redeemed|1|' . (999 - $i), 'check_coupon counts over all shards');
}
is(told("SELECT status, coupon_id IS NOT NULL FROM redeem_coupon('0a0b0c0d-0000-4000-8000-000000000001'::uuid, 'P')"), 'redeemed|t', 'a uuid');
is(told("SELECT status FROM redeem_coupon('0a0b0c0d-0000-4000-8000-000000000001', 'P')"), 'already_redeemed', 'and its text are one user');
is(told("SELECT redeem_coupon(NULL::bigint, 'P')"), '22004', 'nobody');
is(told("SELECT status FROM redeem_coupon(1, repeat('x', 2000))"), 'not_found', 'what is no code');

{
	my @users = map { user($_ % 4) } 1 .. 8;
	my $list = join ',', @users;
	is(told("SELECT status, replayed FROM redeem_coupon_for_each('{$list}'::bigint[], array_fill('P'::text, '{8}'), ARRAY['$users[0]', NULL, 'z', NULL, NULL, NULL, NULL, NULL])"),
		join(' ', ('redeemed|f') x 8), 'many users at once');
	my @codes = ('P', 'NONE', 'Q', 'P', 'CAP', 'Q', 'SUN', 'P');
	is(told("SELECT status FROM redeem_coupon_for_each('{$list}'::bigint[], '{@{[ join ',', @codes ]}}')"),
		'already_redeemed not_found redeemed already_redeemed redeemed redeemed redeemed already_redeemed', 'each is told its own, in their order');
	is(told("SELECT redeem_coupon_for_each('{1,2}'::bigint[], '{P}')"), '22023', 'as many codes as users');
}
is_well('after answers');

# --- the last units ---------------------------------------------------------------------------------------------------------------

# Nine of ten users are of one shard, and not of the one that has all the rights at first.
told(q(SELECT put_coupon('{"code": "SKEW", "max_redemptions": 40}')));
{
	my @statuses = map { told("SELECT status FROM redeem_coupon(@{[ user($_ % 10 ? 2 : 1) ]}, 'SKEW')") } 1 .. 50;
	is(scalar(grep { $_ eq 'redeemed' } @statuses), 40, 'of a cap of 40, 40 are redeemed');
	is(scalar(grep { $_ eq 'sold_out' } @statuses[ 40 .. 49 ]), 10, 'and those who came later are refused');
	my $void = user(3);
	is(told("SELECT redeem_coupon_strict($void, 'SKEW')"), 'RC006', 'the strict form, too');
	is(told("SELECT remaining_units, status FROM check_coupon($void, 'SKEW')"), '0|sold_out', 'check_coupon says so');
}
is_well('a skewed sale');

# Transactions still open on another shard have the last units.
foreach my $end (qw(COMMIT ROLLBACK))
{
	my ($code, $seller, $buyer) = ("LAST_$end", user(0), user(2));
	told(qq(SELECT put_coupon('{"code": "$code", "max_redemptions": 1}')));
	$shard[0]->query("BEGIN; SELECT redeem_coupon($seller, '$code')");
	$router->start("SELECT status, limited_by FROM redeem_coupon($buyer, '$code')");
	await_waiter('transactionid');
	is($router->has_ended(0) ? 'ended' : 'waits', 'waits', "the buyer waits for the transaction on another shard that has the last unit");
	$shard[0]->query($end);
	is(CouponGuard::Shards::outcome($router), $end eq 'COMMIT' ? 'sold_out|coupon' : 'redeemed|', "$end decides");
}
is_well('after waiting');

# Many wait, on two routers: each is told as it ends.
{
	$cluster->add_router('other_router');
	my @rivals = map { $cluster->router($_ % 2 ? 'router' : 'other_router') } 1 .. 6;
	told(q(SELECT put_coupon('{"code": "MANY", "max_redemptions": 1}')));
	my $seller = user(0);
	$shard[0]->query("BEGIN; SELECT redeem_coupon($seller, 'MANY')");
	$rivals[$_]->start("SELECT status FROM redeem_coupon(@{[ user(1 + $_ % 2) ]}, 'MANY')") foreach 0 .. 5;
	await_waiter('transactionid');
	await_waiter('advisory');
	is(scalar(grep { $_->has_ended(0) } @rivals), 0, 'six buyers wait, on two shards, by two routers');
	$shard[0]->query('ROLLBACK');
	is(join(' ', sort map { CouponGuard::Shards::outcome($_) } @rivals), 'redeemed sold_out sold_out sold_out sold_out sold_out', 'one of them has the unit');
	$_->close foreach @rivals;
}
is_well('after a rush');

# --- budgets --------------------------------------------------------------------------------------------------------------------------

told(q(SELECT put_coupon('{"code": "B", "budget": 1000, "max_per_user": null}')));
is(told("SELECT status, amount FROM redeem_coupon(@{[ user(1) ]}, 'B', 300)"), 'redeemed|300', 'an amount comes from another shard');
is(told("SELECT status, amount FROM redeem_coupon(@{[ user(2) ]}, 'B', 600)"), 'redeemed|600', 'from two');
is(told("SELECT status, amount FROM redeem_coupon(@{[ user(3) ]}, 'B', 200)"), 'insufficient|100', 'all that is left on any shard');
is(told("SELECT redeem_coupon_strict(@{[ user(1) ]}, 'B', 200)"), 'RC009', 'the strict form');
is(told("SELECT status, amount FROM redeem_coupon(@{[ user(0) ]}, 'B', 200, up_to => true)"), 'redeemed|100', 'up_to takes it');
is(told("SELECT status FROM redeem_coupon(@{[ user(1) ]}, 'B', 1, up_to => true)"), 'sold_out', 'then there is nothing');
is_well('a budget');

# --- campaigns ------------------------------------------------------------------------------------------------------------------------

told(q(SELECT put_campaign('{"name": "C", "max_redemptions": 3, "budget": 1000}')));
told(qq(SELECT put_coupon('{"code": "C$_", "campaign": "c", "max_redemptions": 2}'))) foreach 1 .. 3;
is(join(' ', map { told("SELECT status, amount, limited_by FROM redeem_coupon(@{[ user($_->[0]) ]}, '$_->[1]', $_->[2])") } [ 1, 'C1', 400 ], [ 2, 'C2', 700 ], [ 3, 'C1', 500 ], [ 1, 'C1', 1 ], [ 2, 'C2', 50 ], [ 3, 'C3', 1 ]),
	'redeemed|400| insufficient|600|campaign redeemed|500| sold_out||coupon redeemed|50| sold_out||campaign', 'the limits of a campaign and of its coupons, each where it ends');
told(q(SELECT put_campaign('{"name": "D", "max_redemptions": 3}')));
told(qq(SELECT put_coupon('{"code": "D$_", "campaign": "D"}'))) foreach 1 .. 3;
is(told("SELECT code, status FROM redeem_coupons(@{[ user(1) ]}, '{D1,D2,D3}')"), 'D1|redeemed D2|redeemed D3|redeemed', 'three units of a campaign for one call');
is(told("SELECT code, status FROM redeem_coupons(@{[ user(2) ]}, '{D1,P}')"), 'D1|sold_out P|withheld', 'and then none');
is_well('campaigns');

# --- units under way --------------------------------------------------------------------------------------------------------------------

# A router died between the halves: the next who looks brings them home.
told(q(SELECT put_coupon('{"code": "WAY", "max_redemptions": 2}')));
my $id = '10000000-0000-4000-8000-000000000001';
is(told("SELECT release_units('WAY', 2, '$id', 's1')", $shard[0]), '2', 'two units leave, and do not arrive');
is(told("SELECT status FROM redeem_coupon(@{[ user(2) ]}, 'WAY')"), 'redeemed', 'a buyer of a third shard has one');
is(told("SELECT count(*) FROM coupon_transfer WHERE settled_at IS NULL", $shard[0]), '0', 'and the transfer is settled');
# The same, with the second half done and not noted.
told(q(SELECT put_coupon('{"code": "WAY2", "max_redemptions": 2}')));
$id = '10000000-0000-4000-8000-000000000002';
told("SELECT release_units('WAY2', 2, '$id', 's1')", $shard[0]);
told("SELECT accept_units('WAY2', 2, '$id', 's0')", $shard[1]);
is(join(' ', map { told("SELECT status FROM redeem_coupon(@{[ user(3) ]}, 'WAY2')") } 1 .. 3), 'redeemed redeemed sold_out', 'units that have arrived do not arrive twice');
is_well('units under way');

# Users who have left a shard and have not arrived are brought to the other, with what they use.
{
	my $user = user(1);
	told(q(SELECT put_coupon('{"code": "MOVE", "max_redemptions": 2}')));
	told("SELECT coupon_guard_begin_moves()", $_) foreach @shard[ 0, 1 ];
	told("SELECT redeem_coupon($user, 'MOVE')", $shard[0]);
	told("SELECT release_user('$user', '10000000-0000-4000-8000-000000000003', 's1')", $shard[0]);
	is(told('SELECT v::text FROM verify() AS v'), '', 'a user who is under way');
	is(told("SELECT status FROM redeem_coupon($user, 'MOVE')"), 'already_redeemed', 'arrives');
	is(join(' ', map { told("SELECT status FROM redeem_coupon(@{[ user($_) ]}, 'MOVE')") } 2, 3), 'redeemed sold_out', 'with the unit that he has used');
	told("SELECT coupon_guard_end_moves()", $_) foreach @shard[ 0, 1 ];
}
is_well('a user has moved');

# --- codes that are on one shard, and codes that are known by nobody -------------------------------------------------------------------------

told(q(INSERT INTO coupon (code, max_redemptions, terms) VALUES ('LAZY', 2, '{"a": 1}')), $shard[3]);
is(told("SELECT status, terms FROM redeem_coupon(@{[ user(1) ]}, 'lazy')"), 'redeemed|{"a": 1}', 'a code of another shard');
is(told("SELECT rights FROM coupon WHERE code = 'LAZY'", $shard[1]), '1', 'is copied, and has what was gathered');
is(told("SELECT status, remaining_units FROM check_coupon(@{[ user(2) ]}, 'LAZY')"), 'redeemed|1', 'check_coupon finds it');
is(told("SELECT count(*) FROM coupon WHERE code = 'LAZY'", $shard[2]), '0', 'and copies nothing');
my $holder = user(3);
told("INSERT INTO coupon (code, holder, max_redemptions) VALUES ('HELD', '$holder', 1)", $shard[3]);
is(told("SELECT status FROM redeem_coupon(@{[ user(1) ]}, 'HELD')"), 'reserved', 'a code that has a holder is reserved, from wherever it is asked for');
is(told("SELECT redeem_coupon_strict(@{[ user(1) ]}, 'HELD')"), 'RC010', 'and in the strict form');
is(told("SELECT status FROM redeem_coupon($holder, 'HELD')"), 'redeemed', 'the holder has it');
told(q(INSERT INTO coupon (code, active) VALUES ('OFF', false)), $shard[3]);
is(told("SELECT status FROM redeem_coupon(@{[ user(1) ]}, 'OFF')"), 'inactive', 'what is not active is said to be so');
is_well('copies');

# --- direct use ------------------------------------------------------------------------------------------------------------------------------

told(q(SELECT put_coupon('{"code": "DIRECT", "max_redemptions": 4}')));
{
	my $user = user(2);
	is(told("SELECT status, limited_by FROM redeem_coupon($user, 'DIRECT')", $shard[2]), 'sold_out|shard', 'on the shard itself: others may have more');
	is(told("SELECT gather_units($user, 'DIRECT')"), '2', 'some come');
	is(told("SELECT status FROM redeem_coupon($user, 'DIRECT')", $shard[2]), 'redeemed', 'and there they are');
	is(told("SELECT gather_units($user, 'DIRECT', 3)") . told("SELECT gather_units($user, 'DIRECT', 100)"), '33', 'as many as there are');
	told("SELECT status FROM redeem_coupon(@{[ user(2) ]}, 'DIRECT')", $shard[2]) foreach 1 .. 3;
	is(told("SELECT gather_units(@{[ user(1) ]}, 'DIRECT')"), '0', 'and none, for certain');
}
is_well('direct use');

# --- who may call -----------------------------------------------------------------------------------------------------------------------------

$node->safe_psql('router', q(CREATE ROLE shop LOGIN; GRANT EXECUTE ON FUNCTION redeem_coupon(bigint, text, text, jsonb) TO shop));
is(told(qq(SET ROLE shop; SELECT status FROM redeem_coupon(@{[ user(1) ]}, 'P'))), 'redeemed', 'EXECUTE is enough to redeem');
is(told(q(SELECT put_coupon('{"code": "MINE"}'))), '42501', 'and not enough to make coupons');
is(told(q(SELECT shard_put_coupon(0, '{"code": "MINE"}', true))), '42501', 'by whatever way');
told('RESET ROLE');

# --- what is broken is named --------------------------------------------------------------------------------------------------------------------

told(q(UPDATE coupon SET rights = rights + 1 WHERE code = 'SKEW'), $shard[1]);
like(told('SELECT invariant, name, detail FROM verify()'), qr/^limit\|SKEW\|41 units over the shards and 0 under way, limit 40$/, 'a unit too many');
told(q(UPDATE coupon SET rights = rights - 1 WHERE code = 'SKEW'), $shard[1]);
told(q(UPDATE coupon SET terms = '{"percent": 90}' WHERE code = 'P'), $shard[2]);
is(told('SELECT shard, invariant, name FROM verify()'), 's2|copy|P', 'a copy that is not as at home');
is(told('SELECT shard, name, is_done FROM sync()'), 's2|P|t', 'sync makes it so');
is(told(q(SELECT terms FROM coupon WHERE code = 'P'), $shard[2]), '{"percent": 10}', 'as it was');
{
	my $user = user(1);
	told("SELECT redeem_coupon($user, 'P')", $shard[0]);
	is(told('SELECT shard, invariant, name FROM verify()'), "s0|user|user $user", 'a user who redeemed on another shard than his');
	told("DELETE FROM coupon_redemption WHERE user_id = '$user'", $shard[0]);
}
told(q(UPDATE coupon SET max_redemptions = 41 WHERE code = 'SKEW'), $shard[3]);
is(told('SELECT shard, invariant, name FROM verify()'), 's3|copy|SKEW', 'a limit that is another on one shard: the home says what it is');
told('SELECT sync()');
is_well('at the end');

$_->close foreach $router, @shard;
$node->stop;
done_testing();
