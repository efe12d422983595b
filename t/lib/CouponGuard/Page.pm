# A page of docs/ whose code blocks are run as they stand, heading by heading.

package CouponGuard::Page;

use strict;
use warnings;

# Blocks belong to the heading that stands before them, of whatever level.
sub new
{
	my ($class, $file) = @_;
	my $self = bless { file => $file, blocks => {} }, $class;
	my ($heading, $block);
	open my $page, '<', $file or die "$file: $!";
	while (my $line = <$page>)
	{
		if ($block and $line eq "```\n") { $block = undef; }
		elsif ($block) { $block->[1] .= $line; }
		elsif ($line =~ /^#+ (.*)$/) { $heading = $1; }
		elsif ($line =~ /^```(\w*)$/) { push @{ $self->{blocks}{$heading} }, $block = [ $1, '' ]; }
	}
	close $page;
	return $self;
}

# The next block under a heading: its language and its text.
sub next
{
	my ($self, $heading) = @_;
	my $block = shift @{ $self->{blocks}{$heading} // [] } or die "$self->{file}: no block (more) under \"$heading\"";
	return @$block;
}

# The headings that have a block of which nobody has asked.
sub left
{
	my ($self) = @_;
	return grep { @{ $self->{blocks}{$_} } } sort keys %{ $self->{blocks} };
}

1;
