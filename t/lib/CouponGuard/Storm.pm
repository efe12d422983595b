# The server of the storm (t/014_ddl_storm.pl) as it is at the moment: what the extension's tables are called now, what of them is not as it
# was made; and what has been done to them lately.

package CouponGuard::Storm;

use strict;
use warnings;

use CouponGuard::Session;
use Time::HiRes qw(time);

my %TABLE = (campaign => 'campaign', coupon => 'coupon', ledger => 'coupon_redemption', quota => 'coupon_quota');

sub new
{
	my ($class, %with) = @_;
	my $self = bless { log => [], tally => {}, began_at => time, emptied_at => 0, %with }, $class;
	$self->{looks} = CouponGuard::Session->new($self->{node});
	# While the storm is on, it asks the catalogs only, and for nothing that a meddler may have locked: who would go on with that one?
	$self->{looks}->query("SET search_path = pg_catalog; SET lock_timeout = '30s'");
	return $self;
}

sub look
{
	my ($self, $sql) = @_;
	return $self->{looks}->query($sql);
}

sub value
{
	my ($self, $sql) = @_;
	my ($row) = $self->look($sql);
	return $row ? $row->[0] : undef;
}

sub log_step
{
	my ($self, $meddler, $sql, $began_at, $outcome) = @_;
	push @{ $self->{log} }, sprintf '%8.3f to %8.3f  %s: %s -- %s', $began_at - $self->{began_at}, time - $self->{began_at}, $meddler->{name}, $sql, $outcome;
	shift @{ $self->{log} } if @{ $self->{log} } > 60;
	$self->{tally}{ $meddler->{operation}{name} . ': ' . substr $outcome, 0, 5 }++ if $meddler->{operation};
	return;
}

# Somebody has emptied the tables and cannot fill them again: whoever finds no coupon is right until all is made anew.
sub note_failure
{
	my ($self, $operation) = @_;
	$self->{emptied_at} = time + 1_000_000 if $operation->{empties};
	return;
}

# --- the extension -------------------------------------------------------------------------

sub installation
{
	my ($self) = @_;
	my $schema = $self->value("SELECT nspname FROM pg_namespace WHERE nspname IN ('promo', 'marketing')");
	return "SET ROLE shopkeeper; CREATE EXTENSION coupon_guard SCHEMA $schema; RESET ROLE; "
	  . "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA $schema TO buyer; " . $self->new_coupons("$schema.coupon", "$schema.campaign");
}

