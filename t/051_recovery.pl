# What a backup that was made under load is worth: the moment that it shows is one that the ledger has had. Recovery to a point in the middle
# of a run, by name, place in the log and time; a base backup; a dump in several jobs, restored in several. Whatever was acknowledged before
# the moment is there, nothing that began after it is, and no quota is wrong.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use CouponGuard::Load;
use CouponGuard::Trial;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

plan skip_all => 'no DBD::Pg' if !CouponGuard::Load::is_possible();

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(has_archiving => 1, allows_streaming => 1);
CouponGuard::Trial::prepare_node($node, "autovacuum = off\nmax_connections = 60\n");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION coupon_guard');

my $trial = CouponGuard::Trial->new($node, prepare => 0.02);
my $load = $trial->{load};
my $number = 0;

# Does the step, and notes between which moments that was.
sub at_moment
{
	my ($step) = @_;
	my $moment = { from => time };
	$moment->{result} = $step->();
	$moment->{to} = time;
	return $moment;
}

# A server from the base backup, recovered until there.
sub recover
{
	my ($backup, $target) = @_;
	my $server = PostgreSQL::Test::Cluster->new('recovered' . ++$number);
	$server->init_from_backup($node, $backup, has_restoring => 1, standby => 0);
	$server->append_conf('postgresql.conf', "$target\nrecovery_target_action = 'promote'\narchive_mode = off\nhot_standby = off");
	$server->start;
	$server->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()') or die "no end of recovery: $target";
	return $server;
}

# All that is left of the ledger at a moment: findings.
sub judge_moment
{
	my ($what, $moment, $connection) = @_;
	my @findings = $load->judge($connection, moment => $moment);
	note("$what: " . $load->summary);
	return map { "$what: $_" } @findings;
}

sub run_program
{
	my (@command) = @_;
	my $said = '';
	$command[0] = $node->installed_command($command[0]);
	IPC::Run::run(\@command, '<', \undef, '>&', \$said) or die "@command: $said";
	return $said;
}

# A dump in jobs, all of one snapshot; when that was taken.
sub dump_in_jobs
{
	my ($directory) = @_;
	my $session = CouponGuard::Load::connect_to($trial->connection);
	$session->do('BEGIN ISOLATION LEVEL REPEATABLE READ');
	my $moment = at_moment(sub { $session->selectall_arrayref('SELECT pg_export_snapshot()')->[0][0] });
	$load->wait_for_work(30); # which is not in the dump
	run_program('pg_dump', '--format=directory', '--jobs=2', "--snapshot=$moment->{result}", "--file=$directory", $trial->connection);
	$session->do('COMMIT');
	$session->disconnect;
	return $moment;
}

sub restore_in_jobs
{
	my ($directory) = @_;
	$node->safe_psql('postgres', 'DROP DATABASE IF EXISTS restored');
	$node->safe_psql('postgres', 'CREATE DATABASE restored');
	run_program('pg_restore', '--jobs=2', '--exit-on-error', '--dbname=' . $node->connstr('restored'), $directory);
	return $node->connstr('restored');
}

sub restore_everything
{
	my ($file) = @_;
	my $server = PostgreSQL::Test::Cluster->new('restored' . ++$number);
	$server->init;
	$server->start;
	my $said = run_program('psql', '--no-psqlrc', '--quiet', '--output=/dev/null', "--file=$file", $server->connstr('postgres'));
	my @errors = grep { /ERROR/ && !/role .* already exists/ } split /\n/, $said;
	die "$file: @errors" if @errors;
	return $server;
}

sub value { return $node->safe_psql('postgres', $_[0]) }

sub wait_for_archive
{
	my $last = value('SELECT pg_walfile_name(pg_current_wal_insert_lsn())');
	value('SELECT pg_switch_wal()');
	$node->poll_query_until('postgres', "SELECT last_archived_wal >= '$last' FROM pg_stat_archiver") or die 'the log is not archived';
	return;
}

$trial->play('backups under load', sub {
	my $place = $node->basedir . '/' . ++$number;
	$load->wait_for_work(50);
	my $base = at_moment(sub { $node->backup("base$number"); return "base$number" });
	$load->wait_for_work(30);
	my %targets;
	my $by_name = at_moment(sub { value("SELECT pg_create_restore_point('middle')") });
	$load->wait_for_work(30);
	my $by_place = at_moment(sub { value('SELECT pg_current_wal_insert_lsn()') });
	$load->wait_for_work(30);
	my $by_time = at_moment(sub { value('SELECT clock_timestamp()') });
	$load->wait_for_work(30);
	my $dumped = dump_in_jobs("$place.dump");
	my $all_dumped = at_moment(sub { run_program('pg_dumpall', "--file=$place.sql", '--dbname=' . $trial->connection) });
	$load->wait_for_work(30);
	my $killed = $load->stop;
	wait_for_archive();

	my @findings = $killed ? 'a worker had to be killed' : ();
	push @findings, judge_moment('pg_dump in jobs', $dumped, restore_in_jobs("$place.dump"));
	my @servers = (
		[ 'pg_basebackup', $base, sub {
			my $server = PostgreSQL::Test::Cluster->new('base_backup' . ++$number);
			$server->init_from_backup($node, $base->{result});
			$server->append_conf('postgresql.conf', 'archive_mode = off');
			$server->start;
			return $server;
		} ],
		[ 'recovery_target_name', $by_name, sub { recover($base->{result}, "recovery_target_name = 'middle'") } ],
		[ 'recovery_target_lsn', $by_place, sub { recover($base->{result}, "recovery_target_lsn = '$by_place->{result}'") } ],
		[ 'recovery_target_time', $by_time, sub { recover($base->{result}, "recovery_target_time = '$by_time->{result}'") } ],
		[ 'pg_dumpall', $all_dumped, sub { restore_everything("$place.sql") } ]);
	foreach (@servers)
	{
		my ($what, $moment, $make) = @$_;
		my $server = $make->();
		push @findings, judge_moment($what, $moment, $server->connstr('postgres'));
		$server->stop('immediate');
		$server->clean_node;
		$trial->count_fault($what);
	}
	die join("\n", @findings) if @findings;
});
$trial->end;
$node->stop;
done_testing();
