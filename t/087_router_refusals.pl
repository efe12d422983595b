# Few units, many who want them, on routers and on shards directly; most give them back, or roll back. Whoever is refused must have had a moment,
# from his call to its answer, in which all units could be taken. And never are more than there are.
#
# Long: COUPON_GUARD_SOAK_SECONDS. COUPON_GUARD_SEED repeats the choices.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use CouponGuard::Shards;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $node = PostgreSQL::Test::Cluster->new('main');
my $share = $node->config_data('--sharedir');
chomp $share;
plan skip_all => 'no PL/Proxy' if !-e "$share/extension/plproxy.control";
$node->init;
$node->append_conf('postgresql.conf', "max_connections = 200\nfsync = off");
$node->start;

my $seed = $ENV{COUPON_GUARD_SEED} // int(rand 100_000);
srand $seed;
my $ends_at = time + ($ENV{COUPON_GUARD_SOAK_SECONDS} // 8);
my ($shards, $most_units) = (4, 3);
my $cluster = CouponGuard::Shards->new(nodes => [ ($node) x $shards ]);
$cluster->add_router('other_router');
my $admin = $cluster->router;

# A limit of each kind, of so many units.
my %cap = map { $_ => 1 + int rand $most_units } qw(CAP BUDGET SUN LIGHT);
$admin->query(qq(SELECT put_campaign('{"name": "day", "max_redemptions": $cap{SUN}}'), put_campaign('{"name": "money", "budget": $cap{LIGHT}}')));
$admin->query(qq(SELECT put_coupon('{"code": "CAP", "max_redemptions": $cap{CAP}, "max_per_user": null}'), put_coupon('{"code": "BUDGET", "budget": $cap{BUDGET}, "max_per_user": null}'),
	put_coupon('{"code": "SUN", "campaign": "day", "max_per_user": null}'), put_coupon('{"code": "LIGHT", "campaign": "money", "max_per_user": null}')));

# --- a unit that is always where nobody looks ------------------------------------------------------------------------------------------------

# Shards answer one after the other. A unit that goes from one that has yet to answer to one that has answered is seen by neither: only a second
# look tells, and if it goes back meanwhile, only what that look sees to have moved. Each shard is held where it reads coupon_user_transfer.
{
	my ($number, $buyer) = (0, $cluster->router);
	my @shard = map { $cluster->shard($_) } 0, 1;
	my @keeper = map { $cluster->shard($_) } 0, 1;
	my $move = sub {
		my ($code, $from, $to) = @_;
		my $id = sprintf '20000000-0000-4000-8000-%012d', ++$number;
		$shard[$from]->query("SELECT release_units('$code', 1, '$id', 's$to')");
		$shard[$to]->query("SELECT accept_units('$code', 1, '$id', 's$from')");
		$shard[$from]->query("SELECT settle_transfer('$id')");
	};
	my $hold = sub { $keeper[ $_[0] ]->query('BEGIN; LOCK TABLE coupon_user_transfer') };
	my $await = sub { my ($i, $sql) = @_; $node->poll_query_until("s$i", "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = 's$i' AND query LIKE '%coupon_shard_units%' AND usename = 'router' AND $sql") or die "shard $i does not come to $sql" };
	foreach my $goes_back (0, 1)
	{
		my $code = "HIDES$goes_back";
		$admin->query(qq(SELECT put_coupon('{"code": "$code", "max_redemptions": 1}')));
		$move->($code, 0, 1);
		$hold->(1);
		$buyer->start("SELECT status FROM redeem_coupon(@{[ $cluster->user(2) ]}, '$code')");
		$await->(1, q(wait_event_type = 'Lock'));
		$await->(0, q(state = 'idle'));
		$move->($code, 1, 0);
		$hold->(0) if $goes_back;
		my ($released_at) = map { $_->[0] } $shard[1]->query('SELECT clock_timestamp()');
		$keeper[1]->query('COMMIT');
		if ($goes_back)
		{
			$await->(0, q(wait_event_type = 'Lock'));
			$await->(1, qq(state = 'idle' AND query_start > '$released_at'));
			$move->($code, 0, 1);
			$keeper[0]->query('COMMIT');
		}
		is(CouponGuard::Shards::outcome($buyer), 'redeemed', $goes_back ? 'a unit that goes there and back between two looks is found' : 'a unit that goes to a shard that has answered is found');
	}
	$_->close foreach $buyer, @shard, @keeper;
}

# --- callers ------------------------------------------------------------------------------------------------------------------------

# A router's caller redeems, and gives back what he has got. A shard's redeems in a transaction, and ends it either way.
my @callers = map { { session => $cluster->router($_ % 2 ? 'router' : 'other_router') } } 1 .. 10;
push @callers, map { { session => $cluster->shard($_), shard => $_ } } 0 .. $shards - 1;
my (%taken, @refused, %errors); # by code: [ from, to ], for as long as a unit may be taken; [ code, from, to ]

sub begin
{
	my ($caller) = @_;
	my $at = $caller->{shard} // (rand() < 0.6 ? 2 : int rand $shards);
	my $code = (keys %cap)[ int rand keys %cap ];
	my $user = $cluster->user($at);
	my $amount = $code =~ /BUDGET|LIGHT/ ? ', amount => 1' : '';
	@$caller{qw(code user begun doing)} = ($code, $user, time, 'redeem');
	my $begin = defined $caller->{shard} ? 'BEGIN;' : '';
	$caller->{session}->start("$begin SELECT status, redemption_id, extract(epoch FROM redeemed_at) FROM redeem_coupon($user, '$code'$amount)");
	return;
}

sub go_on
{
	my ($caller) = @_;
	my $result = $caller->{session}->finish;
	my ($status, $id, $redeemed_at) = @{ $result->{rows}[0] // [] };
	my $was = $caller->{doing};
	my $is_direct = defined $caller->{shard};
	if ($result->{sqlstate})
	{
		$errors{ $result->{sqlstate} }++;
		diag "$was: $result->{message}" if $errors{ $result->{sqlstate} } < 3;
	}
	if ($was eq 'redeem' && !$result->{sqlstate} && $status eq 'redeemed')
	{
		@$caller{qw(doing id)} = ('keep', $id);
		$caller->{begun} = $redeemed_at - 0.001; # then it was judged: it may have waited before
		$caller->{until} = time + rand 0.1;
		return;
	}
	if ($was eq 'redeem' && $is_direct)
	{
		$caller->{doing} = 'end';
		$caller->{session}->start('ROLLBACK');
		return;
	}
	push @refused, [ $caller->{code}, $caller->{begun}, time, $status ] if $was eq 'redeem' && !$result->{sqlstate};
	push @{ $taken{ $caller->{code} } }, [ $caller->{begun}, time ] if $was eq 'give back';
	if ($was eq 'commit') # and give it back
	{
		$caller->{doing} = 'give back';
		$caller->{session}->start("SELECT void_redemption($caller->{id})");
		return;
	}
	delete $caller->{doing};
	return;
}

sub give_back
{
	my ($caller) = @_;
	my $is_direct = defined $caller->{shard};
	if ($is_direct && rand() < 0.5) { @$caller{qw(doing)} = ('commit'); $caller->{session}->start('COMMIT') }
	else
	{
		$caller->{doing} = 'give back';
		$caller->{session}->start($is_direct ? 'ROLLBACK' : "SELECT void_redemption($caller->{user}, $caller->{id})");
	}
	return;
}

my $calls = 0;
my $verifier = $cluster->router;
my ($looks, @alarms) = (0);
$verifier->start('SELECT v::text FROM verify() AS v');
while (1)
{
	my $is_over = time > $ends_at;
	my $has_waited = 0;
	foreach my $caller (@callers)
	{
		my $doing = $caller->{doing} // '';
		if ($doing eq '') { next if $is_over; $calls++; begin($caller) }
		elsif ($doing eq 'keep') { give_back($caller) if time >= $caller->{until} }
		elsif ($caller->{session}->has_ended($has_waited++ ? 0 : 0.001)) { go_on($caller) }
	}
	if ($verifier->has_ended(0))
	{
		my $alarm = CouponGuard::Shards::outcome($verifier);
		push @alarms, $alarm if $alarm;
		$looks++;
		$verifier->start('SELECT v::text FROM verify() AS v');
	}
	last if $is_over && !grep { $_->{doing} } @callers;
}

# --- the judge --------------------------------------------------------------------------------------------------------------------------

is(CouponGuard::Shards::outcome($verifier) . "@alarms", '', "verify finds nothing meanwhile: $looks times");
is(join(' ', map { "$_ $errors{$_}" } sort keys %errors), '', "no call ended with an error (seed $seed)");
is(join(' ', sort { $a cmp $b } grep { !/^sold_out$/ } map { $_->[3] } @refused), '', 'who is refused hears sold_out');

# In order of time: a unit may be taken from when its redemption was judged, and is not after it was given back.
my $false_ones = 0;
foreach my $code (sort keys %cap)
{
	my @steps = sort { $a->[0] <=> $b->[0] } map { [ $_->[0], 1 ], [ $_->[1], -1 ] } @{ $taken{$code} // [] };
	my ($count, @level) = (0);
	push @level, [ $_->[0], $count += $_->[1] ] foreach @steps; # from this time on so many
	foreach my $one (grep { $_->[0] eq $code } @refused)
	{
		my ($from, $to) = @$one[ 1, 2 ];
		my ($before, $most) = (0, 0);
		foreach (@level)
		{
			last if $_->[0] > $to;
			if ($_->[0] <= $from) { $before = $_->[1] }
			elsif ($_->[1] > $most) { $most = $_->[1] }
		}
		$most = $before if $before > $most;
		next if $most >= $cap{$code};
		$false_ones++;
		diag "$code: at most $most of $cap{$code} could be taken while a caller was refused for " . ($to - $from) . ' s';
	}
}
is($false_ones, 0, "nobody is refused while a unit is left: $calls calls, " . scalar(@refused) . ' refused');
my $result = CouponGuard::Shards::told($admin, 'SELECT v::text FROM verify() AS v');
is($result, '', 'verify finds nothing');
foreach my $code (sort keys %cap)
{
	my $amount = $code =~ /BUDGET|LIGHT/ ? ', amount => 1' : '';
	is(join(' ', map { CouponGuard::Shards::told($admin, "SELECT status FROM redeem_coupon(@{[ $cluster->user($_ % $shards) ]}, '$code'$amount)") } 0 .. $cap{$code}),
		'redeemed ' x $cap{$code} . 'sold_out', "all units of $code are there in the end");
}

$_->{session}->close foreach @callers;
$_->close foreach $admin, $verifier;
$node->stop;
done_testing();
