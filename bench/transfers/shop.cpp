#include "shop.hpp"

#include <cmath>

namespace transfers {
namespace {

// Over which the rate of a shard's sales is averaged.
constexpr seconds rate_memory = 0.1;

} // namespace

shop::shop(const settings &wanted, const transfer_rule &rule)
    : _settings(wanted)
    , _rule(rule)
    , _random(wanted.seed)
    , _shards(static_cast<std::size_t>(wanted.shards))
    , _buyers_to_come(wanted.buyers) {
    double sum = 0;
    for (int i = 0; i < wanted.shards; i++)
        _share.push_back(sum += std::pow(i + 1, -wanted.zipf));
    for (double &share : _share)
        share = wanted.to_first + share / sum * (1 - wanted.to_first);
    for (int i = 0; i < wanted.shards; i++)
        _shards[static_cast<std::size_t>(i)].left =
            wanted.cap / wanted.shards + (i < wanted.cap % wanted.shards ? 1 : 0);
}

void shop::plan(seconds after, kind what, int number, units amount) {
    _events.push({_now + after, _planned++, what, number, amount});
}

void shop::plan_next_buyer() {
    if (_buyers_to_come-- <= 0)
        return;
    std::exponential_distribution<seconds> gap(static_cast<double>(_settings.buyers) /
                                               _settings.sale);
    plan(gap(_random), kind::buyer, shard_of_buyer());
}

int shop::shard_of_buyer() {
    double at = std::uniform_real_distribution<double>(0, _share.back())(_random);
    return static_cast<int>(std::lower_bound(_share.begin(), _share.end(), at) - _share.begin());
}

result shop::play() {
    plan_next_buyer();
    while (!_events.empty()) {
        event next = _events.top();
        _events.pop();
        _now = next.at;
        shard &at = _shards[static_cast<std::size_t>(next.shard)];
        switch (next.what) {
        case kind::buyer:
            plan_next_buyer();
            come(at, next.shard);
            break;
        case kind::end:
            end(at, next.shard, next.amount != 0);
            break;
        case kind::question:
            ask(at, next.shard);
            break;
        case kind::answer:
            hear(at, next.shard);
            break;
        case kind::arrival:
            at.coming -= next.amount;
            at.left += next.amount;
            serve(at, next.shard);
            break;
        }
    }
    return _result;
}

// ---- buyers -----------------------------------------------------------------------------------

void shop::come(shard &at, int number) {
    if (at.left > 0 && at.queue.empty()) {
        take(at, number);
        if (wants_more(at))
            plan_question(at, number);
        return;
    }
    at.queue.push_back({_now});
    if (at.open == 0)
        plan_question(at, number);
}

void shop::take(shard &at, int number) {
    at.left--;
    at.open++;
    at.rate = at.rate * std::exp((at.rated_at - _now) / rate_memory) + 1 / rate_memory;
    at.rated_at = _now;
    bool is_committed =
        std::uniform_real_distribution<double>(0, 1)(_random) >= _settings.rolled_back;
    plan(_settings.transaction, kind::end, number, is_committed ? 1 : 0);
}

// Whoever waits, as far as there are units.
void shop::serve(shard &at, int number) {
    while (at.left > 0 && !at.queue.empty()) {
        auto waited = static_cast<float>(_now - at.queue.front().since);
        at.queue.pop_front();
        if (at.asked_for > 0)
            at.asked_for--;
        _result.waited++;
        _result.waits.push_back(waited);
        take(at, number);
    }
    if ((!at.queue.empty() && at.open == 0) || wants_more(at))
        plan_question(at, number);
}

void shop::end(shard &at, int number, bool is_committed) {
    at.open--;
    if (is_committed) {
        at.used++;
        if (++_result.sold == _settings.cap)
            _result.last_unit = _now;
    } else {
        at.left++;
    }
    serve(at, number);
}

// ---- asking the others ------------------------------------------------------------------------

bool shop::wants_more(const shard &at) const {
    if (_rule.ahead == 0 || at.found_nothing)
        return false;
    double rate = at.rate * std::exp((at.rated_at - _now) / rate_memory);
    return static_cast<double>(at.left + at.coming) <
           rate * _rule.ahead * (_settings.question + _settings.transfer);
}

void shop::plan_question(shard &at, int number) {
    if (at.is_asking || at.coming > 0)
        return;
    at.is_asking = true;
    seconds pause =
        at.found_nothing ? std::max(0.0, at.last_question + _settings.between_questions - _now) : 0;
    plan(pause, kind::question, number);
}

void shop::ask(shard &at, int number) {
    _result.questions++;
    at.last_question = _now;
    at.asked_for = at.queue.size();
    plan(_settings.question, kind::answer, number);
}

int shop::richest(const shard &except) const {
    int found = -1;
    units most = 0;
    for (std::size_t i = 0; i < _shards.size(); i++)
        if (&_shards[i] != &except && _shards[i].left > most) {
            most = _shards[i].left;
            found = static_cast<int>(i);
        }
    return found;
}

bool shop::may_come(const shard &except) const {
    for (const shard &other : _shards)
        if (&other != &except && (other.open > 0 || other.coming > 0 || other.left > 0))
            return true;
    return false;
}

void shop::hear(shard &at, int number) {
    at.is_asking = false;
    int giver = richest(at);
    if (giver >= 0) {
        shard &rich = _shards[static_cast<std::size_t>(giver)];
        units gift = _rule.gift_of({rich.left, rich.used}, {at.left, at.used});
        rich.left -= gift;
        at.coming += gift;
        at.found_nothing = false;
        _result.transfers++;
        plan(_settings.transfer, kind::arrival, number, gift);
        return;
    }
    at.found_nothing = true;
    if (!may_come(at) && at.open == 0 && at.left == 0)
        refuse(at);
    if (!at.queue.empty() && at.open == 0)
        plan_question(at, number);
}

void shop::refuse(shard &at) {
    if (in_all() > 0)
        _result.refused_wrongly += static_cast<std::int64_t>(at.asked_for);
    for (; at.asked_for > 0; at.asked_for--) {
        _result.refusal_waits.push_back(static_cast<float>(_now - at.queue.front().since));
        at.queue.pop_front();
        _result.refused++;
    }
}

units shop::in_all() const {
    units sum = 0;
    for (const shard &each : _shards)
        sum += each.left + each.open + each.coming;
    return sum;
}

} // namespace transfers
