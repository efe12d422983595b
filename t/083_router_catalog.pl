# Coupons and campaigns that a router makes, changes and deletes on all shards; codes at random, claims; units that move ahead of need; a sale
# by two routers at once, in which some redemptions are given back.

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
$node->append_conf('postgresql.conf', "max_connections = 150\ndeadlock_timeout = '100ms'");
$node->start;

my $cluster = CouponGuard::Shards->new(nodes => [ ($node) x 4 ]);
$cluster->add_router('other_router');
my $router = $cluster->router;
my @shard = map { $cluster->shard($_) } 0 .. 3;
sub user { return $cluster->user($_[0]) }
sub told { my ($sql, $session) = @_; return CouponGuard::Shards::told($session // $router, $sql) }
sub put { return told("SELECT string_agg(shard || CASE WHEN is_done THEN '' ELSE ' ' || message END, ' ') FROM put_coupon('$_[0]')") }
sub redeem { my ($code, @at) = @_; return join ' ', map { told("SELECT status FROM redeem_coupon(@{[ user($_) ]}, '$code')") } @at }
sub everywhere { my ($sql) = @_; return join ',', map { told($sql, $_) } @shard }
sub is_well { my ($when) = @_; return is(told('SELECT v::text FROM verify() AS v'), '', "verify finds nothing: $when"); }

# --- made and changed -----------------------------------------------------------------------------------------------------------------

is(put('{"code": "A", "max_redemptions": 10, "max_per_user": 2, "expires_at": "2100-01-01", "terms": {"percent": 5}}'), 's0 s1 s2 s3', 'a coupon is made on all shards');
is(everywhere(q(SELECT max_redemptions, rights, max_per_user, terms FROM coupon WHERE code = 'A')),
	join(',', map { "10|$_|2|{\"percent\": 5}" } 10, 0, 0, 0), 'it is the same everywhere, and home has the rights');
is(everywhere(q(SELECT count(DISTINCT id) || ' ' || min(id) FROM coupon WHERE code = 'A')), join(',', ('1 1') x 4), 'so is its id');
is(put('{"code": " a", "terms": null}'), 's0 s1 s2 s3', 'it is changed, by any spelling');
is(everywhere(q(SELECT max_redemptions, rights, max_per_user, coalesce(terms::text, 'none') FROM coupon WHERE code_key = 'a')),
	join(',', map { "10|$_|2|none" } 10, 0, 0, 0), 'what is not in the change is left as it is');
is(told(qq(SELECT put_coupon('$_->[0]'))), $_->[1], "$_->[1]: $_->[0]")
  foreach [ '{"terms": null}', '22023' ], [ '{"code": "A", "rights": 5}', '22023' ], [ '{"code": "A", "id": 5}', '22023' ], [ '{"code": "A", "max_redemptions": null}', '0A000' ],
  [ '{"code": "A", "max_redemptions": 0}', '23514' ], [ '{"code": "A", "max_per_user": -1}', '23514' ], [ '{"code": "A", "holder": "7"}', '0A000' ], [ '{"code": "A", "campaign": "none"}', '42704' ];

is(redeem('A', 1, 1, 2, 3), 'redeemed redeemed redeemed redeemed', 'units are spread');
is(put('{"code": "A", "max_redemptions": 15}'), 's0 s1 s2 s3', 'the cap is raised');
is(redeem('A', (1) x 12), 'redeemed ' x 11 . 'sold_out', 'and there are so many');
is(told(q(SELECT put_coupon('{"code": "A", "max_redemptions": 14}'))), '23514', 'it is not lowered below what is in use');
told(q(SELECT void_redemption(min(id)) FROM coupon_redemption WHERE coupon_id = 1), $shard[1]);
is(put('{"code": "A", "max_redemptions": 14}'), 's0 s1 s2 s3', 'but to it, with a unit that another shard has');
is(redeem('A', 0, 1), 'sold_out sold_out', 'then it is sold out');
is_well('a cap raised and lowered');

put('{"code": "FREE"}');
is(redeem('FREE', 0, 1, 1, 2, 2, 2), join(' ', ('redeemed') x 6), 'without a cap');
is(put('{"code": "FREE", "max_redemptions": 8}'), 's0 s1 s2 s3', 'a cap appears');
is(everywhere(q(SELECT rights FROM coupon WHERE code = 'FREE')), '3,2,3,0', 'each shard has what it has used, home the rest, too');
is(redeem('FREE', 3, 3, 3), 'redeemed redeemed sold_out', 'and so much is to be had');
put('{"code": "FREE2"}');
redeem('FREE2', 0, 1, 1, 2, 2, 2);
is(told(q(SELECT put_coupon('{"code": "FREE2", "max_redemptions": 5}'))), '23514', 'a cap below what is in use does not appear');
is(redeem('FREE2', 1), 'redeemed', 'nowhere');
told(q(UPDATE coupon SET max_redemptions = 8, rights = 3 WHERE code = 'FREE2'), $shard[1]);
is(redeem('FREE2', 1, 0), 'unavailable redeemed', 'while it has appeared on one shard only, that one does not say sold_out');
is(put('{"code": "FREE2", "max_redemptions": 9}'), 's0 s1 s2 s3', 'a cap above what is in use appears');
is(redeem('FREE2', 3, 3), 'redeemed sold_out', 'with one unit left');
is(told('SELECT invariant FROM verify()'), '', 'and the same cap on all');
put('{"code": "MONEY", "max_per_user": null}');
told("SELECT redeem_coupon(@{[ user($_) ]}, 'MONEY', 100)") foreach 0 .. 3;
is(put('{"code": "MONEY", "budget": 1000}'), 's0 s1 s2 s3', 'a budget appears');
is(told("SELECT status, amount FROM redeem_coupon(@{[ user(3) ]}, 'MONEY', 1000, up_to => true)"), 'redeemed|600', 'with what is left of it');
is_well('limits that appear');

# While somebody redeems without the limit: the change waits, and counts him.
{
	put('{"code": "OPEN"}');
	my $changer = $cluster->router('other_router');
	$shard[2]->query("BEGIN; SELECT redeem_coupon(@{[ user(2) ]}, 'OPEN')");
	$changer->start(q(SELECT count(*) FROM put_coupon('{"code": "OPEN", "max_redemptions": 2}')));
	$node->poll_query_until('s2', q(SELECT count(*) = 1 FROM pg_locks WHERE NOT granted AND locktype = 'relation')) or die 'it does not wait';
	$shard[2]->query('COMMIT');
	is(CouponGuard::Shards::outcome($changer), '4', 'a cap that appears waits for a redemption without it');
	is(redeem('OPEN', 1, 1, 2), 'redeemed sold_out sold_out', 'and counts it');
	$changer->close;
}

# --- deleted -----------------------------------------------------------------------------------------------------------------------------

put('{"code": "GONE", "max_redemptions": 8}');
told('SELECT rebalance()');
is(everywhere(q(SELECT coupon_shard_delete('GONE', NULL))), '55000,55000,55000,55000', 'what is left of a coupon is not deleted with units of it, nor while others have some');
is(everywhere(q(SELECT rights FROM coupon WHERE code = 'GONE')), '2,2,2,2', 'units that are everywhere');
is(told(q(SELECT shard, is_done FROM drop_coupon('gone'))), 's1|t s2|t s3|t s0|t', 'a coupon is deleted, at home last');
is(everywhere(q(SELECT count(*) FROM coupon WHERE code = 'GONE')), '0,0,0,0', 'everywhere');
is(told(q(SELECT drop_coupon('gone'))), '', 'and needs not be deleted again');
is(redeem('GONE', 1), 'not_found', 'nobody knows it');
put('{"code": "GONE", "max_redemptions": 1}');
is(redeem('GONE', 1, 2), 'redeemed sold_out', 'it can be made anew');
is(told(q(SELECT count(*) FILTER (WHERE is_done) FROM drop_coupon('GONE'))), '2', 'what has redemptions stays');
is(redeem('GONE', 3), 'inactive', 'inactive');
told(q(SELECT put_campaign('{"name": "Old"}'), put_campaign('{"name": "Gone"}')));
put('{"code": "O1", "campaign": "old"}');
is(told(q(SELECT bool_and(is_done) FROM drop_campaign('gone'))) . told(q(SELECT bool_or(is_done) FROM drop_campaign('old'))), 'tf', 'a campaign goes, unless it has coupons');
is_well('after deleting');

# --- codes at random, and claims -----------------------------------------------------------------------------------------------------------

told(q(SELECT put_campaign('{"name": "Mail"}')));
my @codes = split / /, told(q(SELECT generate_coupons('mail', 30, 'M-????????')));
is(scalar(@codes), 30, 'codes');
is(everywhere(q(SELECT count(*) FROM coupon WHERE code LIKE 'M-%')), '8,8,7,7', 'each on one shard, as many on all');
is(told(q(SELECT count(DISTINCT c) FROM generate_coupons('mail', 32, 'N??', '01234567', max_share => 1) AS c)), '32', 'codes that several shards drew are one');
is(everywhere(q(SELECT count(*) FROM coupon WHERE code LIKE 'N%')), '8,8,8,8', 'each is drawn anew');
is(told(q(SELECT generate_coupons('mail', 0, 'N??'))), '22023', 'errors are the shard\'s');
is(redeem($codes[29], 0, 1), 'redeemed sold_out', 'a code is redeemed by a user of another shard, once');

my %claimed;
foreach (1 .. 61)
{
	my ($status, $code) = split /\|/, told("SELECT status, code FROM claim_coupon(@{[ user($_ % 10 ? 2 : 1) ]}, 'MAIL')");
	$claimed{$code}++ if $status eq 'claimed';
}
is(scalar(keys %claimed), 61, 'all codes that are not redeemed are claimed, each by one user, most of them of one shard');
is(scalar(grep { $_ > 1 } values %claimed), 0, 'and by no second');
my $late = user(3);
is(told("SELECT status FROM claim_coupon($late, 'mail')"), 'sold_out', 'then there are none');
my ($holder) = split / /, told(q(SELECT holder FROM coupon WHERE holder IS NOT NULL LIMIT 1), $shard[2]);
my $code = told("SELECT code FROM claim_coupon($holder, 'mail')");
is(told("SELECT status, replayed FROM claim_coupon('$holder', 'mail')"), 'claimed|t', 'who has one has it');
is(told("SELECT status FROM redeem_coupon($late, '$code')"), 'reserved', 'and nobody else');
is(told("SELECT status, code FROM release_claim($holder, 'mail')"), "released|$code", 'it is given back');
is(told("SELECT status, code FROM claim_coupon($late, 'mail')"), "claimed|$code", 'and is another\'s, of another shard');
is(told("SELECT status FROM redeem_coupon($late, '$code')"), 'redeemed', 'who redeems it');
is_well('claims');

# The last code is claimed in a transaction that is open.
{
	told(q(SELECT put_campaign('{"name": "One"}')));
	told(q(INSERT INTO coupon (code, max_redemptions, campaign_id) SELECT 'ONE', 1, id FROM campaign WHERE name = 'One'), $shard[0]);
	foreach my $end (qw(ROLLBACK COMMIT))
	{
		my $claimer = user(1);
		my $giver = $end eq 'ROLLBACK' ? 0 : 1;
		$shard[$giver]->query("BEGIN; SELECT claim_coupon(@{[ user($giver) ]}, 'one')");
		my $buyer = user(1 - $giver);
		$router->start("SELECT status FROM claim_coupon($buyer, 'one')");
		$node->poll_query_until("s$giver", q(SELECT count(*) > 0 FROM pg_locks WHERE NOT granted)) or die 'it does not wait';
		$shard[$giver]->query($end);
		is(CouponGuard::Shards::outcome($router), $end eq 'COMMIT' ? 'sold_out' : 'claimed', "the last code is being claimed: $end decides");
		told("SELECT release_claim($buyer, 'one')") if $end eq 'ROLLBACK';
		told("UPDATE coupon SET rights = rights WHERE code = 'ONE'", $shard[$giver]);
	}
}
is_well('a claim that waits');

# --- ahead of need ----------------------------------------------------------------------------------------------------------------------------

put('{"code": "EVEN", "max_redemptions": 400}');
is(told('SELECT name, kind, from_shard, to_shard, units FROM rebalance() WHERE name = \'EVEN\''), join(' ', map { "EVEN|c|s0|s$_|100" } 1 .. 3), 'units go to all shards');
redeem('EVEN', (2) x 90);
told('SELECT rebalance()');
cmp_ok(told(q(SELECT rights FROM coupon WHERE code = 'EVEN'), $shard[2]), '>', 300, 'and to where they are used');
is(told('SELECT rebalance()'), '', 'then nothing needs to move');
is_well('units moved ahead');

# --- a sale by two routers -----------------------------------------------------------------------------------------------------------------------

# One in ten gives his redemption back. At the end, when nothing moves, who asks gets what is left, and then there is none.
{
	put('{"code": "SALE", "max_redemptions": 200}');
	my @buyers = map { $cluster->router($_ % 2 ? 'router' : 'other_router') } 1 .. 12;
	my ($asked, %count) = (0);
	my @waiting;
	while ($asked < 400 || grep { defined } @waiting)
	{
		foreach my $i (0 .. $#buyers)
		{
			if (defined $waiting[$i])
			{
				next if !$buyers[$i]->has_ended(0.001);
				my ($status, $id) = split /\|/, CouponGuard::Shards::outcome($buyers[$i]);
				$count{$status}++;
				if ($status eq 'redeemed' && $count{redeemed} % 10 == 0)
				{
					$buyers[$i]->query("SELECT void_redemption($waiting[$i], $id)");
					$count{void}++;
				}
				$waiting[$i] = undef;
			}
			next if $asked >= 400;
			$asked++;
			$waiting[$i] = user($asked % 10 ? 3 : $asked / 10 % 3);
			$buyers[$i]->start("SELECT status, redemption_id FROM redeem_coupon($waiting[$i], 'SALE')");
		}
	}
	$_->close foreach @buyers;
	is(join(' ', sort grep { !/^(redeemed|sold_out|void)$/ } keys %count), '', 'every answer is redeemed or sold_out');
	is(redeem('SALE', (1) x (200 - $count{redeemed} + $count{void})), join(' ', ('redeemed') x (200 - $count{redeemed} + $count{void})), 'what was given back late is to be had');
	is(redeem('SALE', 0, 1, 2, 3), 'sold_out sold_out sold_out sold_out', 'and then it is sold out');
	my $live = 0;
	$live += told(q(SELECT count(*) FROM coupon_redemption r JOIN coupon c ON c.id = coupon_id WHERE code = 'SALE' AND voided_at IS NULL), $_) foreach @shard;
	is($live, 200, 'exactly the cap is redeemed');
}
is_well('a sale by two routers');

$_->close foreach $router, @shard;
$node->stop;
done_testing();
