/// The client behind a proxy that cuts its connection at every byte, in either direction and in
/// every way: each kind of call is made exactly once, and is told so truly.
///
/// How many bytes a call takes is measured; then it is made again and again, cut behind another of
/// them each time. COUPON_GUARD_CUTS says about how many cuts all tests of this file make together;
/// some 30,000 are every byte of every call.

#include <cstdlib>
#include <functional>
#include <future>
#include <map>
#include <optional>
#include <string>
#include <typeinfo>
#include <vector>

#include <coupon_guard/client.hpp>
#include <coupon_guard/group_client.hpp>

#include "guarded_test.hpp"
#include "os/cutting_proxy.hpp"

namespace coupon_guard_tests {

namespace {

using namespace coupon_guard;
using coupon_race::cutting_proxy;
using coupon_race::ending;

constexpr ending all_endings[] = {ending::close,        ending::half_close,   ending::reset,
                                  ending::client_first, ending::server_first, ending::stall};
constexpr int series_in_file = 12 * 2 * 6; // kinds of calls, directions, endings

std::size_t cuts_in_series() {
    const char *given = std::getenv("COUPON_GUARD_CUTS");
    const long cuts = given ? std::atol(given) : 500;
    return static_cast<std::size_t>(std::max(cuts / series_in_file, 2L));
}

std::string server_socket() {
    const auto server = test_server().connection();
    return server.at("host") + "/.s.PGSQL." + server.at("port");
}

retry_policy soon_again() {
    return {20, std::chrono::microseconds{100}, std::chrono::microseconds{2000}};
}

client_options patient() {
    client_options options;
    options.retry = soon_again();
    return options;
}

group_client_options patient_group() {
    group_client_options options;
    options.connections = 1;
    options.retry = soon_again();
    return options;
}

/// What a call has told its caller.
struct told {
    std::string user;
    std::string status;
    bool is_replayed = false;
    int asked_again = 0;
    std::optional<std::int64_t> id = {};
};

told told_by(const std::string &user, const redemption &got) {
    return {user, std::string{to_string(got.status)}, got.replayed, got.asked_again,
            got.redemption_id};
}

class Cut : public GuardedTest {
  protected:
    Cut()
        : proxy_{server_socket()}
        , own_{connection()}
        , look_{own_} {
        // Who has written a row says whether an answer of another session was a replay.
        run("ALTER TABLE coupon_redemption ADD made_by integer;"
            "ALTER TABLE coupon ADD made_by integer;"
            "CREATE FUNCTION sign() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            " NEW.made_by := pg_backend_pid(); RETURN NEW; END $$;"
            "CREATE TRIGGER sign BEFORE INSERT OR UPDATE ON coupon_redemption FOR EACH ROW"
            " EXECUTE FUNCTION sign();"
            "CREATE TRIGGER sign BEFORE UPDATE OF holder ON coupon FOR EACH ROW"
            " EXECUTE FUNCTION sign();"
            "INSERT INTO coupon (code, max_redemptions) VALUES ('CAP', 1000000), ('CAP2', 1000000);"
            "INSERT INTO coupon (code, max_per_user) VALUES ('OFTEN', NULL);"
            "INSERT INTO coupon (code, budget, max_per_user) VALUES ('GIFT', 100000000, NULL)");
    }

    /// Through the proxy.
    std::string conninfo() const {
        return connection() + proxy_.conninfo() + " application_name=cut";
    }

    static std::string user_of(int number) { return "u" + std::to_string(number); }
    static redeem_options with_request() { return redeem_options{"a"}; }

    std::string found(const std::string &sql) {
        const pqxx::result rows = look_.exec(sql);
        return rows.empty() || rows[0][0].is_null() ? "" : rows[0][0].as<std::string>();
    }

