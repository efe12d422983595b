/// What an event loop sleeps on: a file descriptor, as poll() and its like take it.
#ifndef COUPON_GUARD_BENCH_CALLERS_WAKEUP_HPP
#define COUPON_GUARD_BENCH_CALLERS_WAKEUP_HPP

#include <cerrno>
#include <system_error>

#include <sys/eventfd.h>
#include <unistd.h>

namespace callers {

/// Signals of other threads; those that come before wait() returns are one.
class wakeup {
  public:
    wakeup()
        : descriptor_{eventfd(0, EFD_CLOEXEC)} {
        if (descriptor_ < 0)
            throw std::system_error{errno, std::generic_category(), "eventfd"};
    }
    ~wakeup() { close(descriptor_); }
    wakeup(const wakeup &) = delete;
    wakeup &operator=(const wakeup &) = delete;

    /// Cannot fail but by a number of signals that nobody has time to send.
    void signal() noexcept { (void)eventfd_write(descriptor_, 1); }

    void wait() {
        eventfd_t signals = 0;
        while (eventfd_read(descriptor_, &signals) != 0)
            if (errno != EINTR)
                throw std::system_error{errno, std::generic_category(), "eventfd_read"};
    }

  private:
    int descriptor_;
};

} // namespace callers

#endif
