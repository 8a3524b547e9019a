-- Schema tide, step 2: by what a restored database is known.

-- One row. What a tuple says of itself, the transaction that wrote it and its table's oid, comes with a copy of the
-- server's files (a standby, a base backup, pg_upgrade), and with no copy of what is in them (pg_dump, logical
-- replication).
CREATE TABLE tide.mark (id uuid NOT NULL DEFAULT gen_random_uuid());
ALTER TABLE tide.mark REPLICA IDENTITY FULL;  -- a publication of all tables lets no row be deleted without one
COMMENT ON TABLE tide.mark IS
  'Its only row is as tide.installation.mark says, unless this database was restored from a dump';
ALTER TABLE tide.installation ADD COLUMN mark text;
