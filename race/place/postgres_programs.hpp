/// Finds the programs of a PostgreSQL server.
#ifndef COUPON_RACE_PLACE_POSTGRES_PROGRAMS_HPP
#define COUPON_RACE_PLACE_POSTGRES_PROGRAMS_HPP

#include <filesystem>
#include <vector>

namespace coupon_race {

/// The directory that holds both `initdb` and `postgres`: the wanted one if one is given; else the
/// one that pg_config names ($PG_CONFIG, or the first on PATH, since that is the server that
/// `make install` installs the extension for); else the newest version under /usr/lib/postgresql,
/// as Debian has it; else a directory of PATH. Throws setup_error naming where it looked.
std::filesystem::path find_postgres_programs(const std::filesystem::path &wanted);

/// Sorts directories named after versions, newest first; others keep their order behind them.
void newest_version_first(std::vector<std::filesystem::path> &directories);

} // namespace coupon_race

#endif
