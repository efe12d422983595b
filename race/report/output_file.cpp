#include "report/output_file.hpp"

#include <cerrno>
#include <cstring>

#include "exit_status.hpp"

namespace coupon_race {

namespace {

namespace fs = std::filesystem;

/// Replacing a symbolic link would leave its target behind, and replacing /dev/null would be worse.
bool replaceable(const fs::path &name) {
    const auto status = fs::symlink_status(name);
    return !fs::exists(status) || fs::is_regular_file(status);
}

} // namespace

output_file::output_file(const std::string &name)
    : name_{name}
    , written_{replaceable(name_) ? fs::path{name + ".part"} : name_}
    , stream_{written_} {
    if (!stream_)
        throw bad_argument{"cannot write " + name + ": " + std::strerror(errno)};
}

output_file::~output_file() {
    std::error_code ignored;
    if (written_ != name_)
        fs::remove(written_, ignored);
}

void output_file::write(const std::string &text) {
    stream_ << text;
    stream_.close();
    if (!stream_)
        throw setup_error{"cannot write " + name_.string() + ": " + std::strerror(errno)};
    if (written_ == name_)
        return;
    std::error_code failure;
    fs::rename(written_, name_, failure);
    if (failure)
        throw setup_error{"cannot write " + name_.string() + ": " + failure.message()};
    written_ = name_;
}

} // namespace coupon_race
