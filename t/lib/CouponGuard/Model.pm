# What the extension promises, as a model: who is told what, and who must wait for whom. No database, no clock.
#
# A row of the ledger has a committed image and, in the log of at most one open transaction, newer ones. A transaction's view is what
# is committed and what it has logged itself; a row that another has logged is undecided: it may be any of its images yet.
#
#   coupons  id => { cap, limit, active, set_up }                             committed; set_up: its quota is counted
#   rows     id => { coupon, user, use_no, hold, voided, lapsed, reason, request, moment }
#                                                                             committed; hold: the deadline, as moment in microseconds;
#                                                                             lapsed: a hold that was voided when that had passed
#   open     name => { log => [...], marks => [[savepoint, log's length] ...], held => [...] }
#   counting                                                                  true while triggers are off: there are no quotas, each redemption counts
#
# A log's entry is one of
#   { row => id, image => {...} }               undef: deleted; is_passing: it was a row for one moment only, and never can be again
#   { coupon => id, set => {...} }              the coupon's row changed
#   { coupon => id, lock => 1 or 'share' }      ... or locked: whoever sets up a quota, or must know that nobody does
#   { set_up => id }, { touch => id }           the quota set up; units of it moved
#   { spare => id, units => n or -n }           units that were in use kept ahead, or used from there: no stripe is touched
#   { perhaps => id }                           the coupon's row perhaps locked: by whoever had to wait for that
# Held is what the statement at hand has logged when it waits.
#
# Where units are is the one thing the model is told: B<busy>, by coupon and transaction, the committed units in stripes that an open
# transaction has locked. Nobody else can have them.

package CouponGuard::Model;

use strict;
use warnings;

use List::Util qw(any first max none sum0);

sub new
{
	my ($class, %coupons) = @_;
	return bless { coupons => \%coupons, rows => {}, open => {}, busy => {}, now => 0 }, $class;
}

# --- transactions -------------------------------------------------------------

sub begin
{
	my ($self, $name) = @_;
	$self->{open}{$name} = { log => [], marks => [], held => [] };
	return;
}

sub savepoint
{
	my ($self, $name, $savepoint) = @_;
	my $open = $self->{open}{$name};
	push @{ $open->{marks} }, [ $savepoint, scalar @{ $open->{log} } ];
	return;
}

sub rollback_to
{
	my ($self, $name, $savepoint) = @_;
	my $open = $self->{open}{$name};
	pop @{ $open->{marks} } while $open->{marks}[-1][0] ne $savepoint;
	$#{ $open->{log} } = $open->{marks}[-1][1] - 1;
	return;
}

sub release
{
	my ($self, $name, $savepoint) = @_;
	my $marks = $self->{open}{$name}{marks};
	1 while (pop @$marks)->[0] ne $savepoint;
	return;
}

# An error takes what was done since the last savepoint.
sub fail
{
	my ($self, $name) = @_;
	my $open = $self->{open}{$name};
	$open->{held} = [];
	$#{ $open->{log} } = (@{ $open->{marks} } ? $open->{marks}[-1][1] : 0) - 1;
	return;
}

sub commit
{
	my ($self, $name) = @_;
	foreach my $entry (@{ (delete $self->{open}{$name})->{log} })
	{
		if ($entry->{row} && $entry->{image}) { $self->{rows}{ $entry->{row} } = $entry->{image} }
		elsif ($entry->{row}) { delete $self->{rows}{ $entry->{row} } }
		elsif ($entry->{set_up}) { $self->{coupons}{ $entry->{set_up} }{set_up} = 1 }
		elsif ($entry->{set}) { %{ $self->{coupons}{ $entry->{coupon} } } = (%{ $self->{coupons}{ $entry->{coupon} } }, %{ $entry->{set} }) }
	}
	return;
}

sub roll_back
{
	my ($self, $name) = @_;
	delete $self->{open}{$name};
	return;
}

