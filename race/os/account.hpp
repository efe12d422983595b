/// Whose rights a child process gets. PostgreSQL refuses to run as root.
#ifndef COUPON_RACE_OS_ACCOUNT_HPP
#define COUPON_RACE_OS_ACCOUNT_HPP

#include <optional>
#include <string>

#include <sys/types.h>

namespace coupon_race {

struct account {
    std::string name;
    uid_t user;
    gid_t group;
};

/// The account a server must run under: none to change to for an ordinary user; for root
/// `postgres` if there is one, else `nobody`. Throws setup_error if root has neither.
std::optional<account> server_account();

} // namespace coupon_race

#endif
