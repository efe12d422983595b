/// What becomes of one request: it is asked in a group (group_queue.cpp, group_lane.cpp); if it
/// would have to wait for another transaction, apart, on a connection of its own; and repeated as a
/// client repeats it. All of this happens in its caller's thread. For a future the group is asked
/// without a thread that waits, and only what is left to do afterwards, if anything, takes one.

#include <coupon_guard/group_client.hpp>

#include <condition_variable>
#include <mutex>
#include <random>
#include <stdexcept>
#include <utility>

#include "error_translation.hpp"
#include "group_lane.hpp"
#include "group_queue.hpp"
#include "permits.hpp"
#include "retry_loop.hpp"
#include "workers.hpp"

namespace coupon_guard {

namespace {

using clock = group_member::clock;

/// backoff, for several threads at once.
class shared_backoff {
  public:
    explicit shared_backoff(const client_options &options)
        : backoff_{options.retry, seed_of(options.jitter_seed)} {}

    std::chrono::microseconds pause(int retry) {
        const std::lock_guard<std::mutex> lock{mutex_};
        return backoff_.pause(retry);
    }
    const retry_policy &policy() const noexcept { return backoff_.policy(); }

  private:
    std::mutex mutex_;
    backoff backoff_;
};

/// The callers that are inside.
class callers {
  public:
    void enter() {
        const std::lock_guard<std::mutex> lock{mutex_};
        if (is_closed_)
            throw not_sent{not_sent::reason::closed};
        ++inside_;
    }
    void leave() {
        const std::lock_guard<std::mutex> lock{mutex_};
        if (--inside_ == 0)
            gone_.notify_all(); // under the lock: who waits may be about to destroy it
    }
    void close() {
        const std::lock_guard<std::mutex> lock{mutex_};
        is_closed_ = true;
    }
    void wait_until_gone() {
        std::unique_lock<std::mutex> lock{mutex_};
        gone_.wait(lock, [&] { return inside_ == 0; });
    }

  private:
    std::mutex mutex_;
    std::condition_variable gone_;
    std::size_t inside_ = 0;
    bool is_closed_ = false;
};

template <typename Function>
class at_end {
  public:
    explicit at_end(Function function)
        : function_{std::move(function)} {}
    ~at_end() {
        if (!is_forgotten_)
            function_();
    }
    void forget() noexcept { is_forgotten_ = true; }
    at_end(const at_end &) = delete;
    at_end &operator=(const at_end &) = delete;

  private:
    Function function_;
    bool is_forgotten_ = false;
};

const group_client_options &checked(const group_client_options &options) {
    if (options.connections < 1 || options.connections_apart < 1 || options.group_size < 1 ||
        options.queue_length < 1 || options.patience.count() < 1 || options.time_limit.count() < 1)
        throw std::invalid_argument{"group_client_options: a limit below 1"};
    return options;
}

} // namespace

class group_client::implementation {
  public:
    implementation(std::string conninfo, const group_client_options &options)
        : options_{checked(options)}
        , conninfo_{std::move(conninfo)}
        , pauses_{options}
        , apart_{options.connections_apart}
        , queue_{{static_cast<std::size_t>(options.connections), options.group_size,
                  options.queue_length},
                 [this](std::size_t lane, const auto &group) { lanes_[lane].answer(group); },
                 options.when_ready}
        , helpers_{static_cast<std::size_t>(options.connections_apart)} {
        lanes_.reserve(static_cast<std::size_t>(options.connections));
        while (lanes_.size() < static_cast<std::size_t>(options.connections))
            lanes_.emplace_back(conninfo_, options.patience, mending_, options.prepares_statements);
        lanes_.front().open();
    }

    template <typename Answer>
    Answer answer(const request<Answer> &asked) {
        callers_.enter();
        const at_end leave{[this] { callers_.leave(); }};
        return answer_by(time_limit(), asked, nullptr);
    }

