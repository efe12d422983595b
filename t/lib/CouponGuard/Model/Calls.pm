# What the functions of the extension answer, in the model (Model.pm).

package CouponGuard::Model::Calls;

use strict;
use warnings;

use CouponGuard::Model::Outcome qw(waits answers before of_row voided);
use List::Util qw(any max sum0);

my $no_limit = 2147483647;

# --- redeem, hold -------------------------------------------------------------------

sub decide_redeem
{
	my ($self, $me, $op) = @_;
	my $offer = $self->offer($me, $op->{coupon});
	if (defined $op->{request})
	{
		my ($made) = $self->looks($me, sub { $_[0]{user} eq $op->{user} && ($_[0]{request} // '') eq $op->{request} });
		return waits([ $made->{rival} ]) if $made && $made->{rival};
		return $self->replay($me, $made, $op) if $made;
	}
	my @uses = $self->looks($me, sub { $_[0]{coupon} == $op->{coupon} && $_[0]{user} eq $op->{user} && !$_[0]{voided} });
	my @holds = sort { $b->{view}{use_no} <=> $a->{view}{use_no} } grep { !$_->{rival} && defined $_->{view}{hold} } @uses;
	my $refusal = judge_offer($offer, $op->{user});
	if ($refusal)
	{
		my ($live) = grep { may_use($_, $op) && !$self->is_expired($_->{view}) } @holds;
		return $live && !$op->{hold} ? $self->confirm($me, $live, $op) : answers({ status => $refusal });
	}
	my @own = grep { may_use($_, $op) } @holds;
	my ($own) = ((grep { !$self->is_expired($_->{view}) } @own), @own); # a live one comes first
	return $self->use_hold($me, $own, $op) if $own;
	my $limit = $offer->{limit} // $no_limit;
	my @settled = sort { $b->{view}{moment} <=> $a->{view}{moment} } grep { !$_->{rival} } @uses;
	my %used = map { ($_->{view} // $_->{images}[0])->{use_no} => 1 } @uses;
	my ($lapsed) = reverse grep { $self->is_expired($_->{view}) } @holds;
	return $self->end_lapsed_hold($me, $lapsed, $offer, $op) if $lapsed && keys %used >= $limit;
	my $latest = $settled[0];
	return answers(of_row('already_redeemed', $latest->{id}, $latest->{view}, 'f', time_of($latest->{view}, $op))) if @settled >= $limit;
	# It looks at its user's rows first and at the quotas then: if both change at once it may come to wait for the latter.
	return { %{ waits([ $self->rivals_of(@uses) ]) }, or_if_let_go => [ map { $self->movers($me, $_) } $self->quotas_of($offer->{id}) ] }
	  if keys %used >= $limit;
	my $use_no = 1;
	$use_no++ while $used{$use_no};
	my $outcome = $self->redeem_new($me, $offer, $op, $use_no);
	# A row counts once for every version it may turn out to be: so the user may wait although a use number is free.
	my $versions = sum0(map { $_->{rival} ? scalar(grep { !$_->{voided} } @{ $_->{images} }) : 1 } @uses);
	push @{ $outcome->{may_wait} }, $self->rivals_of(@uses) if $versions >= $limit;
	return $outcome;
}

# hold_coupon() differs in that it leaves a hold a hold.
sub decide_hold
{
	my ($self, $me, $op) = @_;
	return $self->decide_redeem($me, { %$op, hold => 1 });
}

sub judge_offer
{
	my ($offer, $user) = @_;
	return 'inactive' if $offer->{active} ne 't';
	return defined $offer->{holder} && $offer->{holder} ne $user ? 'reserved' : undef;
}

# A hold belongs to the request that placed it, or to none.
sub may_use
{
	my ($hold, $op) = @_;
	my ($own, $its) = ($op->{request}, $hold->{view}{request});
	return !defined $own || !defined $its || $own eq $its;
}

# The time that the call answers with: of a hold, if it asks for one, the deadline.
sub time_of
{
	my ($view, $op) = @_;
	return $op->{hold} ? $view->{hold} : $view->{moment};
}

# What a redemption takes, in this order.
sub claims_of
{
	my ($offer, $amount) = @_;
	return (defined $offer->{cap} ? [ "c:$offer->{id}", 1 ] : (), defined $offer->{budget} ? [ "b:$offer->{id}", $amount ] : ());
}

sub redeem_new
{
	my ($self, $me, $offer, $op, $use_no) = @_;
	return answers({ error => '22004' }) if defined $offer->{budget} && !defined $op->{amount};
	my $amount = $op->{amount};
	my $supply = $self->claim_all($me, claims_of($offer, $amount));
	my @may_wait = @{ $supply->{may_wait} // [] };
	my $refused = $supply->{refused};
	if ($refused && $refused->[0] =~ /^b/)
	{
		my $outcome = $self->having_done($me, $supply->{effects}, sub { $self->refuse_amount($me, $refused->[0], $offer, $op, $use_no) });
		# Once it is remembered that the cap is used up, the budget is not looked at any more.
		my $cap = defined $offer->{cap} ? $self->take($me, "c:$offer->{id}", 1) : { taken => 1 };
		my $is_used_up = !$cap->{taken} && !$cap->{rivals};
		$outcome = { %{ before($supply->{effects}, $outcome) }, $is_used_up ? (or_answer => { status => 'sold_out' }) : () };
		push @{ $outcome->{may_wait} }, @may_wait;
		return $outcome;
	}
	return $supply if $supply->{rivals};
	return { %{ answers({ status => 'sold_out' }, @{ $supply->{effects} }) }, may_wait => \@may_wait } if $refused;
	my %made = (coupon => $op->{coupon}, user => $op->{user}, use_no => $use_no, amount => $amount, request => $op->{request}, is_hold => $op->{hold});
	my $answer = of_row($op->{hold} ? 'held' : 'redeemed', 'new', \%made, 'f', 'new');
	return { %{ answers($answer, @{ $supply->{effects} }, { row => 'new', image => \%made }) }, may_wait => \@may_wait };
}

# The budget has too few for the amount: what is left says how, and is claimed next by whoever takes that too.
sub refuse_amount
{
	my ($self, $me, $budget, $offer, $op, $use_no) = @_;
	my $left = $self->left($me, $budget);
	my $insufficient = answers({ status => 'insufficient', amount => $left });
	return $op->{up_to} ? $self->redeem_new($me, $offer, { %$op, amount => $left }, $use_no) : $insufficient if $left > 0;
	my $sold_out = answers({ status => 'sold_out' });
	return $sold_out if $self->{counting};
	my $any = $self->take($me, $budget, 1); # a rival may bring something
	return $any->{rivals} ? ($op->{up_to} ? $any : $insufficient) : { %$sold_out, may_wait => $any->{may_wait} };
}

sub confirm
{
	my ($self, $me, $hold, $op) = @_;
	my $view = $hold->{view};
	my $less = defined $op->{amount} ? ($view->{amount} // 0) - $op->{amount} : 0;
	return answers({ error => '22023' }) if $less < 0;
	my $return = $less > 0 ? $self->return_units($me, "b:$view->{coupon}") : answers(undef);
	return $return if $return->{rivals};
	return waits([ $hold->{rival} ], grep { $_->{lock} } @{ $return->{effects} }) if $hold->{rival};
	my %image = (%$view, hold => undef, moment => 'new', request => $op->{request} // $view->{request}, amount => $op->{amount} // $view->{amount});
	return answers(of_row('redeemed', $hold->{id}, \%image, 'f', 'new'), { row => $hold->{id}, image => \%image }, @{ $return->{effects} });
}

sub use_hold
{
	my ($self, $me, $hold, $op) = @_;
	return $self->confirm($me, $hold, $op) if !$op->{hold};
	my $view = $hold->{view};
	my $is_live = !$self->is_expired($view);
	my %image = (%$view, hold => $is_live ? $view->{hold} : 'new', request => $view->{request} // $op->{request});
	my $is_adopted = ($view->{request} // '') ne ($image{request} // '');
	return answers(of_row('held', $hold->{id}, \%image, $is_live ? 't' : 'f', $image{hold}),
		$is_live && !$is_adopted ? () : { row => $hold->{id}, image => \%image });
}

# Another request's hold has lapsed: it is ended, and what it had is there for this one.
sub end_lapsed_hold
{
	my ($self, $me, $hold, $offer, $op) = @_;
	my @claims = grep { $_->[1] } claims_of($offer, $hold->{view}{amount});
	my $ready = $self->prepare_quotas($me, map { $_->[0] } @claims);
	return $ready if $ready->{rivals};
	my @done = (
		@{ $ready->{effects} },
		{ row => $hold->{id}, image => voided($hold->{view}, 'hold expired', 1) },
		$self->{counting} ? () : map { { spare => $_->[0], units => $_->[1] } } @claims);
	return before(\@done, $self->having_done($me, \@done, sub { $self->decide_redeem($me, $op) }));
}

sub replay
{
	my ($self, $me, $made, $op) = @_;
	my $view = $made->{view};
	return answers({ error => 'RC007' }) if $view->{coupon} != $op->{coupon};
	my $is_over = $view->{voided} ? $view->{lapsed} : $self->is_expired($view);
	return answers({ status => 'expired', replayed => 't' }) if $is_over;
	return answers(of_row('voided', $made->{id}, $view, 't', time_of($view, $op))) if $view->{voided};
	return $self->confirm($me, $made, $op) if defined $view->{hold} && !$op->{hold};
	return answers(of_row(defined $view->{hold} ? 'held' : 'redeemed', $made->{id}, $view, 't', time_of($view, $op)));
}

# --- confirm, void, check ------------------------------------------------------------

sub decide_confirm
{
	my ($self, $me, $op) = @_;
	my $look = $self->look($me, $op->{row});
	my $view = $look->{view} or return answers({ error => 'RC008' });
	return answers({ status => 'expired' }) if $view->{voided} ? $view->{lapsed} : $self->is_expired($view);
	return answers(of_row('voided', $op->{row}, $view, 'f', $view->{moment})) if $view->{voided};
	return answers(of_row('redeemed', $op->{row}, $view, 't', $view->{moment})) if !defined $view->{hold};
	return $self->confirm($me, $look, { amount => $op->{amount} });
}

# All of the row, or a part of its amount.
sub decide_void
{
	my ($self, $me, $op) = @_;
	my $look = $self->look($me, $op->{row});
	my $view = $look->{view} or return answers({ error => 'RC008' });
	return answers({ value => 'f' }) if $view->{voided};
	my $kept = defined $op->{amount} ? ($view->{amount} // 0) - $op->{amount} : 0;
	return answers({ error => '22023' }) if $kept < 0;
	my $return = $kept > 0 ? $self->return_units($me, "b:$view->{coupon}") : $self->return_shares($me, $view);
	return $return if $return->{rivals};
	return waits([ $look->{rival} ], grep { $_->{lock} } @{ $return->{effects} }) if $look->{rival};
	my $image = $kept > 0 ? { %$view, amount => $kept } : voided($view, 'model', $self->is_expired($view));
	return answers({ value => 't' }, { row => $op->{row}, image => $image }, @{ $return->{effects} });
}

sub decide_check
{
	my ($self, $me, $op) = @_;
	my $offer = $self->offer($me, $op->{coupon});
	my @own = grep { $_->{user} eq $op->{user} } map { $_->{view} } $self->views($me, $op->{coupon});
	my @holds = grep { defined $_->{hold} } @own;
	my $remaining_uses = defined $offer->{limit} ? max(0, $offer->{limit} - grep { !$self->is_expired($_) } @own) : undef;
	my ($units, $budget) = map { defined $self->granted($me, $_) ? $self->left($me, $_) : undef } $self->quotas_of($op->{coupon});
	my $refusal = judge_offer($offer, $op->{user});
	my $has_hold = any { !$refusal || !$self->is_expired($_) } @holds;
	my $status =
	    $has_hold ? 'redeemed'
	  : $refusal ? $refusal
	  : ($remaining_uses // 1) == 0 ? 'already_redeemed'
	  : ($units // 1) == 0 || ($budget // 1) == 0 ? 'sold_out'
	  : 'redeemed';
	return answers({ status => $status, remaining_uses => $remaining_uses, remaining_units => $units, remaining_budget => $budget });
}

# --- claims of several units, of several caps, by the function that only tests declare

sub decide_claim
{
	my ($self, $me, $op) = @_;
	my $supply = $self->claim_all($me, map { [ "c:$_->[0]", $_->[1] ] } @{ $op->{claims} });
	return $supply if $supply->{rivals};
	my @may_wait = (may_wait => $supply->{may_wait});
	return { %{ answers({ value => 'short' }, @{ $supply->{effects} }) }, @may_wait } if $supply->{refused};
	my @coupons = map { ($_->[0]) x $_->[1] } @{ $op->{claims} };
	my @made = map { { row => 'new', number => $_, image => { coupon => $coupons[$_], user => "$op->{user}-$_", use_no => 1 } } } 0 .. $#coupons;
	return { %{ answers({ value => 'taken' }, @{ $supply->{effects} }, @made) }, @may_wait };
}

1;
