# A server for tests of hostile users: a superuser; mallory, who owns databases; and clerk, who may create in the schema that is to be the
# extension's. The versions of the extension are those of its files, released ones too.
#
# And traps: functions, operators, types and tables that have the names of the server's own, made by somebody who hopes that SQL of a superuser's
# names one of them without its schema. Whatever is called, checked or read says so in the server's log, which no rollback takes back, and
# makes mallory a superuser if it can.

package CouponGuard::Traps;

use strict;
use warnings;

use CouponGuard::Installation;
use File::Basename qw(dirname);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

sub new
{
	my ($class) = @_;
	my $installation = CouponGuard::Installation->new(PostgreSQL::Test::Utils::tempdir());
	my $control = $installation->installed('coupon_guard.control');
	my ($today) = $control =~ /^default_version = '(.*)'/m or die 'the control file names no version';
	my %script = map { $_ => $installation->installed($_) } "coupon_guard--$today.sql", $installation->installed_updates;
	my @released = grep { !/--.*--/ } glob dirname(__FILE__) . '/../../../extension/update/coupon_guard--*.sql';
	$script{"coupon_guard--$_.sql"} = slurp_file(dirname(__FILE__) . "/../../../extension/update/coupon_guard--$_.sql") foreach map { /--(.*)\.sql$/ } @released;
	$installation->add($_, $script{$_}) foreach keys %script;
	$installation->add('coupon_guard.control', $control);

	my $node = PostgreSQL::Test::Cluster->new('main', install_path => $installation->install_path);
	$node->init;
	$node->append_conf('postgresql.conf', "fsync = off\nautovacuum = off\nlog_statement = none");
	$node->start;
	my $superuser = $node->safe_psql('postgres', 'SELECT current_user');
	$node->safe_psql('postgres', 'CREATE ROLE mallory LOGIN; CREATE ROLE clerk LOGIN; CREATE DATABASE with_traps');
	my $self = bless { node => $node, superuser => $superuser, today => $today, released => [ sort map { /--(.*)\.sql$/ } @released ], log_at => 0 }, $class;
	$self->as($superuser, 'with_traps', trap_maker(words_of(values %script)));
	return $self;
}

sub as
{
	my ($self, $role, $database, $sql) = @_;
	return $self->{node}->safe_psql($database, "SET client_min_messages = error; $sql", connstr => $self->{node}->connstr($database) . " user=$role");
}

# The SQLSTATE, or 00000.
sub outcome
{
	my ($self, $role, $database, $sql) = @_;
	my ($status, undef, $error) =
	  $self->{node}->psql($database, "\\set VERBOSITY verbose\n$sql", connstr => $self->{node}->connstr($database) . " user=$role", on_error_stop => 1);
	return $status == 0 ? '00000' : $error =~ /(?:ERROR|FATAL):\s+([0-9A-Z]{5}):/ ? $1 : "no SQLSTATE: $error";
}

# A database of mallory's, in which anybody may create in the schema that is to be the extension's.
sub make_database
{
	my ($self) = @_;
	$self->{node}->safe_psql('postgres', 'DROP DATABASE IF EXISTS shop; CREATE DATABASE shop TEMPLATE with_traps OWNER mallory');
	$self->as('mallory', 'shop', 'CREATE SCHEMA promo; GRANT USAGE, CREATE ON SCHEMA promo TO PUBLIC');
	return;
}

# The traps that have been sprung since it was asked last; with a role, in its name only.
sub sprung
{
	my ($self, $role) = @_;
	my @sprung = map { /WARNING:\s+(TRAP .*)/ ? $1 : () } split /\n/, substr slurp_file($self->{node}->logfile), $self->{log_at};
	$self->{log_at} = -s $self->{node}->logfile;
	return grep { !defined $role || / as \Q$role\E$/ } @sprung;
}

sub nothing_sprung
{
	my ($self, $name, $role) = @_;
	my $superusers = $self->as($self->{superuser}, 'postgres', q(SELECT string_agg(rolname, ' ') FROM pg_roles WHERE rolsuper; ALTER ROLE mallory NOSUPERUSER));
	is(join("\n", $self->sprung($role), $superusers), $self->{superuser}, "$name: no trap is sprung, nobody has become superuser");
	return;
}

# Every word of a text that might be a name.
sub words_of
{
	my %words = map { $_ => 1 } map { /([a-z_][a-z0-9_]*)/g } map { lc } @_;
	return sort keys %words;
}

