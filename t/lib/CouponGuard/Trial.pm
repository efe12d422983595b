# A trial: a load (Load.pm) and what is done to its server meanwhile, in rounds, each of which is judged by itself. A short one is one round;
# COUPON_GUARD_SOAK_SECONDS plays rounds for so long (scripts/soak). COUPON_GUARD_SEED repeats the choices.
#
#	my $trial = CouponGuard::Trial->new($node, workers => 4, allow => ['53300']);
#	$trial->play('killed backends', sub { ... });
#	$trial->end;
#
# The node is of the caller's making; prepare_node() gives it the settings that a trial needs, before it is started.

package CouponGuard::Trial;

use strict;
use warnings;

use CouponGuard::Load;
use List::Util qw(sum0);
use Test::More;
use Time::HiRes qw(sleep time);

# A server that comes back after a crash, and says the SQLSTATE of whatever it logs.
sub prepare_node
{
	my ($node, $settings) = @_;
	$node->append_conf('postgresql.conf', "restart_after_crash = on\nmax_prepared_transactions = 50\ndeadlock_timeout = '50ms'\n"
		  . "log_line_prefix = '%m [%p] %e %q%a '\nlog_statement = none\n" . ($settings // ''));
	return;
}

# %with: as Load's, and
#   rounds    how many at least; 1 by default
#   log       a pattern for lines of the server's log that are no findings though they look like one
#   database  'postgres' by default
#   through   a function that says where to connect, if not to the node itself
sub new
{
	my ($class, $node, %with) = @_;
	my $seed = $ENV{COUPON_GUARD_SEED} || int(rand(1_000_000_000));
	note("seed $seed");
	srand($seed);
	my $self = bless { node => $node, seed => $seed, least_rounds => delete $with{rounds} // 1, log => delete $with{log} // qr/(?!)/, database => delete $with{database} // 'postgres',
		through => delete $with{through},
		tally => {}, faults => {}, log_at => 0, began_at => time }, $class;
	$self->{load} = CouponGuard::Load->new(directory => $node->basedir . '/load', seed => $seed, workers => 4, %with);
	return $self;
}

sub connection { my ($self) = @_; return $self->{through} ? $self->{through}->() : $self->{node}->connstr($self->{database}) }
sub one_of { return $_[ int(rand(@_)) ] }
sub count_fault { my ($self, $fault, $times) = @_; $self->{faults}{$fault} += $times // 1; return }
sub is_long { return !!$ENV{COUPON_GUARD_SOAK_SECONDS} }

# Rounds of load, each with what the caller does meanwhile, for $share of the time that there is; before each, $settle is called.
sub play
{
	my ($self, $what, $fault, $share, $settle) = @_;
	my $load = $self->{load};
	my $until = time + ($ENV{COUPON_GUARD_SOAK_SECONDS} || 0) * ($share // 1);
	my ($rounds, @findings) = (0);
	while (!@findings && ($rounds < $self->{least_rounds} || time < $until))
	{
		$rounds++;
		$load->{seed} = $self->{seed} + $rounds;
		$settle->() if $settle;
		$load->set_up($self->connection);
		$load->start($self->connection);
		push @findings, "the round: $@" if !eval { $fault->($self); 1 };
		push @findings, 'a worker had to be killed' if $load->stop;
		push @findings, eval { $load->judge($self->connection) };
		push @findings, "the judge: $@" if $@;
		push @findings, $self->judge_log;
		$self->take_figures;
	}
	is(join("\n", @findings), '', "$what: $rounds rounds, the last of " . $load->summary);
	note($load->details);
	diag("seed $self->{seed}") if @findings;
	return;
}

# What the log says that no test is after: crashes, and errors of kinds that only faults have.
sub judge_log
{
	my ($self) = @_;
	open my $file, '<:raw', $self->{node}->logfile or die $self->{node}->logfile . ": $!";
	seek $file, $self->{log_at}, 0;
	my @findings;
	while (my $line = <$file>)
	{
		chomp $line;
		next if $line !~ /TRAP: |terminated by signal (4|6|7|8|11)\b|PANIC: |\] (XX|58)\w{3} .*(ERROR|FATAL): / || $line =~ $self->{log};
		push @findings, "the server's log: $line";
	}
	$self->{log_at} = tell $file;
	return @findings > 10 ? @findings[ 0 .. 9 ] : @findings;
}

sub take_figures
{
	my ($self) = @_;
	my ($load, $tally) = @{$self}{qw(load tally)};
	$tally->{rounds}++;
	$tally->{calls} += sum0(values %{ $load->{answers} });
	$tally->{$_} += $load->{count}{$_} // 0 foreach 'acknowledged', 'rolled back', 'failed', 'unknown';
	return;
}

# What scripts/soak shows.
sub end
{
	my ($self) = @_;
	my $tally = $self->{tally};
	note(sprintf 'figures: seed %d, %d s, %s rounds, %s calls; transactions: %s; faults: %s', $self->{seed}, time - $self->{began_at},
		map({ $tally->{$_} // 0 } 'rounds', 'calls'), join(', ', map { ($tally->{$_} // 0) . " $_" } 'acknowledged', 'rolled back', 'failed', 'unknown'),
		join(', ', map { "$_ $self->{faults}{$_}" } sort keys %{ $self->{faults} }) || 'none');
	return;
}

# --- the server, from beside ------------------------------------------------------------------------------------

# Waits for a connection; the session.
sub wait_until_up
{
	my ($self) = @_;
	my $until = time + 120;
	while (1)
	{
		my $session = eval { CouponGuard::Load::connect_to($self->connection) };
		return $session if $session;
		die "the server does not come back: $@" if time > $until;
		sleep 0.05;
	}
}

# The rows of a query of a session of its own, in which nothing is lost if the server ends meanwhile.
sub ask
{
	my ($self, $sql) = @_;
	return eval {
		my $session = CouponGuard::Load::connect_to($self->connection);
		my $rows = $session->selectall_arrayref($sql);
		$session->disconnect;
		$rows;
	} // [];
}

# Server processes, by a condition on pg_stat_activity.
sub pids
{
	my ($self, $which) = @_;
	return map { $_->[0] } @{ $self->ask("SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND ($which)") };
}

# Starts the server as often as it takes: processes that a dead postmaster has left must end first.
sub start_again
{
	my ($self) = @_;
	my $until = time + 120;
	my ($pid) = -e $self->pid_file ? split /\n/, CouponGuard::Load::slurp($self->pid_file) : ();
	while (1)
	{
		# Killed, and not yet waited for by whoever has that to do.
		sleep 0.02 while $pid && kill(0, $pid) && time < $until;
		return if $self->starts;
		die 'the server does not start' if time > $until;
		sleep 0.1;
	}
}

sub pid_file { my ($self) = @_; return $self->{node}->data_dir . '/postmaster.pid' }

# Tries once.
sub starts
{
	my ($self) = @_;
	my $node = $self->{node};
	return 1 if $node->start(fail_ok => 1);
	# The node takes the pid file of a postmaster that has just been killed for a running server's.
	$self->forget_server;
	return 0;
}

# A server that has ended by itself, which the node does not know.
sub forget_server { my ($self) = @_; $self->{node}{_pid} = undef; return }

1;
