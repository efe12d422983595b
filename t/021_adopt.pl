# docs/adopt.md is run as it stands: the tutorial's tables are taken over while old code goes on, step by step as a rollout would be;
# and tables as Saleor, Spree, Solidus and WooCommerce have them are imported.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use CouponGuard::Page;
use CouponGuard::Session;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $page = CouponGuard::Page->new('docs/adopt.md');
my ($language, $create) = $page->next('Adopting existing tables');

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "timezone = 'Asia/Tokyo'"); # times without a zone must not be taken for the session's
$node->start;

my $database;

# A new database in which these tables are.
sub shop
{
	my ($name, $tables) = @_;
	$database = $name;
	$node->safe_psql('postgres', "CREATE DATABASE $name");
	return $node->safe_psql($name, "$tables; $create");
}

sub ask { return $node->safe_psql($database, $_[0]); }

sub block
{
	my ($heading) = @_;
	my ($language, $text) = $page->next($heading);
	return $text;
}

sub follow { return ask(block($_[0])); }

sub error_of
{
	my ($result) = @_;
	return $result->{sqlstate} // 'none';
}

# ---- the tutorial's tables ----------------------------------------------------------------------------------------------------

# As Prisma makes them. User 1 has used SAVE10 twice, and user 2 once in each of two spellings that are two coupons there.
$node->safe_psql('postgres', 'CREATE ROLE shop');
shop('tutorial', q(
	CREATE TABLE "Coupon" (id serial PRIMARY KEY, code text NOT NULL UNIQUE, active boolean NOT NULL DEFAULT true,
		"createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP);
	CREATE TABLE "CouponRedemption" (id serial PRIMARY KEY, "userId" integer NOT NULL,
		"couponId" integer NOT NULL REFERENCES "Coupon" ON UPDATE CASCADE ON DELETE RESTRICT,
		"createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP);
	CREATE INDEX ON "CouponRedemption" ("userId", "couponId");
	INSERT INTO "Coupon" (code, active) VALUES ('SAVE10', true), ('OFF', false), ('save10 ', true), (' ', true);
	INSERT INTO "CouponRedemption" ("userId", "couponId", "createdAt") VALUES
		(1, 1, '2026-01-01 10:00:00.001'), (1, 1, '2026-01-01 10:00'), (2, 1, '2026-01-02'), (2, 3, '2026-01-03'), (3, 1, '2026-01-04'),
		(9, 1, '2026-01-05');
	GRANT SELECT, INSERT, UPDATE, DELETE ON "Coupon", "CouponRedemption" TO shop;
	GRANT USAGE ON SEQUENCE "Coupon_id_seq", "CouponRedemption_id_seq" TO shop;));

my @sessions;
sub session
{
	push @sessions, my $session = CouponGuard::Session->new($node, 'tutorial');
	$session->query('SET ROLE shop');
	return $session;
}

# What an old instance does: it looks, and inserts. Here without the look, for the race is that it sees nothing.
sub old_redeems { return sprintf 'INSERT INTO "CouponRedemption" ("userId", "couponId") VALUES (%d, 1) RETURNING id', $_[0]; }
sub new_redeems { return sprintf q(SELECT status FROM promo.redeem_coupon(%d::bigint, 'SAVE10')), $_[0]; }

# Until a backend waits for a lock. (No test passes because something was fast: the query ends, or it waits.)
sub until_waiting
{
	my ($condition) = @_;
	$node->poll_query_until('tutorial', "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type IN ('Lock', 'Extension') AND $condition")
	  or die "nobody waits: $condition";
	return;
}

is(follow('Codes that are one'), '|{4}|{" "}' . "\n" . 'save10|{1,3}|{SAVE10,"save10 "}', 'codes that are one are found, and those that are none');

follow('Coupons');
is(ask('SELECT id, code, active FROM promo.coupon ORDER BY id'), "1|SAVE10|t\n2|OFF|f", 'coupons are there');
is(ask(q(
	UPDATE "Coupon" SET active = true WHERE code = 'OFF';
	INSERT INTO "Coupon" (code) VALUES ('LATER');
	SELECT id, code, active FROM promo.coupon ORDER BY id)), "1|SAVE10|t\n2|OFF|t\n5|LATER|t", 'what the old code does to coupons is followed');

# While the first pass goes by, an old instance has a redemption open.
my $open_before = session();
$open_before->query('BEGIN');
$open_before->query(old_redeems(4));

# Another has prepared its statement, and a third has a snapshot.
my ($prepared, $snapshot) = (session(), session());
$prepared->query('PREPARE redeems (int) AS INSERT INTO "CouponRedemption" ("userId", "couponId") VALUES ($1, 1)');
$prepared->query("EXECUTE redeems($_); DELETE FROM \"CouponRedemption\" WHERE \"userId\" = $_") foreach (20 .. 26);
$snapshot->query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1');
is(follow('Redemptions, first pass'), '6', 'first pass: what is committed');

# Then another redeems, and one that was imported is deleted.
ask(old_redeems(5) . '; DELETE FROM "CouponRedemption" WHERE "userId" = 9');

# The switch waits for the one that is open; an old instance that comes meanwhile waits for the switch.
my $script = $node->basedir . '/switch.sql';
append_to_file($script, block('The switch'));
my ($switched, $trouble) = ('', '');
my $switch = IPC::Run::start([ 'psql', '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('tutorial'), '-f', $script ],
	'<', \undef, '>', \$switched, '2>', \$trouble);
until_waiting(q(query LIKE 'LOCK TABLE "CouponRedemption"%'));
my ($doubles, $first) = (session(), session());
$doubles->start(old_redeems(4));
$first->start(old_redeems(6));
until_waiting(sprintf 'pid = %d', $_->{pid}) foreach ($doubles, $first);
is(ask('SELECT count(*) FROM "CouponRedemption" WHERE "userId" = 4'), '0', 'the switch: reading goes on');
$open_before->query('COMMIT');
$switch->finish or die "the switch failed: $trouble";
is($switched, "2\n15\n", 'the switch: the rest, by id');

is(error_of($doubles->finish), 'RC005', 'an old instance that has waited is refused its double');
is_deeply($first->finish->{rows}, [ ['16'] ], 'and another redeems; its row has the id of the redemption');
$prepared->start('EXECUTE redeems(4)');
is(error_of($prepared->finish), 'RC005', 'so is one whose statement was prepared before');
$snapshot->start(old_redeems(4));
is(error_of($snapshot->finish), 'RC005', 'and one whose snapshot is of before');
$snapshot->query('ROLLBACK');

follow('The switch'); # the grants

# From here on old and new instances run together.
my ($old, $new) = (session(), session());
$old->start(old_redeems(3));
is(error_of($old->finish), 'RC005', 'old code: refused what was imported');
is_deeply([ $new->query(new_redeems(3)) ], [ ['already_redeemed'] ], 'new code: so it is');

$old->query('BEGIN');
$old->query(old_redeems(7));
$new->start(new_redeems(7));
until_waiting("pid = $new->{pid}");
$old->query('COMMIT');
is_deeply($new->finish->{rows}, [ ['already_redeemed'] ], 'new code waits for the old, and hears of its redemption');

$new->query('BEGIN');
is_deeply([ $new->query(new_redeems(8)) ], [ ['redeemed'] ], 'new code redeems');
$old->start(old_redeems(8));
until_waiting("pid = $old->{pid}");
$new->query('COMMIT');
is(error_of($old->finish), 'RC005', 'old code waits for the new, and is refused');

$new->query('BEGIN');
$new->query(new_redeems(10));
$old->start(old_redeems(10));
until_waiting("pid = $old->{pid}");
$new->query('ROLLBACK');
is(scalar @{ $old->finish->{rows} }, 1, 'old code redeems what new code has rolled back');

$old->query('DELETE FROM "CouponRedemption" WHERE "userId" = 10');
is_deeply([ $new->query(new_redeems(10)) ], [ ['redeemed'] ], 'what old code deletes is given back');

# None lost, none twice: users 1 to 8 and 10, as the story above goes.
my $ledger = q(SELECT string_agg(user_id || ':' || use_no, ' ' ORDER BY user_id::int, use_no) FROM promo.coupon_redemption WHERE voided_at IS NULL);
is(ask($ledger), '1:1 1:2 2:1 2:2 3:1 4:1 5:1 6:1 7:1 8:1 10:1', 'the ledger has each redemption once');
is(ask(q(SELECT count(*) FROM "CouponRedemption" o FULL JOIN promo.coupon_redemption l USING (id)
	WHERE (l.user_id, l.coupon_id) IS DISTINCT FROM (o."userId"::text, 1) AND l.voided_at IS NULL)), '2', 'rows have the ids of the old ones, but for two of new code');
is(ask("SELECT redeemed_at = '2026-01-01 10:00+00' FROM promo.coupon_redemption WHERE user_id = '1' AND use_no = 1"), 't', 'and their times');

is(follow('Doubles'), "1|1|2 live redemptions and holds, limit 1\n1|2|2 live redemptions and holds, limit 1", 'doubles are named');
is(follow('Doubles'), '', 'and voided: no invariant is broken');
is(ask('SELECT r.status FROM generate_series(1, 2) u, promo.redeem_coupon(u::bigint, $$SAVE10$$) r'), "already_redeemed\nalready_redeemed", 'nobody redeems again for it');

$_->close foreach @sessions;
follow('When the last old instance is gone');
is(ask(q(SELECT count(*), max("userId") FROM "CouponRedemption")), '9|10', 'reports read the ledger');
is(ask(q(INSERT INTO promo.coupon (code) VALUES ('NEW') RETURNING id)), '6', 'new coupons have ids of their own');
is(ask(q(SELECT status, redemption_id > 16 FROM promo.redeem_coupon(1::bigint, 'new'))), 'redeemed|t', 'new redemptions too');
is(ask('SELECT * FROM promo.coupon_guard_verify()'), '', 'tutorial: no invariant is broken');

# ---- shop systems -------------------------------------------------------------------------------------------------------------

my ($look, $import) = (block('Look'), block('Import'));
my $schema = block('Shop systems');

my $coupons = q(SELECT code, active, max_redemptions, max_per_user, terms FROM promo.coupon ORDER BY code);
my $uses = q(SELECT code, user_id, use_no, redeemed_at AT TIME ZONE 'UTC', metadata FROM promo.coupon_redemption r JOIN promo.coupon c ON c.id = coupon_id
	ORDER BY code, user_id, use_no);

# The shop's two views are made, looked at and imported; what the look says is answered.
sub adopt
{
	my ($system, $tables) = @_;
	shop(lc $system, "SET timezone = 'UTC'; $tables");
	ask($schema);
	follow($system);
	my $found = ask($look);
	my $broken = ask($import);
	return ($found, $broken);
}

sub statuses
{
	my (@calls) = @_;
	return join ' ', map { ask("SELECT status FROM promo.redeem_coupon($_)") } @calls;
}

# Columns of order_order and others that coupons have nothing to do with are left out, here and below.
my ($found, $broken) = adopt('Saleor', q(
	CREATE TABLE discount_voucher (id serial PRIMARY KEY, type varchar(20) NOT NULL, name varchar(255), usage_limit integer, start_date timestamptz NOT NULL,
		end_date timestamptz, discount_value_type varchar(10) NOT NULL, apply_once_per_order boolean NOT NULL DEFAULT false, countries varchar(749) NOT NULL DEFAULT '',
		min_checkout_items_quantity integer, apply_once_per_customer boolean NOT NULL, only_for_staff boolean NOT NULL DEFAULT false, metadata jsonb,
		private_metadata jsonb, single_use boolean NOT NULL);
	CREATE TABLE discount_vouchercode (id uuid PRIMARY KEY, code varchar(255) NOT NULL UNIQUE, used integer NOT NULL, is_active boolean NOT NULL,
		created_at timestamptz NOT NULL, voucher_id integer NOT NULL REFERENCES discount_voucher);
	CREATE TABLE discount_vouchercustomer (id serial PRIMARY KEY, customer_email varchar(254) NOT NULL, voucher_code_id uuid NOT NULL REFERENCES discount_vouchercode,
		UNIQUE (voucher_code_id, customer_email));
	CREATE TABLE discount_voucherchannellisting (id serial PRIMARY KEY, discount_value numeric(12, 3) NOT NULL, currency varchar(3) NOT NULL,
		min_spent_amount numeric(12, 3), channel_id integer NOT NULL, voucher_id integer NOT NULL REFERENCES discount_voucher, UNIQUE (voucher_id, channel_id));
	CREATE TABLE order_order (id uuid PRIMARY KEY, created_at timestamptz NOT NULL, user_email varchar(254) NOT NULL, user_id integer, voucher_id integer,
		voucher_code varchar(255), status varchar(32) NOT NULL);
	INSERT INTO discount_voucher (id, type, usage_limit, start_date, end_date, discount_value_type, apply_once_per_customer, single_use) VALUES
		(1, 'entire_order', 3, '2026-01-01', NULL, 'percentage', true, false),      -- three uses, one a customer
		(2, 'entire_order', 5, '2026-01-01', NULL, 'fixed', false, false),          -- one limit over two codes
		(3, 'shipping', NULL, '2026-01-01', '2026-01-01', 'percentage', false, true); -- single-use codes, and an empty window
	INSERT INTO discount_voucherchannellisting (discount_value, currency, channel_id, voucher_id) VALUES (10, 'EUR', 7, 1);
	INSERT INTO discount_vouchercode VALUES
		('00000000-0000-0000-0000-000000000001', 'TEN', 2, true, '2026-01-01', 1),
		('00000000-0000-0000-0000-000000000002', 'A', 0, true, '2026-01-01', 2), ('00000000-0000-0000-0000-000000000003', 'B', 0, true, '2026-01-01', 2),
		('00000000-0000-0000-0000-000000000004', 'ONCE', 0, false, '2026-01-01', 3);
	INSERT INTO discount_vouchercustomer (customer_email, voucher_code_id) VALUES
		('Ann@example.org', '00000000-0000-0000-0000-000000000001'), ('bob@example.org', '00000000-0000-0000-0000-000000000001');
	INSERT INTO order_order VALUES
		('00000000-0000-0000-0000-00000000000a', '2026-02-01', 'ann@example.org', 1, 1, 'TEN', 'fulfilled'),
		('00000000-0000-0000-0000-00000000000b', '2026-02-02', 'eve@example.org', NULL, 1, 'TEN', 'canceled'),
		('00000000-0000-0000-0000-00000000000c', '2026-02-02', 'eve@example.org', NULL, NULL, NULL, 'fulfilled'),
		('00000000-0000-0000-0000-00000000000d', '2026-02-03', 'eve@example.org', NULL, 3, 'ONCE', 'unfulfilled')));
is($found, 'once|empty window|00000000-0000-0000-0000-000000000004', 'Saleor: what does not come over as it was');
is($broken, '', 'Saleor: no invariant is broken');
is(ask($coupons), join("\n",
		'A|f|5||{"type": "entire_order", "voucher": 2, "channels": null, "value_type": "fixed"}',
		'B|f|5||{"type": "entire_order", "voucher": 2, "channels": null, "value_type": "fixed"}',
		'ONCE|t|1||{"type": "shipping", "voucher": 3, "channels": null, "value_type": "percentage"}',
		'TEN|t|3|1|{"type": "entire_order", "voucher": 1, "channels": {"7": {"value": 10.000, "currency": "EUR", "min_spent": null}}, "value_type": "percentage"}'),
	'Saleor: coupons');
is(ask($uses), join("\n",
		'ONCE|eve@example.org|1|2026-02-03 00:00:00|{"order": "00000000-0000-0000-0000-00000000000d"}',
		'TEN|ann@example.org|1|2026-02-01 00:00:00|{"order": "00000000-0000-0000-0000-00000000000a"}',
		'TEN|bob@example.org|1|2026-01-01 00:00:00|'),
	'Saleor: uses');
is(statuses("'ann\@example.org'::text, 'ten'", "'bob\@example.org'::text, 'ten'", "'eve\@example.org'::text, 'ten'", "'zoe\@example.org'::text, 'ten'",
		"'zoe\@example.org'::text, 'a'", "'zoe\@example.org'::text, 'once'"),
	'already_redeemed already_redeemed redeemed sold_out inactive expired', 'Saleor: the guard goes on from there');

($found, $broken) = adopt('Spree', q(
	CREATE TABLE spree_promotions (id bigserial PRIMARY KEY, description varchar, expires_at timestamp, starts_at timestamp, name varchar, type varchar,
		usage_limit integer, match_policy varchar DEFAULT 'all', code varchar, advertise boolean DEFAULT false, path varchar, created_at timestamp NOT NULL,
		kind integer DEFAULT 0, multi_codes boolean DEFAULT false, number_of_codes integer, code_prefix varchar);
	CREATE TABLE spree_promotion_rules (id bigserial PRIMARY KEY, promotion_id bigint, user_id bigint, type varchar, code varchar, preferences text);
	CREATE TABLE spree_coupon_codes (id bigserial PRIMARY KEY, code varchar UNIQUE, promotion_id bigint, order_id bigint, state integer NOT NULL DEFAULT 0,
		deleted_at timestamp, created_at timestamp NOT NULL);
	CREATE TABLE spree_orders (id bigserial PRIMARY KEY, number varchar(32), state varchar, user_id bigint, email varchar, completed_at timestamp, canceled_at timestamp);
	CREATE TABLE spree_order_promotions (id bigserial PRIMARY KEY, order_id bigint, promotion_id bigint, created_at timestamp);
	INSERT INTO spree_promotions (id, code, usage_limit, kind, multi_codes, starts_at, created_at) VALUES
		(1, 'spring', 2, 0, false, '2026-01-01', '2026-01-01'), (2, NULL, NULL, 1, false, NULL, '2026-01-01'), (3, NULL, NULL, 0, true, NULL, '2026-01-01'),
		(4, 'Spring ', NULL, 0, false, NULL, '2025-01-01');
	INSERT INTO spree_promotion_rules (promotion_id, type) VALUES (1, 'Spree::Promotion::Rules::OneUsePerUser'), (1, 'Spree::Promotion::Rules::FirstOrder');
	INSERT INTO spree_coupon_codes (id, code, promotion_id, order_id, state, created_at) VALUES (1, 'x1', 3, 13, 1, '2026-01-01'), (2, 'x2', 3, NULL, 0, '2026-01-01');
	INSERT INTO spree_orders (id, number, state, user_id, email, completed_at, canceled_at) VALUES
		(10, 'R10', 'complete', 7, 'ann@example.org', '2026-02-01 12:00', NULL), (11, 'R11', 'complete', 7, 'ann@example.org', '2026-02-02', NULL),
		(12, 'R12', 'cart', 8, 'bob@example.org', NULL, NULL), (13, 'R13', 'complete', NULL, 'Eve@example.org', '2026-02-03', NULL),
		(14, 'R14', 'canceled', 8, 'bob@example.org', '2026-02-03', '2026-02-04'), (15, 'R15', 'complete', 9, 'zoe@example.org', '2026-02-05', NULL);
	INSERT INTO spree_order_promotions (order_id, promotion_id) VALUES (10, 1), (11, 1), (12, 1), (13, 3), (14, 1), (15, 1), (15, 2)));
is($found, "spring|one code|spring, Spring \nspring|over its limit|promotion 1", 'Spree: what does not come over as it was');
like($broken, qr/^limit per user\|\d+\|7\|2 live redemptions and holds, limit 1$/, 'Spree: a customer with a double is named');
is(ask($coupons), qq(spring|t|3|1|{"promotion": 1}\nx1|t|1||{"promotion": 3}\nx2|t|1||{"promotion": 3}), 'Spree: coupons');
is(ask($uses), join("\n",
		'spring|7|1|2026-02-01 12:00:00|{"order": "R10"}', 'spring|7|2|2026-02-02 00:00:00|{"order": "R11"}',
		'spring|9|1|2026-02-05 00:00:00|{"order": "R15"}', 'x1|eve@example.org|1|2026-02-03 00:00:00|{"order": "R13"}'),
	'Spree: uses');
is(statuses("7::bigint, 'spring'", "8::bigint, 'spring'", "8::bigint, 'x1'", "8::bigint, 'X2'"), 'already_redeemed sold_out sold_out redeemed',
	'Spree: the guard goes on from there');

($found, $broken) = adopt('Solidus', q(
	CREATE TABLE spree_promotions (id serial PRIMARY KEY, description varchar, expires_at timestamp, starts_at timestamp, name varchar, type varchar,
		usage_limit integer, code varchar, created_at timestamp, per_code_usage_limit integer, apply_automatically boolean DEFAULT false);
	CREATE TABLE spree_promotion_rules (id serial PRIMARY KEY, promotion_id integer, type varchar, preferences text);
	CREATE TABLE spree_promotion_codes (id serial PRIMARY KEY, promotion_id integer NOT NULL, value varchar NOT NULL UNIQUE, created_at timestamp);
	CREATE TABLE spree_orders (id serial PRIMARY KEY, number varchar(32), state varchar, user_id integer, email varchar, completed_at timestamp, canceled_at timestamp);
	CREATE TABLE spree_orders_promotions (id serial PRIMARY KEY, order_id integer, promotion_id integer, promotion_code_id integer, created_at timestamp);
	INSERT INTO spree_promotions (id, usage_limit, per_code_usage_limit, created_at) VALUES (1, NULL, 2, '2026-01-01'), (2, 9, NULL, '2026-01-01');
	INSERT INTO spree_promotion_codes (id, promotion_id, value, created_at) VALUES (1, 1, 'two', '2026-01-01'), (2, 2, 'p', '2026-01-01'), (3, 2, 'q', '2026-01-01');
	INSERT INTO spree_orders (id, number, state, user_id, email, completed_at) VALUES (1, 'R1', 'complete', 7, 'ann@example.org', '2026-02-01'), (2, 'R2', 'cart', 8, NULL, NULL);
	INSERT INTO spree_orders_promotions (order_id, promotion_id, promotion_code_id) VALUES (1, 1, 1), (2, 1, 1)));
is($found . $broken, '', 'Solidus: all comes over as it was');
is(ask($coupons), qq(p|f|9||{"promotion": 2}\nq|f|9||{"promotion": 2}\ntwo|t|2||{"promotion": 1}), 'Solidus: coupons');
is(ask($uses), 'two|7|1|2026-02-01 00:00:00|{"order": "R1"}', 'Solidus: uses');
is(statuses("7::bigint, 'two'", "8::bigint, 'two'", "8::bigint, 'p'"), 'redeemed sold_out inactive', 'Solidus: the guard goes on from there');

($found, $broken) = adopt('WooCommerce', q(
	CREATE TABLE wp_posts (id bigserial PRIMARY KEY, post_author bigint, post_date timestamptz, post_date_gmt timestamptz, post_content text, post_title text,
		post_excerpt text, post_status varchar(20), post_name varchar(200), post_type varchar(20));
	CREATE TABLE wp_postmeta (meta_id bigserial PRIMARY KEY, post_id bigint, meta_key varchar(255), meta_value text);
	CREATE TABLE wp_users (id bigserial PRIMARY KEY, user_login varchar(60), user_email varchar(100));
	INSERT INTO wp_users VALUES (7, 'ann', 'Ann@example.org');
	INSERT INTO wp_posts (id, post_title, post_status, post_type, post_date_gmt) VALUES (1, 'ten', 'publish', 'shop_coupon', '2026-01-01'),
		(2, 'free', 'publish', 'shop_coupon', '2026-01-01'), (3, 'gone', 'trash', 'shop_coupon', '2026-01-01'), (4, 'ten', 'publish', 'page', '2026-01-01'),
		(5, 'over', 'draft', 'shop_coupon', '2026-01-01');
	INSERT INTO wp_postmeta (post_id, meta_key, meta_value) VALUES
		(1, 'discount_type', 'percent'), (1, 'coupon_amount', '10'), (1, 'usage_limit', '5'), (1, 'usage_limit_per_user', '1'), (1, 'usage_count', '4'), (1, 'date_expires', ''),
		(1, '_used_by', '7'), (1, '_used_by', 'ann@example.org'), (1, '_used_by', 'eve@example.org'), (1, '_maybe_used_by_1_x', 'bob@example.org'),
		(2, 'usage_limit', '0'), (2, 'usage_limit_per_user', '0'), (2, 'usage_count', '0'),
		(5, 'date_expires', '1767225600'), (5, 'usage_limit', '')));
is($found, '', 'WooCommerce: all comes over as it was');
like($broken, qr/^limit per user\|\d+\|7\|2 live redemptions and holds, limit 1$/, 'WooCommerce: who used it as a guest and with an account is named');
is(ask($coupons), qq(free|t|||\nover|f|||\nten|t|4|1|{"coupon_amount": "10", "discount_type": "percent"}), 'WooCommerce: coupons');
is(ask("SELECT code, expires_at AT TIME ZONE 'UTC' FROM promo.coupon WHERE expires_at IS NOT NULL"), 'over|2026-01-01 00:00:00', 'WooCommerce: their ends');
is(ask("SELECT code, user_id, use_no FROM promo.coupon_redemption r JOIN promo.coupon c ON c.id = coupon_id ORDER BY 1, 2, 3"),
	"ten|7|1\nten|7|2\nten|eve\@example.org|1", 'WooCommerce: uses');
is(statuses("7::bigint, 'TEN'", "8::bigint, 'ten'", "9::bigint, 'ten'", "9::bigint, 'free'"), 'already_redeemed redeemed sold_out redeemed',
	'WooCommerce: the guard goes on from there');

is_deeply([ $page->left ], [], 'every block of the page was run');

$node->stop;
done_testing();
