# One shard, as a model: what it may give of each limit, what of that is used, what has left and come, and what each call may answer.
#
# Model.pm says exactly what comes; this says what must not. It knows no stripes, so of a call that wants units there are two bounds: what there
# is surely, if every open transaction ends in the way that leaves least, and what there could be, if each ends in the way that brings most. More
# than there is surely must not be given; as long as there could be enough nobody must be refused: between the two a call waits.
#
# Transactions and rows are those of Model.pm (Model/State.pm); besides
#   owners      owner => { cap, rights, budget, budget_rights, campaign }
#   transfers   transfer id => { direction, quota, units, peer, settled }        committed
# and, in logs,
#   { transfer => id, image => {...} }      a half of a transfer made, or settled
#   { touch => owner }                      a call has had to do with it: who meets it may have to wait
# A hold's deadline is 2, or 0 when it has passed: now is 1.

package CouponGuard::Shard::Model;

use strict;
use warnings;

use parent qw(CouponGuard::Model::State CouponGuard::Model::Quotas);

use List::Util qw(any all max min sum0);

sub new
{
	my ($class, %owners) = @_;
	return bless { owners => \%owners, rows => {}, transfers => {}, open => {}, now => 1 }, $class;
}

sub commit
{
	my ($self, $name) = @_;
	$self->{transfers}{ $_->{transfer} } = $_->{image} foreach grep { $_->{transfer} } @{ $self->{open}{$name}{log} };
	return $self->SUPER::commit($name);
}

# --- limits -----------------------------------------------------------------------------

my %limit_of_kind = (C => 'cap', B => 'budget', c => 'cap', b => 'budget');
my %rights_of_kind = (C => 'rights', B => 'budget_rights', c => 'rights', b => 'budget_rights');

sub limit_column { my ($quota) = @_; return $limit_of_kind{ CouponGuard::Model::Quotas::kind_of($quota) } }
sub rights_column { my ($quota) = @_; return $rights_of_kind{ CouponGuard::Model::Quotas::kind_of($quota) } }
sub owner_of { my ($quota) = @_; return CouponGuard::Model::Quotas::owner_of($quota) }

# What of the limit is given here; undef: there is none.
sub granted_of
{
	my ($offer, $quota) = @_;
	my $limit = $offer->{ limit_column($quota) };
	return defined $limit ? $offer->{ rights_column($quota) } // $limit : undef;
}

sub granted { my ($self, $me, $quota) = @_; return granted_of($self->offer($me, owner_of($quota)), $quota) }

# All limits under which a coupon is redeemed.
sub quotas_over
{
	my ($self, $coupon) = @_;
	return map { $self->limits_of($_) } $self->owners_over($coupon);
}

sub limits_of { my ($self, $owner) = @_; return grep { defined $self->granted('', $_) } $self->quotas_of($owner) }

sub owners_over
{
	my ($self, $coupon) = @_;
	my $campaign = $self->{owners}{$coupon}{campaign};
	return (defined $campaign ? "m$campaign" : (), $coupon);
}

# --- bounds --------------------------------------------------------------------------------

# What a row keeps from others: an expired hold nothing.
sub needs
{
	my ($self, $image, $quota) = @_;
	return $image && $self->is_expired($image) ? 0 : CouponGuard::Model::Quotas::share_of($image, $quota);
}

# Left in my view, if nobody else did anything.
sub free
{
	my ($self, $me, $quota) = @_;
	return $self->granted($me, $quota) - sum0(map { $self->needs($_->{view}, $quota) } $self->views($me, owner_of($quota)));
}

