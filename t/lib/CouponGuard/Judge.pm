# What has come of a step of a history (Player.pm), and whether the model explains it.
#
# A step is over when every session has answered or waits for a lock. Then the model must explain what happened: what the session of the
# step answered, then, in some order, those that it let go; and whoever waits must have somebody to wait for. Several that are let go
# at once may come in any order, and a session that waits for one of several rivals need not notice before this one ends what another's
# end would have brought it: that much the contract leaves open, and nothing else is.
#
# What has been done is not always seen in the answer: whoever is refused may have locked the coupon's row and set up its quota, or have
# remembered the refusal and done neither. So there are several models, one for each course that things may have taken; those that do not
# explain what comes are dropped, and the history is explained as long as one is left.

package CouponGuard::Judge;

use strict;
use warnings;

use IO::Select;
use List::Util qw(any max none);
use Storable qw(dclone);
use Time::HiRes qw(time);

my $most_models = 16;

sub decide
{
	my ($self, $model, $name, $op) = @_;
	$model->{now} = ($self->{now} // time) * 1000000;
	return $model->decide($name, $op);
}

# Waits until every session has answered or waits for a lock, and is not in a circle that the server will break.
sub settle
{
	my ($self) = @_;
	my $until = time + 60;
	while (time < $until)
	{
		my @busy = grep { !$self->{sessions}{$_}->has_ended } $self->waiting;
		$self->{blocked} = {};
		return if !@busy;
		my %name_of = map { $self->{sessions}{$_}{pid} => $_ } keys %{ $self->{sessions} };
		my $pids = join ', ', map { $self->{sessions}{$_}{pid} } @busy;
		foreach my $row ($self->{observer}->query("SELECT pid, concat_ws(' ', locktype, relation, page, tuple, transactionid),
			array_to_string(pg_blocking_pids(pid), ' ') FROM pg_locks WHERE NOT granted AND pid IN ($pids)"))
		{
			my ($pid, $lock, $blockers) = @$row;
			$self->{blocked}{ $name_of{$pid} } = { lock => $lock, by => [ map { $name_of{$_} // 'prepared' } split / /, $blockers ] };
		}
		my $is_stable = (none { !$self->{blocked}{$_} } @busy) && !$self->has_circle;
		return if $is_stable && none { $self->{sessions}{$_}->has_ended } @busy;
		IO::Select->new(map { $self->{sessions}{$_}{socket} } grep { $self->{sessions}{$_}{is_busy} } @busy)->can_read(0.002) if !$is_stable;
	}
	die "neither answer nor wait: @{[ $self->waiting ]}";
}

sub has_circle
{
	my ($self) = @_;
	foreach my $start (keys %{ $self->{blocked} })
	{
		my (%seen, @next);
		@next = @{ $self->{blocked}{$start}{by} };
		while (defined(my $name = shift @next))
		{
			return 1 if $name eq $start;
			push @next, @{ $self->{blocked}{$name}{by} } if $self->{blocked}{$name} && !$seen{$name}++;
		}
	}
	return 0;
}

# The committed units in stripes that an open transaction has locked. A subtransaction that has ended well no longer has a lock of its
# own: whose it is must be remembered.
sub read_busy_units
{
	my ($self) = @_;
	my %name_of = map { $self->{sessions}{$_}{pid} => $_ } keys %{ $self->{sessions} };
	my (%busy, @locked);
	foreach my $row ($self->{observer}->query('EXECUTE look'))
	{
		my ($transaction, $pid, $quota) = @$row;
		$self->{owner}{$transaction} = $name_of{$pid} if $pid && $name_of{$pid};
		push @locked, $row if $quota;
	}
	foreach my $row (@locked)
	{
		my ($transaction, undef, $quota, $units) = @$row;
		# Whoever gathers units does so in a subtransaction, which has ended by now.
		my $owner = $self->{owner}{$transaction} //= $self->{gatherer};
		die "whose is transaction $transaction?" if !$owner;
		$busy{$quota}{$owner} += $units;
	}
	return \%busy;
}

# A quota may be set up by a call that then does without it, or is refused, for it could not know before. What the model does not know of
# by then is found in the table: true if there is any.
sub learn_quotas
{
	my ($self, $model) = @_;
	my @unknown = grep { !$model->{set_up}{$_} } map { $model->quotas_of($_) } sort keys %{ $model->{owners} } or return 0;
	my @found = map { $_->[0] } $self->{observer}->query("SELECT concat(kind, ':', owner_id) FROM coupon_quota WHERE stripe = 0
		AND generation = coupon_guard_generation() AND concat(kind, ':', owner_id) IN ('" . join("', '", @unknown) . "')");
	$model->{set_up}{$_} = 1 foreach @found;
	return scalar @found;
}

# The busy units as they were before these sessions, who waited when the step began, had been let go.
sub busy_before
{
	my ($self, @names) = @_;
	my %busy;
	foreach my $quota (keys %{ { %{ $self->{busy} }, %{ $self->{busy_then} } } })
	{
		$busy{$quota} = { %{ $self->{busy}{$quota} // {} } };
		foreach my $name (@names)
		{
			delete $busy{$quota}{$name};
			$busy{$quota}{$name} = $self->{busy_then}{$quota}{$name} if $self->{busy_then}{$quota}{$name};
		}
	}
	return \%busy;
}

sub as_text
{
	my ($answer) = @_;
	return "error $answer->{error}" if $answer->{error};
	my @columns =
	    exists $answer->{value} ? 'value'
	  : exists $answer->{remaining_units} ? qw(status remaining_uses remaining_units remaining_budget limited_by)
	  : qw(status id use_no replayed moment amount limited_by);
	return join '|', map { $answer->{$_} // '' } @columns;
}

# What the session answered, as the model puts it: true is 't', and what could not be foreseen is 'new'.
sub got
{
	my ($self, $name, $expected) = @_;
	my $result = $self->{sessions}{$name}{result};
	return "error $result->{sqlstate}" if $result->{sqlstate};
	my @row = @{ $result->{rows}[0] };
	return $row[0] if $self->{player}{$name}{op}{kind} eq 'claim';
	my $should_be_new = $expected && ($expected->{id} // '') eq 'new' && ($row[1] // '') =~ /^\d+$/;
	$row[1] = 'new' if $should_be_new && none { $_ == $row[1] } $self->{models}[0]->all_ids;
	$row[4] = 'new' if $expected && ($expected->{moment} // '') eq 'new' && ($row[4] // '') =~ /^\d+$/;
	return join '|', @row;
}

sub expected
{
	my ($self, $outcome) = @_;
	return 'waits for ' . join ' or ', @{ $outcome->{rivals} } if $outcome->{rivals};
	$outcome->{answer}{replayed} //= 'f' if exists $outcome->{answer}{status} && !exists $outcome->{answer}{remaining_units};
	return as_text($outcome->{answer});
}

# Lets the session's answer happen in the model: as many models as there are ways to have answered so; none if it would not have.
sub take_answer
{
	my ($self, $model, $name) = @_;
	my $player = $self->{player}{$name};
	my $outcome = $self->decide($model, $name, $player->{op});
	my $state = $self->{sessions}{$name}{result}{sqlstate} // '';
	my $is_broken_off = $state eq '57014' && $player->{is_cancelled}
	  || $state eq '40P01' && any { $self->{player}{$_} && $self->{player}{$_}{op} } @{ $outcome->{rivals} // [] };
	if (!$is_broken_off)
	{
		my $is_other = any { $self->expected({ answer => $_ }) eq $self->got($name) } @{ $outcome->{or_answers} // [] };
		return if $outcome->{rivals} && !$is_other;
		my $is_expected = $is_other || $self->expected($outcome) eq $self->got($name, $outcome->{answer});
		return if !$is_expected && !$self->is_refused_later($model, $outcome, $name);
	}
	my $open = $model->{open}{$name};
	$open->{held} = [];
	if ($state)
	{
		$model->fail($name);
		$model->roll_back($name) if !$player->{is_open};
		return $model;
	}
	my @row = @{ $self->{sessions}{$name}{result}{rows}[0] };
	my @models;
	foreach my $effects (courses($outcome, $player->{op}))
	{
		my $next = dclone($model);
		push @{ $next->{open}{$name}{log} }, map { settled_entry($_, $player->{op}, @row) } @$effects;
		$next->commit($name) if !$player->{is_open};
		push @models, $next;
	}
	return @models;
}

# What may have been done on the way to this outcome.
sub courses
{
	my ($outcome, $op) = @_;
	my @courses = ($outcome->{effects}, @{ $outcome->{or_effects} // [] });
	# Whoever has waited for a lock may have it, whatever came of that.
	my $locked = $op->{for_lock};
	return @courses if !$locked;
	return map { my $course = $_; map { [ @$_, @$course ] } [ { owner => $locked, lock => 1 } ], [ { perhaps => $locked } ] } @courses;
}

# Of two calls of one user that are let go at once, one may have the last unit while the other has seen that the user has none yet: then
# there is no unit for it either.
sub is_refused_later
{
	my ($self, $model, $outcome, $name) = @_;
	return 0 if !$self->{is_crowd} || !$outcome->{answer}{status} || $self->got($name) !~ /^sold_out/;
	my $of_stranger = $self->decide($model, $name, { %{ $self->{player}{$name}{op} }, user => 0, request => undef });
	return !$of_stranger->{rivals} && $of_stranger->{answer}{status} eq 'sold_out';
}

# An entry with what is known now.
sub settled_entry
{
	my ($entry, $op, @row) = @_;
	return $entry if !$entry->{image};
	my %image = %{ $entry->{image} };
	if (defined $entry->{number})
	{
		my ($id, $moment) = split /:/, (split / /, $row[1])[ $entry->{number} ];
		return { row => $id, image => { %image, moment => $moment } };
	}
	if (delete $image{is_hold}) { @image{ 'hold', 'moment' } = ($row[4], $row[4] - $op->{seconds} * 1000000) }
	elsif (($image{hold} // '') eq 'new') { $image{hold} = $row[4] }
	elsif (!defined $image{moment} || $image{moment} eq 'new') { $image{moment} = $row[4] }
	return { %$entry, row => $entry->{row} eq 'new' ? $row[1] : $entry->{row}, image => \%image };
}

# What those that wait have done so far.
sub hold_what_waiters_have
{
	my ($self, $model) = @_;
	foreach my $name (sort keys %{ $self->{blocked} })
	{
		my $op = $self->{player}{$name}{op};
		my $outcome = $self->decide($model, $name, $op);
		# One that waits without need has changed its row if it is plain SQL; a call has not, but may have prepared quotas.
		$model->{open}{$name}{held} = $op->{kind} =~ /^(delete|strike|revive|insert|resize)$/
		  ? [ grep { $_->{row} } @{ $outcome->{effects} } ]
		  : [ map { { perhaps => $_->{owner} } } grep { $_->{lock} } @{ $outcome->{effects} } ]
		  if !$outcome->{rivals};
		next if !$outcome->{rivals};
		my ($locked) = map { $_->{owner} } grep { $_->{lock} } @{ $outcome->{effects} };
		$op->{for_lock} ||= $outcome->{for_lock} // $locked;
		# One that sleeps has not noticed what others have done meanwhile.
		push @{ $model->{open}{$name}{log} }, @{ $outcome->{kept} // [] } if $self->{has_just_begun}{$name};
		$model->{open}{$name}{held} = [ @{ $outcome->{effects} }, $op->{for_lock} ? { perhaps => $op->{for_lock} } : () ];
	}
	return;
}

# Who of those that wait has no reason to, as things are.
sub waits_for_nothing
{
	my ($self, $model) = @_;
	my @names;
	foreach my $name (sort keys %{ $self->{blocked} })
	{
		my $blocked = $self->{blocked}{$name};
		my $outcome = $self->decide($model, $name, $self->{player}{$name}{op});
		my @rivals = map { @{ $outcome->{$_} // [] } } 'rivals', 'may_wait', $name eq $self->{fresh} ? () : 'or_if_let_go';
		my %rivals = map { $_ => 1, /^p\d/ ? (prepared => 1) : () } @rivals;
		# Who waits for the same row already is the next to have it.
		my $is_queued = $outcome->{rivals} && $blocked->{lock} =~ /^tuple/ && any { $self->{blocked}{$_} } @{ $blocked->{by} };
		push @names, $name if !$is_queued && none { $rivals{$_} } @{ $blocked->{by} };
	}
	return @names;
}

# Whether it is the wait of before. It goes from a subtransaction that ends well to the one around it.
sub waits_on
{
	my ($self, $before, $now) = @_;
	return $before && ($before->{lock} eq $now->{lock} || $self->{is_passed_on} && "@{ $before->{by} }" =~ $self->{is_passed_on});
}

# The models after all that was answered, in orders that explain it. Whoever waits now has looked after one of the answers; @doubtful had
# no reason to wait so far.
sub explain
{
	my ($self, $model, $answered, @doubtful) = @_;
	$model->{busy} = $self->busy_before(@$answered, @$answered ? @doubtful : ());
	$self->hold_what_waiters_have($model) if !@$answered;
	my %for_nothing = map { $_ => 1 } $self->waits_for_nothing($model);
	@doubtful = grep { $for_nothing{$_} } @doubtful;
	return @doubtful ? () : $model if !@$answered;
	my @explained;
	foreach my $name (@$answered)
	{
		my @others = grep { $_ ne $name } @$answered;
		push @explained, map { $self->explain($_, \@others, @doubtful) } $self->take_answer(dclone($model), $name);
	}
	return distinct(@explained);
}

# As few of them as say different things.
sub distinct
{
	my %seen;
	return grep { !$seen{ join ';', map { written($_) } @{$_}{qw(owners set_up rows open counting)} }++ } @_;
}

sub written
{
	my ($value) = @_;
	return '[' . join(',', map { written($_) } @$value) . ']' if ref $value eq 'ARRAY';
	return '{' . join(',', map { "$_=" . written($value->{$_}) } sort keys %$value) . '}' if ref $value;
	return $value // '';
}

# True if a model explains what came of the step. $fresh is the session that was asked in it, if any.
sub judge
{
	my ($self, $name, $what, $fresh) = @_;
	$self->{sessions}{$fresh}->has_ended(0.003) if $fresh;
	my $before = $self->{blocked};
	$self->{is_passed_on} = $what =~ /^(RELEASE|PREPARE)/ ? qr/\b$name\b/ : undef;
	$self->settle;
	# Of the calls of this step: one that goes on waiting gathers nothing.
	my @gatherers = grep { $self->{player}{$_}{op}{kind} =~ /^(claim|redeem|hold|insert|revive|resize)$/ } $self->waiting;
	($self->{gatherer}) = ((grep { $_ eq ($fresh // '') || !$before->{$_} || !$self->{blocked}{$_} } @gatherers), @gatherers);
	@{$self}{ 'busy_then', 'busy' } = ($self->{busy}, $self->read_busy_units);
	my @answered = grep { !$self->{blocked}{$_} } $self->waiting;
	my $is_first_answered = $fresh && any { $_ eq $fresh } @answered;
	my @others = grep { !$is_first_answered || $_ ne $fresh } @answered;

	$self->{fresh} = $fresh // '';
	$self->{is_crowd} = @answered > 1;
	my @doubtful = grep { $_ eq $self->{fresh} || !$self->waits_on($before->{$_}, $self->{blocked}{$_}) } sort keys %{ $self->{blocked} };
	$self->{has_just_begun} = { map { $_ => 1 } @doubtful };
	my $now = time;
	my @moments = ((any { $_ <= $now } @{ $self->{deadlines} }) ? $self->{asked_at} : (), $now);
	my (@explained, $after_first, $expected);
	# A deadline that has passed meanwhile may have been seen or not; so may a quota whose setting up the model did not notice.
	foreach my $known (@{ $self->{models} })
	{
		my $model = dclone($known);
		$model->{busy} = $self->busy_before(@others, grep { $_ ne $self->{fresh} } @doubtful);
		my $learned = dclone($model);
		foreach my $attempt (map { my $one = $_; map { [ $one, $_ ] } @moments } $model, $self->learn_quotas($learned) ? $learned : ())
		{
			(my $start, $self->{now}) = @$attempt;
			$expected //= $fresh ? $self->expected($self->decide($start, $fresh, $self->{player}{$fresh}{op})) : '';
			my @first = $is_first_answered ? $self->take_answer(dclone($start), $fresh) : dclone($start);
			$after_first //= dclone($first[0]) if @first;
			push @explained, map { $self->explain($_, \@others, @doubtful) } @first;
		}
	}
	push @{ $self->{steps} }, "$name: $what" . ($fresh ? " -- expected $expected; " . $self->what_came($fresh) : '');
	my @waiting = grep { $_ ne $self->{fresh} } sort keys %{ $self->{blocked} };
	$self->note_others($after_first // dclone($self->{models}[0]), @others, @waiting) if @others || !@explained;
	return 0 if !@explained;
	$self->learn_quotas($_) foreach @explained;
	my @distinct = distinct(@explained);
	$self->{models} = [ @distinct > $most_models ? @distinct[ 0 .. $most_models - 1 ] : @distinct ];
	$self->{tally}{'more models than are followed'}++ if @distinct > $most_models;
	$self->{tally}{'most models'} = max($self->{tally}{'most models'} // 0, scalar @distinct);
	$self->count($fresh, $before, @answered);
	foreach my $player (map { $self->{player}{$_} } @answered)
	{
		$player->{is_failed} = 1 if $player->{is_open} && $self->{sessions}{ $player->{name} }{result}{sqlstate};
		$player->{answered} = delete $player->{op};
		$player->{is_cancelled} = 0;
	}
	return 1;
}

sub what_came
{
	my ($self, $name) = @_;
	my $blocked = $self->{blocked}{$name};
	return $blocked ? "waits for @{ $blocked->{by} } ($blocked->{lock})" : 'got ' . $self->got($name);
}

sub note_others
{
	my ($self, $model, @others) = @_;
	foreach my $name (@others)
	{
		my $outcome = $self->decide($model, $name, $self->{player}{$name}{op});
		push @{ $self->{steps} }, "   $name, which waited: expected " . $self->expected($outcome) . '; ' . $self->what_came($name);
	}
	return;
}

sub count
{
	my ($self, $fresh, $before, @answered) = @_;
	my $tally = $self->{tally};
	$tally->{steps}++;
	$tally->{'several let go at once'}++ if @answered > 1;
	foreach my $name (@answered)
	{
		my $result = $self->{sessions}{$name}{result};
		my $op = $self->{player}{$name}{op};
		my $kind = $op->{kind};
		my $deadline = ($result->{rows}[0][0] // '') eq 'held' ? $result->{rows}[0][4] / 1000000 : time + 3600;
		push @{ $self->{deadlines} }, $deadline if $deadline < time + 1; # the others are an hour away
		my $how = $before->{$name} ? ', after a wait' : '';
		$tally->{ "$kind: " . ($result->{sqlstate} // $result->{rows}[0][0]) . $how }++;
	}
	$tally->{"$self->{player}{$fresh}{op}{kind}: waits"}++ if $fresh && $self->{blocked}{$fresh} && !$before->{$fresh};
	return;
}

1;
