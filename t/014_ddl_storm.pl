# Right or refused: buyers of capped coupons go on while everything that a DBA, an owner or a tool may do to the tables is done to them, in
# random order, by two sessions. The server lives; an error says what is different (and never that something inside is broken); no coupon is
# ever sold beyond its cap; and when all is as it was, buyers succeed again.
#
# COUPON_GUARD_SEED repeats the order of operations (what comes between whose statements is chance). COUPON_GUARD_STORM_SECONDS is how long,
# 8 by default; COUPON_GUARD_STORM_OPERATIONS is a pattern for the names of those that are wanted (CouponGuard::Operations).

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use CouponGuard::Buyer;
use CouponGuard::Meddler;
use CouponGuard::Operations;
use CouponGuard::Session;
use CouponGuard::Storm;
use CouponGuard::Test;
use IO::Select;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

my $seconds = $ENV{COUPON_GUARD_STORM_SECONDS} // 8;
my $seed = $ENV{COUPON_GUARD_SEED} // int(rand(1_000_000_000));
my $wanted = $ENV{COUPON_GUARD_STORM_OPERATIONS} // '.';
note("seed $seed");

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
# After a crash the server stays down, for everybody to see.
$node->append_conf('postgresql.conf',
	"wal_level = logical\nmax_connections = 40\ndeadlock_timeout = '50ms'\nrestart_after_crash = off\nlog_statement = none\nautovacuum_naptime = 1s");
$node->start;
my $pg_repack = find_pg_repack($node);
$node->safe_psql('postgres', 'CREATE EXTENSION pg_repack') if $pg_repack;
$node->safe_psql(
	'postgres', q(
	CREATE ROLE shopkeeper; CREATE ROLE buyer;
	ALTER DATABASE postgres OWNER TO shopkeeper;
	CREATE SCHEMA promo AUTHORIZATION shopkeeper; CREATE SCHEMA elsewhere AUTHORIZATION shopkeeper;
	GRANT USAGE ON SCHEMA promo, elsewhere TO buyer; GRANT CREATE ON SCHEMA public TO shopkeeper;
	CREATE FUNCTION public.nothing() RETURNS trigger LANGUAGE plpgsql AS
		'BEGIN IF TG_OP = ''DELETE'' THEN RETURN OLD; END IF; RETURN NEW; END'));

# --- who takes part --------------------------------------------------------------------------

my @coupons = map { { code => "C$_", cap => 3 * $_, limit => 1 + $_ % 3 } } 1 .. 6;
push @coupons, { code => 'ONE', cap => 1, limit => 1 }, { code => 'U', cap => 'NULL', limit => 'NULL' };
# Of one campaign, which is sold out before they are.
$_->{is_in_campaign} = 1 foreach @coupons[ 3 .. 5 ], $coupons[-1];
my %tally;
my $storm = CouponGuard::Storm->new(node => $node, coupons => \@coupons, pg_repack => $pg_repack);
$storm->look($_) foreach split /; /, $storm->installation;
$storm->know_extension;
my $as_made = $storm->fingerprint;
my @buyers = map {
	CouponGuard::Buyer->new(node => $node, name => "buyer $_", tally => \%tally, codes => [ map { $_->{code} } @coupons ], path => 'promo, marketing, elsewhere')
} 1 .. 8;
$storm->{buyers} = \@buyers;
my @meddlers = map { CouponGuard::Meddler->new(node => $node, name => "meddler $_", storm => $storm) } 1, 2;

# A series of its own for each meddler, which no buyer's choice moves.
foreach my $meddler (@meddlers)
{
	my $state = ($seed * 2 + ($meddler->{name} =~ /2/ ? 1 : 0)) % 2147483647 || 1;
	$meddler->{next} = sub { $state = $state * 48271 % 2147483647; return $state / 2147483647 };
	$meddler->{next}->() foreach 1 .. 10;
}
srand($seed);

my ($number, @finds) = (0);

sub begin_operation
{
	my ($meddler) = @_;
	my $next = $meddler->{next};
	my $operation = choose_operation($next, ++$number, sub { $_[0] =~ $wanted && ($pg_repack || $_[0] ne 'repack') });
	my ($dice, $pause, $is_owner) = map { $next->() } 1 .. 3;
	return if grep { $_ != $meddler && $_->{operation} && exclude_each_other($operation, $_->{operation}) } @meddlers;
	my $is_block = $operation->{in_block} || (!$operation->{alone} && $dice < 0.5);
	$meddler->begin($operation,
		role => $is_owner < 0.5 && !$operation->{superuser} ? 'SET ROLE shopkeeper' : 'RESET ROLE',
		pause => 0.1 * $pause ** 3,
		ending => $is_block ? ($dice < 0.2 ? 'ROLLBACK' : 'COMMIT') : undef);
	return;
}

