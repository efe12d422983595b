/// The page without its data; made from page/ and Chart.js when this is built.
#ifndef COUPON_RACE_REPORT_PAGE_TEMPLATE_HPP
#define COUPON_RACE_REPORT_PAGE_TEMPLATE_HPP

#include <string_view>

namespace coupon_race {

/// Where in it the data belong, as JSON without "<".
inline constexpr std::string_view page_data_mark = "{{race}}";

std::string_view page_template();

} // namespace coupon_race

#endif
