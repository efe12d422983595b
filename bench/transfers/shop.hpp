/// A shop of many shards that sells the units of one cap, played event by event: the same seed, the
/// same sale.
///
/// What is played is the rule by which units move, not the servers: a redemption takes its time
/// and is committed or rolled back, a question to the other shards takes its time, a transfer
/// takes its time on both sides. No server has too much to do.
///
/// A buyer is refused only when no unit was left, under way, or in a transaction still open, on
/// any shard, at one moment of the buyer's call ("not said too early"):
/// - a shard without units looks at the others for all of its buyers at once. Who comes while a
///   look is open waits for the next one, as its answers are older than the buyer;
/// - the shards answer one after the other, so what a question finds was never all true at one
///   moment: a unit may have gone from a shard that had yet to answer to one that had answered.
///   Hence two questions. If both find nothing left, open or under way anywhere, and no transfer
///   on any shard in between, then there was nothing between the two;
/// - where only an open transaction may bring a unit, its shard is asked for that and answers
///   when it knows.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <queue>
#include <random>
#include <vector>

#include "transfer_rule.hpp"

namespace transfers {

struct settings {
    int shards = 64;
    units cap = 1'000'000;
    std::int64_t buyers = 10'000'000;
    seconds sale = 1'000;        ///< in which the buyers come, one as likely at any time
    double zipf = 1;             ///< the n-th shard has 1/n^zipf as many buyers as the first
    double to_first = 0;         ///< so many of all buyers are of the first shard
    seconds first_moves = 0;     ///< so often another shard is the first; 0: never
    double rolled_back = 0.1;    ///< so many redemptions are
    seconds transaction = 0.010; ///< of a buyer, with the redemption in it
    seconds question = 0.002;    ///< to all shards, until the last has answered
    seconds transfer = 0.005;    ///< its three calls: out of one shard, into the other, settled
    seconds between_looks = 0.1; ///< of one shard, at the least, when the last one found nothing
    int questions_agree = 2;     ///< before anybody is refused
    std::uint64_t seed = 1;
};

/// What came of the sale.
struct result {
    units sold = 0;
    std::int64_t refused = 0;
    std::int64_t refused_wrongly = 0; ///< while a unit was left or could come back
    std::int64_t transfers = 0;
    std::int64_t questions = 0;       ///< to all shards
    std::int64_t waited = 0;          ///< buyers who waited for a transfer, and got a unit
    std::vector<float> waits;         ///< how long they did
    std::vector<float> refusal_waits; ///< how long the refused waited for their answer
    seconds last_unit = 0;            ///< when it was sold
    units unaccounted = 0;            ///< neither sold nor left in the end; has to be 0
};

class shop {
  public:
    shop(const settings &wanted, const transfer_rule &rule);
    result play();

  private:
    // look, answer: of `shard`, the latter by shard `of`; release, accept, settle: of transfer
    // `of`.
    enum class kind : std::uint8_t { buyer, end, look, answer, release, accept, settle, rebalance };
    struct event {
        seconds at;
        std::uint64_t number; // of two at the same time, the one that was planned first
        kind what;
        int shard;
        std::int64_t of;
        bool operator<(const event &other) const {
            return at != other.at ? at > other.at : number > other.number;
        }
    };
    static constexpr int all_shards = -1;
    struct waiting {
        seconds since;
    };
    struct transfer {
        int giver;
        int taker;
        units wanted;
        bool is_of_rebalance;
        units moved = 0;
    };
    // A look of a shard at all: what its questions have found so far.
    struct look {
        seconds began = -1;
        int question = 0;
        std::size_t asked_for = 0; // the first so many who wait came before it
        int answered = 0;          // of this question
        bool is_dry = true;        // nothing left, open or under way
        bool is_as_before = true;  // no transfer since the question before
        int richest = -1;
        holdings of_richest;
        int undecided = -1; // the shard that has most transactions open, and nothing left
        units most_open = 0;
        std::vector<std::uint64_t> transfers;
    };
    struct shard {
        units left = 0;
        units used = 0;
        units open = 0;              // units of transactions that are not decided
        units under_way = 0;         // gone from here, and not settled
        std::uint64_t transfers = 0; // rows of such, in and out
        units used_before = 0;       // the last rebalance
        bool is_looking = false;
        look now;
        bool found_nothing = false;
        double rate = 0; // units a second, as they went lately
        seconds rated_at = 0;
        std::deque<waiting> queue;
        std::deque<std::int64_t> takers; // transfers that wait for what is open here
    };

    shard &at(int number) { return _shards[static_cast<std::size_t>(number)]; }
    void plan(seconds after, kind what, int number, std::int64_t of = 0);
    void plan_next_buyer();
    int shard_of_buyer();
    void happen(const event &now);

    void come(int number);
    void take(shard &from);
    void serve(int number);
    void end(int number, bool is_committed);
    bool wants_more(const shard &of) const;

    void plan_look(int number);
    void begin_look(int number);
    void ask(int number);
    void hear(int number, int answering);
    void hear_from(int number, int answering);
    void conclude(int number);
    void end_look(int number);
    void refuse(shard &of);

    void begin_transfer(int giver, int taker, units wanted, bool is_of_rebalance);
    void release(std::int64_t which);
    void move(std::int64_t which);
    void answer_takers(int number);
    void accept(std::int64_t which);
    void settle(std::int64_t which);

    void rebalance();
    void plan_moves(std::vector<units> parts);
    void begin_next_move();
    units in_all() const;

    settings _settings;
    transfer_rule _rule;
    std::mt19937_64 _random;
    std::vector<double> _share; // cumulated
    std::vector<shard> _shards;
    std::vector<transfer> _transfers;
    std::deque<transfer> _moves; // of the rebalance, one after the other
    units _between = 0;          // out of one shard and not in the other
    units _unsettled = 0;        // and of which it is not known yet that they are
    std::priority_queue<event> _events;
    std::uint64_t _planned = 0;
    std::int64_t _buyers_to_come;
    seconds _now = 0;
    seconds _rebalanced_at = 0;
    result _result;
};

} // namespace transfers
