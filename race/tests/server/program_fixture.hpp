/// The program coupon-race, run as a user runs it.
#ifndef COUPON_GUARD_TESTS_PROGRAM_FIXTURE_HPP
#define COUPON_GUARD_TESTS_PROGRAM_FIXTURE_HPP

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <unistd.h>

#include "os/child_process.hpp"
#include "os/temporary_directory.hpp"

namespace coupon_guard_tests {

namespace fs = std::filesystem;

inline std::string contents(const fs::path &file) {
    std::ostringstream text;
    text << std::ifstream{file}.rdbuf();
    return text.str();
}

/// Runs the program in a directory of the test's own, which is also its TMPDIR.
class Program : public testing::Test {
  protected:
    // The runner, or the server it starts, may be another account than that of the tests.
    Program()
        : directory_{coupon_race::server_account(), 60} {
        fs::create_directory(tmp());
        fs::permissions(directory_.path(), fs::perms::others_exec | fs::perms::others_read,
                        fs::perm_options::add);
        if (const auto owner = coupon_race::server_account()) {
            EXPECT_EQ(chown(tmp().c_str(), owner->user, owner->group), 0);
        }
        setenv("TMPDIR", tmp().c_str(), 1);
    }
    ~Program() override { unsetenv("TMPDIR"); }

    fs::path file(const std::string &name) const { return directory_.path() / name; }
    fs::path tmp() const { return file("tmp"); }
    std::string output() const { return contents(file("out")); }
    std::string errors() const { return contents(file("err")); }
    nlohmann::json result() const { return nlohmann::json::parse(contents(file("result.json"))); }

    std::unique_ptr<coupon_race::child_process>
    start(std::vector<std::string> arguments,
          const std::optional<coupon_race::account> &run_as = std::nullopt) {
        fs::path program = COUPON_RACE_PROGRAM;
        if (run_as) { // who may not be allowed where it was built
            fs::copy_file(program, file("coupon-race"));
            program = file("coupon-race");
        }
        arguments.insert(arguments.begin(), program.string());
        coupon_race::child_options options;
        options.run_as = run_as;
        options.working_directory = directory_.path();
        options.output = file("out");
        options.error_output = file("err");
        return std::make_unique<coupon_race::child_process>(arguments, options);
    }

    /// Its exit status, or -1 if it takes longer than a minute.
    int run(std::vector<std::string> arguments,
            const std::optional<coupon_race::account> &run_as = std::nullopt) {
        return start(std::move(arguments), run_as)->wait_for(std::chrono::seconds{60}).value_or(-1);
    }

    /// The pid of the throw-away server, once it has written it down; 0 after 30 seconds.
    pid_t server_of_the_run() const {
        for (int tries = 0; tries < 3000;
             ++tries, std::this_thread::sleep_for(std::chrono::milliseconds{10}))
            for (const auto &entry : fs::directory_iterator{tmp()}) {
                pid_t pid = 0;
                std::ifstream{entry.path() / "data" / "postmaster.pid"} >> pid;
                if (pid > 0)
                    return pid;
            }
        return 0;
    }

    void expect_nothing_left() const { EXPECT_TRUE(fs::is_empty(tmp())); }

  private:
    coupon_race::temporary_directory directory_;
};

} // namespace coupon_guard_tests

#endif
