# A PgBouncer of a test's own, with so many sessions of the server for all its clients.
#
# The program: PGBOUNCER from the environment, else the one in the PATH or in /usr/sbin.

package CouponGuard::Pooler;

use strict;
use warnings;

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Time::HiRes qw(sleep time);

# undef if there is none.
sub program
{
	my ($program) = grep { defined && -x } $ENV{PGBOUNCER}, map { "$_/pgbouncer" } split(/:/, $ENV{PATH}), '/usr/sbin';
	return $program;
}

# Its roles may log in without a password. Whoever is the first of them may use its console.
sub new
{
	my ($class, $node, @roles) = @_;
	my $program = program() or die 'no pgbouncer';
	my ($major, $minor) = `"$program" --version` =~ /PgBouncer (\d+)\.(\d+)/ or die "$program tells no version";
	my $directory = PostgreSQL::Test::Utils::tempdir_short();
	append_to_file("$directory/users", join '', map { qq("$_" ""\n) } @roles);
	return bless {
		node => $node, program => $program, version => "$major.$minor", directory => $directory, roles => \@roles,
		keeps_statements => $major > 1 || $minor >= 21,
	}, $class;
}

# %settings: of [pgbouncer], beside these.
sub start
{
	my ($self, $mode, $sessions, %settings) = @_;
	my ($node, $directory) = @{$self}{qw(node directory)};
	$self->{port} //= PostgreSQL::Test::Cluster::get_free_port();
	my %all = (
		pool_mode => $mode, default_pool_size => $sessions, unix_socket_dir => $directory, listen_port => $self->{port}, auth_type => 'trust',
		auth_file => "$directory/users", admin_users => $self->{roles}[0], $self->{keeps_statements} ? (max_prepared_statements => 100) : (), %settings);
	open my $file, '>', "$directory/settings" or die $!;
	print {$file} '[databases]', "\n* = host=", $node->host, ' port=', $node->port, "\n[pgbouncer]\n", map { "$_ = $all{$_}\n" } sort keys %all;
	close $file or die $!;
	# To a file: a pipe that nobody reads would stop it.
	unlink "$directory/log";
	$self->{process} = IPC::Run::start([ $self->{program}, "$directory/settings" ], '<', \undef, '>&', "$directory/log");
	my $until = time + 60;
	while (($self->log =~ /process up/) == 0)
	{
		die 'PgBouncer does not start: ' . $self->log if !$self->{process}->pumpable && $self->log !~ /process up/ || time > $until;
		sleep 0.02;
	}
	return;
}

sub log
{
	my ($self) = @_;
	return -e "$self->{directory}/log" ? slurp_file("$self->{directory}/log") : '';
}

# At once: clients are not waited for.
sub stop
{
	my ($self, $signal) = @_;
	$self->{process}->signal($signal // 'TERM');
	$self->{process}->finish;
	unlink "$self->{directory}/.s.PGSQL.$self->{port}";
	return;
}

sub connstr
{
	my ($self, $role, $database) = @_;
	$database //= 'postgres';
	return "host=$self->{directory} port=$self->{port} dbname=$database user=" . ($role // $self->{roles}[0]);
}

# A command of its console, such as PAUSE, which returns when it is done.
sub command
{
	my ($self, $command) = @_;
	my ($output, $errors) = ('', '');
	IPC::Run::run([ $self->{node}->installed_command('psql'), '-X', '-A', '-t', '-c', $command, $self->connstr(undef, 'pgbouncer') ],
		'<', \undef, '>', \$output, '2>', \$errors)
	  or die "$command: $errors";
	return $output;
}

1;
