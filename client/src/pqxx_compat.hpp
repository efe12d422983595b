/// The one place that knows that libpqxx 6.4, 7.x and 8.x differ. All else here and in the runner
/// keeps to what the three have in common.
///
///   6.4  parameters go through exec_params(); the errors of class 40 and 42501 carry no SQLSTATE;
///        a connection that broke comes back by itself with the next transaction
///   7.x  params objects; since 7.9.3 exec(query, params), exec_params() deprecated
///   8.x  exec(query, params) only; C++20
#ifndef COUPON_GUARD_SRC_PQXX_COMPAT_HPP
#define COUPON_GUARD_SRC_PQXX_COMPAT_HPP

#include <string>
#include <vector>

#include <pqxx/pqxx>

#if PQXX_VERSION_MAJOR < 6 || (PQXX_VERSION_MAJOR == 6 && PQXX_VERSION_MINOR < 4)
#error "coupon_guard needs libpqxx 6.4 or later"
#endif

namespace coupon_guard::compat {

#if PQXX_VERSION_MAJOR >= 7
inline pqxx::params params_of(const std::vector<std::string> &parameters) {
    pqxx::params list;
    for (const std::string &parameter : parameters)
        list.append(parameter);
    return list;
}
#endif

/// Runs one statement with parameters, unprepared.
inline pqxx::result exec(pqxx::transaction_base &transaction, const std::string &statement,
                         const std::vector<std::string> &parameters) {
#if PQXX_VERSION_MAJOR < 7
    return transaction.exec_params(statement, pqxx::prepare::make_dynamic_params(parameters));
#elif PQXX_VERSION_MAJOR == 7 && PQXX_VERSION_MINOR < 10
    return transaction.exec_params(statement, params_of(parameters));
#else
    return transaction.exec(statement, params_of(parameters));
#endif
}

/// Prepares a statement in the session, now.
inline void prepare(pqxx::transaction_base &transaction, const std::string &name,
                    const std::string &statement) {
    transaction.conn().prepare(name, statement);
#if PQXX_VERSION_MAJOR < 7
    transaction.conn().prepare_now(name); // it would do so with the first use
#endif
}

/// Runs one that has been prepared.
inline pqxx::result exec_prepared(pqxx::transaction_base &transaction, const std::string &name,
                                  const std::vector<std::string> &parameters) {
#if PQXX_VERSION_MAJOR < 7
    return transaction.exec_prepared(name, pqxx::prepare::make_dynamic_params(parameters));
#elif PQXX_VERSION_MAJOR == 7 && PQXX_VERSION_MINOR < 10
    return transaction.exec_prepared(name, params_of(parameters));
#else
    return transaction.exec(pqxx::prepped{pqxx::zview{name}}, params_of(parameters));
#endif
}

/// True if each statement of this "transaction" commits by itself.
inline bool commits_by_itself(const pqxx::transaction_base &transaction) {
    return dynamic_cast<const pqxx::nontransaction *>(&transaction) != nullptr;
}

/// The SQLSTATE of an error that the server reported; empty if it is not known.
inline std::string sqlstate_of(const std::exception &caught) {
    // 6.4 keeps no SQLSTATE with these, though the server sent one.
    if (dynamic_cast<const pqxx::serialization_failure *>(&caught))
        return "40001";
    if (dynamic_cast<const pqxx::deadlock_detected *>(&caught))
        return "40P01";
    if (dynamic_cast<const pqxx::statement_completion_unknown *>(&caught))
        return "40003";
    if (dynamic_cast<const pqxx::transaction_rollback *>(&caught))
        return "40000";
    if (dynamic_cast<const pqxx::insufficient_privilege *>(&caught))
        return "42501";
    if (const auto *reported = dynamic_cast<const pqxx::sql_error *>(&caught))
        return std::string{reported->sqlstate()};
    return {};
}

/// True for the errors by which libpqxx says that a COMMIT was sent and never answered.
inline bool commit_in_doubt(const std::exception &caught) {
    return dynamic_cast<const pqxx::in_doubt_error *>(&caught) ||
           dynamic_cast<const pqxx::statement_completion_unknown *>(&caught);
}

inline bool connection_broke(const std::exception &caught) {
    return dynamic_cast<const pqxx::broken_connection *>(&caught) != nullptr;
}

} // namespace coupon_guard::compat

#endif