    /// `settle` makes sure that the connection is good, `call` makes the call of this number.
    void cut_everywhere(const std::function<void()> &settle, const std::function<void(int)> &call) {
        settle();
        call(next_++); // what only the first call does
        settle();
        proxy_.disarm();
        call(next_++);
        const std::size_t bytes[] = {proxy_.carried(false), proxy_.carried(true)};
        ASSERT_GT(bytes[0], 0u);
        ASSERT_GT(bytes[1], 0u);
        int series = 0;
        for (const bool from_server : {false, true}) {
            for (const ending how : all_endings) {
                const std::size_t all = bytes[from_server ? 1 : 0] + 1;
                const std::size_t places = std::min(all, cuts_in_series());
                for (std::size_t place = 0; place < places && !HasFatalFailure(); ++place) {
                    // The places of one series lie between those of the others. The last ones are
                    // always where the answer ends, or the request: in it, and just behind it.
                    const std::size_t shift = static_cast<std::size_t>(series) * all / 12;
                    const std::size_t after = place + 1 == places ? all - 1
                                              : place + 2 == places
                                                  ? all - 1 - static_cast<std::size_t>(series) % 12
                                                  : (place * all + shift) / places % all;
                    cut_once({from_server, after, how}, settle, call);
                }
                ++series;
            }
        }
        settle();
        EXPECT_EQ(found("SELECT string_agg(v::text, ', ') FROM coupon_guard_verify() v"), "");
        RecordProperty("cuts", proxy_.cuts());
        RecordProperty("asked_again", asked_again_);
        RecordProperty("replayed", replayed_);
        RecordProperty("bytes_to_server", static_cast<int>(bytes[0]));
        RecordProperty("bytes_from_server", static_cast<int>(bytes[1]));
    }

    /// Every second cut is followed by another one while the client connects again.
    void cut_once(const cutting_proxy::cut &cut, const std::function<void()> &settle,
                  const std::function<void(int)> &call) {
        const int number = next_++;
        std::vector<cutting_proxy::cut> cuts{cut};
        if (number % 2)
            cuts.push_back({number % 4 == 1, static_cast<std::size_t>(number) * 7 % 90, cut.how});
        settle();
        proxy_.disarm();
        proxy_.arm(cuts);
        SCOPED_TRACE("cut after byte " + std::to_string(cut.after) + " from the " +
                     (cut.from_server ? "server" : "client") + ", ending " +
                     std::to_string(static_cast<int>(cut.how)) + ", number " +
                     std::to_string(number));
        try {
            call(number);
        } catch (const std::exception &caught) { // said here, where the trace says of which cut
            ADD_FAILURE() << typeid(caught).name() << ": " << caught.what();
        }
        proxy_.disarm();
    }

    /// The one row of this user is what was told; whether it had been made before, too.
    void judge(const told &answer, const std::string &status, const std::string &table_and_user) {
        asked_again_ += answer.asked_again > 0;
        replayed_ += answer.is_replayed;
        EXPECT_EQ(answer.status, status);
        const pqxx::result rows = look_.exec(
            "SELECT id, made_by = (SELECT pid FROM pg_stat_activity"
            " WHERE application_name = 'cut' ORDER BY backend_start DESC LIMIT 1) FROM " +
            table_and_user + " = '" + answer.user + "'");
        ASSERT_EQ(rows.size(), 1u) << answer.user;
        if (answer.id) {
            EXPECT_EQ(rows[0][0].as<std::int64_t>(), *answer.id);
        }
        // With no question asked anew it is the first answer, whose session may be gone by now.
        const bool was_made_before =
            answer.asked_again > 0 && !(!rows[0][1].is_null() && rows[0][1].as<bool>());
        EXPECT_EQ(answer.is_replayed, was_made_before)
            << answer.user << ", asked again " << answer.asked_again;
    }
    void judge_row(const told &answer, const std::string &status) {
        judge(answer, status, "coupon_redemption WHERE voided_at IS NULL AND user_id");
    }

    cutting_proxy proxy_;
    int asked_again_ = 0, replayed_ = 0;

