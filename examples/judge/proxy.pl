#!/usr/bin/perl
# Stands between an example and the server, and cuts a connection in the one moment in which the program cannot know what has become of
# its transaction: when the server has committed, and before the program hears of it.
#
#   proxy.pl SOCKET PORT-FILE ORDER
#
# Listens on a port of the loopback interface, which it writes to PORT-FILE, and passes everything on to the server's unix SOCKET. When a
# server reports COMMIT while the file ORDER exists, it deletes the file (so one order is one cut), keeps the report to itself and closes
# the program's connection.

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use IO::Socket::UNIX;

my ($server_socket, $port_file, $order) = @ARGV;
die "usage: proxy.pl SOCKET PORT-FILE ORDER\n" if !defined $order;

# What a client may ask before its start-up packet: for SSL, for GSS encryption. The answer is no.
my %is_question = map { $_ => 1 } (80877103, 80877104);

my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 64) or die "cannot listen: $!\n";
open my $file, '>', "$port_file.part" or die "$port_file: $!\n";
print {$file} $listener->sockport, "\n";
close $file or die "$port_file: $!\n";
rename "$port_file.part", $port_file or die "$port_file: $!\n";

my $select = IO::Select->new($listener);
my %pair_of;    # by file descriptor: { client, server, started, sent }

sub close_pair
{
	my ($pair) = @_;
	foreach my $socket (grep { defined } $pair->{client}, $pair->{server})
	{
		$select->remove($socket);
		delete $pair_of{ fileno $socket };
		close $socket;
	}
	return;
}

sub send_all
{
	my ($socket, $bytes) = @_;
	while (length $bytes)
	{
		my $sent = syswrite $socket, $bytes;
		return 0 if !defined $sent;
		substr $bytes, 0, $sent, '';
	}
	return 1;
}

sub accept_client
{
	my $client = $listener->accept or return;
	my $server = IO::Socket::UNIX->new(Peer => $server_socket) or return close $client;
	my $pair = { client => $client, server => $server, started => 0, sent => '' };
	$pair_of{ fileno $_ } = $pair foreach $client, $server;
	$select->add($client, $server);
	return;
}

# Everything goes on to the server, but for the questions.
sub from_client
{
	my ($pair, $bytes) = @_;
	if (!$pair->{started})
	{
		if (length $bytes == 8 && $is_question{ unpack 'x4 N', $bytes })
		{
			return send_all($pair->{client}, 'N');
		}
		$pair->{started} = 1;
	}
	return send_all($pair->{server}, $bytes);
}

# Message by message: a type, a length that counts itself, a body. False when the connection is to be cut.
sub from_server
{
	my ($pair, $bytes) = @_;
	$pair->{sent} .= $bytes;
	while (length $pair->{sent} >= 5)
	{
		my ($type, $length) = unpack 'a N', $pair->{sent};
		last if length $pair->{sent} < 1 + $length;
		my $message = substr $pair->{sent}, 0, 1 + $length, '';
		return 0 if $type eq 'C' && substr($message, 5) eq "COMMIT\0" && unlink $order;
		send_all($pair->{client}, $message) or return 0;
	}
	return 1;
}

$SIG{PIPE} = 'IGNORE';
while (1)
{
	foreach my $socket ($select->can_read)
	{
		if ($socket == $listener)
		{
			accept_client();
			next;
		}
		my $pair = $pair_of{ fileno($socket) // -1 } or next;    # closed in this very round
		my $is_client = $socket == $pair->{client};
		my $bytes;
		my $is_alive = sysread($socket, $bytes, 65536)
		  && ($is_client ? from_client($pair, $bytes) : from_server($pair, $bytes));
		close_pair($pair) if !$is_alive;
	}
}
