# A disk is full, and has room again. Where the tables are, calls fail with 53100 and nothing is half done; where the WAL is, the server goes
# down (PANIC) and cannot even recover before there is room. Either way nothing acknowledged is lost.
#
# The disk is a small file system that scripts/test and scripts/soak mount as root: COUPON_GUARD_SMALL_DISK, of some 24 MB, empty.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use CouponGuard::Trial;
use File::Path qw(make_path remove_tree);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

plan skip_all => 'no DBD::Pg' if !CouponGuard::Load::is_possible();
my $disk = $ENV{COUPON_GUARD_SMALL_DISK};
plan skip_all => 'no small disk to fill (scripts/test mounts one if it runs as root)' if !$disk || !-d $disk;
remove_tree(glob "$disk/*");
make_path("$disk/tables");

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 1, extra => [ '--waldir', "$disk/wal", '--wal-segsize', '1' ]);
CouponGuard::Trial::prepare_node($node, "min_wal_size = 2MB\nmax_wal_size = 3MB\ncheckpoint_timeout = 30s\n");
$node->start;
value("CREATE TABLESPACE small LOCATION '$disk/tables'");
$node->safe_psql('postgres', 'CREATE DATABASE shop');
$node->safe_psql('shop', 'CREATE EXTENSION coupon_guard');
my $trial = CouponGuard::Trial->new($node, database => 'shop', workers => 4, prepare => 0.02, allow => ['53100'],
	log => qr/PANIC:  could not (write to|create|extend|open) |terminated by signal 6|53100 /);
my $load = $trial->{load};

sub value
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

# Fills the disk, but for some pages.
sub fill
{
	open my $file, '>>:raw', "$disk/ballast" or die "$disk/ballast: $!";
	while (syswrite $file, "\0" x 4096) { }
	truncate $file, (-s $file) - 4096 * int(rand(8));
	close $file;
	return;
}
sub make_room { unlink "$disk/ballast" or die "$disk/ballast: $!"; return }

sub wait_for(&$)
{
	my ($condition, $what) = @_;
	my $until = time + 60;
	until ($condition->())
	{
		die "this does not come: $what" if time > $until;
		sleep 0.05;
	}
	return;
}

my $log_at = 0;
sub has_logged
{
	my ($pattern) = @_;
	return substr(slurp_file($node->logfile), $log_at) =~ $pattern;
}

# --- the disk of the WAL -------------------------------------------------------------------------------

$trial->play(
	'no room for the WAL',
	sub {
		$load->wait_for_work(30 + int(rand(100)));
		$log_at = -s $node->logfile;
		# All WAL is kept for a reader who never comes, so none of it makes room for more.
		value("SELECT pg_create_physical_replication_slot('forgotten', true)");
		my ($postmaster) = split /\n/, slurp_file($trial->pid_file);
		fill();
		# It tries to recover, and fails, for want of the room that a checkpoint needs.
		wait_for { has_logged(qr/PANIC:  could not/) } 'the PANIC';
		if (rand() < 0.5)
		{
			wait_for { !kill 0, $postmaster } 'the end of a server that cannot recover';
		}
		make_room();
		$trial->count_fault('WAL disk full');
		# It may have been about to give up, or to succeed.
		wait_for { !kill(0, $postmaster) || CouponGuard::Load::is_there($trial->connection) } 'its end, or recovery';
		if (!kill 0, $postmaster)
		{
			$trial->forget_server;
			$trial->start_again;
		}
		$trial->wait_until_up->disconnect;
		value("SELECT pg_drop_replication_slot('forgotten')");
		$load->wait_for_work(30);
	},
	0.5);

# --- the disk of the tables --------------------------------------------------------------------------------

# The WAL elsewhere, as it should be.
$node->stop;
my $wal = $node->basedir . '/wal';
system_or_bail('mv', "$disk/wal", $wal);
unlink $node->data_dir . '/pg_wal';
symlink $wal, $node->data_dir . '/pg_wal' or die "pg_wal: $!";
$node->start;
value('ALTER DATABASE shop SET TABLESPACE small');

$trial->play(
	'no room for the tables',
	sub {
		$load->wait_for_work(30 + int(rand(100)));
		$log_at = -s $node->logfile;
		fill();
		wait_for { has_logged(qr/ 53100 .*ERROR:  could not extend/) } 'an error for want of room';
		$load->wait_for_work(20); # whose rows found room in their pages
		make_room();
		$trial->count_fault('disk of the tables full');
		$load->wait_for_work(30);
	},
	0.5);

$trial->end;
$node->stop;
remove_tree(glob "$disk/*");
done_testing();
