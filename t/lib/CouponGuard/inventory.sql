-- What an extension consists of, to be compared with another database's: a row for every fact about every object, by names in
-- place of oids. Whole catalog rows are taken, so that an attribute which nobody thought of is compared, too; what is left out
-- is listed here.
--
-- The objects are the members of the extension and what belongs to them (indexes, constraints, triggers, defaults, row types,
-- identity sequences, rules), the shop's own indexes and triggers on its tables among them.

-- Of a row of this catalog: the columns that are not compared, since they are no property of the object (counters, files) or
-- are positions, which "definition" has by name.
CREATE FUNCTION pg_temp.not_compared(catalog regclass) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
	SELECT '{oid}'::text[] || CASE catalog
		WHEN 'pg_class'::regclass THEN '{relfilenode,relpages,reltuples,relallvisible,relallfrozen,relfrozenxid,relminmxid,reltoastrelid,relnatts}'
		WHEN 'pg_attribute'::regclass THEN '{attrelid,attnum,attcacheoff,atthasmissing,attmissingval}'
		WHEN 'pg_index'::regclass THEN '{indkey,indcheckxmin}'
		WHEN 'pg_constraint'::regclass THEN '{conkey,confkey}'
		WHEN 'pg_trigger'::regclass THEN '{tgattr}'
		WHEN 'pg_attrdef'::regclass THEN '{adnum}'
		WHEN 'pg_enum'::regclass THEN '{enumsortorder}'
		WHEN 'pg_extension'::regclass THEN '{extversion,extconfig,extcondition}'
		ELSE '{}'
	END::text[]
$$;

CREATE FUNCTION pg_temp.name_of(catalog regclass, object oid, part int DEFAULT 0) RETURNS text LANGUAGE sql STABLE AS $$
	SELECT CASE WHEN object <> 0 THEN (SELECT type || ' ' || identity FROM pg_identify_object(catalog, object, part)) ELSE '-' END
$$;

-- The expression that shows column `name` of row `r` of a catalog: references by name, privileges in one order, and options without
-- pg_attver, a random number of the minor releases of 2026 by which they know a column from a later one of its name.
CREATE FUNCTION pg_temp.shown(catalog regclass, name text, type regtype) RETURNS text LANGUAGE sql STABLE AS $$
	SELECT coalesce(
		(SELECT format(
			CASE WHEN NOT is_array THEN 'pg_temp.name_of(%2$L, r.%1$I)'
			     ELSE 'ARRAY(SELECT pg_temp.name_of(%2$L, u.o) FROM unnest(r.%1$I::oid[]) WITH ORDINALITY AS u(o, n) ORDER BY n)::text' END,
			name, pktable)
		   FROM pg_get_catalog_foreign_keys() WHERE fktable = catalog AND fkcols = ARRAY[name]),
		format(CASE WHEN type = 'aclitem[]'::regtype THEN 'CASE WHEN r.%1$I IS NOT NULL THEN ARRAY(SELECT a::text FROM unnest(r.%1$I) AS a ORDER BY 1)::text END'
		            WHEN name = 'attoptions' THEN 'ARRAY(SELECT o FROM unnest(r.%1$I) AS o WHERE o NOT LIKE ''pg\_attver=%%'' ORDER BY 1)::text'
		            ELSE 'r.%1$I::text' END, name))
$$;

-- One row a fact of the rows of `catalog` for which `condition` holds; `label` names the object, and `more` is what else is told of it.
CREATE FUNCTION pg_temp.facts(catalog regclass, label text, condition text, more text DEFAULT NULL)
RETURNS TABLE (object text, fact text, value text) LANGUAGE plpgsql STABLE AS $$
DECLARE
	pairs text;
BEGIN
	SELECT concat_ws(', ', string_agg(format('%L, %s', attname, pg_temp.shown(catalog, attname, atttypid)), ', ' ORDER BY attnum), more)
	  INTO pairs
	  FROM pg_attribute
	 WHERE attrelid = catalog AND attnum > 0 AND atttypid <> 'pg_node_tree'::regtype AND attname <> ALL (pg_temp.not_compared(catalog));
	RETURN QUERY EXECUTE format(
		'SELECT %s, e.key, coalesce(e.value, ''NULL'') FROM %s AS r CROSS JOIN LATERAL jsonb_each_text(jsonb_build_object(%s)) AS e WHERE %s',
		label, catalog, pairs, condition);
END
$$;

CREATE FUNCTION pg_temp.inventory(extension name)
RETURNS TABLE (object text, fact text, value text) LANGUAGE plpgsql AS $$
DECLARE
	class regclass;
