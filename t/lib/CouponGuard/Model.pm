# What the extension promises, as a model: who is told what, and who must wait for whom. No database, no clock.
#
# A row of the ledger has a committed image and, in the log of at most one open transaction, newer ones. A transaction's view is what
# is committed and what it has logged itself; a row that another has logged is undecided: it may be any of its images yet.
#
#   owners   owner => { cap, limit, budget, active, holder, campaign }        committed; undef: none. Of limits: a coupon, by its id, or a
#                                                                             campaign, 'm' and its id
#   set_up   quota => 1                                                       committed: the quota is counted. 'c:ID' is that of a coupon's
#                                                                             cap, 'b:ID' that of its budget, 'C:ID' and 'B:ID' a campaign's
#   rows     id => { coupon, user, use_no, campaign, campaign_use_no, amount, hold, voided, lapsed, reason, request, moment }
#                                                                             committed; hold: the deadline, as moment in microseconds;
#                                                                             lapsed: a hold that was voided when that had passed
#   open     name => { log => [...], marks => [[savepoint, log's length] ...], held => [...] }
#   counting                                                                  true while triggers are off: there are no quotas, each redemption counts
#
# A log's entry is one of
#   { row => id, image => {...} }               undef: deleted; is_passing: it was a row for one moment only, and never can be again
#   { owner => owner, set => {...} }            the row of the coupon or campaign changed
#   { owner => owner, lock => 1, 'share' or 'key' }
#                                               ... or locked: by whoever sets up a quota, must know that nobody does, or refers to it
#   { set_up => quota }, { touch => quota }     the quota set up; units of it moved
#   { spare => quota, units => n or -n }        units that were in use kept ahead, or used from there: no stripe is touched
#   { perhaps => owner }                        that row perhaps locked: by whoever had to wait for that
# Held is what the statement at hand has logged when it waits.
#
# Where units are is the one thing the model is told: B<busy>, by quota and transaction, the committed units in stripes that an open
# transaction has locked. Nobody else can have them.
#
# What comes of an operation is an outcome (Model/Outcome.pm).

package CouponGuard::Model;

use strict;
use warnings;

use parent qw(CouponGuard::Model::State CouponGuard::Model::Quotas CouponGuard::Model::Calls CouponGuard::Model::Statements);

sub new
{
	my ($class, %owners) = @_;
	return bless { owners => \%owners, set_up => {}, rows => {}, open => {}, busy => {}, now => 0 }, $class;
}

# What comes of $op of transaction $me, if nobody else does anything.
sub decide
{
	my ($self, $me, $op) = @_;
	my $decide = $self->can("decide_$op->{kind}");
	local $self->{open}{$me}{held} = [];
	my $outcome = $self->$decide($me, $op);
	my %locked = map { $_ => 1 } grep { $_ } $op->{for_lock}, $outcome->{for_lock}, map { $_->{owner} } @{ $outcome->{effects} };
	push @{ $outcome->{may_wait} }, $self->who_logged($me, sub { $locked{ $_[0]{perhaps} // '' } || $_[0]{is_passing} });
	return $outcome;
}

1;
