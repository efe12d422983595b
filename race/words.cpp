#include "words.hpp"

#include <fmt/format.h>

namespace coupon_race {

namespace {

std::string scaled_text(duration value, std::string (*figures)(double amount)) {
    const double ns = static_cast<double>(value.count());
    if (ns < 999.5e3)
        return fmt::format("{:.0f} us", ns / 1e3);
    return ns < 999.5e6 ? figures(ns / 1e6) + " ms" : figures(ns / 1e9) + " s";
}

} // namespace

std::string duration_text(duration value) {
    return scaled_text(value, [](double amount) {
        return fmt::format("{:.{}f}", amount, amount < 9.995 ? 2 : amount < 99.95 ? 1 : 0);
    });
}

std::string round_duration_text(duration value) {
    return scaled_text(value, [](double amount) { return fmt::format("{:.0f}", amount); });
}

std::string counted_text(std::int64_t count, const std::string &thing) {
    return fmt::format("{} {}{}", count, thing, count == 1 ? "" : "s");
}

std::string list_text(const std::vector<std::string> &names) {
    std::string text;
    for (std::size_t at = 0; at < names.size(); ++at)
        text += (at == 0 ? "" : at + 1 == names.size() ? " and " : ", ") + names[at];
    return text;
}

} // namespace coupon_race
