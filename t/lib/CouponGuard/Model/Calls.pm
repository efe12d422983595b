# What the functions of the extension answer, in the model (Model.pm).

package CouponGuard::Model::Calls;

use strict;
use warnings;

use CouponGuard::Model::Outcome qw(waits answers before of_row voided is_under);
use List::Util qw(any max min sum0);

my $no_limit = 2147483647;

# --- redeem, hold -------------------------------------------------------------------

sub decide_redeem
{
	my ($self, $me, $op) = @_;
	my $offer = $self->offer($me, $op->{coupon});
	my $campaign = $self->campaign_of($me, $offer);
	if (defined $op->{request})
	{
		my ($made) = $self->looks($me, sub { $_[0]{user} eq $op->{user} && ($_[0]{request} // '') eq $op->{request} });
		return waits([ $made->{rival} ]) if $made && $made->{rival};
		return $self->replay($me, $made, $op) if $made;
	}
	my @uses = $self->uses($me, $offer->{id}, $op->{user});
	my @holds = sort { $b->{view}{use_no} <=> $a->{view}{use_no} } grep { !$_->{rival} && defined $_->{view}{hold} } @uses;
	my ($refusal, $by) = judge_offers($offer, $campaign, $op->{user});
	if ($refusal)
	{
		my ($live) = grep { may_use($_, $op) && !$self->is_expired($_->{view}) } @holds;
		return $live && !$op->{hold} ? $self->confirm($me, $live, $op) : answers(refused($campaign, $by, status => $refusal));
	}
	my @own = grep { may_use($_, $op) } @holds;
	my ($own) = ((grep { !$self->is_expired($_->{view}) } @own), @own); # a live one comes first
	return $self->use_hold($me, $own, $op) if $own;
	my @may_wait;
	my %number;
	foreach my $of ([ $offer, 'use_no', 'coupon' ], $campaign ? [ $campaign, 'campaign_use_no', 'campaign' ] : ())
	{
		my ($limited, $column, $owner) = @$of;
		my $found = $self->judge_uses($me, $limited, $column, $op);
		# Of the coupon a hold that has lapsed is ended even though others are undecided.
		return $self->end_lapsed_hold($me, $found->{lapsed}, $op) if $found->{lapsed} && ($owner eq 'coupon' || !$found->{rivals});
		return { %{ waits($found->{rivals}) }, or_if_let_go => [ map { $self->movers($me, $_->[0]) } claims_of($offer, $campaign, 1) ] } if $found->{rivals};
		my $latest = $found->{latest};
		my $is_used = sub { refused($campaign, $owner, %{ of_row('already_redeemed', $latest->{id}, $latest->{view}, 'f', time_of($latest->{view}, $op)) }) };
		return answers($is_used->()) if $found->{is_used_up};
		$number{$column} = $found->{free};
		push @may_wait, @{ $found->{may_wait} };
	}
	my $outcome = $self->redeem_new($me, $offer, $campaign, $op, %number);
	push @{ $outcome->{may_wait} }, @may_wait;
	return $outcome;
}

sub campaign_of
{
	my ($self, $me, $offer) = @_;
	return defined $offer->{campaign} ? $self->offer($me, "m$offer->{campaign}") : undef;
}

# A refusal says by which of the two, where there are two.
sub refused
{
	my ($campaign, $by, %answer) = @_;
	return { %answer, limited_by => $campaign ? $by : undef };
}

sub uses
{
	my ($self, $me, $owner, $user) = @_;
	return $self->looks($me, sub { is_under($_[0], $owner) && $_[0]{user} eq $user && !$_[0]{voided} });
}

# What the user has used of the coupon or campaign: a use number that is free, or that none is, or whom that hangs on; a hold that has
# lapsed, if its number is needed.
sub judge_uses
{
	my ($self, $me, $limited, $column, $op) = @_;
	my $limit = $limited->{limit} // $no_limit;
	my @uses = $self->uses($me, $limited->{id}, $op->{user});
	my @settled = sort { $b->{view}{moment} <=> $a->{view}{moment} } grep { !$_->{rival} } @uses;
	my %used = map { ($_->{view} // $_->{images}[0])->{$column} => 1 } @uses;
	if (keys %used >= $limit)
	{
		my ($lapsed) = sort { $a->{view}{$column} <=> $b->{view}{$column} } grep { $self->is_expired($_->{view}) } @settled;
		# It looks at its user's rows first and at the quotas then: if both change at once it may come to wait for the latter.
		return { lapsed => $lapsed, @settled >= $limit ? (is_used_up => 1, latest => $settled[0]) : (rivals => [ $self->rivals_of(@uses) ]) };
	}
	my $free = 1;
	$free++ while $used{$free};
	# A row counts once for every version it may turn out to be: so the user may wait although a use number is free.
	my $versions = sum0(map { $_->{rival} ? scalar(grep { !$_->{voided} } @{ $_->{images} }) : 1 } @uses);
	return { free => $free, may_wait => [ $versions >= $limit ? $self->rivals_of(@uses) : () ] };
}

# hold_coupon() differs in that it leaves a hold a hold.
sub decide_hold
{
	my ($self, $me, $op) = @_;
	return $self->decide_redeem($me, { %$op, hold => 1 });
}

# Why it cannot be redeemed now, and whose answer that is.
sub judge_offers
{
	my ($offer, $campaign, $user) = @_;
	return ('inactive', 'coupon') if $offer->{active} ne 't';
	return ('reserved', 'coupon') if defined $offer->{holder} && $offer->{holder} ne $user;
	return $campaign && $campaign->{active} ne 't' ? ('inactive', 'campaign') : ();
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
	my ($offer, $campaign, $amount) = @_;
	my @claims;
	foreach my $limited ($campaign // (), $offer)
	{
		my ($cap, $budget) = CouponGuard::Model::Quotas->quotas_of($limited->{id});
		push @claims, [ $cap, 1 ] if defined $limited->{cap};
		push @claims, [ $budget, $amount ] if defined $limited->{budget};
	}
	return @claims;
}

sub redeem_new
{
	my ($self, $me, $offer, $campaign, $op, %number) = @_;
	my $amount = $op->{amount};
	my @claims = claims_of($offer, $campaign, $amount);
	return answers({ error => '22004' }) if !defined $amount && any { $self->is_budget($_->[0]) } @claims;
	my $supply = $self->claim_all($me, @claims);
	return $supply if $supply->{rivals};
	my @may_wait = @{ $supply->{may_wait} // [] };
	if ($supply->{refused})
	{
		my $refuse = sub { my ($claim) = @_; return $self->refuse_claim($me, $claim, $offer, $campaign, $op, %number) };
		my $outcome = before($supply->{effects}, $self->having_done($me, $supply->{effects}, sub { $refuse->($supply->{refused}) }));
		# Which of several is told hangs on what the server remembers of them.
		my @others = grep { $_->[0] ne $supply->{refused}[0] && $self->is_refused($me, $_) } @claims;
		push @{ $outcome->{may_wait} }, @may_wait, map { $self->movers($me, $_->[0]) } @others;
		$outcome->{or_effects} = [ [ grep { !$_->{set_up} && !$_->{lock} && !$_->{touch} } @{ $outcome->{effects} } ], [] ] if !$self->{counting};
		push @{ $outcome->{or_answers} }, map { my $other = $refuse->($_); ($other->{answer} // (), @{ $other->{or_answers} // [] }) } @others;
		return $outcome;
	}
	my %made = (coupon => $op->{coupon}, user => $op->{user}, amount => $amount, request => $op->{request}, is_hold => $op->{hold}, %number);
	$made{campaign} = $offer->{campaign};
	my $answer = of_row($op->{hold} ? 'held' : 'redeemed', 'new', \%made, 'f', 'new');
	# Of a hold that it has ended for its units, and has waited for, the number is free by now.
	my @freed = map { $_->{image}{campaign_use_no} // () }
	  grep { $_->{row} && $_->{image} && $_->{image}{voided} && $_->{image}{user} eq $op->{user} && ($_->{image}{campaign} // '') eq ($made{campaign} // 'none') }
	  @{ $supply->{effects} };
	my @renumbered = map { [ @{ $supply->{effects} }, { row => 'new', image => { %made, campaign_use_no => $_ } } ] } @freed;
	return { %{ answers($answer, @{ $supply->{effects} }, { row => 'new', image => \%made }) }, may_wait => \@may_wait, or_effects => \@renumbered };
}

sub is_refused
{
	my ($self, $me, $claim) = @_;
	my $supply = $self->take($me, @$claim);
	return !$supply->{rivals} && !$supply->{taken};
}

# A quota has too few: what is left of a budget says how, and is claimed next by whoever takes that too.
sub refuse_claim
{
	my ($self, $me, $claim, $offer, $campaign, $op, %number) = @_;
	my $quota = $claim->[0];
	my $by = $quota =~ /^[CB]/ ? 'campaign' : 'coupon';
	my $sold_out = answers(refused($campaign, $by, status => 'sold_out'));
	return $sold_out if !$self->is_budget($quota);
	my $left = $self->left($me, $quota);
	my $insufficient = answers(refused($campaign, $by, status => 'insufficient', amount => $left));
	return $op->{up_to} ? $self->redeem_new($me, $offer, $campaign, { %$op, amount => $left }, %number) : $insufficient if $left > 0;
	return $sold_out if $self->{counting};
	my $any = $self->take($me, $quota, 1); # a rival may bring something
	return $op->{up_to} ? $any : $insufficient if $any->{rivals};
	# To the server that is not certain yet.
	my @unsure = (@{ $any->{may_wait} // [] }, $self->who_logged($me, sub { $_[0]{is_passing} }));
	return { %$sold_out, may_wait => \@unsure, or_answers => [ @unsure ? $insufficient->{answer} : () ] };
}

sub confirm
{
	my ($self, $me, $hold, $op) = @_;
	my $view = $hold->{view};
	my $less = defined $op->{amount} ? ($view->{amount} // 0) - $op->{amount} : 0;
	return answers({ error => '22023' }) if $less < 0;
	my $return = $less > 0 ? $self->return_amount($me, $view) : answers(undef);
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
	my ($self, $me, $hold, $op) = @_;
	my @had = $self->shares_of($hold->{view});
	my $ready = $self->prepare_quotas($me, grep { defined $self->granted($me, $_) } map { $_->[0] } @had);
	return $ready if $ready->{rivals};
	my @done = (@{ $ready->{effects} }, { row => $hold->{id}, image => voided($hold->{view}, 'hold expired', 1) });
	my @set_up = $self->having_done($me, \@done, sub { grep { $self->is_set_up($me, $_->[0]) } @had });
	push @done, map { { spare => $_->[0], units => $_->[1] } } @set_up;
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
	my $return = $kept > 0 ? $self->return_amount($me, $view) : $self->return_shares($me, $view);
	return $return if $return->{rivals};
	return waits([ $look->{rival} ], grep { $_->{lock} } @{ $return->{effects} }) if $look->{rival};
	my $image = $kept > 0 ? { %$view, amount => $kept } : voided($view, 'model', $self->is_expired($view));
	return answers({ value => 't' }, { row => $op->{row}, image => $image }, @{ $return->{effects} });
}

sub decide_check
{
	my ($self, $me, $op) = @_;
	my $offer = $self->offer($me, $op->{coupon});
	my $campaign = $self->campaign_of($me, $offer);
	my @own = grep { $_->{user} eq $op->{user} } map { $_->{view} } $self->views($me, $op->{coupon});
	my @holds = grep { defined $_->{hold} } @own;
	my ($refusal, $by) = judge_offers($offer, $campaign, $op->{user});
	my $has_hold = any { !$refusal || !$self->is_expired($_) } @holds;
	my (@uses, @units, @budgets, %status);
	foreach my $limited ($offer, $campaign // ())
	{
		my ($cap, $budget) = map { defined $self->granted($me, $_) ? $self->left($me, $_) : undef } $self->quotas_of($limited->{id});
		my $used = grep { $_->{user} eq $op->{user} && !$self->is_expired($_) } map { $_->{view} } $self->views($me, $limited->{id});
		my $left = defined $limited->{limit} ? max(0, $limited->{limit} - $used) : undef;
		push @uses, $left // ();
		push @units, $cap // ();
		push @budgets, $budget // ();
		$status{ $limited == $offer ? 'coupon' : 'campaign' } = { used_up => ($left // 1) == 0, sold_out => ($cap // 1) == 0 || ($budget // 1) == 0 };
	}
	my $status = 'redeemed';
	if (!$has_hold)
	{
		my @refusals = (
			$refusal ? [ $refusal, $by ] : (),
			(map { $status{$_}{used_up} ? [ 'already_redeemed', $_ ] : () } 'coupon', 'campaign'),
			map { $status{$_}{sold_out} ? [ 'sold_out', $_ ] : () } 'campaign', 'coupon');
		($status, $by) = @{ $refusals[0] // [ 'redeemed', undef ] };
	}
	return answers({
		status => $status, remaining_uses => min(@uses), remaining_units => min(@units), remaining_budget => min(@budgets),
		limited_by => $campaign && !$has_hold ? $by : undef });
}

# --- claims of several units, of several caps, by the function that only tests declare

sub decide_claim
{
	my ($self, $me, $op) = @_;
	my $supply = $self->claim_all($me, map { [ "c:$_->[0]", $_->[1] ] } @{ $op->{claims} });
	return $supply if $supply->{rivals};
	my @may_wait = (may_wait => $supply->{may_wait});
	my @if_remembered = $self->{counting} ? () : (or_effects => [ [] ]);
	return { %{ answers({ value => 'short' }, @{ $supply->{effects} }) }, @may_wait, @if_remembered } if $supply->{refused};
	my @coupons = map { ($_->[0]) x $_->[1] } @{ $op->{claims} };
	my @made = map { { row => 'new', number => $_, image => { coupon => $coupons[$_], user => "$op->{user}-$_", use_no => 1 } } } 0 .. $#coupons;
	return { %{ answers({ value => 'taken' }, @{ $supply->{effects} }, @made) }, @may_wait };
}

1;
