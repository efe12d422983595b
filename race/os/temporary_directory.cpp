#include "os/temporary_directory.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include <sys/un.h>
#include <unistd.h>

#include "exit_status.hpp"

namespace coupon_race {

namespace {

namespace fs = std::filesystem;

constexpr char name_template[] = "coupon-race-XXXXXX";

bool socket_path_fits(const fs::path &parent, std::size_t longest_name_inside) {
    const std::size_t length =
        parent.native().size() + 1 + (sizeof name_template - 1) + 1 + longest_name_inside;
    return length < sizeof(sockaddr_un::sun_path);
}

/// True if every account may pass through `directory` and all above it.
bool open_to_all(const fs::path &directory) {
    for (fs::path at = directory;; at = at.parent_path()) {
        std::error_code failure;
        const auto permissions = fs::status(at, failure).permissions();
        if (failure || (permissions & fs::perms::others_exec) == fs::perms::none)
            return false;
        if (at == at.root_path())
            return true;
    }
}

fs::path choose_parent(bool for_another, std::size_t longest_name_inside) {
    const char *wanted = std::getenv("TMPDIR");
    if (wanted && *wanted) {
        const fs::path parent = fs::absolute(wanted);
        if (socket_path_fits(parent, longest_name_inside) && (!for_another || open_to_all(parent)))
            return parent;
    }
    return "/tmp";
}

} // namespace

temporary_directory::temporary_directory(const std::optional<account> &owner,
                                         std::size_t longest_name_inside) {
    std::string made = choose_parent(owner.has_value(), longest_name_inside) / name_template;
    if (!mkdtemp(made.data()))
        throw setup_error{"cannot make the directory " + made + ": " + std::strerror(errno)};
    path_ = made;
    if (owner && chown(made.c_str(), owner->user, owner->group) != 0) {
        const int reason = errno;
        rmdir(made.c_str());
        throw setup_error{"cannot give " + made + " to " + owner->name + ": " +
                          std::strerror(reason)};
    }
}

temporary_directory::~temporary_directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

} // namespace coupon_race
