-- What is one code and what is another: Unicode's NFKC_Casefold, without the blanks around it.
-- (Every code point, and malformed UTF-8: extension/tests. Other encodings: t/.)
\a \t
CREATE EXTENSION coupon_guard;

-- Each line is two ways to type one code, or two codes.
\set ECHO none
CREATE FUNCTION pg_temp.compare(one text, other text) RETURNS text LANGUAGE sql
RETURN CASE WHEN coupon_key(one) = coupon_key(other) THEN 'same' ELSE 'different' END;
SELECT what, pg_temp.compare(one, other) AS verdict FROM (VALUES
  ('case',                          'SAVE10',          'save10'),
  ('blanks around',                 E' \t\r\n SAVE10 \x0B\f', 'save10'),
  ('blanks within',                 'SAVE 10',         'SAVE10'),
  ('how many blanks within',        'SAVE 10',         'SAVE  10'),
  ('full width letters',            U&'\FF33\FF21\FF36\FF25\FF11\FF10', 'save10'),
  ('ideographic space around',      U&'\3000SAVE10\3000', 'save10'),
  ('no-break space around',         U&'\00A0SAVE10\202F', 'save10'),
  ('no-break space within',         U&'SAVE\00A010',   'SAVE 10'),
  ('line separator around',         U&'\2028SAVE10\2029\0085\1680', 'save10'),
  ('zero width within',             U&'SA\200BVE\200D1\FEFF0', 'save10'),
  ('soft hyphen within',            U&'SAVE\00AD10',   'save10'),
  ('direction marks around',        U&'\200ESAVE10\200F', 'save10'),
  ('blank inside zero width',       U&'\200B SAVE10 \200B', 'save10'),
  ('hyphen',                        'SAVE-10',         'SAVE10'),
  ('ligature',                      U&'\FB01VE',       'five'),
  ('superscript',                   U&'SAVE\00B9\2070', 'save10'),
  ('circled digit',                 U&'SAVE\2460',     'save1'),
  ('roman numeral',                 U&'\2163',         'iv'),
  ('fraction',                      U&'\00BD',         U&'1\20442'),
  ('sharp s, small',                U&'stra\00DFe',    'STRASSE'),
  ('sharp s, capital',              U&'STRA\1E9EE',    'strasse'),
  ('long s',                        U&'\017FAVE10',    'save10'),
  ('kelvin sign',                   U&'\212A',         'k'),
  ('final sigma',                   U&'\03C3\03C2',    U&'\03A3\03A3'),
  ('dotted capital I',              U&'\0130',         U&'i\0307'),
  ('dotted capital I and i',        U&'\0130',         'i'),
  ('dotless i and i',               U&'\0131',         'i'),
  ('I and i',                       'I',               'i'),
  ('accent, composed or not',       U&'caf\00E9',      U&'cafe\0301'),
  ('accent or none',                U&'caf\00E9',      'cafe'),
  ('order of marks above, below',   U&'a\0301\0323',   U&'a\0323\0301'),
  ('order of two marks above',      U&'a\0301\0302',   U&'a\0302\0301'),
  ('hangul, composed or not',       U&'\AC01',         U&'\1100\1161\11A8'),
  ('half width katakana',           U&'\FF76\FF9E',    U&'\30AC'),
  ('hiragana and katakana',         U&'\3042',         U&'\30A2'),
  ('letter O and digit 0',          'SAVE1O',          'SAVE10'),
  ('latin A and cyrillic A',        'A',               U&'\0410'),
  ('variation selector',            U&'\2764\FE0F',    U&'\2764'),
  ('emoji beyond the first plane',  U&'\+01F600',      U&'\+01F601'),
  ('deseret, case',                 U&'\+010400',      U&'\+010428'),
  ('angstrom sign',                 U&'\212B',         U&'\00E5')
) AS pairs (what, one, other);
\set ECHO all

SELECT coupon_key(' Save10 ') AS ascii, coupon_key(U&'\FF33\FF21\FF36\FF25') AS full_width, coupon_key(U&'STRA\1E9EE') AS sharp_s,
       octet_length(coupon_key(U&'e\0301')) AS composed_bytes;
-- A key is its own key.
SELECT coupon_key(coupon_key(U&' \0130\FB01\1E9E a\0323\0301 ')) = coupon_key(U&' \0130\FB01\1E9E a\0323\0301 ') AS stable;

-- The unique constraint judges by the key, the shop sees the code as it wrote it.
INSERT INTO coupon (code) VALUES (U&'Stra\00DFe 10');
SELECT code, code_key FROM coupon;
INSERT INTO coupon (code) VALUES (U&' STRA\1E9EE\300010');
\echo :LAST_ERROR_SQLSTATE
INSERT INTO coupon (code) VALUES ('StraSSe 11');
UPDATE coupon SET code = 'STRASSE 10' WHERE code = 'StraSSe 11';
\echo :LAST_ERROR_SQLSTATE
UPDATE coupon SET code = 'STRASSE 10' WHERE code_key = 'strasse 10';
INSERT INTO coupon (code, code_key) VALUES ('OTHER', 'strasse 11');
\echo :LAST_ERROR_SQLSTATE
SELECT status, coupon_id FROM redeem_coupon(1, U&'\FF33\FF34\FF32\FF21\00DF\FF25\3000\FF11\FF10');
SELECT status, coupon_id FROM redeem_coupon(1, ' strasse 10');

-- Limits are in bytes of UTF-8: 1024 for what is typed, 255 for the key.
INSERT INTO coupon (code) VALUES (repeat(U&'\00E9', 127) || 'x');
SELECT status FROM redeem_coupon(1, repeat(U&'\00C9', 127) || 'X');
INSERT INTO coupon (code) VALUES (repeat(U&'\00E9', 128));
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM redeem_coupon(1, repeat(U&'\00E9', 128));
SELECT status FROM redeem_coupon(1, repeat(U&'\FDFA', 341));
SELECT octet_length(coupon_key(repeat(U&'\200B', 338) || 'save10')) AS after_1020_bytes_invisible;
SELECT coupon_key(repeat(U&'\200B', 340) || 'save10');
\echo :LAST_ERROR_SQLSTATE

-- Characters that Unicode has not assigned, and non-characters: no coupon can have them.
INSERT INTO coupon (code) VALUES (U&'SAVE\0378');
\echo :LAST_ERROR_SQLSTATE
SELECT coupon_key(U&'\FFFE');
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM redeem_coupon(1, U&'SAVE\0378');
-- Private use characters are assigned, to the shop.
SELECT pg_temp.compare(U&'\E000', U&'\E001');
-- Invisible characters alone are a blank code.
\set VERBOSITY terse
INSERT INTO coupon (code) VALUES (U&'\200B\FEFF');
\echo :LAST_ERROR_SQLSTATE
SELECT status FROM redeem_coupon(1, U&'\200B\FEFF');

DROP FUNCTION pg_temp.compare;
TRUNCATE coupon_redemption, coupon;
DROP EXTENSION coupon_guard;
