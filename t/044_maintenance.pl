# Maintenance at its most eager: autovacuum every second for whatever has changed, VACUUM FREEZE, CHECKPOINT and ANALYZE without a pause, with
# pages as full as they get and each backend's writes flushed as soon as may be; with as little in the WAL as there is (wal_level = minimal), and
# with as much (logical, a slot that is read). Then the server crashes, and what was acknowledged is there.

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
CouponGuard::Trial::prepare_node($node, <<'CONF');
wal_level = minimal
max_wal_senders = 0
autovacuum_naptime = 1s
autovacuum_vacuum_threshold = 0
autovacuum_vacuum_scale_factor = 0
autovacuum_vacuum_insert_threshold = 0
autovacuum_vacuum_insert_scale_factor = 0
autovacuum_analyze_threshold = 0
autovacuum_analyze_scale_factor = 0
autovacuum_vacuum_cost_delay = 0
vacuum_freeze_min_age = 0
checkpoint_timeout = 30s
max_wal_size = 32MB
min_wal_size = 32MB
wal_writer_delay = 1ms
bgwriter_delay = 10ms
backend_flush_after = 1
full_page_writes = on
shared_buffers = 1MB
CONF
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION coupon_guard');
my $trial = CouponGuard::Trial->new($node, workers => 4, prepare => 0.03);
my $load = $trial->{load};

my @JOBS = (
	'CHECKPOINT', 'CHECKPOINT', 'VACUUM (FREEZE) coupon_quota', 'VACUUM (FREEZE) coupon_redemption', 'VACUUM (FREEZE) coupon', 'VACUUM (FREEZE) campaign',
	'VACUUM (FREEZE, DISABLE_PAGE_SKIPPING, INDEX_CLEANUP on, TRUNCATE on) coupon_quota', 'VACUUM (FREEZE, DISABLE_PAGE_SKIPPING) coupon_redemption',
	'VACUUM (FREEZE) pg_trigger', 'VACUUM (FREEZE, ANALYZE)', 'ANALYZE', 'SELECT pg_switch_wal()');

# Jobs one after the other, in sessions of their own; then the server is stopped at once and started again.
sub maintain
{
	my ($also) = @_;
	my $until = time + ($trial->is_long ? 8 : 1);
	my $session = $trial->wait_until_up;
	while (time < $until)
	{
		my $job = CouponGuard::Trial::one_of(@JOBS);
		eval { $session->do($job); $trial->count_fault($job =~ /^(\w+)/ ? $1 : $job); 1 } or $@ =~ /deadlock detected/ or die $@;
		$also->($session) if $also;
	}
	$session->disconnect;
	$load->wait_for_work(20);
	$node->stop('immediate');
	$trial->count_fault('immediate stop');
	$trial->start_again;
	$load->wait_for_work(20);
	return;
}

$trial->play('wal_level = minimal', sub { maintain() }, 0.5);

$node->stop;
$node->append_conf('postgresql.conf', "wal_level = logical\nmax_wal_senders = 4\n");
$node->start;
$node->safe_psql('postgres', 'CREATE PUBLICATION everything FOR ALL TABLES');
$node->safe_psql('postgres', "SELECT pg_create_logical_replication_slot('reader', 'pgoutput')");

# What is decoded are the rows that have been committed, the guard's own writes past the executor too.
$trial->play(
	'wal_level = logical',
	sub {
		maintain(sub {
				$_[0]->selectall_arrayref("SELECT count(*) FROM pg_logical_slot_get_binary_changes('reader', NULL, 2000,
					'proto_version', '1', 'publication_names', 'everything')");
			});
	},
	0.5);

$trial->end;
$node->stop;
done_testing();
