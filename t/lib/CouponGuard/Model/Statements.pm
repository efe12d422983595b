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
	return $self->follow_row($me, { row => $op->{row}, image => \%image }, { c => 1, b => $view->{amount} // 0 });
}

# The live row with this use number, or one that may turn out to be it.
sub uses_with_number
{
	my ($self, $me, $view) = @_;
	my $is_same = sub { my ($image) = @_; none { $image->{$_} ne $view->{$_} } qw(coupon user use_no) };
	return $self->looks($me, sub { !$_[0]{voided} && $is_same->($_[0]) });
}

# Nobody else has the use number, nor the request id.
sub decide_insert
{
	my ($self, $me, $op) = @_;
	my %image = map { $_ => $op->{$_} } qw(coupon user use_no amount hold request moment);
	return $self->follow_row($me, { row => $op->{row}, image => \%image }, { c => 1, b => $op->{amount} // 0 });
}

# Another amount.
sub decide_resize
{
	my ($self, $me, $op) = @_;
	my ($view, $outcome) = $self->find_to_change($me, $op, sub { !$_[0]{voided} });
	return $outcome if $outcome;
	my $entry = { row => $op->{row}, image => { %$view, amount => $op->{amount} } };
	my $more = $op->{amount} - ($view->{amount} // 0);
	return $self->follow_row($me, $entry, { b => $more }) if $more > 0;
	my $return = $more < 0 ? $self->return_units($me, "b:$view->{coupon}") : answers(undef);
	return $return->{rivals} ? before([$entry], $return) : answers({ value => 1 }, $entry, @{ $return->{effects} });
}

# So many units more, by kind of quota, that a row needs which plain SQL has written. Where there is no quota all rows are counted, this
# one too.
sub follow_row
{
	my ($self, $me, $entry, $more) = @_;
	my $coupon = $entry->{image}{coupon};
	my %error = (c => 'RC006', b => 'RC009');
	my (@done, @may_wait); # besides
	my @row = ($entry);
	foreach my $kind (grep { $more->{$_} } qw(c b))
	{
		my $is_ended = @row > 1;
		my $need = $is_ended ? 0 : $more->{$kind};
		my $outcome = $self->having_done($me, \@done, sub { $self->follow_use($me, "$kind:$coupon", $need, $row[0]) });
		return before([ @row, @done ], $outcome) if $outcome->{rivals};
		push @may_wait, @{ $outcome->{may_wait} // [] };
		return { %{ answers({ error => $error{$kind} }) }, may_wait => \@may_wait } if !$outcome->{taken};
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

# --- coupons ----------------------------------------------------------------------

# Nothing but the row itself is in the way.
sub change_coupon
{
	my ($self, $me, $coupon, %set) = @_;
	my @rivals = $self->who_logged($me, sub { ($_[0]{coupon} // 0) == $coupon });
	return { %{ waits(\@rivals) }, for_lock => $coupon } if @rivals;
	return answers({ value => 1 }, { coupon => $coupon, set => \%set });
}

sub decide_activate { my ($self, $me, $op) = @_; return $self->change_coupon($me, $op->{coupon}, active => $op->{active}) }
sub decide_reserve { my ($self, $me, $op) = @_; return $self->change_coupon($me, $op->{coupon}, holder => $op->{holder}) }

# Several coupons in one command.
sub decide_reopen
{
	my ($self, $me, $op) = @_;
	my %changed = map { $_ => 1 } @{ $op->{coupons} };
	my @rivals = $self->who_logged($me, sub { $changed{ $_[0]{coupon} // 0 } });
	return waits(\@rivals) if @rivals;
	return answers({ value => scalar keys %changed }, map { { coupon => $_, set => { active => 't' } } } @{ $op->{coupons} });
}

sub decide_cap { my ($self, $me, $op) = @_; return $self->change_limit($me, $op->{coupon}, c => cap => $op->{cap}) }
sub decide_budget { my ($self, $me, $op) = @_; return $self->change_limit($me, $op->{coupon}, b => budget => $op->{budget}) }

sub change_limit
{
	my ($self, $me, $coupon, $kind, $name, $limit) = @_;
	my $quota = "$kind:$coupon";
	my $change = $self->change_coupon($me, $coupon, $name => $limit);
	return $change if $change->{rivals};
	my $less = $self->granted($me, $quota) - $limit;
	return $change if $less == 0;
	if (!$self->is_set_up($me, $quota))
	{
		return $change if $less < 0;
		my @users = $self->rivals_on_live_rows($me, $coupon);
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
