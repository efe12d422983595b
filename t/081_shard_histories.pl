# Random histories over 2 to 4 shards, played one step at a time by a few sessions on each, and a model of every shard that says of each call what it
# may answer: redemptions, holds, voids, limits that are raised and lowered, and units that move: each half of a transfer by any session, repeated, by
# two at once, rolled back, left undone, ended by a cancel or a kill.
#
# At every moment the rights of all shards and the units under way are the limit. In the end what is under way is completed, all that is left is
# redeemed, and it is exactly the limit.
#
# The shards are databases of one server: a call that waits is known to wait. The sessions live through all histories.
#
# COUPON_GUARD_SEED repeats the histories from that one on; COUPON_GUARD_HISTORIES says how many, COUPON_GUARD_STEPS how long. The long form
# (COUPON_GUARD_SOAK_SECONDS) goes on for so long.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use CouponGuard::Session;
use CouponGuard::Shard::Model;
use CouponGuard::Shard::Player;
use List::Util qw(any first max sum0);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $histories = $ENV{COUPON_GUARD_HISTORIES} // 50;
my $steps = $ENV{COUPON_GUARD_STEPS} // 70;
my $began_at = time;
my $until = $began_at + ($ENV{COUPON_GUARD_SOAK_SECONDS} || 0);
my $first_seed = $ENV{COUPON_GUARD_SEED} || ($ENV{COUPON_GUARD_SOAK_SECONDS} ? 1 + int(rand(1_000_000_000)) : 1);
note("seed $first_seed");

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nmax_prepared_transactions = 20\ndeadlock_timeout = '10ms'");
$node->start;

my @shards = map { "shard$_" } 1 .. 4;
my (%observer, %sessions);
foreach my $number (1 .. @shards)
{
	my $shard = $shards[ $number - 1 ];
	$node->safe_psql('postgres', "CREATE DATABASE $shard");
	$observer{$shard} = CouponGuard::Session->new($node, $shard);
	$observer{$shard}->query('CREATE EXTENSION coupon_guard');
	$observer{$shard}->query("SELECT coupon_guard_set_shard('$shard', $number)");
	$sessions{$shard} = { map { $_ => CouponGuard::Session->new($node, $shard) } 's1' .. 's3' };
}
my $home = $shards[0];
my %tally;

# --- choosing ---------------------------------------------------------------------------

sub one_of { return $_[ int(rand(@_)) ] }

sub weighed
{
	my (%weights) = @_;
	my $at = rand(sum0(values %weights));
	foreach my $name (sort keys %weights)
	{
		return $name if ($at -= $weights{$name}) < 0;
	}
	return (sort keys %weights)[-1];
}

# A history: its players by shard, its coupons and campaigns, the transfers that were ever asked for, what was done.
my %history;
my $last_id = 0;

sub choose_limits
{
	my ($cap, $budget) = @{ one_of([ 1, 0 ], [ 1, 0 ], [ 0, 1 ], [ 1, 1 ], @_) };
	return (cap => $cap ? 1 + int(rand(8)) : undef, budget => $budget ? 1 + int(rand(16)) : undef);
}

# All of a limit is home's at first, or it is divided at random.
sub divide
{
	my ($limit, @among) = @_;
	my %part = map { $_ => defined $limit ? 0 : undef } @among;
	return %part if !defined $limit;
	my $is_home = rand() < 0.5;
	$part{ $is_home ? $home : one_of(@among) }++ foreach 1 .. $limit;
	return %part;
}

