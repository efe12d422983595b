/// The script's keys are those of bench/coupon_bench/redis.py, which loads it.

#include "redis.hpp"

#include <memory>
#include <stdexcept>
#include <string_view>

#include <hiredis/hiredis.h>

namespace callers {

namespace {

struct closing {
    void operator()(redisContext *connection) const noexcept { redisFree(connection); }
    void operator()(redisReply *reply) const noexcept { freeReplyObject(reply); }
};

std::shared_ptr<redisContext> connect(const std::string &socket) {
    std::shared_ptr<redisContext> connection{redisConnectUnix(socket.c_str()), closing{}};
    if (!connection || connection->err != 0)
        throw std::runtime_error{"Redis: " + (connection ? std::string{connection->errstr}
                                                         : std::string{"out of memory"})};
    return connection;
}

bool redeem(redisContext &connection, const std::string &script, std::int64_t user) {
    const std::unique_ptr<redisReply, closing> reply{
        static_cast<redisReply *>(redisCommand(&connection, "EVALSHA %s 2 redeemed units %s",
                                               script.c_str(), std::to_string(user).c_str()))};
    if (!reply)
        throw std::runtime_error{std::string{"Redis: "} + connection.errstr};
    const std::string_view answer{reply->str, reply->len};
    if (reply->type == REDIS_REPLY_ERROR)
        throw std::runtime_error{"Redis: " + std::string{answer}};
    return answer == "redeemed";
}

} // namespace

tally ask_redis(const load &wanted, const request_source &source, const redis_server &where) {
    return ask_in_threads(wanted, source, [&]() -> asking {
        const auto own = connect(where.socket);
        return [own, script = where.script](const request &each) {
            return redeem(*own, script, each.user);
        };
    });
}

} // namespace callers