    /// `ask` makes the request, and may throw.
    template <typename Answer, typename Ask>
    std::future<Answer> answer_later(Ask ask) {
        std::promise<Answer> told;
        std::future<Answer> future = told.get_future();
        try {
            const auto later = std::make_shared<pending<Answer>>(ask(), time_limit());
            callers_.enter();
            at_end leave{[this] { callers_.leave(); }};
            later->told.swap(told);
            try {
                queue_.post(later->call, [this, later] { tell(later); });
            } catch (...) {
                later->told.swap(told);
                throw;
            }
            leave.forget(); // it is inside until it has been told
        } catch (...) {
            told.set_exception(std::current_exception());
        }
        return future;
    }

    void close() {
        callers_.close();
        queue_.close();
        apart_.close();
        callers_.wait_until_gone();
    }

    std::size_t waiting() const { return queue_.waiting(); }
    const std::string &schema() const noexcept { return options_.schema; }

  private:
    /// A request whose caller does not wait.
    template <typename Answer>
    struct pending {
        pending(request<Answer> made, clock::time_point limit)
            : asked{std::move(made)}
            , deadline{limit}
            , call{asked.call, limit} {}

        request<Answer> asked;
        clock::time_point deadline;
        group_call call;
        std::promise<Answer> told;
    };

    clock::time_point time_limit() const { return clock::now() + options_.time_limit; }

    /// `done` is the first attempt, if it has been made already.
    template <typename Answer>
    Answer answer_by(clock::time_point deadline, const request<Answer> &asked, group_call *done) {
        bool is_apart = false;
        return ask_with_patience(pauses_, asked.is_repeatable, [&](int &retries) {
            if (!is_apart) {
                group_call call{asked.call, deadline};
                group_call &told = done ? *std::exchange(done, nullptr) : call;
                if (&told == &call)
                    queue_.ask(call, options_.waits_when_full);
                retries += told.conflicts;
                if (told.failure)
                    std::rethrow_exception(told.failure);
                if (!told.waits_too_long)
                    return asked.read(told.rows);
                is_apart = true;
            }
            return ask_apart(asked, deadline);
        });
    }

    /// On a connection of its own, which waits for other transactions as long as the request may.
    template <typename Answer>
    Answer ask_apart(const request<Answer> &asked, clock::time_point deadline) {
        if (!apart_.acquire(deadline))
            throw gave_up_waiting{"another transaction is in the way", "55P03"};
        const at_end release{[this] { apart_.release(); }};
        owned_connection own{conninfo_};
        pqxx::connection &connection = own.ready();
        return translating(connection, if_lost::nothing_happened, [&] {
            const auto left =
                std::chrono::duration_cast<std::chrono::milliseconds>(deadline - clock::now());
            pqxx::nontransaction transaction{connection};
            return asked.read(answer_rows{asked.call.run(transaction, lock_wait{left, true})});
        });
    }

    template <typename Answer>
    void tell(const std::shared_ptr<pending<Answer>> &later) {
        if (!needs_more(*later))
            return finish(*later);
        try {
            helpers_.submit([this, later] {
                finish(*later);
                if (options_.when_ready)
                    options_.when_ready();
            });
        } catch (const std::system_error &) {
            finish(*later); // in this thread, then
        }
    }

    template <typename Answer>
    static bool needs_more(const pending<Answer> &later) {
        if (later.call.waits_too_long)
            return true;
        try {
            if (later.call.failure)
                std::rethrow_exception(later.call.failure);
        } catch (const transaction_conflict &) {
            return true;
        } catch (const outcome_unknown &) {
            return later.asked.is_repeatable;
        } catch (...) {
        }
        return false;
    }

    template <typename Answer>
    void finish(pending<Answer> &later) {
        try {
            later.told.set_value(answer_by(later.deadline, later.asked, &later.call));
        } catch (...) {
            later.told.set_exception(std::current_exception());
        }
        callers_.leave();
    }

