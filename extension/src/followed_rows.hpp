// What triggers have done already for rows of one command, so that a command of many rows is not
// followed row by row. A note is good for one command of one transaction: the rows that a command
// changes have all been changed when the first of its AFTER ROW triggers fires.
#pragma once

#include "pg/backend.hpp"

namespace coupon_guard {

// Whether nothing has been told of this command's rows; notes that it is told now.
bool is_first_news_of(CommandId command);

// Whether the coupon's live rows have been counted since the command changed them.
bool was_counted(int64 coupon_id, CommandId command);
void note_counted(int64 coupon_id, CommandId command);

} // namespace coupon_guard
