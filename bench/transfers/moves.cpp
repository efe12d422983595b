/// Units on their way from one shard to another: out of one, into the other, settled. For a shard
/// that asked, or because what is left is divided anew.

#include "shop.hpp"

namespace transfers {

void shop::begin_transfer(int giver, int taker, units wanted, bool is_of_rebalance) {
    _transfers.push_back({giver, taker, wanted, is_of_rebalance});
    plan(_settings.transfer / 3, kind::release, giver,
         static_cast<std::int64_t>(_transfers.size()) - 1);
}

void shop::release(std::int64_t which) {
    const transfer &wanted = _transfers[static_cast<std::size_t>(which)];
    shard &giver = at(wanted.giver);
    if (giver.left == 0 && giver.open > 0 && !wanted.is_of_rebalance)
        giver.takers.push_back(which);
    else
        move(which);
}

// What is wanted and there leaves the giver. Nothing there: the taker is told.
void shop::move(std::int64_t which) {
    transfer &of = _transfers[static_cast<std::size_t>(which)];
    shard &giver = at(of.giver);
    of.moved = std::min(of.wanted, giver.left);
    if (of.moved > 0) {
        giver.left -= of.moved;
        giver.under_way += of.moved;
        _unsettled += of.moved;
        giver.transfers++;
        _between += of.moved;
        _result.transfers++;
        plan(_settings.transfer / 3, kind::accept, of.taker, which);
    } else if (of.is_of_rebalance) {
        begin_next_move();
    } else if (at(of.taker).queue.empty()) {
        end_look(of.taker);
    } else {
        begin_look(of.taker);
    }
}

// Those who wait for what was open here: a unit has come back, or no more can.
void shop::answer_takers(int number) {
    shard &here = at(number);
    while (!here.takers.empty() && (here.left > 0 || here.open == 0)) {
        std::int64_t first = here.takers.front();
        here.takers.pop_front();
        move(first);
    }
}

void shop::accept(std::int64_t which) {
    const transfer &of = _transfers[static_cast<std::size_t>(which)];
    shard &taker = at(of.taker);
    taker.left += of.moved;
    taker.transfers++;
    _between -= of.moved;
    plan(_settings.transfer / 3, kind::settle, of.giver, which);
    if (!of.is_of_rebalance)
        taker.is_looking = false;
    serve(of.taker);
    answer_takers(of.taker);
}

void shop::settle(std::int64_t which) {
    const transfer &of = _transfers[static_cast<std::size_t>(which)];
    at(of.giver).under_way -= of.moved;
    _unsettled -= of.moved;
    if (of.is_of_rebalance)
        begin_next_move();
}

// ---- dividing anew what is left ---------------------------------------------------------------

// In proportion to what each shard has used, and a little for those that used nothing.
void shop::rebalance() {
    _result.questions++;
    _rebalanced_at = _now;
    units left = 0;
    units used = 0;
    std::vector<units> parts;
    for (shard &each : _shards) {
        left += each.left;
        parts.push_back(each.used - (_rule.looks_at_all_use ? 0 : each.used_before) + 1);
        used += parts.back();
        each.used_before = each.used;
    }
    for (units &part : parts)
        part = static_cast<units>(static_cast<double>(left) * static_cast<double>(part) /
                                  static_cast<double>(used));
    plan_moves(parts);
    begin_next_move();
}

// A shard that has less than half of its part is given the rest of it, by those that have most
// beyond theirs. To have it to the unit would be a transfer a shard each time.
void shop::plan_moves(std::vector<units> parts) {
    std::vector<units> beyond;
    for (std::size_t i = 0; i < parts.size(); i++)
        beyond.push_back(_shards[i].left - parts[i]);
    for (std::size_t taker = 0; taker < parts.size(); taker++) {
        if (_shards[taker].left >= parts[taker] / 2)
            continue;
        while (beyond[taker] < 0) {
            auto giver = std::max_element(beyond.begin(), beyond.end());
            units moved = std::min(*giver, -beyond[taker]);
            if (moved <= 0)
                break;
            _moves.push_back(
                {static_cast<int>(giver - beyond.begin()), static_cast<int>(taker), moved, true});
            *giver -= moved;
            beyond[taker] += moved;
        }
    }
}

// One after the other; when all are done, the next rebalance is at its time, or overdue.
void shop::begin_next_move() {
    if (!_moves.empty()) {
        const transfer next = _moves.front();
        _moves.pop_front();
        begin_transfer(next.giver, next.taker, next.wanted, true);
        return;
    }
    if (_buyers_to_come > 0)
        plan(std::max(0.0, _rebalanced_at + _rule.rebalanced_every - _now), kind::rebalance, 0);
}

} // namespace transfers
