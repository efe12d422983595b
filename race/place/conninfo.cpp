#include "place/conninfo.hpp"

#include <memory>
#include <stdexcept>

#include <libpq-fe.h>

namespace coupon_race {

conninfo parse_conninfo(const std::string &text) {
    char *reason = nullptr;
    const std::unique_ptr<PQconninfoOption, decltype(&PQconninfoFree)> options{
        PQconninfoParse(text.c_str(), &reason), &PQconninfoFree};
    if (!options) {
        const std::unique_ptr<char, decltype(&PQfreemem)> owned{reason, &PQfreemem};
        std::string message = owned ? owned.get() : "out of memory";
        while (!message.empty() && message.back() == '\n')
            message.pop_back();
        throw std::invalid_argument{message};
    }
    conninfo parts;
    for (const PQconninfoOption *option = options.get(); option->keyword; ++option)
        if (option->val)
            parts[option->keyword] = option->val;
    return parts;
}

std::string quote_conninfo_value(std::string_view value) {
    std::string quoted = "'";
    for (const char c : value) {
        if (c == '\'' || c == '\\')
            quoted += '\\';
        quoted += c;
    }
    return quoted += '\'';
}

std::string format_conninfo(const conninfo &parts) {
    std::string text;
    for (const auto &[keyword, value] : parts) {
        if (!text.empty())
            text += ' ';
        text += keyword + '=' + quote_conninfo_value(value);
    }
    return text;
}

conninfo with_database(conninfo parts, const std::string &name) {
    parts["dbname"] = name;
    return parts;
}

} // namespace coupon_race
