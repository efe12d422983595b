# Plays what is done on one shard, one step at a time, and in its model (Shard/Model.pm): of every call its answer is judged, or that it waits.
#
# A step is over when every session has answered or waits for a lock (Judge.pm). Those that were let go may have come in any order: one must explain
# what they were told.

package CouponGuard::Shard::Player;

use strict;
use warnings;

use parent 'CouponGuard::Player';

use CouponGuard::Session;
use List::Util qw(any first);
use Storable qw(dclone);

my $count = 'RETURNING 1) SELECT count(*) FROM changed';

# What an operation is in SQL.
my %sql = (
	redeem => sub { "SELECT status, redemption_id, amount, limited_by FROM redeem_coupon($_[0]{user}, '$_[0]{code}'" . amount_of($_[0]) . ($_[0]{up_to} ? ', up_to => true)' : ')') },
	hold => sub { "SELECT status, redemption_id, amount, limited_by FROM hold_coupon($_[0]{user}, '$_[0]{code}', '1 hour'" . amount_of($_[0]) . ')' },
	confirm => sub { "SELECT status, redemption_id, amount FROM confirm_hold($_[0]{row}" . amount_of($_[0]) . ')' },
	void => sub { "SELECT void_redemption($_[0]{row}, reason => 'model'" . amount_of($_[0]) . ')' },
	expire => sub {
		"WITH changed AS (UPDATE coupon_redemption SET hold_expires_at = '2001-01-01' WHERE id = $_[0]{row} AND voided_at IS NULL"
		  . " AND hold_expires_at IS NOT NULL $count";
	},
	change => sub {
		my ($op) = @_;
		my ($table, $id) = table_of($op->{quota});
		my @columns = (CouponGuard::Shard::Model::limit_column($op->{quota}), CouponGuard::Shard::Model::rights_column($op->{quota}));
		$columns[0] = 'max_redemptions' if $columns[0] eq 'cap';
		return "WITH changed AS (UPDATE $table SET " . join(', ', map { "$_ = $_ + $op->{by}" } @columns) . " WHERE id = $id $count";
	},
	release => sub { "SELECT release_units('$_[0]{name}', $_[0]{units}, '$_[0]{transfer}', '$_[0]{peer}', '" . kind_of($_[0]) . "')" },
	accept => sub { "SELECT accept_units('$_[0]{name}', $_[0]{units}, '$_[0]{transfer}', '$_[0]{peer}', '" . kind_of($_[0]) . "')" },
	settle => sub { "SELECT settle_transfer('$_[0]{transfer}')" },
	look => sub {
		"SELECT granted, used, remaining, is_dry, transfers, under_way FROM coupon_guard_units('$_[0]{name}', '" . kind_of($_[0]) . "')";
	});

sub amount_of { return defined $_[0]{amount} ? ", amount => $_[0]{amount}" : '' }
sub kind_of { return substr $_[0]{quota}, 0, 1 }
sub table_of { my ($quota) = @_; return ($quota =~ /^[CB]/ ? 'campaign' : 'coupon', substr $quota, 2) }

# %given: node, database, observer, sessions (name => session), model, tally, steps (what was done, in words: of all shards)
sub new
{
	my ($class, %given) = @_;
	my $self = bless { prepared => [], blocked => {}, deadlines => [], %given, models => [ $given{model} ] }, $class;
	$self->{player}{$_} = { name => $_ } foreach keys %{ $given{sessions} };
	return $self;
}

# Whose rows a call may have to wait for.
sub owners_of_call
{
	my ($model, $op) = @_;
	my $coupon = $op->{coupon} // ($op->{row} ? ($model->{rows}{ $op->{row} } // first { $_ } map { $_->{image} } grep { ($_->{row} // 0) == $op->{row} } map { $model->logged($_) } keys %{ $model->{open} })->{coupon} : undef);
	return defined $coupon ? $model->owners_over($coupon) : CouponGuard::Shard::Model::owner_of($op->{quota});
}

