/// Something that keeps the race from being run at all. The message is for the user.
#ifndef COUPON_RACE_SETUP_ERROR_HPP
#define COUPON_RACE_SETUP_ERROR_HPP

#include <stdexcept>

namespace coupon_race {

class setup_error : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

/// One that an argument is to blame for, though only trying could show it.
class bad_argument : public setup_error {
    using setup_error::setup_error;
};

} // namespace coupon_race

#endif
