/// Stands between a client and a server, and cuts each connection after a chosen number of bytes.
#ifndef COUPON_GUARD_TESTS_CUTTING_PROXY_HPP
#define COUPON_GUARD_TESTS_CUTTING_PROXY_HPP

#include <atomic>
#include <cstddef>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "os/temporary_directory.hpp"

namespace coupon_guard_tests {

class cutting_proxy {
  public:
    /// A connection is cut when it has carried so many bytes in this direction; the last of them
    /// still arrives.
    struct cut {
        bool from_server;
        std::size_t after;
    };

    /// Passes everything on to the server's socket, a path. `choose` is asked for the cut of each
    /// connection, numbered from 0, in the proxy's own thread.
    cutting_proxy(const std::string &server_socket, std::function<cut(int connection)> choose);
    ~cutting_proxy();
    cutting_proxy(const cutting_proxy &) = delete;
    cutting_proxy &operator=(const cutting_proxy &) = delete;

    /// What to add to a connection string, behind the server's own host.
    std::string conninfo() const { return " host=" + directory_.path().string(); }

    int cuts() const { return cuts_; }

  private:
    struct connection {
        int client;
        int server;
        cut end;
    };

    void run();
    void begin_connection();
    bool pass_on(connection &each, bool from_server);

    coupon_race::temporary_directory directory_;
    std::string server_socket_;
    std::function<cut(int)> choose_;
    std::vector<connection> connections_;
    int begun_ = 0;
    std::atomic<int> cuts_{0};
    std::atomic<bool> is_over_{false};
    int listener_ = -1;
    std::thread thread_;
};

} // namespace coupon_guard_tests

#endif