BEGIN
	CREATE TEMP TABLE found ON COMMIT DROP AS
	WITH RECURSIVE part(classid, objid) AS (
		SELECT 'pg_extension'::regclass::oid, oid FROM pg_extension WHERE extname = extension
		UNION
		SELECT d.classid, d.objid FROM part JOIN pg_depend AS d ON d.refclassid = part.classid AND d.refobjid = part.objid
		 WHERE d.deptype IN ('e', 'i', 'a')
		   AND NOT (d.classid = 'pg_class'::regclass AND EXISTS (SELECT FROM pg_class WHERE oid = d.objid AND relkind = 't'))
	)
	SELECT part.classid, part.objid, pg_temp.name_of(part.classid, part.objid) AS name FROM part;

	FOR class IN SELECT DISTINCT classid FROM found LOOP
		RETURN QUERY SELECT * FROM pg_temp.facts(class, format('pg_temp.name_of(%L, r.oid)', class),
			format('r.oid IN (SELECT objid FROM found WHERE classid = %s)', class::oid),
			CASE class::text
				WHEN 'pg_proc' THEN '''definition'', pg_get_functiondef(r.oid)'
				WHEN 'pg_class' THEN '''definition'', CASE relkind WHEN ''v'' THEN pg_get_viewdef(r.oid) WHEN ''i'' THEN pg_get_indexdef(r.oid) END'
				WHEN 'pg_constraint' THEN '''definition'', pg_get_constraintdef(r.oid)'
				WHEN 'pg_trigger' THEN '''definition'', pg_get_triggerdef(r.oid)'
				WHEN 'pg_rewrite' THEN '''definition'', pg_get_ruledef(r.oid)'
				WHEN 'pg_attrdef' THEN '''definition'', pg_get_expr(r.adbin, r.adrelid)'
			END);
	END LOOP;

	-- Parts that are no objects of their own.
	RETURN QUERY SELECT * FROM pg_temp.facts('pg_attribute', 'pg_temp.name_of(''pg_class'', r.attrelid, r.attnum)',
		'r.attrelid IN (SELECT objid FROM found WHERE classid = ''pg_class''::regclass) AND r.attnum > 0 AND NOT r.attisdropped',
		'''place'', (SELECT count(*) FROM pg_attribute AS b WHERE b.attrelid = r.attrelid AND b.attnum BETWEEN 1 AND r.attnum AND NOT b.attisdropped)');
	RETURN QUERY SELECT * FROM pg_temp.facts('pg_index', 'pg_temp.name_of(''pg_class'', r.indexrelid)',
		'r.indexrelid IN (SELECT objid FROM found WHERE classid = ''pg_class''::regclass)');
	RETURN QUERY SELECT * FROM pg_temp.facts('pg_sequence', 'pg_temp.name_of(''pg_class'', r.seqrelid)',
		'r.seqrelid IN (SELECT objid FROM found WHERE classid = ''pg_class''::regclass)');
	RETURN QUERY SELECT * FROM pg_temp.facts('pg_enum', 'format(''%s label %s'', pg_temp.name_of(''pg_type'', r.enumtypid), r.enumlabel)',
		'r.enumtypid IN (SELECT objid FROM found WHERE classid = ''pg_type''::regclass)',
		'''place'', (SELECT count(*) FROM pg_enum AS b WHERE b.enumtypid = r.enumtypid AND b.enumsortorder <= r.enumsortorder)');

	-- What is kept beside the objects.
	RETURN QUERY SELECT pg_temp.name_of(d.classoid, d.objoid, d.objsubid), 'comment', d.description
		FROM pg_description AS d JOIN found ON classid = d.classoid AND objid = d.objoid;
	RETURN QUERY SELECT pg_temp.name_of(p.classoid, p.objoid, p.objsubid), 'initial privileges',
			ARRAY(SELECT a::text FROM unnest(p.initprivs) AS a ORDER BY 1)::text
		FROM pg_init_privs AS p JOIN found ON classid = p.classoid AND objid = p.objoid;
	RETURN QUERY SELECT pg_temp.name_of('pg_class', u.relation), 'dumped where', format('(%s)', u.condition)
		FROM pg_extension AS e, unnest(e.extconfig, e.extcondition) AS u(relation, condition) WHERE e.extname = extension;
	RETURN QUERY SELECT found.name, 'depends on', string_agg(DISTINCT
			format('%s (%s)', pg_temp.name_of(d.refclassid, d.refobjid, d.refobjsubid), d.deptype), ', ')
		FROM found JOIN pg_depend AS d USING (classid, objid) GROUP BY found.name;
END
$$;
