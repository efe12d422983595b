#include "os/interruption.hpp"

#include <string>

namespace coupon_race {

namespace {

constexpr int ending_signals[] = {SIGINT, SIGTERM, SIGHUP};

volatile std::sig_atomic_t remembered_signal = 0;
volatile std::sig_atomic_t received = 0;

extern "C" void remember_signal(int signal_number) {
    remembered_signal = signal_number;
    received = received + 1;
    if (received >= 3) {
        std::signal(signal_number, SIG_DFL);
        std::raise(signal_number);
    }
}

} // namespace

interrupted::interrupted(int signal_number)
    : std::runtime_error{"interrupted by signal " + std::to_string(signal_number)}
    , signal_number_{signal_number} {}

interruption_guard::interruption_guard() {
    struct sigaction action {};
    sigemptyset(&action.sa_mask);
    action.sa_handler = remember_signal;
    int at = 0;
    for (const int signal_number : ending_signals)
        sigaction(signal_number, &action, &previous_[at++]);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, &previous_[at]);
}

interruption_guard::~interruption_guard() {
    int at = 0;
    for (const int signal_number : ending_signals)
        sigaction(signal_number, &previous_[at++], nullptr);
    sigaction(SIGPIPE, &previous_[at], nullptr);
    remembered_signal = 0;
    received = 0;
}

int interruption_signal() noexcept {
    return remembered_signal;
}

void throw_if_interrupted() {
    if (remembered_signal != 0)
        throw interrupted{remembered_signal};
}

signals_blocked::signals_blocked() {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal_number : ending_signals)
        sigaddset(&set, signal_number);
    pthread_sigmask(SIG_BLOCK, &set, &previous_);
}

signals_blocked::~signals_blocked() {
    pthread_sigmask(SIG_SETMASK, &previous_, nullptr);
}

} // namespace coupon_race
