/// Codes of a campaign for its users: claimed and released, alone and in groups.

#include <future>
#include <set>
#include <string>
#include <utility>

#include <coupon_guard/client.hpp>
#include <coupon_guard/group_client.hpp>

#include "group_fixture.hpp"
#include "lost_commit.hpp"

namespace coupon_guard_tests {

namespace {

using namespace coupon_guard;

template <typename Base>
class WithCodes : public Base {
  protected:
    WithCodes() {
        this->run(R"(INSERT INTO campaign (id, name, terms)
                         VALUES (1, 'Summer 26', '{"percent": 20}');
                     INSERT INTO coupon (code, campaign_id, terms)
                         VALUES ('SUN-1', 1, '{"percent": 30}'), ('SUN-2', 1, NULL))");
    }

    std::string held_by(const std::string &user) {
        return this->ask("SELECT string_agg(code, ',') FROM coupon WHERE holder = '" + user + "'");
    }
};

class Claim : public WithCodes<GuardedTest> {};
class LostClaim : public WithCodes<UntoldCommit> {};
class GroupClaim : public WithCodes<Group> {};

TEST_F(Claim, EachUserGetsACodeAndTheSameWhenAskedAgain) {
    client guard{connection()};
    const claim_answer first = guard.claim(1, "Summer 26");
    ASSERT_TRUE(first.claimed());
    EXPECT_FALSE(first.replayed);
    EXPECT_EQ(first.code, held_by("1"));
    EXPECT_TRUE(first.coupon_id);
    const claim_answer again = guard.claim(1, " summer 26 ");
    ASSERT_TRUE(again.claimed());
    EXPECT_TRUE(again.replayed);
    EXPECT_EQ(again.code, first.code);
    EXPECT_EQ(again.coupon_id, first.coupon_id);

    const claim_answer second = guard.claim("two", "Summer 26");
    ASSERT_TRUE(second.claimed());
    EXPECT_NE(second.code, first.code);
    EXPECT_EQ(second.code, held_by("two"));
    EXPECT_EQ(std::set({first.terms, second.terms}),
              (std::set<std::optional<std::string>>{R"({"percent": 20})", R"({"percent": 30})"}))
        << "the coupon's, or the campaign's";
    const claim_answer third = guard.claim(3, "Summer 26");
    EXPECT_EQ(third.status, status::sold_out);
    EXPECT_FALSE(third.claimed());
    EXPECT_FALSE(third.code);
    EXPECT_FALSE(third.coupon_id);
}

TEST_F(Claim, WhatTheCampaignRefusesIsAStatus) {
    client guard{connection()};
    EXPECT_EQ(guard.claim(1, "Winter 26").status, status::not_found);
    run("UPDATE campaign SET active = false");
    EXPECT_EQ(guard.claim(1, "Summer 26").status, status::inactive);
}

TEST_F(Claim, ReleasedItIsTheNextOnesUnlessItIsUsed) {
    run("DELETE FROM coupon WHERE code = 'SUN-2'");
    client guard{connection()};
    ASSERT_TRUE(guard.claim(1, "Summer 26").claimed());
    const claim_answer released = guard.release_claim(1, "Summer 26");
    EXPECT_EQ(released.status, status::released);
    EXPECT_FALSE(released.claimed());
    EXPECT_EQ(released.code, "SUN-1");
    EXPECT_EQ(guard.release_claim(1, "Summer 26").status, status::not_found);

    ASSERT_EQ(guard.claim(2, "Summer 26").code, "SUN-1");
    ASSERT_TRUE(guard.redeem(2, "SUN-1").redeemed());
    const claim_answer used = guard.release_claim(2, "Summer 26");
    EXPECT_EQ(used.status, status::already_redeemed);
    EXPECT_EQ(used.code, "SUN-1");
    EXPECT_EQ(held_by("2"), "SUN-1");
}

TEST_F(Claim, InTheCallersTransactionItStandsAndFallsWithIt) {
    pqxx::connection mine{connection()};
    {
        pqxx::work transaction{mine};
        ASSERT_TRUE(claim(transaction, 1, "Summer 26").claimed());
        EXPECT_EQ(release_claim(transaction, 1, "Summer 26").status, status::released);
        ASSERT_TRUE(claim(transaction, 1, "Summer 26", "public").claimed());
        transaction.abort();
    }
    EXPECT_EQ(held_by("1"), "(null)");
}

TEST_F(Claim, AZeroByteIsMisuse) {
    client guard{connection()};
    EXPECT_THROW(guard.claim(1, std::string{"Summer 26\0x", 11}), misuse);
}

TEST_F(LostClaim, KilledBeforeTheCommitRecordItIsMadeByAskingAgain) {
    kill_at_commit(1, "UPDATE ON coupon", "true");
    client guard{connection()};
    const claim_answer got = guard.claim(1, "Summer 26");
    EXPECT_TRUE(got.claimed());
    EXPECT_FALSE(got.replayed) << "the first one was rolled back";
    EXPECT_EQ(got.asked_again, 1);
    EXPECT_EQ(held_by("1"), got.code);
}

TEST_F(LostClaim, CommittedAndUntoldItIsTheSameCodeByAskingAgain) {
    name_standbys("nobody");
    client guard{connection()};
    auto asked = std::async(std::launch::async, [&] { return guard.claim(1, "Summer 26"); });
    kill_the_one_that_has_committed();
    name_standbys("");
    const claim_answer got = asked.get();
    EXPECT_TRUE(got.claimed());
    EXPECT_TRUE(got.replayed);
    EXPECT_EQ(got.asked_again, 1);
    EXPECT_EQ(query(local(), "SELECT string_agg(code, ',') FROM coupon WHERE holder = '1'"),
              got.code);
}

TEST_F(LostClaim, AReleaseIsNotAskedForAgain) {
    client guard{connection()};
    ASSERT_TRUE(guard.claim(1, "Summer 26").claimed());
    kill_at_commit(1, "UPDATE ON coupon", "true");
    EXPECT_THROW(guard.release_claim(1, "Summer 26"), outcome_unknown);
    EXPECT_NE(held_by("1"), "(null)");
}

TEST_F(GroupClaim, OfOneCampaignEachUserGetsOneAndThoseWhoAskTwiceTheSame) {
    run("INSERT INTO coupon (code, campaign_id) SELECT 'MORE-' || n, 1 FROM"
        " generate_series(1, 2) AS n");
    group_client coupons{connection(), one_connection()};
    auto answers = in_one_group(
        coupons, 10, [&](int number) { return coupons.claim(number % 5, " Summer 26"); });
    std::set<std::string> codes;
    int refused = 0;
    int replayed = 0;
    for (int number = 0; number < 10; ++number) {
        const claim_answer got = answers[static_cast<std::size_t>(number)].get();
        refused += got.status == status::sold_out;
        replayed += got.replayed;
        if (got.claimed()) {
            codes.insert(got.code.value());
            EXPECT_EQ(got.code, held_by(std::to_string(number % 5)));
        }
    }
    EXPECT_EQ(codes.size(), 4u);
    EXPECT_EQ(refused, 2) << "one user of five, both times";
    EXPECT_EQ(replayed, 4);
    EXPECT_EQ(ask("SELECT count(DISTINCT xmin::text) FROM coupon WHERE holder IS NOT NULL"), "1")
        << "one transaction";
    const std::string user = ask("SELECT min(holder) FROM coupon");
    EXPECT_EQ(coupons.release_claim(user, "Summer 26").status, status::released);
    EXPECT_EQ(held_by(user), "(null)");
    EXPECT_EQ(verify(), "0");
}

} // namespace

} // namespace coupon_guard_tests
