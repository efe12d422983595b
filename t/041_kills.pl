# The server dies in the middle of work, in every way in which it can without its disk: backends and other processes are killed (all restart),
# the postmaster is killed and leaves children and its pid file behind, the server is stopped at once, or dies again while it recovers. What was
# acknowledged is there, and nothing else.
#
# A round is some deaths one after the other: 3, or COUPON_GUARD_KILLS; 10 in the long form (COUPON_GUARD_SOAK_SECONDS), which plays rounds.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use CouponGuard::Trial;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

plan skip_all => 'no DBD::Pg' if !CouponGuard::Load::is_possible();

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
CouponGuard::Trial::prepare_node($node);
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION coupon_guard');
my $trial = CouponGuard::Trial->new($node, workers => 5, prepare => 0.05);
my $deaths = $ENV{COUPON_GUARD_KILLS} || ($trial->is_long ? 10 : 3);
my $loads = "application_name = 'coupon_guard_load'";

sub postmaster
{
	my ($pid) = split /\n/, slurp_file($node->data_dir . '/postmaster.pid');
	return $pid;
}

# The processes that the postmaster has.
sub children
{
	my ($parent) = @_;
	my @children;
	foreach my $path (glob '/proc/[0-9]*/stat')
	{
		open my $file, '<', $path or next;
		my ($pid, $of) = (<$file> // '') =~ /^(\d+) \(.*\) \S (\d+)/ or next;
		push @children, $pid if $of == $parent;
	}
	return @children;
}

# A way to die for each, after which the server comes back.
my %death = (
	'backend' => sub {
		my @pids = $trial->pids($loads) or return;
		kill 'KILL', CouponGuard::Trial::one_of(@pids);
	},
	'any process' => sub {
		kill 'KILL', CouponGuard::Trial::one_of(children(postmaster()));
	},
	'two backends' => sub {
		my @pids = $trial->pids($loads);
		kill 'KILL', splice @pids, 0, 2;
	},
	'postmaster' => sub {
		$node->kill9;
		$trial->start_again;
	},
	# A child that the postmaster leaves behind keeps another server from starting, as long as it is there.
	'postmaster, and a backend lives on' => sub {
		my ($child) = $trial->pids($loads) or return;
		kill 'STOP', $child;
		$node->kill9;
		my $has_started = $trial->starts;
		kill 'CONT', $child;
		die 'a second server has started beside a backend of the first' if $has_started;
		$trial->start_again;
	},
	'immediate stop' => sub {
		$node->stop('immediate');
		$trial->start_again;
	},
	'fast stop' => sub {
		$node->stop('fast');
		$trial->start_again;
	},
	'while it recovers' => sub {
		$node->kill9;
		$trial->start_again if !die_while_recovering();
	});

# Starts the server and kills it as soon as it has begun to recover; false if it was faster.
sub die_while_recovering
{
	my $log = -s $node->logfile;
	my $until = time + 60;
	while (time < $until)
	{
		system_log('pg_ctl', '-W', '-D', $node->data_dir, '-l', $node->logfile, '-o', '--cluster-name=' . $node->name, 'start');
		while (time < $until)
		{
			my $said = substr slurp_file($node->logfile), $log;
			if ($said =~ /redo starts|not properly shut down|database system is ready|shared memory block|FATAL/)
			{
				last if $said =~ /shared memory block/;
				kill 'KILL', postmaster();
				$trial->start_again;
				return 1;
			}
			sleep 0.005;
		}
		$log = -s $node->logfile;
	}
	return 0;
}

my @order;
$trial->play(
	'dies again and again',
	sub {
		foreach (1 .. $deaths)
		{
			@order = sort { rand() <=> 0.5 } sort keys %death if !@order;
			my $how = shift @order;
			$trial->{load}->wait_for_work(20 + int(rand(100)));
			note("dies: $how");
			$death{$how}->();
			$trial->count_fault($how);
			$trial->wait_until_up->disconnect;
		}
		$trial->{load}->wait_for_work(20);
	});

$trial->end;
$node->stop;
done_testing();
