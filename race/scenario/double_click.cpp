#include "scenario/double_click.hpp"

#include <exception>
#include <future>
#include <iterator>
#include <vector>

#include "os/interruption.hpp"
#include "scenario/starting_gate.hpp"

namespace coupon_race {

namespace {

constexpr std::chrono::milliseconds progress_interval{100};

logged_attempt timed_attempt(session &runner, std::int64_t user, int client) {
    logged_attempt logged;
    logged.user = user;
    logged.client = client;
    logged.started = race_clock::now();
    logged.result = runner.redeem(user, raced_code);
    logged.ended = race_clock::now();
    return logged;
}

/// One client: all rounds, in step with the others.
race_log run_client(const double_click &scenario, const strategy &raced,
                    const session_settings &settings, int client, starting_gate &gate) {
    const std::unique_ptr<session> runner = raced.open(settings);
    runner->redeem(-1 - client, warm_up_code);
    race_log log;
    log.reserve(static_cast<std::size_t>(scenario.rounds));
    for (std::int64_t user = 1; user <= scenario.rounds && gate.wait(); ++user)
        log.push_back(timed_attempt(*runner, user, client));
    return log;
}

/// The threads of one race: started with signals blocked, always joined.
class clients {
  public:
    clients(const double_click &scenario, const strategy &raced, const session_settings &settings)
        : scenario_{scenario}
        , raced_{raced}
        , gate_{scenario.clients} {
        const signals_blocked none_for_threads;
        try {
            for (int client = 0; client < scenario.clients; ++client)
                start(client, settings);
        } catch (...) {
            gate_.call_off(); // or those that did start would wait for ever, and we for them
            throw;
        }
    }
    ~clients() { gate_.call_off(); } // each future joins its thread
    clients(const clients &) = delete;
    clients &operator=(const clients &) = delete;

    std::int64_t rounds_begun() const { return gate_.openings(); }

    bool finished_within(std::chrono::milliseconds timeout) const {
        return logs_.back().wait_for(timeout) == std::future_status::ready;
    }

    race_log collect() {
        race_log all;
        for (auto &log : logs_) {
            race_log part = log.get();
            all.insert(all.end(), std::make_move_iterator(part.begin()),
                       std::make_move_iterator(part.end()));
        }
        return all;
    }

  private:
    void start(int client, session_settings own) {
        own.seed += static_cast<std::uint64_t>(client);
        logs_.push_back(std::async(std::launch::async, [this, client, own] {
            try {
                return run_client(scenario_, raced_, own, client, gate_);
            } catch (...) {
                gate_.call_off(); // the others must not wait for this one
                throw;
            }
        }));
    }

    const double_click &scenario_;
    const strategy &raced_;
    starting_gate gate_;
    std::vector<std::future<race_log>> logs_;
};

} // namespace

race_log run(const double_click &scenario, const strategy &raced, const session_settings &session,
             const std::function<void(std::int64_t)> &progress) {
    clients racing{scenario, raced, session};
    do {
        progress(racing.rounds_begun());
        throw_if_interrupted();
    } while (!racing.finished_within(progress_interval));
    return racing.collect();
}

} // namespace coupon_race
