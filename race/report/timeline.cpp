#include "report/timeline.hpp"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "words.hpp"

namespace coupon_race {

namespace {

using attempts = std::vector<seen_attempt>;

/// Enough to see a pattern, and still on one screen.
constexpr std::size_t rows_of_many_rounds = 24;
constexpr std::size_t longest_error = 300;

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

attempts in_order(attempts all, bool (*before)(const seen_attempt &, const seen_attempt &)) {
    std::stable_sort(all.begin(), all.end(), before);
    return all;
}

std::size_t clients_of(const attempts &all) {
    int last = 0;
    for (const seen_attempt &each : all)
        last = std::max(last, each.made->client);
    return static_cast<std::size_t>(last) + 1;
}

// --- rounds ---

/// The round, which is its user, of the first double redemption.
std::optional<std::int64_t> telling_round(const attempts &all) {
    std::optional<std::int64_t> first;
    for (const seen_attempt &each : all)
        if (each.wrong != excess::none)
            first = std::min(first.value_or(each.made->user), each.made->user);
    return first;
}

void add_round(timeline &picture, const attempts &requests) {
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

// --- clients ---

struct telling_moment {
    const attempt *made = nullptr; ///< nothing: the beginning of the race
    std::string what;
};

/// The first excess; else the sale of the last unit.
telling_moment find_telling_moment(const attempts &all, std::int64_t cap) {
    telling_moment found;
    std::int64_t sold = 0;
    for (const seen_attempt &each : in_order(all, answered_before)) {
        if (each.wrong == excess::double_redemption)
            return {each.made, "the first double redemption"};
        if (each.wrong == excess::over_the_cap)
            return {each.made, "the first redemption over the cap"};
        if (each.in_ledger && ++sold == cap)
            found = {each.made, "the sale of the last unit"};
    }
    return found;
}

bool started_before(const seen_attempt &one, const seen_attempt &other) {
    return one.made->started < other.made->started;
}

/// Where the picture begins among `all`, so that there is as much before the moment as after it.
std::size_t place_of_first(const attempts &all, const attempt *moment) {
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
attempts from_there_on(const attempts &all, std::size_t first) {
    attempts those;
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

} // namespace

bool answered_before(const seen_attempt &one, const seen_attempt &other) {
    return one.made->ended < other.made->ended;
}

race_clock::time_point beginning_of(const attempts &all) {
    auto beginning = race_clock::time_point::max();
    for (const seen_attempt &each : all)
        beginning = std::min(beginning, each.made->started);
    return beginning;
}

timeline timeline_of_rounds(const attempts &all) {
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
    std::vector<attempts> requests(static_cast<std::size_t>(last - first + 1));
    for (const seen_attempt &each : in_order(all, answered_before))
        if (each.made->user >= first && each.made->user <= last)
            requests[static_cast<std::size_t>(each.made->user - first)].push_back(each);
    for (const attempts &round : requests)
        add_round(picture, round);
    picture.shown = about_rounds(first, last, rounds, clients, telling);
    return picture;
}

timeline timeline_of_clients(const attempts &all, std::int64_t cap) {
    timeline picture;
    if (all.empty())
        return picture;
    const std::size_t clients = clients_of(all);
    attempts candidates;
    for (const seen_attempt &each : in_order(all, started_before))
        if (static_cast<std::size_t>(each.made->client) < most_rows)
            candidates.push_back(each);
    const telling_moment moment = find_telling_moment(all, cap);
    const std::size_t first = place_of_first(candidates, moment.made);
    const attempts those = from_there_on(candidates, first);
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

} // namespace coupon_race
