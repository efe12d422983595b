# pg_upgrade from an older server to this one, by copy and by link: what the old one has acknowledged is there, holds are open, requests
# known, codes claimed, additions and privileges kept; and the sale goes on, exact to the cap. The objects of older releases come along, too,
# and are updated afterwards.
#
# COUPON_GUARD_OLD_BINDIR names the programs of the older server, on which the extension is installed as well (scripts/matrix pg_upgrade).

use strict;
use warnings;

use File::Basename qw(dirname);
use File::Glob qw(:bsd_glob);
use FindBin;
use lib "$FindBin::RealBin/lib";
use CouponGuard::Installation;
use CouponGuard::Load;
use CouponGuard::Trial;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $old_programs = $ENV{COUPON_GUARD_OLD_BINDIR};
plan skip_all => 'COUPON_GUARD_OLD_BINDIR names no older server' if !$old_programs;
plan skip_all => 'no DBD::Pg' if !CouponGuard::Load::is_possible();

# The releases before today's version, oldest first.
my %script_of = map { m{coupon_guard--(.*)\.sql$} ? ($1 => slurp_file($_)) : () }
  grep { !/--.*--/ } glob "$FindBin::RealBin/../extension/update/coupon_guard--*.sql";

# An installation of the old server that has the older versions of the extension, too.
sub old_installation
{
	local $ENV{PATH} = "$old_programs:$ENV{PATH}";
	my $installation = CouponGuard::Installation->new(PostgreSQL::Test::Utils::tempdir());
	my ($version) = $installation->installed('coupon_guard.control') =~ /^default_version = '(.*)'/m;
	$installation->add('coupon_guard.control', $installation->installed('coupon_guard.control'));
	$installation->add("coupon_guard--$version.sql", $installation->installed("coupon_guard--$version.sql"));
	delete $script_of{$version};
	$installation->add("coupon_guard--$_.sql", $script_of{$_}) foreach keys %script_of;
	return $installation;
}

my $installation = old_installation();
my @older = sort keys %script_of;
my $number = 0;

sub make_server
{
	my ($name, %with) = @_;
	my $server = PostgreSQL::Test::Cluster->new($name . $number, %with);
	$server->init;
	CouponGuard::Trial::prepare_node($server, "autovacuum = off\nmax_connections = 60\n");
	return $server;
}

# --- a shop on the old server ----------------------------------------------------------------------------------------------------

my $shop = q(
	CREATE SCHEMA promo;
	CREATE EXTENSION coupon_guard SCHEMA promo;
	SET search_path = promo;
	CREATE ROLE clerk LOGIN;
	GRANT USAGE ON SCHEMA promo TO clerk;
	GRANT EXECUTE ON FUNCTION redeem_coupon(bigint, text, text, jsonb) TO clerk;
	ALTER TABLE coupon_redemption ADD COLUMN channel text;
	CREATE INDEX coupon_redemption_channel ON coupon_redemption (channel);
	INSERT INTO campaign (name, max_redemptions, max_per_user, budget) VALUES ('Spring', 20, 2, 5000);
	INSERT INTO coupon (code, max_redemptions, max_per_user) VALUES (U&'Stra\00DFe', 40, NULL), ('ONCE', NULL, 1);
	INSERT INTO coupon (code, budget, max_per_user) VALUES ('GIFT', 10000, NULL);
	INSERT INTO coupon (code, campaign_id, max_redemptions) VALUES ('TULIP', 1, NULL), ('DAISY', 1, NULL), ('CLAIM', 1, 1);
	SELECT redeem_coupon(u, 'STRASSE') FROM generate_series(1, 10) u;
	SELECT hold_coupon(u, 'strasse', '1 day', request_id => 'hold-' || u) FROM generate_series(11, 15) u;
	SELECT redeem_coupon(1, 'ONCE', 'order-1');
	SELECT redeem_coupon(1, 'GIFT', amount => 2500), redeem_coupon(2, 'TULIP', amount => 700);
	SELECT hold_coupon(3, 'DAISY', '1 day', amount => 300, request_id => 'hold-daisy');
	SELECT claim_coupon(9, 'Spring');
	UPDATE coupon SET terms = '{"percent": 10}';
	ALTER TABLE coupon ADD CONSTRAINT terms_have_percent CHECK (terms ? 'percent'));
my $older_shop = q(
	INSERT INTO coupon (code, max_redemptions) VALUES ('OLD', 20);
	SELECT redeem_coupon(u, 'OLD') FROM generate_series(1, 5) u;
	SELECT hold_coupon(6, 'OLD', '1 day', 'hold'));

