# Random histories, played one step at a time by a few sessions, and a model that says of every step exactly what must come back: status,
# use number, amount, what is left of cap and budget, or that the call waits, and for whom. Afterwards the tables are what the model says
# they are.
#
# The sessions live through all histories: what a backend remembers of coupons (that one is sold out, say) must be right at every step.
#
# COUPON_GUARD_SEED repeats the histories from that one on; COUPON_GUARD_HISTORIES says how many, COUPON_GUARD_STEPS how long. The long form
# (COUPON_GUARD_SOAK_SECONDS) goes on for so long. COUPON_GUARD_WAITING lets more than one session wait at once (then a failure may be the
# model's).

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use CouponGuard::Model;
use CouponGuard::Player;
use CouponGuard::Session;
use List::Util qw(any first sum0);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $histories = $ENV{COUPON_GUARD_HISTORIES} // 40;
my $steps = $ENV{COUPON_GUARD_STEPS} // 150;
my $until = time + ($ENV{COUPON_GUARD_SOAK_SECONDS} || 0);
# In some hundreds of histories one is still beyond the model: the short form plays those that are known not to be, the long one any.
my $first_seed = $ENV{COUPON_GUARD_SEED} || ($ENV{COUPON_GUARD_SOAK_SECONDS} ? 1 + int(rand(1_000_000_000)) : 5000);
note("seed $first_seed");

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "max_prepared_transactions = 20\ndeadlock_timeout = '10ms'\nlog_lock_waits = on");
$node->start;
my $observer = CouponGuard::Session->new($node);
$observer->query('CREATE EXTENSION coupon_guard');
# Claims of several units and of several quotas, by a function that only tests declare; the rows that were made, as id:moment.
$observer->query(q(CREATE FUNCTION claim_units(text, text[], bigint[]) RETURNS bigint LANGUAGE C STRICT AS '$libdir/coupon_guard', 'coupon_guard_claim_units'));
$observer->query(q(CREATE FUNCTION claim(who text, codes text[], amounts bigint[], OUT what text, OUT made text) LANGUAGE plpgsql AS $$
	DECLARE short bigint := claim_units(who, codes, amounts);
	BEGIN
	  what := CASE WHEN short IS NULL THEN 'taken' ELSE 'short' END; -- of which, if of several, is open
	  made := (SELECT string_agg(format('%s:%s', id, (extract(epoch FROM redeemed_at) * 1000000)::bigint), ' ' ORDER BY id) FROM coupon_redemption WHERE user_id LIKE who || '-%');
	END $$));
my %sessions = map { $_ => CouponGuard::Session->new($node) } 's1' .. 's4';
my %tally;
my $most_budget = 12;

# --- choosing -------------------------------------------------------------------

sub one_of { return $_[ int(rand(@_)) ] }

# One of the names, each as likely as its weight.
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

# A history's coupons, users and request ids; what its generator remembers.
my %history;

# Caps and budgets: one of them, both or neither; the limit per user is one of those. Now and then there is room for units ahead.
sub choose_limits
{
	my (@limits) = @_;
	my ($cap, $budget) = @{ one_of([1], [1], [ 0, 1 ], [ 1, 1 ], [ 1, 1 ], [ 0, 0 ]) };
	my $room = rand() < 0.2 ? 6 : 1;
	return (cap => $cap ? $room + int(rand(5)) : undef, budget => $budget ? $room * (1 + int(rand($most_budget))) : undef, limit => one_of(@limits));
}

