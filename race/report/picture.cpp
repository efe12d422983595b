#include "report/picture.hpp"

#include <algorithm>
#include <optional>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "judge/verdict.hpp"
#include "words.hpp"

namespace coupon_race {

namespace {

/// Enough to see a pattern, and still on one screen.
constexpr std::size_t rows_of_many_rounds = 24;
constexpr std::size_t longest_error = 300;
constexpr std::size_t most_sales = 200;

/// An attempt, and what the ledger says of it.
struct seen_attempt {
    const attempt *made = nullptr; ///< in a log that must outlive this
    bool in_ledger = false;        ///< a row of the ledger is its own
    excess wrong = excess::none;
};

using seen_log = std::vector<seen_attempt>;

/// Of all redemptions together; 0: none.
struct sale_limit {
    std::int64_t most = 0;
    bool of_amounts = false; ///< else of units

    std::int64_t worth(const seen_attempt &each) const {
        return of_amounts ? each.made->amount : 1;
    }
};

race_clock::time_point beginning_of(const seen_log &all) {
    auto beginning = race_clock::time_point::max();
    for (const seen_attempt &each : all)
        beginning = std::min(beginning, each.made->started);
    return beginning;
}

// --- what the ledger says ---

/// In the order of the answers. The rows of the ledger belong to those who were told of them, then
/// to those who were never told.
seen_log seen(const race_log &log, claims &rows) {
    seen_log all;
    all.reserve(log.size());
    for (std::size_t at = 0; at < log.size(); ++at) {
        bool in_ledger = rows.kept[at];
        if (log[at].outcome == outcome::unknown) {
            const auto left = rows.unclaimed.find(log[at].user);
            in_ledger = left != rows.unclaimed.end() && left->second-- > 0;
        }
        all.push_back({&log[at], in_ledger, excess::none});
    }
    std::stable_sort(all.begin(), all.end(),
                     [](const seen_attempt &one, const seen_attempt &other) {
                         return one.made->ended < other.made->ended;
                     });
    return all;
}

/// Too much is, of each user, every row but the one whose owner was answered first; of a coupon
/// with a limit, those whose owners were answered when too little was left by the answers before.
void mark_excess(seen_log &all, claims &rows, const sale_limit &limit) {
    std::unordered_map<std::int64_t, std::int64_t> before;
    std::int64_t sold = 0;
    for (seen_attempt &each : all) {
        if (!each.in_ledger)
            continue;
        const std::int64_t user = each.made->user;
        // A row that nobody can have made counts against the first of its user who can be shown.
        if (before[user]++ > 0 || rows.unclaimed[user]-- > 0)
            each.wrong = excess::double_redemption;
        else if (limit.most > 0 && sold + limit.worth(each) > limit.most)
            each.wrong = limit.of_amounts ? excess::over_the_budget : excess::over_the_cap;
        sold += limit.worth(each);
    }
}

// --- timelines ---

/// Between two characters of UTF-8, if it is that.
std::string shortened(const std::string &text) {
    std::size_t length = std::min(text.size(), longest_error);
    while (length > 0 && length < text.size() && (text[length] & 0xc0) == 0x80)
        --length;
    return text.substr(0, length);
}

timeline_entry entry_of(const seen_attempt &seen, std::size_t row,
                        race_clock::time_point beginning) {
    const attempt &made = *seen.made;
    timeline_entry entry;
    entry.row = row;
    entry.user = made.user;
    entry.from = made.started - beginning;
    entry.held = entry.from + (had_unit(made.outcome) ? made.until_held : duration{});
    entry.to = made.ended - beginning;
    entry.outcome = made.outcome;
    entry.wrong = seen.wrong;
    entry.retries = made.retries;
    entry.error = shortened(made.error);
    return entry;
}

std::size_t clients_of(const seen_log &all) {
    int last = 0;
    for (const seen_attempt &each : all)
        last = std::max(last, each.made->client);
    return static_cast<std::size_t>(last) + 1;
}

// --- rounds ---

/// The round, which is its user, of the first double redemption.
std::optional<std::int64_t> telling_round(const seen_log &all) {
    std::optional<std::int64_t> first;
    for (const seen_attempt &each : all)
        if (each.wrong != excess::none)
            first = std::min(first.value_or(each.made->user), each.made->user);
    return first;
}

void add_round(timeline &picture, const seen_log &requests) {
    const race_clock::time_point beginning = beginning_of(requests);
    for (std::size_t at = 0; at < std::min(requests.size(), most_rows); ++at) {
        const attempt &made = *requests[at].made;
        picture.entries.push_back(entry_of(requests[at], picture.rows.size(), beginning));
        picture.rows.push_back(fmt::format("user {}, request {}", made.user, made.client + 1));
    }
}

std::string about_rounds(std::int64_t first, std::int64_t last, std::int64_t rounds,
                         std::size_t clients, std::optional<std::int64_t> telling) {
    std::string text = first == last ? fmt::format("Round {} of {}", first, rounds)
                                     : fmt::format("Rounds {} to {} of {}", first, last, rounds);
    if (clients > most_rows)
        text +=
            fmt::format(", of its {} requests the {} that were answered first", clients, most_rows);
    text += telling ? fmt::format("; in round {} the first double redemption happened.", *telling)
                    : std::string{"; no round of the race has a double redemption."};
    return text;
}

/// Of a double-click: some rounds, a row for each request, in the order of the answers, timed from
/// the beginning of its round. They are the ones from the first with a double redemption on, or the
/// first of all.
timeline timeline_of_rounds(const seen_log &all) {
    timeline picture;
    if (all.empty())
        return picture;
    const std::optional<std::int64_t> telling = telling_round(all);
    const std::size_t clients = clients_of(all);
    std::int64_t rounds = 1;
    for (const seen_attempt &each : all)
        rounds = std::max(rounds, each.made->user);
    const auto count =
        static_cast<std::int64_t>(std::max<std::size_t>(1, rows_of_many_rounds / clients));
    const std::int64_t first =
        std::max<std::int64_t>(1, std::min(telling.value_or(1), rounds - count + 1));
    const std::int64_t last = std::min(first + count - 1, rounds);
    std::vector<seen_log> requests(static_cast<std::size_t>(last - first + 1));
    for (const seen_attempt &each : all)
        if (each.made->user >= first && each.made->user <= last)
            requests[static_cast<std::size_t>(each.made->user - first)].push_back(each);
    for (const seen_log &round : requests)
        add_round(picture, round);
    picture.shown = about_rounds(first, last, rounds, clients, telling);
    return picture;
}

// --- clients ---

struct telling_moment {
    const attempt *made = nullptr; ///< nothing: the beginning of the race
    std::string what;
};

/// The first excess; else the sale of the last unit, or the last redemption of a budget.
telling_moment find_telling_moment(const seen_log &all, const sale_limit &limit) {
    telling_moment found;
    std::int64_t sold = 0;
    for (const seen_attempt &each : all) {
        if (each.wrong == excess::double_redemption)
            return {each.made, "the first double redemption"};
        if (each.wrong == excess::over_the_cap)
            return {each.made, "the first redemption over the cap"};
        if (each.wrong == excess::over_the_budget)
            return {each.made, "the first redemption over the budget"};
        if (!each.in_ledger)
            continue;
        if (limit.of_amounts)
            found = {each.made, "the last redemption"};
        else if (++sold == limit.most)
            found = {each.made, "the sale of the last unit"};
    }
    return found;
}

/// In the order they were started, and of the log.
seen_log started_in_order(const seen_log &all) {
    seen_log those;
    for (const seen_attempt &each : all)
        if (static_cast<std::size_t>(each.made->client) < most_rows)
            those.push_back(each);
    std::sort(those.begin(), those.end(), [](const seen_attempt &one, const seen_attempt &other) {
        return std::make_pair(one.made->started, one.made) <
               std::make_pair(other.made->started, other.made);
    });
    return those;
}

/// Where the picture begins among `all`, so that there is as much before the moment as after it.
std::size_t place_of_first(const seen_log &all, const attempt *moment) {
    if (all.size() <= most_entries || !moment)
        return 0;
    const auto not_before = std::find_if(all.begin(), all.end(), [&](const seen_attempt &each) {
        return each.made->started >= moment->started;
    });
    const auto place = static_cast<std::size_t>(not_before - all.begin());
    return std::min(place - std::min(place, most_entries / 2), all.size() - most_entries);
}

/// With those that are still waiting when the first of them begins, for it is they that it waits
/// with.
seen_log from_there_on(const seen_log &all, std::size_t first) {
    seen_log those;
    for (std::size_t at = 0; at < std::min(all.size(), first + most_entries); ++at)
        if (at >= first || all[at].made->ended > all[first].made->started)
            those.push_back(all[at]);
    return those;
}

std::string about_clients(std::size_t shown, std::size_t all, std::size_t clients,
                          const telling_moment &moment, race_clock::time_point beginning) {
    std::string text = shown == all ? fmt::format("All {} buyers", all)
                                    : fmt::format("{} of {} buyers", shown, all);
    if (clients > most_rows)
        text += fmt::format(", those of {} of {} clients", most_rows, clients);
    if (!moment.made)
        return text + (shown == all ? "." : ", from the beginning on.");
    const std::string when = duration_text(moment.made->ended - beginning);
    return text + (shown == all ? "; " : ", around ") + moment.what +
           (shown == all ? " was after " : ", after ") + when + ".";
}

/// Of clients who serve one buyer after the other: a row for each client, timed from the beginning
/// of the race. Shown is what happened around the telling moment, else the beginning.
timeline timeline_of_clients(const seen_log &all, const sale_limit &limit) {
    timeline picture;
    if (all.empty())
        return picture;
    const std::size_t clients = clients_of(all);
    const seen_log candidates = started_in_order(all);
    const telling_moment moment = find_telling_moment(all, limit);
    const std::size_t first = place_of_first(candidates, moment.made);
    const seen_log those = from_there_on(candidates, first);
    const race_clock::time_point beginning = beginning_of(all);
    picture.since = candidates[first].made->started - beginning;
    for (std::size_t client = 0; client < std::min(clients, most_rows); ++client)
        picture.rows.push_back(fmt::format("client {}", client + 1));
    for (const seen_attempt &each : those)
        picture.entries.push_back(
            entry_of(each, static_cast<std::size_t>(each.made->client), beginning));
    picture.shown = about_clients(those.size(), all.size(), clients, moment, beginning);
    return picture;
}

// --- sales ---

/// The moments of the answers, those of the sales first and last among them.
std::vector<sale_point> sales_of(const seen_log &all, const sale_limit &limit) {
    const race_clock::time_point beginning = beginning_of(all);
    std::vector<sale_point> every;
    std::int64_t sold = 0;
    for (const seen_attempt &each : all)
        if (each.in_ledger)
            every.push_back({each.made->ended - beginning, sold += limit.worth(each)});
    const std::size_t step = std::max<std::size_t>(1, every.size() / most_sales);
    std::vector<sale_point> sales;
    for (std::size_t at = 0; at < every.size(); ++at)
        if (at % step == 0 || at + 1 == every.size())
            sales.push_back(every[at]);
    return sales;
}

} // namespace

picture picture_of(const race_log &log, const std::vector<ledger_row> &ledger, std::int64_t cap,
                   std::int64_t budget) {
    const sale_limit limit{budget > 0 ? budget : cap, budget > 0};
    claims rows = claims_of(log, ledger);
    seen_log all = seen(log, rows);
    mark_excess(all, rows, limit);
    picture shown;
    shown.timeline = limit.most > 0 ? timeline_of_clients(all, limit) : timeline_of_rounds(all);
    if (limit.most > 0)
        shown.sales = sales_of(all, limit);
    for (const attempt &made : log)
        shown.latency[made.outcome].add(made.ended - made.started);
    return shown;
}

} // namespace coupon_race
