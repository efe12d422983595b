/// What was raced, and where, in a line each.
#ifndef COUPON_RACE_REPORT_HEADING_HPP
#define COUPON_RACE_REPORT_HEADING_HPP

#include <string>

#include "report/race_report.hpp"

namespace coupon_race {

/// "200 users, each sends 2 requests at once"
std::string scene_of(const race_report &report);

/// "PostgreSQL 15.18, a throw-away server, fsync on, synchronous_commit on"
std::string server_text(const server_description &server);

} // namespace coupon_race

#endif
