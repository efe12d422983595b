# What the storm (t/014_ddl_storm.pl) does to the tables, each operation with how it is undone. {campaign}, {coupon}, {ledger} and {quota} are the
# tables by whatever names and in whatever schema they are at the moment, {schema} is the extension's schema, {rel:NAME} a relation of that name;
# the others are described where they are looked up (CouponGuard::Storm).
#
#   do, undo       the statements
#   alone          each statement is a transaction of its own: it cannot run in a block; in_block: it must
#   superuser      the owner of the database may not
#   empties        there are no coupons meanwhile

package CouponGuard::Operations;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT = qw(choose_operation exclude_each_other);

my @TABLES = qw(campaign coupon ledger quota);

# --- what there is to choose from ---------------------------------------------------------------

# Columns that no view and no trigger of ours hangs on, and types they can have instead.
my @COLUMN_TYPES = (
	[ 'ledger', 'metadata', 'json USING metadata::json', 'jsonb USING metadata::jsonb' ],
	[ 'ledger', 'metadata', "jsonb USING metadata || '{}'", 'jsonb' ], # the same again: nothing but a rewrite
	[ 'ledger', 'use_no', 'int8', 'int4' ],
	[ 'ledger', 'request_id', 'varchar(500)', 'text COLLATE "C"' ],
	[ 'ledger', 'void_reason', 'varchar(500)', 'text' ],
	[ 'ledger', 'user_id', 'text COLLATE "POSIX"', 'text COLLATE "C"' ],
	[ 'quota', 'remaining', 'int4', 'int8' ],
	[ 'quota', 'stripe', 'int8', 'int4' ],
	[ 'quota', 'owner_id', 'numeric', 'int8' ],
	[ 'quota', 'kind', 'text', '"char"' ],
	[ 'coupon', 'terms', 'json USING terms::json', 'jsonb USING terms::jsonb' ],
	[ 'coupon', 'max_per_user', 'int8', 'int4' ],
	[ 'coupon', 'created_at', 'timestamptz(3)', 'timestamptz' ],
	[ 'ledger', 'campaign_use_no', 'int8', 'int4' ],
	[ 'campaign', 'terms', 'json USING terms::json', 'jsonb USING terms::jsonb' ],
	[ 'campaign', 'expires_at', 'timestamptz(3)', 'timestamptz' ]);

# Attributes of coupon_redeem_answer, likewise.
my @ATTRIBUTE_TYPES =
  ([qw(use_no text int4)], [qw(redemption_id numeric int8)], [qw(replayed int8 bool)], [qw(redeemed_at text timestamptz)]);

my %INDEXES = (
	campaign => [ 'USING btree (expires_at)', '(lower(name))', '(id DESC) INCLUDE (active)' ],
	coupon => [ 'USING btree (expires_at)', 'USING hash (code)', '(lower(code))', '(id DESC) INCLUDE (active)', '(max_redemptions) WHERE active' ],
	ledger => [
		'USING btree (redeemed_at)', '(user_id, coupon_id)', 'USING brin (redeemed_at)', '(coupon_id) INCLUDE (user_id)', '(lower(user_id))',
		'(coupon_id, user_id, use_no DESC)'
	],
	quota => [ '(remaining)', '(owner_id)', '(stripe, owner_id DESC) INCLUDE (remaining)', '(owner_id, kind) WHERE stripe = 0' ]);
my @COLUMNS = (
	'text', "text NOT NULL DEFAULT 'kept'", 'timestamptz DEFAULT clock_timestamp()', 'int NOT NULL GENERATED ALWAYS AS (7) STORED',
	'int GENERATED ALWAYS AS IDENTITY');
my %CHECKS = (campaign => "name <> 'never'", coupon => "code <> 'never'", ledger => "user_id <> 'never'", quota => 'stripe >= 0');
my @NOT_NULL = ([qw(ledger redeemed_at)], [qw(ledger user_id)], [qw(quota remaining)], [qw(coupon created_at)], [qw(campaign active)]);
my %RENAMED = (
	campaign => [qw(id active max_redemptions max_per_user terms)],
	coupon => [qw(code active max_redemptions max_per_user terms starts_at campaign_id)],
	ledger => [qw(id coupon_id user_id use_no metadata voided_at request_id hold_expires_at campaign_id campaign_use_no)],
	quota => [qw(owner_id kind stripe remaining)]);
