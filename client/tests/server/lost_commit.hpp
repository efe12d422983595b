/// Sessions that end at COMMIT: before its record is written, and after.
#ifndef COUPON_GUARD_TESTS_LOST_COMMIT_HPP
#define COUPON_GUARD_TESTS_LOST_COMMIT_HPP

#include <string>

#include "guarded_test.hpp"

namespace coupon_guard_tests {

template <typename Base>
class WithLostCommit : public Base {
  protected:
    /// The first `times` transactions that redeem (or `write` something else) are killed at COMMIT,
    /// when all but the commit record is written. A sequence counts, for what it gives out no
    /// rollback takes back.
    void kill_at_commit(int times, const std::string &write = "INSERT ON coupon_redemption",
                        const std::string &when = "NEW.user_id <> 'first'") {
        this->run("CREATE SEQUENCE commits;"
                  "CREATE FUNCTION die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
                  " IF nextval('commits') <= " +
                  std::to_string(times) +
                  " THEN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(60);"
                  " END IF; RETURN NULL; END $$;"
                  "CREATE CONSTRAINT TRIGGER die AFTER " +
                  write + " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (" + when +
                  ") EXECUTE FUNCTION die()");
    }
};

/// A commit waits for a standby that does not exist: its record is written and nobody is told.
template <typename Base>
class WithUntoldCommit : public WithLostCommit<Base> {
  protected:
    // The sessions of the tests themselves must not wait for it.
    std::string local() const {
        return this->connection() + " options='-c synchronous_commit=local'";
    }
    std::string waiting() const {
        return "FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
               " AND datname = current_database()";
    }
    void name_standbys(const std::string &names) {
        run_sql(local(), "ALTER SYSTEM SET synchronous_standby_names = '" + names + "'");
        run_sql(local(), "SELECT pg_reload_conf()");
        wait_until(local(),
                   "SELECT current_setting('synchronous_standby_names') = '" + names + "'");
    }
    void TearDown() override { name_standbys(""); }

    void kill_the_one_that_has_committed() {
        wait_until(local(), "SELECT EXISTS (SELECT " + waiting() + ")");
        const std::string those = this->ask("SELECT string_agg(pid::text, ',') " + waiting());
        run_sql(local(),
                "SELECT pg_terminate_backend(pid) FROM unnest(ARRAY[" + those + "]) AS pid");
        // Told that it need not wait any more before it has noticed, it would answer all the same.
        wait_until(local(),
                   "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid IN (" + those + "))");
    }
};

using LostCommit = WithLostCommit<GuardedTest>;
using UntoldCommit = WithUntoldCommit<GuardedTest>;

} // namespace coupon_guard_tests

#endif
