# A worker of a load (Load.pm): a process with a connection of its own, which plays transactions until it is told to stop, and journals them.
#
# The journal has a line for each step, written out before the next step is taken:
#   B n [call, ...]      transaction n begins; each call with its tag, which goes into the row as metadata or reason
#   C n [effect, ...]    all its calls are answered, and COMMIT (or PREPARE TRANSACTION) comes next; with what they have done. Left out where the
#                        call is a transaction by itself
#   A n from to [...]    acknowledged: COMMIT, or the call, was answered; between which moments that was
#   P n                  PREPARE TRANSACTION was answered
#   R n                  rolled back, as the worker meant it
#   F n state message    an error before COMMIT, or at it: nothing of it may be there
#   U n                  unknown: the connection was lost at COMMIT
#   S call status        an answer, for the count
#   L state message      the connection was lost, or not to be had
# What has begun and has no end is unknown if it has C, or is a call by itself; else it is as if rolled back.

package CouponGuard::LoadWorker;

use strict;
use warnings;

use DBI;
use IO::Handle;
use JSON::PP;
use Time::HiRes qw(sleep time);

my %WEIGHT = (redeem => 30, for_each => 4, several => 8, hold => 15, confirm => 11, void => 12, void_part => 12,
	claim => 4, release => 3, check => 3, limit => 4, move => 1);
my @CODES = qw(OPEN ONCE CAP CAP TIGHT LAST GIFT GIFT BOTH TULIP TULIP DAISY ASTER);
my @WITH_BUDGET = qw(GIFT BOTH TULIP DAISY ASTER);
my %HAS_BUDGET = map { $_ => 1 } @WITH_BUDGET;

sub one_of { return $_[ int(rand(@_)) ] }

sub main
{
	my ($path) = @_;
	open my $file, '<:raw', $path or die "$path: $!";
	my $task = decode_json(scalar <$file>);
	srand($task->{seed});
	my $self = bless { %$task, number => 0, ids => [], holds => [], amount_of => {}, unknown => [], weights => { %WEIGHT, %{ $task->{kinds} } } }, __PACKAGE__;
	open $self->{journal}, '>>:raw', "$self->{directory}/$self->{name}.journal" or die "$self->{name}.journal: $!";
	$self->{journal}->autoflush(1);
	while (!-e "$self->{directory}/stop")
	{
		$self->connect or next;
		$self->play;
		sleep $self->{pause} if $self->{pause};
	}
	return;
}

sub write_line
{
	my ($self, @words) = @_;
	s/[\r\n]+/ /g foreach @words;
	print { $self->{journal} } join(' ', @words) . "\n" or die "the journal: $!";
	return;
}

# --- the connection ----------------------------------------------------------------------------

