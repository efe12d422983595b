# A router and its shards: databases of one server, or of a server each where one is to die.

package CouponGuard::Shards;

use strict;
use warnings;

use CouponGuard::Session;

# Servers in the order of the shards; the same one may come several times. The router is a database of the first, or of the one named.
sub new
{
	my ($class, %given) = @_;
	my @nodes = @{ $given{nodes} };
	my $self = bless { nodes => \@nodes, router_node => $given{router} // $nodes[0], users => {} }, $class;
	foreach my $i (0 .. $#nodes)
	{
		$nodes[$i]->safe_psql('postgres', "CREATE DATABASE s$i");
		# As docs/shards.md says.
		$nodes[$i]->safe_psql(
			"s$i", qq(
			CREATE EXTENSION coupon_guard;
			SELECT coupon_guard_set_shard('s$i', $i);
			DO \$\$ BEGIN IF to_regrole('router') IS NULL THEN CREATE ROLE router LOGIN; END IF; END \$\$;
			GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO router;
			GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO router;
			GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO router;
		));
	}
	$self->add_router('router');
	return $self;
}

sub add_router
{
	my ($self, $name) = @_;
	my @nodes = @{ $self->{nodes} };
	my $options = join ', ', map { sprintf "p%d '%s'", $_, "dbname=s$_ host=" . $nodes[$_]->host . ' port=' . $nodes[$_]->port } 0 .. $#nodes;
	$self->{router_node}->safe_psql('postgres', "CREATE DATABASE $name");
	$self->{router_node}->safe_psql(
		$name, qq(
		SET client_min_messages = warning;
		CREATE EXTENSION coupon_guard_router CASCADE;
		CREATE SERVER coupon_guard FOREIGN DATA WRAPPER plproxy OPTIONS ($options);
		CREATE USER MAPPING FOR CURRENT_USER SERVER coupon_guard OPTIONS (user 'router');
	));
	return;
}

sub router { my ($self, $name) = @_; return CouponGuard::Session->new($self->{router_node}, $name // 'router'); }
sub shard { my ($self, $i) = @_; return CouponGuard::Session->new($self->{nodes}[$i], "s$i"); }

# A user whom no test has had yet, of this shard.
sub user
{
	my ($self, $shard) = @_;
	my $count = @{ $self->{nodes} };
	if (!@{ $self->{users}{$shard} // [] })
	{
		my $after = $self->{last_user} // 0;
		$self->{last_user} = $after + 1000;
		my $session = $self->{nodes}[0]->safe_psql('postgres',
			"SELECT hashtext(n::text) & ($count - 1), n FROM generate_series($after + 1, $after + 1000) AS n");
		foreach (split /\n/, $session)
		{
			my ($at, $user) = split /\|/;
			push @{ $self->{users}{$at} }, $user;
		}
	}
	return shift @{ $self->{users}{$shard} };
}

# The rows of a query as text; or its SQLSTATE.
sub told
{
	my ($session, $sql) = @_;
	$session->start($sql);
	return outcome($session);
}

sub outcome
{
	my ($session) = @_;
	my $result = $session->finish;
	return $result->{sqlstate} // join ' ', map { join '|', @$_ } @{ $result->{rows} // [] };
}

1;
