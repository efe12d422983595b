#include "cutting_proxy.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <stdexcept>

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace coupon_guard_tests {

namespace {

template <typename Call>
int at_socket(const std::string &path, Call &&call) {
    const int made = socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    if (made < 0 || call(made, reinterpret_cast<const sockaddr *>(&address), sizeof address) != 0)
        throw std::runtime_error{path + ": " + std::strerror(errno)};
    return made;
}

} // namespace

cutting_proxy::cutting_proxy(const std::string &server_socket, std::function<cut(int)> choose)
    : directory_{std::nullopt, 20}
    , server_socket_{server_socket}
    , choose_{std::move(choose)} {
    const auto name = std::filesystem::path{server_socket}.filename();
    listener_ = at_socket((directory_.path() / name).string(), bind);
    if (listen(listener_, 64) != 0)
        throw std::runtime_error{std::strerror(errno)};
    thread_ = std::thread{[this] { run(); }};
}

cutting_proxy::~cutting_proxy() {
    is_over_ = true;
    thread_.join();
    for (const connection &each : connections_) {
        close(each.client);
        close(each.server);
    }
    close(listener_);
}

void cutting_proxy::run() {
    while (!is_over_) {
        std::vector<pollfd> events{{listener_, POLLIN, 0}};
        for (const connection &each : connections_) {
            events.push_back({each.client, POLLIN, 0});
            events.push_back({each.server, POLLIN, 0});
        }
        poll(events.data(), events.size(), 20);
        std::vector<connection> left;
        for (std::size_t at = 0; at < connections_.size(); ++at) {
            connection &each = connections_[at];
            if ((events[2 * at + 1].revents && !pass_on(each, false)) ||
                (events[2 * at + 2].revents && !pass_on(each, true))) {
                close(each.client);
                close(each.server);
            } else {
                left.push_back(each);
            }
        }
        connections_ = std::move(left);
        if (events[0].revents)
            begin_connection();
    }
}

void cutting_proxy::begin_connection() {
    const int client = accept(listener_, nullptr, nullptr);
    if (client >= 0)
        connections_.push_back({client, at_socket(server_socket_, connect), choose_(begun_++)});
}

/// False when the connection is at its end: cut, or closed by one of the two.
bool cutting_proxy::pass_on(connection &each, bool from_server) {
    char bytes[65536];
    const ssize_t got = read(from_server ? each.server : each.client, bytes, sizeof bytes);
    if (got <= 0)
        return false;
    auto size = static_cast<std::size_t>(got);
    const bool is_cut = from_server == each.end.from_server && size >= each.end.after;
    if (is_cut) {
        size = each.end.after;
        ++cuts_;
    } else if (from_server == each.end.from_server) {
        each.end.after -= size;
    }
    const ssize_t sent = send(from_server ? each.client : each.server, bytes, size, MSG_NOSIGNAL);
    return !is_cut && sent == static_cast<ssize_t>(size);
}

} // namespace coupon_guard_tests
