# docs/recipes.md is run as it stands: each recipe's blocks in their order, on a shop to which it applies.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use CouponGuard::Page;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $page = CouponGuard::Page->new('docs/recipes.md');

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;

my $database;

# A new database with these coupons and redemptions.
sub shop
{
	my ($name, $contents) = @_;
	$database = $name;
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database, "CREATE EXTENSION coupon_guard; $contents");
}

sub ask { return $node->safe_psql($database, $_[0]); }

# The next block of a recipe.
sub follow
{
	my ($recipe) = @_;
	my ($language, $text) = $page->next($recipe);
	return ask($text) if $language eq 'sql';
	chdir $node->basedir or die;
	return $node->command_ok([ 'sh', '-e', '-c', $text ], "$recipe: the commands succeed");
}

sub all_is_well { is(ask('SELECT * FROM coupon_guard_verify()'), '', "$_[0]: no invariant is broken"); }

my $ledger = "SELECT code, user_id, use_no, r.id, voided_at IS NOT NULL, request_id FROM coupon_redemption r JOIN coupon c ON c.id = coupon_id ORDER BY r.id";

shop('gift_card', q(SELECT 1;));
follow('A gift card');
is(ask(q(SELECT budget, remaining_budget FROM coupon_usage)), '5000|5000', 'gift card: it is worth what it was sold for');
is(follow('A gift card'), 'redeemed|5000', 'gift card: an order gets what there is');
is(ask(q(SELECT status, amount, replayed FROM redeem_coupon(42, 'CARD-7Q2M', amount => 6200, request_id => 'order-1001', up_to => true))),
	'redeemed|5000|t', 'gift card: a retry gets the same, and nothing more');
is(ask(q(SELECT status FROM redeem_coupon(43, 'CARD-7Q2M', amount => 1))), 'sold_out', 'gift card: then nothing is left');
is(follow('A gift card'), 't', 'gift card: a part is given back');
is(ask(q(SELECT status, amount FROM redeem_coupon(43, 'CARD-7Q2M', amount => 3501))), 'insufficient|3500', 'gift card: topped up and given back is what is left');
is(ask(q(SELECT status, amount FROM redeem_coupon(43, 'CARD-7Q2M', amount => 3000, request_id => 'order-1002'))), 'redeemed|3000',
	'gift card: anybody may pay with it');
is(follow('A gift card') =~ s/^(.*?)\|(?=order)/|/mgr, "7000|6500|0|500\n|order-1001|3500|3500\n|order-1002|3000|500",
	'gift card: the statement ends with what is left');
all_is_well('gift card');

shop('campaign', q(SELECT 1;));
follow('A campaign');
is(follow('A campaign'), 'redeemed|{"percent": 20}|', 'campaign: a code is worth what its campaign says');
is(ask(q(SELECT r.status, r.limited_by FROM (VALUES (1, 42, 'WINTER-1002'), (2, 43, 'WINTER-1001')) c (no, user_id, code),
		redeem_coupon(user_id, code, amount => 1) r ORDER BY no)), "already_redeemed|campaign\nsold_out|coupon", 'campaign: one to a customer, and each code once');
is(ask(q(SELECT status, amount, limited_by FROM redeem_coupon(43, 'WINTER-1003', amount => 1000000))), 'insufficient|998002|campaign',
	'campaign: no more than its budget');
is(follow('A campaign'), 'Winter|1000|1|499|998002', 'campaign: how it goes');
is(ask(q(SELECT status FROM redeem_coupon(42, 'WINTER-1002', amount => 1))), 'redeemed', 'campaign: a code that is taken out knows no campaign');
is(ask(q(SELECT redeemed FROM campaign_usage)), '1', 'campaign: nor does the campaign know it');
follow('A campaign');
is(ask(q(SELECT status, limited_by FROM redeem_coupon(43, 'WINTER-1003', amount => 1))), 'inactive|campaign', 'campaign: it ends for all codes');
all_is_well('campaign');

shop('mailing', q(SELECT 1;));
follow('Codes for a mailing');
is(ask(q(SELECT count(DISTINCT m.code), min(length(m.code)), min(c.max_redemptions), min(c.max_per_user) FROM mailing m JOIN coupon c USING (code))),
	'100000|18|1|1', 'mailing: as many single-use codes as were asked for');
