# In databases that are not UTF8 a code has the same key as far as its characters are known: the key is kept in ASCII there.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;

sub make_database
{
	my ($encoding) = @_;
	my $name = lc $encoding;
	$node->safe_psql('postgres', "CREATE DATABASE $name TEMPLATE template0 ENCODING '$encoding' LC_COLLATE 'C' LC_CTYPE 'C'");
	$node->safe_psql($name, "CREATE EXTENSION coupon_guard; INSERT INTO coupon (code) VALUES (' Save10 ')");
	is( $node->safe_psql($name, "SELECT code_key FROM coupon; SELECT status FROM redeem_coupon(1, 'SAVE10'); SELECT status FROM redeem_coupon(1, 'save10 ')"),
		"save10\nredeemed\nalready_redeemed", "$encoding: ASCII as everywhere");
	return $name;
}

# SQL with the characters written as \uXXXX, sent in UTF-8; the answer in UTF-8 too.
sub ask
{
	my ($database, $sql) = @_;
	$sql =~ s/\\u([0-9A-F]{4})/chr hex $1/ge;
	utf8::encode($sql);
	return $node->safe_psql($database, "SET client_encoding = 'UTF8';\n$sql");
}

# The first redeems a coupon of the code given, the others are told that it is redeemed.
sub check_same_code
{
	my ($database, $name, $code, @typed) = @_;
	ask($database, "INSERT INTO coupon (code) VALUES ('$code')");
	my $user = 1;
	is(ask($database, "SELECT status FROM redeem_coupon(1, '$_')"), $user++ == 1 ? 'redeemed' : 'already_redeemed', "$database: $name ($_)")
	  foreach @typed;
}

sub fault { return ask($_[0], "SELECT coupon_guard_user_id_fault('$_[1]')"); }

my $latin1 = make_database('LATIN1');
check_same_code($latin1, 'accents and case', 'Caf\u00E9', 'CAF\u00C9', 'caf\u00E9', '\u00A0caf\u00E9\u00A0');
check_same_code($latin1, 'sharp s', 'Stra\u00DFe', 'STRASSE', 'stra\u00DFe');
check_same_code($latin1, 'superscript', 'X\u00B2', 'x2', 'X\u00B2');
check_same_code($latin1, 'a backslash', 'A\\B', 'a\\b', 'A\\B');
is(ask($latin1, q(SELECT coupon_key('caf\u00E9'))), 'caf\\00e9', 'latin1: the key is ASCII');
is(ask($latin1, q(SELECT status FROM redeem_coupon(1, 'caf\\00e9'))), 'not_found', 'latin1: a key is not mistaken for a code');
is(ask($latin1, q(SELECT coupon_key(coupon_key('caf\u00E9')))), 'caf\\\\00e9', 'latin1: a backslash is doubled');
is(ask($latin1, q(SELECT status FROM redeem_coupon(1, 'cafe'))), 'not_found', 'latin1: without its accent it is another code');
is( ask($latin1, q(INSERT INTO coupon (code) VALUES (repeat('\u00E9', 127)); SELECT octet_length(code_key) FROM coupon WHERE length(code) = 127)),
	'635', 'latin1: the longest key');
is( $node->psql($latin1, "INSERT INTO coupon (code) VALUES (repeat(E'\\xE9', 128))"),
	3, 'latin1: the limit is the one of UTF8');

is(fault($latin1, '\u00A01'), 'has a blank, or a character that is not seen, at an end', 'latin1: a blank of its own at a user id');

my $euc_jp = make_database('EUC_JP');
is(fault($euc_jp, '\uFF11'), 'reads as a number, but is not written as PostgreSQL writes a whole number', 'euc_jp: a digit of full width in a user id');
check_same_code($euc_jp, 'full width', '\uFF33\uFF21\uFF36\uFF25\uFF12\uFF10', 'save20', '\u3000\uFF53\uFF41\uFF56\uFF45\uFF12\uFF10');
check_same_code($euc_jp, 'half width katakana', '\u30AC', '\uFF76\uFF9E', '\u30AC');
check_same_code($euc_jp, 'kanji', '\u5272\u5F15', '\u5272\u5F15', ' \u5272\u5F15 ');
is(ask($euc_jp, q(SELECT status FROM redeem_coupon(1, '\u5272'))), 'not_found', 'euc_jp: another code');

my $sql_ascii = make_database('SQL_ASCII');
is( $node->safe_psql(
		$sql_ascii, q(
		INSERT INTO coupon (code) VALUES (E' X\xE9Y ');
		SELECT status FROM redeem_coupon(1, E'x\xE9y');
		SELECT status FROM redeem_coupon(1, E'x\xC9y');
		SELECT status FROM redeem_coupon(1, E'x\xC3\xA9y');
		SELECT status FROM redeem_coupon(E'\xFF\xFE'::text, E' X\xE9Y');
		SELECT status FROM redeem_coupon(E'\xFF\xFE'::text, E' X\xE9Y'))),
	"redeemed\nnot_found\nnot_found\nredeemed\nalready_redeemed", 'sql_ascii: bytes beyond ASCII are themselves');

