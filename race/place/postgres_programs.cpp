#include "place/postgres_programs.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>

#include <unistd.h>

#include "exit_status.hpp"

namespace coupon_race {

namespace {

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
    return std::atoi(directory.filename().c_str());
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

} // namespace coupon_race
