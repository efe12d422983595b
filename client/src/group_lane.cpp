/// A group is one statement, and the statement is a transaction: one round trip, one commit. When
/// it has been answered, all of its calls are committed.
///
/// One call's error. An error rolls all of the group back, and does not say which call is to blame.
/// So the group is halved and each half is asked by itself, down to a group of one: its error is
/// its own. Nothing is made twice, for a half is asked only when the whole is known to have been
/// rolled back; and each answer carries the number of its call.
///
/// Waiting for others. While a group waits for another transaction, all of its calls wait. So each
/// wait is limited (lock_timeout, set within the statement), and a group that runs into the limit
/// is halved like any other, with a shorter one. A call that is alone and still has to wait is not
/// made: its caller makes it on a connection of its own, and waits there as long as it likes. So a
/// rival holds a group up for `patience` at each call that it is in the way of, and for a tenth of
/// it at each step of the halving.
///
/// Deadlocks. A group keeps what its calls have locked while it waits for the next, so two groups
/// could wait for each other. The calls of a group are made in one order, by coupon, then by user,
/// so that two groups meet the coupons and the users that they share in the same order. (Two
/// spellings of a code that are equal beyond ASCII may stand apart; the server knows that they are
/// one.) What remains is the last units of a capped coupon or a budget, or the last codes of a
/// campaign, where either of two groups may hold some and want to know what becomes of the other's,
/// and users of one campaign, who may stand apart when they redeem different codes of it. There the
/// limit ends it, before the server's deadlock_timeout does: one is rolled back, and the other goes
/// on. Groups of one hold nothing while they wait. Halving is for one lane of a client at a time,
/// so that two that have rolled each other back do not meet again.
///
/// Conflicts (40001, 40P01) halve a group too. A call that is alone meets them as a client's does,
/// and is repeated as its caller's policy says, in another group.
///
/// A lost connection. A group that has been sent and not answered may have been committed: all of
/// its calls are outcome_unknown. Those that may be asked again are asked again by their callers,
/// in another group.

#include "group_lane.hpp"

#include <algorithm>

#include <coupon_guard/errors.hpp>

#include "error_translation.hpp"

namespace coupon_guard {

group_call::group_call(const function_call &asked, clock::time_point deadline)
    : group_member{asked.fits_in_array() ? asked.kind() : std::string{}, deadline}
    , call_{asked}
    , lock_order_{asked.lock_order()} {}

group_lane::group_lane(const std::string &conninfo, std::chrono::milliseconds patience,
                       std::mutex &mending, bool prepares_statements)
    : connection_{conninfo}
    , prepared_{prepares_statements}
    , patience_{patience}
    , mending_{mending} {}

namespace {

template <typename Calls>
void fail(const Calls &group, const std::exception_ptr &failure) {
    for (auto *each : group)
        each->failure = failure;
}

} // namespace

void group_lane::answer(const group_queue::members &group) noexcept {
    calls sorted;
    for (group_member *each : group)
        if (!each->failure)
            sorted.push_back(static_cast<group_call *>(each));
    if (sorted.empty())
        return;
    // Stable: of one user's requests for one coupon the first to come is the first to be made.
    std::stable_sort(sorted.begin(), sorted.end(), [](const group_call *a, const group_call *b) {
        return a->lock_order_ < b->lock_order_;
    });
    if (settle(sorted, patience_) == ending::rolled_back) {
        const std::lock_guard<std::mutex> one_lane_at_a_time{mending_};
        settle_in_halves(sorted);
    }
}

group_lane::ending group_lane::settle_in_halves(const calls &group) {
    const auto middle = group.begin() + static_cast<std::ptrdiff_t>(group.size() / 2);
    const calls halves[] = {{group.begin(), middle}, {middle, group.end()}};
    ending end = ending::settled;
    for (const calls &half : halves) {
        if (end == ending::lost) { // not sent again, so that nobody waits for a server twice
            fail(half, std::make_exception_ptr(connection_lost{"the connection was lost"}));
            continue;
        }
        end = settle(half, patience_ / 10);
        if (end == ending::rolled_back)
            end = settle_in_halves(half);
    }
    return end;
}

/// A group of one is never left rolled back.
group_lane::ending group_lane::settle(const calls &group, std::chrono::milliseconds patience) {
    const bool is_alone = group.size() == 1;
    try {
        ask(group, patience);
        return ending::settled;
    } catch (const transaction_conflict &) {
        if (is_alone)
            fail(group, std::current_exception());
        else
            for (group_call *each : group)
                ++each->conflicts;
    } catch (const sql_error &caught) {
        if (is_alone && caught.sqlstate() == "55P03")
            group.front()->waits_too_long = true;
        else if (is_alone)
            fail(group, std::current_exception());
    } catch (const connection_error &) {
        fail(group, std::current_exception());
        return ending::lost;
    } catch (const error &) { // an answer that cannot be read, which is committed
        fail(group, std::current_exception());
        return ending::settled;
    } catch (const std::exception &caught) { // out of memory, before or after it was sent
        connection_.close();
        fail(group, std::make_exception_ptr(outcome_unknown{caught.what()}));
        return ending::lost;
    }
    return is_alone ? ending::settled : ending::rolled_back;
}

void group_lane::ask(const calls &group, std::chrono::milliseconds patience) {
    for (;;) {
        try {
            return ask_once(group, patience);
        } catch (const sql_error &caught) {
            if (!prepared_.may_be_why(caught.sqlstate()))
                throw;
        }
    }
}

void group_lane::ask_once(const calls &group, std::chrono::milliseconds patience) {
    pqxx::connection &connection = ready_connection();
    translating(connection, if_lost::nothing_happened, [&] {
        pqxx::nontransaction transaction{connection};
        const function_call &first = group.front()->call_;
        if (group.size() == 1 && !(prepared_.are_used() && first.fits_in_array())) {
            group.front()->rows = answer_rows{first.run(transaction, lock_wait{patience, false})};
            return;
        }
        std::vector<const function_call *> made;
        made.reserve(group.size());
        for (const group_call *each : group)
            made.push_back(&each->call_);
        share(group_statement{made, patience}.run(transaction, prepared_), group);
    });
}

pqxx::connection &group_lane::ready_connection() {
    pqxx::connection &connection = connection_.ready();
    if (prepared_in_ != connection_.times_opened()) {
        prepared_.forget();
        prepared_in_ = connection_.times_opened();
    }
    return connection;
}

/// Each call's rows stand together, in the order of the calls.
void group_lane::share(const pqxx::result &rows, const calls &group) {
    const column_places places{rows};
    const int size = static_cast<int>(rows.size());
    const auto call_of = [&](int at) { // none there is number 0
        return at < size ? rows[static_cast<pqxx::result::size_type>(at)][0].as<std::size_t>() : 0;
    };
    int at = 0;
    std::size_t next = call_of(at);
    for (std::size_t number = 1; number <= group.size(); ++number) {
        const int first = at;
        while (next == number)
            next = call_of(++at);
        group[number - 1]->rows = answer_rows{rows, places, first, at - first};
    }
    if (at != size)
        throw unexpected_answer{"the server answered a call that was not made"};
}

} // namespace coupon_guard
