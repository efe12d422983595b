#include "timestamp_text.hpp"

namespace coupon_guard {

namespace {

/// Reads from the left what is there, and is false from the first thing that is not.
class reader {
  public:
    explicit reader(std::string_view text)
        : text_{text} {}

    bool is_right() const noexcept { return is_right_; }
    bool is_done() const noexcept { return is_right_ && text_.empty(); }
    bool sees(char c) const noexcept { return !text_.empty() && text_.front() == c; }

    void take(char c) noexcept {
        is_right_ = is_right_ && sees(c);
        if (is_right_)
            text_.remove_prefix(1);
    }

    /// A number of at least and at most so many digits.
    std::int64_t number(std::size_t least, std::size_t most) noexcept {
        std::int64_t value = 0;
        digits_ = 0;
        while (digits_ < most && !text_.empty() && text_.front() >= '0' && text_.front() <= '9') {
            value = value * 10 + (text_.front() - '0');
            text_.remove_prefix(1);
            ++digits_;
        }
        is_right_ = is_right_ && digits_ >= least;
        return value;
    }

    /// What has been read as a fraction, in millionths.
    std::int64_t millionths() noexcept {
        std::int64_t value = number(1, 6);
        for (std::size_t digit = digits_; digit < 6; ++digit)
            value *= 10;
        return value;
    }

  private:
    std::string_view text_;
    std::size_t digits_ = 0;
    bool is_right_ = true;
};

/// Days from 1970-01-01 in the Gregorian calendar. A year that begins in March has its leap day
/// at its end.
std::int64_t days_of(std::int64_t year, std::int64_t month, std::int64_t day) noexcept {
    const std::int64_t from_march = month > 2 ? month - 3 : month + 9;
    const std::int64_t years = month > 2 ? year : year - 1;
    return years * 365 + years / 4 - years / 100 + years / 400 + (153 * from_march + 2) / 5 + day -
           719469;
}

std::int64_t read_date(reader &text) noexcept {
    const std::int64_t year = text.number(4, 6);
    text.take('-');
    const std::int64_t month = text.number(2, 2);
    text.take('-');
    return days_of(year, month, text.number(2, 2));
}

/// Of hours, minutes and seconds, of which a time zone need not have all.
std::int64_t read_seconds(reader &text, bool is_zone) noexcept {
    std::int64_t seconds = text.number(2, 2) * 3600;
    for (const std::int64_t unit : {60, 1}) {
        if (is_zone && !text.sees(':'))
            break;
        text.take(':');
        seconds += text.number(2, 2) * unit;
    }
    return seconds;
}

} // namespace

std::optional<timestamp> parse_timestamp(std::string_view text) noexcept {
    reader rest{text};
    std::int64_t seconds = read_date(rest) * 86400;
    rest.take(' ');
    seconds += read_seconds(rest, false);
    std::int64_t microseconds = 0;
    if (rest.sees('.')) {
        rest.take('.');
        microseconds = rest.millionths();
    }
    const bool is_east = rest.sees('+');
    rest.take(is_east ? '+' : '-');
    const std::int64_t zone = read_seconds(rest, true);
    if (!rest.is_done())
        return std::nullopt;
    seconds -= is_east ? zone : -zone;
    return timestamp{std::chrono::microseconds{seconds * 1000000 + microseconds}};
}

} // namespace coupon_guard
