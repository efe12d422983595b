#include "error_translation.hpp"

#include <gtest/gtest.h>
#include <pqxx/pqxx>

namespace {

using namespace coupon_guard;

constexpr bool open = true;
constexpr bool closed = false;

/// What the library makes of an SQL error that leaves the connection as it is.
template <typename Expected>
void expect_for(const char *sqlstate) {
    try {
        throw_translated(pqxx::sql_error{"message\n", "query", sqlstate}, open,
                         if_lost::nothing_happened);
    } catch (const Expected &caught) {
        EXPECT_EQ(typeid(caught), typeid(Expected)) << sqlstate;
        EXPECT_EQ(caught.sqlstate(), sqlstate);
        EXPECT_STREQ(caught.what(), "message");
    } catch (const std::exception &other) {
        FAIL() << sqlstate << " became " << typeid(other).name();
    }
}

TEST(ErrorTranslation, SqlErrorsAreSortedByWhatTheCallerCanDo) {
    expect_for<transaction_conflict>("40001");
    expect_for<transaction_conflict>("40P01");
    expect_for<misuse>("22023");
    expect_for<misuse>("22004");
    expect_for<misuse>("54000");
    expect_for<misuse>("RC007");
    expect_for<misuse>("RC008");
    expect_for<not_permitted>("42501");
    expect_for<not_installed>("42883");
    expect_for<not_installed>("3F000");
    expect_for<read_only>("25006");
    expect_for<gave_up_waiting>("55P03");
    expect_for<gave_up_waiting>("57014");
    expect_for<sql_error>("23505");
    expect_for<sql_error>("XX000");
}

TEST(ErrorTranslation, ASessionThatTheServerEndsIsALostConnection) {
    for (const char *sqlstate :
         {"57P01", "57P02", "57P03", "57P04", "57P05", "25P03", "25P04", "08006", "08P01"}) {
        const pqxx::sql_error caught{"message", "query", sqlstate};
        EXPECT_THROW(throw_translated(caught, open, if_lost::nothing_happened), connection_lost);
        EXPECT_THROW(throw_translated(caught, open, if_lost::outcome_unknown), outcome_unknown);
    }
}

TEST(ErrorTranslation, ALostConnectionIsKnownByItsStateWhateverTheErrorSays) {
    const pqxx::sql_error caught{"message", "query", "XX000"};
    EXPECT_THROW(throw_translated(caught, closed, if_lost::nothing_happened), connection_lost);
    EXPECT_THROW(throw_translated(caught, closed, if_lost::outcome_unknown), outcome_unknown);
    EXPECT_THROW(throw_translated(pqxx::broken_connection{"gone"}, open, if_lost::nothing_happened),
                 connection_lost);
}

TEST(ErrorTranslation, ACommitWithoutAnAnswerIsUnknownWhateverTheTransaction) {
    EXPECT_THROW(
        throw_translated(pqxx::in_doubt_error{"in doubt"}, closed, if_lost::nothing_happened),
        outcome_unknown);
}

TEST(ErrorTranslation, TheLibrarysOwnErrorsPassThrough) {
    struct {
        bool is_open() const { return true; }
    } connection;
    EXPECT_THROW(translating(connection, if_lost::nothing_happened,
                             []() -> int {
                                 throw misuse{"zero byte", "22021"};
                             }),
                 misuse);
}

} // namespace