follow('Codes for a mailing');
is(ask(q(SELECT status, terms FROM redeem_coupon(42, (SELECT lower(min(code)) FROM mailing)))), 'redeemed|{"percent": 20}', 'mailing: a customer uses one');
is(ask(q(SELECT count(*) FROM mailing, LATERAL redeem_coupon(43, overlay(code PLACING CASE right(code, 1) WHEN 'A' THEN 'B' ELSE 'A' END FROM 18)) r
	WHERE r.status <> 'not_found')), '0', 'mailing: the last character is a check character');
is(scalar(() = follow('Codes for a mailing') =~ /^CARD-.{4}-.{4}-.{4}$/mg), 500, 'mailing: gift cards');
is(ask(q(SELECT status FROM redeem_coupon(42, (SELECT min(code) FROM coupon WHERE code LIKE 'CARD-%'), amount => 100))), 'inactive',
	'mailing: gift cards wait to be switched on');
all_is_well('mailing');

shop('handing_out', q(SELECT 1;));
follow('Handing out codes');
my ($reader) = follow('Handing out codes') =~ /^claimed\|(NL-[\w-]+)\|\{"percent": 10\}$/;
ok($reader, 'handing out: a code, and what it is worth');
is(ask(q(SELECT status, code, replayed FROM claim_coupon(42, 'newsletter 26'))), "claimed|$reader|t", 'handing out: the same when asked again');
is(ask(qq(SELECT status FROM redeem_coupon(43, '$reader'))), 'reserved', 'handing out: it is nobody else\'s');
is(scalar(() = follow('Handing out codes') =~ /^\d+\|claimed\|NL-[\w-]+$/mg), 100, 'handing out: a mailing');
is(follow('Handing out codes'), 'released', 'handing out: and back');
is(follow('Handing out codes'), '1000|100', 'handing out: what is left');
all_is_well('handing out');

# The guest has used ONE, which the customer has used too; TWICE once, as the customer; THRICE twice, whose number 1 the customer has
# given back; ANY, which the customer has not used, and has given one back. Of a campaign that allows two the guest has used two codes, the
# customer a third.
shop('merging', q(
	INSERT INTO coupon (code, max_redemptions, max_per_user) VALUES ('ONE', 10, 1), ('TWICE', 10, 2), ('THRICE', 10, 3), ('ANY', 10, NULL);
	INSERT INTO coupon (code, holder) VALUES ('SORRY', 'guest-7');
	SELECT redeem_coupon('42', 'ONE', 'a'), redeem_coupon('42', 'TWICE'), redeem_coupon('42', 'THRICE'), redeem_coupon('42', 'THRICE');
	SELECT void_redemption(3);
	SELECT redeem_coupon('guest-7', 'ONE', 'b'), redeem_coupon('guest-7', 'TWICE', 'a'), redeem_coupon('guest-7', 'THRICE'),
	       redeem_coupon('guest-7', 'THRICE'), redeem_coupon('guest-7', 'ANY', 'c'), redeem_coupon('guest-7', 'ANY');
	SELECT void_redemption(10);
	INSERT INTO campaign (name, max_per_user) VALUES ('Two', 2);
	INSERT INTO coupon (code, campaign_id) VALUES ('C1', 1), ('C2', 1), ('C3', 1);
	SELECT redeem_coupon('42', 'C1'), redeem_coupon('guest-7', 'C2'), redeem_coupon('guest-7', 'C3');));
is(follow('Merging two accounts'), '2', 'merging: one use is beyond the limit of its coupon, one beyond that of its campaign');
is(ask($ledger), join("\n", 'ONE|42|1|1|f|a', 'TWICE|42|1|2|f|', 'THRICE|42|1|3|t|', 'THRICE|42|2|4|f|', 'ONE|guest-7|1|5|f|b',
		'TWICE|42|2|6|f|', 'THRICE|42|1|7|f|', 'THRICE|42|3|8|f|', 'ANY|42|1|9|f|c', 'ANY|42|2|10|t|',
		'C1|42|1|11|f|', 'C2|42|1|12|f|', 'C3|guest-7|1|13|f|'),
	'merging: the guest\'s uses have the numbers that were free');
