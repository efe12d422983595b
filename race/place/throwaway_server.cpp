#include "place/throwaway_server.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fstream>

#include <libpq-fe.h>
#include <unistd.h>

#include "exit_status.hpp"
#include "os/interruption.hpp"

namespace coupon_race {

namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

bool has_server(const fs::path &directory) {
    return access((directory / "initdb").c_str(), X_OK) == 0 &&
           access((directory / "postgres").c_str(), X_OK) == 0;
}

struct pipe_closer {
    void operator()(std::FILE *pipe) const { pclose(pipe); }
};

std::optional<fs::path> named_by_pg_config() {
    const char *program = std::getenv("PG_CONFIG");
    // The shell reads the path from the environment itself: no quoting to get wrong.
    const char *command = program && *program ? "\"$PG_CONFIG\" --bindir 2>/dev/null"
                                              : "pg_config --bindir 2>/dev/null";
    const std::unique_ptr<std::FILE, pipe_closer> pipe{popen(command, "r")};
    std::array<char, 4096> line{};
    if (!pipe || !std::fgets(line.data(), line.size(), pipe.get()))
        return std::nullopt;
    std::string directory{line.data()};
    while (!directory.empty() && directory.back() == '\n')
        directory.pop_back();
    return fs::path{directory};
}

std::vector<fs::path> versions_of_debian() {
    std::vector<fs::path> found;
    std::error_code none;
    for (const auto &entry : fs::directory_iterator{"/usr/lib/postgresql", none})
        found.push_back(entry.path());
    newest_version_first(found);
    for (fs::path &version : found)
        version /= "bin";
    return found;
}

std::vector<fs::path> search_path() {
    std::vector<fs::path> directories;
    const char *path = std::getenv("PATH");
    std::string rest = path ? path : "";
    while (!rest.empty()) {
        const auto colon = rest.find(':');
        if (colon != 0)
            directories.emplace_back(rest.substr(0, colon));
        rest = colon == std::string::npos ? "" : rest.substr(colon + 1);
    }
    return directories;
}

int version_number(const fs::path &directory) {
    return std::atoi(directory.filename().c_str()); // NOLINT(cert-err34-c): 0 for what is no number
}

constexpr char port[] = "5432"; // only names the socket; nothing listens on TCP
constexpr std::size_t socket_name_length = sizeof "data/.s.PGSQL.5432" - 1;
constexpr auto start_timeout = 60s;

std::string last_lines(const std::filesystem::path &file, std::size_t count) {
    std::ifstream stream{file};
    std::deque<std::string> lines;
    for (std::string line; std::getline(stream, line);) {
        lines.push_back(line);
        if (lines.size() > count)
            lines.pop_front();
    }
    std::string text;
    for (const std::string &line : lines)
        text += "\n  " + line;
    return text;
}

} // namespace

void newest_version_first(std::vector<fs::path> &directories) {
    std::stable_sort(directories.begin(), directories.end(), [](const auto &a, const auto &b) {
        return version_number(a) > version_number(b);
    });
}

fs::path find_postgres_programs(const fs::path &wanted) {
    if (!wanted.empty()) {
        if (!has_server(wanted))
            throw setup_error{"there is no initdb and postgres in " + wanted.string()};
        return fs::absolute(wanted);
    }
    if (const auto directory = named_by_pg_config(); directory && has_server(*directory))
        return *directory;
    for (const auto &candidates : {versions_of_debian(), search_path()})
        for (const fs::path &directory : candidates)
            if (has_server(directory))
                return fs::absolute(directory);
    throw setup_error{
        "no PostgreSQL server found (initdb and postgres): asked pg_config, looked in "
        "/usr/lib/postgresql and PATH; name the directory with --pg-bin, or name a "
        "running server"};
}

throwaway_server::throwaway_server(const std::filesystem::path &program_directory,
                                   int max_connections,
                                   const std::vector<std::string> &extra_settings)
    : account_{server_account()}
    , directory_{account_, socket_name_length} {
    initialise(program_directory);
    // The socket's directory is relative to the data directory: no path to be quoted in a list.
    command_ = {(program_directory / "postgres").string(),
                "-D",
                data().string(),
                "-p",
                port,
                "-c",
                "listen_addresses=",
                "-c",
                "unix_socket_directories=.",
                "-c",
                "max_connections=" + std::to_string(max_connections)};
    for (const std::string &setting : extra_settings)
        command_.insert(command_.end(), {"-c", setting});
    try {
        start();
    } catch (...) {
        stop(); // no destructor runs for what was never constructed
        throw;
    }
}

throwaway_server::~throwaway_server() {
    stop();
}

/// Fast shutdown first, so that nothing of the server is left when the directory goes; a server
/// that does not heed it is not worth waiting for.
void throwaway_server::stop() {
    if (!server_)
        return;
    server_->signal(SIGINT);
    if (server_->wait_for(10s))
        return;
    server_->signal(SIGQUIT);
    server_->wait_for(5s);
}

conninfo throwaway_server::connection() const {
    return {
        {"host", data().string()}, {"port", port}, {"user", "postgres"}, {"dbname", "postgres"}};
}

child_options throwaway_server::as_server() const {
    child_options options;
    options.run_as = account_;
    options.working_directory = directory_.path();
    options.output = log();
    return options;
}

/// Without --no-sync: what initdb leaves in the kernel's buffers, the first commits would have to
/// wait for, and the strategy that is raced first would look slow.
void throwaway_server::initialise(const std::filesystem::path &program_directory) {
    const int status =
        run_child({(program_directory / "initdb").string(), "--pgdata=" + data().string(),
                   "--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C",
                   "--no-instructions"},
                  as_server());
    if (status != 0)
        throw setup_error{failure("initdb failed")};
}

void throwaway_server::start() {
    server_ = std::make_unique<child_process>(command_, as_server());
    wait_until_ready();
}

/// SIGQUIT is the immediate shutdown; a backend that does not heed it is killed by the server.
void throwaway_server::crash() {
    server_->signal(SIGQUIT);
    if (!server_->wait_for(30s))
        throw setup_error{failure("the server did not end")};
}

void throwaway_server::start_again() {
    start();
}

void throwaway_server::wait_until_ready() {
    const std::string address = format_conninfo(connection());
    const auto deadline = std::chrono::steady_clock::now() + start_timeout;
    while (PQping(address.c_str()) != PQPING_OK) {
        throw_if_interrupted();
        if (server_->wait_for(50ms))
            throw setup_error{failure("the server did not start")};
        if (std::chrono::steady_clock::now() > deadline)
            throw setup_error{failure("the server did not get ready in a minute")};
    }
}

std::string throwaway_server::failure(const std::string &what) const {
    return what + "; the end of its log:" + last_lines(log(), 10);
}

void forget_libpq_environment() {
    std::vector<std::string> names;
    for (char **entry = environ; *entry; ++entry) {
        const std::string variable{*entry};
        const std::string name = variable.substr(0, variable.find('='));
        // PG_CONFIG, PG_COLOR: not libpq's.
        if (name.compare(0, 2, "PG") == 0 && name.compare(0, 3, "PG_") != 0)
            names.push_back(name);
    }
    for (const std::string &name : names)
        unsetenv(name.c_str());
}

} // namespace coupon_race
