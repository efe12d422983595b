/// The connection of one worker, and how what happens to it becomes an answer.
#ifndef COUPON_RACE_STRATEGIES_WORKER_CONNECTION_HPP
#define COUPON_RACE_STRATEGIES_WORKER_CONNECTION_HPP

#include <memory>
#include <string>

#include <pqxx/connection>

#include <coupon_guard/errors.hpp>

#include "strategies/strategy.hpp"

namespace coupon_race {

/// Opened when first asked for, and anew after it broke.
class worker_connection {
  public:
    explicit worker_connection(std::string address)
        : address_{std::move(address)} {}

    /// Throws coupon_guard::connection_failed.
    pqxx::connection &get();

  private:
    std::string address_;
    std::unique_ptr<pqxx::connection> connection_;
};

/// Calls `request` and turns the library's exceptions into answers.
template <typename Request>
attempt as_attempt(Request &&request) {
    attempt result;
    try {
        return request();
    } catch (const coupon_guard::outcome_unknown &caught) {
        result.answer = answer::unknown;
        result.error = caught.what();
    } catch (const coupon_guard::transaction_conflict &caught) {
        result.retries = caught.retries();
        result.error = caught.what();
    } catch (const coupon_guard::error &caught) {
        result.error = caught.what();
    }
    return result;
}

} // namespace coupon_race

#endif
