# docs/reference.md names what the extension has, all of it and nothing else: compared with the catalog and, for SQLSTATEs, with the sources.
# docs/operations.md says of every error what to do, and its query of who waits is one.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use CouponGuard::Page;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', q(shared_preload_libraries = 'coupon_guard')); # for all settings to be there
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION coupon_guard');

sub content
{
	my ($file) = @_;
	open my $in, '<:encoding(UTF-8)', $file or die "$file: $!";
	local $/ = undef;
	return scalar <$in>;
}

# ---- the page -----------------------------------------------------------------------------------------------------------------

# By section (##) its headings (###); by heading of any level its text, and its tables by what the first of their columns is called; each
# further one of the same name with its number: "argument 2".
my (%headings, %text, %tables);

{
	my ($section, $heading, $rows);
	foreach my $line (split /\n/, content('docs/reference.md'))
	{
		if ($line =~ /^(#+) (.*)$/)
		{
			($heading, $rows) = ($2, undef);
			die "two headings \"$heading\"" if exists $text{$heading};
			$text{$heading} = '';
			$section = $heading if $1 eq '##';
			push @{ $headings{$section} }, $heading if $1 eq '###';
		}
		elsif ($line =~ /^\| (.*)\|$/)
		{
			my @cells = map { s/^\s+|\s+$//gr } split /\|/, $1;
			if (!$rows)
			{
				my $earlier = grep { /^\Q$cells[0]\E( \d+)?$/ } keys %{ $tables{$heading} // {} };
				$tables{$heading}{ $cells[0] . ($earlier ? ' ' . ($earlier + 1) : '') } = $rows = [];
			}
			elsif ($cells[0] ne '---') { push @$rows, [ map { $_ // '' } @cells[ 0 .. 4 ] ]; }
		}
		else
		{
			$rows = undef;
			$text{$heading} .= "$line\n" if defined $heading;
		}
	}
}

sub rows_of
{
	my ($heading, $first_column) = @_;
	return @{ delete $tables{$heading}{$first_column} // [] };
}

# The words in backticks.
sub quoted { return $_[0] =~ /`([^`]+)`/g; }

# A line for each row: the words in backticks of these cells.
sub lines_of
{
	my ($heading, $first_column, @cells) = @_;
	return [ map { my $row = $_; join ' | ', map { join ', ', quoted($row->[$_]) } @cells } rows_of($heading, $first_column) ];
}

sub ask { return [ split /\n/, $node->safe_psql('postgres', $_[0]) ]; }

my $members = 'SELECT objid FROM pg_depend WHERE refclassid = \'pg_extension\'::regclass AND deptype = \'e\' '
  . 'AND refobjid = (SELECT oid FROM pg_extension WHERE extname = \'coupon_guard\') AND classid =';

sub is_same_set
{
	my ($said, $there, $name) = @_;
	return is_deeply([ sort @$said ], [ sort @$there ], $name);
}

# ---- tables, view, types ------------------------------------------------------------------------------------------------------

my $relations = "$members 'pg_class'::regclass";
my $types = "$members 'pg_type'::regclass";

is_same_set($headings{'Tables'}, ask("SELECT relname FROM pg_class WHERE oid IN ($relations) AND relkind = 'r'"), 'tables');
is_same_set($headings{'Views'}, ask("SELECT relname FROM pg_class WHERE oid IN ($relations) AND relkind = 'v'"), 'views');
# From 17 on, types that come of themselves (rows of tables, arrays) are members too.
is_same_set(
	$headings{'Types'},
	ask("SELECT typname FROM pg_type t LEFT JOIN pg_class c ON c.oid = typrelid WHERE t.oid IN ($types) AND typcategory <> 'A' AND c.relkind IS DISTINCT FROM 'r' AND c.relkind IS DISTINCT FROM 'v'"),
	'types');
is_same_set([ quoted($text{'Sequences'}) ], ask("SELECT relname FROM pg_class WHERE oid IN ($relations) AND relkind = 'S'"), 'sequences');

my $columns = q(SELECT attname || ' | ' || format_type(atttypid, atttypmod) || CASE WHEN attnotnull THEN ' not null' ELSE '' END);

foreach my $table (@{ $headings{'Tables'} })
{
	my @rows = map { [ @$_[ 0, 1 ], $_->[2] eq 'identity' ? '`identity`' : $_->[2] ] } rows_of($table, 'column');
	is_deeply([ map { join ' | ', map { join '', quoted($_) } @$_ } @rows ],
		ask($columns . q( || ' | ' || CASE WHEN attidentity = 'd' THEN 'identity' ELSE coalesce(pg_get_expr(adbin, adrelid), '') END)
		  . " FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum "
		  . "WHERE attrelid = '$table'::regclass AND attnum > 0 ORDER BY attnum"), "columns of $table");
}

foreach my $type (@{ $headings{'Views'} }, grep { $_ ne 'coupon_status' } @{ $headings{'Types'} })
{
	is_deeply(lines_of($type, 'column', 0, 1),
		ask("$columns FROM pg_attribute WHERE attrelid = '$type'::regclass AND attnum > 0 ORDER BY attnum"), "columns of $type");
}

# ---- statuses -----------------------------------------------------------------------------------------------------------------

my @statuses = rows_of('coupon_status', 'status');
is_deeply([ map { quoted($_->[0]) } @statuses ],
	ask("SELECT enumlabel FROM pg_enum WHERE enumtypid = 'coupon_status'::regtype ORDER BY enumsortorder"), 'statuses, in their order');

# ---- functions ----------------------------------------------------------------------------------------------------------------

my $functions = "$members 'pg_proc'::regclass";
my $callable = "oid IN ($functions) AND prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype)";
my @documented = grep { $_ ne 'Not for calls' } @{ $headings{'Functions'} };

is_same_set(\@documented, ask("SELECT DISTINCT proname FROM pg_proc WHERE $callable"), 'functions');
is_same_set([ grep { /^coupon_guard/ } quoted($text{'Not for calls'}) ],
	ask("SELECT proname FROM pg_proc WHERE oid IN ($functions) AND NOT ($callable)"), 'functions that are not for calls');

# The forms of a function: of those whose arguments have the same names, which differ in types, name, types and default of each argument,
# the types in alphabetical order; and what the form answers, and by whom it may be called. A table on the page stands for one form.
sub forms_of
{
	my ($function) = @_;
	my (@forms, %form);
	my $members_of_name = ask(
		qq(SELECT pg_get_function_arguments(oid) || E'\t' || CASE WHEN proretset THEN 'rows' ELSE format_type(prorettype, NULL) END || ', '
		  || CASE WHEN has_function_privilege('pg_checkpoint', oid, 'EXECUTE') THEN 'everybody' WHEN has_function_privilege('pg_monitor', oid, 'EXECUTE') THEN 'monitors' ELSE 'granted' END
		FROM pg_proc WHERE $callable AND proname = '$function' ORDER BY oid));
	foreach my $member (@$members_of_name)
	{
		my ($arguments, $result) = split /\t/, $member;
		my @arguments = map { [ /^(\w+) (.*?)(?: DEFAULT (.*?)(?:::["a-z ]+(?:\[\])?)?)?$/ ] } grep { !/^OUT / } split /, /, $arguments;
		my $names = join ' ', map { $_->[0] } @arguments;
		push @forms, $form{$names} = { order => [ map { $_->[0] } @arguments ] } unless $form{$names};
		my $one = $form{$names};
		$one->{results}{$result} = 1;
		foreach my $argument (@arguments)
		{
			my ($name, $type, $default) = @$argument;
			$one->{types}{$name}{$type} = 1;
			$one->{default}{$name} = $default // '';
		}
	}
	return map {
		my $one = $_;
		{   arguments => [ map { join ' | ', $_, join(', ', sort keys %{ $one->{types}{$_} }), $one->{default}{$_} } @{ $one->{order} } ],
			results => [ sort keys %{ $one->{results} } ] }
	} @forms;
}

foreach my $function (@documented)
{
	my @forms = forms_of($function);
	my $number = 0;
	foreach my $form (@forms)
	{
		$number++;
		is_deeply(lines_of($function, $number == 1 ? 'argument' : "argument $number", 0, 1, 2), $form->{arguments}, "arguments of $function, form $number");
	}
	# Of what answers rows, or a record, the columns; forms that have the same share a table.
	my %seen;
	my @results = grep { !$seen{$_}++ } @{
		ask(qq(SELECT string_agg(arg || ' | ' || format_type(type, NULL), ', ' ORDER BY place)
			FROM pg_proc, unnest(proargnames, proallargtypes, proargmodes) WITH ORDINALITY AS a (arg, type, mode, place)
			WHERE $callable AND proname = '$function' AND mode IN ('t', 'o') GROUP BY oid ORDER BY oid)) };
	foreach my $i (0 .. $#results)
	{
		is_deeply(lines_of($function, $i == 0 ? 'column' : 'column ' . ($i + 1), 0, 1), [ split /, /, $results[$i] ],
			"columns of the result of $function, table " . ($i + 1));
	}

	my @said = $text{$function} =~ /^- Result: `?(\w+`?\. Callers: \w+)\. Since \d+\.\d+\.\d+\.$/mg;
	is_deeply([ map { [ s/`?\. Callers: /, /r ] } @said ], [ map { $_->{results} } @forms ],
		"results of $function, and by whom it may be called, form by form");
}

# ---- settings -----------------------------------------------------------------------------------------------------------------

# In words that the page uses.
is_same_set([ map { join ' | ', map { s/`//gr } @$_[ 0 .. 4 ] } rows_of('Settings', 'setting') ],
	ask(q(SELECT concat_ws(' | ', name, vartype, boot_val, coalesce(array_to_string(enumvals, ', '), min_val || ' to ' || max_val, ''),
		  CASE context WHEN 'superuser' THEN 'superusers' WHEN 'user' THEN 'everybody' WHEN 'postmaster' THEN 'server start' END)
		FROM pg_settings WHERE name LIKE 'coupon_guard.%')), 'settings');

# ---- what is the guard's own --------------------------------------------------------------------------------------------------

my $of_tables = "(SELECT oid FROM pg_class WHERE oid IN ($relations) AND relkind = 'r')";
is_same_set(lines_of('Indexes', 'index', 0, 1),
	ask("SELECT indexrelid::regclass || ' | ' || indrelid::regclass FROM pg_index WHERE indrelid IN $of_tables"), 'indexes');
is_same_set(lines_of('Constraints', 'constraint', 0, 1),
	ask("SELECT conname || ' | ' || conrelid::regclass FROM pg_constraint WHERE contype IN ('c', 'f') AND conrelid IN $of_tables"), 'constraints');
is_same_set(lines_of('Triggers', 'trigger', 0, 1),
	ask("SELECT tgname || ' | ' || tgrelid::regclass FROM pg_trigger WHERE NOT tgisinternal AND tgrelid IN $of_tables"), 'triggers');
is_same_set([ grep { /^coupon_guard/ } quoted($text{'Triggers'}) ], ask('SELECT evtname FROM pg_event_trigger'), 'event triggers');

# ---- SQLSTATEs ----------------------------------------------------------------------------------------------------------------

# Every one that the sources raise has its line, every refusal the one that the table of statuses says; and none of class RC is named that
# is not raised.
my $sources = join '', map { content($_) } glob 'extension/src/*/*.[ch]pp';
my %own = map { $_->[0] => join '', $_->[1] =~ /'(.)'/g } map { [ /(.*?) = MAKE_SQLSTATE\((.*)\)/ ] } $sources =~ /(sqlstate_\w+ = MAKE_SQLSTATE\(.*?\))/g;
my ($server_headers) = run_command([ 'pg_config', '--includedir-server' ]);
my %server = map { $_->[0] => join '', $_->[1] =~ /'(.)'/g } map { [ /(\w+)\s+MAKE_SQLSTATE\((.*)\)/ ] } content("$server_headers/utils/errcodes.h") =~ /^#define (\w+\s+MAKE_SQLSTATE.*)$/mg;

my %raised = map { ($own{$_} // $server{$_} // die "no SQLSTATE of $_") => 1 } $sources =~ /errcode\((\w+)\)/g;

# What functions in SQL raise, by the SQLSTATEs that are our own.
$raised{$_} = 1 foreach map { content($_) =~ /ERRCODE = '(RC\d+)'/g } glob 'extension/sql/*.sql';

# The SQLSTATEs in a cell, ranges of refusals written out.
sub sqlstates
{
	my ($cell) = @_;
	my @sqlstates = quoted($cell);
	while ($cell =~ /`RC(\d+)` to `RC(\d+)`/g) { push @sqlstates, map { sprintf 'RC%03d', $_ } $1 .. $2; }
	return @sqlstates;
}

my %line = map { $_ => 1 } map { sqlstates($_->[0]) } rows_of('Errors', 'SQLSTATE');
my %advice = map { $_ => 1 } map { sqlstates($_) } content('docs/operations.md') =~ /^\| (`(?:RC\d+|[0-9A-Z]{5})`.*?) \|/mg;
is_deeply([ grep { !$line{$_} } sort keys %raised ], [], 'every SQLSTATE that is raised is in the table of errors');
is_deeply([ grep { !$advice{$_} } sort keys %line ], [], 'operations.md has advice on each of them');
is_deeply([ grep { /^RC/ && !$raised{$_} } sort keys %line ], [], 'every SQLSTATE of class RC in the table of errors is raised');
is_same_set([ map { join ' ', quoted($_->[0]), quoted($_->[2]) } grep { $_->[2] } @statuses ],
	[ map { /^sqlstate_(not_found|inactive|not_started|expired|already_redeemed|sold_out|voided|insufficient|reserved|throttled)$/ ? "$1 $own{$_}" : () } keys %own ],
	'SQLSTATEs of the refusals');

my (undef, $waits) = CouponGuard::Page->new('docs/operations.md')->next('Monitoring');
is($node->safe_psql('postgres', $waits), '', 'nobody waits here');

# Nothing of the page has been left unread.
is_deeply([ map { my $heading = $_; map { "$heading: $_" } sort keys %{ $tables{$heading} } } sort keys %tables ], [], 'every table has been compared');

done_testing();
