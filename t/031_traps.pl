# No SQL of the extension names anything but by its schema: not the install script, not an update, no function, view, default, constraint or
# trigger. Traps of the same names (CouponGuard::Traps) are in a schema that is first in search_path, in pg_temp, and in the extension's own
# schema; and whoever owns the database, or may create in that schema, puts what he likes in the place of the extension's objects before an
# update. The scripts of a trusted extension run as superuser, so one wrong name would make him one.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use CouponGuard::Inventory;
use CouponGuard::Traps;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $traps = CouponGuard::Traps->new;
my ($superuser, $today) = @{$traps}{qw(superuser today)};
my @older = grep { $_ ne $today } @{ $traps->{released} };

# Everything that SQL of the extension's is behind, itself without a name that a trap has.
my $tour = q(
	INSERT INTO promo.campaign (name, max_redemptions, max_per_user, budget, starts_at, expires_at) VALUES ('Spring', 100, 50, 1000, '2001-01-01', '2999-01-01');
	INSERT INTO promo.coupon (code, max_redemptions, max_per_user, budget, campaign_id, starts_at, stripes) SELECT 'ONE', 10, 5, 100, id, '2001-01-01', 2 FROM promo.campaign;
	INSERT INTO promo.coupon (code, holder) VALUES ('MINE', 'ann'), ('TWO', 'bob');
	SELECT * FROM promo.generate_coupons('spring', 3, 'A-????????');
	SELECT * FROM promo.redeem_coupon(1, 'ONE', amount => 5);
	SELECT * FROM promo.redeem_coupon_strict('ann', 'MINE', 'r-1', '{}');
	SELECT * FROM promo.redeem_coupons(2, '{ONE}', amounts => '{1}');
	SELECT * FROM promo.redeem_coupon_for_each('{bob}'::pg_catalog.text[], '{TWO}');
	SELECT * FROM promo.hold_coupon(3, 'ONE', '1 hour', 5);
	SELECT * FROM promo.confirm_hold((SELECT id FROM promo.coupon_redemption WHERE hold_expires_at IS NOT NULL), 4);
	SELECT * FROM promo.void_redemption((SELECT id FROM promo.coupon_redemption WHERE user_id OPERATOR(pg_catalog.=) '3'), 'why');
	SELECT * FROM promo.claim_coupon(4, 'Spring');
	SELECT * FROM promo.release_claim(4, 'Spring');
	SELECT * FROM promo.check_coupon(4, 'ONE');
	SELECT promo.coupon_guard_set_shard('one', 3);
	UPDATE promo.coupon SET rights = 5, budget_rights = 50 WHERE code OPERATOR(pg_catalog.=) 'ONE';
	SELECT promo.release_units('ONE', 2, 'a0000000-0000-0000-0000-000000000001', 'two'), promo.accept_units('ONE', 1, 'a0000000-0000-0000-0000-000000000002', 'two', 'b'),
		promo.settle_transfer('a0000000-0000-0000-0000-000000000001'), promo.coupon_guard_units('ONE');
	SELECT promo.coupon_guard_begin_moves();
	SELECT promo.coupon_guard_close_partition(0, 2), promo.coupon_guard_close_partition(0, 1, false);
	SELECT * FROM promo.redeem_coupon('mover'::pg_catalog.text, 'ONE', 1);
	SELECT promo.accept_user(promo.release_user('mover', 'b0000000-0000-0000-0000-000000000001', 'two')
		OPERATOR(pg_catalog.||) '{"transfer_id": "b0000000-0000-0000-0000-000000000002", "from": "two", "to": "one"}'), promo.settle_user('b0000000-0000-0000-0000-000000000001');
	SELECT promo.coupon_guard_end_moves();
	SELECT * FROM promo.coupon_guard_rights;
	SELECT * FROM promo.coupon_usage;
	SELECT * FROM promo.campaign_usage;
	SELECT * FROM promo.coupon_guard_verify();
	SELECT promo.coupon_guard_generation(), promo.coupon_guard_version(), promo.coupon_key(' a '), promo.coupon_code_fits('A', '??'), promo.coupon_guard_user_id_fault('01');
	UPDATE promo.coupon SET max_redemptions = 12, budget = 200 WHERE code OPERATOR(pg_catalog.=) 'ONE';
	UPDATE promo.campaign SET max_redemptions = NULL;
	INSERT INTO promo.coupon_redemption (coupon_id, user_id, use_no) SELECT id, 'hand', 1 FROM promo.coupon WHERE code OPERATOR(pg_catalog.=) 'TWO';
	UPDATE promo.coupon_redemption SET voided_at = '2001-01-01';
	DELETE FROM promo.coupon_redemption;
	DELETE FROM promo.coupon_quota;
	DELETE FROM promo.coupon;
	DELETE FROM promo.campaign;
	DELETE FROM promo.coupon_transfer;
	DELETE FROM promo.coupon_user_transfer;
	DELETE FROM promo.coupon_shard;);

