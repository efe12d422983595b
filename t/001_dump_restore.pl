# pg_dump and restore bring back campaigns, coupons, redemptions, sequences and the privileges that the shop granted, in every format,
# from whatever schema, and whoever owns the extension.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;

my $superuser = $node->safe_psql('postgres', 'SELECT current_user');
$node->safe_psql('postgres', 'CREATE ROLE shop_owner LOGIN; CREATE ROLE clerk LOGIN; CREATE ROLE stranger LOGIN');

# A shop in schema $schema of database $database, all of it the property of $owner.
sub make_shop
{
	my ($database, $schema, $owner) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $database OWNER $owner");
	$node->safe_psql(
		$database, qq(
		CREATE SCHEMA IF NOT EXISTS $schema;
		GRANT USAGE ON SCHEMA $schema TO clerk, stranger;
		CREATE EXTENSION coupon_guard SCHEMA $schema;
		SET search_path = $schema;
		INSERT INTO coupon (code, terms, max_per_user) VALUES
			(U&'Stra\\00DFe 10', '{"percent_off": 10}', 1), ('TWICE', NULL, 2), ('GONE', NULL, 1);
		INSERT INTO coupon (id, code, active, expires_at) VALUES (100, 'OFF', false, '2999-01-01');
		-- Older in the table than their campaign: what refers must come after what is referred to.
		INSERT INTO coupon (id, code, max_per_user) VALUES (101, 'TULIP', 5), (102, 'DAISY', 5), (103, 'MOVED', 5);
		INSERT INTO campaign (name, max_redemptions, max_per_user, budget, terms) VALUES (' Spring ', 3, 2, 1000, '{"percent": 20}'), ('Autumn', 2, 1, 100, NULL);
		UPDATE coupon SET campaign_id = 1 WHERE id > 100;
		DELETE FROM coupon WHERE code = 'GONE';
		DO \$\$ BEGIN
			PERFORM redeem_coupon(1, 'STRASSE 10'), redeem_coupon('ann'::text, 'strasse 10', metadata => '{"order": 17}'),
				redeem_coupon(1, 'TWICE'), redeem_coupon(1, 'tulip', amount => 300), redeem_coupon(1, 'moved', amount => 100);
			UPDATE coupon SET campaign_id = 2 WHERE code = 'MOVED';
			EXECUTE (SELECT string_agg(format('GRANT EXECUTE ON FUNCTION %s TO clerk', oid::regprocedure), ';')
				FROM pg_proc WHERE proname = 'redeem_coupon');
		END \$\$;
		GRANT SELECT ON coupon TO clerk;
		GRANT EXECUTE ON FUNCTION coupon_guard_verify() TO PUBLIC;),
		connstr => $node->connstr($database) . " user=$owner");
}

# What must be the same before and after.
my $contents = q(
	SELECT id, code, code_key, active, starts_at, expires_at, max_per_user, terms, created_at FROM coupon ORDER BY id;
	SELECT * FROM campaign ORDER BY id;
	SELECT id, campaign_id FROM coupon ORDER BY id;
	SELECT id, coupon_id, user_id, use_no, redeemed_at, metadata, amount, campaign_id, campaign_use_no FROM coupon_redemption ORDER BY id;
	SELECT campaign_id, coupons, redeemed, remaining_units, remaining_budget FROM campaign_usage ORDER BY 1;
	SELECT oid::regclass, relowner::regrole FROM pg_class WHERE relname ~ '^(coupon|campaign)' AND relkind IN ('r', 'S') ORDER BY 1;
	SELECT p.oid::regprocedure, proowner::regrole, grantee::regrole, privilege_type
	  FROM pg_proc p, aclexplode(proacl) WHERE proname ~ '^(redeem_)?coupon' ORDER BY p.oid::regprocedure::text COLLATE "C", 3, 4;
	SELECT c.oid::regclass, grantee::regrole, privilege_type
	  FROM pg_class c, aclexplode(relacl) WHERE relname ~ '^(coupon|campaign)' ORDER BY 1, 2, 3;);

