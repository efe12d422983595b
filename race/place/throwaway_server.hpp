/// A PostgreSQL server that exists for one run, and where its programs are found.
#ifndef COUPON_RACE_PLACE_THROWAWAY_SERVER_HPP
#define COUPON_RACE_PLACE_THROWAWAY_SERVER_HPP

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "os/child_process.hpp"
#include "os/temporary_directory.hpp"
#include "place/conninfo.hpp"

namespace coupon_race {

/// The directory that holds both `initdb` and `postgres`: the wanted one if one is given; else the
/// one that pg_config names ($PG_CONFIG, or the first on PATH, since that is the server that
/// `make install` installs the extension for); else the newest version under /usr/lib/postgresql,
/// as Debian has it; else a directory of PATH. Throws setup_error naming where it looked.
std::filesystem::path find_postgres_programs(const std::filesystem::path &wanted);

/// Sorts directories named after versions, newest first; others keep their order behind them.
void newest_version_first(std::vector<std::filesystem::path> &directories);

/// Starts a server in a temporary directory and stops and removes it in the destructor. It listens
/// on a unix socket in that directory alone, so that no other server is in its way nor it in
/// theirs, and nobody but the owner reaches it. Settings are PostgreSQL's own defaults, fsync
/// included: figures from it are those of a server that loses nothing.
class throwaway_server {
  public:
    /// `program_directory` holds initdb and postgres; `extra_settings` are "name=value". Throws
    /// setup_error with the end of the server's log, or `interrupted`.
    throwaway_server(const std::filesystem::path &program_directory, int max_connections,
                     const std::vector<std::string> &extra_settings = {});
    ~throwaway_server();
    throwaway_server(const throwaway_server &) = delete;
    throwaway_server &operator=(const throwaway_server &) = delete;

    /// How a superuser reaches its database `postgres`.
    conninfo connection() const;

    /// Ends it at once: every connection breaks, and nothing more is written.
    void crash();
    /// After a crash; it has recovered when this returns. To be called by a thread that lives as
    /// long as the server is to. Throws as the constructor does.
    void start_again();

    pid_t pid() const noexcept { return server_->pid(); }
    const std::filesystem::path &directory() const noexcept { return directory_.path(); }

  private:
    std::filesystem::path data() const { return directory_.path() / "data"; }
    std::filesystem::path log() const { return directory_.path() / "log"; }

    void initialise(const std::filesystem::path &program_directory);
    void start();
    void wait_until_ready();
    void stop();
    std::string failure(const std::string &what) const;
    child_options as_server() const;

    std::optional<account> account_;
    temporary_directory directory_;
    std::vector<std::string> command_;      // of the server, with its arguments
    std::unique_ptr<child_process> server_; // after directory_: stopped before that is removed
};

/// Forgets the PG* environment variables that libpq and the server read: on a server of our own
/// nobody's settings for another one may apply (PGOPTIONS, PGSERVICE, PGPORT ...).
void forget_libpq_environment();

} // namespace coupon_race

#endif
