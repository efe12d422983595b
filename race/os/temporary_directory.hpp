/// A directory that is gone when the program is.
#ifndef COUPON_RACE_OS_TEMPORARY_DIRECTORY_HPP
#define COUPON_RACE_OS_TEMPORARY_DIRECTORY_HPP

#include <filesystem>
#include <optional>

#include "os/child_process.hpp"

namespace coupon_race {

/// Made in $TMPDIR (or /tmp) for its owner alone, removed with all that is in it by the destructor.
class temporary_directory {
  public:
    /// With an owner, the directory is given to that account, and made where the account can get:
    /// root's own TMPDIR may be closed to others. `longest_name_inside` is the length that must
    /// still fit in the path of a unix socket in it. Throws setup_error.
    temporary_directory(const std::optional<account> &owner, std::size_t longest_name_inside);
    ~temporary_directory();
    temporary_directory(const temporary_directory &) = delete;
    temporary_directory &operator=(const temporary_directory &) = delete;

    const std::filesystem::path &path() const noexcept { return path_; }

  private:
    std::filesystem::path path_;
};

} // namespace coupon_race

#endif
