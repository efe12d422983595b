# A load for tests that break something: workers that do all kinds of calls, in transactions of their own choice, and write a journal of what
# they asked for and what they were told. However the server ends, is replaced or is cut off meanwhile, what is in the ledger afterwards can be
# judged by the journals.
#
#	my $load = CouponGuard::Load->new(directory => $node->basedir . '/load', seed => $seed, workers => 4);
#	$load->set_up($node->connstr('postgres'));   # the extension is there: coupons and campaigns of the load, in empty tables
#	$load->start($node->connstr('postgres'));
#	... whatever is to be survived; $load->redirect($connection) sends whoever connects from now on elsewhere ...
#	$load->stop;                                 # also while the server is down
#	is(join("\n", $load->judge($node->connstr('postgres'))), '', $load->summary);
#
# start() and stop() may come several times before one judge(): what was journaled adds up. set_up() begins anew.
#
# A worker is a process of its own (LoadWorker.pm); the judgement is in LoadJudge.pm. Both need DBD::Pg: skip the test unless is_possible().

package CouponGuard::Load;

use strict;
use warnings;

use parent 'CouponGuard::LoadJudge';

use File::Basename qw(dirname);
use File::Path qw(make_path);
use JSON::PP;
use POSIX qw(WNOHANG);
use Time::HiRes qw(sleep time);

# What a call may be told by the guard or by the server though nothing is broken: business errors of these calls, and who has waited in vain.
our @ALLOWED = qw(22004 22023 23505 23514 40001 40P01 55P03 57014 RC006 RC007 RC008 RC009);

# Coupons and campaigns, and which of them have a budget: the one shop that all loads have. Claims are of a campaign of their own.
my @CAMPAIGNS = (
	{ name => 'Spring', max_redemptions => 300, max_per_user => 4, budget => 90_000 },
	{ name => 'Autumn', max_redemptions => 60 },
	{ name => 'Claims' });
my @COUPONS = (
	{ code => 'OPEN' },
	{ code => 'ONCE', max_per_user => 1 },
	{ code => 'CAP', max_redemptions => 200, max_per_user => 2 },
	{ code => 'TIGHT', max_redemptions => 5 },
	{ code => 'LAST', max_redemptions => 1 },
	{ code => 'GIFT', budget => 50_000 },
	{ code => 'BOTH', max_redemptions => 100, budget => 20_000 },
	{ code => 'TULIP', campaign => 'Spring' },
	{ code => 'DAISY', campaign => 'Spring', max_redemptions => 50 },
	{ code => 'ASTER', campaign => 'Autumn', budget => 15_000 },
	(map { { code => "CLAIM$_", campaign => 'Claims', max_redemptions => 1, max_per_user => 1 } } 1 .. 8));

sub is_possible { return scalar eval { require DBI; require DBD::Pg; 1 } }

# directory: the load's own, made here. seed, workers. The others have defaults:
#   allow      SQLSTATEs that are no findings, beside @ALLOWED
#   settings   { name => value } that each session sets; none through a pooler that has no sessions
#   prepare    the share of transactions that end with PREPARE TRANSACTION, and with COMMIT or ROLLBACK PREPARED in another
#   levels     isolation levels, one of which a transaction has
#   kinds      { kind => weight } in the place of LoadWorker's
#   pause      seconds that a worker rests after a transaction
sub new
{
	my ($class, %with) = @_;
	my $self = bless {
		settings => { lock_timeout => '5s' }, allow => [], prepare => 0, pause => 0, kinds => {},
		levels => [ ('READ COMMITTED') x 6, 'REPEATABLE READ', 'SERIALIZABLE' ],
		pids => [], generation => 0, %with }, $class;
	make_path($self->{directory});
	return $self;
}

sub slurp
{
	my ($path) = @_;
	open my $file, '<:raw', $path or die "$path: $!";
	local $/ = undef;
	return scalar <$file> // '';
}

# Whoever reads it sees the old text or the new one.
sub replace_file
{
	my ($path, $text) = @_;
	open my $file, '>:raw', "$path.new" or die "$path.new: $!";
	print $file $text;
	close $file && rename("$path.new", $path) or die "$path: $!";
	return;
}

sub connect_to
{
	my ($connection) = @_;
	require DBI;
	my $session = DBI->connect("dbi:Pg:$connection", '', '', { RaiseError => 1, PrintError => 0, AutoCommit => 1 });
	$session->do("SET client_min_messages = error");
	return $session;
}

sub is_there { return !!eval { connect_to($_[0])->disconnect } }

sub literal { return !defined $_[0] ? 'NULL' : "'$_[0]'" }

# The shop as it is before any call, and no journal.
sub set_up
{
	my ($self, $connection) = @_;
	my $session = connect_to($connection);
	$session->do('TRUNCATE coupon_redemption, coupon, campaign');
	$session->do('INSERT INTO campaign (name, max_redemptions, max_per_user, budget) VALUES ('
		  . join(', ', map { literal($_) } @{$_}{qw(name max_redemptions max_per_user budget)}) . ')') foreach @CAMPAIGNS;
	$session->do('INSERT INTO coupon (code, max_redemptions, max_per_user, budget, campaign_id) VALUES ('
		  . join(', ', map { literal($_) } @{$_}{qw(code max_redemptions max_per_user budget)})
		  . ", (SELECT id FROM campaign WHERE name = " . literal($_->{campaign}) . '))') foreach @COUPONS;
	$self->{ids} = { map { @$_ } @{ $session->selectall_arrayref('SELECT code, id FROM coupon UNION ALL SELECT name, id FROM campaign') } };
	$session->disconnect;
	unlink glob "$self->{directory}/*.journal $self->{directory}/*.err";
	return;
}

