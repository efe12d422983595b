#include "os/cutting_proxy.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace coupon_race {

namespace {

constexpr std::chrono::milliseconds lateness{3};
constexpr std::chrono::milliseconds held_interval{2};

[[noreturn]] void fail(const std::string &what) {
    throw std::runtime_error{what + ": " + std::strerror(errno)};
}

// No socket is passed on to a server that is started meanwhile: it would stay open there.

/// -1 if nobody listens there.
int connect_to(const std::string &path) {
    const int made = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    if (made >= 0 &&
        connect(made, reinterpret_cast<const sockaddr *>(&address), sizeof address) != 0) {
        close(made);
        return -1;
    }
    return made;
}

/// On a port that is free.
int listen_on_loopback(int &port) {
    const int made = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto *const generic = reinterpret_cast<sockaddr *>(&address);
    socklen_t size = sizeof address;
    if (made < 0 || bind(made, generic, size) != 0 || listen(made, 64) != 0 ||
        getsockname(made, generic, &size) != 0)
        fail("127.0.0.1");
    port = ntohs(address.sin_port);
    return made;
}

void close_once(int &socket) {
    if (socket >= 0)
        close(socket);
    socket = -1;
}

/// The one at its other end is told that it is broken.
void reset_once(int &socket) {
    const linger by_reset{1, 0};
    setsockopt(socket, SOL_SOCKET, SO_LINGER, &by_reset, sizeof by_reset);
    close_once(socket);
}

} // namespace

cutting_proxy::cutting_proxy(const std::string &server_socket, std::function<cut(int)> choose)
    : server_socket_{server_socket}
    , choose_{std::move(choose)}
    , listener_{listen_on_loopback(port_)} {
    thread_ = std::thread{[this] { run(); }};
}

cutting_proxy::~cutting_proxy() {
    is_over_ = true;
    thread_.join();
    for (connection &each : connections_) {
        close_once(each.client);
        close_once(each.server);
    }
    close(listener_);
}

std::string cutting_proxy::conninfo() const {
    return " host=127.0.0.1 port=" + std::to_string(port_) + " sslmode=disable gssencmode=disable";
}

void cutting_proxy::arm(const std::vector<cut> &cuts) {
    const std::lock_guard<std::mutex> lock{mutex_};
    armed_ = cuts;
}

bool cutting_proxy::disarm() {
    const std::lock_guard<std::mutex> lock{mutex_};
    const bool are_made = armed_.empty();
    armed_.clear();
    carried_[0] = carried_[1] = 0;
    return are_made;
}

void cutting_proxy::run() {
    while (!is_over_) {
        if (is_reset_due_.exchange(false))
            end_all();
        if (is_held()) {
            std::this_thread::sleep_for(held_interval);
            continue;
        }
        std::vector<pollfd> events{{listener_, POLLIN, 0}};
        bool is_one_due = false;
        for (const connection &each : connections_) {
            events.push_back({each.client, POLLIN, 0}); // poll() leaves out a socket of -1
            events.push_back({each.server, POLLIN, 0});
            is_one_due = is_one_due || each.client_until || each.server_until;
        }
        poll(events.data(), events.size(), is_one_due ? 1 : 20);
        if (is_held()) // since before what has come was sent, perhaps
            continue;
        const auto now = std::chrono::steady_clock::now();
        std::vector<connection> left;
        for (std::size_t at = 0; at < connections_.size(); ++at) {
            connection &each = connections_[at];
            const bool goes_on = (!events[2 * at + 1].revents || pass_on(each, false)) &&
                                 (!events[2 * at + 2].revents || pass_on(each, true)) &&
                                 close_what_is_due(each, now);
            if (goes_on) {
                left.push_back(each);
            } else {
                close_once(each.client);
                close_once(each.server);
            }
        }
        connections_ = std::move(left);
        if (events[0].revents)
            begin_connection();
    }
}

/// False when nothing is left open.
bool cutting_proxy::close_what_is_due(connection &each, moment now) {
    if (each.client_until && *each.client_until <= now) {
        close_once(each.client);
        each.client_until.reset();
    }
    if (each.server_until && *each.server_until <= now) {
        close_once(each.server);
        each.server_until.reset();
    }
    return each.client >= 0 || each.server >= 0;
}

void cutting_proxy::begin_connection() {
    int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0)
        return;
    const int server = connect_to(server_socket_);
    if (server < 0) {
        reset_once(client);
        return;
    }
    const int at_once = 1;
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
    connections_.push_back({client, server, choose_(begun_++)});
}

void cutting_proxy::end_all() {
    for (connection &each : connections_) {
        reset_once(each.client);
        close_once(each.server);
    }
    connections_.clear();
}

bool cutting_proxy::send_all(int to, const char *bytes, std::size_t size) const {
    for (std::size_t sent = 0; sent < size;) {
        const ssize_t got = send(to, bytes + sent, is_dripping_ ? 1 : size - sent, MSG_NOSIGNAL);
        if (got < 0)
            return false;
        sent += static_cast<std::size_t>(got);
    }
    return true;
}

/// How many of these bytes go on, and how the connection ends then, if it does.
std::size_t cutting_proxy::bytes_before_cut(connection &each, bool from_server, std::size_t size,
                                            std::optional<ending> &how) {
    const std::lock_guard<std::mutex> lock{mutex_};
    const bool is_armed = !armed_.empty();
    cut &next = is_armed ? armed_.front() : each.end;
    if (from_server != next.from_server)
        return size;
    if (size < next.after) {
        if (next.after != never)
            next.after -= size;
        return size;
    }
    how = next.how;
    size = next.after;
    if (is_armed)
        armed_.erase(armed_.begin());
    ++cuts_;
    return size;
}

/// False when the connection is at its end: cut, or closed by one of the two.
bool cutting_proxy::pass_on(connection &each, bool from_server) {
    char bytes[65536];
    const ssize_t got = read(from_server ? each.server : each.client, bytes, sizeof bytes);
    if (got <= 0)
        return false;
    if (each.is_deaf[from_server ? 1 : 0])
        return true;
    std::optional<ending> how;
    const std::size_t size =
        bytes_before_cut(each, from_server, static_cast<std::size_t>(got), how);
    carried_[from_server ? 1 : 0] += size;
    const bool has_arrived = send_all(from_server ? each.client : each.server, bytes, size);
    if (how)
        return make_cut(each, from_server, *how);
    return has_arrived;
}

/// True if there is something left to be done with it.
bool cutting_proxy::make_cut(connection &each, bool from_server, ending how) {
    const auto late = std::chrono::steady_clock::now() + lateness;
    each.is_deaf[from_server ? 1 : 0] = true;
    switch (how) {
    case ending::close:
        return false;
    case ending::half_close:
        shutdown(from_server ? each.client : each.server, SHUT_WR);
        return true;
    case ending::reset:
        reset_once(each.client);
        return false;
    case ending::client_first:
        close_once(each.client);
        each.is_deaf[1] = true;
        each.server_until = late;
        return true;
    case ending::server_first:
        close_once(each.server);
        each.is_deaf[0] = true;
        each.client_until = late;
        return true;
    case ending::stall:
        each.is_deaf[0] = each.is_deaf[1] = true;
        each.client_until = each.server_until = late;
        return true;
    }
    return false;
}

} // namespace coupon_race
