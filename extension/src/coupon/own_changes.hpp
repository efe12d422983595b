// What this transaction itself is changing by plain SQL: which of it triggers have followed
// already, and which not yet.
//
// A note is good for one command of one transaction. The rows that a command changes have all been
// changed when the first of its AFTER ROW triggers fires.
#pragma once

#include "catalog/catalog.hpp"

namespace coupon_guard {

// To be called before a coupon's or a campaign's row is changed, and once the change has been
// followed.
void note_own_change(limit_owner owner, int64 id);
void note_own_change_followed();

// Whether the transaction has changed coupons or campaigns: then it does without what is cached of
// them until it ends.
bool has_changed_coupons();

// Whether it has changed any since this command; also by TRUNCATE, which has to be noted.
bool has_changed_coupons_since(CommandId command);
void note_own_truncation();

// Whether a change of the row may not have been followed yet; and the last command that made one.
bool is_own_change_pending(limit_owner owner, int64 id, CommandId &command);

// True once for each command: the caller tells of the command's changes of coupons.
bool claim_news_of(CommandId command);

// Whether what is in use of a limit of this kind has been counted since the command changed it.
bool was_counted(int64 owner_id, char kind, CommandId command);
void note_counted(int64 owner_id, char kind, CommandId command);

// Registers the callback by which a change that is rolled back is not pending any more; once, when
// the library is loaded.
void register_own_change_callbacks();

} // namespace coupon_guard
