#include "error_translation.hpp"

#include "pqxx_compat.hpp"

namespace coupon_guard {

namespace {

std::string trimmed(const std::string &message) {
    const auto end = message.find_last_not_of(" \n\r\t");
    return end == std::string::npos ? std::string{} : message.substr(0, end + 1);
}

/// Errors after which the server ends the session: connection exceptions; shutdown, crash of
/// another backend, start-up, a database dropped under a standby's session (57P01 to 57P04); the
/// timeouts of an idle session, an idle transaction, and a transaction as a whole.
bool ends_session(const std::string &sqlstate) {
    for (const char *known : {"57P01", "57P02", "57P03", "57P04", "57P05", "25P03", "25P04"})
        if (sqlstate == known)
            return true;
    return sqlstate.compare(0, 2, "08") == 0;
}

} // namespace

void throw_sql_error(const std::string &message, const std::string &sqlstate) {
    if (sqlstate == "40001" || sqlstate == "40P01")
        throw transaction_conflict{message, sqlstate};
    if (sqlstate.compare(0, 2, "22") == 0 || sqlstate == "54000" || sqlstate == "RC007" ||
        sqlstate == "RC008")
        throw misuse{message, sqlstate};
    if (sqlstate == "42501")
        throw not_permitted{message, sqlstate};
    if (sqlstate == "42883" || sqlstate == "42P01" || sqlstate == "3F000")
        throw not_installed{message, sqlstate};
    if (sqlstate == "25006")
        throw read_only{message, sqlstate};
    if (sqlstate == "55P03" || sqlstate == "57014")
        throw gave_up_waiting{message, sqlstate};
    throw sql_error{message, sqlstate};
}

void throw_translated(const std::exception &caught, bool connection_open, if_lost lost) {
    const std::string message = trimmed(caught.what());
    const std::string sqlstate = compat::sqlstate_of(caught);
    if (compat::commit_in_doubt(caught))
        throw outcome_unknown{message, sqlstate};
    if (!connection_open || compat::connection_broke(caught) || ends_session(sqlstate)) {
        if (lost == if_lost::outcome_unknown)
            throw outcome_unknown{message, sqlstate};
        throw connection_lost{message, sqlstate};
    }
    if (!sqlstate.empty())
        throw_sql_error(message, sqlstate);
    throw error{message};
}

} // namespace coupon_guard
