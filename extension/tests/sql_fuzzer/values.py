"""Expressions of a type, as SQL text in ASCII: plausible ones, so that calls come far, and others, so that they come to grief."""

CODES = ("SAVE10", " save10 ", "CAPPED", "capped", "BUDGET", "BOTH", "MANY", "HELD", "LATER", "OVER", "OFF", "CAMP-1", "CAMP-2", "CAMP-3",
         "NOSUCH", "ONE", "STRIPED", "CHECK-AAAA", "CHECK-ABAB")
CAMPAIGNS = ("Spring", "spring ", "Capped", "Claims", "No such", "Over")
PATTERNS = ("????-????", "CHECK-????", "A?", "?", "\\\\?????", "no place", "\\\\", "??????????????????????????")
ALPHABETS = ("23456789ABCDEFGHJKMNPQRSTUVWXYZ", "AB", "aA", "A", "0123456789", "", " x", "ABC?")

# Characters that fold, join, vanish or break something. Those that the database's encoding lacks are refused by the server.
ODD_TEXTS = (
    "''", "' '", "E'\\t\\n'", "'%s%n%p'", "'\\'", "U&'\\0041\\0301'", "U&'\\FB03'", "U&'\\200B\\200D'", "U&'\\FF11'", "U&'\\+01F600'", "U&'\\0345\\0301'",
    "U&'\\FFFF'", "U&'\\1100\\1161'", "U&'\\FDFA'", "U&'\\00DF'", "E'\\x01'", "chr(127)", "chr(233)", "chr(160) || 'SAVE10'",
    "convert_from('\\xe9'::bytea, 'LATIN1')", "convert_from('\\xff'::bytea, 'UTF8')", "'\\xc3'::bytea::text", "'\\x00'::bytea::text", "'\\x61ff00c0'::bytea::text",
    "'\\xf4908080'::bytea::text", "'\\xeda080'::bytea::text", "repeat('x', 255)", "repeat('x', 256)", "repeat('x', 1024)", "repeat('x', 1025)",
    "repeat(' ', 2000) || 'SAVE10'", "repeat(U&'\\FDFA', 300)", "repeat(U&'\\0301', 500)", "repeat('?', 300)", "repeat(chr(233), 127)",
    "(SELECT t FROM shop.odd ORDER BY id LIMIT 1)", "(SELECT t FROM shop.odd ORDER BY id DESC LIMIT 1)", "(SELECT t FROM shop.odd ORDER BY length(t) LIMIT 1 OFFSET 2)",
    "'pg_catalog.pg_class'", "'NaN'", "'0x1F'", "'007'", "'1e5'", "'-0'", "'9223372036854775808'", "'550E8400-E29B-41D4-A716-446655440000'", "current_user", "version()",
    "'SAVE10'::shop.code", "'SAVE10'::name", "'SAVE10'::char(10)", "'SAVE10'::varchar(3)", "quote_literal('x')", "string_agg('x', '') OVER ()",
)
HUGE_TEXTS = ("repeat('SAVE10', 200000)", "repeat(chr(233), 600000)", "(SELECT string_agg(md5(i::text), '') FROM generate_series(1, 30000) i)", "repeat('?', 1000000)")

NUMBERS = {
    "bigint": ("0", "1", "2", "3", "5", "10", "42", "100", "1000", "-1", "9223372036854775807", "-9223372036854775808", "4611686018427387904", "2147483648"),
    "integer": ("0", "1", "2", "3", "64", "1024", "1025", "-1", "2147483647", "-2147483648"),
    "smallint": ("0", "1", "-1", "32767", "-32768"),
    "double precision": ("0", "1", "0.5", "0.000001", "1e-300", "1e308", "-1", "'NaN'", "'Infinity'", "'-Infinity'", "'-0'", "4.9e-324"),
    "numeric": ("0", "1", "'NaN'", "'Infinity'", "1e1000", "-0.00000000000001"),
    "oid": ("0", "1", "4294967295"),
}
MOMENTS = ("now()", "clock_timestamp()", "'infinity'", "'-infinity'", "'4714-11-24 00:00:00+00 BC'", "'294276-12-31 23:59:59.999999+00'", "'2000-01-01'", "'2099-01-01'",
           "now() + interval '1 second'", "now() - interval '1 second'", "now() + interval '10 years'", "'epoch'", "'tomorrow'")
INTERVALS = ("'10 minutes'", "'1 millisecond'", "'1 microsecond'", "'0'", "'-1 day'", "'infinity'", "'-infinity'", "'1 month -30 days'", "'178000000 years'", "'-178000000 years'",
             "'2147483647 days'", "'1 mon -1 day +00:00:01'", "'9223372036854 seconds'", "'292277 years'", "make_interval(secs => 1e-7)", "'P1Y'", "'294000 years'")
DOCUMENTS = ("'{}'", "'null'", "'[]'", "'\"x\"'", "'{\"order\": 1}'", "'1e400'::jsonb", "jsonb_build_object('k', repeat('v', 100000))", "'{\"a\": {\"a\": {\"a\": [1, null]}}}'",
             "repeat('[', 500)::jsonb", "(repeat('[', 500) || repeat(']', 500))::jsonb", "to_jsonb(repeat('x', 1000000))")
UUIDS = ("'550e8400-e29b-41d4-a716-446655440000'", "gen_random_uuid()", "'00000000-0000-0000-0000-000000000000'", "'{ffffffff-ffff-ffff-ffff-ffffffffffff}'", "'x'")
# Types that no argument has, in case it is given them.
OTHER_TYPES = ("text", "bigint", "integer", "uuid", "jsonb", "interval", "boolean", "double precision", "timestamp with time zone", "text[]", "bigint[]", "bytea", "name",
               "shop.code", "shop.pair", "numeric", "oid", "json", "date", "character(3)", "bit(3)", "point", "int4range", "tsvector", "regclass", "money", "xid8")


