# PREPARE TRANSACTION over a crash, a restart and a kill after a checkpoint: what was prepared is still there, undecided; rivals wait for it, whether
# it redeems, holds, confirms, gives back, claims, or changes a limit; and COMMIT PREPARED or ROLLBACK PREPARED decides as it would have before.
# Then the same at random beside the load.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use CouponGuard::Test;
use CouponGuard::Trial;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

plan skip_all => 'no DBD::Pg' if !CouponGuard::Load::is_possible();

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
CouponGuard::Trial::prepare_node($node);
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION coupon_guard');
my $trial = CouponGuard::Trial->new($node, workers => 4, prepare => 0.5);

sub value
{
	my ($sql) = @_;
	return $node->safe_psql('postgres', $sql);
}

# --- each kind of call, prepared, over each kind of death ------------------------------------------------------------

# What is there before, what is prepared, what the rival asks, and its answer after COMMIT and after ROLLBACK. {X} and {Y} are coupons, {M} is a
# campaign, {id} the latest row of {X}.
my @CASES = (
	[ 'the last unit', q(INSERT INTO coupon (code, max_redemptions) VALUES ('{X}', 1)), q(SELECT redeem_coupon(1, '{X}')), q(redeem_coupon(2, '{X}')), 'sold_out', 'redeemed' ],
	[ 'a use', q(INSERT INTO coupon (code) VALUES ('{X}')), q(SELECT redeem_coupon(1, '{X}')), q(redeem_coupon(1, '{X}')), 'already_redeemed', 'redeemed' ],
	[ 'a hold', q(INSERT INTO coupon (code, max_redemptions) VALUES ('{X}', 1)), q(SELECT hold_coupon(1, '{X}')), q(hold_coupon(2, '{X}')), 'sold_out', 'held' ],
	[ 'a void', q(INSERT INTO coupon (code, max_redemptions) VALUES ('{X}', 1); SELECT redeem_coupon(1, '{X}')), q(SELECT void_redemption({id})),
		q(redeem_coupon(2, '{X}')), 'redeemed', 'sold_out' ],
	[ 'a part of a budget', q(INSERT INTO coupon (code, budget) VALUES ('{X}', 100); SELECT redeem_coupon(1, '{X}', amount => 100)),
		q(SELECT void_redemption({id}, amount => 60)), q(redeem_coupon(2, '{X}', amount => 60)), 'redeemed', 'sold_out' ],
	[ 'a confirmation for less', q(INSERT INTO coupon (code, budget) VALUES ('{X}', 100); SELECT hold_coupon(1, '{X}', '1 hour', amount => 100)),
		q(SELECT confirm_hold({id}, amount => 30)), q(redeem_coupon(2, '{X}', amount => 70)), 'redeemed', 'sold_out' ],
	[ 'several coupons', q(INSERT INTO coupon (code, max_redemptions) VALUES ('{X}', 1), ('{Y}', 1)), q(SELECT redeem_coupons(1, ARRAY['{X}', '{Y}'])),
		q(redeem_coupon(2, '{Y}')), 'sold_out', 'redeemed' ],
	[ 'the last unit of a campaign', q(INSERT INTO campaign (name, max_redemptions) VALUES ('{M}', 1);
		INSERT INTO coupon (code, campaign_id) SELECT c, id FROM campaign, unnest('{{X},{Y}}'::text[]) c WHERE name = '{M}'),
		q(SELECT redeem_coupon(1, '{X}')), q(redeem_coupon(2, '{Y}')), 'sold_out', 'redeemed' ],
	[ 'the last code', q(INSERT INTO campaign (name) VALUES ('{M}'); INSERT INTO coupon (code, campaign_id) SELECT '{X}', id FROM campaign WHERE name = '{M}'),
		q(SELECT claim_coupon(1, '{M}')), q(claim_coupon(2, '{M}')), 'sold_out', 'claimed' ],
	[ 'a request', q(INSERT INTO coupon (code, max_per_user) VALUES ('{X}', NULL)), q(SELECT redeem_coupon(1, '{X}', '{X}')), q(redeem_coupon(1, '{X}', '{X}')),
		'redeemed', 'redeemed' ],
	[ 'a cap that is lowered', q(INSERT INTO coupon (code, max_redemptions) VALUES ('{X}', 2); SELECT redeem_coupon(1, '{X}')),
		q(UPDATE coupon SET max_redemptions = 1 WHERE code = '{X}'), q(redeem_coupon(2, '{X}')), 'sold_out', 'redeemed' ]);

