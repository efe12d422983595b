# Plays histories through two routers over 2 to 4 shards, one step at a time. What the calls answered is judged in RoutedJudge.pm.

package CouponGuard::Shard::Routed;

use strict;
use warnings;

use parent 'CouponGuard::Shard::RoutedJudge';

use CouponGuard::Session;
use List::Util qw(any none sum0);
use Time::HiRes qw(sleep time);

my $users_known = 4000;
my %places = (1 => 'units leave', 2 => 'units come', 3 => 'a transfer is settled', 4 => 'a redemption is written', 5 => 'a shard says what it has');

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

# The cluster of 4 shards (Shards.pm) with two routers: router and router2.
sub new
{
	my ($class, $cluster, $node) = @_;
	my $self = bless { cluster => $cluster, node => $node, tally => {}, steps => [], session => {}, remotes => {} }, $class;
	$self->{observer} = [ map { $cluster->shard($_) } 0 .. 3 ];
	$self->{watcher} = CouponGuard::Session->new($node);
	foreach my $shard (0 .. 3)
	{
		my $observer = $self->{observer}[$shard];
		$observer->query(q(CREATE FUNCTION stand_still() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			PERFORM pg_advisory_xact_lock_shared(81, CASE WHEN TG_TABLE_NAME <> 'coupon_transfer' THEN 4 WHEN TG_OP = 'UPDATE' THEN 3
			  WHEN to_jsonb(NEW)->>'direction' = 'o' THEN 1 ELSE 2 END);
			RETURN NULL; END $$));
		$observer->query('CREATE TRIGGER stand_still AFTER INSERT OR UPDATE ON coupon_transfer FOR EACH ROW EXECUTE FUNCTION stand_still()');
		# With a trigger rows go through the executor: both ways are played.
		$observer->query('CREATE TRIGGER stand_still AFTER INSERT ON coupon_redemption FOR EACH ROW EXECUTE FUNCTION stand_still()') if $shard % 2;
		# What it says is of a moment of its own: units move between what one shard says and another.
		my ($columns) = map { $_->[0] } $observer->query("SELECT pg_get_function_result('coupon_shard_units(text, \"char\")'::regprocedure)");
		$observer->query('ALTER FUNCTION coupon_shard_units(text, "char") RENAME TO coupon_shard_units_now');
		$observer->query(qq(CREATE FUNCTION coupon_shard_units(name text, kind "char") RETURNS $columns LANGUAGE plpgsql AS \$\$ BEGIN
			PERFORM pg_advisory_xact_lock_shared(81, 5);
			RETURN QUERY SELECT * FROM public.coupon_shard_units_now(\$1, \$2);
			END \$\$));
	}
	foreach my $router ('router', 'router2')
	{
		$cluster->router($router)->query(q(CREATE FUNCTION remotes() RETURNS SETOF int LANGUAGE plproxy AS $$ CLUSTER 'coupon_guard'; RUN ON ALL; SELECT pg_backend_pid(); $$));
	}
	$self->{users} = [ $self->{watcher}->query("SELECT n, hashtext(n::text) & 3 FROM generate_series(1, $users_known) AS n") ];
	$self->connect_to($_) foreach map { my $router = $_; map { "$router.$_" } 1 .. 3 } 'router', 'router2';
	$self->connect_to("s$_") foreach 0 .. 3;
	return $self;
}

# A session by its name: of a router, router.1, or on a shard, s0.
sub connect_to
{
	my ($self, $name) = @_;
	my ($database) = $name =~ /^(\w+)/;
	$self->{session}{$name} = CouponGuard::Session->new($self->{node}, $database);
	return;
}

sub router_sessions { my ($self) = @_; return sort grep { /^router/ } keys %{ $self->{session} } }
sub shards { my ($self) = @_; return @{ $self->{shards} } }

# --- a history --------------------------------------------------------------------------------------

