"""What the extension has, by the catalog of the database that is fuzzed."""

import collections

Function = collections.namedtuple("Function", "name schema arguments types defaults result kind is_set")
Table = collections.namedtuple("Table", "name kind columns types")
Setting = collections.namedtuple("Setting", "name type lowest highest values context")

OF_EXTENSION = """JOIN pg_catalog.pg_depend d ON d.classid = '{0}'::regclass AND d.objid = {1}.oid AND d.deptype = 'e'
    AND d.refclassid = 'pg_extension'::regclass JOIN pg_catalog.pg_extension x ON x.oid = d.refobjid AND x.extname = 'coupon_guard'"""

FUNCTIONS = """
SELECT p.proname, n.nspname, coalesce(p.proargnames[1:p.pronargs], '{}'),
    ARRAY(SELECT format_type(t, NULL) FROM unnest(p.proargtypes::oid[]) WITH ORDINALITY AS a (t, i) ORDER BY i), p.pronargdefaults,
    format_type(p.prorettype, NULL), p.prokind, p.proretset
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace """ + OF_EXTENSION.format("pg_proc", "p") + """
ORDER BY p.proname, p.proargtypes::text"""

TABLES = """
SELECT c.oid::regclass::text, c.relkind, array_agg(a.attname::text ORDER BY a.attnum),
    array_agg(format_type(a.atttypid, a.atttypmod) ORDER BY a.attnum)
FROM pg_catalog.pg_class c """ + OF_EXTENSION.format("pg_class", "c") + """
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'v', 'm', 'p', 'f') GROUP BY c.oid, c.relkind ORDER BY 1"""

SETTINGS = r"""
SELECT name, vartype, min_val, max_val, enumvals, context FROM pg_catalog.pg_settings WHERE name LIKE 'coupon\_guard.%' ORDER BY name"""


class Catalog:
    def __init__(self, ask):
        self.functions = [Function(*row) for row in ask(FUNCTIONS)]
        self.tables = [Table(*row) for row in ask(TABLES)]
        ask("SELECT promo.coupon_guard_version()")  # the library is loaded, and so its settings are known
        self.settings = [Setting(*row) for row in ask(SETTINGS)]

    def callable_functions(self):
        """Those that a query can call; the others are for triggers."""
        return [f for f in self.functions if f.kind == "f" and f.result not in ("trigger", "event_trigger")]

    def trigger_functions(self):
        return [f for f in self.functions if f.result == "trigger"]

    def event_trigger_functions(self):
        return [f for f in self.functions if f.result == "event_trigger"]
