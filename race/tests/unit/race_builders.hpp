/// Short ways to write down a race and its ledger.
#ifndef COUPON_RACE_TESTS_RACE_BUILDERS_HPP
#define COUPON_RACE_TESTS_RACE_BUILDERS_HPP

#include <utility>

#include "scenario/race_log.hpp"

namespace coupon_race {

inline logged_attempt request(std::int64_t user, answer what) {
    logged_attempt logged;
    logged.user = user;
    logged.result.answer = what;
    return logged;
}

inline logged_attempt acknowledged(std::int64_t user, std::int64_t redemption_id) {
    logged_attempt logged = request(user, answer::redeemed);
    logged.result.redemption_id = redemption_id;
    return logged;
}

inline logged_attempt refused(std::int64_t user) {
    return request(user, answer::refused);
}
inline logged_attempt unknown(std::int64_t user) {
    return request(user, answer::unknown);
}

inline logged_attempt failed(std::int64_t user, std::string error) {
    logged_attempt logged = request(user, answer::failed);
    logged.result.error = std::move(error);
    return logged;
}

inline logged_attempt lasting(logged_attempt logged, race_clock::duration start,
                              race_clock::duration length) {
    logged.started = race_clock::time_point{start};
    logged.ended = logged.started + length;
    return logged;
}

} // namespace coupon_race

#endif
