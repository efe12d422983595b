# Quotas of the model (Model.pm): what is left of a limit, who may have it, and who must wait for whom.
#
# Nobody knows how the server has spread units over stripes, and of those that rivals are changing it counts the most that each stripe may
# have. So it may wait where there would be too few in any case; it must not refuse where there may be enough.

package CouponGuard::Model::Quotas;

use strict;
use warnings;

use CouponGuard::Model::Outcome qw(waits waits_after answers before voided is_under);
use List::Util qw(any max sum0);

# --- whose they are, in the order in which they are claimed ----------------------------

my %limit_of_kind = (C => 'cap', B => 'budget', c => 'cap', b => 'budget');

sub quotas_of { my ($self, $owner) = @_; return $owner =~ /^m(.*)/ ? map { "$_:$1" } qw(C B) : map { "$_:$owner" } qw(c b) }
sub kind_of { my ($quota) = @_; return substr $quota, 0, 1 }
sub owner_of { my ($quota) = @_; return (kind_of($quota) =~ /[CB]/ ? 'm' : '') . substr $quota, 2 }
sub is_budget { my ($self, $quota) = @_; return kind_of($quota) =~ /[Bb]/ }

# What a row has of the quota; a row that is voided has nothing.
sub share_of
{
	my ($image, $quota) = @_;
	return 0 if !$image || $image->{voided} || !is_under($image, owner_of($quota));
	return $quota =~ /^[Cc]/ ? 1 : $image->{amount} // 0;
}

# [quota, units] of all that a row has.
sub shares_of
{
	my ($self, $image) = @_;
	my @quotas = map { $self->quotas_of($_) } defined $image->{campaign} ? "m$image->{campaign}" : (), $image->{coupon};
	return grep { $_->[1] > 0 } map { [ $_, share_of($image, $_) ] } @quotas;
}

# undef: no such limit
sub granted
{
	my ($self, $me, $quota) = @_;
	return $self->offer($me, owner_of($quota))->{ $limit_of_kind{ kind_of($quota) } };
}