is(ask(q(SELECT string_agg(status::text || coalesce(use_no::text, ''), ' ' ORDER BY code) FROM unnest('{ONE,TWICE,THRICE,ANY}'::text[]) code, redeem_coupon('42', code))),
	'redeemed2 already_redeemed1 already_redeemed3 already_redeemed2', 'merging: the customer has what is left');
is(ask('SELECT id, campaign_use_no FROM coupon_redemption WHERE campaign_id IS NOT NULL ORDER BY id'), "11|1\n12|2\n13|2", 'merging: likewise in their campaign');
is(ask("SELECT status, redemption_id FROM redeem_coupon('42', 'ANY', 'c')"), 'redeemed|9', 'merging: a request id goes along');
is(ask("SELECT status FROM unnest('{guest-7,42}'::text[]) u, redeem_coupon(u, 'SORRY')"), "reserved\nredeemed", 'merging: what was reserved for the guest is for the customer');
all_is_well('merging');

shop('erasing', q(
	INSERT INTO coupon (code, max_redemptions, max_per_user, holder) VALUES ('TWO', 2, 2, NULL), ('SORRY', 1, 1, '42');
	SELECT redeem_coupon('42', 'TWO', 'a', '{"order": 7}'), redeem_coupon('42', 'TWO');));
follow('Erasing a customer');
is(ask("SELECT bool_and(user_id ~ '^erased-.{36}\$' AND request_id IS NULL AND metadata IS NULL) FROM coupon_redemption"), 't', 'erasing: nothing of the customer is left');
is(ask("SELECT status FROM redeem_coupon('42', 'SORRY')"), 'reserved', 'erasing: nor is the holder of a coupon');
is(ask("SELECT status FROM redeem_coupon('42', 'TWO', 'a')"), 'sold_out', 'erasing: the redemptions count as before');
all_is_well('erasing');

# LONG OVER is over, but not switched off; GIFT goes on, and two of its three uses are old; so does OFTEN, with a row given back long ago.
shop('archiving', q(
	INSERT INTO coupon (code, max_redemptions, max_per_user) VALUES ('LONG OVER', 2, 1), ('GIFT', 4, NULL), ('OFTEN', 2, 1);
	SELECT redeem_coupon(1, 'LONG OVER'), redeem_coupon(2, 'LONG OVER'), redeem_coupon(1, 'GIFT'), redeem_coupon(2, 'GIFT'),
	       redeem_coupon(3, 'OFTEN'), redeem_coupon(4, 'OFTEN');
	SELECT void_redemption(6);
	UPDATE coupon_redemption SET redeemed_at = '2001-01-01', voided_at = CASE WHEN voided_at IS NOT NULL THEN timestamptz '2001-01-01' END;
	UPDATE coupon SET expires_at = '2001-01-02' WHERE code = 'LONG OVER';
	SELECT redeem_coupon(3, 'GIFT');));
follow('Archiving old rows');
my $archived = 'SELECT string_agg(id::text, $$ $$ ORDER BY id) FROM redemption_archive';
is(ask($archived), '1 2 6', 'archiving: what counts no more is archived');
is(ask("UPDATE coupon SET expires_at = NULL; SELECT status FROM redeem_coupon(3, 'LONG OVER')"), 'inactive', 'archiving: what was over stays over');
follow('Archiving old rows');
is(ask($archived), '1 2 3 4 6', 'archiving: so are the old uses of a coupon that goes on');
is(ask("SELECT max_redemptions, redeemed, remaining_units FROM coupon_usage WHERE code = 'GIFT'"), '2|1|1', 'archiving: its cap is lower by as many');
is(ask("SELECT r.status FROM generate_series(1, 2) i, redeem_coupon(i, 'GIFT') r"), "redeemed\nsold_out", 'archiving: no unit came free');
all_is_well('archiving');

shop('importing', q(
	CREATE TABLE old_coupon (id bigint, code text, max_uses bigint, per_customer int);
	CREATE TABLE old_use (id bigint, coupon_id bigint, customer text, used_at timestamptz);
	INSERT INTO old_coupon VALUES (7, 'OLD', 4, 2), (9, 'OLDER', NULL, NULL);
	INSERT INTO old_use VALUES (100, 7, 'ann', '2001-01-02'), (101, 7, 'ann', '2001-01-01'), (50, 7, 'bob', '2001-01-01'), (51, 9, 'bob', '2001-01-01');));
