// What coupons and campaigns have in common: a row that says when it can be redeemed, and how
// often.
#pragma once

#include "catalog/catalog.hpp"
#include "catalog/status.hpp"
#include "pg/scan.hpp"

namespace coupon_guard {

inline constexpr int32 no_limit = PG_INT32_MAX;
inline constexpr int64 no_cap = -1;
inline constexpr int64 no_budget = -1;
inline constexpr int64 all_rights = -1;

struct limited_row {
    int64 id;
    bool active;
    TimestampTz starts_at;  // -infinity if NULL
    TimestampTz expires_at; // infinity if NULL
    int64 max_redemptions;  // no_cap if NULL
    int64 budget;           // no_budget if NULL
    int64 rights;           // of max_redemptions, what this shard may give; all_rights if NULL
    int64 budget_rights;    // of the budget, likewise
    int32 max_per_user;     // no_limit if NULL
    int32 stripes;          // 0 if NULL, or if it has no such column
    Datum terms;            // jsonb, the caller's copy; see has_terms
    bool has_terms;
};
static_assert(std::is_trivially_copyable_v<limited_row>);

inline bool is_capped(const limited_row &row) {
    return row.max_redemptions != no_cap;
}

// What of a limit may be given here.
inline int64 granted_of(int64 limit, int64 rights) {
    return rights == all_rights ? limit : rights;
}

inline bool has_budget(const limited_row &row) {
    return row.budget != no_budget;
}

// The row of a coupon or a campaign by its id, in the newest committed state. False if there is
// none. Errors: as for find_coupon().
bool find_limited_row(const installation &guard, limit_owner owner, int64 id, limited_row &found);

// Locks it until the end of the transaction. False if there is none; or, unless told to wait, if
// another transaction has it.
bool lock_limited_row(const installation &guard, limit_owner owner, int64 id, LockTupleMode mode,
                      bool wait);

// redeemed if the row lets itself be redeemed at this moment, else the reason why not.
coupon_status judge_window(const limited_row &row, TimestampTz moment);

// Reads the columns that both tables have, of the row at hand in a scan. Errors: 23514 for a cap,
// budget or limit below 1, which the table's constraints do not allow.
template <typename Columns>
void read_limits(const Columns &columns, const index_scan &scan, const char *kind,
                 limited_row &found);

// 23514: a cap, budget or limit of a coupon or a campaign, which kind says, is below 1; its rights
// are negative.
void check_positive(const char *kind, int64 id, const char *column, int64 value);
void check_not_negative(const char *kind, int64 id, const char *column, int64 value);

template <typename Columns>
int64 read_limit(const Columns &columns, AttrNumber column, const char *name, const char *kind,
                 const index_scan &scan, int64 if_null) {
    if (column == 0 || is_null(scan, column))
        return if_null;
    int64 limit = DatumGetInt64(column_of(scan, column));
    check_positive(kind, DatumGetInt64(column_of(scan, columns.id)), name, limit);
    return limit;
}

template <typename Columns>
int64 read_rights(const Columns &columns, AttrNumber column, const char *name, const char *kind,
                  const index_scan &scan) {
    if (column == 0 || is_null(scan, column))
        return all_rights;
    int64 rights = DatumGetInt64(column_of(scan, column));
    check_not_negative(kind, DatumGetInt64(column_of(scan, columns.id)), name, rights);
    return rights;
}

template <typename Columns>
void read_limits(const Columns &columns, const index_scan &scan, const char *kind,
                 limited_row &found) {
    found.id = DatumGetInt64(column_of(scan, columns.id));
    found.active = DatumGetBool(column_of(scan, columns.active));
    found.starts_at =
        DatumGetTimestampTz(column_or(scan, columns.starts_at, TimestampTzGetDatum(DT_NOBEGIN)));
    found.expires_at =
        DatumGetTimestampTz(column_or(scan, columns.expires_at, TimestampTzGetDatum(DT_NOEND)));
    found.max_redemptions =
        read_limit(columns, columns.max_redemptions, "max_redemptions", kind, scan, no_cap);
    found.budget = read_limit(columns, columns.budget, "budget", kind, scan, no_budget);
    found.rights = read_rights(columns, columns.rights, "rights", kind, scan);
    found.budget_rights = read_rights(columns, columns.budget_rights, "budget_rights", kind, scan);
    found.max_per_user =
        DatumGetInt32(column_or(scan, columns.max_per_user, Int32GetDatum(no_limit)));
    check_positive(kind, found.id, "max_per_user", found.max_per_user);
    found.stripes = 0;
    found.terms = column_or(scan, columns.terms, Datum{0});
    found.has_terms = found.terms != Datum{0};
    if (found.has_terms) // while the snapshot still protects what may be toasted
        found.terms = PointerGetDatum(PG_DETOAST_DATUM_COPY(found.terms));
}

} // namespace coupon_guard
