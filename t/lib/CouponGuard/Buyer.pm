# A buyer of the storm (t/014_ddl_storm.pl): a session that plays short transactions of redemptions, holds, confirmations, voids and stacks
# without end, and judges every answer: an error must be one that says what is different, a status one that can be true.

package CouponGuard::Buyer;

use strict;
use warnings;

use CouponGuard::Session;
use Time::HiRes qw(time);

# What a buyer may be told when somebody rebuilds, renames or takes away what it uses; and how the guard says no to what is not its.
our %KNOWN = map { $_ => 1 } qw(
  55000 42P01 42703 42704 42883 42804 3F000 42501 40P01 40001 55P03 57014 23514
  RC006 RC007 RC008
);

# What the server itself says of a function or type (an answer's has a relation) that is dropped while a statement that names it is planned:
# no error of the guard's, and judged as one unless the extension is being dropped.
our $DROPPED = qr/^(cache lookup failed for (function|type) \d+|could not open relation with OID \d+)$/;

# The statuses that can be true: the coupons of the storm are active, without a window, and there as long as nobody empties the tables. Only
# of a request made before may be said what became of it.
my %TRUE = (
	redeem => qr/^(redeemed|already_redeemed|sold_out)$/,
	each => qr/^(redeemed|already_redeemed|sold_out)$/,
	hold => qr/^(held|already_redeemed|sold_out)$/,
	stack => qr/^(redeemed|already_redeemed|sold_out|withheld)$/,
	again => qr/^(redeemed|held|already_redeemed|sold_out|withheld|expired|voided)$/,
	confirm => qr/^(redeemed|expired|voided)$/,
	check => qr/^(redeemed|already_redeemed|sold_out)$/,
	void => qr/^[tf]$/);

sub new
{
	my ($class, %with) = @_;
	my $self = bless { ids => [], said => [], plan => [], %with }, $class;
	$self->{session} = CouponGuard::Session->new($self->{node});
	$self->{session}->query("SET search_path = $self->{path}; SET lock_timeout = '20s'; SET statement_timeout = '100s'; SET ROLE buyer");
	return $self;
}

sub one_of { return $_[ int(rand(@_)) ] }

sub is_idle { return !$_[0]{session}{is_busy} }
sub is_between { return $_[0]->is_idle && !@{ $_[0]{plan} } }

# A statement, with what is expected of it: [ kind, SQL ].
sub choose_call
{
	my ($self) = @_;
	my $user = 1 + int(rand(60));
	my $code = one_of(@{ $self->{codes} });
	my $id = one_of(@{ $self->{ids} }) // 1;
	my $request = rand() < 0.3 ? sprintf "'%s-%s-%d'", $user, $code, rand(3) : 'NULL';
	my $dice = rand(100);
	return [ 'redeem', "SELECT status::text, redemption_id FROM redeem_coupon(${user}::bigint, '$code', $request)" ] if $dice < 35;
	return [ 'each', "SELECT status::text, redemption_id FROM redeem_coupon_for_each(ARRAY[$user, $user + 1, $user, $user + 2]::bigint[], ARRAY['$code', '$code', '"
		  . one_of(@{ $self->{codes} }) . "', '$code'])" ] if $dice < 45;
	return [ 'hold', "SELECT status::text, redemption_id FROM hold_coupon(${user}::bigint, '$code', '" . one_of('1 hour', '20 milliseconds') . "', $request)" ] if $dice < 60;
	return [ 'confirm', "SELECT status::text, redemption_id FROM confirm_hold($id)" ] if $dice < 68;
	return [ 'void', "SELECT void_redemption($id)" ] if $dice < 85;
	return [ 'check', "SELECT status::text FROM check_coupon(${user}::bigint, '$code')" ] if $dice < 90;
	my $codes = join ', ', map { "'$_'" } $code, grep { rand() < 0.4 } @{ $self->{codes} };
	return [ 'stack', "SELECT status::text, redemption_id FROM redeem_coupons(${user}::bigint, ARRAY[$codes], $request)" ];
}

sub choose_transaction
{
	my ($self) = @_;
	return [ $self->choose_call ] if rand() < 0.4;
	my @calls = map { $self->choose_call } 1 .. 1 + int(rand(3));
	push @calls, [ '', 'SAVEPOINT s' ], $self->choose_call, [ '', one_of('ROLLBACK TO s', 'RELEASE s') ] if rand() < 0.2;
	my $level = rand() < 0.8 ? 'READ COMMITTED' : one_of('REPEATABLE READ', 'SERIALIZABLE');
	return [ [ '', "BEGIN ISOLATION LEVEL $level" ], @calls, [ '', rand() < 0.7 ? 'COMMIT' : 'ROLLBACK' ] ];
}

# Sends the next statement, if none is under way; once told to come to an end, only what ends the transaction.
sub go_on
{
	my ($self, $is_ending) = @_;
	return if !$self->is_idle;
	$self->{plan} = $self->choose_transaction if !@{ $self->{plan} } && !$is_ending;
	my $next = shift @{ $self->{plan} } or return;
	@{$self}{ 'call', 'asked_at' } = ($next, time);
	$self->{session}->start($next->[1]);
	return;
}

# Takes in an answer that has come; returns what is wrong with it, if anything. $emptied_at is when the tables were last without
# their coupons.
sub take_answer
{
	my ($self, $emptied_at) = @_;
	my ($kind, $sql) = @{ $self->{call} };
	my $result = $self->{session}{result} // {};
	my $state = $result->{sqlstate};
	push @{ $self->{said} }, "$sql -- " . ($state ? "$state $result->{message}" : join ' ', map { $_->[0] } @{ $result->{rows} // [] });
	shift @{ $self->{said} } if @{ $self->{said} } > 8;
	return 'the connection is lost' if $self->{session}{is_lost};
	my $was_emptied = $self->{asked_at} <= $emptied_at;
	if ($state)
	{
		# COMMIT too can be canceled before it has begun.
		$self->{plan} = [ [ '', 'ROLLBACK' ] ] if @{ $self->{plan} } || $self->{session}{is_aborted};
		$self->{tally}{ $kind ? "$kind: $state" : $state }++;
		return "$state $result->{message}" if $result->{message} =~ /statement timeout/;
		return if $KNOWN{$state} || ($was_emptied && $result->{message} =~ $DROPPED);
		return "$state $result->{message}";
	}
	return if !$kind;
	my $true = $TRUE{ $sql =~ /, '\d+-\w+-\d'\)$/ ? 'again' : $kind };
	foreach my $row (@{ $result->{rows} })
	{
		my ($status, $id) = @$row;
		$self->{tally}{"$kind: $status"}++;
		return "$kind says $status" if $status !~ $true && !($was_emptied && $status eq 'not_found');
		unshift @{ $self->{ids} }, $id if $id && $status =~ /^(redeemed|held)$/;
	}
	splice @{ $self->{ids} }, 20 if @{ $self->{ids} } > 20;
	return;
}

1;