  private:
    pqxx::connection own_;
    pqxx::nontransaction look_;
    int next_ = 1000;
};

/// One client, kept over all cuts: it connects again by itself.
class CutClient : public Cut {
  protected:
    void cut_everywhere(const std::function<void(int)> &call) {
        guard_.emplace(conninfo(), patient());
        Cut::cut_everywhere([this] { guard_->check(1, "SAVE10"); }, call);
    }

    std::optional<client> guard_;
};

TEST_F(CutClient, ARedemptionWithARequestIdIsMadeOnce) {
    cut_everywhere([&](int number) {
        judge_row(told_by(user_of(number), guard_->redeem(user_of(number), "CAP", with_request())),
                  "redeemed");
    });
    EXPECT_GT(asked_again_, replayed_) << "some had not come through";
    EXPECT_GT(replayed_, 0) << "some had been made, and not been told";
}

TEST_F(CutClient, AnAmountIsRedeemedOnce) {
    cut_everywhere([&](int number) {
        redeem_options options = with_request();
        options.amount = 1 + number % 7;
        const redemption got = guard_->redeem(user_of(number), "GIFT", options);
        EXPECT_EQ(got.amount, options.amount);
        judge_row(told_by(user_of(number), got), "redeemed");
    });
    EXPECT_EQ(ask("SELECT remaining_budget + redeemed_amount FROM coupon_usage"
                  " WHERE code = 'GIFT'"),
              "100000000");
}

TEST_F(CutClient, AHoldIsPlacedOnce) {
    cut_everywhere([&](int number) {
        hold_options options;
        options.request_id = "a";
        judge_row(told_by(user_of(number), guard_->hold(user_of(number), "CAP", options)), "held");
    });
    EXPECT_GT(replayed_, 0);
}

TEST_F(CutClient, AHoldIsConfirmedOnce) {
    cut_everywhere([&](int number) {
        const std::string user = user_of(number);
        const std::string id =
            found("SELECT redemption_id FROM hold_coupon('" + user + "', 'CAP')");
        judge_row(told_by(user, guard_->confirm(std::stoll(id))), "redeemed");
    });
    EXPECT_GT(replayed_, 0);
}

TEST_F(CutClient, APartOfAHoldIsConfirmedOnceAndTheRestGivenBackOnce) {
    cut_everywhere([&](int number) {
        const std::string user = user_of(number);
        const std::string id = found("SELECT redemption_id FROM hold_coupon('" + user +
                                     "', 'GIFT', '1 hour', amount => 9)");
        const redemption got = guard_->confirm(std::stoll(id), 4);
        EXPECT_EQ(got.amount, 4);
        judge_row(told_by(user, got), "redeemed");
    });
    EXPECT_EQ(ask("SELECT remaining_budget + 4 * redeemed FROM coupon_usage"
                  " WHERE code = 'GIFT'"),
              "100000000");
}

TEST_F(CutClient, SeveralCouponsAreRedeemedOnceAllOfThem) {
    cut_everywhere([&](int number) {
        const std::string user = user_of(number);
        const redemptions got = guard_->redeem_coupons(user, {"CAP2", "CAP"}, with_request());
        EXPECT_TRUE(got.redeemed());
        ASSERT_EQ(got.coupons.size(), 2u);
        EXPECT_EQ(got.coupons[0].replayed, got.coupons[1].replayed);
        EXPECT_EQ(rows_of(user), "2");
        for (redemption_of_code each : got.coupons) {
            each.asked_again = got.asked_again;
            judge(told_by(user, each), "redeemed",
                  "coupon_redemption WHERE id = " + std::to_string(each.redemption_id.value()) +
                      " AND user_id");
        }
    });
    EXPECT_GT(replayed_, 0);
}

TEST_F(CutClient, ACodeIsClaimedOnce) {
    run("INSERT INTO campaign (name) VALUES ('Summer');"
        "INSERT INTO coupon (code, campaign_id) SELECT 'S' || n, (SELECT id FROM campaign)"
        " FROM generate_series(1, 60000) n");
    cut_everywhere([&](int number) {
        const claim_answer got = guard_->claim(user_of(number), "summer");
        judge({user_of(number), std::string{to_string(got.status)}, got.replayed, got.asked_again,
               got.coupon_id},
              "claimed", "coupon WHERE holder");
    });
    EXPECT_GT(replayed_, 0);
}

/// It cannot be asked again by itself; whoever does so finds the redemption voided.
TEST_F(CutClient, AVoidIsDoneOnceAndItsOutcomeKnownOrUnknown) {
    int unknown = 0;
    cut_everywhere([&](int number) {
        const std::string user = user_of(number);
        const std::int64_t id =
            std::stoll(found("SELECT redemption_id FROM redeem_coupon('" + user + "', 'CAP')"));
        const auto is_voided = [&] {
            return found("SELECT voided_at IS NOT NULL FROM coupon_redemption WHERE id = " +
                         std::to_string(id)) == "t";
        };
        try {
            EXPECT_TRUE(guard_->void_redemption(id, std::string{"regret"}));
        } catch (const outcome_unknown &) {
            ++unknown;
            proxy_.disarm();
            guard_->check(1, "SAVE10");
            // A session that nobody listens to may void it in this very moment.
            const bool was_voided = is_voided();
            const bool is_first = guard_->void_redemption(id, std::string{"regret"});
            EXPECT_FALSE(was_voided && is_first);
        } catch (const connection_error &) { // with nothing sent
            EXPECT_FALSE(is_voided());
            proxy_.disarm();
            EXPECT_TRUE(guard_->void_redemption(id, std::string{"regret"}));
        }
        EXPECT_TRUE(is_voided());
        EXPECT_EQ(rows_of(user), "1");
    });
    EXPECT_GT(unknown, 0);
    EXPECT_EQ(ask("SELECT remaining_units FROM coupon_usage WHERE code = 'CAP'"), "1000000");
}

/// What the tests above see nothing of is there to be seen: without a request id whoever asks again
/// redeems twice.
TEST_F(CutClient, WithoutARequestIdAskingAgainRedeemsTwice) {
    int doubles = 0;
    cut_everywhere([&](int number) {
        const std::string user = user_of(number);
        for (bool is_told = false; !is_told;) {
            try {
                is_told = guard_->redeem(user, "OFTEN").redeemed();
            } catch (const connection_error &) {
                EXPECT_LE(rows_of(user), "2");
            }
        }
        doubles += rows_of(user) != "1";
    });
    EXPECT_GT(doubles, 0);
    RecordProperty("doubles", doubles);
}

/// The caller's own transaction, with an order, repeated as a whole.
class CutTransaction : public Cut {
  protected:
    CutTransaction() { run("CREATE TABLE orders (user_id text, redemption_id bigint)"); }