class Values:
    """Values from one random series."""

    def __init__(self, random):
        self.random = random

    def chance(self, probability):
        return self.random.random() < probability

    def of(self, type_name, argument=""):
        """An expression for an argument of this name and type; one in twenty or so is of another type, or has no value."""
        dice = self.random.random()
        if dice < 0.03:
            return self.of(self.random.choice(OTHER_TYPES))
        if dice < 0.08:
            return "NULL::" + type_name
        if dice < 0.09:
            return "'garbage'"
        return self.plausible(type_name, argument)

    def plausible(self, type_name, argument=""):
        if type_name.endswith("[]"):
            return self.array_of(type_name[:-2], argument)
        base = type_name.split("(")[0]
        maker = {
            "text": self.text, "jsonb": self.document, "json": self.document, "boolean": lambda _: self.random.choice(("true", "false")),
            "timestamp with time zone": lambda _: self.random.choice(MOMENTS) + "::timestamptz", "interval": lambda _: self.interval(),
            "uuid": lambda _: self.random.choice(UUIDS) + "::uuid", "bytea": lambda _: "'\\xff00'::bytea", '"char"': lambda _: self.random.choice("'c' 'b' 'C' 'B' 'x' ''".split()) + '::"char"',
        }.get(base)
        if maker:
            return maker(argument)
        if base in NUMBERS:
            return self.number(base, argument)
        return self.random.choice((f"NULL::{type_name}", f"'1'::{type_name}", f"'x'::{type_name}", f"'(1,x)'::{type_name}"))

    def number(self, type_name, argument):
        if argument in ("user_id", "redemption_id", "coupon_id", "campaign_id", "owner_id", "id") and self.chance(0.8):
            return f"{self.random.randint(1, 30)}::{type_name}"
        if argument in ("count", "notice_every") and self.chance(0.8):
            return f"{self.random.choice((1, 2, 10, 50, 1001, 3000))}::{type_name}"
        if argument in ("amount", "budget", "max_redemptions", "max_per_user") and self.chance(0.7):
            return f"{self.random.choice((1, 2, 5, 10, 100, 500))}::{type_name}"
        if argument == "max_share" and self.chance(0.6):
            return "1::double precision"
        return f"({self.random.choice(NUMBERS[type_name])})::{type_name}"

    def interval(self):
        return (self.random.choice(INTERVALS) if self.chance(0.6) else "'10 minutes'") + "::interval"

    def document(self, _):
        return self.random.choice(DOCUMENTS) + ("" if self.chance(0.1) else "::jsonb")

    def text(self, argument):
        """What an argument of this name is called by, mostly."""
        if self.chance(0.02):
            return self.random.choice(HUGE_TEXTS)
        plausible = {
            "code": CODES, "codes": CODES, "campaign": CAMPAIGNS, "name": CAMPAIGNS, "pattern": PATTERNS, "alphabet": ALPHABETS,
            "user_id": [str(i) for i in range(1, 21)], "user_ids": [str(i) for i in range(1, 21)], "holder": [str(i) for i in range(1, 21)],
            "request_id": [f"request {i}" for i in range(10)], "request_ids": [f"request {i}" for i in range(10)],
        }.get(argument)
        if plausible and self.chance(0.7):
            return "E'" + self.random.choice(plausible) + "'::text"
        return "(" + self.random.choice(ODD_TEXTS) + ")" + ("" if self.chance(0.1) else "::text")

    def array_of(self, type_name, argument):
        dice = self.random.random()
        if dice < 0.7:
            elements = [self.plausible(type_name, argument) for _ in range(self.random.choice((1, 1, 2, 3, 5)))]
            if self.chance(0.1):
                elements.append("NULL")
            return f"ARRAY[{', '.join(elements)}]::{type_name}[]"
        element = self.plausible(type_name, argument)
        return self.random.choice((
            f"'{{}}'::{type_name}[]", f"ARRAY[ARRAY[{element}], ARRAY[{element}]]::{type_name}[]", f"ARRAY[NULL, NULL]::{type_name}[]",
            f"array_fill({element}, ARRAY[2], ARRAY[7])", f"array_fill({element}, ARRAY[1001])", f"array_fill({element}, ARRAY[1000])", f"array_fill({element}, ARRAY[2, 2, 2])",
            f"(array_fill({element}, ARRAY[3]))[2:3]", f"array_append(ARRAY[{element}]::{type_name}[], NULL)", f"array_fill(NULL::{type_name}, ARRAY[0])",
            f"ARRAY(SELECT {element} FROM generate_series(1, 3))",
        ))

    def setting(self, setting):
        """A value for one of the extension's settings."""
        if self.chance(0.1):
            return self.random.choice(("''", "'x'", "-1", "99999999999", "DEFAULT", "1e10", "'1d'"))
        if setting.type == "enum":
            return f"'{self.random.choice(setting.values)}'"
        if setting.type == "bool":
            return self.random.choice(("on", "off"))
        if setting.type in ("integer", "real"):
            lowest, highest = float(setting.lowest), float(setting.highest)
            small = min(highest, max(lowest, self.random.choice((0, 1, 2, 3, 10, 100))))
            return f"'{self.random.choice((lowest, highest, small, small, small)):.10g}'"
        return self.random.choice(("'127.0.0.1'", "''", "'a client'", "U&'\\00e9'", "'" + "x" * 300 + "'"))
