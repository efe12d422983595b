# What comes of an operation: { answer, effects }; or { rivals, effects } if it waits for one of these, with those effects as long as it
# waits. Effects are entries of a log. What is 'new' in answer and effects is only known when it has happened.
#
#   kept           of one that waits: what it has done for good, and will not do again when it goes on
#   for_lock       of one that waits: the coupon whose row it waits for
#   may_wait       for whom it may wait without need
#   or_if_let_go   for whom, if it has waited already
#   or_answers     others, as good
#   or_effects     others, as possible: of a refusal, those of a backend that has known it before, or has known so of one of the quotas

package CouponGuard::Model::Outcome;

use strict;
use warnings;

use Exporter qw(import);

our @EXPORT_OK = qw(waits waits_after answers before of_row voided is_under);

sub waits { my ($rivals, @held) = @_; return { rivals => $rivals, effects => \@held } }
sub answers { my ($answer, @effects) = @_; return { answer => $answer, effects => \@effects } }

# The outcome of what was begun with these effects.
sub before
{
	my ($done, $outcome) = @_;
	return { %$outcome, effects => [ @$done, @{ $outcome->{effects} } ] };
}

# The same of one that will not do again what it has done.
sub waits_after
{
	my ($done, $outcome) = @_;
	return { %$outcome, kept => [ @$done, @{ $outcome->{kept} // [] } ] };
}

sub of_row
{
	my ($status, $id, $image, $replayed, $moment) = @_;
	return { status => $status, id => $id, use_no => $image->{use_no}, replayed => $replayed, moment => $moment, amount => $image->{amount} };
}

# Whether the row counts for the coupon, or the campaign.
sub is_under
{
	my ($image, $owner) = @_;
	return $owner =~ /^m/ ? defined $image->{campaign} && "m$image->{campaign}" eq $owner : $image->{coupon} == $owner;
}

sub voided
{
	my ($view, $reason, $is_lapsed) = @_;
	return { %$view, is_passing => undef, voided => 1, lapsed => $is_lapsed ? 1 : '', reason => $reason };
}

1;
