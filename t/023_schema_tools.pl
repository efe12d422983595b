# docs/schema-tools.md: what Alembic, Rails and Django do with the extension's tables, in a schema of their own and in public, and that
# the page's settings do what it says. A tool that is not installed is skipped.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use CouponGuard::Page;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $page = CouponGuard::Page->new('docs/schema-tools.md');
my (undef, $create) = $page->next('Schema tools');

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
chdir $node->basedir or die;

my $shop = 'CREATE TABLE users (id bigint PRIMARY KEY, name text)';
foreach my $database ('own', 'shared')
{
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database, ($database eq 'own' ? $create : 'CREATE EXTENSION coupon_guard') . "; $shop");
}
$node->safe_psql('own', q(INSERT INTO promo.coupon (code) VALUES ('SAVE10'); SELECT promo.redeem_coupon(1::bigint, 'SAVE10')));
$node->safe_psql('shared', q(INSERT INTO coupon (code) VALUES ('SAVE10'); SELECT redeem_coupon(1::bigint, 'SAVE10')));

# What the command prints, both ways, and whether it succeeded.
sub run_tool
{
	my (@command) = @_;
	local %ENV = (%ENV, PGHOST => $node->host, PGPORT => $node->port, LC_ALL => 'C.UTF-8', PYTHONDONTWRITEBYTECODE => 1);
	my $output = '';
	my $succeeds = IPC::Run::run(\@command, '<', \undef, '>', \$output, '2>&1');
	return ($output, $succeeds);
}

# The first of the programs that can load the tool.
sub program_with
{
	my ($option, $probe, @programs) = @_;
	foreach my $program (@programs)
	{
		my $can = eval { (run_tool($program, $option, $probe))[1] };
		return $program if $can;
	}
	return;
}

sub schema_of_extension
{
	my ($database) = @_;
	return $node->safe_psql($database, "SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'coupon_guard'");
}

# ---- what PostgreSQL keeps from any tool ---------------------------------------------------------------------------------------

foreach my $object ('TABLE campaign', 'TABLE coupon', 'TABLE coupon_redemption', 'TYPE coupon_status', 'SEQUENCE coupon_id_seq', 'VIEW coupon_usage')
{
	my ($result, $stdout, $stderr) = $node->psql('shared', "\\set VERBOSITY verbose\nDROP $object CASCADE");
	like($stderr, qr/2BP01/, "DROP $object CASCADE is refused");
}
my ($result, $stdout, $stderr) =
  $node->psql('shared', "\\set VERBOSITY verbose\nBEGIN; DROP INDEX coupon_redemption_use_unique; SELECT redeem_coupon(2::bigint, 'SAVE10')");
like($stderr, qr/55000/, 'without an index of its own the guard refuses');

# ---- Alembic -------------------------------------------------------------------------------------------------------------------

