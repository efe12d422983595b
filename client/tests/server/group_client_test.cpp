/// group_client: each caller its own answer, whatever happens to the others of its group.

#include <coupon_guard/group_client.hpp>

#include <algorithm>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "group_fixture.hpp"
#include "group_statement.hpp"
#include "request.hpp"

namespace coupon_guard_tests {

namespace {

using namespace coupon_guard;
using namespace std::chrono_literals;

TEST_F(Group, OneThatIsAloneIsRedeemed) {
    group_client coupons{connection()};
    const redemption first = coupons.redeem(42, "SAVE10", {"a", R"({"order": 7})"});
    ASSERT_TRUE(first.redeemed());
    EXPECT_EQ(first.terms, R"({"percent": 10})");
    EXPECT_TRUE(coupons.redeem(42, "SAVE10", {"a"}).replayed);
    EXPECT_EQ(coupons.redeem(42, "SAVE10").status, status::already_redeemed);
    EXPECT_EQ(ask("SELECT metadata ->> 'order' FROM coupon_redemption"), "7");
}

TEST_F(Group, EachCallerGetsItsOwnAnswerFromOneTransaction) {
    run("INSERT INTO coupon (code, terms) SELECT 'CODE' || i, to_jsonb(i)"
        " FROM generate_series(0, 9) AS i");
    group_client coupons{connection(), one_connection()};
    auto answers = in_one_group(coupons, 40, [&](int number) {
        const std::string terms = std::to_string(number % 10);
        const redemption got = coupons.redeem(number / 20, "CODE" + terms, {std::nullopt, terms});
        EXPECT_EQ(got.terms.value_or(terms), terms); // none if it was redeemed already
        return got;
    });
    int redeemed = 0;
    for (int number = 0; number < 40; ++number) {
        const redemption got = answers[static_cast<std::size_t>(number)].get();
        redeemed += got.redeemed();
        EXPECT_EQ(ask("SELECT user_id || metadata FROM coupon_redemption WHERE id = " +
                      std::to_string(got.redemption_id.value())),
                  std::to_string(number / 20) + std::to_string(number % 10));
    }
    EXPECT_EQ(redeemed, 20) << "each user once for each code";
    EXPECT_EQ(
        ask("SELECT count(DISTINCT xmin::text) FROM coupon_redemption WHERE user_id <> 'first'"),
        "1");
}

TEST_F(Group, ValuesArriveAsTheyWereGiven) {
    run("INSERT INTO coupon (code) SELECT convert_from(decode(hex, 'hex'), 'UTF8')"
        " FROM unnest(ARRAY['225c2c7b7d', '4e554c4c', 'c3a95c22', 'e282ac']) AS hex");
    const std::vector<std::string> codes{"\"\\,{}", "NULL", "\xc3\xa9\\\"", "\xe2\x82\xac"};
    const std::vector<std::string> users{"a\"b\\c", "{x,y}", "NULL", "it's $1"};
    group_client coupons{connection() + " client_encoding=UTF8", one_connection()};
    auto answers = in_one_group(coupons, 4, [&](int number) {
        const auto at = static_cast<std::size_t>(number);
        return coupons.redeem(users[at], codes[at], {"id \"\\," + users[at], R"({"a": "\"\\"})"});
    });
    for (auto &each : answers)
        EXPECT_TRUE(each.get().redeemed());
    for (const std::string &user : users) {
        pqxx::connection mine{connection()};
        pqxx::work transaction{mine};
        EXPECT_EQ(transaction
                      .exec("SELECT request_id, metadata ->> 'a' FROM coupon_redemption"
                            " WHERE user_id = " +
                            transaction.quote(user))[0][0]
                      .as<std::string>(),
                  "id \"\\," + user);
    }
    EXPECT_EQ(ask("SELECT DISTINCT metadata ->> 'a' FROM coupon_redemption"
                  " WHERE user_id <> 'first'"),
              "\"\\");
}

TEST_F(Group, ACharacterWhoseSecondByteIsABackslashIsThatCharacter) {
    run("SET client_encoding = UTF8; INSERT INTO coupon (code) VALUES (U&'\\30BD')");
    group_client coupons{connection() + " client_encoding=SJIS", one_connection()};
    auto answers = in_one_group(coupons, 4, [&](int number) {
        return coupons.redeem(number, number < 2 ? "\x83\x5c" : "SAVE10");
    });
    for (auto &each : answers)
        EXPECT_TRUE(each.get().redeemed());
}

TEST_F(Group, UsersAreIntegersUuidsAndTextsAtOnce) {
    group_client coupons{connection(), one_connection()};
    const auto somebody = uuid::parse("A0EEBC999C0B4EF8BB6D6BB9BD380A11");
    auto answers = in_one_group(coupons, 6, [&](int number) {
        switch (number % 3) {
        case 0:
            return coupons.redeem(std::int64_t{number}, "SAVE10");
        case 1:
            return coupons.redeem(somebody, number == 1 ? "SAVE10" : "NONE");
        default:
            return coupons.redeem("user " + std::to_string(number), "SAVE10");
        }
    });
    for (int number = 0; number < 6; ++number)
        EXPECT_EQ(answers[static_cast<std::size_t>(number)].get().redeemed(), number != 4);
}

TEST_F(Group, HoldsConfirmationsVoidsAndRedeemCouponsAreGroupedToo) {
    run("INSERT INTO coupon (code) VALUES ('OTHER')");
    group_client coupons{connection(), one_connection()};
    auto holds = in_one_group(coupons, 3, [&](int number) {
        hold_options options;
        if (number == 0)
            options.ttl = 10min;
        return coupons.hold(number, "SAVE10", options);
    });
    std::vector<std::int64_t> ids;
    for (auto &each : holds) {
        const redemption held = each.get();
        ASSERT_TRUE(held.held());
        ASSERT_TRUE(held.hold_expires_at);
        ids.push_back(held.redemption_id.value());
    }
    run("DELETE FROM coupon_redemption WHERE user_id = 'first'");
    auto confirmed = in_one_group(coupons, 3, [&](int number) {
        return coupons.confirm(ids[static_cast<std::size_t>(number)]);
    });
    for (int number = 0; number < 3; ++number)
        EXPECT_EQ(confirmed[static_cast<std::size_t>(number)].get().redemption_id,
                  ids[static_cast<std::size_t>(number)]);
    run("DELETE FROM coupon_redemption WHERE user_id = 'first'");
    auto voided = in_one_group(coupons, 3, [&](int number) {
        return coupons.void_redemption(ids[static_cast<std::size_t>(number)],
                                       number == 1 ? std::optional<std::string>{"why"}
                                                   : std::nullopt);
    });
    for (auto &each : voided)
        EXPECT_TRUE(each.get());
    EXPECT_EQ(ask("SELECT string_agg(void_reason, ',') FROM coupon_redemption"), "why");
    run("DELETE FROM coupon_redemption WHERE user_id = 'first'");
    auto several = in_one_group(coupons, 4, [&](int number) {
        return coupons.redeem_coupons(100 + number,
                                      number == 0   ? std::vector<std::string>{"SAVE10", "OTHER"}
                                      : number == 1 ? std::vector<std::string>{"SAVE10", "NONE"}
                                      : number == 2 ? std::vector<std::string>{}
                                                    : std::vector<std::string>{"OTHER"});
    });
    const redemptions both = several[0].get(), refused = several[1].get(), none = several[2].get(),
                      one = several[3].get();
    EXPECT_TRUE(both.redeemed());
    ASSERT_EQ(both.coupons.size(), 2u);
    EXPECT_EQ(both.coupons[1].code, "OTHER");
    ASSERT_EQ(refused.coupons.size(), 2u);
    EXPECT_EQ(refused.coupons[0].status, status::withheld);
    EXPECT_EQ(refused.coupons[1].status, status::not_found);
    EXPECT_TRUE(none.coupons.empty());
    ASSERT_EQ(one.coupons.size(), 1u);
    EXPECT_TRUE(one.redeemed());
}

TEST_F(Group, AmountsOfOneBudgetAreSpentTogether) {
    run("INSERT INTO coupon (code, budget, max_per_user) VALUES ('CARD', 1000, NULL)");
    group_client coupons{connection(), one_connection()};
    const auto worth = [](std::int64_t amount, bool up_to) {
        redeem_options options;
        options.amount = amount;
        options.up_to = up_to;
        return options;
    };
    auto answers = in_one_group(coupons, 6, [&](int number) {
        return number == 5 ? coupons.redeem(number, "SAVE10")
                           : coupons.redeem(number, "CARD", worth(300, number == 3));
    });
    for (int number = 0; number < 3; ++number)
        EXPECT_EQ(answers[static_cast<std::size_t>(number)].get().amount, 300) << number;
    const redemption rest = answers[3].get();
    EXPECT_TRUE(rest.redeemed());
    EXPECT_EQ(rest.amount, 100);
    EXPECT_EQ(answers[4].get().status, status::sold_out);
    EXPECT_TRUE(answers[5].get().redeemed());
    EXPECT_EQ(ask("SELECT count(DISTINCT xmin::text) FROM coupon_redemption WHERE amount > 0"),
              "1");
    EXPECT_EQ(verify(), "0");
}

TEST_F(Group, AmountsAreHeldConfirmedAndGivenBackInPart) {
    run("INSERT INTO coupon (code, budget, max_per_user) VALUES ('CARD', 1000, NULL)");
    group_client coupons{connection(), one_connection()};
    hold_options options;
    options.amount = 300;
    auto holds =
        in_one_group(coupons, 3, [&](int number) { return coupons.hold(number, "CARD", options); });
    std::vector<std::int64_t> ids;
    for (auto &each : holds)
        ids.push_back(each.get().redemption_id.value());
    run("DELETE FROM coupon_redemption WHERE user_id = 'first'");
    auto confirmed = in_one_group(coupons, 3, [&](int number) {
        return coupons.confirm(ids[static_cast<std::size_t>(number)], 200 + number);
    });
    for (int number = 0; number < 3; ++number)
        EXPECT_EQ(confirmed[static_cast<std::size_t>(number)].get().amount, 200 + number);
    run("DELETE FROM coupon_redemption WHERE user_id = 'first'");
    auto voided = in_one_group(coupons, 3, [&](int number) {
        return coupons.void_redemption(ids[static_cast<std::size_t>(number)], {}, 100 + number);
    });
    for (auto &each : voided)
        EXPECT_TRUE(each.get());
    EXPECT_EQ(ask("SELECT string_agg(amount::text, ',') FROM coupon_redemption WHERE amount > 0"),
              "100,100,100");

    options.amount = 700;
    const redemption last = coupons.hold_later(9, "CARD", options).get();
    ASSERT_TRUE(last.held());
    EXPECT_EQ(coupons.confirm_later(last.redemption_id.value(), 600).get().amount, 600);
    EXPECT_TRUE(coupons.void_redemption_later(last.redemption_id.value(), {}, 500).get());
    redeem_options rest;
    rest.amount = 10000;
    rest.up_to = true;
    EXPECT_EQ(coupons.redeem_later(10, "CARD", rest).get().amount, 600);
    run("UPDATE coupon SET budget = 1400 WHERE code = 'CARD';"
        "DELETE FROM coupon_redemption WHERE user_id = 'first'");
    auto several = in_one_group(coupons, 3, [&](int number) {
        return coupons.redeem_coupons(20 + number, {"SAVE10", "CARD"}, {}, {{}, 100 + number});
    });
    for (int number = 0; number < 3; ++number)
        EXPECT_EQ(several[static_cast<std::size_t>(number)].get().coupons.at(1).amount,
                  100 + number);
    options.up_to = true;
    EXPECT_THROW(coupons.hold_later(11, "CARD", options).get(), misuse);
    EXPECT_EQ(verify(), "0");
}

TEST_F(Group, TheSchemaCanBeNamed) {
    run("TRUNCATE coupon_redemption, coupon; DROP EXTENSION coupon_guard CASCADE;"
        R"(CREATE SCHEMA "Sale 2026"; CREATE EXTENSION coupon_guard SCHEMA "Sale 2026";
           INSERT INTO "Sale 2026".coupon (code) VALUES ('SAVE10');
           CREATE TRIGGER hold_up BEFORE INSERT ON "Sale 2026".coupon_redemption
               FOR EACH ROW EXECUTE FUNCTION hold_up())");
    group_client_options options = one_connection();
    options.schema = "Sale 2026";
    group_client coupons{connection(), options};
    auto answers =
        in_one_group(coupons, 3, [&](int number) { return coupons.redeem(number, "SAVE10"); });
    for (auto &each : answers)
        EXPECT_TRUE(each.get().redeemed());
}

TEST_F(Group, TheLimitOfAWaitIsThatStatementsAlone) {
    const auto asked = redeem_request(1, "SAVE10", {}, "");
    prepared_statements unprepared{false};
    run("CREATE TABLE limits (lock_timeout text);"
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " INSERT INTO limits VALUES (current_setting('lock_timeout')); RETURN NULL; END $$;"
        "CREATE TRIGGER note AFTER INSERT ON coupon_redemption FOR EACH ROW EXECUTE FUNCTION "
        "note()");
    pqxx::connection mine{connection() + " options='-c lock_timeout=20s'"};
    pqxx::nontransaction transaction{mine};
    const auto redeem_with = [&](const lock_wait &wait, bool in_group) {
        transaction.exec("DELETE FROM coupon_redemption; DELETE FROM limits");
        if (in_group)
            group_statement{{&asked.call, &asked.call}, wait.at_most}.run(transaction, unprepared);
        else
            asked.call.run(transaction, wait);
        EXPECT_EQ(transaction.exec("SHOW lock_timeout")[0][0].as<std::string>(), "20s");
        EXPECT_TRUE(transaction.exec("SELECT FROM pg_prepared_statements").empty());
        return ask("SELECT string_agg(lock_timeout, ',') FROM limits");
    };
    EXPECT_EQ(redeem_with({50ms, false}, false), "50ms");
    EXPECT_EQ(redeem_with({50ms, false}, true), "50ms");
    EXPECT_EQ(redeem_with({60s, false}, true), "1min");
    EXPECT_EQ(redeem_with({60s, true}, false), "20s");
    EXPECT_EQ(redeem_with({3s, true}, false), "3s");
    EXPECT_EQ(redeem_with({-1ms, true}, false), "1ms");
    transaction.exec("SET lock_timeout = 0");
    transaction.exec("DELETE FROM coupon_redemption; DELETE FROM limits");
    asked.call.run(transaction, lock_wait{60s, true});
    EXPECT_EQ(ask("SELECT lock_timeout FROM limits"), "1min") << "none is no limit";
}

// --- one member's error
// -----------------------------------------------------------------------------

/// The caller number 1 of three fails, the others are redeemed, all in one group.
class GroupError : public Group {
  protected:
    template <typename Expected, typename Ask>
    void expect_of_one(const std::string &sqlstate, Ask redeem) {
        group_client coupons{connection() + " client_encoding=UTF8", one_connection()};
        auto answers =
            in_one_group(coupons, 5, [&](int number) { return redeem(coupons, number); });
        for (int number = 0; number < 5; ++number) {
            auto &answer = answers[static_cast<std::size_t>(number)];
            if (number != 1) {
                EXPECT_TRUE(answer.get().redeemed()) << number;
                EXPECT_EQ(rows_of(std::to_string(number)), "1") << number;
                continue;
            }
            try {
                answer.get();
                ADD_FAILURE() << "no exception";
            } catch (const Expected &caught) {
                EXPECT_EQ(caught.sqlstate(), sqlstate) << caught.what();
            }
        }
        EXPECT_EQ(verify(), "0");
    }
    static redemption redeem_simply(group_client &coupons, int number) {
        return coupons.redeem(number, "SAVE10");
    }
};

TEST_F(GroupError, OfATriggerIsThatCallersAlone) {
    fail_for("1", "P0001");
    expect_of_one<sql_error>("P0001", redeem_simply);
}

TEST_F(GroupError, OfACheckAtCommitIsThatCallersAlone) {
    fail_for("1", "23514", true);
    expect_of_one<sql_error>("23514", redeem_simply);
}

TEST_F(GroupError, OfARequestIdUsedForAnotherCouponIsThatCallersAlone) {
    run("INSERT INTO coupon (code) VALUES ('OTHER')");
    client{connection()}.redeem(1, "OTHER", {"a"});
    expect_of_one<misuse>("RC007", [](group_client &coupons, int number) {
        return coupons.redeem(number, "SAVE10", {"a"});
    });
}

TEST_F(GroupError, OfMetadataThatIsNoJsonIsThatCallersAlone) {
    expect_of_one<misuse>("22P02", [](group_client &coupons, int number) {
        return coupons.redeem(number, "SAVE10", {std::nullopt, number == 1 ? "{" : "{}"});
    });
}

TEST_F(GroupError, OfBytesThatAreNoTextIsThatCallersAlone) {
    expect_of_one<misuse>("22021", [](group_client &coupons, int number) {
        return coupons.redeem(number, number == 1 ? "caf\xe9" : "SAVE10");
    });
}

TEST_F(GroupError, OfACodeThatIsTooLongIsThatCallersAlone) {
    client guard{connection()};
    const std::string code(100000, 'x');
    std::string alone;
    try {
        alone = to_string(guard.redeem(1, code).status);
    } catch (const error &caught) {
        alone = caught.sqlstate();
    }
    group_client coupons{connection(), one_connection()};
    auto answers = in_one_group(coupons, 5, [&](int number) -> std::string {
        try {
            return std::string{
                to_string(coupons.redeem(number, number == 1 ? code : "SAVE10").status)};
        } catch (const error &caught) {
            return caught.sqlstate();
        }
    });
    for (int number = 0; number < 5; ++number)
        EXPECT_EQ(answers[static_cast<std::size_t>(number)].get(),
                  number == 1 ? alone : "redeemed");
}

TEST_F(GroupError, OfAZeroByteComesBeforeAnythingIsSent) {
    group_client coupons{connection()};
    EXPECT_THROW(coupons.redeem(1, std::string_view{"SAVE10\0x", 8}), misuse);
    EXPECT_THROW(coupons.redeem_later(1, std::string_view{"SAVE10\0x", 8}).get(), misuse);
}

TEST_F(GroupError, OfAllIsToldToAll) {
    run("CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'none of them'; END $$;"
        "CREATE TRIGGER fail BEFORE INSERT ON coupon_redemption"
        " FOR EACH ROW WHEN (NEW.user_id <> 'first') EXECUTE FUNCTION fail()");
    group_client coupons{connection(), one_connection()};
    auto answers =
        in_one_group(coupons, 9, [&](int number) { return coupons.redeem(number, "SAVE10"); });
    for (auto &each : answers)
        EXPECT_THROW(each.get(), sql_error);
    EXPECT_EQ(ask("SELECT count(*) FROM coupon_redemption"), "1");
    run("DROP TRIGGER fail ON coupon_redemption");
    EXPECT_TRUE(coupons.redeem(1, "SAVE10").redeemed()) << "still usable";
}

TEST_F(GroupError, AnExtensionThatIsNotThereIsNotInstalled) {
    run("TRUNCATE coupon_redemption, coupon; DROP EXTENSION coupon_guard CASCADE");
    group_client coupons{connection()};
    EXPECT_THROW(coupons.redeem(1, "SAVE10"), not_installed);
    EXPECT_THROW(coupons.redeem_later(1, "SAVE10").get(), not_installed);
}

TEST(GroupClientOptions, LimitsThatAllowNothingAreRefused) {
    group_client_options options;
    options.connections = 0;
    EXPECT_THROW((group_client{"host=/nowhere/at/all", options}), std::invalid_argument);
    EXPECT_THROW(group_client{"host=/nowhere/at/all"}, connection_failed);
}

// --- conflicts
// --------------------------------------------------------------------------------------

TEST_F(Group, ConflictsAreRepeatedAndCounted) {
    run("CREATE SEQUENCE calls;"
        "CREATE FUNCTION conflict() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF NEW.user_id <> 'first' AND nextval('calls') <= 3 THEN"
        " RAISE EXCEPTION 'try again' USING ERRCODE = '40001'; END IF; RETURN NEW; END $$;"
        "CREATE TRIGGER conflict BEFORE INSERT ON coupon_redemption"
        " FOR EACH ROW EXECUTE FUNCTION conflict()");
    group_client coupons{connection(), one_connection()};
    auto answers =
        in_one_group(coupons, 4, [&](int number) { return coupons.redeem(number, "SAVE10"); });
    // Four of them, then two, then one conflicts: so one is repeated three times, another twice.
    std::vector<int> retries;
    for (auto &each : answers) {
        const redemption got = each.get();
        EXPECT_TRUE(got.redeemed());
        retries.push_back(got.retries);
    }
    std::sort(retries.begin(), retries.end());
    EXPECT_EQ(retries, (std::vector<int>{1, 1, 2, 3}));
}

TEST_F(Group, PatienceWithConflictsHasAnEnd) {
    fail_for("1", "40P01");
    group_client coupons{connection(), one_connection()};
    auto answers =
        in_one_group(coupons, 2, [&](int number) { return coupons.redeem(number, "SAVE10"); });
    EXPECT_TRUE(answers[0].get().redeemed());
    try {
        answers[1].get();
        FAIL() << "no exception";
    } catch (const transaction_conflict &caught) {
        EXPECT_EQ(caught.sqlstate(), "40P01");
        EXPECT_EQ(caught.retries(), 4);
    }
    EXPECT_THROW(coupons.redeem_later(1, "SAVE10").get(), transaction_conflict);
}

} // namespace

} // namespace coupon_guard_tests