    const group_client_options options_;
    const std::string conninfo_;
    shared_backoff pauses_;
    callers callers_;
    permits apart_;
    std::mutex mending_;
    std::vector<group_lane> lanes_;
    group_queue queue_;
    workers helpers_; // what is left to do for futures; last: gone before what they use
};

group_client::group_client(std::string conninfo, const group_client_options &options)
    : implementation_{std::make_unique<implementation>(std::move(conninfo), options)} {}

group_client::~group_client() {
    close();
}

std::size_t group_client::waiting() const {
    return implementation_->waiting();
}

void group_client::close() {
    implementation_->close();
}

redemption group_client::redeem(const user_id &user, std::string_view code,
                                const redeem_options &options) {
    return implementation_->answer(redeem_request(user, code, options, implementation_->schema()));
}

redemption group_client::hold(const user_id &user, std::string_view code,
                              const hold_options &options) {
    return implementation_->answer(hold_request(user, code, options, implementation_->schema()));
}

redemption group_client::confirm(std::int64_t redemption_id,
                                 const std::optional<std::int64_t> &amount) {
    return implementation_->answer(
        confirm_request(redemption_id, amount, implementation_->schema()));
}

bool group_client::void_redemption(std::int64_t redemption_id,
                                   const std::optional<std::string> &reason,
                                   const std::optional<std::int64_t> &amount) {
    return implementation_->answer(
        void_request(redemption_id, amount, reason, implementation_->schema()));
}

redemptions group_client::redeem_coupons(const user_id &user, const std::vector<std::string> &codes,
                                         const redeem_options &options,
                                         const std::vector<std::optional<std::int64_t>> &amounts) {
    return implementation_->answer(
        redeem_coupons_request(user, codes, amounts, options, implementation_->schema()));
}

claim_answer group_client::claim(const user_id &user, std::string_view campaign) {
    return implementation_->answer(claim_request(user, campaign, implementation_->schema()));
}

claim_answer group_client::release_claim(const user_id &user, std::string_view campaign) {
    return implementation_->answer(release_request(user, campaign, implementation_->schema()));
}

std::future<redemption> group_client::redeem_later(const user_id &user, std::string_view code,
                                                   const redeem_options &options) {
    return implementation_->answer_later<redemption>(
        [&] { return redeem_request(user, code, options, implementation_->schema()); });
}

std::future<redemption> group_client::hold_later(const user_id &user, std::string_view code,
                                                 const hold_options &options) {
    return implementation_->answer_later<redemption>(
        [&] { return hold_request(user, code, options, implementation_->schema()); });
}

std::future<redemption> group_client::confirm_later(std::int64_t redemption_id,
                                                    const std::optional<std::int64_t> &amount) {
    return implementation_->answer_later<redemption>(
        [&] { return confirm_request(redemption_id, amount, implementation_->schema()); });
}

std::future<bool> group_client::void_redemption_later(std::int64_t redemption_id,
                                                      const std::optional<std::string> &reason,
                                                      const std::optional<std::int64_t> &amount) {
    return implementation_->answer_later<bool>(
        [&] { return void_request(redemption_id, amount, reason, implementation_->schema()); });
}

std::future<redemptions>
group_client::redeem_coupons_later(const user_id &user, const std::vector<std::string> &codes,
                                   const redeem_options &options,
                                   const std::vector<std::optional<std::int64_t>> &amounts) {
    return implementation_->answer_later<redemptions>([&] {
        return redeem_coupons_request(user, codes, amounts, options, implementation_->schema());
    });
}

std::future<claim_answer> group_client::claim_later(const user_id &user,
                                                    std::string_view campaign) {
    return implementation_->answer_later<claim_answer>(
        [&] { return claim_request(user, campaign, implementation_->schema()); });
}

std::future<claim_answer> group_client::release_claim_later(const user_id &user,
                                                            std::string_view campaign) {
    return implementation_->answer_later<claim_answer>(
        [&] { return release_request(user, campaign, implementation_->schema()); });
}

} // namespace coupon_guard
