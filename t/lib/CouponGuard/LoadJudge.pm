# Judges what a load (Load.pm) has left in the ledger by what its workers have journaled (LoadWorker.pm):
#
# - what was acknowledged is there, as it was answered: redemptions, holds, confirmations, voids, parts of amounts, claims, changed limits;
# - what is there was acknowledged, or its COMMIT had no answer; of such a transaction all is there or nothing;
# - coupon_guard_verify() finds nothing, and neither do counts of our own; what is said to be left can be had, and no more;
# - no SQLSTATE was seen that is not expected.
#
# A row of the ledger has in its metadata which call made it, and in its reason which call voided it: so nothing hangs on times, except where
# several calls changed one amount or one limit, and which of them was the last is told by the clock of this machine.

package CouponGuard::LoadJudge;

use strict;
use warnings;

use JSON::PP;
use List::Util qw(max sum0);

# The findings, a line each; none if all is well. $connection is where the ledger is now. %with:
#   moment    { from, to }: the ledger is as it was at a moment between the two (a backup). What was acknowledged before is there, what began
#             afterwards is not; the rest is unknown
#   lost      true: what was acknowledged may be gone (asynchronous replication); how much is told by summary()
#   is_read_only  true: nothing can be written here, so what is left is not tried
sub judge
{
	my ($self, $connection, %with) = @_;
	$self->{findings} = [];
	@{$self}{qw(lost unknown_done unknown_undone)} = (0, 0, 0);
	my $session = CouponGuard::Load::connect_to($connection);
	$self->end_prepared($session, $with{moment});
	$self->read_journals;
	$self->look_back_to($with{moment}) if $with{moment};
	$self->read_ledger($session);
	$self->judge_rows($with{lost});
	$self->judge_amounts if !$with{lost};
	$self->judge_claims($session) if !$with{lost};
	$self->judge_registers($session) if !$with{lost};
	$self->judge_limits($session, $with{is_read_only});
	$self->judge_states;
	$session->disconnect;
	my @findings = @{ $self->{findings} };
	return @findings > 40 ? (@findings[ 0 .. 39 ], 'and ' . (@findings - 40) . ' more') : @findings;
}

sub find { my ($self, $finding) = @_; push @{ $self->{findings} }, $finding; return }

# What was prepared and never ended may end either way; in a backup it had not ended yet.
sub end_prepared
{
	my ($self, $session, $is_backup) = @_;
	foreach my $row (@{ $session->selectall_arrayref("SELECT gid FROM pg_prepared_xacts WHERE gid LIKE 'load-%' AND database = current_database() ORDER BY 1") })
	{
		$session->do((!$is_backup && rand() < 0.5 ? 'COMMIT' : 'ROLLBACK') . " PREPARED '$row->[0]'");
		$self->{resolved}++;
	}
	return;
}

# --- the journals --------------------------------------------------------------------------------------

sub read_journals
{
	my ($self) = @_;
	@{$self}{qw(transactions answers states)} = ([], {}, {});
	my $json = JSON::PP->new;
	foreach my $path (sort glob "$self->{directory}/*.journal")
	{
		my ($worker) = $path =~ m,([^/]+)\.journal$,;
		my %open;
		open my $file, '<:raw', $path or die "$path: $!";
		while (my $line = <$file>)
		{
			# A worker that was killed may have left half a line.
			my ($type, $rest) = $line =~ /^(\w) (.*)\n\z/ or next;
			if ($type eq 'S') { $self->{answers}{$rest}++; next }
			if ($type =~ /^[EL]$/) { $self->note_state($type, $rest); next }
			my ($number, $words) = split / /, $rest, 2;
			if ($type eq 'B')
			{
				my ($how, $calls) = split / /, $words, 2;
				my $transaction = $open{$number} =
				  { name => "$worker.$number", is_alone => $how eq 'alone', calls => $json->decode($calls), end => 'open' };
				push @{ $self->{transactions} }, $transaction;
				next;
			}
			my $transaction = $open{$number} or die "$path: $line";
			if ($type eq 'C') { @{$transaction}{ 'effects', 'is_committing' } = ($json->decode($words), 1) }
			elsif ($type eq 'A')
			{
				my ($from, $to, $effects) = split / /, $words, 3;
				@{$transaction}{qw(end from to effects)} = ('acknowledged', $from, $to, $json->decode($effects));
			}
			elsif ($type eq 'F')
			{
				$transaction->{end} = 'failed';
				$self->note_state('F', $words);
			}
			elsif ($type eq 'R') { $transaction->{end} = 'rolled back' }
			elsif ($type eq 'U') { $transaction->{end} = 'unknown' }
		}
		$_->{end} = $_->{is_alone} || $_->{is_committing} ? 'unknown' : 'rolled back' foreach grep { $_->{end} eq 'open' } values %open;
	}
	$self->{count} = {};
	$self->{count}{ $_->{end} }++ foreach @{ $self->{transactions} };
	return;
}