# The columns that the load changes, as they were in the beginning: { "coupon CAP max_redemptions" => 200 }.
sub first_values
{
	my %first;
	foreach my $coupon (@COUPONS)
	{
		$first{"coupon $coupon->{code} $_"} = $coupon->{$_} foreach qw(max_redemptions budget campaign);
	}
	foreach my $campaign (@CAMPAIGNS)
	{
		$first{"campaign $campaign->{name} $_"} = $campaign->{$_} foreach qw(max_redemptions budget);
	}
	return \%first;
}

# Whoever connects from now on connects there.
sub redirect
{
	my ($self, $connection) = @_;
	replace_file("$self->{directory}/connection", $connection);
	return;
}

# Starts the workers; returns when each has begun.
sub start
{
	my ($self, $connection) = @_;
	die 'the load has been started already' if @{ $self->{pids} };
	unlink "$self->{directory}/stop";
	$self->redirect($connection);
	my $library = dirname(dirname(__FILE__));
	$self->{generation}++;
	foreach my $worker (1 .. $self->{workers})
	{
		my $name = sprintf '%d-%d', $self->{generation}, $worker;
		my %task = (map { $_ => $self->{$_} } qw(directory settings prepare pause levels kinds));
		$task{name} = $name;
		$task{seed} = ($self->{seed} * 1009 + $self->{generation} * 101 + $worker) % 2147483647;
		replace_file("$self->{directory}/$name.task", JSON::PP->new->canonical->encode(\%task));
		my $pid = fork // die "fork: $!";
		if ($pid == 0)
		{
			# A program of its own: the test's files, pipes and END blocks are none of its business.
			open STDIN, '<', '/dev/null';
			open STDOUT, '>>', "$self->{directory}/$name.err";
			open STDERR, '>&', \*STDOUT;
			exec $^X, "-I$library", '-MCouponGuard::LoadWorker', '-e', 'CouponGuard::LoadWorker::main(@ARGV)', "$self->{directory}/$name.task"
			  or POSIX::_exit(1);
		}
		push @{ $self->{pids} }, $pid;
	}
	my $until = time + 60;
	foreach my $journal (map { "$self->{directory}/$self->{generation}-$_.journal" } 1 .. $self->{workers})
	{
		until (-s $journal)
		{
			die 'a worker does not begin: ' . join '', map { slurp($_) } glob "$self->{directory}/*.err" if time > $until;
			sleep 0.01;
		}
	}
	return;
}

# Waits until the journals have so many acknowledged transactions more than they had, so that a fault meets work in progress.
sub wait_for_work
{
	my ($self, $count) = @_;
	my $until = time + 120;
	my $wanted = $self->count_acknowledged + $count;
	while ($self->count_acknowledged < $wanted)
	{
		die "the load does not work:\n" . join '', map { slurp($_) } glob "$self->{directory}/*.err" if time > $until;
		sleep 0.02;
	}
	return;
}

sub count_acknowledged
{
	my ($self) = @_;
	my $count = 0;
	foreach my $path (glob "$self->{directory}/*.journal")
	{
		open my $file, '<:raw', $path or next;
		seek $file, $self->{counted}{$path}{at} // 0, 0;
		while (my $line = <$file>)
		{
			last if $line !~ /\n\z/;
			$self->{counted}{$path}{at} += length $line;
			$self->{counted}{$path}{lines}++ if $line =~ /^A /;
		}
		$count += $self->{counted}{$path}{lines} // 0;
	}
	return $count;
}

# Whether a call has ended with this SQLSTATE.
sub has_met
{
	my ($self, $state) = @_;
	return scalar grep { slurp($_) =~ /^[FE] (\d+ )?$state /m } glob "$self->{directory}/*.journal";
}

# Ends the workers, each after the transaction that it is at. A worker that waits for a server that does not answer is killed: what it was at
# is unknown then. Returns how many were.
sub stop
{
	my ($self, $seconds) = @_;
	my $until = time + ($seconds // 60);
	replace_file("$self->{directory}/stop", '');
	my $killed = 0;
	foreach my $pid (@{ $self->{pids} })
	{
		my $ended;
		while (!($ended = waitpid $pid, WNOHANG) && time < $until) { sleep 0.02 }
		next if $ended;
		kill 'KILL', $pid;
		waitpid $pid, 0;
		$killed++;
	}
	$self->{pids} = [];
	return $killed;
}

# No worker outlives the test, whatever that dies of.
sub DESTROY
{
	my ($self) = @_;
	local ($?, $@);
	kill 'KILL', @{ $self->{pids} } if @{ $self->{pids} // [] };
	return;
}

1;
