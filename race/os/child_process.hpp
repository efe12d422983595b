/// A program started by this one, which does not outlive it.
#ifndef COUPON_RACE_OS_CHILD_PROCESS_HPP
#define COUPON_RACE_OS_CHILD_PROCESS_HPP

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace coupon_race {

/// Whose rights a child gets. PostgreSQL refuses to run as root.
struct account {
    std::string name;
    uid_t user;
    gid_t group;
};

/// The account a server must run under: none to change to for an ordinary user; for root
/// `postgres` if there is one, else `nobody`. Throws setup_error if root has neither.
std::optional<account> server_account();

struct child_options {
    std::optional<account> run_as;           ///< by default, as this process
    std::filesystem::path working_directory; ///< by default, that of this process
    std::filesystem::path output;            ///< stdout is appended here; by default, nowhere
    std::filesystem::path error_output;      ///< stderr; by default, where stdout goes
};

/// Runs in a process group of its own, so that Ctrl-C at the terminal reaches it through us or not
/// at all. Killed by the kernel should this process die without its destructors (Linux).
class child_process {
  public:
    /// `argv[0]` is the path of the program. Throws setup_error if it cannot be started.
    child_process(const std::vector<std::string> &argv, const child_options &options);
    /// Kills the program if it still runs.
    ~child_process();
    child_process(const child_process &) = delete;
    child_process &operator=(const child_process &) = delete;

    pid_t pid() const noexcept { return pid_; }

    /// Sends a signal, if the program still runs.
    void signal(int signal_number);

    /// Waits at most that long. The exit status (128 + n after signal n), or nothing if the program
    /// still runs. Does not look at interruptions: callers that may wait long poll.
    std::optional<int> wait_for(std::chrono::milliseconds timeout);

  private:
    pid_t pid_ = -1;
    std::optional<int> exit_status_;
};

/// Runs a program to its end and returns its exit status. Throws `interrupted` on Ctrl-C, having
/// killed it.
int run_child(const std::vector<std::string> &argv, const child_options &options);

} // namespace coupon_race

#endif
