/// What a terminal is told that a pipe is not: colour and progress.
#ifndef COUPON_RACE_REPORT_TERMINAL_HPP
#define COUPON_RACE_REPORT_TERMINAL_HPP

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace coupon_race {

enum class colour_choice { automatic, always, never };

/// The usual rules: what was chosen; else none if NO_COLOR is set and not empty, if TERM is "dumb"
/// or if the stream is no terminal.
bool colour_wanted(colour_choice choice, std::FILE *stream);

/// What can be shown besides ASCII.
enum class charset { ascii, utf8 };

/// That of the locale in the environment.
charset charset_of_locale();

enum class style { plain, bold, good, bad, doubtful };

/// `text` in that style, or as it is without colour.
std::string styled(std::string_view text, style look, bool colour);

/// One line on stderr that says how far we are, written over and over; nothing if stderr is no
/// terminal.
class progress_line {
  public:
    progress_line();
    ~progress_line() { clear(); }
    progress_line(const progress_line &) = delete;
    progress_line &operator=(const progress_line &) = delete;

    void show(const std::string &text);
    void clear();

  private:
    const bool terminal_;
    bool shown_ = false;
};

} // namespace coupon_race

#endif
