/// Ctrl-C and its kin: noticed at once, acted on where the main thread can clean up.
///
/// The handler only remembers the signal. The main thread asks at every point where it waits, and
/// throws; destructors then stop the server and drop the database. Worker threads never see a
/// signal: they are blocked while threads are started.
#ifndef COUPON_RACE_OS_INTERRUPTION_HPP
#define COUPON_RACE_OS_INTERRUPTION_HPP

#include <csignal>
#include <stdexcept>

namespace coupon_race {

/// Thrown by throw_if_interrupted(); not an error of anything.
class interrupted : public std::runtime_error {
  public:
    explicit interrupted(int signal_number);
    int signal_number() const noexcept { return signal_number_; }

  private:
    int signal_number_;
};

/// While one exists, SIGINT, SIGTERM and SIGHUP are remembered instead of ending the process (the
/// third one does end it: whatever cleaning up hangs on, the user wants out), and SIGPIPE is
/// ignored. One at a time; made by main() before any thread.
class interruption_guard {
  public:
    interruption_guard();
    ~interruption_guard();
    interruption_guard(const interruption_guard &) = delete;
    interruption_guard &operator=(const interruption_guard &) = delete;

  private:
    struct sigaction previous_[4];
};

/// The signal that asked the process to end, or 0.
int interruption_signal() noexcept;

/// Throws `interrupted` if a signal asked the process to end.
void throw_if_interrupted();

/// Threads started while one exists do not receive the signals above.
class signals_blocked {
  public:
    signals_blocked();
    ~signals_blocked();
    signals_blocked(const signals_blocked &) = delete;
    signals_blocked &operator=(const signals_blocked &) = delete;

  private:
    sigset_t previous_;
};

} // namespace coupon_race

#endif
