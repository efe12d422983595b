/// From libpqxx's exceptions to the library's own (private; the runner uses it too).
#ifndef COUPON_GUARD_SRC_ERROR_TRANSLATION_HPP
#define COUPON_GUARD_SRC_ERROR_TRANSLATION_HPP

#include <exception>
#include <new>
#include <string>

#include <coupon_guard/errors.hpp>

namespace coupon_guard {

/// What a connection that breaks leaves behind: known before the statement is sent, from the kind
/// of transaction it runs in.
enum class if_lost { nothing_happened, outcome_unknown };

/// Throws the library's exception for an error that the server reported.
[[noreturn]] void throw_sql_error(const std::string &message, const std::string &sqlstate);

/// Throws the library's exception for one that libpqxx threw. `connection_open` tells whether the
/// connection survived: a server that goes away may still say why, as an ordinary SQL error.
[[noreturn]] void throw_translated(const std::exception &caught, bool connection_open,
                                   if_lost lost);

/// Calls `work` and translates what libpqxx throws. `connection` is anything with is_open().
template <typename Connection, typename Work>
auto translating(const Connection &connection, if_lost lost, Work &&work) -> decltype(work()) {
    try {
        return work();
    } catch (const error &) {
        throw;
    } catch (const std::bad_alloc &) {
        throw;
    } catch (const std::exception &caught) {
        throw_translated(caught, connection.is_open(), lost);
    }
}

} // namespace coupon_guard

#endif
