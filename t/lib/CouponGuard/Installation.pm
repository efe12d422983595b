# An installation of PostgreSQL of the test's own: that of the server under test, but for the scripts of coupon_guard, which are
# those that the test writes. So versions of the extension that are not released, or never will be, are CREATEd and ALTERed as any
# other, by a user who may not write to the server's directories.
#
# PostgreSQL finds its directories from where its program is. The programs that start the server are copied (a link would be
# followed to where it leads); all else is links.

package CouponGuard::Installation;

use strict;
use warnings;

use File::Basename qw(basename dirname);
use File::Copy qw(copy);
use File::Glob qw(:bsd_glob);
use File::Path qw(make_path);

# In $directory, which is there and empty.
sub new
{
	my ($class, $directory) = @_;
	my %original = map { $_ => config('pg_config', $_) } qw(bindir sharedir pkglibdir);
	my $self = bless { original => \%original, directory => $directory }, $class;

	make_path($directory . dirname($original{pkglibdir}), map { $directory . $_ } $original{bindir}, "$original{sharedir}/extension");
	my @copied = qw(postgres initdb pg_ctl pg_config);
	foreach my $program (@copied)
	{
		my $copy = "$directory$original{bindir}/$program";
		copy("$original{bindir}/$program", $copy) && chmod(0755, $copy) or die "$copy: $!";
	}
	$self->link_entries($original{bindir}, qr/^(@{[ join '|', @copied ]})$/);
	-e "$directory$original{pkglibdir}" or symlink $original{pkglibdir}, "$directory$original{pkglibdir}" or die "$original{pkglibdir}: $!";
	$self->link_entries($original{sharedir}, qr/^extension$/);
	$self->link_entries("$original{sharedir}/extension", qr/^coupon_guard\b/);

	my $found = config("$directory$original{bindir}/pg_config", 'sharedir');
	die "this PostgreSQL cannot be moved: its copy looks in $found" if $found ne "$directory$original{sharedir}";
	return $self;
}

sub config
{
	my ($program, $what) = @_;
	my $value = qx("$program" --$what);
	die "$program --$what failed" if $? != 0;
	chomp $value;
	return $value;
}

# Everything in a directory of the original but what is named.
sub link_entries
{
	my ($self, $original, $except) = @_;
	foreach my $entry (glob "$original/*")
	{
		next if basename($entry) =~ $except;
		symlink $entry, $self->{directory} . $entry or die "$entry: $!";
	}
	return;
}

# What PostgreSQL::Test::Cluster->new takes as install_path.
sub install_path { return $_[0]{directory} . dirname($_[0]{original}{bindir}) }

# The text of a file of the extension as it is installed on the server under test.
sub installed
{
	my ($self, $name) = @_;
	return slurp("$self->{original}{sharedir}/extension/$name");
}

# The update scripts of the server under test: names of files.
sub installed_updates
{
	my ($self) = @_;
	return map { basename($_) } glob "$self->{original}{sharedir}/extension/coupon_guard--*--*.sql";
}

sub slurp
{
	my ($path) = @_;
	open my $file, '<:raw', $path or die "$path: $!";
	local $/ = undef;
	return scalar <$file>;
}

sub add
{
	my ($self, $name, $text) = @_;
	my $path = "$self->{directory}$self->{original}{sharedir}/extension/$name";
	open my $file, '>:raw', $path or die "$path: $!";
	print $file $text;
	close $file or die "$path: $!";
	return;
}

1;
