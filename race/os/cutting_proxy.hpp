/// Stands between clients and a server, and cuts connections: after a chosen number of bytes, or
/// all of them at a chosen moment.
#ifndef COUPON_RACE_OS_CUTTING_PROXY_HPP
#define COUPON_RACE_OS_CUTTING_PROXY_HPP

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace coupon_race {

/// How a connection ends that is cut. Late is a few milliseconds later: time in which the one who
/// knows nothing of it goes on.
enum class ending {
    close,        ///< for both at once
    half_close,   ///< the receiver is told that no more comes, and may still answer
    reset,        ///< for both at once, and the client is told so (RST)
    client_first, ///< the client is told at once, the server late: it may still be at work
    server_first, ///< the server is told at once, the client late
    stall,        ///< for both, late
};

/// Listens on the loopback interface, for a unix socket knows no RST, and passes everything on to
/// the server's unix socket. While no server listens there, a client is let in and reset.
class cutting_proxy {
    using moment = std::chrono::steady_clock::time_point;

  public:
    /// A connection is cut when it has carried so many bytes in this direction; the last of them
    /// still arrives.
    struct cut {
        bool from_server;
        std::size_t after;
        ending how = ending::close;
    };

    static constexpr std::size_t never = static_cast<std::size_t>(-1);

    /// `choose` is asked for the cut of each connection, numbered from 0, in the proxy's own
    /// thread.
    cutting_proxy(const std::string &server_socket, std::function<cut(int connection)> choose);
    /// Cuts nothing but what is armed.
    explicit cutting_proxy(const std::string &server_socket)
        : cutting_proxy{server_socket, [](int) {
                            return cut{true, never};
                        }} {}
    ~cutting_proxy();
    cutting_proxy(const cutting_proxy &) = delete;
    cutting_proxy &operator=(const cutting_proxy &) = delete;

    /// What to add to a connection string, behind the server's own host.
    std::string conninfo() const;

    /// The connections to come are cut like this, one after the other, whichever it is that carries
    /// the bytes from now on: the next is armed when the one before has been made.
    void arm(const std::vector<cut> &cuts);
    /// Nothing more is cut, and bytes are counted anew. True if everything armed has been made.
    bool disarm();
    /// How many bytes clients (or the server) have sent since then.
    std::size_t carried(bool from_server) const { return carried_[from_server ? 1 : 0]; }
    /// Passes bytes on one by one.
    void drip() { is_dripping_ = true; }

    /// Every connection that there is ends soon, by a reset. Those to come are not concerned.
    void reset_all() { is_reset_due_ = true; }
    /// What is sent from now on is not passed on, and nobody let in, as if the network were gone,
    /// until the time is over or release() is called. Then it arrives.
    void hold_for(std::chrono::milliseconds time) {
        held_until_ = std::chrono::steady_clock::now() + time;
    }
    void release() { held_until_ = moment{}; }

    int cuts() const { return cuts_; }

  private:
    struct connection {
        int client;
        int server;
        cut end;
        std::optional<moment> client_until = {}, server_until = {}; // cut: still open so long
        bool is_deaf[2] = {false, false}; // to the client, to the server: what comes is lost
    };

    void run();
    void begin_connection();
    void end_all();
    bool is_held() const { return std::chrono::steady_clock::now() < held_until_.load(); }
    bool pass_on(connection &each, bool from_server);
    std::size_t bytes_before_cut(connection &each, bool from_server, std::size_t size,
                                 std::optional<ending> &how);
    bool make_cut(connection &each, bool from_server, ending how);
    bool send_all(int to, const char *bytes, std::size_t size) const;
    static bool close_what_is_due(connection &each, moment now);

    std::string server_socket_;
    std::function<cut(int)> choose_;
    std::vector<connection> connections_;
    int begun_ = 0;
    std::mutex mutex_; // of what is armed
    std::vector<cut> armed_;
    std::array<std::atomic<std::size_t>, 2> carried_{};
    std::atomic<bool> is_dripping_{false};
    std::atomic<bool> is_reset_due_{false};
    std::atomic<moment> held_until_{moment{}};
    std::atomic<int> cuts_{0};
    std::atomic<bool> is_over_{false};
    int port_ = 0;
    int listener_ = -1;
    std::thread thread_;
};

} // namespace coupon_race

#endif