my %PARENTS = (
	campaign => 'active bool NOT NULL',
	coupon => 'active bool NOT NULL',
	ledger => 'coupon_id bigint NOT NULL, void_reason text',
	quota => 'owner_id bigint NOT NULL, remaining bigint NOT NULL');
my %KEYS = (campaign => 'id', coupon => 'id', ledger => 'coupon_id', quota => 'owner_id');
my @STORAGE = (
	[ 'SET UNLOGGED', 'SET LOGGED' ],
	[ 'SET (autovacuum_enabled = off)', 'RESET (autovacuum_enabled)' ],
	[ 'ENABLE ROW LEVEL SECURITY', 'DISABLE ROW LEVEL SECURITY' ],
	[ 'REPLICA IDENTITY FULL', 'REPLICA IDENTITY DEFAULT' ],
	[ 'REPLICA IDENTITY NOTHING', 'REPLICA IDENTITY DEFAULT' ]);
my @PLAIN = (
	'UPDATE {coupon} SET max_redemptions = max_redemptions + 2 WHERE code = {some code}',
	'UPDATE {coupon} SET max_redemptions = max_redemptions - 1 WHERE code = {some code} AND max_redemptions > 1',
	q(UPDATE {coupon} SET terms = '{"percent_off": 10}'),
	'DELETE FROM {ledger} WHERE id IN (SELECT id FROM {ledger} WHERE voided_at IS NULL LIMIT 3)',
	'UPDATE {ledger} SET voided_at = now() WHERE id IN (SELECT id FROM {ledger} WHERE voided_at IS NULL LIMIT 3)',
	'UPDATE {ledger} SET voided_at = NULL WHERE id IN (SELECT max(id) FROM {ledger} WHERE voided_at IS NOT NULL)',
	"INSERT INTO {ledger} (coupon_id, user_id, use_no) SELECT id, 'by hand ' || random(), 1 FROM {coupon} WHERE code = {some code}",
	'DELETE FROM {quota} WHERE owner_id IN (SELECT id FROM {coupon} WHERE code = {some code})',
	'UPDATE {campaign} SET max_redemptions = max_redemptions + 2',
	'UPDATE {campaign} SET max_redemptions = max_redemptions - 1 WHERE max_redemptions > 1',
	'UPDATE {coupon} c SET campaign_id = CASE WHEN campaign_id IS NULL THEN (SELECT min(id) FROM {campaign}) END WHERE code = {some code}',
	q(DELETE FROM {quota} WHERE kind = 'C'));

# --- the operations ---------------------------------------------------------------------------------

