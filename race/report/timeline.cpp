#include "report/timeline.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "words.hpp"

namespace coupon_race {

namespace {

using attempts = std::vector<seen_attempt>;
using chosen = std::vector<const seen_attempt *>;

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

bool had_unit(outcome what) {
    return what == outcome::redeemed || what == outcome::walked_away || what == outcome::expired;
}

timeline_entry entry_of(const seen_attempt &attempt, std::size_t row,
                        race_clock::time_point beginning) {
    const logged_attempt &made = *attempt.made;
    timeline_entry entry;
    entry.row = row;
    entry.user = made.user;
    entry.from = made.started - beginning;
    entry.held = entry.from + (had_unit(attempt.outcome) ? attempt.until_held : duration{});
    entry.to = made.ended - beginning;
    entry.outcome = attempt.outcome;
    entry.wrong = attempt.wrong;
    entry.retries = made.result.retries;
    entry.error = shortened(made.result.error);
    return entry;
}

race_clock::time_point beginning_of(const chosen &those) {
    auto beginning = race_clock::time_point::max();
    for (const seen_attempt *each : those)
        beginning = std::min(beginning, each->made->started);
    return beginning;
}

bool answered_before(const seen_attempt *one, const seen_attempt *other) {
    return one->made->ended < other->made->ended;
}

chosen answered_in_order(const attempts &all) {
    chosen those;
    for (const seen_attempt &each : all)
        those.push_back(&each);
    std::stable_sort(those.begin(), those.end(), answered_before);
    return those;
}

/// Nothing: there is none.
template <typename Is>
const seen_attempt *first_answered(const attempts &all, Is &&is) {
    const seen_attempt *first = nullptr;
    for (const seen_attempt &each : all)
        if (is(each) && (!first || answered_before(&each, first)))
            first = &each;
    return first;
}

std::size_t clients_of(const attempts &all) {
    int last = 0;
    for (const seen_attempt &each : all)
        last = std::max(last, each.made->client);
    return static_cast<std::size_t>(last) + 1;
}

bool is_wrong(const seen_attempt &each) {
    return each.wrong != excess::none;
}

// --- rounds ---

/// The round, which is its user, of the first double redemption.
std::optional<std::int64_t> telling_round(const attempts &all) {
    std::optional<std::int64_t> first;
    for (const seen_attempt &each : all)
        if (is_wrong(each) && (!first || each.made->user < *first))
            first = each.made->user;
    return first;
}

void add_round(timeline &picture, const chosen &requests) {
    const race_clock::time_point beginning = beginning_of(requests);
    const std::size_t count = std::min(requests.size(), most_rows);
    for (std::size_t at = 0; at < count; ++at) {
        const seen_attempt &each = *requests[at];
        picture.entries.push_back(entry_of(each, picture.rows.size(), beginning));
        picture.rows.push_back(
            fmt::format("user {}, request {}", each.made->user, each.made->client + 1));
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
    const seen_attempt *attempt = nullptr; ///< nothing: the beginning of the race
    std::string what;
};

telling_moment find_telling_moment(const attempts &all, std::int64_t cap) {
    if (const seen_attempt *wrong = first_answered(all, is_wrong))
        return {wrong, wrong->wrong == excess::double_redemption
                           ? "the first double redemption"
                           : "the first redemption over the cap"};
    std::int64_t sold = 0;
    for (const seen_attempt *each : answered_in_order(all))
        if (each->in_ledger && ++sold == cap)
            return {each, "the sale of the last unit"};
    return {};
}

chosen started_in_order(const attempts &all) {
    chosen those;
    for (const seen_attempt &each : all)
        if (static_cast<std::size_t>(each.made->client) < most_rows)
            those.push_back(&each);
    std::stable_sort(those.begin(), those.end(), [](const auto *one, const auto *other) {
        return one->made->started < other->made->started;
    });
    return those;
}

/// Where the picture begins among `all`, so that there is as much before the moment as after it.
std::size_t place_of_first(const chosen &all, const seen_attempt *moment) {
    if (all.size() <= most_entries || !moment)
        return 0;
    const auto not_before = std::find_if(all.begin(), all.end(), [&](const auto *each) {
        return each->made->started >= moment->made->started;
    });
    const auto place = static_cast<std::size_t>(not_before - all.begin());
    return std::min(place - std::min(place, most_entries / 2), all.size() - most_entries);
}

/// With those that are still waiting when the first of them begins, for it is they that it waits
/// with.
chosen from_there_on(const chosen &all, std::size_t first) {
    chosen those;
    for (std::size_t at = 0; at < std::min(all.size(), first + most_entries); ++at)
        if (at >= first || all[at]->made->ended > all[first]->made->started)
            those.push_back(all[at]);
    return those;
}

std::string about_clients(std::size_t shown, std::size_t all, std::size_t clients,
                          const telling_moment &moment, race_clock::time_point beginning) {
    std::string text = shown == all ? fmt::format("All {} buyers", all)
                                    : fmt::format("{} of {} buyers", shown, all);
    if (clients > most_rows)
        text += fmt::format(", those of {} of {} clients", most_rows, clients);
    if (!moment.attempt)
        return text + (shown == all ? "." : ", from the beginning on.");
    const std::string when = duration_text(moment.attempt->made->ended - beginning);
    return text + (shown == all ? "; " : ", around ") + moment.what +
           (shown == all ? " was after " : ", after ") + when + ".";
}

} // namespace

timeline timeline_of_rounds(const attempts &all) {
    timeline picture;
    picture.shown = "No attempt was made.";
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
    std::vector<chosen> requests(static_cast<std::size_t>(last - first + 1));
    for (const seen_attempt *each : answered_in_order(all))
        if (each->made->user >= first && each->made->user <= last)
            requests[static_cast<std::size_t>(each->made->user - first)].push_back(each);
    for (const chosen &round : requests)
        add_round(picture, round);
    picture.shown = about_rounds(first, last, rounds, clients, telling);
    return picture;
}

timeline timeline_of_clients(const attempts &all, std::int64_t cap) {
    timeline picture;
    picture.shown = "No attempt was made.";
    if (all.empty())
        return picture;
    const telling_moment moment = find_telling_moment(all, cap);
    const chosen candidates = started_in_order(all);
    const std::size_t first = place_of_first(candidates, moment.attempt);
    const chosen those = from_there_on(candidates, first);
    const std::size_t clients = clients_of(all);
    auto beginning = race_clock::time_point::max();
    for (const seen_attempt &each : all)
        beginning = std::min(beginning, each.made->started);
    picture.since = candidates[first]->made->started - beginning;
    for (std::size_t client = 0; client < std::min(clients, most_rows); ++client)
        picture.rows.push_back(fmt::format("client {}", client + 1));
    for (const seen_attempt *each : those)
        picture.entries.push_back(
            entry_of(*each, static_cast<std::size_t>(each->made->client), beginning));
    picture.shown = about_clients(those.size(), all.size(), clients, moment, beginning);
    return picture;
}

} // namespace coupon_race
