# Users move from shard to shard, by examples/shards/move-users.sh as it stands, while they and others redeem. The script is ended before and after
# each thing that it asks of a server, at the third user of each step, by an error and by the loss of its connection, and with a server that crashes; then it
# is started again. Whatever has happened: each redemption is in one ledger or on its way, nobody redeems twice, and rights are what they were.

use strict;
use warnings;

use File::Basename 'dirname';
use FindBin;
use lib "$FindBin::RealBin/lib";
use CouponGuard::Session;
use IO::Handle;
use List::Util qw(sum0);
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes ();

use constant { PARTITIONS => 16, USERS => 240, CAP => 200, BUDGET => 1500 };

my @shards = map { PostgreSQL::Test::Cluster->new($_) } qw(berlin rome);
my ($berlin, $rome) = @shards;
foreach my $i (0, 1)
{
	my $node = $shards[$i];
	$node->init;
	$node->append_conf('postgresql.conf', "fsync = off\nlog_statement = none");
	$node->start;
	$node->safe_psql('postgres', "CREATE EXTENSION coupon_guard; SELECT coupon_guard_set_shard('@{[ $node->name ]}', $i + 1)");
}
$berlin->safe_psql('postgres', qq(
	INSERT INTO campaign (name) VALUES ('Spring');
	INSERT INTO coupon (code, max_redemptions, rights) VALUES ('CAP', @{[ CAP ]}, 150);
	INSERT INTO coupon (code, budget, budget_rights, max_per_user) VALUES ('GIFT', @{[ BUDGET ]}, 1000, 3);
	INSERT INTO coupon (code, max_redemptions, campaign_id) SELECT 'CODE-' || n, 1, id FROM campaign, generate_series(1, 40) n));
# The other shard has copies, with the rest of the rights.
$rome->safe_psql('postgres', qq(
	INSERT INTO campaign (id, name) VALUES (@{[ $berlin->safe_psql('postgres', 'SELECT id FROM campaign') ]}, 'Spring');
	INSERT INTO coupon (id, code, max_redemptions, rights) VALUES (@{[ $berlin->safe_psql('postgres', 'SELECT id FROM coupon ORDER BY id LIMIT 1') ]}, 'CAP', @{[ CAP ]}, 50);
	INSERT INTO coupon (id, code, budget, budget_rights, max_per_user)
	VALUES (@{[ $berlin->safe_psql('postgres', 'SELECT id FROM coupon ORDER BY id LIMIT 1 OFFSET 1') ]}, 'GIFT', @{[ BUDGET ]}, 500, 3)));

# Which shard a partition is on, as applications are told: a byte each, in a file, so that they hear of a change.
my $map = PostgreSQL::Test::Utils::tempdir() . '/map';
sub send_to { my ($partition, $shard) = @_; open my $file, '+<', $map or die $!; seek $file, $partition, 0; print $file $shard; close $file or die $!; return; }
append_to_file($map, '0' x PARTITIONS);
my @partition_of = map { $_->[0] } CouponGuard::Session->new($berlin)->query('SELECT hashtext(n::text) & ' . (PARTITIONS - 1) . ' FROM generate_series(0, ' . USERS . ') n ORDER BY n');

# --- the load ------------------------------------------------------------------------------------------------------------------------

# A worker takes users at random, each on the shard where it is told that they are, and writes down what it was answered, once that is committed.
my $log = PostgreSQL::Test::Utils::tempdir();

sub session_on
{
	my ($shard) = @_;
	for (1 .. 600)
	{
		my $session = eval { CouponGuard::Session->new($shards[$shard]) };
		return $session if $session;
		last if -e "$log/end";
		Time::HiRes::sleep(0.1);
	}
	die 'no connection';
}

# What it is answered; nothing if the server has gone.
sub ask
{
	my ($session, $sql) = @_;
	local $SIG{PIPE} = 'IGNORE';
	my $result = eval { $session->start($sql); $session->finish } // {};
	$session->{is_lost} = 1 if $session->{is_busy};
	return $result;
}

