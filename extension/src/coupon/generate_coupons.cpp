// Rows are written by thousands, each thousand as by one INSERT: so memory stays flat, and what
// triggers of the shop do per statement is done for each thousand.
//
// The unique index on code_key is the arbiter. A code that it has already, committed or not, is
// drawn again (add_row() says so without waiting): so generations of the same pattern, and whoever
// inserts such codes by hand, do not wait for each other here, and there can be no deadlock. A
// rival that is rolled back leaves a code unused, of which there are enough.

#include "coupon/generate_coupons.hpp"

#include "pg/text_value.hpp"
#include "pg/write.hpp"

#include <cmath>

namespace coupon_guard {
namespace {

constexpr int rows_at_once = 1000;

// Draws in a row that may find nothing but codes that are there already. If one code of C is free,
// 64 * C draws all miss it once in e^64; and where a million miss, hardly any are free.
double most_draws_in_vain(double codes) {
    return Min(64 * codes, 1e6);
}

// ---- too few codes ----------------------------------------------------------------------------

double share_of(const generation &wanted, int more_places) {
    return std::floor(wanted.max_share *
                      count_codes(*wanted.pattern, wanted.has_check_character, more_places));
}

int places_missing(const generation &wanted) {
    int more = 1;
    while (share_of(wanted, more) < static_cast<double>(wanted.count))
        more++;
    return more;
}

void check_share(const generation &wanted) {
    double share = share_of(wanted, 0);
    if (static_cast<double>(wanted.count) <= share)
        return;
    int missing = places_missing(wanted);
    ereport(ERROR,
            (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
             errmsg("pattern \"%s\" holds too few codes", clip_for_message(wanted.pattern_text)),
             errdetail("It holds %.0f codes. At most %g of them may be given out, which is "
                       "%.0f; " INT64_FORMAT " are asked for.",
                       count_codes(*wanted.pattern, wanted.has_check_character, 0),
                       wanted.max_share, share, wanted.count),
             errhint("Add %d \"?\" to the pattern, or have a larger max_share.", missing)));
}

void report_none_left(const generation &wanted, int64 made, double draws) {
    ereport(
        ERROR,
        (errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
         errmsg("too few codes of pattern \"%s\" are left", clip_for_message(wanted.pattern_text)),
         errdetail("Of " INT64_FORMAT " coupons " INT64_FORMAT
                   " were made; then %.0f draws in a row met codes that are there already.",
                   wanted.count, made, draws)));
}

// ---- codes ------------------------------------------------------------------------------------

using code_value = text_value<max_code_bytes>;

// In the database's encoding, which has all of the pattern's characters: they came in it.
void assign_code(const char *code, std::size_t length, bool is_unicode, code_value &value) {
    if (is_unicode && GetDatabaseEncoding() != PG_UTF8) {
        const char *converted = pg_any_to_server(code, static_cast<int>(length), PG_UTF8);
        if (converted != code) {
            code = converted;
            length = strlen(converted);
        }
    }
    if (length > max_code_bytes)
        ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("code is too long"),
                        errdetail("It has %zu bytes; the limit is %zu.", length, max_code_bytes)));
    value.assign(code, length);
}

void draw_new_code(const generation &wanted, random_bytes &source, code_value &value) {
    char code[max_code_bytes];
    std::size_t length = draw_code(*wanted.pattern, wanted.has_check_character, source, code);
    if (length == 0)
        ereport(ERROR,
                (errcode(ERRCODE_INTERNAL_ERROR), errmsg("could not generate random bytes")));
    assign_code(code, length, wanted.pattern->form == code_key_form::ascii, value);
}

// ---- rows -------------------------------------------------------------------------------------

row_writer *begin_coupons(const catalog &tables) {
    const index_shape arbiter = {true, {tables.coupon.code_key}, 1, {}};
    write_rules rules;
    memset(&rules, 0, sizeof rules);
    rules.arbiters = &arbiter;
    rules.arbiter_count = 1;
    write_plan plan;
    Relation table = table_open(tables.coupon_table, NoLock);
    make_write_plan(table, rules, plan);
    table_close(table, NoLock);
    return begin_rows(plan);
}

bool add_coupon(row_writer *writer, const coupon_columns &columns, const generation &wanted,
                Datum code) {
    const column_value values[] = {
        {columns.code, code, false, true},
        {columns.campaign_id, wanted.campaign_id.value, wanted.campaign_id.isnull, false},
        {columns.active, wanted.active.value, wanted.active.isnull, false},
        {columns.starts_at, wanted.starts_at.value, wanted.starts_at.isnull, false},
        {columns.expires_at, wanted.expires_at.value, wanted.expires_at.isnull, false},
        {columns.max_redemptions, wanted.max_redemptions.value, wanted.max_redemptions.isnull,
         false},
        {columns.max_per_user, wanted.max_per_user.value, wanted.max_per_user.isnull, false},
        {columns.budget, wanted.budget.value, wanted.budget.isnull, false},
        {columns.terms, wanted.terms.value, wanted.terms.isnull, false},
    };
    return add_row(writer, values, lengthof(values));
}

void note_progress(const generation &wanted, int64 made) {
    if (wanted.notice_every > 0 && made % wanted.notice_every == 0)
        ereport(NOTICE, (errmsg("generated " INT64_FORMAT " of " INT64_FORMAT " coupons", made,
                                wanted.count)));
}

struct progress {
    int64 made;
    double in_vain; // draws since the last coupon was made
};

void make_some(const installation &guard, const generation &wanted, random_bytes &source,
               progress &so_far, ReturnSetInfo *result) {
    const catalog &tables = catalog_of(guard);
    const coupon_columns columns = tables.coupon; // triggers run, see catalog_of()
    const double most_in_vain =
        most_draws_in_vain(count_codes(*wanted.pattern, wanted.has_check_character, 0));
    row_writer *writer = begin_coupons(tables);
    for (int i = 0; i < rows_at_once && so_far.made < wanted.count; i++) {
        CHECK_FOR_INTERRUPTS();
        code_value code;
        draw_new_code(wanted, source, code);
        if (!add_coupon(writer, columns, wanted, code.datum())) {
            if (++so_far.in_vain >= most_in_vain)
                report_none_left(wanted, so_far.made, so_far.in_vain);
            continue;
        }
        Datum value = code.datum();
        bool is_null = false;
        tuplestore_putvalues(result->setResult, result->setDesc, &value, &is_null);
        so_far = {so_far.made + 1, 0};
        note_progress(wanted, so_far.made);
    }
    end_rows(writer);
}

} // namespace

void generate_coupons(const installation &guard, const generation &wanted, ReturnSetInfo *result) {
    check_share(wanted);
    lock_table(guard, &catalog::coupon_table, RowExclusiveLock);
    random_bytes source;
    source.fill = pg_strong_random;
    source.left = 0;
    progress so_far = {0, 0};
    MemoryContext once =
        AllocSetContextCreate(CurrentMemoryContext, "coupons", ALLOCSET_DEFAULT_SIZES);
    MemoryContext caller = MemoryContextSwitchTo(once);
    while (so_far.made < wanted.count) {
        make_some(guard, wanted, source, so_far, result);
        MemoryContextReset(once);
    }
    MemoryContextSwitchTo(caller);
    MemoryContextDelete(once);
}

} // namespace coupon_guard
