/// The servers of a race over shards: each with its part of the users, and a router in front.
#ifndef COUPON_RACE_PLACE_SHARD_CLUSTER_HPP
#define COUPON_RACE_PLACE_SHARD_CLUSTER_HPP

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "os/cutting_proxy.hpp"
#include "place/throwaway_server.hpp"

namespace coupon_race {

/// Throw-away servers, numbered from 0, that share the users of one shop, and one more that is
/// their router. The router reaches each of them through a network of its own, which can be cut;
/// everybody else reaches them directly.
class shard_cluster {
  public:
    /// Each server with `max_connections`; `progress` is told which is being started. Throws
    /// setup_error or `interrupted`.
    shard_cluster(const std::filesystem::path &program_directory, int shards, int max_connections,
                  const std::function<void(const std::string &)> &progress);

    int size() const { return static_cast<int>(shards_.size()); }
    throwaway_server &server(int number) { return *shards_.at(index(number)); }
    cutting_proxy &network(int number) { return *networks_.at(index(number)); }

    /// How a superuser reaches the database of the race: the router's, and a shard's.
    conninfo router() const { return router_->connection(); }
    conninfo shard(int number) const { return shards_.at(index(number))->connection(); }

    /// Creates the extensions in a schema of that name, and makes the servers known to each other.
    void create_extensions(const std::string &schema) const;

    /// The shards of `count` users, the first of whom has the number `first`.
    std::vector<int> shards_of_users(std::int64_t first, std::int64_t count) const;

  private:
    static std::size_t index(int number) { return static_cast<std::size_t>(number); }
    int partitions() const;

    std::unique_ptr<throwaway_server> router_;
    std::vector<std::unique_ptr<throwaway_server>> shards_;
    std::vector<std::unique_ptr<cutting_proxy>> networks_; // gone before what they lead to
};

} // namespace coupon_race

#endif
