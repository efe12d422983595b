# scripts/shards: servers and a router that stay until they are stopped, of which nothing is left then.

use strict;
use warnings;

use FindBin;
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Test::More;

# Of the server that is tested: the script takes the newest otherwise.
chomp(my $bindir = `pg_config --bindir`);
chomp(my $share = `pg_config --sharedir`);
plan skip_all => 'no PL/Proxy' if !-e "$share/extension/plproxy.control";
delete @ENV{ grep { /^PG/ } keys %ENV }; # as whoever types it has none, or others
$ENV{PG_CONFIG} = "$bindir/pg_config";

my $root = "$FindBin::RealBin/..";
my $link = "$root/build/shards";

# Its exit status, and all that it said.
sub shards
{
	my @arguments = @_;
	my $said = '';
	IPC::Run::run([ "$root/scripts/shards", '--no-install', '--installed', @arguments ], '<', \'', '>&', \$said);
	return ($? >> 8, $said);
}

sub told
{
	my ($server, $sql, @arguments) = @_;
	my ($status, $said) = shards('psql', $server, '-XAtq', @arguments, '-c', $sql);
	chomp $said;
	return $said;
}

sub is_said
{
	my ($arguments, $status, $pattern, $name) = @_;
	my @got = shards(@$arguments);
	is($got[0], $status, $name) or diag $got[1];
	like($got[1], $pattern, "$name: what it says");
	return;
}

END { shards('stop') if -e $link }

is_said(['status'], 1, qr/there are no shards/, 'before there are any');
is_said([ 'start', '0' ], 1, qr/1 to 16 shards/, 'none at all are refused');
my ($status, $said) = shards('start', '3');
is($status, 0, 'three are started') or diag $said;
my $place = readlink $link;
is_said([ 'start', '2' ], 1, qr/there are shards already/, 'but once');
is_said(['status'], 0, qr/router +running\n0 +running\n1 +running\n2 +running\n/, 'all of them run');
is(told('router', 'SELECT count(*) FROM promo.shards() WHERE answers'), '3', 'and answer the router');
is(told($_, "SELECT name FROM promo.coupon_shard"), "shard$_", "shard $_ knows which it is") foreach 0 .. 2;

# What is to be tried next, as the script says it.
{
	my @commands = $said =~ m{^    (scripts/shards .*)$}mg;
	my @answers = map { scalar `cd $root && $_ 2>&1` } @commands;
	is(scalar @commands, 5, 'it says what to try');
	like($answers[0], qr/\(3 rows\)/, 'a coupon is made on all of them');
	like($answers[1], qr/ redeemed +\| +\d+\n/, 'the application redeems it through the router');
	like($answers[2], qr/\| DROP \|/, 'its shard has rights to it');
	like($answers[3], qr/ redeemed \|/, 'and is asked directly, too');
	like($answers[4], qr/^ +[1-9]\d*\n/m, 'or through the router, for units');
}

told('router', q(SELECT promo.put_coupon('{"code": "FEW", "max_redemptions": 5}')));
my $crowd = q(SELECT string_agg(DISTINCT status::text, ',') FROM generate_series(1, 5) n, promo.redeem_coupon(n::bigint, 'FEW'));
is(told('router', $crowd, '-U', 'shop'), 'redeemed', 'users of all shards are served');
is(told('router', q(SELECT status FROM promo.redeem_coupon(6::bigint, 'FEW')), '-U', 'shop'), 'sold_out', 'until there is nothing left on any');
is(join('+', map { told($_, 'SELECT count(*) > 0 FROM promo.coupon') } 0 .. 2), 't+t+t', 'all of which have the coupon');
is(told('router', 'SELECT count(*) FROM promo.verify()'), '0', 'and nothing is wrong');

is_said([ 'down', '1' ], 0, qr/^$/, 'one goes down');
is_said(['status'], 0, qr/1 +down\n2 +running/, 'alone');
is_said([ 'up', '1' ], 0, qr/^$/, 'and up again');
is(told('router', 'SELECT count(*) FROM promo.shards() WHERE answers'), '3', 'all answer');

is_said(['stop'], 0, qr/^$/, 'they are stopped');
ok(!-e $place && !-l $link, 'and nothing is left of them');
is_said(['psql'], 1, qr/there are no shards/, 'nor to be asked');
is_said(['dance'], 2, qr/^usage: /, 'what it does not know');
done_testing();
