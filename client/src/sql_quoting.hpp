/// Quoting where no connection is at hand (private; the runner uses it too).
#ifndef COUPON_GUARD_SRC_SQL_QUOTING_HPP
#define COUPON_GUARD_SRC_SQL_QUOTING_HPP

#include <string>
#include <string_view>

namespace coupon_guard {

/// `name` as an SQL identifier that means exactly these characters: always in double quotes.
std::string quote_identifier(std::string_view name);

/// `text` as an SQL literal, whatever standard_conforming_strings is.
std::string quote_literal(std::string_view text);

} // namespace coupon_guard

#endif