# What the transactions were at that moment.
sub look_back_to
{
	my ($self, $moment) = @_;
	my @transactions;
	foreach my $transaction (@{ $self->{transactions} })
	{
		my $is_done = $transaction->{end} eq 'acknowledged';
		next if $is_done && $transaction->{from} >= $moment->{to};
		push @transactions, { %$transaction, end => $is_done && $transaction->{to} > $moment->{from} ? 'unknown' : $transaction->{end} };
	}
	$self->{transactions} = \@transactions;
	$self->{count} = {};
	$self->{count}{ $_->{end} }++ foreach @transactions;
	return;
}

sub note_state
{
	my ($self, $type, $words) = @_;
	my ($state, $message) = split / /, $words, 2;
	my $entry = $self->{states}{$state} //= { count => 0, message => $message };
	$entry->{count}++;
	# Of errors, and of losses: the server is expected to be away now and then.
	$entry->{is_error} = 1 if $type ne 'L';
	return;
}

sub judge_states
{
	my ($self) = @_;
	my %allowed = map { $_ => 1 } @CouponGuard::Load::ALLOWED, @{ $self->{allow} };
	foreach my $state (sort keys %{ $self->{states} })
	{
		my $entry = $self->{states}{$state};
		next if $allowed{$state} || (!$entry->{is_error} && $state =~ /^(08|57P)/);
		# A transaction whose connection is lost before COMMIT has failed by that.
		next if $state =~ /^(08|57P0[12])/;
		$self->find("SQLSTATE $state, $entry->{count} times: $entry->{message}");
	}
	foreach my $path (glob "$self->{directory}/*.err")
	{
		# What libpq says of a connection that ends is no finding.
		my @said = grep { !/^(WARNING|NOTICE|DETAIL|HINT): / } split /\n/, CouponGuard::Load::slurp($path);
		$self->find("$path: " . substr "@said", 0, 500) if @said;
	}
	return;
}

# --- rows ------------------------------------------------------------------------------------------------

sub read_ledger
{
	my ($self, $session) = @_;
	my $rows = $session->selectall_arrayref(q(
		SELECT id, (SELECT code FROM coupon c WHERE c.id = coupon_id) AS code, user_id, amount, request_id, metadata ->> 'load' AS tag, void_reason,
		       (voided_at IS NOT NULL)::int AS is_voided, (hold_expires_at IS NOT NULL)::int AS is_hold, (hold_expires_at <= clock_timestamp())::int AS is_past
		FROM coupon_redemption), { Slice => {} });
	$self->{rows} = { map { $_->{id} => $_ } @$rows };
	return;
}

