# The owner of a database owns the extension's tables, views and functions, and may do to them what he likes; the update runs as superuser. Each
# of these attacks is made on each released version before the update, by the owner and then by a superuser who runs the update and maintains
# the tables: whether the update goes through or is refused, nothing of the owner's runs as superuser.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use CouponGuard::Traps;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $traps = CouponGuard::Traps->new;
my $superuser = $traps->{superuser};

# What attacks are made of: a function for whatever calls one, and a type that the server casts to any other by a function of mallory's.
my $means = q(
	SET search_path = promo, pg_catalog;
	CREATE FUNCTION evil() RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN trap.spring($$function$$); END';
	CREATE FUNCTION evil(anyelement) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN trap.spring($$expression$$); END';
	CREATE FUNCTION evil_value(bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM trap.spring($$value$$); RETURN $1; END';
	CREATE FUNCTION evil_trigger() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM trap.spring($$trigger$$); RETURN coalesce(NEW, OLD); END';
	CREATE TYPE bait AS ENUM ('1', '2', 'c', 'b', 'C', 'B');
	CREATE FUNCTION from_bait(bait) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM trap.spring($$cast$$); RETURN 1; END';
	CREATE FUNCTION text_from_bait(bait) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM trap.spring($$cast$$); RETURN 1; END';
	CREATE FUNCTION bool_from_bait(bait) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM trap.spring($$cast$$); RETURN true; END';
	CREATE FUNCTION time_from_bait(bait) RETURNS timestamptz LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM trap.spring($$cast$$); RETURN now(); END';
	CREATE CAST (bait AS bigint) WITH FUNCTION from_bait(bait) AS IMPLICIT;
	CREATE CAST (bait AS text) WITH FUNCTION text_from_bait(bait) AS IMPLICIT;
	CREATE CAST (bait AS boolean) WITH FUNCTION bool_from_bait(bait) AS IMPLICIT;
	CREATE CAST (bait AS timestamptz) WITH FUNCTION time_from_bait(bait) AS IMPLICIT;
	CREATE DOMAIN evil_bigint AS bigint CHECK (evil(VALUE));
	INSERT INTO coupon (code, max_redemptions) VALUES ('X', 10), ('Y', NULL);
	SELECT redeem_coupon(1, 'X'), redeem_coupon(2, 'Y'););

# The tables of the version that is under attack, with their columns.
my %columns_of;
sub on_all { my ($command) = @_; return join ';', map { (my $one = $command) =~ s/@@/$_/g; $one } sort keys %columns_of }

# In place of a relation of ours, as a member of the extension and as none.
sub in_place_of
{
	my ($name, $kind, $definition, $of) = @_;
	my $away = "ALTER EXTENSION coupon_guard DROP $kind $name; ALTER $kind $name RENAME TO old_$name; $definition";
	my $new_kind = $of // $kind;
	return ($away, "$away; ALTER EXTENSION coupon_guard ADD $new_kind $name");
}

sub columns_of_bait { return join ', ', map { "$_ bait" } @_ }

sub attacks
{
	return (
	[ 'nothing', '' ],
	[ 'triggers', on_all('CREATE TRIGGER evil BEFORE INSERT OR UPDATE OR DELETE ON @@ FOR EACH ROW EXECUTE FUNCTION evil_trigger();
		CREATE TRIGGER evil_after AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON @@ EXECUTE FUNCTION evil_trigger(); ALTER TABLE @@ ENABLE ALWAYS TRIGGER evil') ],
	[ 'constraints', on_all('ALTER TABLE @@ ADD CONSTRAINT evil CHECK (evil()), ADD CONSTRAINT evil_too CHECK (evil(@@.*)) NOT VALID') ],
	[ 'indexes', on_all('CREATE INDEX ON @@ (evil(@@.*)); CREATE INDEX ON @@ ((1)) WHERE evil(); CREATE UNIQUE INDEX ON @@ (ctid_text(@@.*))') ],
	[ 'defaults and generated columns', on_all('ALTER TABLE @@ ADD COLUMN evil boolean DEFAULT evil(), ADD COLUMN evil_too boolean GENERATED ALWAYS AS (evil(1)) STORED') ],
	[ 'columns of a domain', on_all('ALTER TABLE @@ ADD COLUMN evil evil_bigint DEFAULT evil_value(7)') ],
	[ 'policies', on_all('ALTER TABLE @@ ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; CREATE POLICY evil ON @@ USING (evil()) WITH CHECK (evil(1))') ],
	[ 'rules', on_all('CREATE RULE evil AS ON INSERT TO @@ DO ALSO SELECT evil(); CREATE RULE evil_too AS ON UPDATE TO @@ DO INSTEAD SELECT evil()') ],
	[ 'statistics', on_all('CREATE STATISTICS evil_@@ ON (evil(1)), (evil(2)) FROM @@') ],
	[ 'children', on_all('CREATE TABLE @@_child (CHECK (evil())) INHERITS (@@); CREATE INDEX ON @@_child (evil(@@_child.*))') ],
	[ 'tables with columns of our types', 'CREATE TABLE answers (a coupon_redeem_answer DEFAULT NULL CHECK (evil(a)), s coupon_status CHECK (evil(s)));
		INSERT INTO answers SELECT r, r.status FROM redeem_coupon(3, $$Y$$) r; CREATE INDEX ON answers (evil(a))' ],
	[ 'a view of our types', 'CREATE MATERIALIZED VIEW seen AS SELECT evil(r) FROM redeem_coupon(3, $$Y$$) r' ],
	[ 'our functions as others', q(DO $$ BEGIN EXECUTE (SELECT string_agg(format('ALTER FUNCTION %s SECURITY DEFINER IMMUTABLE SET search_path = promo', oid::regprocedure), ';')
		FROM pg_proc WHERE pronamespace = 'promo'::regnamespace AND proname ~ '^(redeem|hold|check|confirm|void|coupon_guard_verify)' AND proowner = 'mallory'::regrole); END $$) ],
	[ 'our functions replaced', q(CREATE OR REPLACE FUNCTION coupon_guard_verify() RETURNS TABLE (invariant text, coupon_id int8, user_id text, detail text)
			LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN PERFORM trap.spring($$verify$$); RETURN; END';
		CREATE OR REPLACE FUNCTION coupon_guard_generation() RETURNS int4 LANGUAGE plpgsql AS 'BEGIN PERFORM trap.spring($$generation$$); RETURN 1; END';
		CREATE OR REPLACE FUNCTION coupon_guard_user_id_fault(user_id text) RETURNS text LANGUAGE plpgsql AS 'BEGIN PERFORM trap.spring($$fault$$); RETURN 1; END') ],
	[ 'functions of the new version', 'CREATE FUNCTION coupon_code_fits(text, text, varchar) RETURNS boolean LANGUAGE sql AS $$SELECT evil()$$; CREATE FUNCTION coupon_key(varchar) RETURNS text LANGUAGE sql AS $$SELECT evil()::text$$' ],
	[ 'settings', 'SET LOCAL standard_conforming_strings = off; SET LOCAL transform_null_equals = on; SET LOCAL quote_all_identifiers = on; SET LOCAL check_function_bodies = off; SET LOCAL array_nulls = off; SET LOCAL row_security = off' ],
	[ 'default privileges', 'ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC; ALTER DEFAULT PRIVILEGES IN SCHEMA promo GRANT ALL ON FUNCTIONS TO PUBLIC' ],
	[ 'an event trigger', 'CREATE FUNCTION evil_event() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN PERFORM trap.spring($e$event$e$); END$$; CREATE EVENT TRIGGER evil ON ddl_command_start EXECUTE FUNCTION evil_event()' ],
	(map { [ 'another view', $_ ] } in_place_of('coupon_usage', 'VIEW',
		'CREATE VIEW coupon_usage AS SELECT id AS coupon_id, code, max_redemptions, 1::bigint AS redeemed, 1::bigint AS held, 1::bigint AS voided, 1::bigint AS remaining_units FROM coupon WHERE evil()')),
	(map { [ 'another table of coupons', $_ ] } in_place_of('coupon', 'TABLE',
		'CREATE TABLE coupon (' . columns_of_bait(@{ $columns_of{coupon} }) . q{); INSERT INTO coupon VALUES ('1', '2'); CREATE TRIGGER coupon_follow_new_cap BEFORE INSERT ON coupon FOR EACH ROW EXECUTE FUNCTION evil_trigger()})),
	(map { [ 'another ledger', $_ ] } in_place_of('coupon_redemption', 'TABLE',
		'CREATE TABLE coupon_redemption (' . columns_of_bait(@{ $columns_of{coupon_redemption} }) . q{); INSERT INTO coupon_redemption VALUES ('1', '2')})),
	(map { [ 'another quota', $_ ] } in_place_of('coupon_quota', 'TABLE',
		'CREATE TABLE coupon_quota (' . columns_of_bait(@{ $columns_of{coupon_quota} }) . ')')),
	(map { [ 'a partitioned ledger', $_ ] } in_place_of('coupon_redemption', 'TABLE',
		'CREATE TABLE coupon_redemption (LIKE old_coupon_redemption) PARTITION BY LIST (coupon_id); CREATE TABLE part PARTITION OF coupon_redemption (CHECK (evil())) DEFAULT;
		 CREATE INDEX ON coupon_redemption (evil(coupon_id)); INSERT INTO coupon_redemption SELECT * FROM old_coupon_redemption')),
	(map { [ 'a view in place of a table', $_ ] } in_place_of('coupon', 'TABLE',
		'CREATE VIEW coupon AS SELECT * FROM old_coupon WHERE evil(old_coupon.*); CREATE TRIGGER coupon_follow_new_cap INSTEAD OF INSERT ON coupon FOR EACH ROW EXECUTE FUNCTION evil_trigger()', 'VIEW')),
	(!$columns_of{campaign} ? () : map { [ 'another table of campaigns', $_ ] } in_place_of('campaign', 'TABLE',
		'CREATE TABLE campaign (' . columns_of_bait(@{ $columns_of{campaign} }) . q{); INSERT INTO campaign VALUES ('1', '2')})));
}

# Everything that is tried on a version.
sub attack
{
	my ($version) = @_;
	$traps->make_database;
	$traps->as('mallory', 'shop', "CREATE EXTENSION coupon_guard SCHEMA promo VERSION '$version'; $means;
		CREATE FUNCTION ctid_text(anyelement) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM trap.spring(\$\$unique\$\$); RETURN gen_random_uuid(); END'");
	$traps->sprung;
	%columns_of = map { my ($table, @columns) = split / /; $table => \@columns } split /\n/, $traps->as($superuser, 'shop', q(
		SELECT concat_ws(' ', relname, string_agg(attname, ' ' ORDER BY attnum)) FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
		 WHERE relnamespace = 'promo'::regnamespace AND relkind = 'r' AND attnum > 0 GROUP BY relname));

	# What a superuser does now and then, and what nobody would think twice about.
	my $maintenance = join ';', on_all('ANALYZE promo.@@; REINDEX TABLE promo.@@'), 'SET LOCAL ROLE mallory', 'TRUNCATE promo.coupon_redemption, promo.coupon', 'RESET ROLE',
	  'DROP SCHEMA promo CASCADE';
	my %outcomes;
	my @attacks = attacks();
	foreach my $attack (@attacks)
	{
		my ($name, $sql) = ("$version: $attack->[0]", $attack->[1]);
		my $prepared = "SET search_path = promo, pg_catalog; BEGIN; $sql";
		my $planted = $traps->outcome('mallory', 'shop', "$prepared; ROLLBACK");
		is($planted, $attack->[0] eq 'an event trigger' ? '42501' : '00000', "$name: planted");
		next if $planted ne '00000';
		my $outcome = $traps->outcome('mallory', 'shop', "$prepared; ALTER EXTENSION coupon_guard UPDATE; ROLLBACK");
		$outcomes{$outcome}++;
		note("$name: $outcome");
		unlike($outcome, qr/^XX|no SQLSTATE/, "$name: updated, or refused");
		my $as_mallory = "SET search_path = promo, pg_catalog; BEGIN; SET LOCAL ROLE mallory; $sql; RESET ROLE; SET LOCAL search_path = pg_catalog";
		$traps->outcome($superuser, 'shop', "$as_mallory; ALTER EXTENSION coupon_guard UPDATE; ROLLBACK");
		my $maintained = $traps->outcome($superuser, 'shop', "$as_mallory; $maintenance; ROLLBACK");
		note("$name, maintained: $maintained");
		$traps->nothing_sprung("$name, updated by the owner and by a superuser, and maintained", $superuser);
	}

	# A dump reads the tables with what is on them.
	my @lasting = map { $_->[1] } grep { $_->[0] =~ /^(triggers|constraints|indexes|policies|rules|statistics|our functions replaced)$/ } @attacks;
	$traps->as('mallory', 'shop', "SET search_path = promo, pg_catalog; @{[ join ';', @lasting ]}; ALTER EXTENSION coupon_guard UPDATE");
	$traps->nothing_sprung("$version: all at once, updated by the owner", $superuser);
	$traps->{node}->command_ok([ 'pg_dump', '--file', '/dev/null', '--username', $superuser, 'shop' ], "$version: a superuser dumps it");
	$traps->nothing_sprung("$version: all at once, dumped by a superuser", $superuser);
	foreach my $command ('VACUUM (FULL, ANALYZE)', 'VACUUM', 'ANALYZE', 'REINDEX DATABASE shop')
	{
		$traps->as($superuser, 'shop', $command);
		$traps->nothing_sprung("$version: all at once, $command by a superuser", $superuser);
	}
	return %outcomes;
}

my @versions = grep { $_ ne $traps->{today} } @{ $traps->{released} };
my %outcomes = map { attack($_) } @versions;
ok($outcomes{'00000'} && keys %outcomes > 1, 'some attacks let the update through, and some keep it from being made');

# The trap, tested: what runs as superuser is noticed.
$traps->as($superuser, 'shop', 'SELECT promo.evil()');
is(scalar($traps->sprung($superuser)), 1, 'what runs as superuser is noticed');
$traps->{node}->stop;
done_testing();