sub call
{
	my ($self, $name, $op) = @_;
	my $player = $self->{player}{$name};
	my $model = $self->model;
	$model->begin($name) if !$player->{is_open};
	$op->{owners} = [ owners_of_call($model, $op) ];
	push @{ $model->{open}{$name}{log} }, map { { touch => $_ } } @{ $op->{owners} };
	$player->{op} = $op;
	my $sql = $sql{ $op->{kind} }->($op);
	# Holds that it may have ended for what they had, also such as have expired while it waited.
	my $coupons = join ', ', grep { !/^m/ } sort keys %{ $model->{owners} };
	$sql .= "; SELECT 'ended', id FROM coupon_redemption WHERE void_reason = 'hold expired' AND coupon_id IN ($coupons)" if $op->{kind} =~ /^(redeem|hold|release|change)$/;
	$self->{sessions}{$name}->start($sql);
	return $self->judge($name, $sql, $name);
}

# --- judging ----------------------------------------------------------------------------------

sub is_busy { my ($self, $name) = @_; return $self->{player}{$name} && $self->{player}{$name}{op} }

sub judge
{
	my ($self, $name, $what, $fresh) = @_;
	$self->{sessions}{$fresh}->has_ended(0.003) if $fresh;
	my $before = $self->{blocked};
	$self->settle;
	my @answered = grep { !$self->{blocked}{$_} } $self->waiting;
	# The caller may have waited for one that has been ended in his favour.
	$self->{player}{$_}{op}{has_waited} = 1 foreach @answered > 1 ? @answered : ();
	$self->note($name, $what, $fresh);
	$self->count_step($fresh, $before, @answered);
	$self->{why} = [];
	my ($after) = $self->explain($self->model, [ @answered ]);
	$self->{models} = [ $after ] if $after;
	my @faults = $after ? $self->waits_in_vain($fresh, $before) : @{ $self->{why} };
	foreach my $player (map { $self->{player}{$_} } @answered)
	{
		$player->{is_failed} = 1 if $player->{is_open} && $self->{sessions}{ $player->{name} }{result}{sqlstate};
		$player->{answered} = delete $player->{op};
		$player->{is_cancelled} = 0;
	}
	push @{ $self->{steps} }, map { "   FAULT at $self->{database}: $_" } @faults;
	return !@faults;
}