sub drop_extension
{
	my ($self) = @_;
	my $tables = $self->value("SELECT string_agg(c.oid::regclass::text, ', ') FROM pg_extension, unnest(extconfig) t JOIN pg_class c ON c.oid = t
		WHERE extname = 'coupon_guard' AND relkind = 'r'");
	$self->look("TRUNCATE $tables") if $tables;
	$self->look('DROP EXTENSION coupon_guard CASCADE');
	return;
}

sub new_coupons
{
	my ($self, $table, $campaign) = @_;
	my $rows = join ', ', map { sprintf "('%s', %s, %s::int, %s)", @{$_}{qw(code cap limit)}, $_->{is_in_campaign} ? 'true' : 'false' } @{ $self->{coupons} };
	return "WITH made AS (INSERT INTO $campaign (name, max_redemptions, max_per_user) SELECT 'Storm', 25, 3 WHERE NOT EXISTS (SELECT FROM $campaign) RETURNING id), "
	  . "one AS (SELECT id FROM made UNION ALL SELECT min(id) FROM $campaign HAVING count(*) > 0) "
	  . "INSERT INTO $table (code, max_redemptions, max_per_user, campaign_id) SELECT code, cap, use_limit, CASE WHEN is_in_campaign THEN (SELECT id FROM one) END "
	  . "FROM (VALUES $rows) v (code, cap, use_limit, is_in_campaign) WHERE NOT EXISTS (SELECT FROM $table)";
}

# Notes how the extension is made, just after it was.
sub know_extension
{
	my ($self) = @_;
	my ($oid, $schema) = @{ ($self->look("SELECT oid, extnamespace FROM pg_extension WHERE extname = 'coupon_guard'"))[0] // return };
	return if ($self->{extension} // 0) == $oid;
	@{$self}{ 'extension', 'schema' } = ($oid, $schema);
	foreach my $t (keys %TABLE)
	{
		my $table = $self->{oid}{$t} = $self->value("SELECT oid FROM pg_class WHERE relname = '$TABLE{$t}' AND relnamespace = $schema");
		$self->{triggers}{$t} = { map { $_->[0] => { name => $_->[1], enabled => $_->[2] } } $self->look("SELECT oid, tgname, tgenabled
			FROM pg_trigger WHERE tgrelid = $table AND NOT tgisinternal") };
		$self->{checks}{$t} = { map { @$_ } $self->look("SELECT conname, pg_get_constraintdef(oid)
			FROM pg_constraint WHERE conrelid = $table AND contype = 'c'") };
		$self->{indexes}{$t} = { map { $_->[1] => $_->[0] } $self->indexes($t) };
	}
	return;
}

# Name, what tells it from the others whatever their names, qualified name, whether it is partial. (pg_get_indexdef() would wait for a table
# that the other meddler has locked.)
sub indexes
{
	my ($self, $t) = @_;
	return $self->look("SELECT relname, concat_ws(' ', indkey, indisunique, indpred IS NOT NULL), indexrelid::regclass, indpred IS NOT NULL
		FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE indrelid = $self->{oid}{$t} AND indisvalid ORDER BY relname");
}

# Everything about the tables that an operation may have left behind.
sub fingerprint
{
	my ($self) = @_;
	my $tables = join ', ', map { $self->{oid}{$_} } sort keys %TABLE;
	return join "\n", map { join '|', @$_ }
	  $self->look("SELECT 'coupons ' || count(*) FROM " . $self->current_name('coupon')),
	  $self->look("SELECT 'campaigns ' || count(*) FROM " . $self->current_name('campaign')),
	  $self->look("SELECT relname, relnamespace::regnamespace, relowner::regrole, relpersistence, relreplident, relrowsecurity, reloptions
		FROM pg_class WHERE oid IN ($tables) ORDER BY 1"),
	  $self->look("SELECT attrelid::regclass, attname, atttypid::regtype, attnotnull, attcollation FROM pg_attribute
		WHERE attrelid IN ($tables) AND attnum > 0 AND NOT attisdropped ORDER BY 1, attnum"),
	  $self->look("SELECT pg_get_indexdef(indexrelid), indisvalid, indisclustered FROM pg_index WHERE indrelid IN ($tables) ORDER BY 1"),
	  $self->look("SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint
		WHERE conrelid IN ($tables) OR confrelid IN ($tables) ORDER BY 1, 2"),
	  $self->look("SELECT tgrelid::regclass, tgname, tgenabled FROM pg_trigger WHERE tgrelid IN ($tables) AND NOT tgisinternal ORDER BY 1, 2"),
	  $self->look("SELECT inhparent::regclass, inhrelid::regclass FROM pg_inherits WHERE inhparent IN ($tables) OR inhrelid IN ($tables)"),
	  $self->look("SELECT attname, atttypid::regtype FROM pg_attribute JOIN pg_class c ON c.oid = attrelid
		WHERE relname ~ '^coupon_.*_answer\$' AND NOT attisdropped ORDER BY relname, attnum"),
	  $self->look("SELECT oid::regprocedure, has_function_privilege('buyer', oid, 'execute') FROM pg_proc
		WHERE pronamespace = $self->{schema} ORDER BY oid::regprocedure::text"),
	  $self->look("SELECT relname FROM pg_class WHERE relnamespace = $self->{schema} AND relkind = 'v'"),
	  $self->look("SELECT 'publication ' || count(*) FROM pg_publication");
}

# --- what is called how ---------------------------------------------------------------------

sub one_of { return $_[ int(rand(@_)) ] }

# What stands for {NAME} in an operation (CouponGuard::Operations); undef if it is not there, or if there is nothing to be done.
sub current_name
{
	my ($self, $name) = @_;
	return $self->relation("c.oid = $self->{oid}{$name}") if $TABLE{$name};
	return $self->relation("c.relname = '$1'") if $name =~ /^rel:(\w+)$/;
	return $self->value("SELECT nspname FROM pg_namespace WHERE oid = $self->{schema}") if $name eq 'schema';
	return "'" . one_of(map { $_->{code} } grep { $_->{cap} ne 'NULL' } @{ $self->{coupons} }) . "'" if $name eq 'some code';
	return join ', ', map { $_->{session}{pid} } grep { rand() < 0.5 } @{ $self->{buyers} } if $name eq 'some buyers';
	return $self->again($1) if $name =~ /^(\w+) again$/;
	return $self->know_extension if $name eq 'extension known';
	return $self->broken_indexes if $name eq 'broken indexes';
	my ($what, $t) = $name =~ /^(.*) of (\w+)$/ or return $self->detached($name =~ /^detach (\w+) from (\w+)$/);
	return $TABLE{$t} if $what eq 'first name';
	return $self->restored_checks($t) if $what eq 'restore checks';
	return $self->restored_triggers($t) if $what eq 'restore triggers';
	return $self->disinherited($1, $t) if $what =~ /^disinherit (\w+)$/;
	return $self->renamed_back($1, $2, $t) if $what =~ /^rename back (\w+) (\w+)$/;
	return one_of(keys %{ $self->{checks}{$t} }) if $what eq 'check';
	return one_of(map { $_->[2] } $self->indexes($t)) if $what eq 'index';
	return one_of(map { $_->[0] } grep { $_->[3] eq 'f' } $self->indexes($t)) if $what eq 'index name';
	return one_of($self->trigger_names($t)) if $what eq 'trigger';
	die "what is $name?";
}

sub trigger_names
{
	my ($self, $t) = @_;
	return map { $_->[0] } $self->look("SELECT tgname FROM pg_trigger WHERE tgrelid = $self->{oid}{$t} AND NOT tgisinternal AND tgname !~ '^own'");
}

sub relation
{
	my ($self, $which) = @_;
	return $self->value("SELECT format('%I.%I', nspname, relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE $which LIMIT 1");
}

sub again
{
	my ($self, $what) = @_;
	if ($what eq 'extension')
	{
		return $self->value("SELECT count(*) FROM pg_extension WHERE extname = 'coupon_guard'") ? undef : $self->installation;
	}
	my ($coupon, $ledger, $campaign) = map { $self->current_name($_) // return } qw(coupon ledger campaign);
	return $self->new_coupons($coupon, $campaign) if $what eq 'coupons';
	return "UPDATE $campaign g SET max_redemptions = (SELECT count(*) + 5 FROM $ledger l WHERE l.campaign_id = g.id AND voided_at IS NULL) WHERE max_redemptions IS NULL"
	  if $what eq 'limits';
	my $new_cap = "SELECT count(*) + 5 FROM $ledger l WHERE l.coupon_id = c.id AND voided_at IS NULL";
	return "UPDATE $coupon c SET max_redemptions = ($new_cap) WHERE max_redemptions IS NULL AND code <> 'U'";
}

# What CREATE INDEX or REINDEX CONCURRENTLY, or pg_repack, has left when it was broken off.
sub broken_indexes
{
	my ($self) = @_;
	my $tables = join ', ', map { $self->{oid}{$_} } keys %TABLE;
	my @broken = map { $_->[0] } $self->look("SELECT indexrelid::regclass FROM pg_index JOIN pg_class c ON c.oid = indexrelid
		WHERE indrelid IN ($tables) AND (NOT indisvalid OR relname ~ '^index_[0-9]+\$')");
	return @broken ? 'DROP INDEX ' . join ', ', @broken : undef;
}

sub is_below
{
	my ($self, $t, $parent) = @_;
	die 'what is that?' if !$parent;
	return $self->value("SELECT count(*) FROM pg_inherits JOIN pg_class p ON p.oid = inhparent
		WHERE inhrelid = $self->{oid}{$t} AND p.relname = '$parent'");
}

sub detached
{
	my ($self, $t, $parent) = @_;
	return $self->is_below($t, $parent) ? "ALTER TABLE public.$parent DETACH PARTITION " . $self->current_name($t) : undef;
}

sub disinherited
{
	my ($self, $t, $parent) = @_;
	return $self->is_below($t, $parent) ? 'ALTER TABLE ' . $self->current_name($t) . " NO INHERIT public.$parent" : undef;
}

sub restored_checks
{
	my ($self, $t) = @_;
	my %is_there = map { $_->[0] => 1 } $self->look("SELECT conname FROM pg_constraint WHERE conrelid = $self->{oid}{$t}");
	my @missing = map { "ADD CONSTRAINT $_ $self->{checks}{$t}{$_}" } grep { !$is_there{$_} } sort keys %{ $self->{checks}{$t} };
	my $table = $self->current_name($t);
	return $table && @missing ? "ALTER TABLE $table " . join ', ', @missing : undef;
}

sub restored_triggers
{
	my ($self, $t) = @_;
	my %how = (O => 'ENABLE', A => 'ENABLE ALWAYS', R => 'ENABLE REPLICA', D => 'DISABLE');
	my @changed;
	foreach my $row ($self->look("SELECT oid, tgname, tgenabled FROM pg_trigger WHERE tgrelid = $self->{oid}{$t} AND NOT tgisinternal"))
	{
		my $first = $self->{triggers}{$t}{ $row->[0] } or next;
		push @changed, "$how{ $first->{enabled} } TRIGGER $row->[1]" if $first->{enabled} ne $row->[2];
	}
	# Those of foreign keys are switched with ALL; they are somebody else's.
	my $table = $self->current_name($t);
	return $table && @changed ? "ALTER TABLE $table " . join ', ', @changed : undef;
}

sub renamed_back
{
	my ($self, $what, $own, $t) = @_;
	my $table = $self->current_name($t) // return;
	if ($what eq 'trigger')
	{
		my $oid = $self->value("SELECT oid FROM pg_trigger WHERE tgrelid = $self->{oid}{$t} AND tgname = '$own'") // return;
		return "ALTER TRIGGER $own ON $table RENAME TO $self->{triggers}{$t}{$oid}{name}";
	}
	my ($index) = grep { $_->[0] eq $own } $self->indexes($t) or return;
	my $first = $self->{indexes}{$t}{ $index->[1] };
	return $first ? "ALTER INDEX $index->[2] RENAME TO $first" : undef;
}

1;