    pqxx::connection &ready() {
        if (!mine_ || !mine_->is_open())
            mine_.emplace(conninfo());
        return *mine_;
    }

    /// True if the redemption had been made before.
    bool order(const std::string &user) {
        pqxx::work transaction{ready()};
        const redemption got = redeem(transaction, user, "CAP", with_request());
        EXPECT_TRUE(got.redeemed());
        // Had it been made before, so had the order: both were committed together.
        if (!got.replayed)
            transaction.exec("INSERT INTO orders VALUES ('" + user + "', " +
                             std::to_string(got.redemption_id.value()) + ")");
        transaction.commit();
        return got.replayed;
    }

    void order_until_told(const std::string &user) {
        for (int attempt = 0; attempt < 10; ++attempt) {
            try {
                const bool is_replayed = order(user);
                EXPECT_FALSE(is_replayed && attempt == 0);
                asked_again_ += attempt > 0;
                replayed_ += is_replayed;
                return;
            } catch (const std::exception &) { // of libpqxx, or of ours
                mine_.reset();
            }
        }
        ADD_FAILURE() << "no answer";
    }

    /// A session that has nothing to say is gone before the call.
    void settle() {
        try {
            pqxx::nontransaction{ready()}.exec("SELECT 1");
        } catch (const std::exception &) {
            mine_.emplace(conninfo());
        }
    }

