# The load that the tests of faults share (CouponGuard::Load): without any fault its judge finds nothing; and whatever is taken from the
# journals, or changed in the ledger behind their back, it finds. COUPON_GUARD_SEED repeats the choices.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use CouponGuard::Load;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'no DBD::Pg' if !CouponGuard::Load::is_possible();
my $seed = $ENV{COUPON_GUARD_SEED} || int(rand(1_000_000_000));
note("seed $seed");

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "max_prepared_transactions = 20\ndeadlock_timeout = '50ms'");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION coupon_guard');
my $there = $node->connstr('postgres');

my $load = CouponGuard::Load->new(directory => $node->basedir . '/load', seed => $seed, workers => 4, prepare => 0.05);
$load->set_up($there);
$load->start($there);
$load->wait_for_work(800);
is($load->stop, 0, 'each worker ends when it is told to');
is(join("\n", $load->judge($there)), '', $load->summary);
note($load->details);

# --- what is changed behind its back -----------------------------------------------------------------------

sub value
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

# What one statement does is found, and another undoes it.
sub is_found
{
	my ($what, $finding, $do, $undo) = @_;
	value($do);
	like(join("\n", $load->judge($there)), $finding, $what);
	value($undo);
	return;
}
value('CREATE TABLE kept AS SELECT * FROM coupon_redemption');
my $live = q(voided_at IS NULL AND hold_expires_at IS NULL);
my $redeemed = value("SELECT max(id) FROM coupon_redemption WHERE $live AND amount > 1");
my $back = "DELETE FROM coupon_redemption; INSERT INTO coupon_redemption SELECT * FROM kept";
is_found('a row is gone', qr/acknowledged, and not there: .* redeemed $redeemed by .*: no row/, "DELETE FROM coupon_redemption WHERE id = $redeemed", $back);
is_found('a row nobody made', qr/row $redeemed .* comes from nowhere/, qq(UPDATE coupon_redemption SET metadata = '{"load": "9-9.9.9"}' WHERE id = $redeemed), $back);
is_found('a void nobody made', qr/row $redeemed .* was voided by nobody/, "SELECT void_redemption($redeemed)", $back);
is_found('an amount', qr/row $redeemed has an amount of/, "UPDATE coupon_redemption SET amount = amount - 1 WHERE id = $redeemed", $back);
is_found('a confirmation undone', qr/redeemed $redeemed by .*: is a hold/, "UPDATE coupon_redemption SET hold_expires_at = 'tomorrow' WHERE id = $redeemed", $back);
# Nobody else has its use number by now.
my $voided = value("SELECT max(id) FROM coupon_redemption l WHERE void_reason LIKE '1-%' AND coupon_id = (SELECT id FROM coupon WHERE code = 'OPEN')
	AND NOT EXISTS (SELECT FROM coupon_redemption o WHERE (o.coupon_id, o.user_id, o.use_no) = (l.coupon_id, l.user_id, l.use_no) AND o.voided_at IS NULL)");
is_found('a void undone', qr/voided $voided by .*: voided by nobody/, "UPDATE coupon_redemption SET voided_at = NULL, void_reason = NULL WHERE id = $voided", $back);
my $claimed = value("SELECT min(code) FROM coupon WHERE code LIKE 'CLAIM%'");
my $holder = value("SELECT quote_nullable(holder) FROM coupon WHERE code = '$claimed'");
is_found('a claim', qr/$claimed and user 99: claimed 0 times/, "UPDATE coupon SET holder = '99' WHERE code = '$claimed'", "UPDATE coupon SET holder = $holder WHERE code = '$claimed'");
my $cap = value("SELECT coalesce(max_redemptions::text, 'NULL') FROM coupon WHERE code = 'CAP'");
is_found('a cap', qr/coupon CAP max_redemptions is '5000', and not any of/, "UPDATE coupon SET max_redemptions = 5000 WHERE code = 'CAP'",
	"UPDATE coupon SET max_redemptions = $cap WHERE code = 'CAP'");
is_found('a cap below what is in use', qr/more than the cap: BOTH.*verify: cap/s, q(BEGIN; ALTER TABLE coupon DISABLE TRIGGER coupon_follow_change, DISABLE TRIGGER coupon_follow_before_change;
	UPDATE coupon SET max_redemptions = 1 WHERE code = 'BOTH';
	ALTER TABLE coupon ENABLE ALWAYS TRIGGER coupon_follow_change, ENABLE ALWAYS TRIGGER coupon_follow_before_change; COMMIT),
	"UPDATE coupon SET max_redemptions = " . value("SELECT coalesce(max_redemptions::text, 'NULL') FROM coupon WHERE code = 'BOTH'") . " WHERE code = 'BOTH'");
is(join("\n", $load->judge($there)), '', 'all of it is undone');

# --- what is taken from a journal ----------------------------------------------------------------------------

my ($journal) = glob "$load->{directory}/1-1.journal";
my $text = slurp_file($journal);
# Without C and A, a transaction of several calls has not committed.
my ($number) = value("SELECT min(metadata ->> 'load') FROM coupon_redemption WHERE metadata ->> 'load' LIKE '1-1.%'") =~ /^1-1\.(\d+)\./;
(my $without = $text) =~ s/^[AC] $number [^\n]*\n//mg;
$without =~ s/^(B $number) alone/$1 together/m;
CouponGuard::Load::replace_file($journal, $without);
like(join("\n", $load->judge($there)), qr/comes from nowhere: 1-1\.$number\./, 'a line of a journal is lost');
CouponGuard::Load::replace_file($journal, $text . "F 1 XX000 something broke\n");
like(join("\n", $load->judge($there)), qr/SQLSTATE XX000, 1 times: something broke/, 'an error that nobody expects');

$node->stop;
done_testing();
