#include "judge/verdict.hpp"

#include <gtest/gtest.h>

#include "race_builders.hpp"

namespace {

using namespace coupon_race;

constexpr bool safe = true;
constexpr bool naive = false;

judgement judge_double_click(const race_log &log, const std::vector<ledger_row> &ledger,
                             bool promises_once_per_user) {
    return judged_as("double-click", log, ledger, 0, 0, promises_once_per_user);
}

/// How many findings are not zero.
int broken(const judgement &judged) {
    int number = 0;
    for (const finding &found : judged.findings)
        number += found.count > 0;
    return number;
}

TEST(Verdict, OneRowForEachUserPasses) {
    const judgement judged =
        judge_double_click({acknowledged(1, 10), refused(1), refused(2), acknowledged(2, 11)},
                           {{10, 1}, {11, 2}}, safe);
    EXPECT_EQ(judged.verdict, verdict::pass);
    EXPECT_EQ(judged.redeemed, 2);
    EXPECT_EQ(broken(judged), 0);
}

TEST(Verdict, RowsBeyondTheFirstAreDoubleRedemptions) {
    const race_log log{acknowledged(1, 10), acknowledged(1, 11), acknowledged(1, 12),
                       acknowledged(2, 13), refused(2)};
    const judgement judged = judge_double_click(log, {{10, 1}, {11, 1}, {12, 1}, {13, 2}}, safe);
    EXPECT_EQ(judged.verdict, verdict::fail);
    EXPECT_FALSE(judged.failure_expected);
    EXPECT_EQ(count_of(judged, "double_redemptions"), 2);
    EXPECT_EQ(judged.users_redeemed_twice, 1);
    EXPECT_EQ(broken(judged), 1);
}

TEST(Verdict, TheLedgerDecidesNotWhatTheClientsWereTold) {
    // Both clients were told a row of its own each, but the ledger has only one: no double
    // redemption, a lost one.
    const judgement judged =
        judge_double_click({acknowledged(1, 10), acknowledged(1, 11)}, {{10, 1}}, safe);
    EXPECT_EQ(judged.verdict, verdict::fail);
    EXPECT_EQ(count_of(judged, "double_redemptions"), 0);
    EXPECT_EQ(count_of(judged, "lost"), 1);
}

TEST(Verdict, ARowAcknowledgedTwiceIsLostToOne) {
    const judgement judged =
        judge_double_click({acknowledged(1, 10), acknowledged(1, 10)}, {{10, 1}}, safe);
    EXPECT_EQ(count_of(judged, "lost"), 1);
    EXPECT_EQ(judged.verdict, verdict::fail);
}

TEST(Verdict, ARowOfAnotherUserIsNotTheOneThatWasAcknowledged) {
    const judgement judged = judge_double_click({acknowledged(1, 10), refused(1)}, {{10, 2}}, safe);
    EXPECT_EQ(count_of(judged, "lost"), 1);
    EXPECT_EQ(count_of(judged, "unasked"), 1);
}

TEST(Verdict, AnAcknowledgementWithoutAnIdIsLost) {
    const judgement judged = judge_double_click({made_by(1, outcome::redeemed)}, {{10, 1}}, safe);
    EXPECT_EQ(count_of(judged, "lost"), 1);
}

TEST(Verdict, ARowNobodyWasToldOfIsUnasked) {
    const judgement judged = judge_double_click({refused(1), refused(1)}, {{10, 1}}, safe);
    EXPECT_EQ(judged.verdict, verdict::fail);
    EXPECT_EQ(count_of(judged, "unasked"), 1);
}

TEST(Verdict, AnUnknownOutcomeMayHaveItsRowOrNot) {
    EXPECT_EQ(judge_double_click({unknown(1), refused(1)}, {{10, 1}}, safe).verdict, verdict::pass);
    EXPECT_EQ(judge_double_click({unknown(1), refused(1)}, {}, safe).verdict, verdict::pass);
    EXPECT_EQ(judge_double_click({unknown(1), acknowledged(1, 10)}, {{10, 1}}, safe).verdict,
              verdict::pass);
}

TEST(Verdict, AnUnknownOutcomeExcusesNoDoubleRedemption) {
    const judgement judged =
        judge_double_click({unknown(1), acknowledged(1, 10)}, {{10, 1}, {11, 1}}, safe);
    EXPECT_EQ(judged.verdict, verdict::fail);
    EXPECT_EQ(count_of(judged, "double_redemptions"), 1);
    EXPECT_EQ(count_of(judged, "unasked"), 0);
}

TEST(Verdict, RefusingEveryoneIsNotSafety) {
    const judgement judged = judge_double_click({refused(1), refused(1)}, {}, safe);
    EXPECT_EQ(judged.verdict, verdict::fail);
    EXPECT_EQ(count_of(judged, "refused_for_nothing"), 1);
}

TEST(Verdict, NaiveIsExpectedToRedeemTwice) {
    const judgement judged =
        judge_double_click({acknowledged(1, 10), acknowledged(1, 11)}, {{10, 1}, {11, 1}}, naive);
    EXPECT_EQ(judged.verdict, verdict::fail);
    EXPECT_TRUE(judged.failure_expected);
    EXPECT_EQ(verdict_text(judged, naive), "FAIL, as expected");
}

TEST(Verdict, NaiveIsNotExpectedToLoseAnything) {
    const judgement judged =
        judge_double_click({acknowledged(1, 10), acknowledged(1, 11)}, {{10, 1}}, naive);
    EXPECT_EQ(judged.verdict, verdict::fail);
    EXPECT_FALSE(judged.failure_expected);
    EXPECT_EQ(verdict_text(judged, naive), "FAIL");
}

TEST(Verdict, NaiveThatGotThroughWasLucky) {
    const judgement judged =
        judge_double_click({acknowledged(1, 10), refused(1)}, {{10, 1}}, naive);
    EXPECT_EQ(judged.verdict, verdict::pass);
    EXPECT_EQ(verdict_text(judged, naive), "race not seen");
}

TEST(Verdict, AnErrorKeepsFromAnAnswer) {
    const judgement judged = judge_double_click(
        {acknowledged(1, 10), failed(1, "disk full"), failed(2, "later")}, {{10, 1}}, safe);
    EXPECT_EQ(judged.verdict, verdict::unknown);
    EXPECT_EQ(judged.reason, "2 requests ended in an error, the first: disk full");
    EXPECT_EQ(verdict_text(judged, safe), "could not tell");
}

TEST(Verdict, AnErrorHidesNoBrokenPromise) {
    const judgement judged = judge_double_click(
        {acknowledged(1, 10), acknowledged(1, 11), failed(1, "x")}, {{10, 1}, {11, 1}}, safe);
    EXPECT_EQ(judged.verdict, verdict::fail);
}

TEST(Verdict, NoRaceNoVerdict) {
    EXPECT_EQ(judge_double_click({}, {}, safe).verdict, verdict::unknown);
}

judgement judged(verdict value, bool expected = false) {
    judgement made;
    made.verdict = value;
    made.failure_expected = expected;
    return made;
}

TEST(ExitStatus, AllAsExpectedIsZero) {
    EXPECT_EQ(exit_status_for({judged(verdict::fail, true), judged(verdict::pass)}), 0);
    EXPECT_EQ(exit_status_for({judged(verdict::pass), judged(verdict::pass)}), 0);
}

TEST(ExitStatus, ABrokenPromiseIsOneWhateverElseHappened) {
    EXPECT_EQ(exit_status_for({judged(verdict::unknown), judged(verdict::fail)}), 1);
    EXPECT_EQ(exit_status_for({judged(verdict::fail), judged(verdict::unknown)}), 1);
}

TEST(ExitStatus, WhatCouldNotBeToldIsTwo) {
    EXPECT_EQ(exit_status_for({judged(verdict::fail, true), judged(verdict::unknown)}), 2);
}

} // namespace
