/// What a report says in sentences, in a terminal and on the page.
#ifndef COUPON_RACE_REPORT_SENTENCES_HPP
#define COUPON_RACE_REPORT_SENTENCES_HPP

#include <string>

#include "report/race_report.hpp"

namespace coupon_race {

/// "2000 users, each sends 2 requests at once", or whatever the scenario is.
std::string scene_of(const race_report &report);

/// "PostgreSQL 15.20, a throw-away server, fsync on, ..."
std::string server_text(const server_description &server);

/// What was seen, one line a sentence.
std::string conclusions(const race_report &report);

} // namespace coupon_race

#endif