# Query => what it says on the new server.
my @after = (
	[ 'no invariant is broken', 'SELECT invariant, detail FROM coupon_guard_verify()', '' ],
	[ 'the triggers are in force', 'SELECT coupon_guard_generation() IS NOT NULL', 't' ],
	[ 'units left before anybody has asked', q(SELECT remaining_units FROM check_coupon(99, 'STRASSE')), '25' ],
	[ 'a request is known', q(SELECT status, replayed FROM redeem_coupon(1, 'ONCE', 'order-1')), 'redeemed|t' ],
	[ 'a limit holds', q(SELECT status FROM redeem_coupon(1, 'ONCE')), 'already_redeemed' ],
	[ 'a hold is confirmed', q(SELECT status FROM coupon_redemption l, confirm_hold(l.id) WHERE request_id = 'hold-11'), 'redeemed' ],
	[ 'for less, in a campaign', q(SELECT status, c.amount FROM coupon_redemption l, confirm_hold(l.id, 100) c WHERE request_id = 'hold-daisy'), 'redeemed|100' ],
	[ 'a hold is voided', q(SELECT void_redemption(id) FROM coupon_redemption WHERE request_id = 'hold-12'), 't' ],
	[ 'a code is claimed', q(SELECT status, replayed FROM claim_coupon(9, 'Spring')), 'claimed|t' ],
	[ 'a budget has the rest', q(SELECT status, amount FROM redeem_coupon(4, 'GIFT', amount => 9000, up_to => true)), 'redeemed|7500' ],
	[ 'of the cap the rest can be had', q(SELECT r.status, count(*) FROM generate_series(100, 150) u, redeem_coupon(u, U&'stra\00DFe') r GROUP BY 1 ORDER BY 1), "redeemed|26\nsold_out|25" ],
	[ 'ids go on', q(SELECT count(*), count(DISTINCT id), max(id) = count(*) FROM coupon_redemption), '46|46|t' ],
	[ 'a new coupon, with the shop\'s constraint', q(INSERT INTO coupon (code, terms) VALUES ('NEW', '{"percent": 5}') RETURNING id), '7' ],
	[ 'the shop\'s index', q(SELECT count(*) FROM pg_indexes WHERE indexname = 'coupon_redemption_channel'), '1' ],
	[ 'who may call it', q(SELECT has_function_privilege('clerk', 'redeem_coupon(bigint, text, text, jsonb)', 'execute'), has_function_privilege('clerk', 'void_redemption(bigint, text)', 'execute')), 't|f' ],
	[ 'the extension is not dropped with rows in it', q(DO $$ BEGIN DROP EXTENSION coupon_guard CASCADE; EXCEPTION WHEN dependent_objects_still_exist THEN RAISE NOTICE 'kept'; END $$; SELECT count(*) FROM pg_extension WHERE extname = 'coupon_guard'), '1' ],
	[ 'and still nothing is broken', 'SELECT invariant, detail FROM coupon_guard_verify()', '' ]);
my @older_after = (
	[ 'redeems', q(SELECT status FROM redeem_coupon(7, 'OLD')), 'redeemed' ],
	[ 'confirms', q(SELECT status, replayed FROM redeem_coupon(6, 'OLD', 'hold')), 'redeemed|f' ],
	[ 'and is updated', q(ALTER EXTENSION coupon_guard UPDATE; SELECT extversion = coupon_guard_version() FROM pg_extension WHERE extname = 'coupon_guard'), 't' ],
	[ 'exact to the cap', q(SELECT r.status, count(*) FROM generate_series(100, 120) u, redeem_coupon(u, 'OLD') r GROUP BY 1 ORDER BY 1), "redeemed|13\nsold_out|8" ],
	[ 'nothing is broken', 'SELECT invariant, detail FROM coupon_guard_verify()', '' ]);

sub ask_all
{
	my ($server, $database, $what, @questions) = @_;
	foreach my $question (@questions)
	{
		my ($name, $sql, $expected) = @$question;
		is($server->safe_psql($database, "SET search_path = promo, public; SET client_min_messages = warning; $sql"), $expected, "$what: $name");
	}
	return;
}

# --- the upgrade -----------------------------------------------------------------------------------------------------------------

foreach my $way ('--copy', '--link')
{
	$number++;
	my $old = make_server('old', install_path => $installation->install_path);
	my $new = make_server('new');
	plan skip_all => "$old_programs is no older server" if $old->pg_version >= $new->pg_version;
	$old->start;
	note($old->safe_psql('postgres', 'SELECT version()'));
	$old->safe_psql('postgres', 'CREATE EXTENSION coupon_guard');
	$old->safe_psql('postgres', 'CREATE DATABASE shop');
	$old->safe_psql('shop', $shop);
	foreach my $version (@older)
	{
		$old->safe_psql('postgres', qq(CREATE DATABASE "shop_$version"));
		$old->safe_psql("shop_$version", "CREATE EXTENSION coupon_guard VERSION '$version'; $older_shop");
	}

	my $trial = CouponGuard::Trial->new($old);
	my $load = $trial->{load};
	$load->set_up($trial->connection);
	$load->start($trial->connection);
	$load->wait_for_work(300);
	is($load->stop, 0, 'the load stops');
	$old->stop;

	my $directory = PostgreSQL::Test::Utils::tempdir();
	chdir $directory or die "$directory: $!"; # it writes there
	my @upgrade = ($new->installed_command('pg_upgrade'), '--no-sync', '--old-bindir', $old->config_data('--bindir'), '--new-bindir', $new->config_data('--bindir'),
		'--old-datadir', $old->data_dir, '--new-datadir', $new->data_dir, '--old-port', $old->port, '--new-port', $new->port, '--socketdir', $new->host);
	push @upgrade, '--link' if $way eq '--link';
	$new->command_ok(\@upgrade, "pg_upgrade $way");
	chdir $FindBin::RealBin or die $!;

	$new->start;
	ask_all($new, 'shop', $way, @after);
	foreach my $version (@older)
	{
		ask_all($new, "shop_$version", "$way, objects of $version",
			[ 'still there', q(SELECT extversion FROM pg_extension WHERE extname = 'coupon_guard'), $version ], @older_after);
	}
	$trial->{node} = $new;
	is(join("\n", $load->judge($trial->connection)), '', "$way: what the old server has acknowledged: " . $load->summary);
	$load->start($trial->connection);
	$load->wait_for_work(300);
	is($load->stop, 0, 'the load stops');
	is(join("\n", $load->judge($trial->connection)), '', "$way: and it goes on: " . $load->summary);
	$new->safe_psql('postgres', 'VACUUM (ANALYZE)');
	is($new->safe_psql('postgres', 'SELECT * FROM coupon_guard_verify()'), '', "$way: nothing is broken");
	$new->stop;
}
done_testing();