sub is_set_up
{
	my ($self, $me, $quota) = @_;
	return $self->{set_up}{$quota} || any { ($_->{set_up} // '') eq $quota } @{ $self->{open}{$me}{log} };
}

# --- units ------------------------------------------------------------------------

sub used
{
	my ($self, $me, $quota) = @_;
	return sum0(map { share_of($_->{view}, $quota) } $self->views($me, owner_of($quota)));
}

# Units that I can have without waiting: all there are, but for those that others have locked.
sub units
{
	my ($self, $me, $quota) = @_;
	my $busy = sum0(map { $self->{busy}{$quota}{$_} // 0 } $self->others($me));
	return $self->granted($me, $quota) - $self->used($me, $quota) - $busy;
}

# Units that I have kept ahead. (Those that the server takes ahead are not told: their stripes are touched.)
sub spare
{
	my ($self, $me, $quota) = @_;
	return sum0(map { $_->{units} } grep { ($_->{spare} // '') eq $quota } @{ $self->{open}{$me}{log} });
}

# What is left, as committed, if nobody else ended: that of expired holds too.
sub left
{
	my ($self, $me, $quota) = @_;
	my @expired = grep { $self->is_expired($_->{view}) } $self->views($me, owner_of($quota));
	return max(0, $self->granted($me, $quota) - $self->used($me, $quota)) + sum0(map { share_of($_->{view}, $quota) } @expired);
}

# What I could have if each rival ended in the way that brings most.
sub most
{
	my ($self, $me, $quota) = @_;
	my $needed = sub { my ($image) = @_; return $image && $self->is_expired($image) ? 0 : share_of($image, $quota) };
	my $granted = $self->granted($me, $quota);
	my $most = $granted - sum0(map { $needed->($_->{view}) } $self->views($me, owner_of($quota)));
	foreach my $rival ($self->others($me))
	{
		my %last = map { $_->{row} => $_->{image} } grep { $_->{row} } $self->logged($rival);
		my $more = $self->granted($rival, $quota) - ($self->{owners}{ owner_of($quota) }{ $limit_of_kind{ kind_of($quota) } });
		$more += sum0(map { $needed->($self->{rows}{$_}) - $needed->($last{$_}) } keys %last);
		$most += max(0, $more);
	}
	return $most;
}

# Who has moved units, or locked some.
sub movers
{
	my ($self, $me, $quota) = @_;
	my $busy = $self->{busy}{$quota} // {};
	my %movers = map { $_ => 1 } $self->who_logged($me, sub { ($_[0]{touch} // '') eq $quota }), grep { $busy->{$_} } $self->others($me);
	return sort keys %movers;
}

# --- taking -------------------------------------------------------------------------

# All that is wanted: { taken, effects }; or an outcome that waits; or, without taken, too few. Units of stripes come first, those of
# expired holds next. %how: by_one, as one unit after the other, which are kept; own, the entry of the row that the units are for.
sub take
{
	my ($self, $me, $quota, $wanted, %how) = @_;
	return { taken => 1, effects => [ { spare => $quota, units => -$wanted } ] } if !$how{by_one} && $self->spare($me, $quota) >= $wanted;
	my $ready = $self->is_set_up($me, $quota) ? answers(undef) : $self->set_up_quota($me, $quota);
	return $ready if $ready->{rivals};
	return before($ready->{effects}, $self->having_done($me, $ready->{effects}, sub { $self->take_counted($me, $quota, $wanted, %how) }));
}

sub take_counted
{
	my ($self, $me, $quota, $wanted, %how) = @_;
	my $free = max(0, $self->units($me, $quota));
	my $spare = $self->spare($me, $quota);
	my @use = (
		$self->{counting} ? () : { touch => $quota },
		$spare > 0 ? { spare => $quota, units => -$spare } : ());
	return { taken => 1, effects => \@use } if $free >= $wanted;

	my @movers = $self->movers($me, $quota);
	my @expired = $self->expired_holds($me, $quota);
	my @own = $self->own_expired($how{own});
	my @settled = sort { $a->{view}{hold} <=> $b->{view}{hold} } @own, grep { !$_->{rival} && !($how{own} && $_->{id} == $how{own}{row}) } @expired;
	my @holders = $self->rivals_of(grep { $_->{rival} && any { share_of($_, $quota) > 0 } @{ $_->{images} } } @expired);
	my $missing = $wanted - $free;
	my $is_settled_enough = $missing <= sum0(map { share_of($_->{view}, $quota) } @settled);
	if ($wanted - $spare == 1 || $how{by_one})
	{
		my @had = $how{by_one} && $free > 0 ? @use : ();
		return waits(\@movers, @had) if @movers;
		@had = grep { $_->{spare} } @use if !$how{by_one};
		return before(\@had, $self->take_from_holds($me, $quota, $missing, \@settled, is_one => 1, %how)) if $is_settled_enough;
		return { taken => 0, effects => [] } if !@holders;
		# Those that it can have it has ended by then.
		my $ended = $self->end_holds($me, $quota, @settled);
		my $had = sum0(map { share_of($_->{view}, $quota) } @settled);
		return waits_after([ @{ $ended->{effects} }, $had > 0 ? { spare => $quota, units => $had } : () ], waits(\@holders, @had));
	}
	my @rivals = (@movers, @holders);
	my $most = $self->most($me, $quota) + sum0(map { share_of($_->{view}, $quota) - share_of($self->look($me, $_->{id})->{view}, $quota) } @own);
	return { taken => 0, effects => [], may_wait => \@rivals } if $most < $wanted;
	return waits(\@rivals) if !$is_settled_enough;
	return { %{ before(\@use, $self->take_from_holds($me, $quota, $missing, \@settled, %how)) }, may_wait => \@rivals };
}

sub expired_holds
{
	my ($self, $me, $quota) = @_;
	my $owner = owner_of($quota);
	my $is_such = sub { my ($image) = @_; return is_under($image, $owner) && !$image->{voided} && !$image->{is_passing} };
	return $self->looks($me, sub { $is_such->(@_) && $self->is_expired(@_) });
}

# The row that the units are for may itself be such a hold.
sub own_expired
{
	my ($self, $entry) = @_;
	return $entry && !$entry->{image}{voided} && $self->is_expired($entry->{image}) ? { id => $entry->{row}, view => $entry->{image} } : ();
}

# The first holds that have enough are ended. What they had beyond that is kept ahead, or goes back.
sub take_from_holds
{
	my ($self, $me, $quota, $missing, $settled, %how) = @_;
	my ($freed, @taken) = (0);
	while ($freed < $missing)
	{
		push @taken, shift @$settled;
		$freed += share_of($taken[-1]{view}, $quota);
	}
	my $outcome = $self->end_holds($me, $quota, @taken);
	return $outcome if $outcome->{rivals};
	my $surplus = $freed - $missing;
	my @rest = $surplus == 0 || $self->{counting} ? () : $how{is_one} && !$how{by_one} ? { spare => $quota, units => $surplus } : { touch => $quota };
	my $is_own_ended = $how{own} && any { $_->{id} == $how{own}{row} } @taken;
	return { taken => 1, effects => [ @{ $outcome->{effects} }, @rest ], is_own_ended => $is_own_ended };
}

# What they had of other quotas goes back.
sub end_holds
{
	my ($self, $me, $quota, @holds) = @_;
	my @done;
	foreach my $hold (@holds)
	{
		push @done, { row => $hold->{id}, image => voided($hold->{view}, 'hold expired', 1) };
		foreach my $other (grep { $_ ne $quota } map { $_->[0] } $self->shares_of($hold->{view}))
		{
			my $return = $self->having_done($me, \@done, sub { $self->return_units($me, $other) });
			return before(\@done, $return) if $return->{rivals};
			push @done, @{ $return->{effects} };
		}
	}
	return answers(undef, @done);
}

# --- several at once ---------------------------------------------------------------

# Claims, [quota, amount], all or none: { taken, effects }, or an outcome that waits, or the one that is refused.
sub claim_all
{
	my ($self, $me, @claims) = @_;
	foreach my $claim (@claims[ 1 .. $#claims ])
	{
		next if !$self->is_set_up($me, $claim->[0]);
		my $supply = $self->take($me, @$claim);
		next if $supply->{rivals} || $supply->{taken};
		# If that is not certain yet, to the server, the claims before it come first.
		my @unsure = (@{ $supply->{may_wait} // [] }, $self->who_logged($me, sub { $_[0]{is_passing} }));
		return { refused => $claim, effects => [], may_wait => [ @unsure, @unsure ? map { $self->movers($me, $_->[0]) } @claims : () ] };
	}
	# A hold that is ended for the one may have units of the others: all are set up first, and after each it begins anew.
	my @missing = @claims > 1 ? grep { !$self->is_set_up($me, $_) } map { $_->[0] } @claims : ();
	my $ready = $self->prepare_quotas($me, $self->{counting} ? @missing : $missing[0] // ());
	return $ready if $ready->{rivals};
	my @prepared = @{ $ready->{effects} };
	return before(\@prepared, $self->having_done($me, \@prepared, sub { $self->claim_all($me, @claims) })) if grep { $_->{set_up} } @prepared;
	my (@kept, @may_wait);
	my @done = @prepared; # where they are counted, locks
	foreach my $claim (@claims)
	{
		my ($quota, $amount) = @$claim;
		my $supply = $self->having_done($me, \@done, sub { $self->take($me, $quota, $amount) });
		push @may_wait, @{ $supply->{may_wait} // [] };
		return { %{ waits_after([ @done, @kept ], $supply) }, may_wait => \@may_wait } if $supply->{rivals};
		push @done, @{ $supply->{effects} };
		return { refused => $claim, effects => [ @done, @kept ], may_wait => \@may_wait } if !$supply->{taken};
		push @kept, { spare => $quota, units => $amount } if !$self->{counting};
	}
	return { taken => 1, effects => \@done, may_wait => \@may_wait };
}

sub prepare_quotas
{
	my ($self, $me, @quotas) = @_;
	my @done;
	foreach my $quota (grep { !$self->is_set_up($me, $_) } @quotas)
	{
		my $set_up = $self->{counting} ? 'lock_owner' : 'set_up_quota';
		my $outcome = $self->having_done($me, \@done, sub { $self->$set_up($me, $quota) });
		return before(\@done, $outcome) if $outcome->{rivals};
		push @done, @{ $outcome->{effects} };
	}
	return answers(undef, @done);
}

# --- setting up, giving back ----------------------------------------------------------

sub lock_owner
{
	my ($self, $me, $quota) = @_;
	my $owner = owner_of($quota);
	my @setters = $self->who_logged($me, sub { ($_[0]{owner} // '') eq $owner && ($_[0]{lock} // '') ne 'key' });
	return { %{ waits(\@setters) }, for_lock => $owner } if @setters;
	return answers(undef, { owner => $owner, lock => 1 });
}

# Whoever sets up the quota must know every row, and that the limit stays. So must who counts because there is none.
sub set_up_quota
{
	my ($self, $me, $quota) = @_;
	my $locked = $self->lock_owner($me, $quota);
	return $locked if $locked->{rivals} || !defined $self->granted($me, $quota);
	my @rivals = $self->rivals_on_live_rows($me, owner_of($quota));
	return before($locked->{effects}, waits(\@rivals)) if @rivals;
	return before($locked->{effects}, answers(undef, $self->{counting} ? () : ({ set_up => $quota }, { touch => $quota })));
}

sub rivals_on_live_rows
{
	my ($self, $me, $owner) = @_;
	return $self->rivals_of($self->looks($me, sub { is_under($_[0], $owner) && !$_[0]{voided} }));
}

# Where there is no quota to return them to, nobody may be setting one up.
sub return_units
{
	my ($self, $me, $quota) = @_;
	return answers(undef) if $self->{counting};
	return answers(undef, { touch => $quota }) if $self->is_set_up($me, $quota);
	return answers(undef) if !defined $self->granted($me, $quota);
	my $owner = owner_of($quota);
	my @setters = $self->who_logged($me, sub { ($_[0]{owner} // '') eq $owner && ($_[0]{lock} // '') !~ /^(share|key)$/ });
	return { %{ waits(\@setters) }, for_lock => $owner } if @setters;
	return answers(undef, { owner => $owner, lock => 'share' });
}

# All that a row had; or, of its budgets, a part.
sub return_shares
{
	my ($self, $me, $image, @done) = @_;
	return $self->return_to($me, [ map { $_->[0] } $self->shares_of($image) ], @done);
}

sub return_amount
{
	my ($self, $me, $image, @done) = @_;
	return $self->return_to($me, [ grep { $self->is_budget($_) } map { $_->[0] } $self->shares_of($image) ], @done);
}

sub return_to
{
	my ($self, $me, $quotas, @done) = @_;
	foreach my $quota (@$quotas)
	{
		my $return = $self->having_done($me, \@done, sub { $self->return_units($me, $quota) });
		return before(\@done, $return) if $return->{rivals};
		push @done, @{ $return->{effects} };
	}
	return answers(undef, @done);
}

1;
