# Transactions of the model (Model.pm), and what each sees.

package CouponGuard::Model::State;

use strict;
use warnings;

use CouponGuard::Model::Outcome qw(is_under);
use List::Util qw(any);

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
		elsif ($entry->{set_up}) { $self->{set_up}{ $entry->{set_up} } = 1 }
		elsif ($entry->{set}) { %{ $self->{owners}{ $entry->{owner} } } = (%{ $self->{owners}{ $entry->{owner} } }, %{ $entry->{set} }) }
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
	push @{ $open->{log} }, map { { touch => $_ } } grep { $self->spare($prepared, $_) > 0 } map { $self->quotas_of($_) } sort keys %{ $self->{owners} };
	return;
}

# What comes of $then if the transaction has done this already.
sub having_done
{
	my ($self, $me, $done, $then) = @_;
	local $self->{open}{$me}{log} = [ @{ $self->{open}{$me}{log} }, @$done ];
	return $then->();
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
	my ($self, @looks) = @_;
	my %names = map { $_->{rival} => 1 } grep { $_->{rival} } @looks;
	return sort keys %names;
}

# The coupon or the campaign as I see it.
sub offer
{
	my ($self, $me, $owner) = @_;
	my %offer = (%{ $self->{owners}{$owner} }, id => $owner);
	foreach my $entry (@{ $me eq '' ? [] : $self->{open}{$me}{log} })
	{
		%offer = (%offer, %{ $entry->{set} }) if $entry->{set} && $entry->{owner} eq $owner;
	}
	return \%offer;
}

# Live rows as I see them.
sub views
{
	my ($self, $me, $owner) = @_;
	return grep { $_->{view} && is_under($_->{view}, $owner) && !$_->{view}{voided} } map { $self->look($me, $_) } $self->all_ids;
}

sub is_expired
{
	my ($self, $image) = @_;
	return defined $image->{hold} && $image->{hold} <= $self->{now};
}

sub is_active { my ($self, $owner) = @_; return $self->{owners}{$owner}{active} eq 't' }

# Whether nobody has done anything to the coupon, or the campaign, that is not committed.
sub is_quiet
{
	my ($self, $owner) = @_;
	my @rows = grep { $_->{rival} } $self->looks('', sub { is_under($_[0], $owner) });
	my %own = map { $_ => 1 } $owner, $self->quotas_of($owner);
	return !@rows && !$self->who_logged('', sub { any { $own{ $_ // '' } } @{ $_[0] }{qw(owner set_up touch)} });
}

# Quotas that are not there, as after a restore.
sub forget_quotas
{
	my ($self, @owners) = @_;
	delete @{ $self->{set_up} }{ map { $self->quotas_of($_) } @owners };
	return;
}

1;
