# What a shop has put on the extension's tables, and what a dump does with it: kept, lost without a message, or, for a column, no data
# at all. The files and commands of docs/operations.md, run as they stand, bring all of it back.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use CouponGuard::Page;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $page = CouponGuard::Page->new('docs/operations.md');
my %block;
foreach my $name ('columns', 'additions', 'commands')
{
	my ($language, $text) = $page->next('Dump and restore');
	$block{$name} = $text;
}

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 'logical');
$node->start;
chdir $node->basedir or die;

$node->safe_psql('postgres', 'CREATE ROLE clerk');
$node->safe_psql('postgres', 'CREATE DATABASE shop');
$node->safe_psql('shop', q(
	CREATE SCHEMA promo;
	CREATE EXTENSION coupon_guard SCHEMA promo;
	INSERT INTO promo.campaign (name, max_redemptions, max_per_user) VALUES ('Spring', 4, 1);
	INSERT INTO promo.coupon (code, terms, campaign_id) VALUES ('SAVE10', '{"percent": 10}', 1);
	SELECT promo.redeem_coupon(i, 'SAVE10') FROM generate_series(1, 3) i;
	CREATE TABLE users (id text PRIMARY KEY);
	INSERT INTO users SELECT generate_series(1, 9);
	CREATE TABLE orders (id bigint PRIMARY KEY, redemption_id bigint REFERENCES promo.coupon_redemption);
	INSERT INTO orders VALUES (7, 1);
	CREATE FUNCTION tell_loyalty() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
	CREATE PUBLICATION coupons;
	CREATE PUBLICATION of_schema FOR TABLES IN SCHEMA promo;
	CREATE VIEW recent AS SELECT id, user_id FROM promo.coupon_redemption WHERE redeemed_at > now() - interval '1 day';
	GRANT SELECT ON promo.coupon TO clerk;
	GRANT SELECT (user_id) ON promo.coupon_redemption TO clerk;
	GRANT EXECUTE ON FUNCTION promo.redeem_coupon(bigint, text, text, jsonb) TO clerk;));

# Each kind of addition: what makes it, and a query that is true if it is there. The page's file has some, with other names.
my $ledger = q('promo.coupon_redemption'::regclass);
my %kept = (
	'privileges on tables' => "SELECT has_table_privilege('clerk', 'promo.coupon', 'SELECT')",
	'privileges on columns' => "SELECT has_column_privilege('clerk', 'promo.coupon_redemption', 'user_id', 'SELECT')",
	'privileges on functions' => "SELECT has_function_privilege('clerk', 'promo.redeem_coupon(bigint, text, text, jsonb)', 'EXECUTE')",
	'views' => "SELECT count(*) = 3 FROM recent",
	'foreign keys to the ledger' => "SELECT count(*) = 1 FROM pg_constraint WHERE conrelid = 'orders'::regclass AND confrelid = $ledger AND convalidated",
	'publications of the schema' => "SELECT count(*) = 8 FROM pg_publication_tables WHERE pubname = 'of_schema'");
my %lost = (
	'indexes' => [ 'CREATE INDEX x_index ON promo.coupon_redemption (redeemed_at)', "SELECT to_regclass('promo.x_index') IS NOT NULL" ],
	'statistics' => [
		'CREATE STATISTICS x_statistics ON coupon_id, user_id FROM promo.coupon_redemption',
		"SELECT count(*) = 1 FROM pg_statistic_ext WHERE stxname = 'x_statistics'"
	],
	'triggers' => [
		'CREATE TRIGGER x_trigger AFTER UPDATE ON promo.coupon_redemption FOR EACH ROW EXECUTE FUNCTION tell_loyalty()',
		"SELECT count(*) = 1 FROM pg_trigger WHERE tgname = 'x_trigger'"
	],
	'rules' => [ 'CREATE RULE x_rule AS ON DELETE TO promo.coupon DO ALSO NOTHING', "SELECT count(*) = 1 FROM pg_rewrite WHERE rulename = 'x_rule'" ],
	'CHECK' => [
		"ALTER TABLE promo.coupon ADD CONSTRAINT x_check CHECK (code <> 'x')",
		"SELECT count(*) = 1 FROM pg_constraint WHERE conname = 'x_check'"
	],
	'unique constraints' => [
		'ALTER TABLE promo.coupon ADD CONSTRAINT x_unique UNIQUE (code)',
		"SELECT count(*) = 1 FROM pg_constraint WHERE conname = 'x_unique'"
	],
	'foreign keys from the ledger' => [
		'ALTER TABLE promo.coupon_redemption ADD CONSTRAINT x_foreign FOREIGN KEY (user_id) REFERENCES users',
		"SELECT count(*) = 1 FROM pg_constraint WHERE conname = 'x_foreign'"
	],
	'row security' => [ 'ALTER TABLE promo.coupon ENABLE ROW LEVEL SECURITY', "SELECT relrowsecurity FROM pg_class WHERE oid = 'promo.coupon'::regclass" ],
	'policies' => [ 'CREATE POLICY x_policy ON promo.coupon USING (true)', "SELECT count(*) = 1 FROM pg_policy WHERE polname = 'x_policy'" ],
	'comments' => [ "COMMENT ON TABLE promo.coupon IS 'x'", "SELECT obj_description('promo.coupon'::regclass, 'pg_class') = 'x'" ],
	'defaults' => [
		'ALTER TABLE promo.coupon ALTER active SET DEFAULT false',
		"SELECT count(*) = 1 FROM information_schema.columns WHERE table_schema = 'promo' AND table_name = 'coupon' AND column_name = 'active' AND column_default = 'false'"
	],
	'storage parameters' => [
		'ALTER TABLE promo.coupon_redemption SET (autovacuum_vacuum_scale_factor = 0.01)',
		"SELECT reloptions IS NOT NULL FROM pg_class WHERE oid = $ledger"
	],
	'replica identity' => [ 'ALTER TABLE promo.coupon_redemption REPLICA IDENTITY FULL', "SELECT relreplident = 'f' FROM pg_class WHERE oid = $ledger" ],
	'owners' => [ 'ALTER TABLE promo.coupon_redemption OWNER TO clerk', "SELECT relowner = 'clerk'::regrole FROM pg_class WHERE oid = $ledger" ],
	'settings of a function' => [
		"ALTER FUNCTION promo.redeem_coupon(bigint, text, text, jsonb) SET lock_timeout = '1s'",
		"SELECT count(*) = 1 FROM pg_proc WHERE proname = 'redeem_coupon' AND proconfig IS NOT NULL"
	],
	'what a publication names' => [
		'CREATE PUBLICATION x_publication FOR TABLE promo.coupon, promo.coupon_redemption',
		"SELECT count(*) = 2 FROM pg_publication_tables WHERE pubname = 'x_publication'"
	]);