sub begin_history
{
	my ($seed) = @_;
	srand($seed);
	%history = (seed => $seed, shards => [ @shards[ 0 .. 1 + int(rand(3)) ] ], name => {}, transfers => [], steps => [], user => 0, last_transfer => 0);
	my @among = @{ $history{shards} };
	my %owners;
	my $campaign = rand() < 0.4 ? ++$last_id : undef;
	my @owners = map { my $id = ++$last_id; [ coupon => $id, { choose_limits(), campaign => rand() < 0.8 ? $campaign : undef } ] } 1 .. 1 + int(rand(2));
	unshift @owners, [ campaign => $campaign, { choose_limits([ 1, 0 ]) } ] if $campaign;
	foreach my $owner (@owners)
	{
		my ($table, $id, $offer) = @$owner;
		my $key = ($table eq 'campaign' ? 'm' : '') . $id;
		$history{name}{$key} = "$table $id of $seed";
		my %rights = divide($offer->{cap}, @among);
		my %budget_rights = divide($offer->{budget}, @among);
		my ($column, $value) = $table eq 'campaign' ? ('name', '') : ('campaign_id, code', ($offer->{campaign} // 'NULL') . ', ');
		foreach my $shard (@among)
		{
			$owners{$shard}{$key} = { %$offer, rights => $rights{$shard}, budget_rights => $budget_rights{$shard} };
			my $numbers = join ', ', map { $_ // 'NULL' } @{ $owners{$shard}{$key} }{qw(cap rights budget budget_rights)};
			my $stripes = 1 + int(rand(4));
			$observer{$shard}->query("SET coupon_guard.quota_stripes = $stripes;
				INSERT INTO $table (id, $column, max_redemptions, rights, budget, budget_rights) VALUES ($id, $value'$history{name}{$key}', $numbers)");
		}
	}
	$history{player} = { map { $_ => CouponGuard::Shard::Player->new(node => $node, database => $_, observer => $observer{$_}, sessions => $sessions{$_},
				model => CouponGuard::Shard::Model->new(%{ $owners{$_} }), tally => \%tally, steps => $history{steps}) } @among };
	return;
}

sub model { my ($shard) = @_; return $history{player}{$shard}->model }
sub quotas { my $model = model($home); return grep { defined $model->granted('', $_) } map { $model->quotas_of($_) } sort keys %{ $model->{owners} } }

# A transfer as both shards have it committed.
sub halves
{
	my ($transfer) = @_;
	return map { model($_)->{transfers}{ $transfer->{id} } } @{$transfer}{qw(from to)};
}

sub is_under_way { my ($out, $in) = halves($_[0]); return $out && !$in }

# Another transfer's arguments under its id.
sub spoil
{
	my ($op) = @_;
	my @others = grep { $_ ne $op->{quota} } quotas();
	if (@others && rand() < 0.5)
	{
		$op->{quota} = one_of(@others);
		$op->{name} = $history{name}{ CouponGuard::Shard::Model::owner_of($op->{quota}) };
	}
	else
	{
		$op->{peer} = 'elsewhere';
	}
	$op->{is_reused} = 1;
	return;
}

sub call_for
{
	my ($kind, $transfer, %more) = @_;
	my $peer = $transfer->{ $kind eq 'accept' ? 'from' : 'to' };
	my $owner = CouponGuard::Shard::Model::owner_of($transfer->{quota});
	return { kind => $kind, transfer => $transfer->{id}, quota => $transfer->{quota}, name => $history{name}{$owner}, peer => $peer, %more };
}

# A limit of which the shard has something left, mostly.
sub choose_quota
{
	my ($shard) = @_;
	my @with_units = grep { model($shard)->free('', $_) > 0 } quotas();
	return one_of(@with_units && rand() < 0.8 ? @with_units : quotas());
}

sub choose_release
{
	my ($shard) = @_;
	my @own = grep { $_->{from} eq $shard } @{ $history{transfers} };
	my $is_again = @own && rand() < 0.3;
	my $transfer = $is_again ? one_of(@own) : {
		id => sprintf('00000000-0000-0000-%04x-%012x', ++$history{last_transfer}, $history{seed}), quota => choose_quota($shard), from => $shard,
		to => one_of(grep { $_ ne $shard } @{ $history{shards} }) };
	push @{ $history{transfers} }, $transfer if !$is_again;
	my $op = call_for('release', $transfer, units => 1 + int(rand(rand() < 0.3 ? 20 : 5)));
	spoil($op) if $is_again && (halves($transfer))[0] && rand() < 0.15;
	return $op;
}

# Only what has left for certain may arrive: so its release is committed.
sub choose_accept
{
	my ($shard) = @_;
	my @left = grep { $_->{to} eq $shard && (halves($_))[0] } @{ $history{transfers} };
	my @new = grep { is_under_way($_) } @left;
	my $transfer = @new && rand() < 0.85 ? one_of(@new) : one_of(@left) or return;
	my ($out, $in) = halves($transfer);
	my $op = call_for('accept', $transfer, units => $out->{units});
	if ($in && rand() < 0.2) { $op->{units}++; $op->{is_reused} = 1; }
	return $op;
}

# Only what has arrived is settled.
sub choose_settle
{
	my ($shard) = @_;
	my @arrived = grep { $_->{from} eq $shard && (halves($_))[1] } @{ $history{transfers} } or return;
	my @new = grep { !(halves($_))[0]{settled} } @arrived;
	return call_for('settle', one_of(@new && rand() < 0.8 ? @new : @arrived));
}

# What a session calls next; undef if there is nothing to do it to.
sub choose_call
{
	my ($shard, $name, @kinds) = @_;
	my $player = $history{player}{$shard};
	my $model = $player->model;
	my $is_plain = $player->isolation($name) eq 'READ COMMITTED';
	my $kind = weighed(
		@kinds ? map { $_ => 1 } @kinds : (
			redeem => 16, hold => 10, confirm => 6, void => 16, release => 14, accept => 16, settle => 7, look => 12,
			$is_plain ? (expire => 8) : (), $is_plain && $shard eq $home ? (change => 8) : ()));
	return choose_release($shard) if $kind eq 'release';
	return choose_accept($shard) if $kind eq 'accept';
	return choose_settle($shard) if $kind eq 'settle';
	return call_for('look', { quota => choose_quota($shard) }) if $kind eq 'look';
	return { kind => 'change', quota => choose_quota($shard), by => one_of(-3 .. -1, 1 .. 3) } if $kind eq 'change';
	my %op = (kind => $kind);
	if ($kind =~ /^(redeem|hold)$/)
	{
		my $coupon = one_of(grep { !/^m/ } sort keys %{ $model->{owners} });
		@op{qw(user coupon code)} = (++$history{user} * 10000000 + $history{seed} % 10000000, $coupon, $history{name}{$coupon});
		$op{amount} = 1 + int(rand(rand() < 0.2 ? 12 : 4)) if any { $model->is_budget($_) } $model->quotas_over($coupon);
		$op{up_to} = 1 if $kind eq 'redeem' && defined $op{amount} && rand() < 0.3;
		return \%op;
	}
	my @looks = grep { $_->{view} } map { $model->look($player->in_transaction($name) ? $name : '', $_) } $model->all_ids;
	@looks = grep { defined $_->{view}{hold} } @looks if $kind =~ /^(confirm|expire)$/;
	my @live = grep { !$_->{view}{voided} } @looks;
	my $look = @live && rand() < 0.9 ? one_of(@live) : one_of(@looks) or return;
	$op{row} = $look->{id};
	$op{amount} = 1 + int(rand(4)) if $kind ne 'expire' && defined $look->{view}{amount} && rand() < 0.3;
	return \%op;
}

# --- playing --------------------------------------------------------------------------------

sub play_step
{
	my $shard = one_of(@{ $history{shards} }, $home); # where the units are at first
	my $player = $history{player}{$shard};
	my @idle = $player->idle;
	my @waiting = $player->waiting;
	my @prepared = $player->prepared;
	my $who = weighed(
		@idle ? (session => 40) : (),
		@waiting ? (cancel => 1, terminate => 1) : (terminate => 0.3),
		@prepared ? (prepared => 6) : ());
	return $player->cancel(one_of(@waiting)) if $who eq 'cancel';
	return $player->terminate(one_of(@waiting ? @waiting : @idle)) if $who eq 'terminate';
	return $player->end_prepared(one_of(@prepared), one_of('COMMIT', 'ROLLBACK')) if $who eq 'prepared';

	my $name = one_of(@idle);
	my @savepoints = $player->in_transaction($name) ? $player->savepoints($name) : ();
	if ($player->is_failed($name))
	{
		return @savepoints && rand() < 0.7 ? $player->rollback_to($name, one_of(@savepoints)) : $player->roll_back($name);
	}
	# As routers do it: each half a transaction of its own.
	my $what =
	    !$player->in_transaction($name) ? weighed(call => 65, begin => 35)
	  : weighed(
		call => 60, commit => 16, roll_back => 12, prepare => @prepared > 2 ? 0 : 4, terminate => 1,
		@savepoints < 3 ? (savepoint => 8) : (),
		@savepoints ? (rollback_to => 8, release => 2) : ());
	return $player->begin($name, one_of('READ COMMITTED', 'READ COMMITTED', 'REPEATABLE READ')) if $what eq 'begin';
	return $player->savepoint($name, 'p' . @savepoints) if $what eq 'savepoint';
	return $player->$what($name, one_of(@savepoints)) if $what =~ /^(rollback_to|release)$/;
	return $player->$what($name) if $what ne 'call';
	my $op = choose_call($shard, $name);
	return !$op || $player->call($name, $op);
}

# Ends what is open, one after the other: whoever waits is let go, and may then be ended too.
sub end_transactions
{
	my ($player) = @_;
	while (1)
	{
		my ($name) = grep { $player->in_transaction($_) } $player->idle;
		my ($prepared) = $player->prepared;
		my $is_explained =
		    $name ? ($player->is_failed($name) || rand() < 0.5 ? $player->roll_back($name) : $player->commit($name))
		  : $prepared ? $player->end_prepared($prepared, one_of('COMMIT', 'ROLLBACK'))
		  : return !$player->waiting;
		return 0 if !$is_explained;
	}
}

# Nothing is open: what is under way arrives, and is settled.
sub complete_transfers
{
	foreach my $transfer (@{ $history{transfers} })
	{
		my ($out, $in) = halves($transfer);
		my ($from, $to) = map { $history{player}{$_} } @{$transfer}{qw(from to)};
		next if !$out || $out->{settled};
		return 0 if !$in && !$to->call('s1', call_for('accept', $transfer, units => $out->{units}));
		return 0 if !$from->call('s1', call_for('settle', $transfer));
	}
	return 1;
}

# Redeems all that is left, where it is, or brings it to another shard first.
sub sell_out
{
	foreach my $quota (quotas())
	{
		my $to = one_of(@{ $history{shards} });
		foreach my $from (grep { $_ ne $to && rand() < 0.5 } @{ $history{shards} })
		{
			my $transfer = { id => sprintf('00000000-0000-0000-%04x-%012x', ++$history{last_transfer}, $history{seed}), quota => $quota, from => $from, to => $to };
			push @{ $history{transfers} }, $transfer;
			return 0 if !$history{player}{$from}->call('s1', call_for('release', $transfer, units => 1000));
		}
	}
	return 0 if !complete_transfers();
	foreach my $shard (@{ $history{shards} })
	{
		my $player = $history{player}{$shard};
		foreach my $coupon (grep { !/^m/ } sort keys %{ $player->model->{owners} })
		{
			my $status;
			do
			{
				my %op = (kind => 'redeem', coupon => $coupon, code => $history{name}{$coupon}, user => ++$history{user} * 10000000 + $history{seed} % 10000000);
				$op{amount} = 1 if any { $player->model->is_budget($_) } $player->model->quotas_over($coupon);
				return 0 if !$player->call('s1', \%op);
				$status = $player->{sessions}{s1}{result}{rows}[0][0];
			} while ($status eq 'redeemed');
		}
	}
	return 1;
}

# --- judging the tables -----------------------------------------------------------------------

# What is committed on a shard and is not what its model says.
sub differences_on
{
	my ($shard) = @_;
	my ($model, $observer) = (model($shard), $observer{$shard});
	my @found = map { "broken on $shard: @$_" } $observer->query('SELECT * FROM coupon_guard_verify()');
	my (@is, @expected);
	foreach my $owner (sort keys %{ $model->{owners} })
	{
		my ($table, $id) = $owner =~ /^m(.*)/ ? (campaign => $1) : (coupon => $owner);
		push @is, map { join '|', $owner, map { "'$_'" } @$_ } $observer->query("SELECT max_redemptions, rights, budget, budget_rights FROM $table WHERE id = $id");
		push @expected, join '|', $owner, map { "'" . ($_ // '') . "'" } @{ $model->{owners}{$owner} }{qw(cap rights budget budget_rights)};
	}
	my ($ids) = join ', ', grep { !/^m/ } sort keys %{ $model->{owners} };
	push @is, sort map { join '|', 'row', @$_ } $observer->query("SELECT id, coupon_id, amount, voided_at IS NOT NULL, hold_expires_at IS NOT NULL
		FROM coupon_redemption WHERE coupon_id IN ($ids)");
	push @expected, sort map { my $row = $model->{rows}{$_}; join '|', 'row', $_, $row->{coupon}, $row->{amount} // '', $row->{voided} ? 't' : 'f', defined $row->{hold} ? 't' : 'f' }
	  keys %{ $model->{rows} };
	push @is, sort map { join '|', 'transfer', @$_ } $observer->query("SELECT transfer_id, direction, concat(kind, ':', owner_id), units, peer, settled_at IS NOT NULL
		FROM coupon_transfer WHERE transfer_id::text LIKE '%" . sprintf('%012x', $history{seed}) . "'");
	push @expected, sort map { my $half = $model->{transfers}{$_}; join '|', 'transfer', $_, @{$half}{qw(direction quota units peer)}, $half->{settled} ? 't' : 'f' }
	  keys %{ $model->{transfers} };
	my (%is, %expected);
	$is{$_} = 1 foreach @is;
	$expected{$_} = 1 foreach @expected;
	push @found, map { "on $shard is, and should not be: $_" } grep { !$expected{$_} } @is;
	push @found, map { "on $shard should be: $_" } grep { !$is{$_} } @expected;
	return @found;
}

# Over all shards: nothing too many, nothing lost.
sub differences
{
	my ($is_over) = @_;
	my @found = map { differences_on($_) } @{ $history{shards} };
	foreach my $quota (quotas())
	{
		my $owner = CouponGuard::Shard::Model::owner_of($quota);
		my $limit = model($home)->{owners}{$owner}{ CouponGuard::Shard::Model::limit_column($quota) };
		my $rights = sum0(map { model($_)->granted('', $quota) } @{ $history{shards} });
		my $under_way = sum0(map { (halves($_))[0]{units} } grep { $_->{quota} eq $quota && is_under_way($_) } @{ $history{transfers} });
		my $used = sum0(map { model($_)->used('', $quota) } @{ $history{shards} });
		push @found, "$quota: $rights granted and $under_way under way of $limit" if $rights + $under_way != $limit;
		push @found, "$quota: $used used of $limit" if $used > $limit;
		push @found, "$quota: $under_way under way after all" if $is_over && $under_way;
		$history{sold_out}{$quota} = 1 if $used == $limit;
	}
	# Each coupon is sold out, or its campaign.
	foreach my $coupon ($is_over ? grep { !/^m/ } keys %{ model($home)->{owners} } : ())
	{
		my @quotas = model($home)->quotas_over($coupon);
		push @found, "coupon $coupon: neither it nor its campaign is sold out" if !is_sold_out_everywhere(@quotas);
	}
	return @found;
}

# On each shard one of these has nothing left.
sub is_sold_out_everywhere
{
	my (@quotas) = @_;
	foreach my $shard (@{ $history{shards} })
	{
		return 0 if !any { model($shard)->free('', $_) <= 0 } @quotas;
	}
	return 1;
}

my $is_explained = 1;
my $played = 0;
while ($is_explained && ($ENV{COUPON_GUARD_SOAK_SECONDS} ? time < $until : $played < $histories))
{
	my $seed = $first_seed + $played++;
	begin_history($seed);
	my @differences;
	foreach my $step (1 .. $steps)
	{
		$is_explained = play_step() or last;
		@differences = $step % 20 ? () : differences(0) and last;
	}
	$is_explained &&= !@differences;
	foreach my $shard (@{ $history{shards} })
	{
		$is_explained &&= end_transactions($history{player}{$shard});
	}
	$is_explained &&= complete_transfers() && sell_out();
	@differences = $is_explained ? differences(1) : @differences ? @differences : ('the last step is not what the model expects');
	next if !@differences;
	$is_explained = 0;
	fail("the history of seed $seed (from $first_seed)");
	diag(join "\n", @{ $history{steps} }, @differences);
}
ok($is_explained, "$played histories from seed $first_seed");
note(sprintf 'figures: seed %d, %d s, %d histories, %d steps', $first_seed, time - $began_at, $played, $tally{steps});
note("$_: $tally{$_}") foreach sort keys %tally;

$_->close foreach map { $observer{$_}, values %{ $sessions{$_} } } @shards;
$node->stop('immediate');
done_testing();
