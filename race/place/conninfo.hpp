/// Connection strings: taken apart, put together and described, by libpq's own rules.
#ifndef COUPON_RACE_PLACE_CONNINFO_HPP
#define COUPON_RACE_PLACE_CONNINFO_HPP

#include <map>
#include <string>
#include <string_view>

namespace coupon_race {

/// Keyword and value, as libpq knows them. What is not in it, libpq takes from the service file,
/// the environment and its defaults, when it connects.
using conninfo = std::map<std::string, std::string>;

/// Parses "keyword=value ..." or a postgresql:// URI. Throws std::invalid_argument with libpq's
/// reason.
conninfo parse_conninfo(const std::string &text);

/// The "keyword='value' ..." that means the same.
std::string format_conninfo(const conninfo &parts);

/// `value` as it must stand after "keyword=".
std::string quote_conninfo_value(std::string_view value);

/// The same server and role, another database.
conninfo with_database(conninfo parts, const std::string &name);

} // namespace coupon_race

#endif