# The kinds that are there.
sub found
{
	my ($database, %query_of) = @_;
	return [ grep { $node->safe_psql($database, $query_of{$_}) eq 't' } sort keys %query_of ];
}

my $ask = q(SELECT string_agg(user_id || ' ' || status, ', ' ORDER BY user_id) FROM generate_series(3, 4) user_id, promo.redeem_coupon(user_id, 'SAVE10'));

$node->safe_psql('postgres', 'CREATE DATABASE additions TEMPLATE shop');
$node->safe_psql('additions', join(';', map { $lost{$_}[0] } sort keys %lost));
my %query_of_lost = map { $_ => $lost{$_}[1] } keys %lost;
is_deeply(found('additions', %query_of_lost), [ sort keys %lost ], 'all that a dump will lose is there before');
is_deeply(found('additions', %kept), [ sort keys %kept ], 'and all that it will keep');

$node->command_ok([ 'pg_dump', '--format=custom', '--file=additions.dump', 'additions' ], 'a dump of it');
$node->safe_psql('postgres', 'CREATE DATABASE restored TEMPLATE template0');
$node->command_like([ 'pg_restore', '--exit-on-error', '--dbname=restored', 'additions.dump' ], qr/^$/, 'is restored without a message');
my @kept_since_18 = $node->pg_version >= 18 ? ('what a publication names') : ();
is_deeply(found('restored', %query_of_lost), \@kept_since_18, 'what is lost');
is_deeply(found('restored', %kept), [ sort keys %kept ], 'what is kept');
is($node->safe_psql('restored', $ask), '3 already_redeemed, 4 redeemed', 'the ledger is what it was');
$node->safe_psql('postgres', 'DROP DATABASE restored; DROP DATABASE additions');

# A column is worse: the ledger comes back without its rows.
$node->safe_psql('shop', "$block{columns}; UPDATE promo.coupon_redemption SET channel = 'web'; $block{additions}");
$node->command_ok([ 'pg_dump', '--format=custom', '--file=column.dump', 'shop' ], 'a dump of a ledger with a column more');
$node->safe_psql('postgres', 'CREATE DATABASE restored TEMPLATE template0');
$node->command_fails_like(
	[ 'pg_restore', '--dbname=restored', 'column.dump' ],
	qr/column "channel" of relation "coupon_redemption" does not exist/,
	'the data of a column that is not there');
is($node->safe_psql('restored', 'SELECT count(*) FROM promo.coupon_redemption'), '0', 'and so of the whole ledger');
$node->safe_psql('postgres', 'DROP DATABASE restored');

# The page's way. What describes the tables, before and after.
my $description = q(
	SELECT attrelid::regclass, attname, format_type(atttypid, atttypmod), col_description(attrelid, attnum) FROM pg_attribute
	  WHERE attrelid IN ('promo.campaign'::regclass, 'promo.coupon'::regclass, 'promo.coupon_redemption'::regclass) AND attnum > 0 ORDER BY attrelid::regclass::text, attnum;
	SELECT indexdef FROM pg_indexes WHERE schemaname = 'promo' ORDER BY 1;
	SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'promo'::regnamespace ORDER BY 1, 2;
	SELECT pg_get_triggerdef(oid), tgenabled FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1;
	SELECT tablename, policyname, cmd, qual FROM pg_policies ORDER BY 1, 2;
	SELECT oid::regclass, relrowsecurity FROM pg_class WHERE relnamespace = 'promo'::regnamespace AND relkind = 'r' ORDER BY 1;
	SELECT pubname, schemaname, tablename, attnames FROM pg_publication_tables ORDER BY 1, 2, 3;
	SELECT * FROM promo.campaign ORDER BY id;
	SELECT * FROM promo.coupon_redemption ORDER BY id);

$node->safe_psql('shop', "$block{columns}; $block{additions}");
append_to_file('columns.sql', $block{columns});
append_to_file('additions.sql', $block{additions});
$node->command_ok([ 'sh', '-e', '-c', $block{commands} ], 'the commands succeed');
is($node->safe_psql('shop_copy', $description), $node->safe_psql('shop', $description), 'all that the shop has added is there');
is_deeply(found('shop_copy', %kept), [ sort keys %kept ], 'and all that a dump keeps');
is($node->safe_psql('shop_copy', $ask), '3 already_redeemed, 4 redeemed', 'redeeming goes on where it was');
is($node->safe_psql('shop_copy', 'SELECT * FROM promo.coupon_guard_verify()'), '', 'no invariant is broken');

$node->stop;
done_testing();
