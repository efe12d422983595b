# What the TAP tests share: a rival that waits, and what it is told in the end; whether pg_repack is there.

package CouponGuard::Test;

use strict;
use warnings;

use Exporter 'import';

our @EXPORT = qw(start_rival answer find_pg_repack);

# Starts the call in a session of its own and returns when it waits for a transaction.
sub start_rival
{
	my ($node, $call) = @_;
	my $rival = $node->background_psql('postgres');
	my $pid = $rival->query_safe('SELECT pg_backend_pid()');
	$rival->query_until(qr/started/, "\\echo started\nSELECT status FROM $call;\n");
	$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_locks WHERE pid = $pid AND locktype = 'transactionid' AND NOT granted")
	  or die 'the rival does not wait';
	return $rival;
}

# The status that the rival's call has answered with.
sub answer
{
	my ($rival) = @_;
	my $answer = $rival->query_until(qr/finished/, "\\echo finished\n");
	$rival->quit;
	$answer =~ s/\s*finished\s*//;
	return $answer;
}

# The pg_repack that belongs to this very server; undef if there is none.
sub find_pg_repack
{
	my ($node) = @_;
	my ($programs, $share) = map { my $directory = $node->config_data($_); chomp $directory; $directory } '--bindir', '--sharedir';
	return -x "$programs/pg_repack" && -e "$share/extension/pg_repack.control" ? "$programs/pg_repack" : undef;
}

1;
