# ALTER EXTENSION UPDATE makes of an older version, with a shop's data in it, object by object what CREATE EXTENSION makes today; the
# shop keeps its coupons, redemptions, holds, request ids, privileges, and what it has built on them. So does a dump of the older version
# that is restored where today's is installed.
#
# Every release leaves its install script in extension/update/, and is updated here to each later release and to today's version. And today's
# version is, to one that exists only here: so what is wrong with an update script can be tried out, to see that it is found.

use strict;
use warnings;

use File::Glob qw(:bsd_glob);
use FindBin;
use lib "$FindBin::RealBin/lib";
use CouponGuard::Installation;
use CouponGuard::Inventory;
use CouponGuard::Session;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $installation = CouponGuard::Installation->new(PostgreSQL::Test::Utils::tempdir());
my $control = $installation->installed('coupon_guard.control');
my ($today) = $control =~ /^default_version = '(.*)'/m or die 'the control file names no version';
my $script = $installation->installed("coupon_guard--$today.sql");

# --- the versions -----------------------------------------------------------------------------------------------------

# Whether a version has what came with another.
sub is_since
{
	my ($version, $since) = @_;
	my ($own, $first) = map { sprintf '%05d' x 3, /(\d+)/g } $version, $since;
	return $own ge $first;
}

my %released = map { m{coupon_guard--(.*)\.sql$} ? ($1 => slurp_file($_)) : () }
  grep { !/--.*--/ } glob "$FindBin::RealBin/../extension/update/coupon_guard--*.sql";
is($script, $released{$today}, "$today is installed as it was released") if exists $released{$today};

# @extowner@ is whoever runs the update, the extension's owner or a superuser: so it is not asked.
sub owned
{
	my ($object) = @_;
	return qq(DO \$owned\$ BEGIN EXECUTE (SELECT pg_catalog.format('ALTER $object OWNER TO %s', extowner::pg_catalog.regrole)
		FROM pg_catalog.pg_extension WHERE extname OPERATOR(pg_catalog.=) 'coupon_guard'); END \$owned\$);
}

