#include <regex>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "embedded.hpp"
#include "page_builders.hpp"
#include "report/forms.hpp"

namespace {

using namespace coupon_race;
using namespace std::chrono_literals;

nlohmann::json data_of(const std::string &page) {
    const std::string opening = "<script type=\"application/json\" id=\"race\">";
    const std::size_t begin = page.find(opening) + opening.size();
    return nlohmann::json::parse(page.substr(begin, page.find("</script>", begin) - begin));
}

std::size_t occurrences(std::string_view text, std::string_view what) {
    std::size_t count = 0;
    for (std::size_t at = text.find(what); at != text.npos; at = text.find(what, at + 1))
        ++count;
    return count;
}

TEST(Page, HasWhatTheTableHasAndEveryAttempt) {
    const auto data = data_of(as_html(hostile_page()));
    EXPECT_EQ(data["scenario"], "double-click");
    EXPECT_EQ(data["scene"], "2 users, each sends 2 requests at once");
    EXPECT_EQ(data["summary"]["head"][3], "double redemptions");
    EXPECT_EQ(data["summary"]["rows"][0][3]["text"], "1");
    EXPECT_EQ(data["summary"]["rows"][0][3]["look"], "bad");
    const auto &strategy = data["strategies"][0];
    EXPECT_EQ(strategy["verdict"], "FAIL, as expected");
    EXPECT_EQ(strategy["latency"]["percentiles_ms"]["p99"], 30.0);
    ASSERT_EQ(strategy["attempts"].size(), 4u);
    EXPECT_EQ(strategy["attempts"][0]["outcome"], "redeemed");
    EXPECT_EQ(strategy["attempts"][0].count("excess"), 0u);
    EXPECT_EQ(strategy["attempts"][1]["excess"], "double redemption");
    EXPECT_EQ(strategy["attempts"][1]["to"], 2.0);
    EXPECT_EQ(strategy["attempts"][2]["retries"], 3);
}

TEST(Page, HostileTextIsDataAndStaysAsItWas) {
    const std::string page = as_html(hostile_page());
    EXPECT_EQ(occurrences(page, "</script"), occurrences(embedded("page.html"), "</script"));
    EXPECT_EQ(occurrences(page, "<script"), occurrences(embedded("page.html"), "<script"));
    EXPECT_EQ(occurrences(page, "<!--"), occurrences(embedded("page.html"), "<!--"));
    const auto data = data_of(page);
    EXPECT_EQ(data["strategies"][0]["name"], hostile);
    EXPECT_EQ(data["strategies"][0]["method"], hostile);
    EXPECT_EQ(data["strategies"][0]["attempts"][2]["error"], hostile);
    EXPECT_NE(data["server"].get<std::string>().find(hostile), std::string::npos);
}

TEST(Page, AnErrorInAnyEncodingIsStillJson) {
    race_report report = blank_page();
    report.strategies.push_back(
        report_on(strategy_of("double-click", "naive"), {failed(1, "caf\xe9 \xed\xa0\x80")}, {}));
    EXPECT_NO_THROW(data_of(as_html(report)));
}

TEST(Page, AnErrorThatIsCutIsCutBetweenCharacters) {
    race_report report = blank_page();
    std::string error;
    for (int times = 0; times < 500; ++times)
        error += "é";
    report.strategies.push_back(
        report_on(strategy_of("double-click", "naive"), {failed(1, "x" + error)}, {}));
    const std::string shown =
        data_of(as_html(report))["strategies"][0]["attempts"][0]["error"].get<std::string>();
    EXPECT_LE(shown.size(), 310u);
    EXPECT_EQ(shown.find("\xef\xbf\xbd"), std::string::npos) << shown;
}

TEST(Page, NothingRacedIsAPageToo) {
    EXPECT_TRUE(data_of(as_html(blank_page()))["strategies"].empty());
    race_report report = blank_page();
    report.strategies.push_back(report_on(strategy_of("double-click", "naive"), {}, {}));
    const auto strategy = data_of(as_html(report))["strategies"][0];
    EXPECT_TRUE(strategy["attempts"].empty());
    EXPECT_EQ(strategy["shown"], "No attempt was made.");
}

TEST(Page, OfAHugeRaceIsSmallAndSaysWhatItShows) {
    race_log log;
    std::vector<ledger_row> ledger;
    for (std::int64_t user = 1; user <= 10000; ++user) {
        log.push_back(lasting(acknowledged(user, user), user * 1ms, 1ms));
        log.push_back(lasting(failed(user, std::string(10000, '<')), user * 1ms, 1ms));
        log.back().client = 1;
        ledger.push_back({user, user});
    }
    race_report report = blank_page();
    report.strategies.push_back(report_on(strategy_of("double-click", "naive"), log, ledger));
    const std::string page = as_html(report);
    // A "<" takes six bytes.
    EXPECT_LT(page.size(), embedded("page.html").size() + 100'000);
    EXPECT_EQ(data_of(page)["strategies"][0]["attempts"].size(), 24u);
    EXPECT_NE(page.find("of 10000"), std::string::npos);
}

TEST(Page, LoadsNothing) {
    const std::string page = as_html(hostile_page());
    const std::string without_data = page.substr(0, page.find("id=\"race\"")) +
                                     page.substr(page.find("</script>", page.find("id=\"race\"")));
    EXPECT_FALSE(std::regex_search(without_data, std::regex{"<(link|img|iframe|object|embed)\\b"}));
    EXPECT_FALSE(std::regex_search(without_data, std::regex{"<script[^>]*\\bsrc"}));
    EXPECT_EQ(without_data.find("@import"), std::string::npos);
    EXPECT_NE(page.find("default-src 'none'"), std::string::npos) << "the browser sees to it";
}

TEST(Page, KeepsTheLicenceOfWhatItBringsAlong) {
    const std::string_view page = embedded("page.html");
    EXPECT_NE(page.find("Chart.js v"), page.npos);
    EXPECT_NE(page.find("Released under the MIT License"), page.npos);
}

} // namespace
