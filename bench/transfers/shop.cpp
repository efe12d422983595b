/// The sale: buyers come to their shards, take units, and end.

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
    for (int i = 0; i < wanted.shards; i++) {
        at(i).left = wanted.cap / wanted.shards + (i < wanted.cap % wanted.shards ? 1 : 0);
        at(i).now.transfers.resize(_shards.size());
    }
}

void shop::plan(seconds after, kind what, int number, std::int64_t of) {
    _events.push({_now + after, _planned++, what, number, of});
}

void shop::plan_next_buyer() {
    if (_buyers_to_come-- <= 0)
        return;
    std::exponential_distribution<seconds> gap(static_cast<double>(_settings.buyers) /
                                               _settings.sale);
    plan(gap(_random), kind::buyer, shard_of_buyer());
}

int shop::shard_of_buyer() {
    double where = std::uniform_real_distribution<double>(0, _share.back())(_random);
    auto found = std::lower_bound(_share.begin(), _share.end(), where) - _share.begin();
    auto moved =
        _settings.first_moves > 0 ? static_cast<std::ptrdiff_t>(_now / _settings.first_moves) : 0;
    return static_cast<int>((found + moved) % _settings.shards);
}

result shop::play() {
    plan_next_buyer();
    if (_rule.rebalanced_every > 0)
        plan(_rule.rebalanced_every, kind::rebalance, 0);
    while (!_events.empty()) {
        event next = _events.top();
        _events.pop();
        _now = next.at;
        happen(next);
    }
    _result.unaccounted = _settings.cap - _result.sold - in_all();
    return _result;
}

void shop::happen(const event &now) {
    switch (now.what) {
    case kind::buyer:
        plan_next_buyer();
        come(now.shard);
        break;
    case kind::end:
        end(now.shard, now.of != 0);
        break;
    case kind::look:
        begin_look(now.shard);
        break;
    case kind::answer:
        hear(now.shard, static_cast<int>(now.of));
        break;
    case kind::release:
        release(now.of);
        break;
    case kind::accept:
        accept(now.of);
        break;
    case kind::settle:
        settle(now.of);
        break;
    case kind::rebalance:
        rebalance();
        break;
    }
}

void shop::come(int number) {
    shard &here = at(number);
    if (here.left > 0 && here.queue.empty()) {
        take(here);
        if (wants_more(here))
            plan_look(number);
        return;
    }
    here.queue.push_back({_now});
    if (here.open == 0)
        plan_look(number);
}

void shop::take(shard &from) {
    from.left--;
    from.open++;
    from.rate = from.rate * std::exp((from.rated_at - _now) / rate_memory) + 1 / rate_memory;
    from.rated_at = _now;
    bool is_committed =
        std::uniform_real_distribution<double>(0, 1)(_random) >= _settings.rolled_back;
    plan(_settings.transaction, kind::end, static_cast<int>(&from - _shards.data()),
         is_committed ? 1 : 0);
}

// Whoever waits, as far as there are units.
void shop::serve(int number) {
    shard &here = at(number);
    while (here.left > 0 && !here.queue.empty()) {
        auto waited = static_cast<float>(_now - here.queue.front().since);
        here.queue.pop_front();
        if (here.now.asked_for > 0)
            here.now.asked_for--;
        _result.waited++;
        _result.waits.push_back(waited);
        take(here);
    }
    if ((!here.queue.empty() && here.open == 0) || wants_more(here))
        plan_look(number);
}

void shop::end(int number, bool is_committed) {
    shard &here = at(number);
    here.open--;
    if (is_committed) {
        here.used++;
        if (++_result.sold == _settings.cap)
            _result.last_unit = _now;
    } else {
        here.left++;
    }
    serve(number);
    answer_takers(number);
}

bool shop::wants_more(const shard &of) const {
    if (_rule.ahead == 0 || of.found_nothing)
        return false;
    double rate = of.rate * std::exp((of.rated_at - _now) / rate_memory);
    return static_cast<double>(of.left) <
           rate * _rule.ahead * (_settings.question + _settings.transfer);
}

units shop::in_all() const {
    units sum = _between;
    for (const shard &each : _shards)
        sum += each.left + each.open;
    return sum;
}

} // namespace transfers
