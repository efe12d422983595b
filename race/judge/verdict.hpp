/// Was the promise kept? Pure functions: what was answered and what stands in the ledger go in.
///
/// The ledger alone decides. What a client was told counts only where it was told "redeemed" (then
/// the row must be there), "no" to everyone (then a row must be there all the same) or nothing
/// (then a row may be there). So an unknown outcome weakens no promise.
#ifndef COUPON_RACE_JUDGE_VERDICT_HPP
#define COUPON_RACE_JUDGE_VERDICT_HPP

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "exit_status.hpp"
#include "race_log.hpp"

namespace coupon_race {

enum class verdict { pass, fail, unknown };

/// Something that must be zero, and how much of it there is.
struct finding {
    std::string key;   ///< "double_redemptions": the name in JSON
    std::string title; ///< "double redemptions": the name in a table or a sentence
    std::int64_t count = 0;
    bool promised = true; ///< false: the strategy never promised to have none
    bool column = false;  ///< shown in the table even when there is none
};

struct judgement {
    coupon_race::verdict verdict = verdict::unknown;
    /// True for a failure in nothing but what was never promised.
    bool failure_expected = false;
    std::int64_t redeemed = 0;             ///< rows in the ledger
    std::int64_t users_redeemed_twice = 0; ///< or more often
    std::vector<finding> findings;
    std::string reason; ///< why the verdict is unknown
};

/// Whose the rows of the ledger are.
struct claims {
    std::vector<bool> kept; ///< of each attempt: it was told of a row that is there, and its own
    std::unordered_map<std::int64_t, std::int64_t> unclaimed; ///< rows of each user besides these
};
claims claims_of(const race_log &log, const std::vector<ledger_row> &ledger);

/// What there is to count, whatever the scenario makes of it.
struct tally {
    std::int64_t attempts = 0;
    std::int64_t rows = 0;
    std::int64_t double_redemptions = 0;   ///< rows beyond the first of each user
    std::int64_t users_redeemed_twice = 0; ///< or more often
    std::int64_t lost = 0;        ///< acknowledged, and the row is not there or another attempt's
    std::int64_t unaccounted = 0; ///< rows besides one for each that was told of it, or not told
    std::int64_t unentitled = 0;  ///< rows of users who were all told that they have none
    std::int64_t refused_for_nothing = 0; ///< users without a row who were refused every time
    std::int64_t failed = 0;
    std::string first_error;
};
tally count(const race_result &result);

/// The verdict that the findings and the errors amount to. It is unknown if a request failed, for
/// then the race it should have taken part in was not run as described, or if there was none at
/// all.
judgement concluded(std::vector<finding> findings, const tally &counted);

/// How the verdict is put in a table.
std::string verdict_text(const judgement &judged, bool promises_once_per_user);

/// A broken promise outweighs what could not be told.
exit_status exit_status_for(const std::vector<judgement> &judgements);

} // namespace coupon_race

#endif
