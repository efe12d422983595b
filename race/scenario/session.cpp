#include "scenario/session.hpp"

#include <thread>
#include <utility>

#include <pqxx/pqxx>

#include "error_translation.hpp"

namespace coupon_race {

namespace {

using coupon_guard::if_lost;
using coupon_guard::translating;

/// What a strategy is judged by is what it does, not when it gives up.
constexpr int most_tries = 1000;

} // namespace

session::session(const strategy &raced, std::string connection, std::uint64_t seed, conduct rules)
    : raced_{raced}
    , address_{std::move(connection)}
    , rules_{rules}
    , pauses_{{most_tries, std::chrono::milliseconds{1}, std::chrono::milliseconds{50}}, seed} {}

bool session::until_told(attempt &made, const std::function<void()> &once) {
    for (int tries = 1;; ++tries) {
        const bool in_doubt = made.outcome == outcome::unknown;
        const auto note = [&](outcome what, const std::exception &caught) {
            made.outcome = in_doubt ? outcome::unknown : what;
            made.error = caught.what();
        };
        bool again = false;
        try {
            once();
            made.error.clear();
            return true;
        } catch (const coupon_guard::outcome_unknown &caught) {
            ++made.connections_lost;
            note(outcome::unknown, caught);
            again = rules_.asks_again_when_lost && raced_.repeatable();
        } catch (const coupon_guard::connection_error &caught) {
            ++made.connections_lost;
            note(outcome::failed, caught);
            again = rules_.asks_again_when_lost;
        } catch (const coupon_guard::transaction_conflict &caught) {
            ++made.retries;
            note(outcome::failed, caught);
            again = true;
        } catch (const coupon_guard::error &caught) {
            note(outcome::failed, caught);
        }
        if (!again || tries == most_tries)
            return false;
        std::this_thread::sleep_for(pauses_.pause(tries));
    }
}

void session::transact(const work &once) {
    pqxx::connection &own = connection();
    if (raced_.alone()) {
        translating(own, if_lost::outcome_unknown, [&] {
            pqxx::nontransaction transaction{own};
            once(transaction);
        });
        return;
    }
    translating(own, if_lost::nothing_happened, [&] {
        pqxx::work transaction{own};
        if (raced_.serializable())
            transaction.exec("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE");
        if (once(transaction) || rules_.commits_a_refusal)
            translating(own, if_lost::outcome_unknown, [&] { transaction.commit(); });
        else
            transaction.abort();
    });
}

pqxx::connection &session::connection() {
    if (connection_ && connection_->is_open())
        return *connection_;
    connection_.reset();
    try {
        connection_ = std::make_unique<pqxx::connection>(address_);
        pqxx::nontransaction{*connection_}.exec(raced_.greeting());
    } catch (const std::exception &caught) {
        connection_.reset();
        throw coupon_guard::connection_failed{caught.what()};
    }
    return *connection_;
}

} // namespace coupon_race
