"""The SQL fuzzer: calls of whatever the extension has, with whatever arguments, from wherever SQL can call a function.

catalog     what there is to call, to write to and to set, as the database's own catalog has it: what is new is fuzzed unnamed
world       the database that is fuzzed: coupons of every kind, a shop's tables, roles, wrappers
values      expressions of any type, more or less plausible
places      the places that SQL calls a function from: each makes the statements of one
session     one connection that plays transactions of such statements
verdict     which errors are answers, and which are finds

A session's statements follow from the seed and its number alone, not from what the server answers: one seed with one session is the
same in every run. With several sessions the statements are the same, and how they meet is chance.
"""