# What each of the ways in which another transaction may end yet changes, a rollback to a savepoint included.
sub gains
{
	my ($self, $name, $quota) = @_;
	my @log = $self->logged($name);
	my @gains = (0);
	foreach my $length (map({ $_->[1] } @{ $self->{open}{$name}{marks} }), scalar @log)
	{
		my $offer = { %{ $self->{owners}{ owner_of($quota) } } };
		my %last;
		foreach my $entry (@log[ 0 .. $length - 1 ])
		{
			$last{ $entry->{row} } = $entry->{image} if $entry->{row};
			%$offer = (%$offer, %{ $entry->{set} }) if $entry->{set} && $entry->{owner} eq owner_of($quota);
		}
		push @gains, granted_of($offer, $quota) - $self->granted('', $quota)
		  + sum0(map { $self->needs($self->{rows}{$_}, $quota) - $self->needs($last{$_}, $quota) } keys %last);
	}
	return @gains;
}

sub could_have
{
	my ($self, $me, $quota) = @_;
	return $self->free($me, $quota) + sum0(map { max($self->gains($_, $quota)) } $self->others($me));
}

sub surely_has
{
	my ($self, $me, $quota) = @_;
	return $self->free($me, $quota) + sum0(map { min($self->gains($_, $quota)) } $self->others($me));
}

