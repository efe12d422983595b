# What the extension consists of in a database (inventory.sql), and in what that of two databases differs.

package CouponGuard::Inventory;

use strict;
use warnings;

use Exporter 'import';
use File::Basename qw(dirname);

our @EXPORT = qw(inventory_of differences);

my $functions = do
{
	my $path = dirname(__FILE__) . '/inventory.sql';
	open my $file, '<', $path or die "$path: $!";
	local $/ = undef;
	<$file>;
};

# { object => { fact => value } }; after $statements of user $user, which are rolled back.
sub inventory_of
{
	my ($node, $database, $statements, $user) = @_;
	$statements //= '';
	my $connection = $node->connstr($database) . ($user ? " user=$user" : '');
	my $rows = $node->safe_psql($database, qq(
		SET client_min_messages = warning;
		BEGIN;
		$statements;
		SET LOCAL search_path = pg_catalog;
		$functions
		\\pset fieldsep_zero
		\\pset recordsep_zero
		SELECT object, fact, value FROM pg_temp.inventory('coupon_guard');
		ROLLBACK;), connstr => $connection);
	my %inventory;
	my @fields = split /\0/, $rows, -1;
	pop @fields; # after the last separator
	while (my ($object, $fact, $value) = splice @fields, 0, 3)
	{
		die "two values of $fact of $object" if exists $inventory{$object}{$fact};
		$inventory{$object}{$fact} = $value;
	}
	return \%inventory;
}

# Lines for a person: what is missing, what is too much, and what is another.
sub differences
{
	my ($found, $expected) = @_;
	my @lines;
	foreach my $object (sort keys %{ { %$found, %$expected } })
	{
		my ($is, $should) = ($found->{$object}, $expected->{$object});
		if (!$is) { push @lines, "missing: $object"; next }
		if (!$should) { push @lines, "too much: $object"; next }
		foreach my $fact (sort keys %{ { %$is, %$should } })
		{
			my ($value, $right) = map { $_->{$fact} // '(none)' } $is, $should;
			push @lines, "$object: $fact is $value, and of a fresh install $right" if $value ne $right;
		}
	}
	return @lines;
}

1;
