/// The page of --html, looked at in a real browser, if there is one.

#include <algorithm>
#include <array>

#include "page_builders.hpp"
#include "program_fixture.hpp"
#include "report/forms.hpp"

namespace coupon_guard_tests {

namespace {

using namespace coupon_race;
using namespace std::chrono_literals;
using nlohmann::json;

/// Counts, in each chart, the pixels of the colours that outcomes are drawn in, and writes them
/// where the test finds them: {"charts": [{"label": ..., "redeemed": 1234, ...}], "cells": 72,
/// "page": {"error": ...}}.
constexpr char counting_script[] = R"(<script>
const seen = [...document.querySelectorAll("canvas[role=img]")].map((canvas) => {
  const counts = { label: canvas.ariaLabel };
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  for (const name of ["redeemed", "refused", "excess", "unknown", "failed", "waiting", "s0"]) {
    const [red, green, blue] = colour(name).match(/\w\w/g).map((hex) => parseInt(hex, 16));
    counts[name] = 0;
    for (let at = 0; at < data.length; at += 4)
      counts[name] += data[at] === red && data[at + 1] === green && data[at + 2] === blue;
  }
  return counts;
});
document.getElementById("one-scale").click(); // draws all of them again
document.querySelectorAll("details").forEach((each) => { each.open = true; });
setTimeout(() => {
  const cells = document.querySelectorAll("details td").length;
  document.body.replaceChildren(JSON.stringify({ charts: seen, cells, page: { ...document.documentElement.dataset } }));
}, 200);
</script>)";

/// Empty: there is none in the PATH.
std::string browser() {
    const char *path = std::getenv("PATH");
    std::istringstream directories{path ? path : ""};
    for (std::string directory; std::getline(directories, directory, ':');)
        for (const char *name : {"chromium", "chromium-headless-shell", "google-chrome"})
            if (fs::exists(fs::path{directory} / name))
                return fs::path{directory} / name;
    return "";
}

class Page : public Program {
  protected:
    void SetUp() override {
        if (browser().empty())
            GTEST_SKIP() << "no Chromium: the page is not looked at";
        ASSERT_NE(mkdtemp(room_.data()), nullptr);
    }

    void TearDown() override {
        std::error_code ignored; // Chromium's children may be about to end
        fs::remove_all(room_, ignored);
    }

    /// What the browser makes of it. One that does not end, as happens on a busy machine, is asked
    /// again.
    json look_at(const std::string &page) {
        std::ofstream{file("seen.html")} << page << counting_script;
        int attempts = 1;
        while (!draw() && attempts < 3)
            attempts++;
        return told_in(contents(file("dom")));
    }

  private:
    bool draw() {
        child_options options;
        options.output = file("dom");
        options.error_output = file("browser.log");
        fs::remove(file("dom"));
        fs::remove_all(room_ + "/profile");
        child_process running{{"/usr/bin/env", "TMPDIR=" + room_, browser(), "--headless",
                               "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                               "--virtual-time-budget=20000", "--window-size=1280,2000",
                               "--user-data-dir=" + room_ + "/profile", "--dump-dom",
                               "file://" + file("seen.html").string()},
                              options};
        return running.wait_for(40s) == 0;
    }

    /// The browser's own files: some of its processes were denied a directory of the server's user.
    std::string room_ = "/tmp/coupon-race-browser.XXXXXX";