sub connect
{
	my ($self) = @_;
	return 1 if $self->{session};
	my $at = time;
	open my $file, '<:raw', "$self->{directory}/connection" or die "connection: $!";
	my $connection = <$file>;
	my $session = eval {
		local $SIG{__WARN__} = sub { };
		DBI->connect("dbi:Pg:$connection;application_name=coupon_guard_load", '', '',
			{ RaiseError => 0, PrintError => 0, PrintWarn => 1, AutoCommit => 1, pg_server_prepare => 0 });
	};
	if ($session)
	{
		local $SIG{__WARN__} = sub { };
		$session->do("SET $_ = '$self->{settings}{$_}'") foreach sort keys %{ $self->{settings} };
		$self->{session} = $session;
		return 1;
	}
	my $message = substr $DBI::errstr // '', 0, 200;
	$self->write_line('L', $self->state_of($DBI::state, $message), $message) if $message ne ($self->{complaint} // '');
	$self->{complaint} = $message;
	# Who is turned away asks again, but not without end.
	my $left = 0.02 - (time - $at);
	sleep $left if $left > 0;
	return 0;
}

# The driver has states of its own for what it cannot send; the server's come with its word for how bad it is.
sub state_of
{
	my ($self, $state, $message) = @_;
	return '08006' if !$state || ($message // '') !~ /^(ERROR|FATAL|PANIC|server login|pooler)/ && $message !~ /FATAL: /;
	return $state;
}

# The rows of a statement; undef after an error, and then $self->{error} is [state, message], and there is no session if that has gone with it.
# A COMMIT that was let go before the synchronous standby had it is answered with a warning: $self->{is_let_go}.
sub ask
{
	my ($self, $sql) = @_;
	my $session = $self->{session};
	$self->{is_let_go} = 0;
	local $SIG{__WARN__} = sub { $self->{is_let_go} = 1 if $_[0] =~ /wait for synchronous replication/ };
	my $statement = $session->prepare($sql, { pg_server_prepare => 0 });
	my $rows = $statement && $statement->execute ? ($statement->{NUM_OF_FIELDS} ? $statement->fetchall_arrayref : []) : undef;
	return $rows if defined $rows && !$session->err;
	$self->{error} = [ $self->state_of($session->state, $session->errstr), substr $session->errstr // '', 0, 300 ];
	if ($self->{error}[0] =~ /^(08|57P0)/ || $session->ping <= 0)
	{
		$self->write_line('L', @{ $self->{error} });
		$self->drop_session;
	}
	return;
}

sub drop_session
{
	my ($self) = @_;
	local $SIG{__WARN__} = sub { };
	my $session = delete $self->{session};
	eval { $session->disconnect };
	return;
}

# --- what is asked -----------------------------------------------------------------------------------

# A call: { kind, tag, sql, ... }, and what it is about, as far as the judge must know that before it is answered.
sub choose_call
{
	my ($self, $tag) = @_;
	my $weights = $self->{weights};
	my $all = 0;
	$all += $_ foreach values %$weights;
	my $dice = rand($all);
	my $kind;
	foreach (sort keys %$weights)
	{
		$kind = $_;
		last if ($dice -= $weights->{$_}) < 0;
	}
	my $call = $self->can("make_$kind")->($self, $tag);
	return { kind => $kind, tag => $tag, %$call };
}

sub user { return 1 + int(rand(rand() < 0.3 ? 20 : 5000)) }
sub amount_for { my ($code) = @_; return $HAS_BUDGET{$code} || rand() < 0.15 ? 1 + int(rand(400)) : undef }
sub metadata { my ($tag) = @_; return qq('{"load": "$tag"}') }

# A redemption that is there, most likely one of this worker's own, or one of its neighbours.
sub some_id
{
	my ($self) = @_;
	my $id = one_of(@{ $self->{ids} }) // 1;
	return rand() < 0.85 ? $id : $id + int(rand(9)) - 4;
}

sub make_redeem
{
	my ($self, $tag) = @_;
	my ($user, $code) = (user(), one_of(@CODES));
	my $amount = amount_for($code);
	my $request = rand() < 0.4 ? (rand() < 0.8 ? "r-$tag" : 'r-' . int(rand(3))) : undef;
	my $sql = "SELECT status::text, redemption_id, amount, replayed FROM redeem_coupon($user, '$code'" . ($amount ? ", amount => $amount" : '')
	  . ', metadata => ' . metadata($tag) . ($request ? ", request_id => '$request'" : '') . ($amount && rand() < 0.3 ? ', up_to => true' : '') . ')';
	return { sql => $sql, user => $user, code => $code, request => $request };
}

sub make_for_each
{
	my ($self, $tag) = @_;
	my @codes = map { one_of(qw(OPEN ONCE CAP TIGHT)) } 1 .. 2 + int(rand(4));
	my @users = map { user() } @codes;
	return { sql => "SELECT status::text, redemption_id, amount, replayed FROM redeem_coupon_for_each(ARRAY[" . join(', ', @users) . "]::bigint[], ARRAY['"
		  . join("', '", @codes) . "'], metadata => array_fill(" . metadata($tag) . '::jsonb, ARRAY[' . @codes . ']))' };
}

sub make_several
{
	my ($self, $tag) = @_;
	my ($user, @codes) = (user(), map { one_of(@CODES) } 1 .. 2 + int(rand(3)));
	my @amounts = map { amount_for($_) // 'NULL' } @codes;
	return { sql => "SELECT status::text, redemption_id, amount, replayed FROM redeem_coupons($user, ARRAY['" . join("', '", @codes)
		  . "'], amounts => ARRAY[" . join(', ', @amounts) . ']::bigint[], metadata => ' . metadata($tag) . (rand() < 0.3 ? ", request_id => 's-$tag'" : '') . ')' };
}

sub make_hold
{
	my ($self, $tag) = @_;
	my ($user, $code) = (user(), one_of(@CODES));
	my $amount = amount_for($code);
	my $time = one_of('1 hour', '1 hour', '30 milliseconds');
	return { user => $user, code => $code,
		sql => "SELECT status::text, redemption_id, amount, replayed FROM hold_coupon($user, '$code', '$time', " . ($amount ? "amount => $amount, " : '')
		  . 'metadata => ' . metadata($tag) . (rand() < 0.2 ? ", request_id => 'h-$tag'" : '') . ')' };
}

sub make_confirm
{
	my ($self) = @_;
	my $id = one_of(@{ $self->{holds} }) // $self->some_id;
	my $amount = $self->{amount_of}{$id};
	my $less = $amount && rand() < 0.6 ? ', amount => ' . (1 + int(rand($amount))) : '';
	return { id => $id, sql => "SELECT status::text, redemption_id, amount, replayed FROM confirm_hold($id$less)" };
}

sub make_void
{
	my ($self, $tag) = @_;
	my $id = $self->some_id;
	return { id => $id, sql => "SELECT void_redemption($id, reason => '$tag')::text, $id" };
}

sub make_void_part
{
	my ($self, $tag) = @_;
	my ($id) = grep { $self->{amount_of}{$_} } map { $self->some_id } 1 .. 5;
	$id //= $self->some_id;
	my $part = 1 + int(rand(($self->{amount_of}{$id} // 10) / 2));
	return { id => $id, part => $part, sql => "SELECT void_redemption($id, amount => $part, reason => '$tag')::text, $id" };
}

sub claimer { return 1 + int(rand(12)) }

sub make_claim
{
	my ($self) = @_;
	my $user = claimer();
	return { user => $user, sql => "SELECT status::text, code, NULL, replayed FROM claim_coupon($user, 'Claims')" };
}

sub make_release
{
	my ($self) = @_;
	my $user = claimer();
	return { user => $user, sql => "SELECT status::text, code, NULL, replayed FROM release_claim($user, 'Claims')" };
}

sub make_check
{
	my ($self) = @_;
	return { sql => 'SELECT status::text FROM check_coupon(' . user() . ", '" . one_of(@CODES) . "')" };
}

# A cap or a budget is changed, now and then taken away or given anew, which waits for everybody.
sub make_limit
{
	my ($self) = @_;
	my ($table, $name, $column, $most) = @{ one_of(
			[ 'coupon', 'CAP', 'max_redemptions', 800 ], [ 'coupon', 'TIGHT', 'max_redemptions', 12 ], [ 'coupon', 'LAST', 'max_redemptions', 2 ],
			[ 'coupon', 'GIFT', 'budget', 200_000 ], [ 'coupon', 'BOTH', 'max_redemptions', 300 ], [ 'coupon', 'BOTH', 'budget', 80_000 ],
			[ 'coupon', 'ASTER', 'budget', 50_000 ],
			[ 'campaign', 'Spring', 'max_redemptions', 900 ], [ 'campaign', 'Spring', 'budget', 300_000 ], [ 'campaign', 'Autumn', 'max_redemptions', 200 ]) };
	my $value = rand() < 0.06 ? undef : 1 + int(rand($most));
	my $key = $table eq 'coupon' ? "code = '$name'" : "name = '$name'";
	return { register => "$table $name $column", value => $value, sql => "UPDATE $table SET $column = " . ($value // 'NULL') . " WHERE $key" };
}

sub make_move
{
	my ($self) = @_;
	my $campaign = one_of('Spring', 'Autumn', undef);
	my $code = one_of('DAISY', 'ASTER');
	my $to = defined $campaign ? "(SELECT id FROM campaign WHERE name = '$campaign')" : 'NULL';
	return { register => "coupon $code campaign", value => $campaign, sql => "UPDATE coupon SET campaign_id = $to WHERE code = '$code'" };
}

# --- transactions --------------------------------------------------------------------------------------

sub next_tag { my ($self) = @_; return "$self->{name}.$self->{number}." . $self->{calls}++ }

# What the judge must know of a call that may never be answered.
sub outline
{
	my ($call) = @_;
	return { map { $_ => $call->{$_} } grep { exists $call->{$_} } qw(kind tag id part user code request register value) };
}

sub play
{
	my ($self) = @_;
	@{$self}{ 'number', 'calls', 'done' } = ($self->{number} + 1, 0, []);
	return $self->play_retry if @{ $self->{unknown} };
	return $self->play_alone if rand() < 0.4;
	return $self->play_transaction;
}

my $json = JSON::PP->new->canonical;

# An unknown request is asked for again, until its answer is known.
sub play_retry
{
	my ($self) = @_;
	my $call = $self->{unknown}[0];
	return if !$self->send_alone({ %$call, tag => $self->next_tag });
	shift @{ $self->{unknown} };
	return;
}

sub play_alone
{
	my ($self) = @_;
	my $call = $self->choose_call($self->next_tag);
	$self->send_alone($call);
	return;
}

# A call that is a transaction by itself. False if what became of it is unknown.
sub send_alone
{
	my ($self, $call) = @_;
	$self->write_line('B', $self->{number}, 'alone', $json->encode([ outline($call) ]));
	my $from = time;
	my $rows = $self->ask($call->{sql});
	if ($rows && !$self->{is_let_go})
	{
		$self->take_answer($call, $rows);
		$self->write_acknowledged($from);
		return 1;
	}
	return $self->write_failed if $self->{session} && !$rows;
	$self->write_line('U', $self->{number});
	push @{ $self->{unknown} }, $call if $call->{request} && !grep { $_->{request} eq $call->{request} } @{ $self->{unknown} };
	return 0;
}

sub write_failed
{
	my ($self) = @_;
	$self->write_line('F', $self->{number}, @{ $self->{error} });
	return 1;
}

sub write_acknowledged
{
	my ($self, $from) = @_;
	$self->write_line('A', $self->{number}, sprintf('%.6f %.6f', $from, time), $json->encode($self->{done}));
	foreach my $effect (@{ $self->{done} })
	{
		next if $effect->{what} !~ /^(redeemed|held)$/;
		unshift @{ $self->{ids} }, $effect->{id};
		unshift @{ $self->{holds} }, $effect->{id} if $effect->{what} eq 'held';
		$self->{amount_of}{ $effect->{id} } = $effect->{amount};
	}
	delete $self->{amount_of}{$_} foreach splice @{ $self->{ids} }, 60 < @{ $self->{ids} } ? 60 : @{ $self->{ids} };
	splice @{ $self->{holds} }, 8 if @{ $self->{holds} } > 8;
	return;
}

# What the answer says was done: { tag, what, id, amount, ... } for each row.
sub take_answer
{
	my ($self, $call, $rows) = @_;
	my $kind = $call->{kind};
	my @effects;
	push @effects, { tag => $call->{tag}, what => 'set', register => $call->{register}, value => $call->{value} } if $call->{register};
	foreach my $row (@$rows)
	{
		my ($status, $id, $amount, $replayed) = @$row;
		$self->write_line('S', $kind, $status . ($replayed ? ' again' : ''));
		my %effect = (tag => $call->{tag}, what => $status, id => $id, amount => $amount, kind => $kind, replayed => $replayed ? 1 : 0);
		$effect{request} = $call->{request} if $call->{request};
		$effect{user} = $call->{user} if $call->{user};
		push @effects, \%effect if $kind ne 'check' && $status =~ /^(redeemed|held|claimed|released)$/;
		push @effects, { tag => $call->{tag}, what => 'voided', id => $id, ($call->{part} ? (part => $call->{part}) : ()) }
		  if $kind =~ /^void/ && $status eq 'true';
	}
	push @{ $self->{done} }, @effects;
	return;
}

# Sends statements that have no answer; false after an error.
sub control
{
	my ($self, $sql) = @_;
	return defined $self->ask($sql);
}

sub play_transaction
{
	my ($self) = @_;
	my @calls = map { $self->choose_call($self->next_tag) } 1 .. 1 + int(rand(4));
	$self->write_line('B', $self->{number}, 'together', $json->encode([ map { outline($_) } @calls ]));
	my $is_good = $self->control('BEGIN ISOLATION LEVEL ' . one_of(@{ $self->{levels} }));
	foreach my $call (@calls)
	{
		last if !$is_good;
		$is_good = rand() < 0.25 ? $self->play_within_savepoint($call) : $self->play_call($call);
	}
	if (!$is_good)
	{
		$self->roll_back;
		return $self->write_failed;
	}
	if (rand() < 0.15)
	{
		$self->roll_back;
		return $self->write_line('R', $self->{number});
	}
	return $self->commit;
}

# A session that cannot even do that, for want of memory, is not used again. What is journaled is the error that came before.
sub roll_back
{
	my ($self) = @_;
	my $error = $self->{error};
	$self->drop_session if $self->{session} && !$self->control('ROLLBACK') && $self->{session};
	$self->{error} = $error;
	return;
}

sub play_call
{
	my ($self, $call) = @_;
	my $rows = $self->ask($call->{sql}) or return 0;
	$self->take_answer($call, $rows);
	return 1;
}

# Rolled back to, after an error always, else every other time.
sub play_within_savepoint
{
	my ($self, $call) = @_;
	my $before = @{ $self->{done} };
	$self->control('SAVEPOINT s') or return 0;
	my $is_good = $self->play_call($call);
	return 0 if !$self->{session};
	return $self->control('RELEASE s') if $is_good && rand() < 0.5;
	my $error = $self->{error};
	splice @{ $self->{done} }, $before;
	$self->write_line('E', @$error) if !$is_good;
	return $self->control('ROLLBACK TO s');
}

sub commit
{
	my ($self) = @_;
	$self->write_line('C', $self->{number}, $json->encode($self->{done}));
	my $from = time;
	my $is_prepared = rand() < $self->{prepare};
	my $name = "load-$self->{name}-$self->{number}";
	my $is_good = $self->control($is_prepared ? "PREPARE TRANSACTION '$name'" : 'COMMIT');
	if ($is_good && $is_prepared)
	{
		$self->write_line('P', $self->{number});
		my $is_kept = rand() < 0.6;
		$is_good = $self->control(($is_kept ? 'COMMIT' : 'ROLLBACK') . " PREPARED '$name'");
		# A prepared transaction outlives the error of the statement that was to end it.
		return $self->write_line('U', $self->{number}) if !$is_good || $self->{is_let_go};
		return $self->write_line('R', $self->{number}) if !$is_kept;
	}
	return $self->write_acknowledged($from) if $is_good && !$self->{is_let_go};
	return $self->write_failed if $self->{session} && !$is_good;
	return $self->write_line('U', $self->{number});
}

1;