follow('Importing with ids of your own');
is(ask("INSERT INTO coupon (code) VALUES ('NEXT') RETURNING id > 9"), 't', 'importing: the next coupon has an id of its own');
is(ask("SELECT status, redemption_id > 101, use_no FROM redeem_coupon('bob'::text, 'OLD')"), 'redeemed|t|2', 'importing: so has the next redemption');
is(ask("SELECT r.status FROM unnest('{ann,bob,eve}'::text[]) u, redeem_coupon(u, 'OLD') r"), "already_redeemed\nalready_redeemed\nsold_out",
	'importing: limits and cap count what was imported');
is(ask("SELECT use_no FROM coupon_redemption WHERE id IN (100, 101) ORDER BY id"), "2\n1", 'importing: uses are numbered by time');
all_is_well('importing');

# A unit too many, written past all triggers.
shop('repairing', q(
	INSERT INTO coupon (code, max_redemptions) VALUES ('TWO', 2), ('SOUND', 2);
	SELECT redeem_coupon(1, 'TWO'), redeem_coupon(1, 'SOUND');));
ask(q(SET allow_system_table_mods = on;
	BEGIN;
	UPDATE pg_class SET relhastriggers = false WHERE oid = 'coupon_quota'::regclass;
	UPDATE coupon_quota SET remaining = remaining + 1 WHERE owner_id = 1;
	UPDATE pg_class SET relhastriggers = true WHERE oid = 'coupon_quota'::regclass;
	COMMIT;));
is(ask('SELECT invariant, coupon_id FROM coupon_guard_verify()'), 'quota|1', 'repairing: a quota is wrong');
follow('Repairing a quota');
is(ask('SELECT DISTINCT owner_id FROM coupon_quota'), '2', 'repairing: and gone, and no other');
all_is_well('repairing');
is(ask("SELECT r.status FROM generate_series(2, 3) i, redeem_coupon(i, 'TWO') r"), "redeemed\nsold_out", 'repairing: it is counted anew');
all_is_well('repaired');

shop('shop', q(
	INSERT INTO coupon (code, max_redemptions) VALUES ('THREE', 3);
	SELECT redeem_coupon(1, 'THREE'), redeem_coupon(2, 'THREE');));
my $in_force = 'SELECT coupon_guard_generation() IS NOT NULL';
is(ask($in_force), 't', 'restoring: the triggers are in force');
follow('Restoring data with triggers disabled');
$database = 'shop_copy';
is(ask($in_force), 'f', 'restoring: they are not so afterwards');
follow('Restoring data with triggers disabled');
is(ask($in_force), 't', 'restoring: then they are');
is(ask("SELECT r.status, r.redemption_id FROM generate_series(2, 4) i, redeem_coupon(i, 'THREE') r"), "already_redeemed|2\nredeemed|3\nsold_out|",
	'restoring: redeeming goes on where it was');
all_is_well('restoring');

shop('leaving', q(
	INSERT INTO campaign (name, max_redemptions) VALUES ('Spring', 3);
	INSERT INTO coupon (code, max_redemptions, campaign_id) VALUES ('THREE', 3, 1);
	SELECT redeem_coupon(1, 'THREE'), redeem_coupon(2, 'THREE');));
my $rows = 'SELECT * FROM campaign ORDER BY id; SELECT * FROM coupon ORDER BY id; SELECT * FROM coupon_redemption ORDER BY id';
my $had = ask($rows);
isnt($node->psql($database, 'DROP EXTENSION coupon_guard CASCADE'), 0, 'leaving: the extension is not dropped with what it has');
follow('Taking the extension away');
is(ask($rows), $had, 'leaving: it has left every row, and every column');
is(ask(q(INSERT INTO coupon (code, code_key) VALUES ('NEW', 'new') RETURNING id)), '2', 'leaving: identities go on');
is(ask(q(INSERT INTO campaign (name, name_key) VALUES ('New', 'new') RETURNING id)), '2', 'leaving: those of campaigns too');
is(ask(q(SELECT count(*) FROM pg_proc WHERE proname ~ 'coupon')), '0', 'leaving: nothing else is left');

is_deeply([ $page->left ], [], 'every block of the page was run');

$node->stop;
done_testing();
