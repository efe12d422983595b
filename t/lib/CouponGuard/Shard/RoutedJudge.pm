# What has come of a step of a history through routers (Routed.pm), and whether that may be.
#
# What there could be of a limit, after a step: the limit less the redemptions that are committed and live, wherever they are, and more what open
# transactions have voided. Units that move are in it all along. The least that there could have been during a call is what a refusal is judged by.

package CouponGuard::Shard::RoutedJudge;

use strict;
use warnings;

use List::Util qw(any min none sum0);
use Time::HiRes qw(sleep time);

# --- what is, after a step -------------------------------------------------------------------------------

# Limits, as the home has them; live redemptions of all shards; what there could be, at least, since the last sample.
sub sample
{
	my ($self) = @_;
	my $limit = $self->{limit} = {};
	my %live;
	foreach my $shard ($self->shards)
	{
		foreach my $row ($self->{observer}[$shard]->query("SELECT id, coupon_id, campaign_id, amount, user_id FROM coupon_redemption
			WHERE voided_at IS NULL AND (hold_expires_at IS NULL OR hold_expires_at > now())"))
		{
			$live{ $row->[0] } = { shard => $shard, map { $_->[0] => $row->[ $_->[1] ] } [ id => 0 ], [ coupon => 1 ], [ campaign => 2 ], [ amount => 3 ], [ user => 4 ] };
		}
	}
	foreach my $coupon (values %{ $self->{coupons} })
	{
		my ($row) = $self->{observer}[ $coupon->{home} ]->query("SELECT max_redemptions, budget FROM coupon WHERE id = $coupon->{id}");
		@{$limit}{ "c:$coupon->{id}", "b:$coupon->{id}" } = map { $_ eq '' ? undef : $_ } @$row;
		next if !$coupon->{campaign};
		($row) = $self->{observer}[0]->query("SELECT max_redemptions, budget FROM campaign WHERE id = $coupon->{campaign_id}");
		@{$limit}{ "C:$coupon->{campaign_id}", "B:$coupon->{campaign_id}" } = map { $_ eq '' ? undef : $_ } @$row;
	}
	my %before = %{ $self->{live} // {} };
	my @new = map { $live{$_} } grep { !$before{$_} } keys %live;
	$self->{live} = \%live;
	my %voided = map { $_ => 1 } map { @{ $_->{voided} } } values %{ $self->{open} };
	my (%could, %least);
	foreach my $quota (grep { defined $limit->{$_} } keys %$limit)
	{
		my $used = sum0(map { share($_, $quota) } values %live);
		push @{ $self->{faults} }, "of $quota $used are redeemed, and the limit is $limit->{$quota}" if $used > $limit->{$quota};
		my $returning = sum0(map { share($_, $quota) } grep { $voided{ $_->{id} } } values %live);
		$could{$quota} = $limit->{$quota} - $used + $returning;
		# As if whatever was taken in this step had been taken before anything came back.
		$least{$quota} = min($could{$quota}, ($self->{could}{$quota} // $could{$quota}) - sum0(map { share($_, $quota) } @new));
	}
	$self->{could} = \%could;
	foreach my $call (values %{ $self->{calls} })
	{
		$call->{beside_own} ||= defined $call->{own} && $self->{open}{"s$call->{own}"} && @{ $self->{open}{"s$call->{own}"}{voided} };
		$call->{least}{$_} = min($call->{least}{$_} // $least{$_}, $least{$_}) foreach keys %least;
	}
	return;
}

sub share
{
	my ($row, $quota) = @_;
	my ($kind, $id) = split /:/, $quota;
	return 0 if ($kind =~ /[CB]/ ? $row->{campaign} : $row->{coupon}) ne $id;
	return $kind =~ /[Cc]/ ? 1 : $row->{amount} || 0;
}

# All limits over a coupon, as kind:id.
sub quotas_over
{
	my ($self, $coupon) = @_;
	my @all = (($coupon->{campaign} ? map { "$_:$coupon->{campaign_id}" } qw(C B) : ()), map { "$_:$coupon->{id}" } qw(c b));
	return grep { defined $self->{limit}{$_} } @all;
}

# --- what is going on --------------------------------------------------------------------------------------

# The shards' backends that a router's session asks.
sub learn_remotes
{
	my ($self, $name) = @_;
	my $session = $self->{session}{$name};
	delete @{ $self->{remotes} }{ grep { $self->{remotes}{$_} eq $name } keys %{ $self->{remotes} } };
	foreach my $try (1 .. 3)
	{
		# A connection that was lost is noticed by the call, which ends with that.
		$session->start('SELECT remotes()');
		my $result = $session->finish;
		next if $result->{sqlstate};
		$self->{remotes}{ $_->[0] } = $name foreach @{ $result->{rows} };
		return;
	}
	die "$name reaches no shard: $session->{result}{message}";
}

# Active backends: [pid, database, whether it waits for a lock].
sub active
{
	my ($self) = @_;
	return $self->{watcher}->query(q(SELECT pid, datname, EXISTS (SELECT FROM pg_locks AS l WHERE l.pid = a.pid AND NOT l.granted) AS waits
		FROM pg_stat_activity AS a WHERE backend_type = 'client backend' AND state = 'active' AND pid <> pg_backend_pid() ORDER BY pid));
}

# Waits until whatever is still busy waits for a lock, or for a shard's backend that does.
sub settle
{
	my ($self) = @_;
	my $until = time + 60;
	my ($alike, $seen) = (0, '');
	my %name_of = map { $self->{session}{$_}{pid} => $_ } keys %{ $self->{session} };
	while (time < $until)
	{
		$self->{session}{$_}->has_ended foreach grep { $self->{session}{$_}{is_busy} } keys %{ $self->{session} };
		my @active = $self->active;
		my %waits = map { $_->[0] => 1 } grep { $_->[2] eq 't' } @active;
		my %is_active = map { $_->[0] => 1 } @active;
		my @unread = grep { $self->{session}{$_}{is_busy} && !$is_active{ $self->{session}{$_}{pid} } } keys %{ $self->{session} };
		my @working = grep { $_->[1] =~ /^s\d$/ && !$waits{ $_->[0] } } @active;
		my @strays = grep { $_->[1] =~ /^s\d$/ && !$name_of{ $_->[0] } && !$self->{remotes}{ $_->[0] } } @active;
		my @asking = grep { $_->[1] =~ /^router/ && !$waits{ $_->[0] } } @active;
		my @unmatched = grep { my $name = $name_of{ $_->[0] } // ''; none { $waits{$_} && $self->{remotes}{$_} eq $name } keys %{ $self->{remotes} } } @asking;
		my $now = join ' ', map { "@$_" } @active;
		$alike = $now eq $seen ? $alike + 1 : 0;
		$seen = $now;
		my @ended = grep { $self->{session}{$_}{is_busy} && $self->{session}{$_}->has_ended } keys %{ $self->{session} };
		return if !@ended && !@unread && !@working && (!@unmatched || @strays && $alike >= 20);
		sleep($alike ? 0.002 : 0.0005);
	}
	die 'neither answer nor wait: ' . join '; ', $self->waits_in_words;
}

# Ends a step: what has ended is judged.
sub end_step
{
	my ($self, $what) = @_;
	push @{ $self->{steps} }, $what;
	$self->{tally}{steps}++;
	$self->settle;
	$self->sample;
	foreach my $name (sort grep { !$self->{session}{$_}{is_busy} } keys %{ $self->{calls} })
	{
		my $call = delete $self->{calls}{$name};
		my $result = $self->{session}{$name}{result};
		my $told = $self->{session}{$name}{is_lost} ? 'lost' : $result->{sqlstate} // join '; ', map { join '|', @$_ } @{ $result->{rows} // [] };
		push @{ $self->{steps} }, "   $name: $told" . ($result->{message} ? " $result->{message}" : '');
		my ($short) = $told =~ /^(\w*)/;
		$self->{tally}{"$call->{kind}: " . ($call->{kind} eq 'gather' && $short =~ /^\d{1,4}$/ ? ($short < $call->{amount} ? 'too few' : 'enough') : $call->{kind} eq 'put' && $short =~ /^s/ ? 'done' : $short)}++;
		my $why = $name =~ /^router/ ? $self->judge($call, $result, $self->{session}{$name}{is_lost}) : $self->judge_direct($name, $call, $result);
		push @{ $self->{faults} }, "$name: $why ($call->{sql})" if $why;
		# Its end may come after an answer.
		$self->connect_to($name) if $self->{session}{$name}{is_lost} || $call->{is_ended};
		$self->learn_remotes($name) if $name =~ /^router/ && ($call->{is_hit} || $result->{sqlstate});
	}
	return !@{ $self->{faults} };
}

sub waits_in_words
{
	my ($self) = @_;
	my %name_of = ((map { $self->{session}{$_}{pid} => $_ } keys %{ $self->{session} }), %{ $self->{remotes} });
	return map { my ($pid, @rest) = @$_; join ' ', $name_of{$pid} // 'a stray', $pid, @rest } $self->{watcher}->query(q(SELECT a.pid, datname, pg_blocking_pids(a.pid), l.locktype, l.mode, left(query, 150)
		FROM pg_stat_activity AS a LEFT JOIN pg_locks AS l ON l.pid = a.pid AND NOT l.granted WHERE backend_type = 'client backend' AND state <> 'idle' AND a.pid <> pg_backend_pid()));
}

# --- judging -------------------------------------------------------------------------------------------------

# Why this must not be the answer of a router; nothing if it may be.
sub judge
{
	my ($self, $call, $result, $is_lost) = @_;
	my $kind = $call->{kind};
	my $state = $result->{sqlstate} // '';
	my $row = $result->{rows}[0] // [];
	if ($is_lost || $state)
	{
		return if $is_lost && $call->{is_hit};
		return if $call->{is_hit} && $state =~ /^(57014|57P01|08...|RC014|XX000)$/;
		return if $kind eq 'put' && $state eq '23514' && $call->{by} < 0 && $call->{least}{ $call->{quota} } < -$call->{by};
		# A limit that is lowered holds the row that units which leave need, and waits for just those.
		return if $kind eq 'put' && $state eq '40P01';
		return $is_lost ? 'the session ended' : "$state: $result->{message}";
	}
	return $self->judge_redeem($call, @$row) if $kind =~ /^(redeem|hold)$/;
	if ($kind eq 'gather')
	{
		return if $row->[0] >= $call->{amount};
		# The user's own shard it does not ask: that has refused before, and is asked again then (docs/shards.md).
		return if !$self->is_short($call) && $call->{beside_own} && ++$self->{tally}{'gather: 0, and the own shard was open'};
		return $self->is_short($call) ? undef : "only $row->[0] were gathered, and there were always " . $self->least_in_words($call);
	}
	return "status $row->[0]" if $kind eq 'confirm' && $row->[0] !~ /^(redeemed|voided|expired)$/;
	if ($kind eq 'put')
	{
		my @undone = grep { $_->[1] ne 't' } @{ $result->{rows} };
		return @undone && !$call->{is_hit} ? 'not done: ' . join '; ', map { "@$_" } @undone : undef;
	}
	return 'broken: ' . join '; ', map { "@$_" } @{ $result->{rows} } if $kind eq 'verify' && grep { $_->[1] ne 'copy' } @{ $result->{rows} // [] };
	return;
}

sub judge_redeem
{
	my ($self, $call, $status, $id, $amount) = @_;
	if ($status eq ($call->{kind} eq 'hold' ? 'held' : 'redeemed') || $call->{is_again} && $status eq 'redeemed')
	{
		my $before = $self->{acknowledged}{ $call->{request} };
		return "redemption $id for request $call->{request}, which has $before" if $before && $before ne $id;
		$self->{acknowledged}{ $call->{request} } = $id;
		return;
	}
	return if $call->{is_again} && $status =~ /^(voided|expired)$/;
	return if $status eq 'unavailable' && $call->{is_hit};
	return "told $status" if $status !~ /^(sold_out|insufficient)$/;
	return $self->is_short($call) ? undef : "told $status, and there were always " . $self->least_in_words($call);
}

# Whether there was a moment in which there was too little of some limit.
sub is_short
{
	my ($self, $call) = @_;
	return any { $call->{least}{$_} < (/^[Bb]/ ? $call->{amount} // 1 : 1) } $self->quotas_over($call->{coupon});
}

sub least_in_words
{
	my ($self, $call) = @_;
	return join ', ', map { "$_: $call->{least}{$_}" } $self->quotas_over($call->{coupon});
}

# On the shards themselves: what a transaction that is still open has done may come back.
sub judge_direct
{
	my ($self, $name, $call, $result) = @_;
	my $state = $result->{sqlstate} // '';
	if ($self->{session}{$name}{is_lost} || $state)
	{
		delete $self->{open}{$name} if $self->{session}{$name}{is_lost};
		return $call->{is_hit} ? undef : "$state $result->{message}";
	}
	push @{ $self->{open}{$name}{voided} }, $call->{row} if $call->{kind} eq 'void directly' && $result->{rows}[0][0] eq 't';
	$self->{void_of}{ $call->{row} } = 1 if $call->{row};
	return;
}

# --- the tables -----------------------------------------------------------------------------------------

sub check_tables
{
	my ($self, $is_settled) = @_;
	my @found;
	my (%rights, %way, %in, %requests);
	foreach my $shard ($self->shards)
	{
		my $observer = $self->{observer}[$shard];
		push @found, map { "broken on s$shard: @$_" } $observer->query('SELECT * FROM coupon_guard_verify()');
		$rights{ $_->[0] } += $_->[1] foreach $observer->query("SELECT concat(kind, ':', owner_id), coalesce(rights, max) FROM coupon_guard_rights");
		$in{ $_->[0] } = 1 foreach $observer->query("SELECT transfer_id FROM coupon_transfer WHERE direction = 'i'");
		$requests{ $_->[0] } += $_->[1] foreach $observer->query('SELECT request_id, count(*) FROM coupon_redemption WHERE request_id IS NOT NULL GROUP BY 1');
	}
	foreach my $shard ($self->shards)
	{
		foreach my $out ($self->{observer}[$shard]->query("SELECT transfer_id, concat(kind, ':', owner_id), units, settled_at IS NOT NULL FROM coupon_transfer WHERE direction = 'o'"))
		{
			$way{ $out->[1] } += $out->[2] if !$in{ $out->[0] };
			push @found, "transfer $out->[0] is " . ($out->[3] eq 't' ? 'settled, and has not arrived' : 'not settled') if $out->[3] eq 't' ? !$in{ $out->[0] } : $is_settled;
		}
	}
	foreach my $quota (grep { defined $self->{limit}{$_} } sort keys %{ $self->{limit} })
	{
		my ($granted, $under_way) = ($rights{$quota} // 0, $way{$quota} // 0);
		push @found, "$quota: $granted granted and $under_way under way of $self->{limit}{$quota}" if $granted + $under_way != $self->{limit}{$quota};
	}
	push @found, map { "request $_ has $requests{$_} redemptions" } grep { $requests{$_} > 1 } sort keys %requests;
	return @found;
}

# Who was told that he has redeemed has, unless somebody has given it back.
sub check_acknowledged
{
	my ($self) = @_;
	my $states = "SELECT id, CASE WHEN voided_at IS NULL OR void_reason = 'hold expired' THEN 'there' ELSE 'voided' END FROM coupon_redemption";
	my %state = map { @$_ } map { $self->{observer}[$_]->query($states) } $self->shards;
	my $acknowledged = $self->{acknowledged};
	my %lost = map { $_ => $state{ $acknowledged->{$_} } // 'lost' } keys %$acknowledged;
	return map { "redemption $acknowledged->{$_} of request $_ is $lost{$_}" }
	  grep { $lost{$_} eq 'lost' || $lost{$_} eq 'voided' && !$self->{void_of}{ $acknowledged->{$_} } } sort keys %$acknowledged;
}

1;