# Everybody goes on with what is next, then with what has come meanwhile.
sub turn
{
	my ($is_ending) = @_;
	foreach my $meddler (@meddlers)
	{
		begin_operation($meddler) if $meddler->is_idle && !$is_ending;
		$meddler->go_on;
	}
	my $is_meddling = grep { !$_->is_idle } @meddlers;
	$_->go_on($is_ending && !$is_meddling) foreach @buyers;
	my @busy = grep { $_->{session}{is_busy} } @buyers, @meddlers;
	IO::Select->new(map { $_->{session}{socket} } @busy)->can_read(0.005);
	foreach my $meddler (@meddlers)
	{
		$storm->{emptied_at} = time if $meddler->{operation} && $meddler->{operation}{empties};
		next if !$meddler->{current};
		$meddler->{session}->has_ended(0) if $meddler->{session}{is_busy};
		my $find = $meddler->has_ended && $meddler->take_answer;
		push @finds, "$meddler->{name}: $find" if $find;
	}
	foreach my $buyer (grep { $_->{session}{is_busy} } @buyers)
	{
		my $find = $buyer->{session}->has_ended(0) && $buyer->take_answer($storm->{emptied_at});
		push @finds, join "\n\t", "$buyer->{name}: $find", @{ $buyer->{said} } if $find;
	}
	return;
}

# Until everything is undone and nobody has begun what is not ended. Buyers go on as long as something is being undone.
sub come_to_rest
{
	my $until = time + 150;
	while (!@finds && ((grep { !$_->is_idle } @meddlers) || (grep { !$_->is_between } @buyers)))
	{
		turn(1);
		push @finds, join ' ', 'these do not come to an end:', map { $_->{name} } (grep { !$_->is_idle } @meddlers), (grep { !$_->is_between } @buyers) if time > $until;
	}
	return;
}

sub judge
{
	my ($when) = @_;
	my ($coupon, $ledger, $campaign, $schema) = map { $storm->current_name($_) } qw(coupon ledger campaign schema);
	my $oversold = "SELECT code || ' has ' || count(*) || ' live, cap ' || max_redemptions FROM $coupon c JOIN $ledger l ON l.coupon_id = c.id
		WHERE voided_at IS NULL GROUP BY c.id HAVING count(*) > max_redemptions";
	my $oversold_campaign = "SELECT name || ' has ' || count(*) || ' live, cap ' || max_redemptions FROM $campaign g JOIN $ledger l ON l.campaign_id = g.id
		WHERE voided_at IS NULL GROUP BY g.id HAVING count(*) > max_redemptions";
	my @found = eval { ($storm->look($oversold), $storm->look($oversold_campaign), $storm->look("SELECT * FROM $schema.coupon_guard_verify()")) };
	push @finds, "$when: $@" if $@ && $storm->fingerprint eq $as_made;
	push @finds, map { "$when: " . join ' ', @$_ } @found;
	return;
}

