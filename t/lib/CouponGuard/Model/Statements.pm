# What plain SQL on the tables does, in the model (Model.pm).

package CouponGuard::Model::Statements;

use strict;
use warnings;

use CouponGuard::Model::Outcome qw(waits answers before voided);
use List::Util qw(none);

# --- the ledger -------------------------------------------------------------------

# The row as it may be changed; or an outcome if it is not: no row that the statement sees, or one that another has changed.
sub find_to_change
{
	my ($self, $me, $op, $test) = @_;
	my $look = $self->look($me, $op->{row});
	# Having waited, PostgreSQL looks at the condition again only when it has the row.
	return (undef, { %{ answers({ value => 0 }) }, or_if_let_go => [ $look->{rival} // () ] }) if !$look->{view} || !$test->($look->{view});
	return (undef, waits([ $look->{rival} ])) if $look->{rival};
	return ($look->{view}, undef);
}

sub decide_delete
{
	my ($self, $me, $op) = @_;
	my ($view, $outcome) = $self->find_to_change($me, $op, sub { 1 });
	return $outcome if $outcome;
	my $return = $self->return_shares($me, $view, { row => $op->{row}, image => undef });
	return $return->{rivals} ? $return : answers({ value => 1 }, @{ $return->{effects} });
}

sub decide_strike
{
	my ($self, $me, $op) = @_;
	my ($view, $outcome) = $self->find_to_change($me, $op, sub { !$_[0]{voided} });
	return $outcome if $outcome;
	my $return = $self->return_shares($me, $view, { row => $op->{row}, image => voided($view, '', $self->is_expired($view)) });
	return $return->{rivals} ? $return : answers({ value => 1 }, @{ $return->{effects} });
}

sub decide_revive
{
	my ($self, $me, $op) = @_;
	my ($view, $outcome) = $self->find_to_change($me, $op, sub { $_[0]{voided} });
	return $outcome if $outcome;
	my ($same) = $self->uses_with_number($me, $view);
	# While it waits for the use number it is changing the row, but nobody sees another use.
	return $same->{rival} ? waits([ $same->{rival} ], { row => $op->{row}, image => $view }) : answers({ error => '23505' }) if $same;
	my %image = (%$view, voided => undef, lapsed => undef, reason => undef);
	return $self->follow_row($me, { row => $op->{row}, image => \%image }, $self->shares_of(\%image));
}

# Live rows with this use number, or that may turn out to have it: of the coupon first, as the index of that is, then of the campaign.
sub uses_with_number
{
	my ($self, $me, $view) = @_;
	my @found;
	foreach my $columns ([qw(coupon user use_no)], [qw(campaign user campaign_use_no)])
	{
		my $is_same = sub { my ($image) = @_; return none { ($image->{$_} // 'none') ne ($view->{$_} // '') } @$columns };
		push @found, $self->looks($me, sub { !$_[0]{voided} && $is_same->(@_) });
	}
	return @found;
}

# Nobody else has the use number, nor the request id.
sub decide_insert
{
	my ($self, $me, $op) = @_;
	my %image = map { $_ => $op->{$_} } qw(coupon user use_no campaign campaign_use_no amount hold request moment);
	return $self->follow_row($me, { row => $op->{row}, image => \%image }, $self->shares_of(\%image));
}

# Another amount.
sub decide_resize
{
	my ($self, $me, $op) = @_;
	my ($view, $outcome) = $self->find_to_change($me, $op, sub { !$_[0]{voided} });
	return $outcome if $outcome;
	my $entry = { row => $op->{row}, image => { %$view, amount => $op->{amount} } };
	my $more = $op->{amount} - ($view->{amount} // 0);
	my @budgets = grep { $self->is_budget($_->[0]) } $self->shares_of($entry->{image});
	return $self->follow_row($me, $entry, map { [ $_->[0], $more ] } @budgets) if $more > 0;
	my $return = $more < 0 ? $self->return_amount($me, $view, $entry) : answers(undef, $entry);
	return $return->{rivals} ? $return : answers({ value => 1 }, @{ $return->{effects} });
}

# Units, [quota, so many more], that a row needs which plain SQL has written. Where there is no quota all rows are counted, this one too.
sub follow_row
{
	my ($self, $me, $entry, @more) = @_;
	my (@done, @may_wait); # besides
	my @row = ($entry);
	foreach my $more (@more)
	{
		my ($quota, $units) = @$more;
		$units = 0 if @row > 1; # it has been ended meanwhile
		my $outcome = $self->having_done($me, \@done, sub { $self->follow_use($me, $quota, $units, $row[0]) });
		return before([ @row, @done ], $outcome) if $outcome->{rivals};
		push @may_wait, @{ $outcome->{may_wait} // [] };
		return { %{ answers({ error => $self->is_budget($quota) ? 'RC009' : 'RC006' }) }, may_wait => \@may_wait } if !$outcome->{taken};
		push @done, grep { ($_->{row} // 0) != $entry->{row} } @{ $outcome->{effects} };
		next if !$outcome->{is_own_ended};
		my %passing = (%{ $entry->{image} }, is_passing => 1);
		@row = ({ row => $entry->{row}, is_passing => 1, image => \%passing }, grep { ($_->{row} // 0) == $entry->{row} } @{ $outcome->{effects} });
	}
	return { %{ answers({ value => 1 }, @row, @done) }, may_wait => \@may_wait };
}

# What the row needs more is taken from the quota, if there is one; else what is used is counted. { taken } if it is within the limit.
sub follow_use
{
	my ($self, $me, $quota, $more, $entry) = @_;
	my $is_set_up = $self->is_set_up($me, $quota);
	return $self->take($me, $quota, $more, own => $entry) if $is_set_up && $more > 0;
	return { taken => 1, effects => [ { touch => $quota } ] } if $is_set_up;
	my $looking = $self->return_units($me, $quota);
	return $looking if $looking->{rivals};
	my $setting = before($looking->{effects}, $self->having_done($me, $looking->{effects}, sub { $self->set_up_quota($me, $quota) }));
	return $setting if $setting->{rivals};
	my $granted = $self->granted($me, $quota);
	return { %$setting, taken => !defined $granted || $self->used($me, $quota) + $more <= $granted };
}

sub decide_expire
{
	my ($self, $me, $op) = @_;
	my ($view, $outcome) = $self->find_to_change($me, $op, sub { !$_[0]{voided} && defined $_[0]{hold} });
	return $outcome || answers({ value => 1 }, { row => $op->{row}, image => { %$view, hold => $op->{deadline} } });
}

# --- coupons and campaigns ------------------------------------------------------------

# Nothing but the row itself is in the way.
sub change_offer
{
	my ($self, $me, $owner, %set) = @_;
	my @rivals = $self->who_logged($me, sub { ($_[0]{owner} // '') eq $owner });
	return { %{ waits(\@rivals) }, for_lock => $owner } if @rivals;
	return answers({ value => 1 }, { owner => $owner, set => \%set });
}

sub decide_activate { my ($self, $me, $op) = @_; return $self->change_offer($me, $op->{owner}, active => $op->{active}) }
sub decide_reserve { my ($self, $me, $op) = @_; return $self->change_offer($me, $op->{owner}, holder => $op->{holder}) }
sub decide_limit { my ($self, $me, $op) = @_; return $self->change_offer($me, $op->{owner}, limit => $op->{limit}) }

# What has been redeemed stays with the campaign in which it was. The new one is locked (KEY SHARE), which its changes wait for: PostgreSQL
# takes them for changes of the key, for the name's is generated and there is a trigger before them.
sub decide_move
{
	my ($self, $me, $op) = @_;
	my $is_same = ($self->offer($me, $op->{owner})->{campaign} // '') eq ($op->{campaign} // '');
	my $change = $self->change_offer($me, $op->{owner}, campaign => $op->{campaign});
	return $change if $change->{rivals} || $is_same || !defined $op->{campaign};
	my $campaign = "m$op->{campaign}";
	my @rivals = $self->who_logged($me, sub { $_[0]{set} && $_[0]{owner} eq $campaign });
	return { %{ before($change->{effects}, waits(\@rivals)) }, for_lock => $campaign } if @rivals;
	return before($change->{effects}, answers({ value => 1 }, { owner => $campaign, lock => 'key' }));
}

# Several coupons in one command.
sub decide_reopen
{
	my ($self, $me, $op) = @_;
	my %changed = map { $_ => 1 } @{ $op->{coupons} };
	my @rivals = $self->who_logged($me, sub { $changed{ $_[0]{owner} // '' } });
	return waits(\@rivals) if @rivals;
	return answers({ value => scalar keys %changed }, map { { owner => $_, set => { active => 't' } } } @{ $op->{coupons} });
}

sub decide_cap { my ($self, $me, $op) = @_; return $self->change_limit($me, ($self->quotas_of($op->{owner}))[0], cap => $op->{cap}) }
sub decide_budget { my ($self, $me, $op) = @_; return $self->change_limit($me, ($self->quotas_of($op->{owner}))[1], budget => $op->{budget}) }

sub change_limit
{
	my ($self, $me, $quota, $name, $limit) = @_;
	my $owner = CouponGuard::Model::Quotas::owner_of($quota);
	my $change = $self->change_offer($me, $owner, $name => $limit);
	return $change if $change->{rivals};
	my $less = $self->granted($me, $quota) - $limit;
	return $change if $less == 0;
	if (!$self->is_set_up($me, $quota))
	{
		return $change if $less < 0;
		my @users = $self->rivals_on_live_rows($me, $owner);
		return before($change->{effects}, waits(\@users)) if @users;
		return $self->used($me, $quota) > $limit ? answers({ error => '23514' }) : $change;
	}
	my $spare = $self->spare($me, $quota);
	my @withdrawn = $spare > 0 ? { spare => $quota, units => -$spare } : ();
	return { %$change, effects => [ @{ $change->{effects} }, @withdrawn, $less == $spare ? () : { touch => $quota } ] } if $less <= $spare;
	my $supply = $self->take($me, $quota, $less, by_one => 1);
	return before($change->{effects}, $supply) if $supply->{rivals};
	return answers({ error => '23514' }) if !$supply->{taken};
	return before($change->{effects}, answers({ value => 1 }, @{ $supply->{effects} }));
}

1;
