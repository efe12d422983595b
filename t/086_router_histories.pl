# Random histories through two routers over 2 to 4 shards, played one step at a time: redemptions, holds and voids of users of all shards, units that
# are gathered, limits that are raised and lowered, beside transactions that are open on the shards themselves. A transfer is held at any of its
# steps (in the transaction in which units leave, in which they come, in which it is settled), and there its router's session, or the shard's, is
# cancelled or killed; others go on meanwhile, and the other router finds what was left.
#
# Nobody is refused if during all of his call a unit was left, or could come back. After all exactly the limit can be redeemed.
#
# The shards and the routers are databases of one server: what a step leads to is over when whatever is still busy waits for a lock.
#
# COUPON_GUARD_SEED repeats the histories from that one on; COUPON_GUARD_HISTORIES says how many, COUPON_GUARD_STEPS how long. The long form
# (COUPON_GUARD_SOAK_SECONDS) goes on for so long.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use CouponGuard::Shard::Routed;
use CouponGuard::Shards;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $histories = $ENV{COUPON_GUARD_HISTORIES} // 8;
my $steps = $ENV{COUPON_GUARD_STEPS} // 60;
my $began_at = time;
my $until = $began_at + ($ENV{COUPON_GUARD_SOAK_SECONDS} || 0);
my $first_seed = $ENV{COUPON_GUARD_SEED} || ($ENV{COUPON_GUARD_SOAK_SECONDS} ? 1 + int(rand(1_000_000_000)) : 1000);
note("seed $first_seed");

my $node = PostgreSQL::Test::Cluster->new('main');
my $share = $node->config_data('--sharedir');
chomp $share;
plan skip_all => 'no PL/Proxy' if !-e "$share/extension/plproxy.control";
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nmax_connections = 200\ndeadlock_timeout = '10ms'");
$node->start;
my $cluster = CouponGuard::Shards->new(nodes => [ ($node) x 4 ]);
$cluster->add_router('router2');

my $routed = CouponGuard::Shard::Routed->new($cluster, $node);
my $played = 0;
my $is_explained = 1;
while ($is_explained && ($ENV{COUPON_GUARD_SOAK_SECONDS} ? time < $until : $played < $histories))
{
	my $seed = $first_seed + $played++;
	my @findings = eval { $routed->play($seed, $steps) };
	push @findings, $@ if $@;
	next if !@findings;
	$is_explained = 0;
	fail("the history of seed $seed (from $first_seed)");
	diag(join "\n", @{ $routed->{steps} }, @findings);
}
ok($is_explained, "$played histories from seed $first_seed");
my $tally = $routed->{tally};
note(sprintf 'figures: seed %d, %d s, %d histories, %d steps', $first_seed, time - $began_at, $played, $tally->{steps});
note("$_: $tally->{$_}") foreach sort keys %$tally;

$node->stop('immediate');
done_testing();
