/// Was the promise kept? Pure functions: what was answered and what stands in the ledger go in.
///
/// The ledger alone decides. What a client was told counts only where it was told "redeemed" (then
/// the row must be there), "no" to everyone (then a row must be there all the same) or nothing
/// (then a row may be there).
#ifndef COUPON_RACE_JUDGE_VERDICT_HPP
#define COUPON_RACE_JUDGE_VERDICT_HPP

#include <cstdint>
#include <string>
#include <vector>

#include "scenario/race_log.hpp"

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

/// Judges a race in which every user may redeem once.
///
/// - double redemptions: rows beyond the first of each user
/// - lost: acknowledged redemptions whose row is not there, or was acknowledged to another request
/// - unasked: rows nobody was told of and no unknown outcome accounts for
/// - refused for nothing: users who have no row though every request of theirs was refused
///
/// Unknown outcomes weaken no promise: they may have a row or none. The verdict is unknown if a
/// request failed, for then the race it should have taken part in was not run as described, or if
/// there was none at all.
judgement judge_double_click(const race_log &log, const std::vector<ledger_row> &ledger,
                             bool promises_once_per_user);

/// Sets the verdict that the findings, which are there already, and the errors amount to.
void conclude(judgement &judged, std::int64_t requests, std::int64_t failed,
              const std::string &first_error);

/// How the verdict is put in a table.
std::string verdict_text(const judgement &judged, bool promises_once_per_user);

/// What coupon-race exits with.
enum exit_status : int {
    as_expected = 0,
    promise_broken = 1,
    could_not_tell = 2,
    bad_arguments = 254,
};

/// A broken promise outweighs what could not be told.
exit_status exit_status_for(const std::vector<judgement> &judgements);

} // namespace coupon_race

#endif