sub begin_history
{
	my ($seed) = @_;
	srand($seed);
	my (%owners, @campaigns);
	%history = (
		seed => $seed, users => [ 1 .. 3 + int(rand(4)) ], code => {}, campaigns => [], holder => {}, told => [], inserted => 0, claimer => 0,
		deadline => 978303600000000, request => 0);
	foreach my $place (1 .. int(rand(3)))
	{
		my %campaign = (choose_limits(undef, 1, 1, 2), active => 't');
		my $values = join ', ', map { $_ // 'NULL' } @campaign{qw(cap budget limit)};
		my ($row) = $observer->query("INSERT INTO campaign (name, max_redemptions, budget, max_per_user) VALUES ('M$place-$seed', $values) RETURNING id");
		$owners{"m$row->[0]"} = \%campaign;
		push @{ $history{campaigns} }, $row->[0];
	}
	foreach my $place (1 .. 3)
	{
		my %coupon = (choose_limits(1, 1, 2, 2, undef), holder => undef, active => 't', campaign => one_of(undef, @{ $history{campaigns} }, @{ $history{campaigns} }));
		my $code = ('', qw(A B C))[$place] . "-$seed";
		my $values = join ', ', map { $_ // 'NULL' } @coupon{qw(cap budget limit campaign)};
		my $stripes = 1 + int(rand(4));
		my ($row) = $observer->query("SET coupon_guard.quota_stripes = $stripes;
			INSERT INTO coupon (code, max_redemptions, budget, max_per_user, campaign_id) VALUES ('$code', $values) RETURNING id");
		$owners{ $row->[0] } = \%coupon;
		$history{code}{ $row->[0] } = $code;
		$history{holder}{ $row->[0] } = $place; # not another coupon's: of one campaign a user holds one at most
	}
	my $model = CouponGuard::Model->new(%owners);
	foreach my $quota (map { $model->quotas_of($_) } sort keys %owners)
	{
		$model->{set_up}{$quota} = 1 if ($model->granted('', $quota) // 0) > ($quota =~ /^[CB]/ ? 0 : $quota =~ /^c/ ? 1 : 99);
	}
	return CouponGuard::Player->new(node => $node, observer => $observer, sessions => \%sessions, model => $model, tally => \%tally);
}

sub choose_row
{
	my ($model, $kind) = @_;
	my @ids = $model->all_ids or return;
	my @live = grep { $model->{rows}{$_} && !$model->{rows}{$_}{voided} } @ids;
	@live = grep { $model->{rows}{$_}{hold} } @live if $kind eq 'expire';
	@live = grep { $model->{rows}{$_} && $model->{rows}{$_}{voided} } @ids if $kind eq 'revive';
	return @live && rand() < 0.8 ? one_of(@live) : one_of(@ids);
}

# What a row needs that plain SQL inserts, true if it can be had: its user a free use number, and a request id that was not used.
sub complete_row
{
	my ($player, $op) = @_;
	my $model = $player->model;
	$op->{campaign} = $model->{owners}{ $op->{coupon} }{campaign};
	my $limit = $model->{owners}{ $op->{coupon} }{limit} // 99;
	my $campaign_limit = defined $op->{campaign} ? $model->{owners}{"m$op->{campaign}"}{limit} // 99 : 1;
	($op->{use_no}) = grep { !$model->uses_with_number('', { %$op, use_no => $_ }) } 1 .. $limit or return 0;
	my ($number) = grep { !$model->uses_with_number('', { %$op, campaign_use_no => $_ }) } 1 .. $campaign_limit or return 0;
	$op->{campaign_use_no} = $number if defined $op->{campaign};
	delete $op->{request}
	  if $model->looks('', sub { $_[0]{user} eq $op->{user} && ($_[0]{request} // '') eq $op->{request} });
	($op->{row}) = map { $_->[0] } $observer->query(q(SELECT nextval('coupon_redemption_id_seq')));
	my $now = int(time);
	$op->{moment} = $now * 1000000 + $history{inserted}++; # no two at once
	$op->{hold} = one_of(undef, undef, $op->{deadline}, ($now + 3600) * 1000000);
	return 1;
}

# What an amount may be: where there is a budget one is nearly always given, and is often more than there is.
sub choose_amount
{
	my ($model, $coupon) = @_;
	my $campaign = $model->{owners}{$coupon}{campaign};
	my $has_budget = defined $model->{owners}{$coupon}{budget} || (defined $campaign && defined $model->{owners}{"m$campaign"}{budget});
	return rand() < ($has_budget ? 0.95 : 0.3) ? 1 + int(rand(rand() < 0.2 ? $most_budget : 6)) : undef;
}

# What a session calls next; undef if there is nothing to do it to.
sub choose_call
{
	my ($player, $name) = @_;
	my $model = $player->model;
	my $is_plain = $player->isolation($name) eq 'READ COMMITTED'; # of plain SQL only then does the newest state count
	my @coupons = sort { $a <=> $b } keys %{ $history{code} };
	my @owners = (@coupons, map { "m$_" } @{ $history{campaigns} });
	my @capped = grep { defined $model->{owners}{$_}{cap} } @owners;
	my @budgeted = grep { defined $model->{owners}{$_}{budget} } @owners;
	my $coupon = one_of(@coupons);
	my $owner = one_of(@owners);
	my ($told) = grep { $_->[0] eq $name } @{ $history{told} };
	my $kind = weighed(
		(any { !/^m/ } @capped) ? (claim => 10) : (),
		redeem => 24, retry => 10, hold => 14, confirm => 5, void => 13, check => 7,
		$told ? (again => 40) : (),
		$is_plain ? (delete => 4, strike => 3, revive => 4, insert => 4, expire => 9, resize => 4) : (),
		$is_plain && @capped ? (cap => 8) : (),
		$is_plain && @budgeted ? (budget => 8) : (),
		$is_plain ? (activate => $model->is_active($owner) ? 1 : 20, reopen => 0.5) : (),
		$is_plain ? (reserve => defined $model->{owners}{$coupon}{holder} ? 8 : 2) : (),
		$is_plain && @{ $history{campaigns} } ? (move => 6, limit => 2) : ());
	$coupon = $told->[1] if $kind eq 'again';
	my %op = (kind => $kind eq 'again' || $kind eq 'retry' ? 'redeem' : $kind);
	if ($op{kind} =~ /^(redeem|hold|check)$/)
	{
		@op{ 'user', 'coupon', 'code' } = (one_of(@{ $history{users} }), $coupon, $history{code}{$coupon});
		$op{seconds} = rand() < 0.4 && $player->may_pass_deadlines ? 0.1 : 3600;
		# The same coupon, typed in another way.
		$op{code} = lc " $op{code}" if rand() < 0.1;
		$op{request} = "r$history{seed}-" . int(rand(4)) if $kind eq 'retry' || ($kind eq 'hold' && rand() < 0.5);
		$op{amount} = choose_amount($model, $coupon);
		$op{up_to} = 1 if $op{kind} eq 'redeem' && defined $op{amount} && rand() < 0.4;
	}
	elsif ($kind eq 'claim')
	{
		my @of = grep { !/^m/ } @capped;
		splice @of, int(rand(@of)), 1 while @of > 1 && rand() < 0.6;
		# An expired hold that was ended for the first quota stays ended when the second turns out to have too few: the model decides anew.
		my %earlier = map { $_ => 1 } @of[ 0 .. $#of - 1 ];
		return if $model->looks('', sub { $earlier{ $_[0]{coupon} } && !$_[0]{voided} && defined $_[0]{hold} && $_[0]{hold} <= (time + 2) * 1000000 });
		$op{user} = "c$history{seed}." . $history{claimer}++; # each of its own
		$op{claims} = [ map { [ $_, 1 + int(rand(4)), $history{code}{$_} ] } @of ];
	}
	elsif ($kind eq 'reopen')
	{
		$op{coupons} = \@coupons;
	}
	elsif ($kind eq 'insert')
	{
		@op{ 'user', 'coupon' } = (one_of(@{ $history{users} }), $coupon);
		$op{request} = "r$history{seed}-" . int(rand(4));
		$op{deadline} = $history{deadline} += 1000000;
		$op{amount} = choose_amount($model, $coupon);
		return if !complete_row($player, \%op);
	}
	elsif ($op{kind} =~ /^(cap|budget|activate|reserve|move|limit)$/)
	{
		my %owner = (cap => one_of(@capped), budget => one_of(@budgeted), activate => $owner, limit => "m" . (one_of(@{ $history{campaigns} }) // ''));
		$op{owner} = $owner{$kind} // $coupon;
		$op{cap} = 1 + int(rand(5));
		$op{budget} = 1 + int(rand($most_budget));
		$op{holder} = defined $model->{owners}{$coupon}{holder} ? undef : $history{holder}{$coupon};
		$op{active} = $model->is_active($owner) ? 'f' : 't';
		$op{campaign} = one_of(undef, @{ $history{campaigns} });
		$op{limit} = one_of(undef, 1, 1, 2, 3);
	}
	else
	{
		$op{row} = choose_row($model, $kind) or return;
		$op{deadline} = $history{deadline} += int(rand(2)) ? 1000000 : -7000000;
		$op{amount} = 1 + int(rand(6)) if $kind eq 'resize' || ($kind =~ /^(confirm|void)$/ && rand() < 0.5);
	}
	return \%op;
}

# Whoever was told that there is too little will ask again and again, while others bring units back or do not.
sub remember_told
{
	my ($player) = @_;
	foreach my $name (sort keys %sessions)
	{
		my $op = delete $player->{player}{$name}{answered} or next;
		next if $op->{kind} !~ /^(redeem|hold)$/;
		my $status = $sessions{$name}{result}{rows}[0][0] // '';
		my @others = grep { $_->[0] ne $name || $_->[1] != $op->{coupon} } @{ $history{told} };
		$tally{"told no, then $status"}++ if @others < @{ $history{told} };
		$history{told} = \@others;
		unshift @{ $history{told} }, [ $name, $op->{coupon} ] if $status =~ /^(sold_out|insufficient)$/;
	}
	return;
}

# Plays one step; false if the model does not explain what came.
sub play_step
{
	my ($player) = @_;
	my @idle = $player->idle;
	my @waiting = $player->waiting;
	my @prepared = $player->prepared;
	my $is_any_open = @waiting || @prepared || grep { $player->in_transaction($_) } @idle;
	my $who = weighed(
		@idle ? (session => 40) : (),
		@waiting ? (cancel => 0.6, terminate => 0.3) : (terminate => 0.1),
		@prepared ? (prepared => 5) : (),
		$is_any_open ? () : (switch => $player->model->{counting} ? 4 : 2),
		forget => $player->model->{counting} ? 0 : 0.3);
	return $player->switch_triggers if $who eq 'switch';
	return $player->cancel(one_of(@waiting)) if $who eq 'cancel';
	return $player->terminate(one_of(@waiting ? @waiting : @idle)) if $who eq 'terminate';
	return $player->end_prepared(one_of(@prepared), one_of('COMMIT', 'ROLLBACK')) if $who eq 'prepared';
	if ($who eq 'forget')
	{
		my $owner = first { $player->is_quiet($_) } sort { rand() <=> 0.5 } sort keys %{ $player->model->{owners} };
		return $owner ? $player->forget_quotas($owner) : 1;
	}

	my $name = one_of(@idle);
	my @savepoints = $player->in_transaction($name) ? $player->savepoints($name) : ();
	if ($player->is_failed($name))
	{
		return @savepoints && rand() < 0.7 ? $player->rollback_to($name, one_of(@savepoints)) : $player->roll_back($name);
	}
	my $has_done = $player->in_transaction($name) ? @{ $player->model->{open}{$name}{log} } : 0;
	my $what =
	    !$player->in_transaction($name) ? weighed(call => 60, begin => 40)
	  : $has_done > 6 ? weighed(commit => 50, roll_back => 30, prepare => 10, @savepoints ? (rollback_to => 10) : ())
	  : weighed(
		call => 60, commit => 12, roll_back => 8, prepare => @prepared > 3 ? 0 : 4, terminate => 0.5,
		@savepoints < 3 ? (savepoint => 6) : (),
		@savepoints ? (rollback_to => 8, release => 2) : ());
	return $player->begin($name, one_of('READ COMMITTED', 'REPEATABLE READ')) if $what eq 'begin';
	return $player->savepoint($name, 'p' . @savepoints) if $what eq 'savepoint';
	return $player->$what($name, one_of(@savepoints)) if $what =~ /^(rollback_to|release)$/;
	return $player->$what($name) if $what ne 'call';
	my $op = choose_call($player, $name);
	return 1 if !$op || $player->is_unwanted($name, $op);
	return $player->call($name, $op);
}

# Ends what is open, one after the other: whoever waits is let go, and may then be ended too.
sub end_history
{
	my ($player) = @_;
	while (1)
	{
		my ($name) = grep { $player->in_transaction($_) } $player->idle;
		my ($prepared) = $player->prepared;
		my $is_explained =
		    $name ? ($player->is_failed($name) || rand() < 0.5 ? $player->roll_back($name) : $player->commit($name))
		  : $prepared ? $player->end_prepared($prepared, one_of('COMMIT', 'ROLLBACK'))
		  : $player->model->{counting} ? $player->switch_triggers
		  : return !$player->waiting;
		return 0 if !$is_explained;
	}
}

# --- judging the tables ---------------------------------------------------------------

sub differences
{
	my ($model) = @_;
	my $ids = join ', ', sort keys %{ $history{code} };
	# A campaign's limit per user is lowered below what is used, too: whether anybody was let beyond it is told by the rows and the answers.
	my @found = map { "broken: @$_" } $observer->query("SELECT * FROM coupon_guard_verify() WHERE invariant <> 'campaign limit per user'");
	my @columns = qw(coupon user use_no hold voided lapsed reason request amount campaign campaign_use_no);
	my %rows = map { $_->[0] => join '|', @$_ } $observer->query("SELECT id, coupon_id, user_id, use_no,
		(extract(epoch FROM hold_expires_at) * 1000000)::bigint, CASE WHEN voided_at IS NOT NULL THEN 1 END,
		CASE WHEN voided_at >= hold_expires_at THEN 1 END, void_reason, request_id, amount,
		campaign_id, campaign_use_no FROM coupon_redemption WHERE coupon_id IN ($ids)");
	my %expected;
	while (my ($id, $row) = each %{ $model->{rows} })
	{
		$expected{$id} = join '|', $id, map { $row->{$_} // '' } @columns;
	}
	foreach my $id (sort { $a <=> $b } keys %{ { %rows, %expected } })
	{
		my ($is, $should) = ($rows{$id} // 'missing', $expected{$id} // 'missing');
		push @found, "row $id: expected $should; is $is" if $is ne $should;
	}
	my $left = q((SELECT sum(remaining) FROM coupon_quota WHERE owner_id = id AND kind = '%s' AND generation = coupon_guard_generation()));
	my %offers = (coupon => [ join(', ', keys %{ $history{code} }), 'id::text, holder, campaign_id', 'c', 'b' ], campaign => [ join(', ', @{ $history{campaigns} }), "'m' || id, NULL, NULL", 'C', 'B' ]);
	foreach my $table (sort grep { $offers{$_}[0] } keys %offers)
	{
		my ($in, $columns, @kinds) = @{ $offers{$table} };
		my $left_of = join ', ', map { sprintf $left, $_ } @kinds;
		foreach my $row ($observer->query("SELECT $columns, max_redemptions, budget, max_per_user, active, $left_of FROM $table WHERE id IN ($in)"))
		{
			my $offer = $model->{owners}{ $row->[0] };
			my @left = map { $model->{set_up}{$_} ? $offer->{ $model->is_budget($_) ? 'budget' : 'cap' } - $model->used('', $_) : undef } $model->quotas_of($row->[0]);
			my $should = join '|', map { $_ // '' } $row->[0], @{$offer}{qw(holder campaign cap budget limit active)}, @left;
			my $is = join '|', @$row;
			push @found, "$table: expected $should; is $is" if $is ne $should;
		}
	}
	return @found;
}

# The tables as they are, for whoever looks for the reason.
sub tables
{
	my $ids = join ', ', sort keys %{ $history{code} };
	return map { $observer->query("SELECT '$_->[0]', ctid, xmin, xmax, row_to_json(t) FROM $_->[0] t WHERE $_->[1] IN ($ids) ORDER BY ctid") }
	  [ 'coupon', 'id' ], [ 'coupon_quota', 'owner_id' ], [ 'coupon_redemption', 'coupon_id' ];
}

my $is_explained = 1;
my $played = 0;
while ($is_explained && ($ENV{COUPON_GUARD_SOAK_SECONDS} ? time < $until : $played < $histories))
{
	my $seed = $first_seed + $played++;
	my $player = begin_history($seed);
	foreach my $step (1 .. $steps)
	{
		$is_explained = play_step($player) or last;
		remember_told($player);
	}
	$is_explained &&= end_history($player);
	# One of the models that explain the answers must explain the tables too.
	my @found = map { [ differences($_) ] } @{ $player->{models} };
	my ($least) = sort { @$a <=> @$b } @found;
	my @differences = $is_explained ? @$least : ('the last step is not what the model expects');
	next if !@differences;
	$is_explained = 0;
	fail("the history of seed $seed (from $first_seed)");
	diag(join "\n", @{ $player->{steps} }, @differences, map { join ' ', @$_ } tables());
	last;
}
ok($is_explained, "$played histories from seed $first_seed");
note("figures: seed $first_seed, $played histories, $tally{steps} steps");
note("$_: $tally{$_}") foreach sort keys %tally;

$_->close foreach $observer, values %sessions;
$node->stop('immediate');
done_testing();