# What may be there, and what must.
sub judge_rows
{
	my ($self, $may_be_lost) = @_;
	my %may;
	foreach my $transaction (@{ $self->{transactions} })
	{
		my $end = $transaction->{end};
		next if $end !~ /^(acknowledged|unknown)$/;
		my @tags = $transaction->{effects} ? map { $_->{tag} } @{ $transaction->{effects} } : map { $_->{tag} } @{ $transaction->{calls} };
		$may{$_} = $end foreach @tags;
		next if !$transaction->{effects};
		my @missing = $self->missing_effects($transaction);
		my $is_there = grep { $self->is_signed($_) } @{ $transaction->{effects} };
		my $is_lost = $end eq 'acknowledged' && $may_be_lost;
		if ($end eq 'unknown' || $is_lost)
		{
			my $what = $is_lost ? 'a lost' : 'an unknown';
			$self->find("of $what transaction only a part is there: $transaction->{name}: $_") foreach $is_there ? grep { !/: is / } @missing : ();
			$self->{ $is_lost ? 'lost' : 'unknown_undone' }++ if @missing && !$is_there;
			$self->{unknown_done}++ if $is_there && !$is_lost;
			next;
		}
		$self->find("acknowledged, and not there: $transaction->{name}: $_") foreach @missing;
	}
	foreach my $row (values %{ $self->{rows} })
	{
		my $what = "row $row->{id} ($row->{code}, user $row->{user_id})";
		$self->find("$what comes from nowhere: " . ($row->{tag} // 'no metadata')) if !$may{ $row->{tag} // '' };
		next if !$row->{is_voided};
		my $reason = $row->{void_reason} // '';
		next if $may{$reason} || ($reason eq 'hold expired' && $row->{is_past});
		$self->find("$what was voided by nobody: $reason");
	}
	return;
}

# What a row shows for ever, whatever is done to it afterwards.
sub effect_can_be_seen { my ($self, $effect) = @_; return $effect->{what} =~ /^(redeemed|held)$/ || ($effect->{what} eq 'voided' && !$effect->{part}) }

# A row that can be of this very call only.
sub is_signed
{
	my ($self, $effect) = @_;
	my $row = $self->{rows}{ $effect->{id} // 0 };
	return $row && grep { defined && $_ eq $effect->{tag} } $row->{tag}, $row->{void_reason};
}

sub missing_effects
{
	my ($self, $transaction) = @_;
	my @missing;
	foreach my $effect (grep { $self->effect_can_be_seen($_) } @{ $transaction->{effects} })
	{
		my $row = $self->{rows}{ $effect->{id} };
		my $what = "$effect->{what} $effect->{id} by $effect->{tag}";
		if (!$row) { push @missing, "$what: no row" }
		elsif ($effect->{what} eq 'voided')
		{
			push @missing, "$what: voided by " . ($row->{void_reason} // 'nobody') if !$row->{is_voided} || ($row->{void_reason} // '') ne $effect->{tag};
		}
		elsif ($effect->{user} && $effect->{user} ne $row->{user_id}) { push @missing, "$what: of user $row->{user_id}" }
		elsif ($effect->{replayed} && $effect->{request} && ($row->{request_id} // '') ne $effect->{request}) { push @missing, "$what: of another request" }
		# Before the call it was a hold, and is one again.
		elsif ($effect->{what} eq 'redeemed' && $row->{is_hold}) { push @missing, "$what: is a hold" }
	}
	return @missing;
}

# --- amounts -------------------------------------------------------------------------------------------------

# What a row has is what the last call gave it, a redemption, hold or confirmation, less the parts that were given back afterwards. Parts that
# were given back in the same moment, or by a transaction that is unknown, may count or not.
sub judge_amounts
{
	my ($self) = @_;
	my (%given, %parts, %is_open);
	foreach my $transaction (@{ $self->{transactions} })
	{
		my $is_unknown = $transaction->{end} eq 'unknown';
		next if !$is_unknown && $transaction->{end} ne 'acknowledged';
		if (!$transaction->{effects})
		{
			foreach my $call (@{ $transaction->{calls} })
			{
				push @{ $parts{ $call->{id} } }, { part => $call->{part}, may => 1 } if $call->{part};
				$is_open{ $call->{id} } = 1 if $call->{kind} eq 'confirm';
			}
			next;
		}
		my $place = 0;
		foreach my $effect (@{ $transaction->{effects} })
		{
			my $entry = { %$effect, from => $transaction->{from}, to => $transaction->{to}, in => $transaction->{name}, place => $place++, may => $is_unknown };
			if ($effect->{part}) { push @{ $parts{ $effect->{id} } }, $entry }
			elsif ($effect->{what} =~ /^(redeemed|held)$/ && !$effect->{replayed})
			{
				$is_unknown ? $is_open{ $effect->{id} } = 1 : push @{ $given{ $effect->{id} } }, $entry;
			}
		}
	}
	foreach my $id (keys %given)
	{
		my $row = $self->{rows}{$id};
		next if !$row || $row->{is_voided} || $is_open{$id};
		my ($last, @others) = sort { is_before($b, $a) <=> is_before($a, $b) } @{ $given{$id} };
		# A hold was confirmed unseen: by a call that redeems, whose answer was lost.
		next if grep { !is_before($_, $last) } @others;
		next if ($row->{tag} // '') ne $last->{tag} && $last->{kind} ne 'confirm';
		my @parts = @{ $parts{$id} // [] };
		my $least = sum0(map { $_->{part} } grep { !$_->{may} && is_before($last, $_) } @parts);
		my @perhaps = map { $_->{part} } grep { $_->{may} || (!is_before($last, $_) && !is_before($_, $last)) } @parts;
		my %possible = (($last->{amount} // 0) - $least => 1);
		foreach my $part (@perhaps) { $possible{ $_ - $part } = 1 foreach keys %possible }
		$self->find("row $id has an amount of " . ($row->{amount} // 'nothing') . ', and not ' . join ' or ', sort keys %possible)
		  if !$possible{ $row->{amount} // 0 };
	}
	return;
}

# Of two effects of acknowledged transactions: is the one certain to have come before the other?
sub is_before
{
	my ($one, $other) = @_;
	return 0 if !defined $one->{to} || !defined $other->{from};
	return $one->{place} < $other->{place} if $one->{in} eq $other->{in};
	return $one->{to} <= $other->{from};
}

# --- what is one thing, and changed by many -------------------------------------------------------------------

sub acknowledged_and_unknown
{
	my ($self, $wanted) = @_;
	my @found;
	foreach my $transaction (grep { $_->{end} =~ /^(acknowledged|unknown)$/ } @{ $self->{transactions} })
	{
		my $place = 0;
		push @found, map { { %$_, from => $transaction->{from}, to => $transaction->{to}, in => $transaction->{name}, place => $place++, end => $transaction->{end} } }
		  grep { $wanted->($_) } @{ $transaction->{effects} // $transaction->{calls} };
	}
	return @found;
}

# A code that was claimed once more than it was released is its user's, and else not.
sub judge_claims
{
	my ($self, $session) = @_;
	my (%certain, %more, %less, %unnamed);
	foreach my $effect ($self->acknowledged_and_unknown(sub { ($_[0]{what} // $_[0]{kind} // '') =~ /^(claimed|released|claim|release)$/ }))
	{
		next if $effect->{replayed};
		# The answer that would have named the code was lost.
		if (!$effect->{what}) { $unnamed{ $effect->{user} }++; next }
		my $key = "$effect->{id} $effect->{user}";
		my $sign = $effect->{what} eq 'claimed' ? 1 : -1;
		if ($effect->{end} eq 'acknowledged') { $certain{$key} += $sign }
		elsif ($sign > 0) { $more{$key}++ }
		else { $less{$key}++ }
	}
	my %is = map { ("$_->[0] $_->[1]" => 1) } @{ $session->selectall_arrayref("SELECT code, holder FROM coupon WHERE code LIKE 'CLAIM%' AND holder IS NOT NULL") };
	foreach my $key (sort keys %{ { %certain, %more, %less, %is } })
	{
		my ($code, $user) = split / /, $key;
		my $claims = $certain{$key} // 0;
		my $doubt = $unnamed{$user} // 0;
		my ($low, $high) = ($claims - ($less{$key} // 0) - $doubt, $claims + ($more{$key} // 0) + $doubt);
		my $found = $is{$key} // 0;
		$self->find("$code and user $user: claimed $claims times more than released, and the holder is " . ($found ? '' : 'not ') . 'that user')
		  if $found < $low || $found > $high;
	}
	return;
}

# A limit has the value that the last change gave it; of changes at the same moment, and unknown ones, that of any.
sub judge_registers
{
	my ($self, $session) = @_;
	my (%changes, %now);
	my $first = CouponGuard::Load::first_values();
	push @{ $changes{ $_->{register} } }, $_ foreach $self->acknowledged_and_unknown(sub { defined $_[0]{register} });
	foreach my $row (@{ $session->selectall_arrayref('SELECT code, max_redemptions, budget, (SELECT name FROM campaign g WHERE g.id = campaign_id) FROM coupon') })
	{
		@now{ map { "coupon $row->[0] $_" } qw(max_redemptions budget campaign) } = @{$row}[ 1 .. 3 ];
	}
	foreach my $row (@{ $session->selectall_arrayref('SELECT name, max_redemptions, budget FROM campaign') })
	{
		@now{ map { "campaign $row->[0] $_" } qw(max_redemptions budget) } = @{$row}[ 1 .. 2 ];
	}
	foreach my $register (sort keys %$first)
	{
		my @made = grep { $_->{end} eq 'acknowledged' } @{ $changes{$register} // [] };
		my $latest = max(map { $_->{from} } @made) // 0;
		my @possible = map { $_->{value} // '' } (grep { $_->{end} eq 'unknown' } @{ $changes{$register} // [] }), last_ones($latest, @made);
		push @possible, $first->{$register} // '' if !@made;
		my $found = $now{$register} // '';
		$self->find("$register is '$found', and not any of: " . join ', ', map { "'$_'" } @possible) if !grep { $_ eq $found } @possible;
	}
	return;
}

# Those that no other is certain to have come after.
sub last_ones
{
	my ($latest, @made) = @_;
	my @near = grep { $_->{to} > $latest } @made;
	my @last;
	foreach my $one (@near) { push @last, $one if !grep { is_before($one, $_) } @near }
	return @last;
}

# --- limits -----------------------------------------------------------------------------------------------------

my %LIMITS = (
	'verify' => 'SELECT * FROM coupon_guard_verify()',
	'more than the cap' => q(SELECT code, redeemed, held, max_redemptions FROM coupon_usage WHERE redeemed + held > max_redemptions),
	'more than the budget' => q(SELECT code, redeemed_amount, held_amount, budget FROM coupon_usage WHERE redeemed_amount + held_amount > budget),
	'more than the cap of the campaign' => q(SELECT name, redeemed, held, max_redemptions FROM campaign_usage WHERE redeemed + held > max_redemptions),
	'more than the budget of the campaign' => q(SELECT name, redeemed_amount, held_amount, budget FROM campaign_usage WHERE redeemed_amount + held_amount > budget),
	'more than one use of ONCE' => q(SELECT user_id, count(*) FROM coupon_redemption WHERE voided_at IS NULL AND coupon_id = (SELECT id FROM coupon WHERE code = 'ONCE')
		GROUP BY 1 HAVING count(*) > 1),
	'two rows of one request' => q(SELECT user_id, request_id FROM coupon_redemption WHERE request_id IS NOT NULL GROUP BY 1, 2 HAVING count(*) > 1));

sub judge_limits
{
	my ($self, $session, $is_read_only) = @_;
	foreach my $limit (sort keys %LIMITS)
	{
		$self->find("$limit: " . join ' | ', map { $_ // '' } @$_) foreach @{ $session->selectall_arrayref($LIMITS{$limit}) };
	}
	return if $is_read_only || $session->selectall_arrayref('SELECT pg_is_in_recovery()::int')->[0][0];
	# What is said to be left can be had, and no more. Of coupons without a campaign and a budget, whose answer hangs on nothing else.
	$session->do('BEGIN');
	foreach my $row (@{ $session->selectall_arrayref(q(SELECT code, remaining_units FROM coupon_usage JOIN coupon c USING (code)
		WHERE remaining_units < 1000 AND c.campaign_id IS NULL AND c.budget IS NULL)) })
	{
		my ($code, $left) = @$row;
		my $had = $session->selectall_arrayref("SELECT count(*) FILTER (WHERE r.status = 'redeemed') FROM generate_series(100001, 100005 + $left) u,
			LATERAL redeem_coupon(u, '$code') r")->[0][0];
		$self->find("of $code $left are left, and $had could be had") if $had != $left;
	}
	$session->do('ROLLBACK');
	return;
}

# A line for the test's name: what was done and judged.
sub summary
{
	my ($self) = @_;
	my $calls = sum0(values %{ $self->{answers} // {} });
	my $count = $self->{count} // {};
	my @parts = map { ($count->{$_} // 0) . " $_" } 'acknowledged', 'rolled back', 'failed', 'unknown';
	return scalar(@{ $self->{transactions} // [] }) . ' transactions (' . join(', ', @parts) . "), $calls calls answered"
	  . ($self->{unknown_done} || $self->{unknown_undone} ? sprintf ', of the unknown %d done and %d not', $self->{unknown_done} // 0, $self->{unknown_undone} // 0 : '')
	  . ($self->{lost} ? ", $self->{lost} lost" : '');
}

# For note(): how often each call had which answer, and which errors were met.
sub details
{
	my ($self) = @_;
	return join "\n", (map { "$_: $self->{answers}{$_}" } sort keys %{ $self->{answers} }),
	  map { "$_: $self->{states}{$_}{count} ($self->{states}{$_}{message})" } sort keys %{ $self->{states} };
}

1;
