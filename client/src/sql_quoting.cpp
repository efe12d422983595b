#include "sql_quoting.hpp"

namespace coupon_guard {

namespace {

std::string enclosed(std::string_view text, char quote) {
    std::string quoted{quote};
    quoted.reserve(text.size() + 2);
    for (auto at = text.find(quote); at != text.npos; at = text.find(quote)) {
        quoted.append(text, 0, at + 1) += quote;
        text.remove_prefix(at + 1);
    }
    return quoted.append(text) += quote;
}

} // namespace

std::string quote_identifier(std::string_view name) {
    return enclosed(name, '"');
}

std::string quote_literal(std::string_view text) {
    if (text.find('\\') == std::string_view::npos)
        return enclosed(text, '\'');
    // With a backslash only the E'' form means the same everywhere; in it backslashes are doubled.
    std::string escaped;
    for (const char c : text) {
        if (c == '\\')
            escaped += c;
        escaped += c;
    }
    return " E" + enclosed(escaped, '\'');
}

} // namespace coupon_guard
