#include "os/account.hpp"

#include <pwd.h>
#include <unistd.h>

#include "exit_status.hpp"

namespace coupon_race {

std::optional<account> server_account() {
    if (geteuid() != 0)
        return std::nullopt;
    for (const char *name : {"postgres", "nobody"})
        if (const passwd *entry = getpwnam(name); entry && entry->pw_uid != 0)
            return account{name, entry->pw_uid, entry->pw_gid};
    throw setup_error{
        "a PostgreSQL server cannot run as root, and there is neither a user postgres "
        "nor a user nobody to run it as"};
}

} // namespace coupon_race
