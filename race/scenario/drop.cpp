/// The scenario `drop`: a capped coupon, more buyers than units, all at once; some change their
/// mind after they have redeemed and before they pay, and some connections break.
///
/// Where buyers share connections, a redemption is a transaction of its own. So a buyer who is to
/// roll back makes one on a connection of its own, opened then, as a shop does whose order and
/// redemption are one transaction. The others need none: what they do between redemption and commit
/// elsewhere, they do after it, and what is killed is a connection that they share.

#include <algorithm>
#include <stdexcept>
#include <thread>
#include <unordered_set>
#include <utility>

#include <coupon_guard/errors.hpp>
#include <fmt/format.h>

#include "os/interruption.hpp"
#include "scenario/bystander.hpp"
#include "scenario/sale.hpp"
#include "strategies/grouped.hpp"
#include "words.hpp"

namespace coupon_race {

namespace {

/// One buyer's purchase.
class purchase {
  public:
    purchase(session &client, shared_client *shared, const turn &of, backend_killer &killer,
             request asked, fate ahead)
        : client_{client}
        , shared_{shared}
        , of_{of}
        , killer_{killer}
        , asked_{std::move(asked)}
        , fate_{ahead} {}

    attempt make() {
        made_.user = asked_.user;
        made_.started = race_clock::now();
        client_.until_told(made_, [this] {
            if (shared_ && fate_ != fate::roll_back)
                try_together();
            else
                try_to();
        });
        made_.ended = race_clock::now();
        return made_;
    }

  private:
    void try_to() {
        std::optional<std::int64_t> unit;
        outcome met = outcome::refused;
        client_.transact([&](pqxx::transaction_base &transaction) {
            unit = client_.raced().take(transaction, asked_);
            if (!unit)
                return false;
            std::this_thread::sleep_for(of_.settings.hold_time);
            met = meet_fate(transaction);
            return met == outcome::redeemed;
        });
        if (std::exchange(answer_is_lost_, false)) {
            killer_.kill(client_.connection().backendpid());
            throw coupon_guard::outcome_unknown{"the connection broke before COMMIT was answered"};
        }
        made_.outcome = met;
        if (met == outcome::redeemed)
            made_.redemption_id = unit;
    }

    /// When COMMIT is sent nobody tells: not before it was asked for, and a buyer who is told "sold
    /// out" in between has the benefit of the doubt. What is killed is whatever is under way then,
    /// of others who redeem together.
    void try_together() {
        const fate met = std::exchange(fate_, fate::commit);
        if (!made_.commit_sent)
            made_.commit_sent = race_clock::now();
        const std::optional<std::int64_t> unit = shared_->take(asked_, made_);
        if (unit) {
            if (met != fate::commit)
                killer_.kill_one_of(shared_client::application_name);
            std::this_thread::sleep_for(of_.settings.hold_time);
            if (met == fate::killed_after_commit)
                throw coupon_guard::outcome_unknown{"the answer was lost on its way to the buyer"};
        }
        made_.outcome = unit ? outcome::redeemed : outcome::refused;
        made_.redemption_id = unit;
    }

    /// `redeemed` if the transaction is to be committed. A fate is met once.
    outcome meet_fate(pqxx::transaction_base &transaction) {
        const fate met = std::exchange(fate_, fate::commit);
        if (met == fate::roll_back)
            return outcome::rolled_back;
        if (met == fate::killed_before_commit)
            transaction.exec("SELECT pg_terminate_backend(pg_backend_pid())");
        if (met == fate::killed_at_commit)
            killer_.kill(client_.connection().backendpid());
        answer_is_lost_ = met == fate::killed_after_commit;
        if (!made_.commit_sent)
            made_.commit_sent = race_clock::now();
        return outcome::redeemed;
    }

    session &client_;
    shared_client *const shared_; ///< null: the client has its own connection
    const turn &of_;
    backend_killer &killer_;
    const request asked_;
    fate fate_;
    bool answer_is_lost_ = false;
    attempt made_;
};

class drop : public sale {
  public:
    drop() {
        name = "drop";
        redeemed = "sold";
        defaults.buyers = 2000;
        defaults.cap = 500;
        settings.insert(settings.end(), {{"cap", &race_settings::cap},
                                         {"rollback_rate", &race_settings::rollback_rate},
                                         {"kill_rate", &race_settings::kill_rate},
                                         {"hold_time_ms", &race_settings::hold_time}});
        for (const char *each : {"textbook", "counter", "for-update", "serializable"})
            strategies.push_back(std::make_unique<strategy>(std::string{"drop/"} + each));
        strategies.push_back(std::make_unique<guarded_strategy>(
            "redeem_coupon(user, code, request_id); killed ones asked again under the same id",
            false));
        strategies.push_back(std::make_unique<grouped_strategy>());
        over_shards = make_sharded_drop();
    }