my $win1252 = make_database('WIN1252');
check_same_code($win1252, 'beyond LATIN1', '5\u20AC', '5\u20AC');
my ($result, $stdout, $stderr) = $node->psql($win1252, "\\set VERBOSITY sqlstate\nSELECT status FROM redeem_coupon(1, E'x\\x81')");
like($stderr, qr/22P05/, 'win1252: a byte that is no character is a clear error');

my $utf8 = make_database('UTF8');
($result, $stdout, $stderr) = $node->psql($utf8, "\\set VERBOSITY sqlstate\nSELECT status FROM redeem_coupon(1, E'x\\xC3')");
like($stderr, qr/22021/, 'utf8: malformed bytes are a clear error');

# Codes at random, of characters that are kept in another form: all that the pattern holds, each with its check character, by which
# redeem_coupon() knows them too.
sub check_generated
{
	my ($database, $literal, $alphabet) = @_;
	my $size = length($alphabet =~ s/\\u[0-9A-F]{4}/x/gr);
	ask($database, "ALTER TABLE coupon ADD CONSTRAINT checked CHECK (coupon_code_fits(code, '$literal-???', '$alphabet'))");
	is( ask($database, "SELECT count(DISTINCT coupon_key(code)), bool_and(code LIKE '$literal-___') FROM
		  generate_coupons(NULL, $size * $size, '$literal-???', alphabet => '$alphabet', check_character => true, max_share => 1) code"),
		$size * $size . '|t', "$database: codes at random");
	is( ask($database, "SELECT status, count(*) FROM (SELECT DISTINCT lower('$literal-' || a || b || c) FROM regexp_split_to_table('$alphabet', '') a,
		  regexp_split_to_table('$alphabet', '') b, regexp_split_to_table('$alphabet', '') c) t (code), redeem_coupon(9, code) GROUP BY 1 ORDER BY 1"),
		join("\n", 'redeemed|' . $size * $size, 'not_found|' . $size * $size * ($size - 1)), "$database: are those that can be redeemed");
}
check_generated($latin1, 'Caf\u00E9', 'A\u00C91\u00F8\u00DE');
check_generated($euc_jp, '\u5272\u5F15', '\u30A2\u4E00\u4E8CX3');
$node->safe_psql($sql_ascii, q(SELECT generate_coupons(NULL, 3, E'X\xE9-?', alphabet => 'ABC', max_share => 1)));
is($node->safe_psql($sql_ascii, q(SELECT status FROM redeem_coupon(9, E'x\xE9-b'))), 'redeemed', 'sql_ascii: codes at random, bytes beyond ASCII are themselves');
sub sqlstate_of
{
	my ($database, $sql) = @_;
	my (undef, undef, $error) = $node->psql($database, "\\set VERBOSITY sqlstate\nSET client_encoding = 'UTF8';\n$sql");
	return $error =~ /ERROR:  (\w+)/ ? $1 : '';
}
is(sqlstate_of($sql_ascii, q(SELECT generate_coupons(NULL, 1, '?', alphabet => E'A\xE9', max_share => 1))), '22023', 'sql_ascii: they are no characters');
is(sqlstate_of($latin1, qq(SELECT generate_coupons(NULL, 1, '\xE5\x89\xB2?', max_share => 1))), '22P05', 'latin1: a character that it lacks is a clear error');
is(sqlstate_of($utf8, q(SELECT generate_coupons(NULL, 1, E'\xC3?', max_share => 1))), '22021', 'utf8: malformed bytes are a clear error in a pattern, too');

# From one encoding to another the key is made anew.
ask($utf8, q(INSERT INTO coupon (code) VALUES ('Caf\u00E9 \u00DF'), ('SAVE30'); SELECT status FROM redeem_coupon(7, 'CAF\u00C9 SS')));
$node->safe_psql('postgres', "CREATE DATABASE moved TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'");
my $dump = $node->basedir . '/dump.sql';
$node->command_ok([ 'pg_dump', '--file', $dump, $utf8 ], 'dumped from UTF8');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', 'moved', '-f', $dump ], 'restored into LATIN1');
is( ask('moved', q(SELECT code, code_key = coupon_key(code) FROM coupon WHERE code LIKE 'C%'; SELECT status FROM redeem_coupon(7, 'caf\u00E9 ss'))),
	"Caf\xC3\xA9 \xC3\x9F|t\nalready_redeemed", 'and redeemed there it is');

check_generated($utf8, 'Caf\u00E9\u5272', 'A\u00C9\u4E00\u30AC3');

$node->stop;
done_testing();