# SQL that makes schema trap, with a procedure that plants traps into a schema under all of these names that the server has. Each has the
# arguments of the server's own, so that it would be chosen if only its schema came first.
sub trap_maker
{
	my $words = join ',', @_;
	return <<"SQL";
CREATE SCHEMA trap;
GRANT USAGE ON SCHEMA trap TO PUBLIC;
CREATE FUNCTION trap.spring(what text) RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS \$\$
BEGIN
  RAISE WARNING 'TRAP % sprung as %', what, current_user;
  IF (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
    ALTER ROLE mallory SUPERUSER;
  END IF;
  RETURN true;
END \$\$;
-- One command after the other; those that cannot be are left out.
CREATE FUNCTION trap.make(commands text[]) RETURNS void LANGUAGE plpgsql AS \$\$
DECLARE
  command text;
BEGIN
  FOREACH command IN ARRAY commands LOOP
    BEGIN
      EXECUTE command;
    EXCEPTION WHEN OTHERS THEN
    END;
  END LOOP;
END \$\$;
CREATE FUNCTION trap.body(what text) RETURNS text LANGUAGE sql SET search_path = pg_catalog, pg_temp
  RETURN format('LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS %L', format('BEGIN PERFORM trap.spring(%L); RETURN NULL; END', what));
CREATE PROCEDURE trap.plant(home text) LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS \$\$
DECLARE
  words CONSTANT text[] := '{$words}';
BEGIN
  IF home <> 'pg_temp' THEN -- where the server looks for no function and no operator
    PERFORM trap.plant_functions(home, words);
  END IF;
  PERFORM trap.make((SELECT array_agg(format('CREATE DOMAIN %s.%I AS %s CHECK (trap.spring(%L))', home, typname, oid::regtype, 'type ' || typname))
    FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace AND typname = ANY (words) AND typtype = 'b'));
  PERFORM trap.make((SELECT array_agg(format('CREATE %s VIEW %s.%I AS SELECT * FROM %s WHERE trap.spring(%L)', CASE home WHEN 'pg_temp' THEN 'TEMP' END,
        home, relname, oid::regclass, 'table ' || relname))
    FROM pg_class WHERE relnamespace = 'pg_catalog'::regnamespace AND relname = ANY (words) AND relkind IN ('r', 'v')));
END \$\$;
CREATE FUNCTION trap.plant_functions(home text, words text[]) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS \$\$
DECLARE
  operators CONSTANT text[] := '{=,<>,<,>,<=,>=,+,-,*,/,||,~,->>}';
  operands CONSTANT regtype[] := '{int4,int8,numeric,float8,text,name,\"char\",bool,timestamptz,interval,jsonb,uuid,oid}';
BEGIN
  PERFORM trap.make((SELECT array_agg(format('CREATE FUNCTION %s.%I(%s) RETURNS %s %s', home, proname, arguments, result,
      CASE WHEN proretset THEN replace(trap.body(proname), ' RETURN NULL;', '') ELSE trap.body(proname) END))
    FROM (SELECT proname, proretset, pg_get_function_identity_arguments(oid) AS arguments, pg_get_function_result(oid) AS result
            FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND proname = ANY (words) AND prokind <> 'a') AS f));
  -- What takes "any" in the server takes these.
  PERFORM trap.make((SELECT array_agg(format('CREATE FUNCTION %s.format(text%s) RETURNS text %s', home, types, trap.body('format')))
    FROM (WITH RECURSIVE list (types, length) AS (SELECT '', 0 UNION ALL
            SELECT types || ', ' || type, length + 1 FROM list, unnest('{int8,text,numeric,regclass,regrole}'::text[]) AS type WHERE length < 2)
          SELECT types FROM list) AS a));
  PERFORM trap.make((SELECT array_agg(format('CREATE FUNCTION %s.trap_state(%s) RETURNS %s %s', home, concat_ws(', ', result, nullif(argument, '*')), result, trap.body(name)))
      || array_agg(format('CREATE AGGREGATE %1\$s.%2\$I(%3\$s) (SFUNC = %1\$s.trap_state, STYPE = %4\$s)', home, name, argument, result))
    FROM (VALUES ('count', '*', 'int8'), ('count', 'text', 'int8'), ('count', 'int8', 'int8'), ('sum', 'int8', 'numeric'), ('sum', 'int4', 'int8'),
      ('sum', 'numeric', 'numeric'), ('bool_or', 'bool', 'bool'), ('max', 'int8', 'int8'), ('min', 'int8', 'int8')) AS a (name, argument, result)));
  PERFORM trap.make((SELECT array_agg(format('CREATE FUNCTION %s.trap_operator(%s, %s) RETURNS %s %s', home, a, b, result, trap.body('operator ' || name)))
      || array_agg(format('CREATE OPERATOR %1\$s.%2\$s (LEFTARG = %3\$s, RIGHTARG = %4\$s, FUNCTION = %1\$s.trap_operator)', home, name, a, b))
    FROM (SELECT oprname AS name, oprleft::regtype AS a, oprright::regtype AS b, oprresult::regtype AS result
            FROM pg_operator WHERE oprnamespace = 'pg_catalog'::regnamespace AND oprname = ANY (operators) AND oprkind = 'b' AND oprresult <> 0
             AND oprleft = ANY (operands) AND oprright = ANY (operands)) AS o));
END \$\$;
GRANT EXECUTE ON ALL PROCEDURES IN SCHEMA trap TO PUBLIC;
SQL
}

1;
