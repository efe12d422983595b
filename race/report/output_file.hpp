/// A result file that is whole or not there.
#ifndef COUPON_RACE_REPORT_OUTPUT_FILE_HPP
#define COUPON_RACE_REPORT_OUTPUT_FILE_HPP

#include <filesystem>
#include <fstream>
#include <string>

namespace coupon_race {

/// Opened before the race, so that a wrong path does not cost its result, and written after it. The
/// text goes to a file beside it that takes its name at the end; an interrupted run leaves what
/// was there before. What is no regular file (/dev/null, a pipe) is written to directly.
class output_file {
  public:
    /// Throws bad_argument.
    explicit output_file(const std::string &name);
    ~output_file();
    output_file(const output_file &) = delete;
    output_file &operator=(const output_file &) = delete;

    /// Throws setup_error.
    void write(const std::string &text);

  private:
    std::filesystem::path name_;
    std::filesystem::path written_; ///< what is open: name_ or the file beside it
    std::ofstream stream_;
};

} // namespace coupon_race

#endif