# What could not be undone is made anew, so that one operation's rest is not another's trouble.
sub make_as_it_was
{
	my $now = $storm->fingerprint;
	return if $now eq $as_made;
	my %was = map { $_ => 1 } split /\n/, $as_made;
	my %is = map { $_ => 1 } split /\n/, $now;
	note(join "\n", 'made anew, for:', (map { "+ $_" } grep { !$was{$_} } sort keys %is), (map { "- $_" } grep { !$is{$_} } sort keys %was));
	$storm->{emptied_at} = time;
	$storm->drop_extension;
	$storm->look("DROP TABLE public.$_->[0] CASCADE") foreach $storm->look("SELECT relname FROM pg_class
		WHERE relnamespace = 'public'::regnamespace AND relname ~ '^own_' AND relkind IN ('r', 'p')");
	$storm->look("DROP PUBLICATION $_->[0]") foreach $storm->look('SELECT pubname FROM pg_publication');
	$storm->look('ALTER SCHEMA marketing RENAME TO promo') if $storm->value("SELECT count(*) FROM pg_namespace WHERE nspname = 'marketing'");
	$storm->look($_) foreach split /; /, $storm->installation;
	$storm->know_extension;
	my $made_anew = $storm->fingerprint;
	return if $made_anew eq $as_made;
	my %is_now = map { $_ => 1 } split /\n/, $made_anew;
	push @finds, join "\n", 'it cannot be made as it was:', (map { "+ $_" } grep { !$was{$_} } sort keys %is_now), (map { "- $_" } grep { !$is_now{$_} } sort keys %was);
	return;
}

# --- the storm ------------------------------------------------------------------------------------

my $rounds = 0;

sub play
{
	my $until = time + $seconds;
	while (time < $until && !@finds)
	{
		my $end_of_round = time + ($seconds > 60 ? 5 : 1);
		turn(0) while time < $end_of_round && !@finds;
		come_to_rest();
		judge('round ' . ++$rounds) if !@finds;
		make_as_it_was() if !@finds;
	}
	return;
}

# When all is as it was, buyers succeed, until exactly the cap is sold. A session may still miss the schema that was renamed back, for the server
# takes a search_path for valid though a schema of it was renamed while it was resolved: so it is set anew.
sub sell_out
{
	$_->{session}->query("SET search_path = $_->{path}") foreach @buyers;
	$storm->look(q(UPDATE promo.coupon c SET max_redemptions = (SELECT count(*) + 7 FROM promo.coupon_redemption l WHERE l.coupon_id = c.id AND voided_at IS NULL)
		WHERE code <> 'U'));
	$storm->look('UPDATE promo.campaign SET max_redemptions = NULL, max_per_user = NULL');
	foreach my $user (1001 .. 1020)
	{
		my $session = $buyers[ $user % @buyers ]{session};
		$session->query("SELECT redeem_coupon(${user}::bigint, '$_->{code}')") foreach @coupons;
	}
	push @finds, map { "in the end $_->[0] has $_->[1] live, cap $_->[2]" }
	  $storm->look('SELECT code, redeemed + held, max_redemptions FROM promo.coupon_usage WHERE redeemed + held <> max_redemptions');
	$storm->look(q(UPDATE promo.coupon SET campaign_id = (SELECT id FROM promo.campaign) WHERE code = 'U'));
	$storm->look(q(UPDATE promo.campaign g SET max_redemptions = (SELECT count(*) + 7 FROM promo.coupon_redemption l WHERE l.campaign_id = g.id AND voided_at IS NULL)));
	$buyers[ $_ % @buyers ]{session}->query("SELECT redeem_coupon($_ + 0::bigint, 'U')") foreach 2001 .. 2020;
	push @finds, map { "in the end $_->[0] has $_->[1] live, cap $_->[2]" }
	  $storm->look('SELECT name, redeemed + held, max_redemptions FROM promo.campaign_usage WHERE redeemed + held <> max_redemptions');
	judge('in the end');
	return;
}

eval { play(); sell_out() if !@finds; 1 } or push @finds, $@;
# Whoever has lost its connection may know before the postmaster does.
$node->wait_for_log(qr/shut down|shutting down/) if grep { /connection (is )?lost/ } @finds;
my $log = slurp_file($node->logfile);
push @finds, map { "the server's log: $_" } grep { /terminated by signal|process was running|PANIC:|TRAP: / } split /\n/, $log;
is(join("\n", @finds), '', "$rounds rounds, $number operations from seed $seed");
if (@finds)
{
	# Of a session that waits, what it has asked for is not in the log yet.
	my @under_way = map { $_->{current} ? "$_->{name} is at: $_->{current}{resolved}" : () } @meddlers;
	push @under_way, map { $_->{session}{is_busy} ? "$_->{name} is at: $_->{call}[1]" : () } @buyers;
	diag(join "\n", "seed $seed; what was done last:", @{ $storm->{log} }, @under_way);
	my @activity = eval { CouponGuard::Session->new($node)->query("SELECT pid, backend_type, state, wait_event_type, wait_event,
		pg_blocking_pids(pid), now() - query_start, left(regexp_replace(query, '\\s+', ' ', 'g'), 200) FROM pg_stat_activity WHERE pid <> pg_backend_pid()") };
	diag(join "\n", 'what the server says of it:', map { join ' ', map { $_ // '' } @$_ } @activity);
}
foreach my $count (\%tally, $storm->{tally})
{
	note("$_: $count->{$_}") foreach sort keys %$count;
}
$node->stop('immediate');
done_testing();
