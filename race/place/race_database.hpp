/// The database a race is run in: made for it, gone after it.
#ifndef COUPON_RACE_PLACE_RACE_DATABASE_HPP
#define COUPON_RACE_PLACE_RACE_DATABASE_HPP

#include <string>

#include "place/conninfo.hpp"

namespace coupon_race {

/// Creates a database under a name that no other run has, and drops it in the destructor. Nothing
/// else on the server is touched.
class race_database {
  public:
    /// `maintenance` reaches any database of the server, as a role that may create one.
    explicit race_database(conninfo maintenance);
    /// If the database cannot be dropped, says so on stderr, with the command that does it.
    ~race_database();
    race_database(const race_database &) = delete;
    race_database &operator=(const race_database &) = delete;

    const std::string &name() const noexcept { return name_; }

    /// How to reach it.
    std::string connection() const;

  private:
    conninfo maintenance_;
    std::string name_;
};

} // namespace coupon_race

#endif
