# What docs/operations.md says of prometheus-postgres-exporter, as it stands there: the role, the file of queries; and each metric that its
# alerts name is there, with the right value.
#
# The program: POSTGRES_EXPORTER from the environment, else the one in the PATH.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use CouponGuard::Page;
use HTTP::Tiny;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($program) = grep { defined && -x } $ENV{POSTGRES_EXPORTER}, map { "$_/prometheus-postgres-exporter" } split /:/, $ENV{PATH};
plan skip_all => 'no prometheus-postgres-exporter' if !defined $program;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', q(shared_preload_libraries = 'coupon_guard'));
$node->start;
my $value = sub { return $node->safe_psql('shop', @_); };
$node->safe_psql('postgres', 'CREATE DATABASE shop');
$value->(q(CREATE SCHEMA promo; CREATE EXTENSION coupon_guard SCHEMA promo; INSERT INTO promo.coupon (code, max_redemptions) VALUES ('TWO', 2)));

my $page = CouponGuard::Page->new('docs/operations.md');
my ($language, $role) = $page->next('Prometheus');
is($language, 'sql', 'the page has the role');
$value->($role);
($language, my $queries) = $page->next('Prometheus');
is($language, 'yaml', 'and the queries');
my $file = $node->basedir . '/queries.yaml';
append_to_file($file, $queries);
($language, my $arguments) = $page->next('Prometheus');
like($arguments, qr/^DATA_SOURCE_NAME='.*'\nARGS='.*'\n$/, 'and how the exporter is started');

# As on the page, but for where the server, the file and the port are.
my $port = PostgreSQL::Test::Cluster::get_free_port();
my ($source) = $arguments =~ /^DATA_SOURCE_NAME='(.*)'$/m;
$source =~ s{host=\S+}{'host=' . $node->host . ' port=' . $node->port}e;
my ($options) = $arguments =~ /^ARGS='(.*)'$/m;
$options =~ s{/etc/\S+}{$file};
$options =~ s{:9187}{:$port};
my $log = '';
local $ENV{DATA_SOURCE_NAME} = $source;
my $exporter = IPC::Run::start([ $program, split / /, $options ], '<', \undef, '>&', \$log);
$exporter->pump while $exporter->pumpable && $log !~ /Listening|Starting Server|address=/i;

END
{
	local $?;
	$exporter->kill_kill if defined $exporter;
}

# What it says of the metrics of ours: by name and labels.
sub metrics
{
	my $answer = HTTP::Tiny->new(timeout => 60)->get("http://127.0.0.1:$port/metrics");
	die "$answer->{status} $answer->{reason}\n$log" if !$answer->{success};
	my %metrics;
	foreach my $line (split /\n/, $answer->{content})
	{
		my ($name, $labels, $number) = $line =~ /^(coupon_guard\w*)\{(.*)\} (\S+)$/ or next;
		my %label = $labels =~ /(\w+)="([^"]*)"/g;
		$metrics{$name}{ join ' ', @label{ grep { exists $label{$_} } 'datname', 'function', 'status' } } = $number;
	}
	return \%metrics;
}

$value->("SELECT promo.redeem_coupon('$_'::text, 'TWO')") foreach 'a', 'b', 'c';
$node->psql('shop', "SELECT promo.redeem_coupon(NULL::text, 'TWO')");
my $metrics = metrics();
is_deeply(
	$metrics->{coupon_guard_calls_total},
	{ 'shop redeem_coupon redeemed' => 2, 'shop redeem_coupon sold_out' => 1, 'shop redeem_coupon error' => 1 },
	'calls, by function and status') or diag($log);
is_deeply($metrics->{coupon_guard_triggers_in_force}, { 'shop' => 1 }, 'the triggers are in force');
is($metrics->{coupon_guard_cache_misses_total}{'shop redeem_coupon redeemed'}, 2, 'each session has read the coupon');

$value->("SELECT promo.redeem_coupon('d'::text, 'TWO')");
$value->('ALTER TABLE promo.coupon DISABLE TRIGGER USER');
$metrics = metrics();
is($metrics->{coupon_guard_calls_total}{'shop redeem_coupon sold_out'}, 2, 'they grow');
is_deeply($metrics->{coupon_guard_triggers_in_force}, { 'shop' => 0 }, 'a trigger that is off is seen');

my %named = map { $_ => 1 } map { /\b(coupon_guard_\w+?(?:_total|_in_force))\b/g } slurp_file('docs/operations.md') =~ /^\|.*$/mg;
cmp_ok(scalar keys %named, '>', 5, 'the page names metrics in alerts');
is_deeply([ grep { !exists $metrics->{$_} } sort keys %named ], [], 'each of them is there');

$node->stop;
done_testing();
