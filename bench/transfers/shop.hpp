/// A shop of many shards that sells the units of one cap, played event by event: the same seed, the
/// same sale.
///
/// What is played is the rule by which units move, not the servers: a redemption takes its time
/// and is committed or rolled back, a question to the other shards takes its time, a transfer
/// takes its time on both sides. No server has too much to do.
///
/// A buyer is refused only when no unit was left, under way, or in a transaction still open, on
/// any shard, at one moment of the buyer's call ("not said too early"):
/// - a shard without units asks the others for all of its buyers at once. Who comes while a
///   question is open waits for the next one, as its answer is older than the buyer;
/// - a question is answered by each shard with what it has and what may come back to it; if there
///   is nothing to be had but something that may come back, it is asked again.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <queue>
#include <random>
#include <vector>

#include "transfer_rule.hpp"

namespace transfers {

using seconds = double;

struct settings {
    int shards = 64;
    units cap = 1'000'000;
    std::int64_t buyers = 10'000'000;
    seconds sale = 1'000;        ///< in which the buyers come, one as likely at any time
    double zipf = 1;             ///< the n-th shard has 1/n^zipf as many buyers as the first
    double to_first = 0;         ///< so many of all buyers are of the first shard
    double rolled_back = 0.1;    ///< so many redemptions are
    seconds transaction = 0.010; ///< of a buyer, with the redemption in it
    seconds question = 0.002;    ///< to all other shards, and their answers
    seconds transfer = 0.005;    ///< both halves
    seconds between_questions =
        0.1; ///< of one shard, at the least, when the last one found nothing
    std::uint64_t seed = 1;
};

/// What came of the sale.
struct result {
    units sold = 0;
    std::int64_t refused = 0;
    std::int64_t refused_wrongly = 0; ///< while a unit was left or could come back
    std::int64_t transfers = 0;
    std::int64_t questions = 0;
    std::int64_t waited = 0;          ///< buyers who waited for a transfer, and got a unit
    std::vector<float> waits;         ///< how long they did
    std::vector<float> refusal_waits; ///< how long the refused waited for their answer
    seconds last_unit = 0;            ///< when it was sold
};

class shop {
  public:
    shop(const settings &wanted, const transfer_rule &rule);
    result play();

  private:
    enum class kind : std::uint8_t { buyer, end, answer, arrival, question };
    struct event {
        seconds at;
        std::uint64_t number; // of two at the same time, the one that was planned first
        kind what;
        int shard;
        units amount;
        bool operator<(const event &other) const {
            return at != other.at ? at > other.at : number > other.number;
        }
    };
    struct waiting {
        seconds since;
    };
    struct shard {
        units left = 0;
        units used = 0;
        units open = 0;   // units of transactions that are not decided
        units coming = 0; // transfers under way to it
        bool is_asking = false;
        std::size_t asked_for = 0; // the first so many who wait came before the question
        seconds last_question = -1;
        bool found_nothing = false;
        double rate = 0; // units a second, as they went lately
        seconds rated_at = 0;
        std::deque<waiting> queue;
    };

    void plan(seconds after, kind what, int shard, units amount = 0);
    void plan_next_buyer();
    int shard_of_buyer();
    void come(shard &at, int number);
    void take(shard &at, int number);
    void serve(shard &at, int number);
    void end(shard &at, int number, bool is_committed);
    void ask(shard &at, int number);
    void plan_question(shard &at, int number);
    void hear(shard &at, int number);
    void refuse(shard &at);
    bool wants_more(const shard &at) const;
    bool may_come(const shard &except) const;
    int richest(const shard &except) const;
    units in_all() const;

    settings _settings;
    transfer_rule _rule;
    std::mt19937_64 _random;
    std::vector<double> _share; // cumulated
    std::vector<shard> _shards;
    std::priority_queue<event> _events;
    std::uint64_t _planned = 0;
    std::int64_t _buyers_to_come;
    seconds _now = 0;
    result _result;
};

} // namespace transfers
