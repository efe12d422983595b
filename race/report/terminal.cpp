#include "report/terminal.hpp"

#include <cstdlib>

#include <langinfo.h>
#include <locale.h>
#include <unistd.h>

namespace coupon_race {

namespace {

constexpr char erase_line[] = "\r\033[K";

bool is_terminal(std::FILE *stream) {
    return isatty(fileno(stream)) == 1;
}

bool dumb() {
    const char *name = std::getenv("TERM");
    return name && std::string_view{name} == "dumb";
}

const char *escape_for(style look) {
    switch (look) {
    case style::bold:
        return "\033[1m";
    case style::good:
        return "\033[32m";
    case style::bad:
        return "\033[1;31m";
    case style::doubtful:
        return "\033[33m";
    case style::plain:
        break;
    }
    return "";
}

} // namespace

bool colour_wanted(colour_choice choice, std::FILE *stream) {
    if (choice != colour_choice::automatic)
        return choice == colour_choice::always;
    const char *refused = std::getenv("NO_COLOR");
    return !(refused && *refused) && !dumb() && is_terminal(stream);
}

charset charset_of_locale() {
    const locale_t named = newlocale(LC_CTYPE_MASK, "", nullptr);
    if (!named) // it is not installed
        return charset::ascii;
    const bool utf8 = std::string_view{nl_langinfo_l(CODESET, named)} == "UTF-8";
    freelocale(named);
    return utf8 ? charset::utf8 : charset::ascii;
}

std::string styled(std::string_view text, style look, bool colour) {
    if (!colour || look == style::plain)
        return std::string{text};
    return escape_for(look) + std::string{text} + "\033[0m";
}

progress_line::progress_line()
    : terminal_{is_terminal(stderr) && !dumb()} {}

void progress_line::show(const std::string &text) {
    if (!terminal_)
        return;
    std::fputs((erase_line + text).c_str(), stderr);
    std::fflush(stderr);
    shown_ = true;
}

void progress_line::clear() {
    if (!shown_)
        return;
    std::fputs(erase_line, stderr);
    std::fflush(stderr);
    shown_ = false;
}

} // namespace coupon_race