sub check_restored
{
	my ($name, $from, $to, $schema) = @_;
	my $path = "SET search_path = $schema;";
	is( $node->safe_psql($to, $path . $contents),
		$node->safe_psql($from, $path . $contents),
		"$name: same coupons, redemptions, owners and privileges");

	is( $node->safe_psql(
			$to, "$path
			SELECT status FROM redeem_coupon(1, ' STRASSE 10');
			SELECT status, use_no FROM redeem_coupon(1, 'twice');
			SELECT status FROM redeem_coupon(1, 'twice');
			SELECT status FROM redeem_coupon(2, 'twice');
			SELECT status FROM redeem_coupon(1, 'off')"),
		"already_redeemed\nredeemed|2\nalready_redeemed\nredeemed\ninactive",
		"$name: redeeming goes on where it was");
	is( $node->safe_psql(
			$to, "$path
			SELECT max(id) < (SELECT redemption_id FROM redeem_coupon(3, 'twice')) FROM coupon_redemption;
			INSERT INTO coupon (code) VALUES ('NEW');
			SELECT id FROM coupon WHERE code = 'NEW'"),
		"t\n4",
		"$name: the sequences go on where they were");
	is( $node->safe_psql(
			$to, "$path
			SELECT status, limited_by FROM redeem_coupon(1, 'daisy', amount => 1);
			SELECT status, amount, limited_by FROM redeem_coupon(2, 'daisy', amount => 601);
			SELECT status, use_no, terms FROM redeem_coupon(2, 'daisy', amount => 600);
			SELECT status, limited_by FROM redeem_coupon(3, 'daisy', amount => 1);
			SELECT status FROM redeem_coupon(1, 'moved', amount => 100)"),
		"already_redeemed|campaign\ninsufficient|600|campaign\nredeemed|1|{\"percent\": 20}\nsold_out|campaign\nredeemed",
		"$name: campaigns go on where they were");
	is( $node->safe_psql($to, "$path INSERT INTO campaign (name) VALUES ('Summer') RETURNING id; SELECT * FROM coupon_guard_verify()"),
		'3', "$name: so does their sequence, and nothing is broken");
	is( $node->psql($to, "$path DELETE FROM coupon WHERE code = 'TWICE'"),
		3, "$name: the triggers are there");
	is( $node->psql($to, "$path UPDATE coupon SET campaign_id = NULL; DELETE FROM campaign WHERE id = 1"),
		3, "$name: those on campaigns, too");

	is( $node->safe_psql($to, "$path SELECT status FROM redeem_coupon(4, 'twice')", connstr => $node->connstr($to) . ' user=clerk'),
		'redeemed', "$name: who may redeem still may");
	my ($result, $stdout, $stderr) =
	  $node->psql($to, "$path SELECT status FROM redeem_coupon(5, 'twice')", connstr => $node->connstr($to) . ' user=stranger');
	like($stderr, qr/permission denied for function redeem_coupon/, "$name: who may not still may not");
}

# How a dump gets into a new database, as the owner of the shop.
my $file = $node->basedir . '/dump';
my %formats = (
	'plain' => {
		dump => [],
		restore => [ [ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f' ] ]
	},
	'inserts' => {
		dump => ['--column-inserts'],
		restore => [ [ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f' ] ]
	},
	'custom' => {
		dump => ['--format=custom'],
		restore => [ [ 'pg_restore', '--exit-on-error' ] ]
	},
	'schema, then data' => {
		dump => ['--format=custom'],
		restore => [ [ 'pg_restore', '--exit-on-error', '--schema-only' ], [ 'pg_restore', '--exit-on-error', '--data-only' ] ]
	});

sub dump_and_restore
{
	my ($name, $from, $to, $owner, $format) = @_;
	$node->command_ok([ 'pg_dump', @{ $format->{dump} }, '--file', $file, $from ], "$name: dump");
	foreach my $restore (@{ $format->{restore} })
	{
		my ($program, @options) = @$restore;
		$node->command_ok([ $program, '--username', $owner, '--dbname', $to, @options, $file ], "$name: $program");
	}
}

foreach my $case ([ 'shop', 'public', $superuser ], [ 'promo_shop', 'promo', $superuser ], [ 'owned_shop', 'promo', 'shop_owner' ])
{
	my ($from, $schema, $owner) = @$case;
	make_shop($from, $schema, $owner);
	foreach my $format (sort keys %formats)
	{
		my $name = "$from, $format";
		$node->safe_psql('postgres', "CREATE DATABASE restored TEMPLATE template0 OWNER $owner");
		dump_and_restore($name, $from, 'restored', $owner, $formats{$format});
		check_restored($name, $from, 'restored', $schema);
		$node->safe_psql('postgres', 'DROP DATABASE restored');
	}
}

# In parallel the tables come in any order: coupons before their campaigns, too.
$node->command_ok([ 'pg_dump', '--format=custom', '--file', $file, 'shop' ], 'dump of a shop with campaigns');
$node->safe_psql('postgres', 'CREATE DATABASE restored TEMPLATE template0');
$node->command_ok([ 'pg_restore', '--exit-on-error', '--jobs=2', '--dbname', $node->connstr('restored'), $file ], 'pg_restore --jobs');
check_restored('shop, in parallel', 'shop', 'restored', 'public');
$node->safe_psql('postgres', 'DROP DATABASE restored');

# A shard comes back as the same one: with its name, its rights, what is under way, and ids of its own. A transfer that it has made is not made again.
$node->safe_psql('postgres', 'CREATE DATABASE shard');
$node->safe_psql(
	'shard', q(
	CREATE EXTENSION coupon_guard;
	SELECT coupon_guard_set_shard('berlin', 5);
	INSERT INTO campaign (name, budget, budget_rights) VALUES ('Spring', 1000, 400);
	INSERT INTO coupon (code, max_redemptions, rights) VALUES ('DROP', 100, 10);
	INSERT INTO coupon (code, campaign_id) SELECT 'TULIP', id FROM campaign;
	DO $$ BEGIN
		PERFORM release_units('DROP', 4, 'a0000000-0000-0000-0000-000000000001', 'rome'), accept_units('DROP', 1, 'a0000000-0000-0000-0000-000000000002', 'rome'),
			release_units('spring', 300, 'a0000000-0000-0000-0000-000000000003', 'rome', 'B'), settle_transfer('a0000000-0000-0000-0000-000000000003');
		PERFORM redeem_coupon(i, 'DROP') FROM generate_series(1, 3) AS i;
	END $$;));
my $rights = q(
	SELECT * FROM coupon_shard;
	SELECT * FROM coupon_transfer ORDER BY transfer_id;
	SELECT * FROM coupon_guard_rights ORDER BY kind, owner_id;
	SELECT id, code, rights, budget_rights FROM coupon ORDER BY id;
	SELECT last_value FROM coupon_id_seq);
foreach my $format (sort keys %formats)
{
	$node->safe_psql('postgres', 'CREATE DATABASE restored TEMPLATE template0');
	dump_and_restore("shard, $format", 'shard', 'restored', $superuser, $formats{$format});
	is($node->safe_psql('restored', $rights), $node->safe_psql('shard', $rights), "shard, $format: same shard, rights and transfers");
	is( $node->safe_psql(
			'restored', q(
			SELECT release_units('DROP', 4, 'a0000000-0000-0000-0000-000000000001', 'rome'), accept_units('DROP', 1, 'a0000000-0000-0000-0000-000000000002', 'rome');
			SELECT settle_transfer('a0000000-0000-0000-0000-000000000001'), settle_transfer('a0000000-0000-0000-0000-000000000003');
			SELECT count(*) FROM generate_series(4, 9) AS i, redeem_coupon(i, 'DROP') AS r WHERE r.status = 'redeemed';
			SELECT status, limited_by FROM redeem_coupon(10, 'DROP');
			SELECT status, amount, limited_by FROM redeem_coupon(1, 'TULIP', amount => 101);
			SELECT min(id) >> 40, max(id) >> 40 FROM coupon_redemption;
			SELECT transfers, under_way FROM coupon_guard_units('DROP');
			SELECT * FROM coupon_guard_verify())),
		"4|f\nt|f\n4\nsold_out|shard\ninsufficient|100|shard\n5|5\n2|0", "shard, $format: and goes on as one");
	$node->safe_psql('postgres', 'DROP DATABASE restored');
}

# Who made the extension on the owner's behalf is no name that a dump may depend on: elsewhere it is another.
$node->command_ok([ 'pg_dump', '--file', $file, 'owned_shop' ], 'dump of a shop whose owner is no superuser');
unlike(slurp_file($file), qr/(TO|FROM) "?\Q$superuser\E"?;/, 'it does not name the superuser');

# A column that the shop added to the ledger: pg_dump takes its data along, but not the column, for the table is the extension's.
# So its definition comes between the schema and the data.
my $added = q(ALTER TABLE coupon_redemption ADD COLUMN channel text DEFAULT 'web');
$node->safe_psql('shop', "$added; SELECT status FROM redeem_coupon('web'::text, 'TWICE')");
$node->command_ok([ 'pg_dump', '--format=custom', '--file', $file, 'shop' ], 'dump of a ledger with a column more');
$node->safe_psql('postgres', 'CREATE DATABASE restored TEMPLATE template0');
$node->command_ok([ 'pg_restore', '--exit-on-error', '--schema-only', '--dbname', 'restored', $file ], 'its schema');
$node->safe_psql('restored', $added);
$node->command_ok([ 'pg_restore', '--exit-on-error', '--data-only', '--dbname', 'restored', $file ], 'its data');
my $channels = 'SELECT id, user_id, channel FROM coupon_redemption ORDER BY id';
is($node->safe_psql('restored', $channels), $node->safe_psql('shop', $channels), 'a column that the shop added comes back');

$node->stop;
done_testing();
