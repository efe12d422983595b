/// What coupon-race exits with, and what keeps a race from being run at all.
#ifndef COUPON_RACE_EXIT_STATUS_HPP
#define COUPON_RACE_EXIT_STATUS_HPP

#include <stdexcept>

namespace coupon_race {

enum exit_status : int {
    as_expected = 0,
    promise_broken = 1,
    could_not_tell = 2,
    bad_arguments = 254,
};

/// The message is for the user.
class setup_error : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// One that an argument is to blame for, though only trying could show it.
class bad_argument : public setup_error {
    using setup_error::setup_error;
};

} // namespace coupon_race

#endif
