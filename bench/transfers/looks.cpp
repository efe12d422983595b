/// What a shard does that has no unit left: it looks at all shards, and takes from one or refuses.

#include "shop.hpp"

namespace transfers {

// One at a time, and after one that found nothing not at once again.
void shop::plan_look(int number) {
    shard &here = at(number);
    if (here.is_looking)
        return;
    here.is_looking = true;
    seconds pause =
        here.found_nothing ? std::max(0.0, here.now.began + _settings.between_looks - _now) : 0;
    plan(pause, kind::look, number);
}

void shop::begin_look(int number) {
    look &now = at(number).now;
    now.began = _now;
    now.question = 0;
    now.asked_for = at(number).queue.size();
    ask(number);
}

void shop::ask(int number) {
    if (_settings.shards > 1)
        _result.questions++;
    look &now = at(number).now;
    now.question++;
    now.answered = 0;
    now.is_dry = now.is_as_before = true;
    now.richest = now.undecided = -1;
    now.of_richest = {};
    now.most_open = 0;
    // When all is sold nothing changes any more, and the answers may as well come at once.
    if (in_all() == 0 && _unsettled == 0)
        plan(_settings.question, kind::answer, number, all_shards);
    else
        plan(_settings.question / _settings.shards, kind::answer, number,
             (number + 1) % _settings.shards);
}

void shop::hear(int number, int answering) {
    if (answering == all_shards) {
        for (int i = 1; i <= _settings.shards; i++)
            hear_from(number, (number + i) % _settings.shards);
    } else {
        hear_from(number, answering);
        if (at(number).now.answered < _settings.shards) {
            plan(_settings.question / _settings.shards, kind::answer, number,
                 (answering + 1) % _settings.shards);
            return;
        }
    }
    conclude(number);
}

// Shard `answering` says what it has. The shard that looks answers itself, last.
void shop::hear_from(int number, int answering) {
    look &now = at(number).now;
    const shard &other = at(answering);
    auto place = static_cast<std::size_t>(answering);
    now.is_dry = now.is_dry && other.left == 0 && other.open == 0 && other.under_way == 0;
    now.is_as_before = now.is_as_before && now.transfers[place] == other.transfers;
    now.transfers[place] = other.transfers;
    if (answering != number && other.left > now.of_richest.left) {
        now.richest = answering;
        now.of_richest = {other.left, other.used};
    }
    if (answering != number && other.left == 0 && other.open > now.most_open) {
        now.undecided = answering;
        now.most_open = other.open;
    }
    now.answered++;
}

void shop::conclude(int number) {
    shard &here = at(number);
    look &now = here.now;
    const bool is_ahead = here.left > 0;
    if (is_ahead && _rule.ahead == 0) { // units have come meanwhile
        end_look(number);
        return;
    }
    if (now.richest >= 0) {
        here.found_nothing = false;
        begin_transfer(now.richest, number, _rule.gift_of(now.of_richest, {here.left, here.used}),
                       false);
        return;
    }
    if (is_ahead || (!now.is_dry && here.open > 0)) { // its own may yet bring what is wanted
        here.found_nothing = is_ahead;
        end_look(number);
        return;
    }
    if (now.undecided >= 0) {
        here.found_nothing = false;
        begin_transfer(now.undecided, number, 1, false);
        return;
    }
    if (!now.is_dry) { // something is under way
        begin_look(number);
        return;
    }
    if (now.question > 1 && !now.is_as_before) {
        begin_look(number);
        return;
    }
    if (now.question < _settings.questions_agree) {
        ask(number);
        return;
    }
    here.found_nothing = true;
    refuse(here);
    end_look(number);
}

void shop::end_look(int number) {
    shard &here = at(number);
    here.is_looking = false;
    if (!here.queue.empty() && here.open == 0)
        plan_look(number);
}

void shop::refuse(shard &of) {
    if (in_all() > 0)
        _result.refused_wrongly += static_cast<std::int64_t>(of.now.asked_for);
    for (; of.now.asked_for > 0; of.now.asked_for--) {
        _result.refusal_waits.push_back(static_cast<float>(_now - of.queue.front().since));
        of.queue.pop_front();
        _result.refused++;
    }
}

} // namespace transfers
