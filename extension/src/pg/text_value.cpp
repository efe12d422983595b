#include "pg/text_value.hpp"

namespace coupon_guard {

const char *clip_for_message(Datum value) {
    text *given = DatumGetTextPP(value);
    int length = VARSIZE_ANY_EXHDR(given);
    int clipped = pg_mbcliplen(VARDATA_ANY(given), length, 64);
    return psprintf("%.*s%s", clipped, VARDATA_ANY(given), clipped < length ? "..." : "");
}

} // namespace coupon_guard
