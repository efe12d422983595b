# A session of the storm (t/014_ddl_storm.pl) that does to the tables whatever a DBA, or a tool, may do to them: one operation after the
# other, each undone in the end.
#
# An operation names tables by what they are ({campaign}, {coupon}, {ledger}, {quota}; {rel:NAME} is any relation of that name): what they are called
# when the statement is sent is asked then, since another such session may just have renamed or moved them.

package CouponGuard::Meddler;

use strict;
use warnings;

use CouponGuard::Session;
use IPC::Run;
use Time::HiRes qw(time);

# A step that undoes something is tried again for a while: it may be somebody else's turn, or somebody else has renamed what it names, or
# has done what does not go together with it. Not if it is as it was already.
my $MAX_TRIES = 60;
my %IS_DONE = map { $_ => 1 } qw(42P06 42P07 42701 42710);

sub new
{
	my ($class, %with) = @_;
	my $self = bless { steps => [], not_before => 0, %with }, $class;
	$self->{session} = CouponGuard::Session->new($self->{node});
	$self->{session}->query("SET search_path = pg_catalog; SET lock_timeout = '2s'; SET client_min_messages = error");
	return $self;
}

sub is_idle { return !$_[0]{operation} }

sub begin
{
	my ($self, $operation, %how) = @_;
	$self->{operation} = $operation;
	my @do = map { { sql => $_, is_doing => 1 } } @{ $operation->{do} };
	my @undo = map { { sql => $_, is_undoing => 1 } } @{ $operation->{undo} // [] };
	@do = ({ sql => 'BEGIN' }, @do, { pause => $how{pause} }, { sql => $how{ending}, is_ending => 1 }) if $how{ending};
	@undo = () if $how{ending} && $how{ending} eq 'ROLLBACK';
	$self->{steps} = [ { sql => $how{role} }, @do, { pause => $how{pause} }, @undo, { sql => 'RESET ROLE' } ];
	return;
}

# The statement as it is now, undef if something that it is about is gone.
sub resolve
{
	my ($self, $sql) = @_;
	my $is_gone = 0;
	$sql =~ s/\{(\w[\w: ]*)\}/my $name = $self->{storm}->current_name($1); $is_gone ||= !defined $name; $name \/\/ ''/ge;
	return $is_gone ? undef : $sql;
}

# Sends the next step, if the one before is done.
sub go_on
{
	my ($self) = @_;
	return if !$self->{operation} || $self->{current} || time < $self->{not_before};
	my $step = shift @{ $self->{steps} };
	if (!$step)
	{
		$self->{operation} = undef;
		return;
	}
	if (defined $step->{pause})
	{
		$self->{not_before} = time + $step->{pause};
		return;
	}
	return $step->{sql}->() if ref $step->{sql} eq 'CODE';
	my $is_program = $step->{sql} =~ /^pg_repack /;
	my $sql = $self->resolve($step->{sql}) // return;
	$self->{current} = { %$step, step => $step, resolved => $sql, at => time };
	return $self->start_program(split / /, $sql) if $is_program;
	$self->{session}->start($sql);
	return;
}

sub start_program
{
	my ($self, undef, @options) = @_;
	my $output = '';
	$self->{current}{output} = \$output;
	$self->{current}{run} = IPC::Run::start(
		[ $self->{storm}{pg_repack}, '-h', $self->{node}->host, '-p', $self->{node}->port, '-d', 'postgres', '--no-kill-backend', '--wait-timeout=5', @options ],
		'<', \undef, '>&', \$output);
	return;
}

sub has_ended
{
	my ($self) = @_;
	my $current = $self->{current} or return 0;
	return !$self->{session}{is_busy} if !$current->{run};
	# It dies if the program has ended just now.
	return 0 if eval { $current->{run}->pump_nb; 1 } && $current->{run}->pumpable;
	$current->{run}->finish;
	return 1;
}

# Takes in how the step has ended; returns what is wrong, if anything. Refusals are no fault: so the server protects what it has.
sub take_answer
{
	my ($self) = @_;
	my $current = delete $self->{current};
	my ($state, $message) = $current->{run} ? () : @{ $self->{session}{result} // {} }{ 'sqlstate', 'message' };
	($state, $message) = ('program', ${ $current->{output} } =~ s/\s+/ /gr) if $current->{run} && ${ $current->{output} } =~ /ERROR|WARNING/;
	$self->{storm}->log_step($self, $current->{resolved}, $current->{at}, $state ? "$state $message" : 'done');
	return 'the connection is lost' if $self->{session}{is_lost};
	if ($state && $current->{is_undoing})
	{
		return if $IS_DONE{$state};
		return $self->{storm}->note_failure($self->{operation}) if ++$current->{step}{tries} == $MAX_TRIES;
		unshift @{ $self->{steps} }, { pause => 0.02 }, $current->{step};
	}
	elsif ($state && $current->{is_doing})
	{
		# Nothing more is done; what has been done is undone.
		my $is_open = grep { $_->{is_ending} } @{ $self->{steps} };
		my @undo = grep { $_->{is_undoing} } @{ $self->{steps} };
		@{ $self->{steps} } = ($is_open ? { sql => 'ROLLBACK' } : @undo, { sql => 'RESET ROLE' });
	}
	return;
}

1;