sub begin_history
{
	my ($self, $seed) = @_;
	srand($seed);
	my $number = 2 + int(rand(3));
	my @shard_of = $number == 3 ? (0, 1, 2, one_of(0 .. 2)) : (0 .. $number - 1);
	@{$self}{qw(seed shards shard_of steps calls open places faults requests acknowledged void_of user)} =
	  ($seed, [ 0 .. $number - 1 ], \@shard_of, [], {}, {}, {}, [], {}, {}, {}, 0);
	my $node = $self->{node};
	$_->query('TRUNCATE coupon_redemption, coupon, campaign, coupon_transfer') foreach @{ $self->{observer} };
	foreach my $router ('router', 'router2')
	{
		my $session = $self->{session}{"$router.1"};
		my @had = map { $_->[0] } $session->query("SELECT option_name FROM pg_foreign_server, pg_options_to_table(srvoptions) WHERE srvname = 'coupon_guard'");
		my @options = map { my $place = "p$_"; (any { $_ eq $place } @had) ? "SET $place" : "ADD $place" } 0 .. $#shard_of;
		my @connections = map { "'dbname=s$_ host=" . $node->host . ' port=' . $node->port . "'" } @shard_of;
		my @dropped = map { "DROP $_" } grep { substr($_, 1) > $#shard_of } @had;
		$session->query('ALTER SERVER coupon_guard OPTIONS (' . join(', ', @dropped, map { "$options[$_] $connections[$_]" } 0 .. $#shard_of) . ')');
	}
	$self->learn_remotes($_) foreach $self->router_sessions;
	$self->make_coupons;
	$self->{taken_before} = {};
	$self->sample;
	return;
}

# Each on all shards, or so far only where it was made.
sub make_coupons
{
	my ($self) = @_;
	my $session = $self->{session}{'router.1'};
	my $choose = sub { my ($cap, $budget) = @{ one_of(@_) }; return (max_redemptions => $cap ? 1 + int(rand(8)) : undef, budget => $budget ? 1 + int(rand(16)) : undef) };
	my $json = sub { my (%columns) = @_; return '{' . join(', ', map { qq("$_": ) . ($columns{$_} // 'null') } sort grep { defined $columns{$_} || $_ eq 'max_per_user' } keys %columns) . '}' };
	%{ $self->{coupons} } = ();
	my $campaign = rand() < 0.35 ? 'Summer' : undef;
	if ($campaign)
	{
		my %limits = $choose->([ 1, 0 ], [ 0, 1 ], [ 1, 1 ]);
		$session->query("SELECT put_campaign('" . $json->(name => '"Summer"', %limits) . "')");
	}
	foreach my $code ('ONE', rand() < 0.5 ? 'TWO' : ())
	{
		my %limits = $choose->([ 1, 0 ], [ 1, 0 ], [ 0, 1 ], [ 1, 1 ]);
		my $of = rand() < 0.7 ? $campaign : undef;
		my %coupon = (code => $code, home => 0, campaign => $of);
		if (!$of && rand() < 0.3)
		{
			my @values = map { $_ // 'NULL' } @limits{qw(max_redemptions budget)};
			$coupon{home} = one_of($self->shards);
			$self->{observer}[ $coupon{home} ]->query("INSERT INTO coupon (code, max_redemptions, rights, budget, budget_rights) VALUES ('$code', $values[0], $values[0], $values[1], $values[1])");
		}
		else
		{
			$session->query("SELECT put_coupon('" . $json->(code => qq("$code"), %limits, $of ? (campaign => qq("$of")) : ()) . "')");
		}
		my ($row) = $self->{observer}[ $coupon{home} ]->query("SELECT id, campaign_id, max_redemptions, budget FROM coupon WHERE code = '$code'");
		@coupon{qw(id campaign_id)} = @{$row}[ 0, 1 ];
		$coupon{has_budget} = $row->[3] ne '';
		push @{ $self->{steps} }, "# $code: cap $row->[2], budget $row->[3]" . ($of ? ', of the campaign' : '') . ", home s$coupon{home}";
		$self->{coupons}{$code} = \%coupon;
	}
	if ($campaign)
	{
		my ($row) = $self->{observer}[0]->query("SELECT id, max_redemptions, budget FROM campaign");
		push @{ $self->{steps} }, "# the campaign: cap $row->[1], budget $row->[2]";
		$_->{has_budget} ||= $_->{campaign} && $row->[2] ne '' foreach values %{ $self->{coupons} };
	}
	return;
}

# --- steps ------------------------------------------------------------------------------------------------------

sub new_user
{
	my ($self, $at) = @_;
	my $mask = @{ $self->{shard_of} } - 1;
	while (1)
	{
		my ($user, $hash) = @{ $self->{users}[ $self->{user}++ % $users_known ] };
		return ($user, $self->{shard_of}[ $hash & $mask ]) if !defined $at || $self->{shard_of}[ $hash & $mask ] == $at;
	}
}

sub start_call
{
	my ($self, $name, $sql, %call) = @_;
	$self->{calls}{$name} = { sql => $sql, least => { %{ $self->{could} } }, %call };
	$self->{session}{$name}->start($sql);
	return $self->end_step("$name: $sql");
}

sub redeem_sql
{
	my ($call) = @_;
	my $amount = defined $call->{amount} ? ", amount => $call->{amount}" : '';
	return "SELECT status, redemption_id, amount, limited_by FROM "
	  . ($call->{kind} eq 'hold' ? "hold_coupon($call->{user}, '$call->{coupon}{code}', '1 hour', request_id => '$call->{request}'" : "redeem_coupon($call->{user}, '$call->{coupon}{code}', request_id => '$call->{request}'") . "$amount)";
}

sub play_call
{
	my ($self, $name) = @_;
	my $coupon = $self->{coupons}{ one_of(sort keys %{ $self->{coupons} }) };
	my @live = map { $self->{live}{$_} } sort { $a <=> $b } keys %{ $self->{live} };
	my @again = grep { my $request = $_; none { ($_->{request} // '') eq $request } values %{ $self->{calls} } } sort keys %{ $self->{requests} };
	my $kind = weighed(
		redeem => 36, hold => 8, gather => 10, verify => 2, @live ? (void => 12, confirm => 3) : (), @again ? (again => 8) : (),
		rebalance => 4, sync => 1,
		(any { $_->{kind} eq 'put' } values %{ $self->{calls} }) ? () : (put => 6));
	if ($kind eq 'again')
	{
		my %call = (%{ $self->{requests}{ one_of(@again) } }, is_again => 1);
		return $self->start_call($name, redeem_sql(\%call), %call);
	}
	if ($kind =~ /^(redeem|hold|gather)$/)
	{
		my ($user, $own) = $self->new_user(rand() < 0.5 ? one_of($self->shards) : undef);
		my %call = (kind => $kind, own => $own, coupon => $coupon, user => $user, amount => $coupon->{has_budget} ? 1 + int(rand(rand() < 0.2 ? 12 : 4)) : undef);
		if ($kind eq 'gather')
		{
			$call{amount} //= 1;
			return $self->start_call($name, "SELECT gather_units($user, '$coupon->{code}', $call{amount})", %call);
		}
		$call{request} = 'r' . keys %{ $self->{requests} };
		$self->{requests}{ $call{request} } = \%call;
		return $self->start_call($name, redeem_sql(\%call), %call);
	}
	if ($kind =~ /^(void|confirm)$/)
	{
		my $row = one_of(@live);
		$self->{void_of}{ $row->{id} } = 1 if $kind eq 'void';
		return $self->start_call($name, $kind eq 'void' ? "SELECT void_redemption($row->{user}, $row->{id})" : "SELECT status FROM confirm_hold($row->{user}, $row->{id})", kind => $kind, row => $row->{id});
	}
	if ($kind eq 'put')
	{
		my $quota = one_of(grep { /^[cb]/ } $self->quotas_over($coupon));
		my $by = one_of(-3 .. -1, 1 .. 3);
		$by = 1 if $self->{limit}{$quota} + $by < 1;
		my $column = $quota =~ /^c/ ? 'max_redemptions' : 'budget';
		return $self->start_call($name, qq(SELECT shard, is_done, message FROM put_coupon('{"code": "$coupon->{code}", "$column": @{[ $self->{limit}{$quota} + $by ]}}')),
			kind => 'put', quota => $quota, by => $by, coupon => $coupon);
	}
	return $self->start_call($name, "SELECT * FROM $kind()", kind => $kind);
}

# A transaction on a shard that stays open for a while.
sub play_direct
{
	my ($self, $name) = @_;
	my $session = $self->{session}{$name};
	my ($shard) = $name =~ /(\d)/;
	if ($self->{open}{$name})
	{
		my $how = $session->{is_aborted} ? 'ROLLBACK' : one_of('COMMIT', 'ROLLBACK');
		# What it has voided is no longer to come back, if it comes: the sample says.
		$session->query($how);
		delete $self->{open}{$name};
		return $self->end_step("$name: $how");
	}
	$session->query('BEGIN');
	$self->{open}{$name} = { voided => [] };
	my @live = grep { $_->{shard} == $shard } map { $self->{live}{$_} } sort { $a <=> $b } keys %{ $self->{live} };
	if (@live && rand() < 0.4)
	{
		my $row = one_of(@live);
		return $self->start_call($name, "SELECT void_redemption($row->{id})", kind => 'void directly', row => $row->{id});
	}
	my ($user) = $self->new_user($shard);
	my $coupon = $self->{coupons}{ one_of(sort keys %{ $self->{coupons} }) };
	my $amount = $coupon->{has_budget} ? ', amount => ' . (1 + int(rand(3))) : '';
	return $self->start_call($name, "SELECT status FROM redeem_coupon($user, '$coupon->{code}'$amount)", kind => 'redeem directly');
}

# Whoever comes to this place stands still, or goes on.
sub play_place
{
	my ($self) = @_;
	my ($shard, $place) = (one_of($self->shards), one_of(1, 1, 2, 2, 2, 3, 4, 5, 5, 5));
	my $is_held = delete $self->{places}{"$shard $place"};
	my $observer = $self->{observer}[$shard];
	if ($is_held)
	{
		$observer->query("SELECT pg_advisory_unlock(81, $place)");
		return $self->end_step("s$shard: whoever stands where $places{$place} goes on");
	}
	my ($row) = $observer->query("SELECT pg_try_advisory_lock(81, $place)");
	$self->{places}{"$shard $place"} = 1 if $row->[0] eq 't';
	return $self->end_step("s$shard: nobody passes where $places{$place}");
}

# A router's session that is busy, or a shard's that is asked by one, is cancelled or ends.
sub play_hit
{
	my ($self, @busy) = @_;
	my $name = one_of(@busy);
	my @remotes = grep { ($self->{remotes}{ $_->[0] } // '') eq $name } $self->active;
	my $pid = @remotes && rand() < 0.5 ? one_of(@remotes)->[0] : $self->{session}{$name}{pid};
	my $how = $pid == $self->{session}{$name}{pid} ? one_of('pg_cancel_backend', 'pg_terminate_backend', 'pg_terminate_backend') : 'pg_terminate_backend';
	# Whatever connection is lost, the next call may find it so.
	$_->{is_hit} = 1 foreach $how eq 'pg_cancel_backend' || $pid == $self->{session}{$name}{pid} ? $self->{calls}{$name} : values %{ $self->{calls} };
	$self->{calls}{$name}{is_ended} = 1 if $how eq 'pg_terminate_backend' && $pid == $self->{session}{$name}{pid};
	$self->{watcher}->query("SELECT $how($pid)");
	$self->{tally}{ $how . ($pid == $self->{session}{$name}{pid} ? ' of a router' : ' of a shard') }++;
	return $self->end_step("$how of $name" . ($pid == $self->{session}{$name}{pid} ? '' : "'s session on a shard"));
}

sub play_step
{
	my ($self) = @_;
	my @idle = grep { !$self->{calls}{$_} } $self->router_sessions;
	my @busy = grep { $self->{calls}{$_} } $self->router_sessions;
	my @direct = grep { !$self->{calls}{$_} } map { "s$_" } $self->shards;
	my @expirable = sort { $a <=> $b } keys %{ $self->{live} };
	my $what = weighed(@idle ? (call => 50) : (), @direct ? (direct => 18) : (), place => 16, @busy ? (hit => 4 + @busy) : (), expire => 2);
	return $self->play_call(one_of(@idle)) if $what eq 'call';
	return $self->play_direct(one_of(@direct)) if $what eq 'direct';
	return $self->play_place if $what eq 'place';
	return $self->play_hit(@busy) if $what eq 'hit';
	my $shard = one_of($self->shards);
	$self->{observer}[$shard]->query(q(UPDATE coupon_redemption SET hold_expires_at = '2001-01-01' WHERE id = (SELECT id FROM coupon_redemption
		WHERE voided_at IS NULL AND hold_expires_at > now() ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)));
	return $self->end_step("s$shard: a hold expires");
}

# --- the end ----------------------------------------------------------------------------------------------------

# Nobody stands still any more, and transactions on shards end: then every call comes to its end.
sub let_all_end
{
	my ($self) = @_;
	foreach my $held (sort keys %{ $self->{places} })
	{
		my ($shard, $place) = split / /, $held;
		delete $self->{places}{$held};
		$self->{observer}[$shard]->query("SELECT pg_advisory_unlock(81, $place)");
		$self->end_step("s$shard: whoever stands where $places{$place} goes on") or return 0;
	}
	while (my ($name) = grep { !$self->{calls}{$_} } sort keys %{ $self->{open} })
	{
		$self->play_direct($name) or return 0;
	}
	# Where a router was just between two calls that was no end.
	my $until = time + 30;
	while (%{ $self->{calls} } && time < $until)
	{
		sleep 0.05;
		$self->end_step('all goes on') or return 0;
	}
	push @{ $self->{faults} }, 'this does not end: ' . join '; ', map({ "$_: $self->{calls}{$_}{sql}" } sort keys %{ $self->{calls} }), $self->waits_in_words if %{ $self->{calls} };
	return !%{ $self->{calls} };
}

# Users of all shards buy until none is left of each coupon: so much, and no more.
sub sell_out
{
	my ($self) = @_;
	foreach my $coupon (map { $self->{coupons}{$_} } sort keys %{ $self->{coupons} })
	{
		my $status = '';
		foreach my $buyer (1 .. 100)
		{
			my $name = one_of('router.1', 'router2.2');
			my ($user) = $self->new_user(one_of($self->shards));
			my %call = (kind => 'redeem', coupon => $coupon, user => $user, amount => $coupon->{has_budget} ? 1 : undef, request => 'r' . keys %{ $self->{requests} });
			$self->{requests}{ $call{request} } = \%call;
			$self->start_call($name, redeem_sql(\%call), %call) or return 0;
			$status = $self->{session}{$name}{result}{rows}[0][0];
			last if $status ne 'redeemed';
		}
		my @quotas = $self->quotas_over($coupon);
		push @{ $self->{faults} }, "$coupon->{code} ends with $status, and there are " . join ', ', map { "$_: $self->{could}{$_}" } @quotas
		  if $status ne 'sold_out' || none { $self->{could}{$_} == 0 } @quotas;
	}
	return !@{ $self->{faults} };
}

# Findings; none if all is as it must be.
sub play
{
	my ($self, $seed, $steps) = @_;
	$self->begin_history($seed);
	my $has_ended = 1;
	foreach (1 .. $steps)
	{
		$self->play_step or return @{ $self->{faults} };
	}
	$self->let_all_end or return @{ $self->{faults} };
	my @found = $self->check_tables(0);
	return @found if @found;
	# What was broken off is mended by the next that is called every now and then.
	$self->start_call('router.2', 'SELECT * FROM rebalance()', kind => 'rebalance') or return @{ $self->{faults} };
	$self->start_call('router2.1', 'SELECT * FROM verify()', kind => 'verify') or return @{ $self->{faults} };
	@found = ($self->check_tables(1), $self->check_acknowledged);
	return @found if @found;
	$self->sell_out or return @{ $self->{faults} };
	$self->start_call('router.3', 'SELECT * FROM verify()', kind => 'verify');
	return (@{ $self->{faults} }, $self->check_tables(1));
}

1;