# The version to come. Its statements: a name, the SQL, and which one it cannot do without.
(my $next = $today) =~ s/(\d+)(\D*)$/($1 + 1) . $2/e;
my @statements = (
	[ 'a function', 'CREATE FUNCTION @extschema@.coupon_next() RETURNS pg_catalog.int4 LANGUAGE sql IMMUTABLE RETURN 1' ],
	[ q(the function's owner), owned('FUNCTION @extschema@.coupon_next()'), 'a function' ],
	[ q(the function's privileges), 'REVOKE EXECUTE ON FUNCTION @extschema@.coupon_next() FROM PUBLIC', 'a function' ],
	[ q(the function's comment), q(COMMENT ON FUNCTION @extschema@.coupon_next() IS 'one'), 'a function' ],
	[ 'a table', 'CREATE TABLE @extschema@.coupon_note (coupon_id pg_catalog.int8 PRIMARY KEY, note pg_catalog.text)' ],
	[ q(the table's owner), owned('TABLE @extschema@.coupon_note'), 'a table' ],
	[ q(the table's comment), q(COMMENT ON TABLE @extschema@.coupon_note IS 'notes'), 'a table' ],
	[ 'that the table is dumped', q(SELECT pg_catalog.pg_extension_config_dump('@extschema@.coupon_note', 'WHERE true')), 'a table' ],
	[ 'an index', 'CREATE INDEX coupon_note_note ON @extschema@.coupon_note (note)', 'a table' ],
	[ 'a trigger', 'CREATE TRIGGER coupon_note_same BEFORE UPDATE ON @extschema@.coupon_note
		FOR EACH ROW EXECUTE FUNCTION pg_catalog.suppress_redundant_updates_trigger()', 'a table' ],
	[ 'that the trigger is always in force', 'ALTER TABLE @extschema@.coupon_note ENABLE ALWAYS TRIGGER coupon_note_same', 'a trigger' ],
	[ 'a type', 'CREATE TYPE @extschema@.coupon_kind AS ENUM (\'gift\')' ],
	[ q(the type's label), q(ALTER TYPE @extschema@.coupon_kind ADD VALUE 'prize' BEFORE 'gift'), 'a type' ],
	[ q(an old table's new column), 'ALTER TABLE @extschema@.coupon ADD COLUMN season_id pg_catalog.int8 NOT NULL DEFAULT 0' ],
	[ q(the column's constraint), 'ALTER TABLE @extschema@.coupon ADD CONSTRAINT coupon_season CHECK (season_id OPERATOR(pg_catalog.>=) 0)',
		q(an old table's new column) ],
	[ q(the column's comment), q(COMMENT ON COLUMN @extschema@.coupon.season_id IS 'of a season'), q(an old table's new column) ],
	[ q(an old table's new comment), q(COMMENT ON TABLE @extschema@.coupon IS 'coupons') ],
	[ q(an old function's new volatility), 'ALTER FUNCTION @extschema@.coupon_guard_version() STABLE' ],
	[ q(an old function's new body), 'CREATE OR REPLACE FUNCTION @extschema@.coupon_guard_version() RETURNS pg_catalog.text LANGUAGE sql STABLE STRICT PARALLEL SAFE
		RETURN \'next\'', q(an old function's new volatility) ],
	[ q(an old function's new privileges), 'REVOKE EXECUTE ON FUNCTION @extschema@.coupon_guard_generation() FROM PUBLIC' ],
	[ q(an old view's new option), 'ALTER VIEW @extschema@.coupon_usage SET (security_barrier)' ],
	[ q(an old event trigger's new state), 'ALTER EVENT TRIGGER coupon_guard_keep_rows ENABLE' ]);
my %needs = map { $_->[0] => $_->[2] } @statements;

sub can_do_without
{
	my ($name, $forgotten) = @_;
	return 1 if !defined $name;
	return $name ne $forgotten && can_do_without($needs{$name}, $forgotten);
}

# The SQL of the version to come, but for what is forgotten.
sub steps
{
	my ($forgotten) = @_;
	return join '', map { "$_->[1];\n" } grep { can_do_without($_->[0], $forgotten // '') } @statements;
}

my %wrong = map { ("without $_->[0]" => steps($_->[0])) } @statements;
$wrong{'the owner of a table is who runs the update'} = steps(q(the table's owner)) . 'ALTER TABLE @extschema@.coupon_note OWNER TO @extowner@;';
$wrong{'a function more'} = steps() . 'CREATE FUNCTION @extschema@.coupon_more() RETURNS pg_catalog.int4 LANGUAGE sql RETURN 1;';
$wrong{'a member left behind'} = steps() . 'ALTER EXTENSION coupon_guard DROP FUNCTION @extschema@.coupon_next();';
# GRANT and REVOKE in a script record the privileges as they are then, the shop's own among them: the next dump would leave those out.
$wrong{'the privileges that the shop granted taken for its own'} = steps() . q(
	GRANT EXECUTE ON FUNCTION @extschema@.redeem_coupon(pg_catalog.int8, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb) TO PUBLIC;
	REVOKE EXECUTE ON FUNCTION @extschema@.redeem_coupon(pg_catalog.int8, pg_catalog.text, pg_catalog.text, pg_catalog.jsonb) FROM PUBLIC;);

# --- the server, with all of them -------------------------------------------------------------------------------------

while (my ($version, $text) = each %released) { $installation->add("coupon_guard--$version.sql", $text) }
$installation->add($_, $installation->installed($_)) foreach $installation->installed_updates;
$installation->add("coupon_guard--$today.sql", $script);
$installation->add("coupon_guard--$next.sql", $script . steps());
$installation->add("coupon_guard--$today--$next.sql", steps());
my @wrong = sort keys %wrong;
$installation->add("coupon_guard--$today--$next-wrong$_.sql", $wrong{ $wrong[$_] }) foreach 0 .. $#wrong;

my $node = PostgreSQL::Test::Cluster->new('main', install_path => $installation->install_path);
$node->init;
$node->append_conf('postgresql.conf', 'fsync = off');
$node->start;
my $superuser = $node->safe_psql('postgres', 'SELECT current_user');
$node->safe_psql('postgres', 'CREATE ROLE shop_owner LOGIN; CREATE ROLE clerk LOGIN');

# --- a shop -----------------------------------------------------------------------------------------------------------

# As its owner, in its schema.
sub in_shop
{
	my ($shop, $database, $sql) = @_;
	return $node->safe_psql($database, "SET search_path = $shop->{schema}; SET client_min_messages = warning; $sql",
		connstr => $node->connstr($database) . " user=$shop->{owner}");
}

sub make_database
{
	my ($shop, $database, $version) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $database TEMPLATE template0 OWNER $shop->{owner}");
	in_shop($shop, $database, "CREATE SCHEMA IF NOT EXISTS $shop->{schema}; GRANT USAGE ON SCHEMA $shop->{schema} TO clerk;
		CREATE EXTENSION coupon_guard SCHEMA $shop->{schema} VERSION '$version'");
	return;
}

# Every kind of row, by the version that it came with.
my @data = (
	[ '0.1.0', q(
	INSERT INTO coupon (code, terms, max_redemptions, max_per_user, stripes) VALUES
		('SAVE10', '{"percent": 10}', NULL, 1, NULL), ('CAPPED', NULL, 5, 1, 2), ('TWICE', NULL, NULL, 2, NULL), ('ONCE', NULL, 1, 1, NULL);
	INSERT INTO coupon (id, code, active, starts_at, expires_at) VALUES (100, 'OFF', false, '2001-01-01', '2999-01-01');
	SELECT redeem_coupon(1, 'SAVE10', 'order-1', '{"order": 1}');
	SELECT redeem_coupon('ann'::text, 'SAVE10');
	SELECT redeem_coupon('00000000-0000-0000-0000-000000000001'::uuid, 'TWICE');
	SELECT redeem_coupon(1, 'CAPPED'), redeem_coupon(2, 'CAPPED');
	SELECT hold_coupon(3, 'CAPPED', '1 hour', 'hold-3');
	SELECT hold_coupon(4, 'CAPPED', '1 microsecond');
	SELECT void_redemption((SELECT id FROM coupon_redemption WHERE user_id = '2'), 'sent back');
	SELECT redeem_coupon(1, 'ONCE', 'once-1');) ],
	[ '0.2.0', q(
	INSERT INTO campaign (id, name, max_redemptions, max_per_user, budget, terms) VALUES (7, 'Spring', 6, 2, 5000, '{"percent": 5}');
	INSERT INTO campaign (id, name, active, starts_at, expires_at) VALUES (8, 'Past', false, '2001-01-01', '2001-02-01');
	INSERT INTO coupon (code, budget, max_per_user, campaign_id, holder) VALUES
		('GIFT', 10000, NULL, NULL, NULL), ('TULIP', NULL, 1, 7, NULL), ('DAISY', NULL, 1, 7, NULL), ('MINE', NULL, 1, NULL, 'ann'), ('PAST', NULL, 1, 8, NULL);
	SELECT generate_coupons('Spring', 2, 'S-????????');
	SELECT redeem_coupon(1, 'GIFT', amount => 2500), redeem_coupon(1, 'TULIP', amount => 700), redeem_coupon(2, 'TULIP', amount => 50);
	SELECT redeem_coupon(2, 'GIFT', amount => 9000, up_to => true, request_id => 'gift-2');
	SELECT void_redemption((SELECT id FROM coupon_redemption WHERE request_id = 'gift-2'), amount => 500);
	SELECT hold_coupon(3, 'DAISY', '1 hour', amount => 300, request_id => 'hold-daisy');
	SELECT redeem_coupons(4, '{GIFT,TWICE}', amounts => '{1,1}'), redeem_coupon_for_each('{5}'::bigint[], '{SAVE10}');
	SELECT claim_coupon(9, 'spring');) ]);

# What a shop builds on the extension: privileges, and objects of its own that use the extension's. A dump has them.
my @belongings = (
	[ '0.1.0', q(
	GRANT EXECUTE ON FUNCTION redeem_coupon(bigint, text, text, jsonb) TO clerk;
	GRANT SELECT ON coupon, coupon_usage TO clerk;
	GRANT SELECT (user_id) ON coupon_redemption TO clerk;
	REVOKE EXECUTE ON FUNCTION coupon_guard_version() FROM PUBLIC;
	CREATE TABLE shop_order (id bigint PRIMARY KEY, redemption_id bigint REFERENCES coupon_redemption, outcome coupon_status);
	CREATE VIEW shop_report AS SELECT code, redeemed FROM coupon_usage;
	COMMENT ON VIEW shop_report IS 'for the boss';
	CREATE FUNCTION shop_redeem(text) RETURNS coupon_status LANGUAGE sql BEGIN ATOMIC SELECT status FROM redeem_coupon(77, $1); END;) ],
	[ '0.2.0', q(
	GRANT EXECUTE ON FUNCTION redeem_coupon(bigint, text, bigint, jsonb, text, boolean) TO clerk;
	GRANT SELECT ON campaign_usage TO clerk;
	GRANT UPDATE (active) ON campaign TO clerk;
	CREATE TABLE shop_season (campaign_id bigint PRIMARY KEY REFERENCES campaign, of coupon_claim_answer);
	CREATE VIEW shop_campaigns AS SELECT name, redeemed_amount FROM campaign_usage;
	CREATE FUNCTION shop_pay(text, bigint) RETURNS coupon_redeem_answer LANGUAGE sql BEGIN ATOMIC SELECT redeem_coupon(77, $1, amount => $2); END;) ]);

# And these a dump has not (docs/operations.md).
my $not_dumped = q(
	CREATE INDEX shop_metadata ON coupon_redemption ((metadata ->> 'order'));
	COMMENT ON COLUMN coupon.terms IS 'percent';);

my @contents = (
	[ '0.1.0', q(
	SELECT id, code, code_key, active, starts_at, expires_at, max_redemptions, max_per_user, stripes, terms, created_at FROM coupon ORDER BY id;
	SELECT id, coupon_id, user_id, use_no, redeemed_at, hold_expires_at, voided_at, void_reason, request_id, metadata FROM coupon_redemption ORDER BY id;
	SELECT code, redeemed, held, voided, remaining_units FROM coupon_usage ORDER BY code;
	TABLE shop_report ORDER BY code;
	TABLE shop_order ORDER BY id;) ],
	[ '0.2.0', q(
	SELECT id, holder, budget, campaign_id FROM coupon ORDER BY id;
	SELECT id, amount, campaign_id, campaign_use_no FROM coupon_redemption ORDER BY id;
	SELECT id, name, name_key, active, starts_at, expires_at, max_redemptions, max_per_user, budget, terms, created_at FROM campaign ORDER BY id;
	TABLE campaign_usage ORDER BY campaign_id;
	TABLE shop_season;
	TABLE shop_campaigns ORDER BY name;) ]);

# Redemptions go on where they were. What they change is rolled back.
my @goes_on = (
	[ '0.1.0', q(	SELECT status, replayed FROM redeem_coupon(1, 'SAVE10', 'order-1');
	SELECT status FROM redeem_coupon(1, 'SAVE10', 'order-2');
	SELECT status, use_no FROM redeem_coupon('00000000-0000-0000-0000-000000000001'::uuid, 'TWICE');
	SELECT status FROM confirm_hold((SELECT id FROM coupon_redemption WHERE request_id = 'hold-3'));
	SELECT status FROM redeem_coupon(10, 'CAPPED');
	SELECT status FROM redeem_coupon(11, 'CAPPED');
	SELECT status FROM redeem_coupon(12, 'CAPPED');
	SELECT status FROM redeem_coupon(13, 'CAPPED');
	SELECT status FROM redeem_coupon(2, 'ONCE');
	SELECT shop_redeem('SAVE10');
	SELECT count(*) FROM coupon_guard_verify();
	INSERT INTO coupon (code) VALUES ('NEW');
	SELECT id BETWEEN 5 AND 99 FROM coupon WHERE code = 'NEW'; -- a sequence does not roll back
	), 'redeemed|t', 'already_redeemed', 'redeemed|2', 'redeemed', ('redeemed') x 3, 'sold_out', 'sold_out', 'redeemed', 0, 't' ],
	[ '0.2.0', q(
	SELECT status, amount, replayed FROM redeem_coupon(2, 'GIFT', amount => 9000, up_to => true, request_id => 'gift-2');
	SELECT status, amount FROM redeem_coupon(6, 'GIFT', amount => 9000);
	SELECT (shop_pay('GIFT', 99)).status;
	SELECT status, amount FROM redeem_coupon(6, 'GIFT', amount => 9000, up_to => true);
	SELECT status FROM redeem_coupon(5, 'MINE');
	SELECT status, amount FROM confirm_hold((SELECT id FROM coupon_redemption WHERE request_id = 'hold-daisy'), amount => 100);
	SELECT status, replayed FROM claim_coupon(9, 'SPRING');
	SELECT r.status, r.amount FROM claim_coupon(9, 'SPRING') c, redeem_coupon(9, c.code, amount => 4000) r;
	SELECT status, limited_by, amount FROM redeem_coupon(10, 'DAISY', amount => 4000);
	SELECT status FROM redeem_coupon(10, 'DAISY', amount => 100);
	SELECT status FROM redeem_coupon(11, 'DAISY', amount => 20);
	SELECT status, limited_by FROM redeem_coupon(12, 'DAISY', amount => 1);
	SELECT status FROM redeem_coupon(13, 'PAST');
	INSERT INTO campaign (name) VALUES ('New');
	), 'redeemed|7000|t', 'insufficient|499', 'redeemed', 'redeemed|400', 'reserved', 'redeemed|100', 'claimed|t', 'redeemed|4000', 'insufficient|campaign|150', 'redeemed', 'redeemed',
		'sold_out|campaign', 'inactive' ]);

# The SQL of these lists that a version can do: its own and its forerunners'.
sub sql_of
{
	my ($version, @parts) = @_;
	return join ' ', map { $_->[1] } grep { is_since($version, $_->[0]) } @parts;
}

sub goes_on { return 'BEGIN; ' . sql_of($_[0], @goes_on) . ' ROLLBACK; SELECT count(*) FROM coupon_guard_verify();' }
sub went_on { my ($version) = @_; return join "\n", (map { @{$_}[ 2 .. $#$_ ] } grep { is_since($version, $_->[0]) } @goes_on), 0 }

# --- what is asked ----------------------------------------------------------------------------------------------------

sub is_as_fresh
{
	my ($database, $expected, $name) = @_;
	my @differences = differences(inventory_of($node, $database), $expected);
	ok(!@differences, $name) or diag(join "\n", @differences);
	return;
}

sub keeps_data
{
	my ($shop, $database, $version, $before, $name) = @_;
	is(in_shop($shop, $database, sql_of($version, @contents)), $before, "$name: same coupons, redemptions, holds, voids and request ids");
	is(in_shop($shop, $database, goes_on($version)), went_on($version), "$name: redeeming goes on where it was");
	return;
}

my $file = $node->basedir . '/dump';

sub restore_as
{
	my ($shop, $database, $name) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $database TEMPLATE template0 OWNER $shop->{owner}");
	$node->command_ok([ 'pg_restore', '--exit-on-error', '--username', $shop->{owner}, '--dbname', $database, $file ], "$name: restore");
	in_shop($shop, $database, $not_dumped);
	return;
}

# From one version to another, in a shop.
sub update
{
	my ($from, $to, $shop) = @_;
	my $name = "$from to $to, $shop->{name}";
	(my $default = $control) =~ s/^default_version = .*/default_version = '$to'/m;
	$installation->add('coupon_guard.control', $default);

	make_database($shop, 'fresh', $to);
	my $belongings = sql_of($from, @belongings);
	in_shop($shop, 'fresh', "$belongings $not_dumped");
	my $expected = inventory_of($node, 'fresh');
	cmp_ok(scalar(keys %$expected), '>', 100, "$name: the inventory has objects in it");

	make_database($shop, 'shop', $from);
	in_shop($shop, 'shop', sql_of($from, @data) . "$belongings $not_dumped INSERT INTO shop_order VALUES (1, 1, 'redeemed');");
	my $before = in_shop($shop, 'shop', sql_of($from, @contents));
	is(in_shop($shop, 'shop', goes_on($from)), went_on($from), "$name: today's library serves the older version, too");
	$node->command_ok([ 'pg_dump', '--format=custom', '--file', $file, 'shop' ], "$name: dump of the older version");

	my $buyer = CouponGuard::Session->new($node, 'shop');
	my $buy = "SELECT status FROM $shop->{schema}.check_coupon(50, 'CAPPED')";
	my @answer = $buyer->query($buy);
	finds_what_is_wrong($expected) if $to eq $next && $shop->{owner} ne $shop->{updated_by};
	$node->safe_psql('shop', 'ALTER EXTENSION coupon_guard UPDATE', connstr => $node->connstr('shop') . " user=$shop->{updated_by}");
	is($node->safe_psql('shop', q(SELECT extversion FROM pg_extension WHERE extname = 'coupon_guard')), $to, "$name: updated");
	is_as_fresh('shop', $expected, "$name: object by object as a fresh install");
	keeps_data($shop, 'shop', $from, $before, $name);
	is_deeply([ $buyer->query($buy) ], \@answer, "$name: a session that was connected goes on");

	restore_as($shop, 'restored', "$name, dumped before");
	is_as_fresh('restored', $expected, "$name, dumped before: object by object as a fresh install");
	keeps_data($shop, 'restored', $from, $before, "$name, dumped before");

	$node->command_ok([ 'pg_dump', '--format=custom', '--file', $file, 'shop' ], "$name: dump after the update");
	restore_as($shop, 'again', "$name, dumped after");
	is_as_fresh('again', $expected, "$name, dumped after: object by object as a fresh install");
	keeps_data($shop, 'again', $from, $before, "$name, dumped after");

	$buyer->close;
	$node->safe_psql('postgres', "DROP DATABASE $_") foreach qw(fresh shop restored again);
	return;
}

# The test, tested: in a database where the right script leaves no difference.
sub finds_what_is_wrong
{
	my ($expected) = @_;
	my @differences = differences(inventory_of($node, 'shop', "ALTER EXTENSION coupon_guard UPDATE TO '$next'"), $expected);
	is("@differences", '', 'the right update script passes');
	foreach my $number (0 .. $#wrong)
	{
		@differences = differences(inventory_of($node, 'shop', "ALTER EXTENSION coupon_guard UPDATE TO '$next-wrong$number'"), $expected);
		cmp_ok(scalar(@differences), '>', 0, "an update script is found out: $wrong[$number]");
		note($_) foreach @differences;
	}
	return;
}

foreach my $shop (
	{ schema => 'public', owner => $superuser, updated_by => $superuser, name => q(a superuser's) },
	{ schema => 'promo', owner => 'shop_owner', updated_by => 'shop_owner', name => q(the database's owner's) },
	{ schema => 'promo', owner => 'shop_owner', updated_by => $superuser, name => q(the database's owner's, by a superuser) })
{
	foreach my $from (sort keys %released)
	{
		update($from, $_, $shop) foreach sort grep { $_ ne $from && is_since($_, $from) } keys %{ { %released, $today => 1 } };
	}
	update($today, $next, $shop);
}

$node->stop;
done_testing();