# Each is given how to choose, the table that it is about, and a name of its own for what it makes.
my %OPERATIONS = (
	'reindex table' => sub {
		my ($one_of, $t) = @_;
		my $how = $one_of->('', 'CONCURRENTLY ');
		return { do => ["REINDEX TABLE $how\{$t}"], undo => ['{broken indexes}'], alone => 1 };
	},
	'reindex index' => sub {
		my ($one_of, $t) = @_;
		my $how = $one_of->('', 'CONCURRENTLY ');
		return { do => ["REINDEX INDEX $how\{index of $t}"], undo => ['{broken indexes}'], alone => 1 };
	},
	'vacuum' => sub {
		my ($one_of, $t) = @_;
		my $how = $one_of->('(FULL)', '(FULL, ANALYZE)', '(FREEZE)', '', '(INDEX_CLEANUP ON)');
		return { do => ["VACUUM $how {$t}"], alone => 1 };
	},
	'cluster' => sub {
		my ($one_of, $t) = @_;
		return { do => ["CLUSTER {$t} USING {index name of $t}"], undo => ["ALTER TABLE {$t} SET WITHOUT CLUSTER"] };
	},
	'analyze' => sub { my ($one_of, $t) = @_; return { do => ["ANALYZE {$t}"] } },
	'repack' => sub {
		my ($one_of, $t) = @_;
		my $how = $one_of->('--no-order', '--only-indexes', "--order-by=$KEYS{$t}");
		my @undo = ('DROP EXTENSION IF EXISTS pg_repack CASCADE', 'CREATE EXTENSION IF NOT EXISTS pg_repack SCHEMA public', '{broken indexes}');
		return { do => ["pg_repack $how --table={$t}"], undo => \@undo, superuser => 1, alone => 1 };
	},

	'index' => sub {
		my ($one_of, $t, $own) = @_;
		my $how = $one_of->('', 'CONCURRENTLY ');
		my $index = $one_of->(@{ $INDEXES{$t} });
		return { do => ["CREATE INDEX $how$own ON {$t} $index"], undo => ["DROP INDEX $how\{rel:$own}"], alone => $how ne '' };
	},
	'column' => sub {
		my ($one_of, $t, $own) = @_;
		my $column = $one_of->(@COLUMNS);
		return { do => ["ALTER TABLE {$t} ADD COLUMN $own $column"], undo => ["ALTER TABLE {$t} DROP COLUMN IF EXISTS $own"] };
	},
	'check' => sub {
		my ($one_of, $t, $own) = @_;
		my $validity = $one_of->('', ' NOT VALID');
		my $add = "ALTER TABLE {$t} ADD CONSTRAINT $own CHECK ($CHECKS{$t})$validity";
		return { do => [$add], undo => ["ALTER TABLE {$t} DROP CONSTRAINT IF EXISTS $own"] };
	},
	'check of ours' => sub {
		my ($one_of, $t) = @_;
		return { do => ["ALTER TABLE {$t} DROP CONSTRAINT {check of $t}"], undo => ["{restore checks of $t}"] };
	},
	'not null' => sub {
		my ($one_of) = @_;
		my ($t, $column) = @{ $one_of->(@NOT_NULL) };
		my $alter = "ALTER TABLE {$t} ALTER COLUMN $column";
		return { do => ["$alter DROP NOT NULL"], undo => ["$alter SET NOT NULL"] };
	},
	'type' => sub {
		my ($one_of) = @_;
		my ($t, $column, $new, $old) = @{ $one_of->(@COLUMN_TYPES) };
		my $alter = "ALTER TABLE {$t} ALTER COLUMN $column TYPE";
		return { do => ["$alter $new"], undo => ["$alter $old"] };
	},
	'answer' => sub {
		my ($one_of) = @_;
		my ($attribute, $new, $old) = @{ $one_of->(@ATTRIBUTE_TYPES) };
		my $alter = "ALTER TYPE {schema}.coupon_redeem_answer ALTER ATTRIBUTE $attribute TYPE";
		return { do => ["$alter $new"], undo => ["$alter $old"], superuser => 1 };
	},
	'storage' => sub {
		my ($one_of, $t) = @_;
		my ($do, $undo) = @{ $one_of->(@STORAGE) };
		return { do => ["ALTER TABLE {$t} $do"], undo => ["ALTER TABLE {$t} $undo"] };
	},

	'triggers' => sub {
		my ($one_of, $t) = @_;
		my $which = $one_of->('USER', 'ALL', "{trigger of $t}");
		my $how = $one_of->('', 'ALWAYS ', 'REPLICA ');
		my @do = ("ALTER TABLE {$t} DISABLE TRIGGER $which", "ALTER TABLE {$t} ENABLE TRIGGER $which", "ALTER TABLE {$t} ENABLE ${how}TRIGGER {trigger of $t}");
		splice @do, 1, 1 if $one_of->(0, 1);
		return { do => \@do, undo => ["{restore triggers of $t}"] };
	},
	'trigger renamed' => sub {
		my ($one_of, $t, $own) = @_;
		return { do => ["ALTER TRIGGER {trigger of $t} ON {$t} RENAME TO $own"], undo => ["{rename back trigger $own of $t}"] };
	},
	'own trigger' => sub {
		my ($one_of, $t, $own) = @_;
		my $when = $one_of->('BEFORE INSERT OR UPDATE', 'AFTER INSERT', 'AFTER UPDATE OR DELETE');
		my $level = $one_of->('ROW', 'STATEMENT');
		my @do = ("CREATE TRIGGER $own $when ON {$t} FOR EACH $level EXECUTE FUNCTION public.nothing()", "ALTER TABLE {$t} ENABLE ALWAYS TRIGGER $own");
		pop @do if $one_of->(0, 1);
		return { do => \@do, undo => ["DROP TRIGGER IF EXISTS $own ON {$t}"] };
	},
	'foreign key' => sub {
		my ($one_of, $t, $own) = @_;
		my $from_ledger = "ALTER TABLE {ledger} ADD CONSTRAINT $own FOREIGN KEY (coupon_id) REFERENCES {coupon} NOT VALID";
		return { do => [$from_ledger], undo => ["ALTER TABLE {ledger} DROP CONSTRAINT IF EXISTS $own"] } if $t eq 'quota';
		return { do => ["CREATE TABLE public.$own (reference bigint REFERENCES {$t})"], undo => ["DROP TABLE IF EXISTS public.$own"] };
	},

	'partition' => sub {
		my ($one_of, $t, $own) = @_;
		my $bound = $one_of->('DEFAULT', 'FOR VALUES IN (1, 2, 3)');
		return {
			do => [
				"CREATE TABLE public.$own (LIKE {$t} INCLUDING GENERATED) PARTITION BY LIST ($KEYS{$t})",
				"ALTER TABLE public.$own ATTACH PARTITION {$t} $bound"
			],
			undo => [ "{detach $t from $own}", "DROP TABLE IF EXISTS public.$own" ]
		};
	},
	'parent' => sub {
		my ($one_of, $t, $own) = @_;
		my @do = ("CREATE TABLE public.$own ($PARENTS{$t})", "ALTER TABLE {$t} INHERIT public.$own");
		push @do, "UPDATE public.$own SET active = active" if $t eq 'coupon' || $t eq 'campaign';
		return { do => \@do, undo => [ "{disinherit $t of $own}", "DROP TABLE IF EXISTS public.$own" ] };
	},
	'child' => sub {
		my ($one_of, $t, $own) = @_;
		return { do => ["CREATE TABLE public.$own () INHERITS ({$t})"], undo => ["DROP TABLE IF EXISTS public.$own"] };
	},

	'table renamed' => sub {
		my ($one_of, $t, $own) = @_;
		return { do => ["ALTER TABLE {$t} RENAME TO $own"], undo => ["ALTER TABLE {$t} RENAME TO {first name of $t}"] };
	},
	'column renamed' => sub {
		my ($one_of, $t, $own) = @_;
		my $column = $one_of->(@{ $RENAMED{$t} });
		return { do => ["ALTER TABLE {$t} RENAME COLUMN $column TO $own"], undo => ["ALTER TABLE {$t} RENAME COLUMN $own TO $column"] };
	},
	'index renamed' => sub {
		my ($one_of, $t, $own) = @_;
		return { do => ["ALTER INDEX {index of $t} RENAME TO $own"], undo => ["{rename back index $own of $t}"] };
	},
	'view renamed' => sub {
		my ($one_of, $t, $own) = @_;
		return { do => ["ALTER VIEW {rel:coupon_usage} RENAME TO $own"], undo => ["ALTER VIEW {rel:$own} RENAME TO coupon_usage"] };
	},
	'table moved' => sub {
		my ($one_of, $t) = @_;
		return { do => ["ALTER TABLE {$t} SET SCHEMA elsewhere"], undo => ["ALTER TABLE {$t} SET SCHEMA {schema}"] };
	},
	'schema renamed' => sub {
		return { do => ['ALTER SCHEMA {schema} RENAME TO marketing'], undo => ['ALTER SCHEMA {schema} RENAME TO promo'] };
	},
	'owner' => sub {
		my ($one_of, $t) = @_;
		return { do => ["ALTER TABLE {$t} OWNER TO buyer"], undo => ["ALTER TABLE {$t} OWNER TO shopkeeper"], superuser => 1 };
	},
	'privileges' => sub {
		my ($one_of, $t) = @_;
		my $function = 'FUNCTION {schema}.redeem_coupon(bigint, text, text, jsonb)';
		return $one_of->(
			{ do => ["REVOKE EXECUTE ON $function FROM buyer"], undo => ["GRANT EXECUTE ON $function TO buyer"] },
			{ do => ["REVOKE ALL ON {$t} FROM shopkeeper"], undo => ["GRANT ALL ON {$t} TO shopkeeper"] },
			{ do => ["GRANT SELECT ON {$t} TO buyer"], undo => ["REVOKE SELECT ON {$t} FROM buyer"] });
	},

	'emptied' => sub {
		my ($one_of) = @_;
		my $which = $one_of->('{ledger}', '{quota}', '{ledger}, {quota}', '{coupon}, {ledger}, {quota}', '{campaign}, {coupon}, {ledger}');
		return { do => ["TRUNCATE $which"], undo => ['{coupons again}'], empties => scalar($which =~ /coupon/) };
	},
	'extension' => sub {
		my @do = ('TRUNCATE {coupon}, {ledger}, {campaign}', 'DROP EXTENSION coupon_guard CASCADE');
		return { do => \@do, undo => [ '{extension again}', '{extension known}', '{coupons again}' ], empties => 1 };
	},
	'plain' => sub { my ($one_of) = @_; return { do => [ $one_of->(@PLAIN) ] } },
	'cap' => sub {
		return { do => ['UPDATE {coupon} SET max_redemptions = NULL WHERE code = {some code}'], undo => ['{caps again}'] };
	},

	'cap of campaign' => sub {
		return { do => ['UPDATE {campaign} SET max_redemptions = NULL'], undo => ['{limits again}'] };
	},

	'publication' => sub {
		my ($one_of, $t, $own) = @_;
		my $for = $one_of->("TABLE {$t}", 'TABLE {campaign}, {coupon}, {ledger}, {quota}', 'ALL TABLES');
		return { do => ["CREATE PUBLICATION $own FOR $for"], undo => ["DROP PUBLICATION IF EXISTS $own"], superuser => $for eq 'ALL TABLES' };
	},
	'lock' => sub {
		my ($one_of, $t) = @_;
		my $mode = $one_of->('ACCESS EXCLUSIVE', 'EXCLUSIVE', 'SHARE ROW EXCLUSIVE', 'SHARE');
		return { do => ["LOCK TABLE {$t} IN $mode MODE"], in_block => 1 };
	},
	'cancel' => sub {
		return { do => [q(SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE state = 'active' AND pid IN ({some buyers}))], superuser => 1 };
	});

