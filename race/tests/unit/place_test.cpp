/// What of finding a server, and of leaving files, needs no server.

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "exit_status.hpp"
#include "os/child_process.hpp"
#include "os/temporary_directory.hpp"
#include "place/throwaway_server.hpp"
#include "report/output_file.hpp"

namespace {

using namespace coupon_race;
namespace fs = std::filesystem;
using namespace std::chrono_literals;

std::string contents(const fs::path &file) {
    std::ostringstream text;
    text << std::ifstream{file}.rdbuf();
    return text.str();
}

TEST(PostgresPrograms, TheNewestVersionComesFirst) {
    std::vector<fs::path> directories{"/usr/lib/postgresql/9.6", "/usr/lib/postgresql/15",
                                      "/usr/lib/postgresql/other", "/usr/lib/postgresql/17"};
    newest_version_first(directories);
    EXPECT_EQ(directories,
              (std::vector<fs::path>{"/usr/lib/postgresql/17", "/usr/lib/postgresql/15",
                                     "/usr/lib/postgresql/9.6", "/usr/lib/postgresql/other"}));
}

TEST(PostgresPrograms, ADirectoryWithoutThemIsNamed) {
    EXPECT_THROW(find_postgres_programs("/nowhere/at/all"), setup_error);
}

TEST(TemporaryDirectory, IsGoneWithAllThatIsInIt) {
    fs::path path;
    {
        const temporary_directory directory{std::nullopt, 20};
        path = directory.path();
        fs::create_directories(path / "a" / "b");
        std::ofstream{path / "a" / "b" / "file"} << "text";
        EXPECT_EQ(fs::status(path).permissions(), fs::perms::owner_all);
    }
    EXPECT_FALSE(fs::exists(path));
}

TEST(TemporaryDirectory, LeavesRoomForTheNameOfASocket) {
    const temporary_directory outer{std::nullopt, 20};
    const fs::path deep = outer.path() / std::string(80, 'd');
    fs::create_directory(deep);
    const char *before = std::getenv("TMPDIR");
    const std::string saved = before ? before : "";
    setenv("TMPDIR", deep.c_str(), 1);
    const temporary_directory inner{std::nullopt, 20};
    EXPECT_EQ(inner.path().parent_path(), "/tmp");
    if (before)
        setenv("TMPDIR", saved.c_str(), 1);
    else
        unsetenv("TMPDIR");
}

TEST(ChildProcess, TellsHowItEnded) {
    EXPECT_EQ(run_child({"/bin/sh", "-c", "exit 3"}, {}), 3);
    EXPECT_EQ(run_child({"/bin/sh", "-c", "kill -TERM $$"}, {}), 128 + 15);
}

TEST(ChildProcess, AProgramThatCannotBeStartedIsSaidAtOnce) {
    EXPECT_THROW(run_child({"/nowhere/at/all"}, {}), setup_error);
}

TEST(ChildProcess, DoesNotOutliveItsObject) {
    pid_t pid = 0;
    {
        child_process sleeping{{"/bin/sleep", "1000"}, {}};
        pid = sleeping.pid();
        EXPECT_FALSE(sleeping.wait_for(10ms));
    }
    EXPECT_NE(kill(pid, 0), 0);
}

TEST(OutputFile, IsWholeOrNotThere) {
    const temporary_directory directory{std::nullopt, 20};
    const fs::path name = directory.path() / "out.json";
    std::ofstream{name} << "before";
    { const output_file never_written{name.string()}; }
    EXPECT_EQ(contents(name), "before");
    {
        output_file file{name.string()};
        file.write("after");
    }
    EXPECT_EQ(contents(name), "after");
    EXPECT_EQ(std::distance(fs::directory_iterator{directory.path()}, {}), 1);
}

TEST(OutputFile, NeverReplacesADevice) {
    output_file file{"/dev/null"};
    file.write("text");
    EXPECT_TRUE(fs::is_character_file("/dev/null"));
}

TEST(OutputFile, WhatCannotBeWrittenIsSaidAtOnce) {
    EXPECT_THROW(output_file{"/nowhere/at/all.json"}, setup_error);
}

} // namespace
