#include "words.hpp"

#include <fmt/format.h>

namespace coupon_race {

std::string duration_text(duration value) {
    const double ns = static_cast<double>(value.count());
    const auto figures = [](double amount, const char *unit) {
        const int decimals = amount < 9.995 ? 2 : amount < 99.95 ? 1 : 0;
        return fmt::format("{:.{}f} {}", amount, decimals, unit);
    };
    if (ns < 999.5e3)
        return fmt::format("{:.0f} us", ns / 1e3);
    if (ns < 999.5e6)
        return figures(ns / 1e6, "ms");
    return figures(ns / 1e9, "s");
}

std::string round_duration_text(duration value) {
    const double ns = static_cast<double>(value.count());
    if (ns < 999.5e3)
        return fmt::format("{:.0f} us", ns / 1e3);
    if (ns < 999.5e6)
        return fmt::format("{:.0f} ms", ns / 1e6);
    return fmt::format("{:.0f} s", ns / 1e9);
}

} // namespace coupon_race
