"""Writes the extension `tide` from the schema's SQL: extension.py FOLDER VERSION RELEASED,... FUNCTIONS.sql STEP.sql...

One script does for all: it takes a schema that `tide-relay init` made over, and runs the steps that are missing.
"""
import os
import sys

folder, version, released, functions, *steps = sys.argv[1:]

BEGIN = r"""\echo Use "CREATE EXTENSION tide" to load this file. \quit

-- Takes over a schema that `tide-relay init` made. What outboxes are made of belongs to the database, not to the
-- extension.
DO $tide$
DECLARE
  schema_owner name;
  product text;
  object text;
BEGIN
  SELECT pg_get_userbyid(nspowner) INTO schema_owner FROM pg_namespace WHERE nspname = 'tide';
  IF NOT FOUND OR EXISTS (SELECT FROM pg_extension e JOIN pg_depend d ON d.refobjid = e.oid AND d.deptype = 'e'
                          WHERE e.extname = 'tide' AND d.objid = to_regnamespace('tide')) THEN
    RETURN;
  END IF;
  IF schema_owner <> current_user THEN  -- whose triggers and functions would else run with the rights of this role
    RAISE EXCEPTION 'the schema "tide" belongs to "%%"', schema_owner
      USING HINT = format('Let its owner take it over: SET ROLE %%I; CREATE EXTENSION tide;', schema_owner);
  END IF;
  BEGIN
    EXECUTE 'SELECT product FROM tide.installation' INTO product;
  EXCEPTION WHEN undefined_table OR undefined_column THEN
    NULL;
  END;
  IF product IS DISTINCT FROM 'tide-relay' THEN
    RAISE EXCEPTION 'this database has a schema "tide" that Tide Relay did not make'
      USING HINT = 'Use another database, or rename that schema: ALTER SCHEMA tide RENAME TO ...';
  END IF;
  FOR object IN
    SELECT 'SCHEMA tide'
    UNION ALL
    SELECT CASE c.relkind WHEN 'v' THEN 'VIEW ' WHEN 'S' THEN 'SEQUENCE ' ELSE 'TABLE ' END || c.oid::regclass
      FROM pg_class c WHERE c.relnamespace = to_regnamespace('tide') AND c.relkind IN ('r', 'p', 'v', 'S')
        AND c.relname !~ '^outbox_[0-9]+(_wake)?$'
    UNION ALL
    SELECT 'FUNCTION ' || p.oid::regprocedure FROM pg_proc p WHERE p.pronamespace = to_regnamespace('tide')
  LOOP
    EXECUTE 'ALTER EXTENSION tide ADD ' || object;
  END LOOP;
END
$tide$;

DO $tide$
DECLARE
  reached integer;
BEGIN
  IF to_regclass('tide.installation') IS NOT NULL THEN
    EXECUTE 'SELECT schema_version FROM tide.installation' INTO reached;
  END IF;
  IF reached > %(steps)d THEN
    RAISE EXCEPTION 'the schema "tide" is at version %%, newer than version %(steps)d of this extension', reached
      USING HINT = 'Install a newer postgresql-tide-relay on the server.';
  END IF;
END
$tide$;
"""

STEP = r"""
DO $tide_step$
DECLARE
  reached integer := 0;
BEGIN
  IF to_regclass('tide.installation') IS NOT NULL THEN
    EXECUTE 'SELECT schema_version FROM tide.installation' INTO reached;
  END IF;
  IF reached IS NULL OR reached <= %(before)d THEN
    EXECUTE $tide_sql$%(sql)s$tide_sql$;
  END IF;
END
$tide_step$;
"""

END = r"""
SELECT tide.installed(%(steps)d);

-- What pg_dump takes along.
DO $tide$
DECLARE
  kept regclass;
BEGIN
  FOR kept IN
    SELECT c.oid FROM pg_class c WHERE c.relnamespace = to_regnamespace('tide')
      AND (c.relname IN ('installation', 'mark', 'outboxes', 'pipelines', 'consumer_offsets', 'dead_letter_messages')
        OR c.relkind = 'S' AND c.relname !~ '^outbox_[0-9]+_wake$')
  LOOP
    PERFORM pg_extension_config_dump(kept, '');
  END LOOP;
END
$tide$;
"""

script = BEGIN % {"steps": len(steps)}
for number, step in enumerate(steps):
    script += STEP % {"before": number, "sql": open(step, encoding="utf-8").read()}
script += open(functions, encoding="utf-8").read() + END % {"steps": len(steps)}

names = [f"tide--{version}.sql"] + [f"tide--{old}--{version}.sql" for old in released.split(",") if old]
for name in names:
    with open(os.path.join(folder, name), "w", encoding="utf-8") as out:
        out.write(script)
with open(os.path.join(folder, "tide.control"), "w", encoding="utf-8") as out:
    out.write("comment = 'Transactional outbox, delivered by Tide Relay'\n"
              f"default_version = '{version}'\n"
              "encoding = 'UTF8'\n"
              "relocatable = false\n"
              "schema = pg_catalog\n"
              "superuser = false\n")
