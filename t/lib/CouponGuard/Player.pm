# Plays one history, one step at a time, on the server and in the model. Every step is judged (Judge.pm): true if the model explains it.

package CouponGuard::Player;

use strict;
use warnings;

use parent 'CouponGuard::Judge';

use CouponGuard::Session;
use List::Util qw(all any none);
use Time::HiRes qw(sleep time);

my $microseconds = '(extract(epoch FROM %s) * 1000000)::bigint';
my $answer = "SELECT status, redemption_id, use_no, replayed, " . sprintf($microseconds, 'redeemed_at') . ", amount, limited_by FROM";
my $hold_answer = "SELECT status, redemption_id, use_no, replayed, " . sprintf($microseconds, 'hold_expires_at') . ", amount, limited_by FROM";
my $count = "RETURNING 1) SELECT count(*) FROM changed";

# What an operation is in SQL. %$op, and the code of the coupon.
my %sql = (
	redeem => sub { "$answer redeem_coupon($_[0]{user}, '$_[0]{code}'" . request_of($_[0]) . amount_of($_[0]) . ($_[0]{up_to} ? ', up_to => true)' : ')') },
	hold => sub { "$hold_answer hold_coupon($_[0]{user}, '$_[0]{code}', '$_[0]{seconds} seconds'" . request_of($_[0]) . amount_of($_[0]) . ')' },
	confirm => sub { "$answer confirm_hold($_[0]{row}" . amount_of($_[0]) . ')' },
	void => sub { "SELECT void_redemption($_[0]{row}, reason => 'model'" . amount_of($_[0]) . ')' },
	check => sub { "SELECT status, remaining_uses, remaining_units, remaining_budget, limited_by FROM check_coupon($_[0]{user}, '$_[0]{code}')" },
	delete => sub { "WITH changed AS (DELETE FROM coupon_redemption WHERE id = $_[0]{row} $count" },
	strike => sub {
		"WITH changed AS (UPDATE coupon_redemption SET voided_at = clock_timestamp() WHERE id = $_[0]{row} AND voided_at IS NULL $count";
	},
	expire => sub {
		"WITH changed AS (UPDATE coupon_redemption SET hold_expires_at = to_timestamp($_[0]{deadline} / 1000000)"
		  . " WHERE id = $_[0]{row} AND voided_at IS NULL AND hold_expires_at IS NOT NULL $count";
	},
	revive => sub {
		"WITH changed AS (UPDATE coupon_redemption SET voided_at = NULL, void_reason = NULL WHERE id = $_[0]{row} AND voided_at IS NOT NULL $count";
	},
	insert => sub {
		my ($op) = @_;
		my $moments = join ', ', map { defined $op->{$_} ? "'epoch'::timestamptz + $op->{$_} * interval '1 microsecond'" : 'NULL' } 'moment', 'hold';
		my $request = defined $op->{request} ? "'$op->{request}'" : 'NULL';
		return 'WITH changed AS (INSERT INTO coupon_redemption (id, coupon_id, user_id, use_no, redeemed_at, hold_expires_at, request_id, amount, campaign_id,
			campaign_use_no)'
		  . " VALUES ($op->{row}, $op->{coupon}, $op->{user}, $op->{use_no}, $moments, $request, "
		  . join(', ', map { $op->{$_} // 'NULL' } qw(amount campaign campaign_use_no)) . ") $count";
	},
	resize => sub {
		"WITH changed AS (UPDATE coupon_redemption SET amount = $_[0]{amount} WHERE id = $_[0]{row} AND voided_at IS NULL $count";
	},
	claim => sub {
		my ($op) = @_;
		my ($codes, $amounts) = map { my $n = $_; join ',', map { $_->[$n] } @{ $op->{claims} } } 2, 1;
		return "SELECT what, made FROM claim('$op->{user}', '{$codes}', '{$amounts}')";
	},
	reopen => sub { "WITH changed AS (UPDATE coupon SET active = true WHERE id IN (" . join(', ', @{ $_[0]{coupons} }) . ") $count" },
	activate => sub { change_of($_[0], active => "'$_[0]{active}'") },
	reserve => sub { change_of($_[0], holder => $_[0]{holder}) },
	move => sub { change_of($_[0], campaign_id => $_[0]{campaign}) },
	limit => sub { change_of($_[0], max_per_user => $_[0]{limit}) },
	cap => sub { change_of($_[0], max_redemptions => $_[0]{cap}) },
	budget => sub { change_of($_[0], budget => $_[0]{budget}) });

# Of a coupon or, 'm' and its id, a campaign.
sub change_of
{
	my ($op, $column, $value) = @_;
	my ($table, $id) = $op->{owner} =~ /^m(.*)/ ? (campaign => $1) : (coupon => $op->{owner});
	return "WITH changed AS (UPDATE $table SET $column = " . ($value // 'NULL') . " WHERE id = $id $count";
}

# The transactions that sessions have open, and the units in stripes that an open transaction has locked.
my $look = q(PREPARE look AS
	SELECT transactionid::text, pid, NULL::text, NULL::bigint FROM pg_locks
	 WHERE locktype = 'transactionid' AND mode = 'ExclusiveLock' AND granted
	UNION ALL
	SELECT xmax::text, NULL, concat(kind, ':', owner_id), sum(remaining) FROM coupon_quota
	 WHERE remaining > 0 AND generation = coupon_guard_generation() AND xmax::text <> '0' AND pg_xact_status(xmax::text::xid8) = 'in progress' GROUP BY xmax::text, kind, owner_id);

# Of one that is let go the model knows the answer exactly. Of several, which race then, it does not yet know every order.
my $most_waiting = $ENV{COUPON_GUARD_WAITING} // 1;

my $of_one_moment = qr/^(confirm|void|strike)$/;

sub amount_of { return defined $_[0]{amount} ? ", amount => $_[0]{amount}" : '' }
sub request_of { return defined $_[0]{request} ? ", request_id => '$_[0]{request}'" : '' }

# %given: node, database (if not postgres), observer (a session), sessions (name => session), model, tally (what has happened, counted)
sub new
{
	my ($class, %given) = @_;
	my $self = bless { %given, models => [ $given{model} ], steps => [], prepared => [], blocked => {}, busy => {}, owner => {}, deadlines => [] }, $class;
	$self->{player}{$_} = { name => $_ } foreach keys %{ $given{sessions} };
	$self->{observer}->query($look) if !$given{tally}{steps};
	return $self;
}

# --- what a generator of histories may ask ------------------------------------------

# One of those that explain the history so far.
sub model { my ($self) = @_; return $self->{models}[0] }
# Whether all of them say so.
sub is_quiet { my ($self, $owner) = @_; return all { $_->is_quiet($owner) } @{ $self->{models} } }

sub idle { my ($self) = @_; return grep { !$self->{player}{$_}{op} } sort keys %{ $self->{player} } }
sub waiting { my ($self) = @_; return grep { $self->{player}{$_}{op} } sort keys %{ $self->{player} } }
sub in_transaction { my ($self, $name) = @_; return $self->{player}{$name}{is_open} }
sub is_failed { my ($self, $name) = @_; return $self->{player}{$name}{is_failed} }
sub isolation { my ($self, $name) = @_; return $self->{player}{$name}{isolation} // 'READ COMMITTED' }
sub savepoints { my ($self, $name) = @_; return map { $_->[0] } @{ $self->model->{open}{$name}{marks} } }
sub prepared { my ($self) = @_; return @{ $self->{prepared} } }

# A call that names a row is of the moment when it began to wait for that: so no deadline passes meanwhile.
sub may_pass_deadlines { my ($self) = @_; return none { $self->{player}{$_}{op}{kind} =~ $of_one_moment } $self->waiting }

# Whether the call would be one too many to wait, or wait for somebody who waits for it: the server would end one of them, and which one
# is open.
sub is_unwanted
{
	my ($self, $name, $op) = @_;
	return any { $self->is_unwanted_in($_, $name, $op) } @{ $self->{models} };
}

sub is_unwanted_in
{
	my ($self, $model, $name, $op) = @_;
	$model->begin($name) if !$self->in_transaction($name);
	my @next = $self->possible_rivals($model, $name, $op);
	$model->roll_back($name) if !$self->in_transaction($name);
	return 1 if @next && $self->waiting >= $most_waiting;
	# PostgreSQL keeps the lock of a row that a statement has waited for, though it does not change it after all.
	return 1 if @next && $op->{kind} =~ /^(delete|strike|revive|expire|resize)$/ && $self->in_transaction($name);
	return 1 if @next && $op->{kind} eq 'reopen'; # in which order it meets the coupons the model does not know
	my %seen;
	while (defined(my $rival = shift @next))
	{
		return 1 if $rival eq $name;
		next if $seen{$rival}++ || !$self->{player}{$rival} || !$self->{player}{$rival}{op};
		push @next, $self->possible_rivals($model, $rival, $self->{player}{$rival}{op});
	}
	return 0;
}

# --- steps ---------------------------------------------------------------------------

sub possible_rivals
{
	my ($self, $model, $name, $op) = @_;
	my $outcome = $self->decide($model, $name, $op);
	return (@{ $outcome->{rivals} // [] }, @{ $outcome->{may_wait} // [] });
}

# A call or a statement on the tables.
sub call
{
	my ($self, $name, $op) = @_;
	my $player = $self->{player}{$name};
	$self->each_model(sub { $_[0]->begin($name) }) if !$player->{is_open};
	$player->{op} = $op;
	my @rivals = $op->{kind} =~ $of_one_moment ? map { $self->possible_rivals($_, $name, $op) } @{ $self->{models} } : ();
	$self->await_deadlines(@rivals ? 3600 : 0.015);
	$self->{sessions}{$name}->start($sql{ $op->{kind} }->($op));
	return $self->judge($name, $sql{ $op->{kind} }->($op), $name);
}

sub each_model
{
	my ($self, $change) = @_;
	$change->($_) foreach @{ $self->{models} };
	return;
}

# A statement that the model does not answer: it must succeed.
sub control
{
	my ($self, $name, $sql, $change) = @_;
	my $session = $name eq 'observer' ? $self->{observer} : $self->{sessions}{$name};
	$self->await_deadlines;
	$session->query($sql);
	$self->each_model($change);
	return $self->judge($name, $sql);
}

sub begin
{
	my ($self, $name, $isolation) = @_;
	@{ $self->{player}{$name} }{ 'is_open', 'isolation' } = (1, $isolation);
	return $self->control($name, "BEGIN ISOLATION LEVEL $isolation", sub { $_[0]->begin($name) });
}

sub savepoint
{
	my ($self, $name, $savepoint) = @_;
	return $self->control($name, "SAVEPOINT $savepoint", sub { $_[0]->savepoint($name, $savepoint) });
}

sub release
{
	my ($self, $name, $savepoint) = @_;
	return $self->control($name, "RELEASE $savepoint", sub { $_[0]->release($name, $savepoint) });
}

sub rollback_to
{
	my ($self, $name, $savepoint) = @_;
	$self->{player}{$name}{is_failed} = 0;
	return $self->control($name, "ROLLBACK TO $savepoint", sub { $_[0]->rollback_to($name, $savepoint) });
}

sub end
{
	my ($self, $name, $sql, $change) = @_;
	@{ $self->{player}{$name} }{ 'is_open', 'is_failed', 'isolation' } = (0, 0, undef);
	return $self->control($name, $sql, $change);
}

sub commit { my ($self, $name) = @_; return $self->end($name, 'COMMIT', sub { $_[0]->commit($name) }) }
sub roll_back { my ($self, $name) = @_; return $self->end($name, 'ROLLBACK', sub { $_[0]->roll_back($name) }) }

sub prepare
{
	my ($self, $name) = @_;
	my $prepared = 'p' . ++$self->{tally}{'PREPARE TRANSACTION'};
	push @{ $self->{prepared} }, $prepared;
	$_ = $_ eq $name ? $prepared : $_ foreach values %{ $self->{owner} };
	return $self->end($name, "PREPARE TRANSACTION '$prepared'", sub { $_[0]->prepare($name, $prepared) });
}

sub end_prepared
{
	my ($self, $prepared, $how) = @_;
	$self->{prepared} = [ grep { $_ ne $prepared } $self->prepared ];
	return $self->control('observer', "$how PREPARED '$prepared'",
		sub { my ($model) = @_; $how eq 'COMMIT' ? $model->commit($prepared) : $model->roll_back($prepared) });
}

sub cancel
{
	my ($self, $name) = @_;
	$self->{player}{$name}{is_cancelled} = 1;
	$self->await_deadlines;
	$self->{observer}->query("SELECT pg_cancel_backend($self->{sessions}{$name}{pid})");
	$self->{sessions}{$name}->finish;
	return $self->judge($name, 'is cancelled', $name);
}

# Ends the session, whatever it does, and begins a new one under its name.
sub terminate
{
	my ($self, $name) = @_;
	my $session = $self->{sessions}{$name};
	$self->await_deadlines;
	$self->{observer}->query("SELECT pg_terminate_backend($session->{pid})");
	$session->{is_busy} = 1;
	$session->finish; # the connection is closed when the transaction has been rolled back
	$session->close;
	$self->{sessions}{$name} = CouponGuard::Session->new($self->{node}, $self->{database});
	$self->{player}{$name} = { name => $name };
	$self->each_model(sub { $_[0]->roll_back($name) });
	return $self->judge($name, 'is terminated');
}

# A quota that is not there, as after a restore.
sub forget_quotas
{
	my ($self, $owner) = @_;
	my $quotas = join "', '", $self->model->quotas_of($owner);
	return $self->control('observer', "DELETE FROM coupon_quota WHERE concat(kind, ':', owner_id) IN ('$quotas')", sub { $_[0]->forget_quotas($owner) });
}

# Triggers off or on again: while they are off every redemption counts, and no quota of before is good afterwards. Nothing is open.
sub switch_triggers
{
	my ($self) = @_;
	my $is_off = !$self->model->{counting};
	my $how = $is_off ? 'DISABLE' : 'ENABLE ALWAYS';
	return $self->control('observer', "ALTER TABLE coupon_quota $how TRIGGER coupon_quota_follow_truncate",
		sub { my ($model) = @_; $model->{counting} = $is_off; $model->{set_up} = {} });
}

# A step is better not played while a hold's deadline passes: those that are so near are awaited.
sub await_deadlines
{
	my ($self, $seconds) = @_;
	my $until = time + ($seconds // 0.015);
	my @near = grep { $_ <= $until } @{ $self->{deadlines} };
	sleep 0.001 while any { time <= $_ } @near;
	$self->{deadlines} = [ grep { $_ > $until } @{ $self->{deadlines} } ];
	$self->{now} = undef;
	$self->{asked_at} = time;
	return;
}

1;