# Other transactions that may be in the way of a call on these owners.
sub touchers
{
	my ($self, $me, @owners) = @_;
	my %owners = map { $_ => 1 } @owners;
	return $self->who_logged($me, sub { $owners{ $_[0]{touch} // '' } });
}

# --- transfers -----------------------------------------------------------------------------

# As I see it; and who has it in a transaction still open.
sub transfer
{
	my ($self, $me, $id) = @_;
	my @own = grep { ($_->{transfer} // '') eq $id } $me eq '' ? () : @{ $self->{open}{$me}{log} };
	my ($rival) = $self->who_logged($me, sub { ($_[0]{transfer} // '') eq $id });
	return (@own ? $own[-1]{image} : $self->{transfers}{$id}, $rival);
}

sub transfers_of
{
	my ($self, $me, $quota) = @_;
	my %seen = (%{ $self->{transfers} }, map { $_->{transfer} => $_->{image} } grep { $_->{transfer} } $me eq '' ? () : @{ $self->{open}{$me}{log} });
	return grep { $_->{quota} eq $quota } values %seen;
}

sub under_way
{
	my ($self, $me, $quota) = @_;
	return sum0(map { $_->{units} } grep { $_->{direction} eq 'o' && !$_->{settled} } $self->transfers_of($me, $quota));
}

# --- what a call may answer -----------------------------------------------------------------

# (effects) of an answer, or (undef, why it must not be). $answer is the row that came, or { error }.
sub judge
{
	my ($self, $me, $op, $answer) = @_;
	return $self->judge_error($me, $op, $answer->{error}) if ref $answer eq 'HASH';
	my $judge = $self->can("judge_$op->{kind}");
	return $self->$judge($me, $op, @$answer);
}

sub judge_error
{
	my ($self, $me, $op, $error) = @_;
	return [] if $error eq 'RC013' && $op->{is_reused};
	return [] if $error eq '23514' && $op->{kind} eq 'change' && $op->{by} < 0 && $self->is_too_low($me, $op);
	return [] if $error eq '22023' && $op->{kind} =~ /^(void|confirm)$/ && $self->look($me, $op->{row})->{view}{amount} < ($op->{amount} // 0);
	return (undef, "no reason for $error");
}

# There is no limit of 0.
sub is_too_low
{
	my ($self, $me, $op) = @_;
	my ($quota, $less) = ($op->{quota}, -$op->{by});
	return $self->could_have($me, $quota) < $less || $self->offer($me, owner_of($quota))->{ limit_column($quota) } <= $less;
}

sub judge_redeem
{
	my ($self, $me, $op, $status, $id, $amount, $limited_by) = @_;
	my @quotas = $self->quotas_over($op->{coupon});
	my $wanted = sub { my ($quota, $of) = @_; return $self->is_budget($quota) ? $of : 1 };
	my @short = grep { $self->could_have($me, $_) < $wanted->($_, $op->{amount} // 1) } @quotas;
	if ($status eq ($op->{kind} eq 'hold' ? 'held' : 'redeemed'))
	{
		foreach my $quota (@quotas)
		{
			my $has = $self->surely_has($me, $quota);
			return (undef, "of $quota there are surely no more than $has") if $has < $wanted->($quota, $amount || 1);
		}
		return (undef, "an amount of $amount") if $amount ne ($op->{amount} // '') && !($op->{up_to} && $amount > 0 && $amount < $op->{amount} && @short);
		my %image = (coupon => $op->{coupon}, campaign => $self->{owners}{ $op->{coupon} }{campaign}, user => $op->{user}, amount => $amount eq '' ? undef : $amount);
		return [ { row => $id, image => { %image, hold => $op->{kind} eq 'hold' ? 2 : undef } } ];
	}
	return (undef, "$status is not expected") if $status !~ /^(sold_out|insufficient)$/;
	return (undef, "limited by '$limited_by'") if $limited_by ne 'shard';
	@short = grep { $self->could_have($me, $_) < 1 } @quotas if $status eq 'sold_out' || $op->{up_to};
	@short = grep { $self->is_budget($_) } @short if $status eq 'insufficient';
	return @short ? [] : (undef, "$status is too early: there could be " . join ', ', map { "$_: " . $self->could_have($me, $_) } @quotas);
}

*judge_hold = \&judge_redeem;

sub judge_confirm
{
	my ($self, $me, $op, $status, undef, $amount) = @_;
	my $look = $self->look($me, $op->{row});
	my $view = $look->{view} or return (undef, 'there is no such row');
	my $is_over = $view->{voided} ? $view->{lapsed} : $self->is_expired($view);
	my $expected = $is_over ? 'expired' : $view->{voided} ? 'voided' : 'redeemed';
	return (undef, "expected $expected") if $status ne $expected;
	return [] if $expected ne 'redeemed' || !defined $view->{hold};
	return (undef, "$look->{rival} has not ended") if $look->{rival};
	return [ { row => $op->{row}, image => { %$view, hold => undef, amount => $op->{amount} // $view->{amount} } } ];
}

sub judge_void
{
	my ($self, $me, $op, $value) = @_;
	my $look = $self->look($me, $op->{row});
	my $view = $look->{view} or return (undef, 'there is no such row');
	return (undef, 'expected ' . ($view->{voided} ? 'f' : 't')) if $value ne ($view->{voided} ? 'f' : 't');
	return [] if $view->{voided};
	return (undef, "$look->{rival} has not ended") if $look->{rival};
	my $rest = defined $op->{amount} ? $view->{amount} - $op->{amount} : 0;
	return [ { row => $op->{row}, image => $rest > 0 ? { %$view, amount => $rest } : { %$view, voided => 1, lapsed => $self->is_expired($view) } } ];
}

sub judge_expire
{
	my ($self, $me, $op, $count) = @_;
	my $look = $self->look($me, $op->{row});
	my $view = $look->{view};
	my $expected = $view && !$view->{voided} && defined $view->{hold} ? 1 : 0;
	return (undef, "expected $expected") if $count != $expected;
	return [] if !$expected;
	return (undef, "$look->{rival} has not ended") if $look->{rival};
	return [ { row => $op->{row}, image => { %$view, hold => 0 } } ];
}

sub judge_release
{
	my ($self, $me, $op, $units) = @_;
	my ($made, $rival) = $self->transfer($me, $op->{transfer});
	return (undef, "$rival has not ended, which makes the same transfer") if $rival;
	return (undef, 'expected RC013') if $op->{is_reused};
	return $units == $made->{units} ? [] : (undef, "this transfer has been made of $made->{units}") if $made;
	my $quota = $op->{quota};
	my ($surely, $perhaps) = ($self->surely_has($me, $quota), $self->could_have($me, $quota));
	return $perhaps < 1 ? [] : (undef, "0 is too early: there could be $perhaps") if $units == 0;
	return (undef, "there are surely no more than $surely") if $units > $surely;
	return (undef, "no more than $op->{units} were asked for") if $units > $op->{units};
	# Who had to wait has what was at hand before.
	my $is_hindered = $op->{has_waited} || $self->touchers($me, owner_of($quota));
	return (undef, "nobody is in the way of $surely") if $units < min($op->{units}, $surely) && !$is_hindered;
	return $self->make_transfer($me, $op, 'o', $units);
}

sub judge_accept
{
	my ($self, $me, $op, $is_new) = @_;
	my ($made, $rival) = $self->transfer($me, $op->{transfer});
	return (undef, "$rival has not ended, which makes the same transfer") if $rival;
	return (undef, 'expected RC013') if $op->{is_reused};
	return (undef, 'expected ' . ($made ? 'f' : 't')) if $is_new ne ($made ? 'f' : 't');
	return $made ? [] : $self->make_transfer($me, $op, 'i', $op->{units});
}

sub make_transfer
{
	my ($self, $me, $op, $direction, $units) = @_;
	my ($quota, $is_out) = ($op->{quota}, $direction eq 'o');
	my ($owner, $column) = (owner_of($quota), rights_column($quota));
	my @changers = $self->who_logged($me, sub { $_[0]{set} && $_[0]{owner} eq $owner });
	return (undef, "@changers have not ended, which change the row") if @changers;
	return [
		{ transfer => $op->{transfer}, image => { direction => $direction, quota => $quota, units => $units, peer => $op->{peer}, settled => !$is_out } },
		{ owner => $owner, set => { $column => $self->offer($me, $owner)->{$column} + ($is_out ? -$units : $units) } } ];
}

sub judge_settle
{
	my ($self, $me, $op, $is_new) = @_;
	my ($made, $rival) = $self->transfer($me, $op->{transfer});
	return (undef, "$rival has not ended, which makes or settles the same transfer") if $rival && !($made && $made->{settled});
	my $expected = $made && !$made->{settled} ? 't' : 'f';
	return (undef, "expected $expected") if $is_new ne $expected;
	return $expected eq 't' ? [ { transfer => $op->{transfer}, image => { %$made, settled => 1 } } ] : [];
}

# A look waits for nobody, so its figures are those of this very moment.
sub judge_look
{
	my ($self, $me, $op, $granted, $used, $remaining, $is_dry, $transfers, $under_way) = @_;
	my $quota = $op->{quota};
	my %expected = (
		granted => $self->granted($me, $quota), remaining => max(0, $self->free($me, $quota)), transfers => scalar $self->transfers_of($me, $quota),
		under_way => $self->under_way($me, $quota));
	$expected{used} = $expected{granted} - $expected{remaining};
	my %is = (granted => $granted, remaining => $remaining, transfers => $transfers, under_way => $under_way, used => $used);
	foreach my $name (sort keys %expected)
	{
		return (undef, "$name: expected $expected{$name}") if $is{$name} != $expected{$name};
	}
	my $perhaps = $self->could_have($me, $quota);
	return (undef, "dry, and there could be $perhaps") if $is_dry eq 't' && $perhaps > 0;
	return (undef, 'not dry, and nobody could bring anything') if $is_dry eq 'f' && $perhaps < 1 && !$self->touchers($me, owner_of($quota));
	return [];
}

# The limit itself, with the rights to what it is more or less: as home does it.
sub judge_change
{
	my ($self, $me, $op, $count) = @_;
	my ($quota, $by) = @{$op}{qw(quota by)};
	my $owner = owner_of($quota);
	return (undef, 'expected one row') if $count != 1;
	my @changers = $self->who_logged($me, sub { $_[0]{set} && $_[0]{owner} eq $owner });
	return (undef, "@changers have not ended, which change the row") if @changers;
	my $has = $self->surely_has($me, $quota);
	return (undef, "there are surely no more than $has") if $has < -$by;
	my $offer = $self->offer($me, $owner);
	return [ { owner => $owner, set => { map { $_ => $offer->{$_} + $by } limit_column($quota), rights_column($quota) } } ];
}

1;
