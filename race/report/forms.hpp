/// A report in the forms that it is given out in: for a person, for a program, for a browser.
#ifndef COUPON_RACE_REPORT_FORMS_HPP
#define COUPON_RACE_REPORT_FORMS_HPP

#include <string>
#include <string_view>

#include "report/race_report.hpp"
#include "report/terminal.hpp"

namespace coupon_race {

/// A heading, a table, the latencies, and what was seen in plain sentences.
std::string as_text(const race_report &report, charset characters, bool colour);

/// "PostgreSQL 15.20, a throw-away server, fsync on, ..."
std::string server_text(const server_description &server);
/// What was seen, one line a sentence.
std::string conclusions(const race_report &report);

/// The same figures, and the settings they were made with: JSON, pretty-printed, with a line end.
/// Durations are in milliseconds.
std::string as_json(const race_report &report);

/// The same figures, the attempts themselves, and charts, in one file that needs no other and no
/// network. However large the race was, it is not much larger than the script in it that draws the
/// charts: of each strategy at most `most_entries` attempts are shown one by one.
std::string as_html(const race_report &report);

/// Where in the embedded page its data belong, as JSON without "<".
inline constexpr std::string_view page_data_mark = "{{race}}";

inline double milliseconds(duration value) {
    return std::chrono::duration<double, std::milli>(value).count();
}

} // namespace coupon_race

#endif
