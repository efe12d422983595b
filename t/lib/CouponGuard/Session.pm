# A connection that is asked without waiting for the answer. It speaks the protocol itself (version 3, simple queries, a unix socket
# without password): a psql in between would be asked through two pipes, some hundred times slower, and would not show the SQLSTATE.

package CouponGuard::Session;

use strict;
use warnings;

use IO::Select;
use IO::Socket::UNIX;
use Time::HiRes qw(time);

sub new
{
	my ($class, $node, $database) = @_;
	$database //= 'postgres';
	my $path = $node->host . '/.s.PGSQL.' . $node->port;
	my $socket = IO::Socket::UNIX->new(Peer => $path) or die "$path: $!";
	my $self = bless { socket => $socket, select => IO::Select->new($socket), received => '', is_busy => 1 }, $class;
	my $user = getpwuid($>);
	my $startup = pack('N', 196608) . "user\0$user\0database\0$database\0\0";
	$self->send_bytes(pack('N', 4 + length $startup) . $startup);
	$self->finish;
	die "no connection: $self->{result}{message}" if $self->{result}{sqlstate};
	return $self;
}

sub send_bytes
{
	my ($self, $bytes) = @_;
	while (length $bytes)
	{
		my $sent = syswrite $self->{socket}, $bytes or die "connection lost: $!";
		substr $bytes, 0, $sent, '';
	}
	return;
}

sub start
{
	my ($self, $query) = @_;
	$self->{is_busy} = 1;
	$self->{result} = undef;
	$self->{asked} = $query;
	$self->send_bytes('Q' . pack('N', 5 + length $query) . "$query\0");
	return;
}

# Takes in what has come, after at most so many seconds; true if the query has ended, or the connection.
sub has_ended
{
	my ($self, $seconds) = @_;
	my $until = time + ($seconds // 0);
	while ($self->{is_busy})
	{
		my $left = $until - time;
		# A signal may have ended the wait.
		if (!$self->{select}->can_read($left > 0 ? $left : 0))
		{
			last if time >= $until;
			next;
		}
		my $count = sysread $self->{socket}, $self->{received}, 65536, length $self->{received};
		if (!$count)
		{
			$self->{is_busy} = 0;
			$self->{is_lost} = 1;
		}
		$self->take_message while $self->{is_busy} && $self->has_message;
	}
	return !$self->{is_busy};
}

sub has_message
{
	my ($self) = @_;
	return length $self->{received} >= 5 && length $self->{received} > unpack 'x N', $self->{received};
}

sub take_message
{
	my ($self) = @_;
	my ($type, $length) = unpack 'a N', $self->{received};
	my $body = substr(substr($self->{received}, 0, $length + 1, ''), 5);
	if ($type eq 'D')
	{
		my ($columns, @row) = unpack 'n', $body;
		my $at = 2;
		foreach (1 .. $columns)
		{
			my $size = unpack 'N!', substr $body, $at, 4;
			$at += 4;
			push @row, $size < 0 ? '' : substr $body, $at, $size;
			$at += $size if $size > 0;
		}
		push @{ $self->{result}{rows} }, \@row;
	}
	elsif ($type eq 'E')
	{
		my %field = map { substr($_, 0, 1) => substr($_, 1) } grep { length } split /\0/, $body;
		@{ $self->{result} }{ 'sqlstate', 'message' } = ($field{C}, $field{M});
	}
	elsif ($type eq 'K')
	{
		$self->{pid} = unpack 'N', $body;
	}
	elsif ($type eq 'R')
	{
		die 'the server wants a password' if unpack('N', $body) != 0;
	}
	elsif ($type eq 'Z')
	{
		$self->{is_busy} = 0;
		$self->{is_aborted} = $body eq 'E'; # the transaction, which waits for its end
	}
	return;
}

# Waits until the query has ended, or the connection.
sub finish
{
	my ($self) = @_;
	$self->has_ended(180) or die 'this does not end: ' . ($self->{asked} // 'connecting');
	return $self->{result};
}

# The rows of a query that must succeed.
sub query
{
	my ($self, $query) = @_;
	$self->start($query);
	my $result = $self->finish;
	die "connection lost: $query" if $self->{is_lost};
	die "$query: $result->{message}" if $result->{sqlstate};
	return @{ $result->{rows} // [] };
}

sub close
{
	my ($self) = @_;
	$self->{socket}->close;
	return;
}

1;
