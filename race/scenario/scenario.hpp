/// A race: who takes part, what is asked of them, and what must be true of the ledger afterwards.
///
/// Each scenario says this in a file of its own, with its settings and its words; the command line,
/// the run and the reports know no scenario by name.
#ifndef COUPON_RACE_SCENARIO_SCENARIO_HPP
#define COUPON_RACE_SCENARIO_SCENARIO_HPP

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "judge/verdict.hpp"
#include "race_log.hpp"
#include "strategies/strategy.hpp"

namespace coupon_race {

class shard_cluster;

/// The coupon that is raced for, and one for warming up: connections, plans and pages, so that the
/// strategy that runs first does not pay for all.
inline constexpr char raced_code[] = "SAVE10";
inline constexpr char warm_up_code[] = "WARM-UP";

/// What can be said about a race beforehand; each scenario has some of it.
struct race_settings {
    int clients = 32;                          ///< at once
    std::int64_t rounds = 200;                 ///< each with a user of its own, numbered from 1
    std::int64_t buyers = 0;                   ///< each comes once, numbered from 1
    std::int64_t cap = 0;                      ///< or how many codes there are; 0: none
    std::int64_t budget = 0;                   ///< 0: none
    std::int64_t max_amount = 0;               ///< what is asked for is from 1 to this
    double rollback_rate = 0.1;                ///< of those who got a unit: roll back
    double kill_rate = 0.02;                   ///< of those who got a unit: their backend is killed
    double walk_away_rate = 0.3;               ///< of those who hold a unit
    std::chrono::microseconds hold_time{2000}; ///< in the open transaction, with the unit
    std::chrono::microseconds think_time{0};   ///< between look and write, or hold and confirmation
    std::chrono::microseconds ttl{200000};     ///< how long a unit is held
    int shards = 0;                            ///< 0: all is on one server
    double skew = 0;                           ///< of the buyers: are on one shard
    std::chrono::microseconds crash_interval{0}; ///< a shard ends and is started again; 0: none
    std::chrono::microseconds cut_interval{0};   ///< a shard's network is cut; 0: none
    /// No option: how long a buyer who finds everything held comes again, besides twenty times the
    /// ttl.
    std::chrono::microseconds patience{10000000};
    /// No option: what is done for the think time instead of sleeping.
    std::function<void()> think;
};

/// A setting that a scenario has, and its name in JSON.
struct setting {
    using field = std::variant<int race_settings::*, std::int64_t race_settings::*,
                               double race_settings::*, std::chrono::microseconds race_settings::*>;
    const char *key; ///< ends with _ms if it is a duration
    field where;
};

/// A figure that only some scenarios have; one of the two.
struct measure {
    std::string key;   ///< the name in JSON; in milliseconds if it is a duration
    std::string title; ///< the name in the table; empty: not shown there
    std::optional<std::int64_t> count;
    std::optional<duration> time;
};

/// One strategy's turn.
struct turn {
    const strategy &raced;
    const race_settings &settings;
    std::string connection; ///< of the race's own database; over shards, the router's
    std::uint64_t seed = 0; ///< of pauses and of what becomes of buyers
    /// Called now and then, on the calling thread, with how far the race is: "round 3 of 200".
    std::function<void(const std::string &)> progress = [](const auto &) {};
    shard_cluster *shards = nullptr; ///< of a race over shards
};

class scenario {
  public:
    virtual ~scenario() = default;

    std::string name;
    race_settings defaults;
    std::vector<setting> settings; ///< the ones it has, in the order of the JSON report
    /// In the order they are raced: the cautionary tale first, the cure last.
    std::vector<std::unique_ptr<strategy>> strategies;
    // What the figures are called: of requests, of those that got what they wanted, of those that
    // did not.
    std::string attempts, redeemed, refused;
    /// The same race over shards, with settings and strategies of its own; null if there is none.
    std::unique_ptr<scenario> over_shards;

    /// Null if there is none of that name.
    const strategy *strategy_named(const std::string &wanted) const;

    /// Throws std::invalid_argument.
    virtual void check(const race_settings &) const {}
    /// Creates the strategy's tables and the coupons.
    virtual void set_up(const turn &of) const;
    /// Runs the race and reads what it left in the database. Throws `interrupted`.
    race_result run(const turn &of) const;

