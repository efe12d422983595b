#include "scenario/scenario.hpp"

#include <stdexcept>

namespace coupon_race {

const strategy *scenario::strategy_named(const std::string &wanted) const {
    for (const auto &each : strategies)
        if (each->name() == wanted)
            return each.get();
    return nullptr;
}

void scenario::set_up(const turn &of) const {
    const std::int64_t cap = of.settings.cap;
    const std::int64_t budget = of.settings.budget;
    const int clients = of.settings.clients;
    of.raced.set_up(of.connection, {{raced_code, cap, budget},
                                    {warm_up_code, cap > 0 ? clients : 0,
                                     budget > 0 ? clients * of.settings.max_amount : 0}});
}

race_result scenario::run(const turn &of) const {
    race_result result;
    race(of, result);
    read(of, result);
    return result;
}

void scenario::read(const turn &of, race_result &result) const {
    result.ledger = of.raced.ledger(of.connection, raced_code);
    result.broken_invariants = of.raced.figure(of.connection, "broken");
    result.came_back = of.raced.figure(of.connection, "came_back");
}

const std::vector<std::unique_ptr<scenario>> &scenarios() {
    static const auto all = [] {
        std::vector<std::unique_ptr<scenario>> list;
        list.push_back(make_double_click());
        list.push_back(make_drop());
        list.push_back(make_checkout());
        list.push_back(make_budget());
        list.push_back(make_claim());
        return list;
    }();
    return all;
}

const scenario &scenario_named(std::string_view name) {
    for (const auto &each : scenarios())
        if (each->name == name)
            return *each;
    throw std::invalid_argument{std::string{name}};
}

} // namespace coupon_race