sub prepare
{
	my ($self, $name, $prepared) = @_;
	my $open = $self->{open}{$prepared} = delete $self->{open}{$name};
	# What is left of units ahead goes back to the stripes.
	push @{ $open->{log} }, map { { touch => $_ } } grep { $self->spare($prepared, $_) > 0 } sort keys %{ $self->{coupons} };
	return;
}

# --- what a transaction sees ----------------------------------------------------

sub others
{
	my ($self, $me) = @_;
	return grep { $_ ne $me } sort keys %{ $self->{open} };
}

sub logged
{
	my ($self, $name) = @_;
	return (@{ $self->{open}{$name}{log} }, @{ $self->{open}{$name}{held} });
}

# The other open transactions that have logged an entry of this kind.
sub who_logged
{
	my ($self, $me, $test) = @_;
	return grep { any { $test->($_) } $self->logged($_) } $self->others($me);
}

sub all_ids
{
	my ($self) = @_;
	my %ids = map { $_ => 1 } keys %{ $self->{rows} }, map { $_->{row} // () } map { $self->logged($_) } keys %{ $self->{open} };
	return sort { $a <=> $b } keys %ids;
}

# How I see a row ('' sees what is committed); and if another has logged it, who, and all that it may turn out to be.
sub look
{
	my ($self, $me, $id) = @_;
	my @own = grep { ($_->{row} // 0) == $id } @{ $me eq '' ? [] : $self->{open}{$me}{log} };
	my %look = (id => $id, view => @own ? $own[-1]{image} : $self->{rows}{$id}, images => []);
	($look{rival}) = $self->who_logged($me, sub { ($_[0]{row} // 0) == $id });
	$look{images} = [ grep { $_ } $self->{rows}{$id} // (), map { $_->{image} } grep { ($_->{row} // 0) == $id } $self->logged($look{rival}) ]
	  if $look{rival};
	return \%look;
}

# All rows of which $test holds, in my view or, with a rival, in any of the images.
sub looks
{
	my ($self, $me, $test) = @_;
	return grep { my $look = $_; any { $test->($_) } $look->{rival} ? @{ $look->{images} } : $look->{view} // () }
	  map { $self->look($me, $_) } $self->all_ids;
}

sub rivals_of
{
	my %names = map { $_->{rival} => 1 } grep { $_->{rival} } @_;
	return sort keys %names;
}

sub offer
{
	my ($self, $me, $coupon) = @_;
	my %offer = (%{ $self->{coupons}{$coupon} }, id => $coupon);
	foreach my $entry (@{ $self->{open}{$me}{log} })
	{
		%offer = (%offer, %{ $entry->{set} }) if $entry->{set} && $entry->{coupon} == $coupon;
		$offer{set_up} = 1 if ($entry->{set_up} // 0) == $coupon;
	}
	return \%offer;
}

sub views
{
	my ($self, $me, $coupon) = @_;
	return grep { $_->{view} && $_->{view}{coupon} == $coupon && !$_->{view}{voided} } map { $self->look($me, $_) } $self->all_ids;
}

sub is_expired
{
	my ($self, $image) = @_;
	return defined $image->{hold} && $image->{hold} <= $self->{now};
}

# Units that I can have without waiting: all there are, but for those that others have locked.
sub units
{
	my ($self, $me, $offer) = @_;
	my $busy = sum0(map { $self->{busy}{ $offer->{id} }{$_} // 0 } $self->others($me));
	return $offer->{cap} - $self->views($me, $offer->{id}) - $busy;
}

# Units that I have kept ahead. (Those that the server takes ahead are not told: their stripes are touched.)
sub spare
{
	my ($self, $me, $coupon) = @_;
	return sum0(map { $_->{units} } grep { ($_->{spare} // 0) == $coupon } @{ $self->{open}{$me}{log} });
}

sub offer_is_active { my ($self, $coupon) = @_; return $self->{coupons}{$coupon}{active} eq 't' }

# Whether nobody has done anything to the coupon that is not committed.
sub is_quiet
{
	my ($self, $coupon) = @_;
	my @rows = grep { $_->{rival} } $self->looks('', sub { $_[0]{coupon} == $coupon });
	return !@rows && !$self->who_logged('', sub { any { ($_ // 0) == $coupon } @{ $_[0] }{qw(coupon set_up touch)} });
}

# --- outcomes -------------------------------------------------------------------

sub waits { my ($rivals, @held) = @_; return { rivals => $rivals, effects => \@held } }
sub answers { my ($answer, @effects) = @_; return { answer => $answer, effects => \@effects } }

sub of_row
{
	my ($status, $id, $image, $replayed, $moment) = @_;
	return { status => $status, id => $id, use_no => $image->{use_no}, replayed => $replayed, moment => $moment };
}

# What comes of $op of transaction $me, if nobody else does anything: { answer, effects }; or { rivals, effects } if it waits for one of
# these. Where it may wait for others, without need: { may_wait }, or { or_if_let_go } of a call that has waited already. What is 'new'
# in answer and effects is only known when it has happened.
sub decide
{
	my ($self, $me, $op) = @_;
	my $decide = $self->can("decide_$op->{kind}");
	local $self->{open}{$me}{held} = [];
	my $outcome = $self->$decide($me, $op);
	my %locked = map { $_ => 1 } grep { $_ } $op->{for_lock}, $outcome->{for_lock}, map { $_->{coupon} } @{ $outcome->{effects} };
	push @{ $outcome->{may_wait} }, $self->who_logged($me, sub { $locked{ $_[0]{perhaps} // 0 } || $_[0]{is_passing} });
	return $outcome;
}

sub decide_redeem
{
	my ($self, $me, $op) = @_;
	my $offer = $self->offer($me, $op->{coupon});
	if (defined $op->{request})
	{
		my ($made) = $self->looks($me, sub { $_[0]{user} eq $op->{user} && ($_[0]{request} // '') eq $op->{request} });
		return waits([ $made->{rival} ]) if $made && $made->{rival};
		return $self->replay($made, $op) if $made;
	}
	my @uses = $self->looks($me, sub { $_[0]{coupon} == $op->{coupon} && $_[0]{user} eq $op->{user} && !$_[0]{voided} });
	my @holds = sort { $b->{view}{use_no} <=> $a->{view}{use_no} } grep { !$_->{rival} && defined $_->{view}{hold} } @uses;
	if ($offer->{active} ne 't')
	{
		my ($live) = grep { may_use($_, $op) && !$self->is_expired($_->{view}) } @holds;
		return $live && !$op->{hold} ? confirmed($live, $op) : answers({ status => 'inactive' });
	}
	my @own = grep { may_use($_, $op) } @holds;
	my ($own) = ((grep { !$self->is_expired($_->{view}) } @own), @own); # a live one comes first
	return $self->use_hold($own, $op) if $own;
	my @settled = sort { $b->{view}{moment} <=> $a->{view}{moment} } grep { !$_->{rival} } @uses;
	my %used = map { ($_->{view} // $_->{images}[0])->{use_no} => 1 } @uses;
	my ($lapsed) = reverse grep { $self->is_expired($_->{view}) } @holds;
	return $self->end_lapsed_hold($me, $lapsed, $op) if $lapsed && keys %used >= $offer->{limit};
	my $latest = $settled[0];
	return answers(of_row('already_redeemed', $latest->{id}, $latest->{view}, 'f', time_of($latest->{view}, $op))) if @settled >= $offer->{limit};
	# It looks at its user's rows first and at the quota then: if both change at once it may come to wait for the latter.
	return { %{ waits([ rivals_of(@uses) ]) }, or_if_let_go => [ $self->movers($me, $offer->{id}) ] } if keys %used >= $offer->{limit};
	my $use_no = first { !$used{$_} } 1 .. $offer->{limit};
	my $supply = $self->take_units($me, $offer, 1);
	# A row counts once for every version it may turn out to be: so the user may wait although a use number is free.
	my $versions = sum0(map { $_->{rival} ? scalar(grep { !$_->{voided} } @{ $_->{images} }) : 1 } @uses);
	$supply->{may_wait} = [ rivals_of(@uses) ] if $versions >= $offer->{limit};
	return $supply if $supply->{rivals};
	my %made = (coupon => $op->{coupon}, user => $op->{user}, use_no => $use_no, request => $op->{request}, is_hold => $op->{hold});
	my $outcome =
	  $supply->{taken}
	  ? answers(of_row($op->{hold} ? 'held' : 'redeemed', 'new', \%made, 'f', 'new'), @{ $supply->{effects} }, { row => 'new', image => \%made })
	  : answers({ status => 'sold_out' }, @{ $supply->{effects} });
	return { %$outcome, may_wait => $supply->{may_wait} };
}

# hold_coupon() differs in that it leaves a hold a hold.
sub decide_hold
{
	my ($self, $me, $op) = @_;
	return $self->decide_redeem($me, { %$op, hold => 1 });
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

sub confirmed
{
	my ($hold, $op) = @_;
	my %image = (%{ $hold->{view} }, hold => undef, moment => 'new', request => $op->{request} // $hold->{view}{request});
	return answers(of_row('redeemed', $hold->{id}, \%image, 'f', 'new'), { row => $hold->{id}, image => \%image });
}

sub use_hold
{
	my ($self, $hold, $op) = @_;
	return confirmed($hold, $op) if !$op->{hold};
	my $view = $hold->{view};
	my $is_live = !$self->is_expired($view);
	my %image = (%$view, hold => $is_live ? $view->{hold} : 'new', request => $view->{request} // $op->{request});
	my $is_adopted = ($view->{request} // '') ne ($image{request} // '');
	return answers(of_row('held', $hold->{id}, \%image, $is_live ? 't' : 'f', $image{hold}),
		$is_live && !$is_adopted ? () : { row => $hold->{id}, image => \%image });
}

# Another request's hold has lapsed: it is ended, and its unit is there for this one.
sub end_lapsed_hold
{
	my ($self, $me, $hold, $op) = @_;
	my $return = $self->return_unit($me, $op->{coupon});
	return $return if $return->{rivals};
	my @done = ({ row => $hold->{id}, image => voided($hold->{view}, 'hold expired', 1) },
		map { $_->{touch} ? { spare => $_->{touch}, units => 1 } : $_ } @{ $return->{effects} });
	local $self->{open}{$me}{log} = [ @{ $self->{open}{$me}{log} }, @done ];
	my $outcome = $self->decide_redeem($me, $op);
	return { %$outcome, effects => [ @done, @{ $outcome->{effects} } ] };
}

sub voided
{
	my ($view, $reason, $is_lapsed) = @_;
	return { %$view, is_passing => undef, voided => 1, lapsed => $is_lapsed ? 1 : '', reason => $reason };
}

sub replay
{
	my ($self, $made, $op) = @_;
	my $view = $made->{view};
	return answers({ error => 'RC007' }) if $view->{coupon} != $op->{coupon};
	my $is_over = $view->{voided} ? $view->{lapsed} : $self->is_expired($view);
	return answers({ status => 'expired', replayed => 't' }) if $is_over;
	return answers(of_row('voided', $made->{id}, $view, 't', time_of($view, $op))) if $view->{voided};
	return confirmed($made, $op) if defined $view->{hold} && !$op->{hold};
	return answers(of_row(defined $view->{hold} ? 'held' : 'redeemed', $made->{id}, $view, 't', time_of($view, $op)));
}

# { taken, effects }, or waits. Units of stripes first; if there are none, and nobody can bring one, those of expired holds.
sub take_units
{
	my ($self, $me, $offer, $wanted, @done) = @_;
	my $coupon = $offer->{id};
	return { taken => 1, effects => [ @done, { spare => $coupon, units => -1 } ] } if $wanted == 1 && $self->spare($me, $coupon) > 0;
	if (!$offer->{set_up})
	{
		my $setting = $self->set_up_quota($me, $coupon, @done);
		return $setting if $setting->{rivals};
		push @done, @{ $setting->{effects} };
	}
	my $units = $self->units($me, $offer);
	my @touch = $self->{counting} ? () : { touch => $coupon };
	return { taken => $wanted, effects => [ @done, @touch ] } if $units >= $wanted;
	push @done, @touch if $units > 0;
	my @movers = $self->movers($me, $coupon);
	return waits(\@movers, @done) if @movers;
	my $is_expired = sub { my ($image) = @_; $image->{coupon} == $coupon && !$image->{voided} && !$image->{is_passing} && $self->is_expired($image) };
	my @expired = $self->looks($me, $is_expired);
	# The row that the unit is for may itself be such a hold.
	my @own = map { { id => $_->{row}, view => $_->{image} } } grep { $_->{row} && $is_expired->($_->{image}) } @done;
	my @settled = sort { $a->{view}{hold} <=> $b->{view}{hold} } @own, grep { !$_->{rival} } @expired;
	my $missing = $wanted - max($units, 0);
	my @taken = splice @settled, 0, $missing;
	push @done, map { { row => $_->{id}, image => voided($_->{view}, 'hold expired', 1) } } @taken;
	my %is_taken = map { $_->{id} => 1 } @taken;
	@done = map { $is_taken{ $_->{row} // 0 } && !$_->{image}{voided} ? { %$_, is_passing => 1, image => { %{ $_->{image} }, is_passing => 1 } } : $_ } @done;
	return { taken => $wanted, effects => \@done } if @taken == $missing;
	my @rivals = rivals_of(@expired);
	return waits(\@rivals, @done) if @rivals;
	return { taken => 0, effects => [ grep { !$_->{row} } @done ] };
}

# --- claims of several units, of several quotas, by the function that only tests declare

# The units of a quota as a claim finds them: free, mine among them; of expired holds; and the most that there would be if each rival
# ended in the way that brings most.
sub claimable
{
	my ($self, $me, $offer) = @_;
	my $coupon = $offer->{id};
	my $is_expired = sub { my ($image) = @_; $image->{coupon} == $coupon && !$image->{voided} && $self->is_expired($image) };
	my @expired = $self->looks($me, $is_expired);
	my $most = $offer->{cap} - $self->views($me, $coupon);
	foreach my $rival ($self->others($me))
	{
		my %last = map { $_->{row} => $_->{image} } grep { $_->{row} } $self->logged($rival);
		my $is_live = sub { my ($image) = @_; $image && $image->{coupon} == $coupon && !$image->{voided} ? 1 : 0 };
		my $back = sum0(map { $is_live->($self->{rows}{$_}) - $is_live->($last{$_}) } keys %last);
		my ($set) = reverse grep { $_->{set} && $_->{coupon} == $coupon && defined $_->{set}{cap} } $self->logged($rival);
		$most += max(0, $back + ($set ? $set->{set}{cap} - $offer->{cap} : 0));
	}
	return { free => max(0, $self->units($me, $offer)), expired => \@expired, most => $most + @expired };
}

# All of the amount or, while it may become enough, a wait; or too few. Of the rivals' stripes the server counts the best of each, so it
# may wait where there would be too few in any case.
sub take_amount
{
	my ($self, $me, $offer, $amount) = @_;
	my $coupon = $offer->{id};
	my @done;
	my $spare = $self->spare($me, $coupon);
	return { taken => 1, effects => [ { spare => $coupon, units => -$amount } ] } if $spare >= $amount;
	if (!$offer->{set_up})
	{
		my $setting = $self->set_up_quota($me, $coupon);
		return $setting if $setting->{rivals};
		push @done, @{ $setting->{effects} };
	}
	my $found = $self->claimable($me, $offer);
	my @settled = sort { $a->{view}{hold} <=> $b->{view}{hold} } grep { !$_->{rival} } @{ $found->{expired} };
	my @movers = $self->movers($me, $coupon);
	my $missing = $amount - $found->{free};
	# With the rivals' units there may be enough without holds.
	my @rivals = (@movers, rivals_of(@{ $found->{expired} }));
	if ($missing > 0 && $found->{most} >= $amount && @rivals)
	{
		return waits(\@rivals) if $missing > @settled;
		return { taken => 1, effects => [ @done, $self->amount_effects($coupon, $spare, \@settled, $missing) ], may_wait => \@rivals };
	}
	return { taken => 0, effects => \@done, may_wait => \@rivals } if $missing > @settled;
	return { taken => 1, effects => [ @done, $self->amount_effects($coupon, $spare, \@settled, $missing) ] };
}

sub amount_effects
{
	my ($self, $coupon, $spare, $settled, $missing) = @_;
	my @ended = $missing > 0 ? @{$settled}[ 0 .. $missing - 1 ] : ();
	return ($spare > 0 ? { spare => $coupon, units => -$spare } : (), $self->{counting} ? () : { touch => $coupon },
		map { { row => $_->{id}, image => voided($_->{view}, 'hold expired', 1) } } @ended);
}

sub decide_claim
{
	my ($self, $me, $op) = @_;
	my @claims = @{ $op->{claims} };
	foreach my $claim (@claims[ 1 .. $#claims ])
	{
		my $offer = $self->offer($me, $claim->[0]);
		next if !$offer->{set_up};
		my $supply = $self->take_amount($me, $offer, $claim->[1]);
		next if $supply->{rivals} || $supply->{taken};
		# If that is not certain yet, to the server, the claims before it come first.
		my @unsure = @{ $supply->{may_wait} // [] } ? map { $self->movers($me, $_->[0]) } @claims : ();
		return { %{ answers({ value => 'short' }) }, may_wait => [ @{ $supply->{may_wait} // [] }, @unsure ] };
	}
	my (@done, @kept, @may_wait);
	foreach my $claim (@claims)
	{
		my ($coupon, $amount) = @$claim;
		my $supply = $self->take_amount($me, $self->offer($me, $coupon), $amount);
		push @may_wait, @{ $supply->{may_wait} // [] };
		return { %{ waits($supply->{rivals}, @done, @kept, @{ $supply->{effects} }) }, may_wait => \@may_wait } if $supply->{rivals};
		push @done, @{ $supply->{effects} };
		return { %{ answers({ value => 'short' }, @done, @kept) }, may_wait => \@may_wait } if !$supply->{taken};
		push @kept, { spare => $coupon, units => $amount };
	}
	my @coupons = map { ($_->[0]) x $_->[1] } @claims;
	my @made = map { { row => 'new', number => $_, image => { coupon => $coupons[$_], user => "$op->{user}-$_", use_no => 1 } } } 0 .. $#coupons;
	return { %{ answers({ value => 'taken' }, @done, @made) }, may_wait => \@may_wait };
}

# Who has moved units, or locked some.
sub movers
{
	my ($self, $me, $coupon) = @_;
	my $busy = $self->{busy}{$coupon} // {};
	my %movers = map { $_ => 1 } $self->who_logged($me, sub { ($_[0]{touch} // 0) == $coupon }), grep { $busy->{$_} } $self->others($me);
	return sort keys %movers;
}

# Whoever sets up the quota must know every row, and that the cap stays. So must who counts because there is none.
sub set_up_quota
{
	my ($self, $me, $coupon, @done) = @_;
	my @setters = $self->who_logged($me, sub { ($_[0]{set_up} // 0) == $coupon || ($_[0]{coupon} // 0) == $coupon });
	return { %{ waits(\@setters, @done) }, for_lock => $coupon } if @setters;
	push @done, { coupon => $coupon, lock => 1 };
	my @rivals = $self->rivals_on_live_rows($me, $coupon);
	return waits(\@rivals, @done) if @rivals;
	return answers(undef, { coupon => $coupon, lock => 1 }, $self->{counting} ? () : ({ set_up => $coupon }, { touch => $coupon }));
}

sub rivals_on_live_rows
{
	my ($self, $me, $coupon) = @_;
	return rivals_of($self->looks($me, sub { $_[0]{coupon} == $coupon && !$_[0]{voided} }));
}

sub decide_check
{
	my ($self, $me, $op) = @_;
	my $offer = $self->offer($me, $op->{coupon});
	my @live = map { $_->{view} } $self->views($me, $op->{coupon});
	my @own = grep { $_->{user} eq $op->{user} } @live;
	my @holds = grep { defined $_->{hold} } @own;
	my $remaining_uses = max(0, $offer->{limit} - grep { !$self->is_expired($_) } @own);
	my $remaining_units = max(0, $offer->{cap} - @live) + grep { $self->is_expired($_) } @live;
	my $has_hold = any { $offer->{active} eq 't' || !$self->is_expired($_) } @holds;
	my $status =
	    $has_hold ? 'redeemed'
	  : $offer->{active} ne 't' ? 'inactive'
	  : $remaining_uses == 0 ? 'already_redeemed'
	  : $remaining_units == 0 ? 'sold_out'
	  : 'redeemed';
	return answers({ status => $status, remaining_uses => $remaining_uses, remaining_units => $remaining_units });
}

sub decide_confirm
{
	my ($self, $me, $op) = @_;
	my $look = $self->look($me, $op->{row});
	my $view = $look->{view} or return answers({ error => 'RC008' });
	return answers({ status => 'expired' }) if $view->{voided} ? $view->{lapsed} : $self->is_expired($view);
	return answers(of_row('voided', $op->{row}, $view, 'f', $view->{moment})) if $view->{voided};
	return answers(of_row('redeemed', $op->{row}, $view, 't', $view->{moment})) if !defined $view->{hold};
	return waits([ $look->{rival} ]) if $look->{rival};
	return confirmed($look, {});
}

sub decide_void
{
	my ($self, $me, $op) = @_;
	my $look = $self->look($me, $op->{row});
	my $view = $look->{view} or return answers({ error => 'RC008' });
	return answers({ value => 'f' }) if $view->{voided};
	my $return = $self->return_unit($me, $view->{coupon});
	return $return if $return->{rivals};
	return waits([ $look->{rival} ], grep { $_->{lock} } @{ $return->{effects} }) if $look->{rival};
	return answers({ value => 't' }, { row => $op->{row}, image => voided($view, 'model', $self->is_expired($view)) }, @{ $return->{effects} });
}

# Where there is no quota to return it to, nobody may be setting one up.
sub return_unit
{
	my ($self, $me, $coupon, @done) = @_;
	return answers(undef, @done) if $self->{counting};
	return answers(undef, @done, { touch => $coupon }) if $self->offer($me, $coupon)->{set_up};
	my @setters = $self->who_logged($me,
		sub { ($_[0]{set_up} // 0) == $coupon || ($_[0]{coupon} // 0) == $coupon && ($_[0]{lock} // '') ne 'share' });
	return { %{ waits(\@setters, @done) }, for_lock => $coupon } if @setters;
	return answers(undef, @done, { coupon => $coupon, lock => 'share' });
}

# --- plain SQL --------------------------------------------------------------------

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
	my $entry = { row => $op->{row}, image => undef };
	my $return = $view->{voided} ? answers(undef, $entry) : $self->return_unit($me, $view->{coupon}, $entry);
	return $return->{rivals} ? $return : answers({ value => 1 }, @{ $return->{effects} });
}

sub decide_strike
{
	my ($self, $me, $op) = @_;
	my ($view, $outcome) = $self->find_to_change($me, $op, sub { !$_[0]{voided} });
	return $outcome if $outcome;
	my $return = $self->return_unit($me, $view->{coupon}, { row => $op->{row}, image => voided($view, '', $self->is_expired($view)) });
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
	return $self->follow_made_row($me, { row => $op->{row}, image => { %$view, voided => undef, lapsed => undef, reason => undef } });
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
	return $self->follow_made_row($me, { row => $op->{row}, image => { map { $_ => $op->{$_} } qw(coupon user use_no hold request moment) } });
}

# A live row that plain SQL has made needs a unit. Where there is no quota all rows are counted, this one too.
sub follow_made_row
{
	my ($self, $me, $entry) = @_;
	my $coupon = $entry->{image}{coupon};
	my $offer = $self->offer($me, $coupon);
	if ($offer->{set_up})
	{
		my $supply = $self->take_units($me, $offer, 1, $entry);
		return $supply if $supply->{rivals};
		return $supply->{taken} ? answers({ value => 1 }, @{ $supply->{effects} }) : answers({ error => 'RC006' });
	}
	my $looking = $self->return_unit($me, $coupon, $entry);
	return $looking if $looking->{rivals};
	my $setting = $self->set_up_quota($me, $coupon, @{ $looking->{effects} });
	return $setting if $setting->{rivals};
	return answers({ error => 'RC006' }) if $self->views($me, $coupon) + 1 > $offer->{cap};
	return answers({ value => 1 }, $entry, @{ $setting->{effects} });
}

sub decide_expire
{
	my ($self, $me, $op) = @_;
	my ($view, $outcome) = $self->find_to_change($me, $op, sub { !$_[0]{voided} && defined $_[0]{hold} });
	return $outcome || answers({ value => 1 }, { row => $op->{row}, image => { %$view, hold => $op->{deadline} } });
}

sub decide_activate
{
	my ($self, $me, $op) = @_;
	my @rivals = $self->who_logged($me, sub { ($_[0]{coupon} // 0) == $op->{coupon} });
	return { %{ waits(\@rivals) }, for_lock => $op->{coupon} } if @rivals;
	return answers({ value => 1 }, { coupon => $op->{coupon}, set => { active => $op->{active} } });
}

# Several coupons in one command.
sub decide_reopen
{
	my ($self, $me, $op) = @_;
	my %changed = map { $_ => 1 } @{ $op->{coupons} };
	my @rivals = $self->who_logged($me, sub { $changed{ $_[0]{coupon} // 0 } });
	return waits(\@rivals) if @rivals;
	return answers({ value => scalar keys %changed }, map { { coupon => $_, set => { active => 't' } } } @{ $op->{coupons} });
}

sub decide_cap
{
	my ($self, $me, $op) = @_;
	my $coupon = $op->{coupon};
	my @rivals = $self->who_logged($me, sub { ($_[0]{coupon} // 0) == $coupon });
	return { %{ waits(\@rivals) }, for_lock => $coupon } if @rivals;
	my $offer = $self->offer($me, $coupon);
	my $less = $offer->{cap} - $op->{cap};
	my $entry = { coupon => $coupon, set => { cap => $op->{cap} } };
	return answers({ value => 1 }, $entry) if $less == 0 || (!$offer->{set_up} && $less < 0);
	if (!$offer->{set_up})
	{
		my @users = $self->rivals_on_live_rows($me, $coupon);
		return waits(\@users, $entry) if @users;
		return answers({ error => '23514' }) if $self->views($me, $coupon) > $op->{cap};
		return answers({ value => 1 }, $entry);
	}
	my $spare = $self->spare($me, $coupon);
	my @entries = ($entry, $spare > 0 ? { spare => $coupon, units => -$spare } : ());
	return answers({ value => 1 }, @entries) if $less == $spare;
	return answers({ value => 1 }, @entries, { touch => $coupon }) if $less < $spare;
	my $supply = $self->take_units($me, $offer, $less, @entries);
	return $supply if $supply->{rivals};
	return answers({ error => '23514' }) if !$supply->{taken};
	return answers({ value => 1 }, @{ $supply->{effects} });
}

1;