    json told_in(const std::string &dom) {
        const std::size_t begin = dom.find("<body>{");
        const std::size_t end = dom.find("}</body>");
        if (begin == dom.npos || end == dom.npos) {
            ADD_FAILURE() << "the page was not drawn:\n"
                          << dom.substr(0, 2000) << contents(file("browser.log"));
            return json::object();
        }
        std::string text = dom.substr(begin + 6, end - begin - 5);
        for (const auto &[escaped, plain] : std::array<std::pair<std::string, std::string>, 3>{
                 {{"&lt;", "<"}, {"&gt;", ">"}, {"&amp;", "&"}}})
            for (std::size_t at = text.find(escaped); at != text.npos; at = text.find(escaped, at))
                text.replace(at, escaped.size(), plain);
        return json::parse(text);
    }
};

/// The chart of `kind` of a strategy: "Timeline", "Latencies".
json chart_of(const json &seen, const std::string &kind, const std::string &strategy) {
    for (const json &each : seen["charts"])
        if (each["label"].get<std::string>().find(kind + " of " + strategy) == 0)
            return each;
    ADD_FAILURE() << "no " << kind << " of " << strategy << ": " << seen;
    return json::object({{"redeemed", 0}, {"refused", 0}, {"excess", 0}, {"waiting", 0}});
}

void expect_no_error(const json &seen) {
    EXPECT_EQ(seen.value("page", json{{"error", "no page"}}).count("error"), 0u) << seen;
}

void expect_all_drawn(const json &seen, std::size_t charts) {
    expect_no_error(seen);
    EXPECT_EQ(seen.value("charts", json::array()).size(), charts) << seen;
    EXPECT_GT(seen.value("cells", 0), 0) << "the attempts as a table";
}

constexpr int a_bar = 100; ///< pixels

TEST_F(Page, ShowsWhoGotItTwice) {
    ASSERT_EQ(run({"--rounds", "5", "--think-time", "20", "--html", "race.html"}), 0) << errors();
    const json seen = look_at(contents(file("race.html")));
    expect_all_drawn(seen, 10);
    EXPECT_GT(chart_of(seen, "Timeline", "naive")["excess"], a_bar);
    for (const char *name : {"serializable", "for-update", "unique", "redeem_coupon"}) {
        const json timeline = chart_of(seen, "Timeline", name);
        EXPECT_GT(timeline["redeemed"], a_bar) << name;
        EXPECT_GT(timeline["refused"], a_bar) << name;
        EXPECT_EQ(timeline["excess"], 0) << name;
        EXPECT_GT(chart_of(seen, "Latencies", name)["redeemed"], a_bar) << name;
    }
}

TEST_F(Page, ShowsADrop) {
    ASSERT_EQ(run({"--scenario", "drop", "--clients", "8", "--buyers", "100", "--cap", "20",
                   "--strategies", "textbook,redeem_coupon", "--html", "race.html"}),
              0)
        << errors();
    const json seen = look_at(contents(file("race.html")));
    expect_all_drawn(seen, 5);
    for (const char *name : {"textbook", "redeem_coupon"}) {
        EXPECT_GT(chart_of(seen, "Timeline", name)["redeemed"], a_bar) << name;
        EXPECT_GT(chart_of(seen, "Timeline", name)["refused"], a_bar) << name;
    }
    EXPECT_GT(seen["charts"][2]["s0"], a_bar) << "units sold, of textbook";
}

TEST_F(Page, ShowsACheckout) {
    ASSERT_EQ(run({"--scenario", "checkout", "--clients", "8", "--buyers", "60", "--cap", "10",
                   "--think-time", "5", "--ttl", "100", "--html", "race.html"}),
              0)
        << errors();
    const json seen = look_at(contents(file("race.html")));
    expect_all_drawn(seen, 5);
    EXPECT_GT(chart_of(seen, "Timeline", "redeem_coupon")["redeemed"], a_bar);
    EXPECT_GT(chart_of(seen, "Timeline", "redeem_coupon")["waiting"], a_bar);
}

TEST_F(Page, ShowsABudget) {
    ASSERT_EQ(run({"--scenario", "budget", "--clients", "8", "--buyers", "60", "--budget", "20000",
                   "--max-amount", "1000", "--hold-time", "10", "--strategies",
                   "naive,redeem_coupon", "--html", "race.html"}),
              0)
        << errors();
    const json seen = look_at(contents(file("race.html")));
    expect_all_drawn(seen, 5);
    EXPECT_GT(chart_of(seen, "Timeline", "naive")["excess"], a_bar);
    EXPECT_GT(chart_of(seen, "Timeline", "redeem_coupon")["redeemed"], a_bar);
    EXPECT_EQ(chart_of(seen, "Timeline", "redeem_coupon")["excess"], 0);
    EXPECT_GT(seen["charts"][2]["s0"], a_bar) << "what was spent, with naive";
}

TEST_F(Page, MarksWhatWentOverTheCap) {
    const json seen = look_at(as_html(oversold_page()));
    expect_all_drawn(seen, 3);
    EXPECT_GT(chart_of(seen, "Timeline", "textbook")["excess"], a_bar);
    EXPECT_GT(chart_of(seen, "Timeline", "textbook")["redeemed"], a_bar);
}

TEST_F(Page, RunsNoScriptButItsOwn) {
    const json seen = look_at(as_html(hostile_page()));
    expect_all_drawn(seen, 2);
    EXPECT_EQ(seen["page"].count("taken"), 0u) << seen;
    const json timeline = chart_of(seen, "Timeline", hostile);
    for (const char *what : {"redeemed", "excess", "failed", "unknown"})
        EXPECT_GT(timeline.value(what, 0), a_bar) << what;
}

TEST_F(Page, OfARaceThatNobodyRanIsNoError) {
    race_report report = blank_page();
    expect_no_error(look_at(as_html(report)));
    report.strategies.push_back(report_on(strategy_of("double-click", "naive"), race_log{}, {}));
    expect_no_error(look_at(as_html(report)));
}

} // namespace

} // namespace coupon_guard_tests