SKIP:
{
	my $python = program_with('-c', 'import alembic, psycopg2', 'python3', '/usr/bin/python3') or skip 'no Alembic', 1;
	my (undef, $include_name) = $page->next('Alembic');
	append_to_file('compare.py', <<"PYTHON");
import sys
from sqlalchemy import BigInteger, Column, MetaData, Table, Text, create_engine
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
$include_name
models = MetaData()
Table("users", models, Column("id", BigInteger, primary_key=True), Column("name", Text))
options = {"include_schemas": "schemas" in sys.argv}
if "names" in sys.argv:
    options["include_name"] = include_name
with create_engine("postgresql+psycopg2:///" + sys.argv[1]).connect() as connection:
    found = compare_metadata(MigrationContext.configure(connection, opts=options), models)
    print("found", *sorted({difference[0] + " " + difference[1].name for difference in found}), sep="\\n")
PYTHON
	my $compare = sub { my ($output) = run_tool($python, 'compare.py', @_); return $output =~ s/\A.*^found\n//msr; };
	is($compare->('own'), '', 'Alembic: no changes with a schema of its own');
	my $all = join "\n", (map { "remove_index coupon_campaign_$_" } qw(free holder_unique)),
	  (map { "remove_index coupon_redemption_$_" } qw(campaign_hold campaign_use_unique campaign_voided hold request_unique use_unique voided)),
	  (map { "remove_index coupon_transfer_$_" } qw(limit unsettled)), (map { "remove_index coupon_user_transfer_$_" } qw(last unsettled)),
	  (map { "remove_table $_" } qw(campaign coupon coupon_look coupon_quota coupon_redemption coupon_shard coupon_transfer coupon_user_gate coupon_user_transfer)), '';
	is($compare->('shared'), $all, 'Alembic: would remove tables in public');
	is($compare->('own', 'schemas'), $all, 'Alembic: and in promo, if it is told to look into all schemas');
	is($compare->('shared', 'names'), '', 'Alembic: include_name, in public');
	is($compare->('own', 'schemas', 'names'), '', 'Alembic: include_name, with all schemas');
}

# ---- Rails ---------------------------------------------------------------------------------------------------------------------

SKIP:
{
	my $ruby = program_with('-e', 'require "rails"; require "active_record"; require "pg"', 'ruby', '/usr/bin/ruby') or skip 'no Rails', 1;
	my (undef, $format) = $page->next('Rails');
	my (undef, $ignore) = $page->next('Rails');
	append_to_file('schema.rb.tool', <<"RUBY");
require "rails"
require "active_record"
action, database, file = ARGV
ActiveRecord::Base.configurations = { "development" => { "url" => "postgresql:///#{database}" } }
configuration = ActiveRecord::Base.configurations.configs_for(env_name: "development").first
ActiveRecord::Base.establish_connection(configuration)
tasks = ActiveRecord::Tasks::PostgreSQLDatabaseTasks.new(configuration)
from = ActiveRecord.version >= Gem::Version.new("7.2") ? ActiveRecord::Base.connection_pool : ActiveRecord::Base.connection
dump = -> { File.open(file, "w") { |stream| ActiveRecord::SchemaDumper.dump(from, stream) } }
case action
when "dump" then dump.call
when "dump_ignoring"
  $ignore
  dump.call
when "load" then load(file)
when "dump_sql" then tasks.structure_dump(file, nil)
when "load_sql" then tasks.structure_load(file, nil)
when "version" then puts ActiveRecord.version
when "format"
  require "active_record/railtie"
  class Shop < Rails::Application; end
  $format
  puts Rails.application.config.active_record.schema_format
end
RUBY
	my $rails = sub { return run_tool($ruby, 'schema.rb.tool', @_); };

	# Dumps the one database, loads it into a new one; what the load says.
	my $copy = sub {
		my ($from, $dump, $load, $to) = @_;
		my ($output, $succeeds) = $rails->($dump, $from, "./$to.schema");
		ok($succeeds, "Rails: $dump of $from") or diag($output);
		$node->safe_psql('postgres', "CREATE DATABASE $to");
		return $rails->($load, $to, "./$to.schema");
	};
	my ($output, $succeeds) = $copy->('own', 'dump', 'load', 'rails_own');
	ok($succeeds, 'Rails: schema.rb loads with a schema of its own');
	if (($rails->('version', 'own'))[0] =~ /^[67]\./m)
	{
		is(schema_of_extension('rails_own'), 'public', 'Rails: but not into it');
	}
	($output, $succeeds) = $copy->('shared', 'dump', 'load', 'rails_shared');
	like($output, qr/cannot drop table campaign because extension coupon_guard requires it/, 'Rails: schema.rb does not load with public');
	($output, $succeeds) = $copy->('shared', 'dump_ignoring', 'load', 'rails_ignoring');
	ok($succeeds, 'Rails: ignore_tables, it loads') or diag($output);
	unlike(slurp_file('rails_ignoring.schema'), qr/create_table "(coupon|campaign)/, 'Rails: without the tables');
	foreach my $database ('own', 'shared')
	{
		($output, $succeeds) = $copy->($database, 'dump_sql', 'load_sql', "rails_sql_$database");
		ok($succeeds, 'Rails: structure.sql loads') or diag($output);
		is(schema_of_extension("rails_sql_$database"), schema_of_extension($database), 'Rails: into the right schema');
	}
	like(($rails->('format', 'own'))[0], qr/^sql$/m, 'Rails: the setting');
}

# ---- Django --------------------------------------------------------------------------------------------------------------------

SKIP:
{
	my $python = program_with('-c', 'import django, psycopg2', 'python3', '/usr/bin/python3') or skip 'no Django', 1;
	my (undef, $migration) = $page->next('Django');
	my (undef, $models) = $page->next('Django');
	mkdir $_ foreach ('shop', 'shop/migrations');
	append_to_file("shop/$_", '') foreach ('__init__.py', 'migrations/__init__.py');
	append_to_file('shop/migrations/0001_coupon_guard.py', $migration);
	append_to_file('shop/models.py', "from django.db import models\n\n\n$models");
	append_to_file('settings.py', <<"PYTHON");
import os
SECRET_KEY = "none"
USE_TZ = True
INSTALLED_APPS = ["shop"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql", "NAME": os.environ["SHOP"]}}
PYTHON
	my $django = sub {
		my ($database, @command) = @_;
		local %ENV = (%ENV, SHOP => $database, DJANGO_SETTINGS_MODULE => 'settings', PYTHONPATH => '.');
		return run_tool($python, @command);
	};
	unlike(($django->('own', '-m', 'django', 'inspectdb', '--include-views'))[0], qr/coupon/i, 'Django: inspectdb does not see a schema of its own');
	my ($inspected) = $django->('shared', '-m', 'django', 'inspectdb');
	like($inspected, qr/managed = False\s+db_table = 'coupon_redemption'/, 'Django: inspectdb makes models of tables in public, not managed');

	$node->safe_psql('postgres', 'CREATE DATABASE django');
	my ($output, $succeeds) = $django->('django', '-m', 'django', 'makemigrations', 'shop');
	ok($succeeds, 'Django: makemigrations') or diag($output);
	($output, $succeeds) = $django->('django', '-m', 'django', 'migrate');
	ok($succeeds, 'Django: migrate') or diag($output);
	is(schema_of_extension('django'), 'promo', 'Django: the migration makes the extension');
	like(($django->('django', '-m', 'django', 'makemigrations', 'shop'))[0], qr/No changes detected/, 'Django: and then no changes');
	is($node->safe_psql('django', 'SELECT conrelid::regclass, confrelid::regclass FROM pg_constraint WHERE contype = $$f$$'),
		'shop_order|promo.coupon_redemption', 'Django: one foreign key of its own, to the ledger');

	append_to_file('use.py', <<'PYTHON');
import django
django.setup()
from django.db import connection, transaction
from shop.models import Coupon, Order, Redemption
coupon = Coupon.objects.create(code="SAVE10")
coupon.max_per_user = 2
coupon.save()
with transaction.atomic(), connection.cursor() as cursor:
    cursor.execute("SELECT status, redemption_id FROM promo.redeem_coupon(%s::bigint, %s)", [7, "save10"])
    status, redemption = cursor.fetchone()
    Order.objects.create(redemption_id=redemption)
print(status, Order.objects.get().redemption.coupon.code, Redemption.objects.get().user_id)
PYTHON
	($output) = $django->('django', 'use.py');
	like($output, qr/^redeemed SAVE10 7$/m, 'Django: the models read and write');

	($output, $succeeds) = $django->('django', '-m', 'django', 'migrate', 'shop', 'zero');
	ok(!$succeeds, 'Django: no way back');
	is(schema_of_extension('django'), 'promo', 'Django: the extension stays');
}

$node->stop;
done_testing();
