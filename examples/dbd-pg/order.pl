#!/usr/bin/perl
# An order and its coupon in one transaction, with DBD::Pg: order.pl USER CODE REQUEST
use strict;
use warnings;

use DBI;
use Time::HiRes 'sleep';

sub place_order
{
	my ($db, $user_id, $code, $request_id) = @_;
	$db->do(q(SET LOCAL lock_timeout = '1s'));
	my ($order_id) = $db->selectrow_array(
		'INSERT INTO orders (user_id, request_id) VALUES (?, ?) ON CONFLICT (user_id, request_id) DO NOTHING RETURNING id',
		undef, $user_id, $request_id);
	my $status;
	if (!defined $order_id)    # an earlier attempt has been committed, redemption and all
	{
		($status) = $db->selectrow_array('SELECT coupon_status FROM orders WHERE user_id = ? AND request_id = ?',
			undef, $user_id, $request_id);
	}
	else
	{
		($status, my $redemption_id, my $terms) = $db->selectrow_array(
			'SELECT status, redemption_id, terms FROM promo.redeem_coupon(?::bigint, ?, ?)',
			undef, $user_id, $code, $request_id);
		$redemption_id = undef if $status ne 'redeemed';    # a refusal is a value: the order goes on without the discount
		$db->do('UPDATE orders SET coupon_status = ?, redemption_id = ?, discount = ? WHERE id = ?',
			undef, $status, $redemption_id, $terms, $order_id);
	}
	$db->commit;
	return $status;
}

sub checkout
{
	my (@request) = @_;
	foreach my $attempt (0 .. 4)
	{
		my $db;
		my $status = eval {
			$db = DBI->connect('dbi:Pg:', undef, undef, { AutoCommit => 0, RaiseError => 1, PrintError => 0 });
			place_order($db, @request);
		};
		return $status if defined $status;
		my $failure = $@;
		my $state = $db ? $db->state : $DBI::state;
		eval { $db->rollback } if $db;
		return 'busy' if $state eq '55P03';    # an earlier click of this user is still in progress; this one has done nothing
		# A conflict or a lost connection: the same request again. In the end, die: the outcome is unknown.
		die $failure if $attempt == 4 || $state !~ /^(40001|40P01|57P0.|08...)$/;
		sleep(rand(0.1 * 2**$attempt));
	}
	return;
}

print checkout(@ARGV), "\n";
