#include "strategies/check_then_insert.hpp"
#include "strategies/guarded.hpp"
#include "strategies/strategy.hpp"
#include "strategies/unique_index.hpp"

namespace coupon_race {

const std::vector<std::unique_ptr<strategy>> &strategies() {
    static const auto all = [] {
        std::vector<std::unique_ptr<strategy>> list;
        list.push_back(make_naive());
        list.push_back(make_serializable());
        list.push_back(make_for_update());
        list.push_back(make_unique_index());
        list.push_back(make_guarded());
        return list;
    }();
    return all;
}

} // namespace coupon_race
