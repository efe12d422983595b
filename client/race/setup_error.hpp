/// Something that keeps the race from being run at all. The message is for the user.
#ifndef COUPON_RACE_SETUP_ERROR_HPP
#define COUPON_RACE_SETUP_ERROR_HPP

#include <stdexcept>

namespace coupon_race {

class setup_error : public std::runtime_error {
    using std::runtime_error::runtime_error;
};

} // namespace coupon_race

#endif