# --- the traps --------------------------------------------------------------------------------------------------------

$traps->as($superuser, 'with_traps', "CREATE SCHEMA front; CALL trap.plant('front')");
my ($functions, $operators, $types, $tables) = split /\|/, $traps->as($superuser, 'with_traps', q(SELECT (SELECT count(*) FROM pg_proc WHERE pronamespace = 'front'::regnamespace),
	(SELECT count(*) FROM pg_operator WHERE oprnamespace = 'front'::regnamespace), (SELECT count(*) FROM pg_type WHERE typnamespace = 'front'::regnamespace AND typtype = 'd'),
	(SELECT count(*) FROM pg_class WHERE relnamespace = 'front'::regnamespace AND relkind = 'v')));
note("$functions functions, $operators operators, $types types, $tables tables");
ok($functions > 100 && $operators > 100 && $types > 10 && $tables > 3, 'there are traps under the names that the scripts use');
my $hostile_path = 'SET search_path = front, pg_temp, public, pg_catalog';
my @silent = map { my ($what, $sql) = @$_; $traps->as($superuser, 'with_traps', "BEGIN; $hostile_path; $sql; ROLLBACK"); $traps->sprung ? () : $what }
  [ '=', 'SELECT 1 = 1' ], [ '>', 'SELECT 1::pg_catalog.int8 > 1' ], [ '||', q(SELECT 'a'::pg_catalog.text || 'b'::pg_catalog.text) ], [ 'now', 'SELECT now()' ],
  [ 'count', 'SELECT count(*) FROM pg_catalog.pg_class' ], [ 'sum', 'SELECT sum(relpages) FROM pg_catalog.pg_class' ],
  [ 'format', q(SELECT format('%s', 1::pg_catalog.int8, 1::pg_catalog.int8)) ], [ 'text', q(SELECT 'a'::text) ], [ 'regclass', q(SELECT 'pg_class'::regclass) ],
  [ 'pg_extension', 'SELECT extname FROM pg_extension' ], [ 'isfinite', q(SELECT isfinite('2001-01-01'::pg_catalog.timestamptz)) ];
is("@silent", '', 'a name without its schema springs its trap');

# --- search_path and pg_temp ------------------------------------------------------------------------------------------

foreach my $version (@older, $today)
{
	foreach my $role ('mallory', $superuser)
	{
		my $name = "$version, installed by " . ($role eq $superuser ? 'a superuser' : 'the owner of the database');
		$traps->make_database;
		$traps->as($role, 'shop', "CALL trap.plant('pg_temp'); $hostile_path; CREATE EXTENSION coupon_guard SCHEMA promo VERSION '$version'");
		$traps->nothing_sprung($name);
		$traps->as($role, 'shop', "CALL trap.plant('pg_temp'); $hostile_path; ALTER EXTENSION coupon_guard UPDATE") if $version ne $today;
		$traps->nothing_sprung("$name, updated");
		$traps->as($role, 'shop', "CALL trap.plant('pg_temp'); $hostile_path; $tour");
		$traps->nothing_sprung("$name, everything called");
		$traps->as($superuser, 'shop', "$hostile_path; DROP EXTENSION coupon_guard");
		$traps->nothing_sprung("$name, dropped");
	}
}