    std::string ids(const std::string &what, const std::string &user) {
        return found("SELECT string_agg(" + what + " WHERE user_id = '" + user + "'");
    }

  private:
    std::optional<pqxx::connection> mine_;
};

TEST_F(CutTransaction, RepeatedWithItsRequestIdOrderAndRedemptionAreThereOnce) {
    cut_everywhere([&] { settle(); },
                   [&](int number) {
                       const std::string user = user_of(number);
                       order_until_told(user);
                       EXPECT_EQ(rows_of(user), "1");
                       EXPECT_EQ(ids("redemption_id::text, ' ') FROM orders", user),
                                 ids("id::text, ' ') FROM coupon_redemption", user));
                   });
    EXPECT_GT(replayed_, 0) << "some had been committed, and not been told";
}

/// Three callers at once, of whom the later two are one group.
class CutGroup : public Cut {
  protected:
    void cut_everywhere(const std::function<void(int)> &call) {
        coupons_.emplace(conninfo(), patient_group());
        Cut::cut_everywhere([this] { settle(); }, call);
    }

    /// A connection that the group was opening when the cut came may still fail.
    void settle() {
        try {
            coupons_->redeem("settled", "CAP", with_request());
        } catch (const connection_error &) {
            coupons_->redeem("settled", "CAP", with_request());
        }
    }

    /// Those who are told that nothing has happened ask again.
    template <typename Ask>
    void judge_three(int number, const std::string &done, Ask later) {
        std::map<std::string, std::future<redemption>> answers;
        for (const char *part : {"a", "b", "c"}) {
            const std::string user = user_of(number) + part;
            answers[user] = later(user);
        }
        for (auto &[user, answer] : answers) {
            try {
                judge_row(told_by(user, answer.get()), "redeemed");
            } catch (const outcome_unknown &unknown) {
                ADD_FAILURE() << "it could have been resolved: " << unknown.what();
            } catch (const connection_error &) {
                EXPECT_EQ(found("SELECT count(*) FROM coupon_redemption WHERE user_id = '" + user +
                                "' AND " + done),
                          "0");
                proxy_.disarm();
                judge_row(told_by(user, later(user).get()), "redeemed");
                ++not_sent_;
            }
        }
    }

    std::optional<group_client> coupons_;
    int not_sent_ = 0;
};

TEST_F(CutGroup, RedemptionsOfAGroupAreMadeOnce) {
    cut_everywhere([&](int number) {
        judge_three(number, "true", [&](const std::string &user) {
            return coupons_->redeem_later(user, "CAP", with_request());
        });
    });
    EXPECT_GT(replayed_, 0);
    RecordProperty("not_sent", not_sent_);
}

TEST_F(CutGroup, HoldsOfAGroupAreConfirmedOnce) {
    cut_everywhere([&](int number) {
        judge_three(number, "hold_expires_at IS NULL", [&](const std::string &user) {
            return coupons_->confirm_later(
                std::stoll(found("SELECT redemption_id FROM hold_coupon('" + user + "', 'CAP')")));
        });
    });
    EXPECT_GT(replayed_, 0);
    RecordProperty("not_sent", not_sent_);
}

/// Every message in pieces of one byte: slow, and nothing else.
TEST_F(Cut, ByteByByteNothingChanges) {
    proxy_.drip();
    client guard{conninfo(), patient()};
    EXPECT_TRUE(guard.redeem("slow", "CAP", with_request()).redeemed());
    EXPECT_TRUE(guard.redeem("slow", "CAP", with_request()).replayed);
    EXPECT_EQ(guard.redeem("slow", "CAP").status, status::already_redeemed);
    EXPECT_EQ(proxy_.cuts(), 0);
}

} // namespace

} // namespace coupon_guard_tests