my $played = 0;

sub resolve
{
	my ($number, $sql) = @_;
	$sql =~ s/\{id\}/(SELECT max(id) FROM coupon_redemption WHERE coupon_id = (SELECT id FROM coupon WHERE code = '{X}'))/g;
	$sql =~ s/\{([XYM])\}/$1-$played-$number/g;
	return $sql;
}

my @DEATHS = (
	[ 'an immediate stop', sub { $node->stop('immediate'); $node->start } ],
	[ 'a restart', sub { $node->restart } ],
	[ 'a checkpoint and a kill', sub { value('CHECKPOINT'); $node->kill9; $trial->start_again } ]);

# All cases are prepared at once, so that a death serves for all of them.
sub play_cases
{
	my ($is_kept, $death, $die) = @_;
	my ($ending, @wrong) = ($is_kept ? 'COMMIT PREPARED' : 'ROLLBACK PREPARED');
	$played++;
	value(join ";\n", map { resolve($_, "$CASES[$_][1]; BEGIN; $CASES[$_][2]; PREPARE TRANSACTION 'case $_'") } 0 .. $#CASES);
	$die->();
	my @rivals = map { $node->background_psql('postgres') } @CASES;
	my @pids = map { $_->query_safe('SELECT pg_backend_pid()') } @rivals;
	$rivals[$_]->query_until(qr/started/, resolve($_, "\\echo started\nSELECT status FROM $CASES[$_][3];\n")) foreach 0 .. $#CASES;
	$node->poll_query_until('postgres', 'SELECT count(*) = ' . @CASES . ' FROM pg_locks WHERE NOT granted AND pid IN (' . join(', ', @pids) . ')')
	  or push @wrong, 'not all rivals wait';
	value(join ";\n", map { "$ending 'case $_'" } 0 .. $#CASES);
	foreach my $number (0 .. $#CASES)
	{
		my ($what, $expected) = @{ $CASES[$number] }[ 0, $is_kept ? 4 : 5 ];
		my $answer = answer($rivals[$number]);
		push @wrong, "$what: $answer" if $answer ne $expected;
	}
	is(join("\n", @wrong, value('SELECT * FROM coupon_guard_verify()') || ()), '', "prepared, $death, " . lc $ending);
	$trial->count_fault($death);
	return;
}

my $is_first_kept = rand() < 0.5;
foreach my $number (0 .. $#DEATHS)
{
	foreach my $is_kept ($trial->is_long ? (0, 1) : ($number + $is_first_kept) % 2)
	{
		play_cases($is_kept, @{ $DEATHS[$number] });
	}
}

# --- beside the load -----------------------------------------------------------------------------------------------------

# What the load has prepared and lost sight of is ended by somebody else, at random, after one death and another.
$trial->play(
	'half of all transactions are prepared',
	sub {
		foreach (1 .. $trial->is_long ? 5 : 1)
		{
			$trial->{load}->wait_for_work(30 + int(rand(50)));
			my ($death, $die) = @{ CouponGuard::Trial::one_of(@DEATHS) };
			$die->();
			$trial->count_fault($death);
			$trial->{load}->wait_for_work(10);
			my $session = $trial->wait_until_up;
			my $left = $session->selectall_arrayref("SELECT gid FROM pg_prepared_xacts WHERE prepared < (SELECT pg_postmaster_start_time())");
			foreach my $row (@$left)
			{
				$session->do((rand() < 0.5 ? 'COMMIT' : 'ROLLBACK') . " PREPARED '$row->[0]'");
				$trial->count_fault('ended by somebody else');
			}
			$session->disconnect;
		}
	});

$trial->end;
$node->stop;
done_testing();