    /// What must be zero, and the verdict that it amounts to. Pure: what was answered and what
    /// stands in the ledger goes in.
    virtual judgement judge(const race_result &result, const race_settings &settings,
                            bool promises_once_per_user) const = 0;
    virtual std::vector<measure> measures(const race_result &result, const race_settings &settings,
                                          const judgement &judged) const = 0;

    /// The race in a sentence without a full stop.
    virtual std::string scene(const race_settings &settings) const = 0;
    /// What the strategies that passed have kept.
    virtual std::string kept(const race_settings &settings) const = 0;
    /// Of a strategy that promised nothing: what went wrong, and that nothing did.
    virtual std::string as_feared(const judgement &, const race_settings &) const { return ""; }
    virtual std::string luck(const race_settings &) const { return ""; }

  protected:
    virtual void race(const turn &of, race_result &result) const = 0;
    /// The ledger, and what else is in the database, when the race is over.
    virtual void read(const turn &of, race_result &result) const;
};

std::unique_ptr<scenario> make_double_click();
std::unique_ptr<scenario> make_drop();
std::unique_ptr<scenario> make_checkout();
std::unique_ptr<scenario> make_budget();
std::unique_ptr<scenario> make_claim();
std::unique_ptr<scenario> make_sharded_drop();

/// All of them; the first is raced unless another is named.
const std::vector<std::unique_ptr<scenario>> &scenarios();
/// Throws std::invalid_argument.
const scenario &scenario_named(std::string_view name);

/// What is to become of a drop's purchase that gets a unit, for the first time that it does.
enum class fate {
    commit,
    roll_back,
    killed_before_commit,
    killed_at_commit,    ///< by somebody else while COMMIT is sent: before or after its record
    killed_after_commit, ///< the record is written, and the client is never told
};

/// The same for the same buyer and seed, so that every strategy meets the same buyers.
fate fate_of(const race_settings &settings, std::uint64_t seed, std::int64_t buyer);
/// A buyer of a drop over shards.
struct sharded_buyer {
    std::int64_t user;
    int shard; ///< where that user is
    bool rolls_back;
    bool direct; ///< goes there, not to the router, as who rolls back always does
};

/// All buyers, in the order in which they come; likewise the same for the same seed. A share `skew`
/// of them is on the last shard, the others on the rest; without skew they are on all of them
/// alike. `shards_of_users` says where the users are, some at a time, as of shard_cluster.
std::vector<sharded_buyer> sharded_buyers(
    const race_settings &settings, std::uint64_t seed,
    const std::function<std::vector<int>(std::int64_t first, std::int64_t count)> &shards_of_users);

/// Likewise of a checkout.
bool walks_away(const race_settings &settings, std::uint64_t seed, std::int64_t buyer);

/// What a buyer of a budget asks for, and whether it is rolled back; likewise.
std::int64_t amount_of(const race_settings &settings, std::uint64_t seed, std::int64_t buyer);
bool rolls_back(const race_settings &settings, std::uint64_t seed, std::int64_t buyer);

/// Whose a request for a code is: one in five is made by the user of the one before it, who has
/// pressed the button twice.
std::int64_t user_of_request(std::int64_t request);

/// How many refusals of a drop were false.
///
/// A refusal is false if, when it was told, COMMIT had been sent for fewer than `cap` of the
/// redemptions that stand in the ledger: whatever happened in between, at no moment of that request
/// were all units sold for good. A unit was left then, or in a transaction that was still to be
/// rolled back, and the request should have taken it or waited. Every refusal at a moment when
/// units are left and nobody is in flight is among these.
///
/// It is never said of a true one: a redemption whose commit the refusal can have seen was sent to
/// COMMIT before the refusal was told, by the one clock of the runner.
std::int64_t false_sold_outs(const race_log &log, const std::vector<ledger_row> &ledger,
                             std::int64_t cap);

/// The same of a budget: a refusal is false if, when it was told, the amounts of those redemptions
/// in the ledger for which COMMIT had been sent, and what was asked for, were within the budget
/// together. A refusal of what would have fitted into what is left in the end is among these.
std::int64_t false_refusals(const race_log &log, const std::vector<ledger_row> &ledger,
                            std::int64_t budget);

/// The same of claims, of which some are asked for again: a refusal is false if, when it was told,
/// COMMIT had been sent for fewer than `codes` of the claims that stand in the ledger. It is never
/// said of a true one: of a code that two requests of its user were told of, the first COMMIT
/// counts.
std::int64_t refused_too_early(const race_log &log, const std::vector<ledger_row> &ledger,
                               std::int64_t codes);

} // namespace coupon_race

#endif