    void check(const race_settings &of) const override {
        if (of.rollback_rate + of.kill_rate > 1)
            throw std::invalid_argument{"--rollback-rate and --kill-rate are more than 1 together"};
    }

    /// - over the cap: rows beyond it
    /// - false sold-outs: false_sold_outs()
    /// - double redemptions: rows beyond the first of each buyer
    /// - lost: acknowledged redemptions whose row is not there
    /// - unasked: rows of buyers who were refused, rolled back or saw an error
    /// - broken invariants: of the strategy's own tables (for redeem_coupon: what
    ///   coupon_guard_verify() tells, and quota + rows = cap)
    judgement judge(const race_result &result, const race_settings &of, bool) const override {
        return judged_sale(result,
                           {over_the_cap(result, of.cap),
                            {"false_sold_outs", "false sold-outs",
                             false_sold_outs(result.log, result.ledger, of.cap), true, true}});
    }
    std::vector<measure> measures(const race_result &result, const race_settings &,
                                  const judgement &) const override {
        std::int64_t rolled_back = 0;
        std::int64_t connections_lost = 0;
        for (const attempt &made : result.log) {
            rolled_back += made.outcome == outcome::rolled_back;
            connections_lost += made.connections_lost;
        }
        const auto buyers = std::max<std::int64_t>(1, std::int64_t(result.log.size()));
        return {{"rolled_back", "", rolled_back, {}},
                {"connections_lost", "killed", connections_lost, {}},
                {"wait_ms", "wait", {}, result.blocked / buyers}};
    }

    std::string scene(const race_settings &of) const override {
        std::string text =
            fmt::format("{} buyers for {} units, {} at once", of.buyers, of.cap, of.clients);
        if (of.hold_time.count() > 0)
            text += fmt::format("; {} from redemption to commit", duration_text(of.hold_time));
        if (of.rollback_rate > 0)
            text += fmt::format("; {:g}% roll back", of.rollback_rate * 100);
        if (of.kill_rate > 0)
            text += fmt::format("; {:g}% are killed", of.kill_rate * 100);
        return text;
    }
    std::string kept(const race_settings &) const override {
        return "never a unit too many, nobody twice, nobody sent away while one was left.";
    }

  protected:
    void race(const turn &of, race_result &result) const override {
        backend_killer killer{of.connection};
        const std::unique_ptr<shared_client> shared = [&] {
            const signals_blocked none_for_threads;
            return of.raced.share(of.connection);
        }();
        lock_watch watch{of.connection, result.blocked};
        result.log = serve_all(
            of, conduct{true, false},
            [&](session &client, const starting_gate &, std::int64_t user,
                const std::string &code) {
                const fate ahead = user > 0 ? fate_of(of.settings, of.seed, user)
                                   : shared ? fate::commit
                                            : fate::roll_back;
                const std::string request_id = "buyer-" + std::to_string(user);
                return purchase{client, shared.get(), of, killer, {user, code, request_id}, ahead}
                    .make();
            });
        watch.stop();
    }
};

} // namespace

fate fate_of(const race_settings &settings, std::uint64_t seed, std::int64_t buyer) {
    const double drawn = drawn_for(seed, buyer);
    if (drawn < settings.rollback_rate)
        return fate::roll_back;
    if (drawn < settings.rollback_rate + settings.kill_rate / 2)
        return fate::killed_before_commit;
    if (drawn < settings.rollback_rate + settings.kill_rate * 3 / 4)
        return fate::killed_at_commit;
    if (drawn < settings.rollback_rate + settings.kill_rate)
        return fate::killed_after_commit;
    return fate::commit;
}

std::int64_t false_sold_outs(const race_log &log, const std::vector<ledger_row> &ledger,
                             std::int64_t cap) {
    std::unordered_set<std::int64_t> buyers_with_a_row;
    for (const ledger_row &row : ledger)
        buyers_with_a_row.insert(row.user);
    std::vector<race_clock::time_point> commits;
    for (const attempt &made : log)
        if (made.commit_sent && buyers_with_a_row.count(made.user) > 0)
            commits.push_back(*made.commit_sent);
    std::sort(commits.begin(), commits.end());
    std::int64_t count = 0;
    for (const attempt &made : log)
        if (made.outcome == outcome::refused) {
            const auto sent_before = std::lower_bound(commits.begin(), commits.end(), made.ended);
            count += sent_before - commits.begin() < cap;
        }
    return count;
}

std::unique_ptr<scenario> make_drop() {
    return std::make_unique<drop>();
}

} // namespace coupon_race