sub note
{
	my ($self, $name, $what, $fresh) = @_;
	my @others = grep { $_ ne ($fresh // '') } $self->waiting;
	push @{ $self->{steps} }, "$self->{database} $name: $what" . ($fresh ? ' -- ' . $self->what_came($fresh) : ''),
	  map { "   $_, which waited: " . $self->what_came($_) } grep { !$self->{blocked}{$_} } @others;
	return;
}

sub what_came
{
	my ($self, $name) = @_;
	my $blocked = $self->{blocked}{$name};
	return "waits for @{ $blocked->{by} } ($blocked->{lock})" if $blocked;
	my $result = $self->{sessions}{$name}{result};
	return $result->{sqlstate} ? "error $result->{sqlstate}: $result->{message}" : join '; ', map { join '|', @$_ } @{ $result->{rows} };
}

# The model after all that was answered, in an order that explains it.
sub explain
{
	my ($self, $model, $answered) = @_;
	return $model if !@$answered;
	foreach my $name (@$answered)
	{
		my $next = dclone($model);
		next if !$self->take_answer($next, $name);
		my ($after) = $self->explain($next, [ grep { $_ ne $name } @$answered ]);
		return $after if $after;
	}
	return;
}

sub take_answer
{
	my ($self, $model, $name) = @_;
	my ($player, $result) = ($self->{player}{$name}, $self->{sessions}{$name}{result});
	my $op = $player->{op};
	my $state = $result->{sqlstate} // '';
	my ($row, @ended) = @{ $result->{rows} // [] };
	my ($effects, $why) = $state && $self->is_broken_off($name, $state) ? [] : ();
	# What it has ended on the way was ended before it took what that had.
	my @lapsed;
	foreach my $id (map { $_->[1] } @ended)
	{
		my $look = $model->look($name, $id);
		next if $look->{view}{voided};
		if ($look->{rival})
		{
			push @{ $self->{why} }, "$name: has ended hold $id, which is $look->{rival}'s";
			return 0;
		}
		push @lapsed, { row => $id, image => { %{ $look->{view} }, voided => 1, lapsed => 1 } };
	}
	($effects, $why) = $model->judge($name, $op, $state ? { error => $state } : $row) if !$effects;
	if (!$effects)
	{
		push @{ $self->{why} }, "$name: $why";
		return 0;
	}
	if ($state)
	{
		$model->fail($name);
		$model->roll_back($name) if !$player->{is_open};
		return 1;
	}
	push @{ $model->{open}{$name}{log} }, @lapsed, @$effects;
	$model->commit($name) if !$player->{is_open};
	return 1;
}

# Cancelled, or ended by the server because others waited for it in a circle; in REPEATABLE READ what the transaction's snapshot does not have.
sub is_broken_off
{
	my ($self, $name, $state) = @_;
	return 1 if $state eq '57014' && $self->{player}{$name}{is_cancelled};
	return $state eq '40P01' && ($self->in_transaction($name) || $self->waiting > 1);
}

# Calls that wait for nobody who has to do with what they want, or though they need not.
sub waits_in_vain
{
	my ($self, $fresh, $before) = @_;
	my @faults;
	my $model = $self->model;
	foreach my $name (sort keys %{ $self->{blocked} })
	{
		my ($op, $blocked) = ($self->{player}{$name}{op}, $self->{blocked}{$name});
		$op->{has_waited} = 1;
		my %touchers = map { $_ => 1, /^p\d/ ? (prepared => 1) : () } $model->touchers($name, @{ $op->{owners} });
		my @by = grep { $touchers{$_} } @{ $blocked->{by} };
		# Who waits for a transaction, a subtransaction of which has ended well, is not told of a rollback to a savepoint.
		my $is_old = $before->{$name} && $before->{$name}{lock} eq $blocked->{lock};
		push @faults, "$name waits for @{ $blocked->{by} } in vain" if !@by && !$is_old;
		push @faults, "$name waits, and a look never does" if $op->{kind} eq 'look';
		# One that sleeps has not noticed what others have brought meanwhile.
		next if $name ne ($fresh // '') || $op->{kind} ne 'release' || $blocked->{lock} !~ /^transactionid/;
		# Nobody has the row that must be changed, nor the transfer's: then it waits for units.
		my $owner = CouponGuard::Shard::Model::owner_of($op->{quota});
		next if $model->who_logged($name, sub { $_[0]{set} && $_[0]{owner} eq $owner || ($_[0]{transfer} // '') eq $op->{transfer} });
		next if any { $self->is_busy($_) && $_ ne $name && $self->{player}{$_}{op}{kind} =~ /^(release|accept|change)$/ } @{ $blocked->{by} };
		my $at_hand = $self->units_at_hand($op->{quota});
		push @faults, "$name waits, and $at_hand are at hand" if $at_hand > 0;
	}
	return @faults;
}

# Units in stripes that no open transaction has locked; where one of the owner's quotas is not set up, somebody may have the row to set it up.
sub units_at_hand
{
	my ($self, $quota) = @_;
	my ($table, $id) = table_of($quota);
	my $kinds = join ', ', map { "'" . substr($_, 0, 1) . "'" } $self->model->limits_of(CouponGuard::Shard::Model::owner_of($quota));
	my %at_hand = map { @$_ } $self->{observer}->query("SELECT kind, sum(remaining) FILTER (WHERE xmax::text = '0' OR pg_xact_status(xmax::text::xid8) <> 'in progress')
		FROM coupon_quota WHERE owner_id = $id AND kind IN ($kinds) AND generation = coupon_guard_generation() GROUP BY kind HAVING bool_or(stripe = 0)");
	return keys %at_hand < split(/, /, $kinds) ? 0 : $at_hand{ substr $quota, 0, 1 } || 0;
}

sub count_step
{
	my ($self, $fresh, $before, @answered) = @_;
	my $tally = $self->{tally};
	$tally->{steps}++;
	$tally->{'several let go at once'}++ if @answered > 1;
	foreach my $name (@answered)
	{
		my $result = $self->{sessions}{$name}{result};
		my $kind = $self->{player}{$name}{op}{kind};
		my $row = $result->{rows}[0] // [];
		my $value = $result->{sqlstate} // $row->[0];
		$value = 'some' if $kind eq 'release' && $row->[0];
		$value = $row->[3] eq 't' ? 'dry' : 'not dry' if $kind eq 'look';
		$tally->{ "$kind: $value" . ($before->{$name} ? ', after a wait' : '') }++;
	}
	$tally->{"$self->{player}{$fresh}{op}{kind}: waits"}++ if $fresh && $self->{blocked}{$fresh} && !$before->{$fresh};
	return;
}

1;
