#include "pg/text_value.hpp"

namespace coupon_guard {

const char *clip_for_message(Datum value) {
    text *given = DatumGetTextPP(value);
    int length = VARSIZE_ANY_EXHDR(given);
    int clipped = pg_mbcliplen(VARDATA_ANY(given), length, 64);
    return psprintf("%.*s%s", clipped, VARDATA_ANY(given), clipped < length ? "..." : "");
}

bool is_same_text(Datum one, Datum other) {
    text *left = DatumGetTextPP(one);
    text *right = DatumGetTextPP(other);
    return VARSIZE_ANY_EXHDR(left) == VARSIZE_ANY_EXHDR(right) &&
           memcmp(VARDATA_ANY(left), VARDATA_ANY(right), VARSIZE_ANY_EXHDR(left)) == 0;
}

} // namespace coupon_guard
