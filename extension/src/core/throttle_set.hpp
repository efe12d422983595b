// Token buckets in memory of fixed size, of which none can be forgotten.
//
// A bucket
//
// holds as many attempts as its burst, and gets another one in each interval. What is kept of it is
// one time, `due`: the moment at which it is full again (GCRA's theoretical arrival time). An
// attempt puts that off by an interval, and is refused if less than an attempt is left, that is,
// if it is due later than all but one interval of the burst from now. A refused attempt puts off
// nothing: so the moment that it is told is the true one, unless others use the bucket meanwhile.
// A bucket that is not kept is full.
//
// A set
//
// has room for a few buckets, of many more keys than that. A key that is not in it takes the place
// of the bucket that is due earliest, AND INHERITS ITS TIME. So:
//
//   - The earliest time of a set never goes back: a bucket's time only grows, and a newcomer's is
//     no earlier than the one that has gone.
//   - A bucket that has gone was due at the earliest time of its set, which then only grew: when
//     its key comes again, it inherits a time that is no earlier than its own was.
//
// So no key is ever judged more leniently than by a map that keeps every bucket for ever, whatever
// keys come in between, and however many: an attacker with many keys cannot have one forgotten.
// What is due now or earlier is a full bucket; such are the first to go, and whoever takes their
// place inherits nothing.
//
// What it costs an innocent
//
// The price is paid by newcomers: one may inherit debt that is not its own. It is refused if every
// bucket of its set owes its whole burst, and served else. An attacker who wants to have newcomers
// refused must bring and hold all buckets of a set there: for a whole table as many attempts as it
// has entries times the burst, and from then on, for each entry, an attempt in each interval. With
// 32,768 entries, a burst of 10 and 10 attempts a minute that is 330,000 attempts, and 5,500 more
// in every second. Which keys share a set, nobody can know: their hash has a secret. Whoever is in
// its set already is not touched.
//
// Limits that differ
//
// A limit is part of the key (throttle.cpp): one user has a bucket for each limit in force, so that
// sessions with different settings do not settle each other's debts, and a limit that is changed
// begins with full buckets. But they share the sets. So a newcomer may inherit a time that no
// bucket of its own limit could have; it is told, and keeps, the latest that one could have: it
// owes its whole burst. There alone a set's earliest time goes back, and what has gone from it owes
// no more than that: an attacker who has more keys than the table has entries, under the stricter
// limit, wins an attempt of it for each newcomer under the more generous one.
//
// Pure C++: no server header, no allocation, no exception.
#pragma once

#include <cstdint>

namespace coupon_guard {

// Times and intervals are in microseconds, times of a clock that never goes back.
struct attempt_limit {
    std::int64_t interval; // in which an attempt comes back
    std::int64_t burst;    // attempts that a full bucket has
};

// No sum of a time and a whole burst overflows, if the clock began within some millennia.
inline constexpr double max_attempts_a_minute = 60e6;
inline constexpr int max_burst = 100000;
inline constexpr std::int64_t max_interval = INT64_C(366) * 24 * 3600 * 1000000;

// attempts_a_minute must be above 0; what is slower than an attempt a year is that.
attempt_limit limit_of(double attempts_a_minute, int burst) noexcept;

inline constexpr int throttle_ways = 8;

struct throttle_entry {
    std::uint64_t key; // 0: none as yet
    std::int64_t due;
};

// All zero: empty.
struct throttle_set {
    throttle_entry ways[throttle_ways];
};

// How long until the key's bucket has an attempt; 0: it has one now. Changes nothing.
std::int64_t wait_for_attempt(const throttle_set &set, std::uint64_t key, attempt_limit limit,
                              std::int64_t now) noexcept;

// Takes an attempt out of the key's bucket. 0 if there was one; else how long until there is.
std::int64_t take_attempt(throttle_set &set, std::uint64_t key, attempt_limit limit,
                          std::int64_t now) noexcept;

} // namespace coupon_guard