sub work
{
	my ($number) = @_;
	srand $number;
	open my $answers, '>', "$log/$number" or die $!;
	$answers->autoflush(1);
	my @session;
	my (@mine, $requests);
	until (-e "$log/end")
	{
		# What was redeemed before is given back now and then, if it is there.
		my ($old_user, $old_id) = @mine && rand() < 0.1 ? @{ splice @mine, rand @mine, 1 } : ();
		my $user = $old_user // 1 + int rand USERS;
		open my $file, '<', $map or die $!;
		seek $file, $partition_of[$user], 0;
		my $shard = getc $file;
		my $session = $session[$shard] //= session_on($shard);
		my $request = "$number-" . ++$requests;
		my $amount = 1 + int rand 9;
		my $call =
		    $old_id ? "void_redemption($old_id)"
		  : rand() < 0.5 ? "redeem_coupon($user, 'CAP', '$request')"
		  : rand() < 0.5 ? "redeem_coupon($user, 'GIFT', $amount, request_id => '$request')"
		  : rand() < 0.7 ? "hold_coupon($user, 'GIFT', '1 hour', $amount, request_id => '$request')"
		  :   "claim_coupon($user, 'Spring')";
		my $rolls_back = rand() < 0.1;
		Time::HiRes::sleep(0.01); # others need the processor, too
		my $result = ask($session, "BEGIN; SELECT * FROM $call");
		my $row = ($result->{rows} // [ [] ])->[0];
		my $has_redeemed = $call =~ /request_id|CAP/ && ($row->[0] // '') =~ /^(?:redeemed|held)$/;
		my $sqlstate = $result->{sqlstate};
		if (!$session->{is_lost})
		{
			my $end = ask($session, $rolls_back || $sqlstate ? 'ROLLBACK' : 'COMMIT');
			$sqlstate //= $end->{sqlstate};
		}
		if ($session->{is_lost})
		{
			print $answers "unknown $request\n";
			$session[$shard] = undef;
		}
		elsif ($sqlstate) { print $answers "failed $request $sqlstate\n" }
		elsif ($rolls_back) { print $answers "failed $request rollback\n" }
		elsif ($has_redeemed)
		{
			print $answers "redeemed $request $row->[1]\n";
			push @mine, [ $user, $row->[1] ];
		}
		else { print $answers 'refused - ' . ($row->[0] // '') . "\n" }
	}
	return;
}

append_to_file("$log/$_", '') foreach 1 .. 4;
my @workers = map {
	my $pid = fork;
	die $! if !defined $pid;
	if (!$pid) { eval { work($_); 1 } or print STDERR "worker: $@"; POSIX::_exit(0); }
	$pid
} 1 .. 4;

END { append_to_file("$log/end", '') if @workers }

sub answers { return map { [ split / / ] } map { split /\n/, slurp_file("$log/$_") } 1 .. 4; }
sub await_answers
{
	my ($more) = @_;
	my $until = answers() + $more;
	for (1 .. 3000) { return if answers() >= $until; Time::HiRes::sleep(0.05); }
	die 'the load stands still';
}

# --- what must hold at every moment ------------------------------------------------------------------------------------------------------

sub everywhere { my ($sql) = @_; return map { split /\n/, $_->safe_psql('postgres', $sql) } @shards; }

# Nothing moves while this looks; the load goes on.
sub judge
{
	my ($name) = @_;
	my @known = answers();
	my %has_arrived = map { $_ => 1 } everywhere(q(SELECT transfer_id FROM coupon_user_transfer WHERE direction = 'i'));
	my @under_way = grep { !$has_arrived{ $_->[0] } } map { [ split /\|/ ] } everywhere(q(
		SELECT transfer_id, r.kind, r.units FROM coupon_user_transfer, jsonb_to_recordset(payload->'rights') AS r (kind text, owner_id bigint, units bigint)
		JOIN coupon c ON c.id = r.owner_id AND c.code IN ('CAP', 'GIFT') WHERE direction = 'o' AND settled_at IS NULL));
	my @wrong;
	foreach my $limit ([ 'c', 'rights', 'CAP', CAP ], [ 'b', 'budget_rights', 'GIFT', BUDGET ])
	{
		my ($kind, $column, $code, $size) = @$limit;
		my $sum = sum0(everywhere("SELECT $column FROM coupon WHERE code = '$code'"), map { $_->[2] } grep { $_->[1] eq $kind } @under_way);
		push @wrong, "rights of $code and what is under way: $sum of $size" if $sum != $size;
	}
	my %places;
	$places{$_}++ foreach everywhere('SELECT id FROM coupon_redemption'),
	  map { /(.*)\|(.*)/ && !$has_arrived{$1} ? $2 : () } everywhere(q(
		SELECT transfer_id, r->>'id' FROM coupon_user_transfer, jsonb_array_elements(payload->'redemptions') AS r WHERE direction = 'o' AND settled_at IS NULL));
	push @wrong, map { "redemption $_ is in $places{$_} places" } grep { $places{$_} > 1 } keys %places;
	push @wrong, map { "redemption $_->[2] is lost" } grep { $_->[0] eq 'redeemed' && !$places{ $_->[2] } } @known;
	push @wrong, everywhere('SELECT v::text FROM coupon_guard_verify() v');
	is_deeply(\@wrong, [], "$name: each redemption is in one place, and rights are what they were");
	return;
}

# --- the script, and faults ----------------------------------------------------------------------------------------------------------

# A psql that ends at its n-th call: before it does anything, or after it, without a word of what it was answered.
my $bin = PostgreSQL::Test::Utils::tempdir();
my ($psql) = map { "$_/psql" } $berlin->config_data('--bindir');
append_to_file("$bin/psql", <<"SH");
#!/usr/bin/env bash
exec 9>> $bin/calls
flock 9
echo >&9
read -r at moment < $bin/fault
n=\$(wc -l < $bin/calls)
exec 9>&-
[[ \$n == "\$at" && \$moment == before ]] && exit 3
[[ \$n == "\$at" ]] && { $psql "\$@" > /dev/null; exit 3; }
exec $psql "\$@"
SH
chmod 0755, "$bin/psql" or die $!;

sub move
{
	my ($from, $to, $partition, $at, $moment) = @_;
	unlink "$bin/calls", "$bin/fault";
	append_to_file("$bin/fault", join(' ', $at // 0, $moment // 'never') . "\n");
	local $ENV{PATH} = "$bin:$ENV{PATH}";
	my ($out, $err);
	my $is_done = IPC::Run::run([ 'bash', dirname(__FILE__) . '/../examples/shards/move-users.sh', $from->connstr('postgres'), $to->connstr('postgres'), $partition, PARTITIONS ],
		'>', \$out, '2>', \$err);
	note $err if !$is_done;
	return $is_done;
}

# Until it ends well, as somebody would who sees that it has not.
sub move_at_last
{
	my ($from, $to, $partition) = @_;
	for (1 .. 10) { return 1 if move($from, $to, $partition); }
	return 0;
}

await_answers(200);
judge('before anything');
send_to(0, 0);
ok(move($berlin, $rome, 0), 'a partition moves');
send_to(0, 1);
my $calls = () = slurp_file("$bin/calls") =~ /\n/g;
is($calls, 8, 'by so many calls');
judge('moved');
foreach my $at (1 .. $calls)
{
	foreach my $moment ('before', 'after')
	{
		my $partition = 1 + 2 * ($at - 1) + ($moment eq 'after');
		next if $partition >= PARTITIONS; # the last call opens the door, which is done again by itself
		ok(!move($berlin, $rome, $partition, $at, $moment), "ended $moment call $at");
		judge("ended $moment call $at");
		# Whether applications hear of it before or after it is complete: both doors are closed by then.
		my $is_early = $at > 3 && $moment eq 'before';
		send_to($partition, 1) if $is_early;
		await_answers(20);
		ok(move_at_last($berlin, $rome, $partition), 'started again, it ends');
		send_to($partition, 1) if !$is_early;
		ok(move($berlin, $rome, $partition), 'and once more');
		judge("after $moment call $at");
	}
}
await_answers(200);
is($berlin->safe_psql('postgres', 'SELECT count(*) FROM coupon_redemption'), '0', 'nobody is left on the old shard');

# --- back again, with servers that fail ----------------------------------------------------------------------------------------------

# In the third transaction of a step, before it is committed.
sub fail_at_third
{
	my ($node, $event, $deed) = @_;
	$node->safe_psql('postgres', qq(
		CREATE SEQUENCE IF NOT EXISTS third; SELECT setval('third', 1, false);
		CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN IF nextval('third') = 3 THEN $deed; END IF; RETURN NULL; END \$\$;
		CREATE CONSTRAINT TRIGGER fail AFTER $event ON coupon_user_transfer DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION fail()));
	return;
}
my %deed = (
	'an error' => q(RAISE EXCEPTION 'no'),
	'a deadlock' => q(RAISE EXCEPTION 'no' USING ERRCODE = 'deadlock_detected'),
	'the end of the session' => 'PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(60)');
my @steps = ([ 'leaves', $rome, 'INSERT' ], [ 'arrives', $berlin, 'INSERT' ], [ 'is settled', $rome, 'UPDATE' ]);
my $partition = 0;
foreach my $step (@steps)
{
	foreach my $deed (sort keys %deed)
	{
		my ($name, $node, $event) = @$step;
		fail_at_third($node, $event, $deed{$deed});
		ok(!move($rome, $berlin, $partition), "when the third user $name, $deed");
		$node->safe_psql('postgres', 'DROP TRIGGER fail ON coupon_user_transfer');
		judge("third user $name, $deed");
		ok(move_at_last($rome, $berlin, $partition), 'started again, it ends');
		send_to($partition, 0);
		judge("then");
		$partition++;
	}
}
# A server that crashes when the third user leaves, or arrives; it is there again for the second try.
foreach my $step (@steps)
{
	my ($name, $node, $event) = @$step;
	my $pid_file = $node->data_dir . '/postmaster.pid';
	fail_at_third($node, $event, qq(EXECUTE 'COPY (SELECT 1) TO PROGRAM ''kill -QUIT \$(head -1 $pid_file)'''; PERFORM pg_sleep(60)));
	ok(!move($rome, $berlin, $partition), "when the third user $name, the server crashes");
	for (1 .. 600) { last if !-e $pid_file; Time::HiRes::sleep(0.1); }
	$node->{_pid} = undef;
	$node->start;
	$node->safe_psql('postgres', 'DROP TRIGGER fail ON coupon_user_transfer');
	judge("third user $name, the server crashes");
	ok(move_at_last($rome, $berlin, $partition), 'started again, it ends');
	send_to($partition, 0);
	$partition++;
}
for (; $partition < PARTITIONS; $partition++) { ok(move_at_last($rome, $berlin, $partition), 'a partition moves'); send_to($partition, 0); }
await_answers(200);
append_to_file("$log/end", '');
waitpid $_, 0 foreach @workers;
judge('at the end');

# --- the shard is empty: its rights go, too --------------------------------------------------------------------------------------------

is($rome->safe_psql('postgres', 'SELECT count(*) FROM coupon_redemption'), '0', 'the drained shard has no redemptions');
is($rome->safe_psql('postgres', 'SELECT count(*) FROM coupon WHERE holder IS NOT NULL'), '0', 'nor codes that somebody holds');
foreach my $line (split /\n/, $rome->safe_psql('postgres', 'SELECT kind, name, rights FROM coupon_guard_rights WHERE rights > 0'))
{
	my ($kind, $name, $units) = split /\|/, $line;
	my $id = $rome->safe_psql('postgres', 'SELECT gen_random_uuid()');
	my $released = $rome->safe_psql('postgres', "SELECT release_units('$name', $units, '$id', 'berlin', '$kind')");
	is($released, $units, "its rights of $name leave");
	is($berlin->safe_psql('postgres', "SELECT accept_units('$name', $released, '$id', 'rome', '$kind')"), 't', 'and arrive');
	is($rome->safe_psql('postgres', "SELECT settle_transfer('$id')"), 't', 'which is noted');
}
is(join(' ', everywhere('SELECT sum(rights), sum(under_way) FROM coupon_guard_rights WHERE kind = $$c$$ AND name = $$CAP$$')), CAP . '|0 0|0', 'all rights are with the other');
is(sum0(everywhere('SELECT count(*) FROM coupon_user_transfer WHERE settled_at IS NULL')), 0, 'nobody is under way');
judge('drained');

# --- what the buyers were told ---------------------------------------------------------------------------------------------------------

my @told = answers();
my %row = map { my ($request, @row) = split /\|/; $request => \@row } split /\n/, $berlin->safe_psql('postgres', 'SELECT request_id, id, voided_at IS NULL FROM coupon_redemption');
is_deeply([ map { "$_->[1]" } grep { $_->[0] eq 'redeemed' && ($row{ $_->[1] }[0] // 0) != $_->[2] } @told ], [], 'what was acknowledged is there, under its id');
is_deeply([ map { "$_->[1]" } grep { $_->[0] eq 'failed' && $row{ $_->[1] } } @told ], [], 'what failed or was rolled back is not');
my %known = map { $_->[1] => 1 } @told;
is_deeply([ grep { !$known{$_} } keys %row ], [], 'nothing else is');
is($berlin->safe_psql('postgres', q(SELECT count(*) FROM (SELECT user_id FROM coupon_redemption r JOIN coupon c ON c.id = coupon_id
	WHERE code = 'CAP' AND voided_at IS NULL GROUP BY user_id HAVING count(*) > 1) AS twice)), '0', 'nobody has redeemed twice');
cmp_ok($berlin->safe_psql('postgres', q(SELECT count(*) FROM coupon_redemption r JOIN coupon c ON c.id = coupon_id WHERE code = 'CAP' AND voided_at IS NULL)), '<=', CAP, 'nor more than the cap');
my %sqlstates;
$sqlstates{ $_->[2] }++ foreach grep { $_->[0] eq 'failed' } @told;
note join ', ', map { "$_: $sqlstates{$_}" } sort keys %sqlstates;
cmp_ok($sqlstates{RC015} // 0, '>', 0, 'some have come while they were moving');
is(join(' ', grep { !/^(?:RC015|rollback|RC008|40P01|57P0\d)$/ } keys %sqlstates), '', 'and nobody heard of another error');
$_->stop foreach @shards;
done_testing();
