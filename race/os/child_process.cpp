#include "os/child_process.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <thread>

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "exit_status.hpp"
#include "os/interruption.hpp"

namespace coupon_race {

namespace {

constexpr std::chrono::milliseconds poll_interval{10};

int open_for_appending(const std::filesystem::path &file) {
    return open(file.empty() ? "/dev/null" : file.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
}

/// What the child does between fork and exec: system calls only, since other threads may have held
/// any lock at the fork. Returns only if something failed, errno telling what.
void become(char *const *argv, const child_options &options, pid_t parent) {
    setpgid(0, 0);
    if (options.run_as) {
        const gid_t group = options.run_as->group;
        if (setgroups(1, &group) != 0 || setgid(group) != 0 || setuid(options.run_as->user) != 0)
            return;
    }
#ifdef __linux__
    // After setuid(), which would clear it. SIGQUIT is PostgreSQL's immediate shutdown.
    prctl(PR_SET_PDEATHSIG, SIGQUIT);
    if (getppid() != parent)
        _exit(127);
#else
    (void)parent;
#endif
    if (!options.working_directory.empty() && chdir(options.working_directory.c_str()) != 0)
        return;
    const int input = open("/dev/null", O_RDONLY);
    const int output = open_for_appending(options.output);
    const int error_output =
        options.error_output.empty() ? output : open_for_appending(options.error_output);
    if (input < 0 || output < 0 || error_output < 0 || dup2(input, 0) < 0 || dup2(output, 1) < 0 ||
        dup2(error_output, 2) < 0)
        return;
    std::signal(SIGPIPE, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    execv(argv[0], argv);
}

std::vector<char *> c_arguments(const std::vector<std::string> &argv) {
    std::vector<char *> pointers;
    pointers.reserve(argv.size() + 1);
    for (const std::string &argument : argv)
        pointers.push_back(const_cast<char *>(argument.c_str()));
    pointers.push_back(nullptr);
    return pointers;
}

/// 0 if the other end was closed by a successful exec, else the errno that was sent.
int read_failure(int pipe_end) {
    int failure = 0;
    ssize_t got;
    do
        got = read(pipe_end, &failure, sizeof failure);
    while (got < 0 && errno == EINTR);
    return got == static_cast<ssize_t>(sizeof failure) ? failure : 0;
}

} // namespace

std::optional<account> server_account() {
    if (geteuid() != 0)
        return std::nullopt;
    for (const char *name : {"postgres", "nobody"})
        if (const passwd *entry = getpwnam(name); entry && entry->pw_uid != 0)
            return account{name, entry->pw_uid, entry->pw_gid};
    throw setup_error{
        "a PostgreSQL server cannot run as root, and there is neither a user postgres "
        "nor a user nobody to run it as"};
}

child_process::child_process(const std::vector<std::string> &argv, const child_options &options) {
    const std::vector<char *> arguments = c_arguments(argv);
    std::array<int, 2> failure_pipe{};
    if (pipe(failure_pipe.data()) != 0 || fcntl(failure_pipe[0], F_SETFD, FD_CLOEXEC) != 0 ||
        fcntl(failure_pipe[1], F_SETFD, FD_CLOEXEC) != 0)
        throw setup_error{"cannot start " + argv[0] + ": " + std::strerror(errno)};
    const pid_t parent = getpid();
    pid_ = fork();
    if (pid_ == 0) {
        become(arguments.data(), options, parent);
        const int failure = errno;
        if (write(failure_pipe[1], &failure, sizeof failure) < 0)
            _exit(126);
        _exit(127);
    }
    const int fork_failure = errno;
    close(failure_pipe[1]);
    const int failure = pid_ < 0 ? fork_failure : read_failure(failure_pipe[0]);
    close(failure_pipe[0]);
    if (failure != 0) {
        if (pid_ > 0)
            waitpid(pid_, nullptr, 0);
        throw setup_error{"cannot start " + argv[0] + ": " + std::strerror(failure)};
    }
}

child_process::~child_process() {
    if (!wait_for(std::chrono::milliseconds{0})) {
        kill(-pid_, SIGKILL); // its group: initdb has children
        waitpid(pid_, nullptr, 0);
    }
}

void child_process::signal(int signal_number) {
    if (!exit_status_)
        kill(pid_, signal_number);
}

std::optional<int> child_process::wait_for(std::chrono::milliseconds timeout) {
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    while (!exit_status_) {
        int status = 0;
        const pid_t ended = waitpid(pid_, &status, WNOHANG);
        if (ended == pid_)
            exit_status_ = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
        else if (ended < 0 && errno != EINTR)
            exit_status_ = 127; // not ours any more: cannot happen, and must not hang us
        else if (std::chrono::steady_clock::now() >= deadline)
            break;
        else
            std::this_thread::sleep_for(poll_interval);
    }
    return exit_status_;
}

int run_child(const std::vector<std::string> &argv, const child_options &options) {
    child_process child{argv, options};
    for (;;) {
        if (const auto status = child.wait_for(std::chrono::milliseconds{100}))
            return *status;
        throw_if_interrupted();
    }
}

} // namespace coupon_race