# --- what may be under way at once -----------------------------------------------------------------

# With our triggers switched off, what plain SQL writes to coupons and ledger is nobody's but the writer's to keep right.
my %WRITES = map { $_ => 1 } ('plain', 'cap', 'cap of campaign', 'parent', 'emptied');
my %SWITCHES = map { $_ => 1 } ('triggers', 'trigger renamed');

# pg_repack asks that nobody else do DDL meanwhile, and keeps off only what wants to lock the table exclusively: an index or a trigger that
# is made or rebuilt beside it is broken by it.
my %BESIDE_REPACK = map { $_ => 1 } qw(vacuum analyze plain cap lock cancel privileges owner publication), 'cap of campaign';

sub exclude_each_other
{
	my ($one, $other) = map { $_->{name} } @_;
	return 1 if ($one eq 'repack' && !$BESIDE_REPACK{$other}) || ($other eq 'repack' && !$BESIDE_REPACK{$one});
	return ($WRITES{$one} && $SWITCHES{$other}) || ($WRITES{$other} && $SWITCHES{$one});
}

# An operation, with the choices that it leaves open; $next gives the next number of a random series, from 0 to below 1.
sub choose_operation
{
	my ($next, $number, $is_wanted) = @_;
	my $one_of = sub { return $_[ int($next->() * @_) ] };
	my $name = $one_of->(grep { $is_wanted->($_) } sort keys %OPERATIONS);
	return { name => $name, %{ $OPERATIONS{$name}->($one_of, $one_of->(@TABLES), "own_$number") } };
}

1;