# Nor does the session's language change what is made.
$traps->make_database;
my $installation = 'CREATE EXTENSION coupon_guard SCHEMA promo';
my $settings = join ';', map { "SET LOCAL $_" } 'standard_conforming_strings = off', 'transform_null_equals = on', 'quote_all_identifiers = on', 'check_function_bodies = off',
  'array_nulls = off', q(DateStyle = 'SQL, DMY'), 'IntervalStyle = sql_standard', 'row_security = off';
my @inventories = map { inventory_of($traps->{node}, 'shop', "$_; $installation; RESET IntervalStyle; RESET DateStyle; RESET quote_all_identifiers") } '', $settings;
# (A function has the names of schemas as they were quoted then.)
foreach my $facts (map { values %$_ } @inventories) { s/\\"//g, s/"promo"/promo/g foreach values %$facts }
is(join("\n", differences(reverse @inventories)), '', 'the extension is the same, whatever the settings');

# --- the extension's own schema ---------------------------------------------------------------------------------------

# Functions of ours that our SQL calls, by every other list of arguments that might be taken instead.
my $overloads = join '; ', map {
	my ($name, @arguments) = @$_;
	map { "CREATE FUNCTION promo.$name($_) RETURNS text LANGUAGE plpgsql AS \$\$ BEGIN PERFORM trap.spring('$name'); RETURN NULL; END \$\$" } @arguments
} [ 'coupon_key', 'varchar', 'name', 'anyelement', 'anynonarray', 'VARIADIC text[]' ], [ 'coupon_guard_user_id_fault', 'varchar', 'anyelement', 'VARIADIC text[]' ],
  [ 'coupon_guard_generation', 'VARIADIC text[]' ], map { [ "coupon_guard_follow_$_", 'VARIADIC text[]' ] } qw(coupon campaign ledger quota);
foreach my $version (@older, $today)
{
	$traps->make_database;
	$traps->as('clerk', 'shop', "CALL trap.plant('promo'); $overloads");
	$traps->as('mallory', 'shop', "CREATE EXTENSION coupon_guard SCHEMA promo VERSION '$version'");
	$traps->as('mallory', 'shop', 'ALTER EXTENSION coupon_guard UPDATE') if $version ne $today;
	$traps->nothing_sprung("$version in a schema of traps");
	$traps->as('mallory', 'shop', $tour);
	$traps->nothing_sprung("$version in a schema of traps, everything called");
	$traps->as('clerk', 'shop', 'CREATE FUNCTION promo.coupon_key(text, int DEFAULT 1) RETURNS text LANGUAGE sql IMMUTABLE RETURN trap.spring($$coupon_key$$)::text');
	$traps->as('mallory', 'shop', 'DROP EXTENSION coupon_guard');
	is($traps->outcome('mallory', 'shop', "CREATE EXTENSION coupon_guard SCHEMA promo VERSION '$version'"), '42725', "$version: a function that is as near as ours is no choice");
	$traps->nothing_sprung("$version, with that function");
}

# What is there under a name of ours is not taken for ours: the script fails, or makes its own under another name.
# Commands that make something else under each of them; of functions one of each name.
sub names_of
{
	my ($version) = @_;
	return split /\n/, $traps->as('mallory', 'shop', qq(BEGIN; CREATE EXTENSION coupon_guard SCHEMA promo VERSION '$version';) . q(
		SELECT CASE relkind WHEN 'c' THEN 'CREATE TYPE' WHEN 'S' THEN 'CREATE SEQUENCE' WHEN 'v' THEN 'CREATE VIEW' ELSE 'CREATE TABLE' END
			|| format(' promo.%I', relname) || CASE relkind WHEN 'c' THEN ' AS (x int)' WHEN 'S' THEN '' WHEN 'v' THEN ' AS SELECT 1 AS x' ELSE ' (id bigint, code text, code_key text)' END
		  FROM pg_class WHERE relnamespace = 'promo'::regnamespace
		UNION ALL SELECT format('CREATE DOMAIN promo.%I AS int', typname) FROM pg_type WHERE typnamespace = 'promo'::regnamespace AND typtype = 'e'
		UNION ALL (SELECT DISTINCT ON (proname) format('CREATE FUNCTION promo.%I(%s) RETURNS int LANGUAGE sql AS %L', proname, oidvectortypes(proargtypes), 'SELECT 1')
		  FROM pg_proc WHERE pronamespace = 'promo'::regnamespace ORDER BY proname, oid)
		ORDER BY 1;
		ROLLBACK));
}

# For each of these commands of clerk's, what becomes of mallory's; all undone.
sub outcomes_of
{
	my ($command, @planted) = @_;
	my $list = join ', ', map { "\$name\$$_\$name\$" } @planted;
	return $traps->as($superuser, 'shop', qq(
		CREATE TEMP TABLE outcome (planted text, sqlstate text, taken text);
		DO \$do\$
		DECLARE
			planted text;
			outcome text;
		BEGIN
			FOREACH planted IN ARRAY ARRAY[$list]::text[] LOOP
				DECLARE
					taken text;
				BEGIN
					SET LOCAL ROLE clerk;
					EXECUTE planted;
					SET LOCAL ROLE mallory;
					BEGIN
						$command;
						outcome := '00000';
					EXCEPTION WHEN OTHERS THEN
						outcome := sqlstate;
					END;
					RESET ROLE;
					SELECT string_agg(pg_describe_object(classid, objid, 0), ', ') INTO taken FROM pg_depend d JOIN pg_shdepend s USING (classid, objid)
					 WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND s.refobjid = 'clerk'::regrole AND s.deptype = 'o';
					RAISE EXCEPTION SQLSTATE 'UNDO0' USING MESSAGE = coalesce(taken, '');
				EXCEPTION WHEN SQLSTATE 'UNDO0' THEN
					INSERT INTO outcome VALUES (planted, outcome, sqlerrm);
				END;
			END LOOP;
		END \$do\$;
		SELECT string_agg(DISTINCT sqlstate, ' ' ORDER BY sqlstate), count(*), coalesce(string_agg(taken, ', ') FILTER (WHERE taken <> ''), 'nothing') FROM outcome));
}

$traps->make_database;
my @names = names_of($today);
cmp_ok(scalar(@names), '>', 40, 'the extension has names');
my $outcomes = outcomes_of('CREATE EXTENSION coupon_guard SCHEMA promo', @names);
note($outcomes);
like($outcomes, qr/^(?:(?:00000|42710|42723|42P07|55000) ?)+\|@{[ scalar @names ]}\|nothing$/, 'a name that is taken: refused, or made under another name');
$traps->nothing_sprung('a name that is taken');

foreach my $version (@older)
{
	$traps->make_database;
	my %was_there = map { $_ => 1 } names_of($version);
	my @new_names = grep { !$was_there{$_} } @names;
	$traps->as('mallory', 'shop', "CREATE EXTENSION coupon_guard SCHEMA promo VERSION '$version'");
	$outcomes = outcomes_of('ALTER EXTENSION coupon_guard UPDATE', @new_names);
	note("$version: $outcomes");
	like($outcomes, qr/^(?:(?:00000|42710|42723|42P07|55000) ?)*\|@{[ scalar @new_names ]}\|nothing$/, "a name that $version has not: likewise");
	$traps->nothing_sprung("a name that $version has not");
}

$traps->{node}->stop;
done_testing();
