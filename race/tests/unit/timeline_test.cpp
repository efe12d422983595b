#include "report/picture.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "race_builders.hpp"

namespace {

using namespace coupon_race;
using namespace std::chrono_literals;

attempt by(int client, attempt made) {
    made.client = client;
    return made;
}

/// A round of two requests, a millisecond apart from the next; the second is answered last.
void add_round(race_log &log, std::vector<ledger_row> &ledger, std::int64_t user, bool twice) {
    const auto start = user * 10ms;
    log.push_back(lasting(by(0, acknowledged(user, user * 2)), start, 1ms));
    log.push_back(
        lasting(by(1, twice ? acknowledged(user, user * 2 + 1) : refused(user)), start, 2ms));
    ledger.push_back({user * 2, user});
    if (twice)
        ledger.push_back({user * 2 + 1, user});
}

picture double_clicks(std::int64_t users, const std::vector<std::int64_t> &twice) {
    race_log log;
    std::vector<ledger_row> ledger;
    for (std::int64_t user = 1; user <= users; ++user)
        add_round(log, ledger, user, std::count(twice.begin(), twice.end(), user) > 0);
    return picture_of(log, ledger);
}

std::int64_t count_of(excess wrong, const timeline &shown) {
    return std::count_if(shown.entries.begin(), shown.entries.end(),
                         [&](const timeline_entry &each) { return each.wrong == wrong; });
}

TEST(TimelineOfRounds, BeginsWithTheFirstDoubleRedemptionAndSaysSo) {
    const picture shown = double_clicks(200, {57, 60});
    EXPECT_EQ(shown.timeline.shown,
              "Rounds 57 to 68 of 200; in round 57 the first double redemption happened.");
    EXPECT_EQ(shown.timeline.rows.front(), "user 57, request 1");
    ASSERT_EQ(shown.timeline.entries.size(), 24u);
    EXPECT_EQ(shown.timeline.entries[0].wrong, excess::none);
    EXPECT_EQ(shown.timeline.entries[1].wrong, excess::double_redemption);
    EXPECT_EQ(count_of(excess::double_redemption, shown.timeline), 2);
}

TEST(TimelineOfRounds, IsTimedFromTheBeginningOfEachRound) {
    const timeline shown = double_clicks(3, {}).timeline;
    for (const timeline_entry &entry : shown.entries)
        EXPECT_EQ(entry.from, 0ms);
    EXPECT_EQ(shown.entries.back().to, 2ms);
}

TEST(TimelineOfRounds, BeginsAtTheBeginningWhenNothingWentWrong) {
    EXPECT_EQ(double_clicks(200, {}).timeline.shown,
              "Rounds 1 to 12 of 200; no round of the race has a double redemption.");
    EXPECT_EQ(double_clicks(1, {}).timeline.shown,
              "Round 1 of 1; no round of the race has a double redemption.");
}

TEST(TimelineOfRounds, NearTheEndShowsAFewBeforeToo) {
    EXPECT_EQ(double_clicks(20, {20}).timeline.shown,
              "Rounds 9 to 20 of 20; in round 20 the first double redemption happened.");
}

TEST(TimelineOfRounds, OfAThousandRequestsAtOnceShowsThoseAnsweredFirst) {
    race_log log;
    for (int client = 0; client < 1000; ++client)
        log.push_back(lasting(by(client, refused(1)), 0ms, (1000 - client) * 1ms));
    const timeline shown = picture_of(log, {}).timeline;
    EXPECT_EQ(shown.entries.size(), most_rows);
    EXPECT_EQ(shown.rows.front(), "user 1, request 1000");
    EXPECT_EQ(shown.shown, "Round 1 of 1, of its 1000 requests the 64 that were answered first; no "
                           "round of the race has a double redemption.");
}

TEST(TimelineOfRounds, NobodyCame) {
    const picture shown = picture_of({}, {});
    EXPECT_EQ(shown.timeline.shown, "No attempt was made.");
    EXPECT_TRUE(shown.timeline.entries.empty());
}

TEST(Excess, ARowOfSomebodyNeverToldIsTheirs) {
    race_log log{lasting(acknowledged(1, 10), 0ms, 1ms), lasting(unknown(1), 0ms, 2ms)};
    const timeline shown = picture_of(log, {{10, 1}, {11, 1}}).timeline;
    EXPECT_EQ(shown.entries[0].wrong, excess::none);
    EXPECT_EQ(shown.entries[1].wrong, excess::double_redemption);
}

TEST(Excess, WhoWasToldOfARowThatIsNotThereHasNone) {
    race_log log{lasting(acknowledged(1, 10), 0ms, 1ms), lasting(acknowledged(1, 11), 0ms, 2ms)};
    EXPECT_EQ(count_of(excess::none, picture_of(log, {{10, 1}}).timeline), 2);
}

/// `buyers`, two clients, one a millisecond; the first `sold` of them get a unit.
race_log drop_of(std::int64_t buyers, std::int64_t sold, std::vector<ledger_row> &ledger) {
    race_log log;
    for (std::int64_t buyer = 1; buyer <= buyers; ++buyer) {
        log.push_back(lasting(by(static_cast<int>(buyer % 2),
                                 buyer <= sold ? acknowledged(buyer, buyer) : refused(buyer)),
                              buyer * 1ms, 1ms));
        if (buyer <= sold)
            ledger.push_back({buyer, buyer});
    }
    return log;
}

TEST(TimelineOfClients, ShowsAllOfASmallSale) {
    std::vector<ledger_row> ledger;
    const race_log log = drop_of(5, 2, ledger);
    const timeline shown = picture_of(log, ledger, 2).timeline;
    EXPECT_EQ(shown.entries.size(), 5u);
    EXPECT_EQ(shown.rows, (std::vector<std::string>{"client 1", "client 2"}));
    EXPECT_EQ(shown.shown, "All 5 buyers; the sale of the last unit was after 2.00 ms.");
}

TEST(TimelineOfClients, OfALargeOneWhatIsAroundTheSaleOfTheLastUnit) {
    std::vector<ledger_row> ledger;
    const race_log log = drop_of(20000, 7000, ledger);
    const timeline shown = picture_of(log, ledger, 7000).timeline;
    EXPECT_EQ(shown.entries.size(), most_entries);
    EXPECT_EQ(shown.entries.front().user, 7000 - 300);
    EXPECT_EQ(shown.shown, "600 of 20000 buyers, around the sale of the last unit, after 7.00 s.");
}

TEST(TimelineOfClients, WhatWentOverTheCapIsMoreTellingThanTheLastUnit) {
    std::vector<ledger_row> ledger;
    const race_log log = drop_of(20000, 7000, ledger);
    const picture shown = picture_of(log, ledger, 1000);
    EXPECT_EQ(count_of(excess::over_the_cap, shown.timeline), 300);
    EXPECT_NE(shown.timeline.shown.find("around the first redemption over the cap, after 1.00 s"),
              std::string::npos)
        << shown.timeline.shown;
}

TEST(TimelineOfClients, OneWhoWaitsSinceLongIsShownToo) {
    std::vector<ledger_row> ledger;
    race_log log = drop_of(20000, 7000, ledger);
    ledger.erase(ledger.begin() + 1);
    log[1].outcome = outcome::refused;
    log[1].ended = log[1].started + 10s;
    const timeline shown = picture_of(log, ledger, 6999).timeline;
    EXPECT_EQ(shown.entries.front().user, 2);
    EXPECT_LT(shown.entries.front().from, shown.since);
}

TEST(TimelineOfClients, NotSoldOutIsShownFromTheBeginning) {
    std::vector<ledger_row> ledger;
    const race_log log = drop_of(1000, 1000, ledger);
    EXPECT_EQ(picture_of(log, ledger, 5000).timeline.shown,
              "600 of 1000 buyers, from the beginning on.");
}

TEST(TimelineOfClients, OfACheckoutTellsWaitingForAUnitFromHavingIt) {
    attempt made = lasting(acknowledged(1, 10), 5ms, 20ms);
    made.until_held = 15ms;
    attempt sent_home = lasting(refused(2), 5ms, 20ms);
    sent_home.until_held = 20ms;
    const timeline shown = picture_of({made, sent_home}, {{10, 1}}, 1).timeline;
    EXPECT_EQ(shown.entries[0].held, 15ms);
    EXPECT_EQ(shown.entries[1].held, shown.entries[1].from);
}

TEST(Sales, AreThinnedOutButEndWithTheLast) {
    std::vector<ledger_row> ledger;
    const race_log log = drop_of(20000, 7001, ledger);
    const std::vector<sale_point> sales = picture_of(log, ledger, 7001).sales;
    EXPECT_LE(sales.size(), 210u);
    EXPECT_EQ(sales.front().sold, 1);
    EXPECT_EQ(sales.back().sold, 7001);
    EXPECT_EQ(sales.back().after, 7001ms);
}

} // namespace
