-- Schema tide, step 1: roles, tables, the storage of outboxes.
-- A released step is never edited: a change is a new step. Functions and views live in functions.sql.

DO $$
DECLARE
  role_name text;
BEGIN
  FOREACH role_name IN ARRAY ARRAY['tide_publisher', 'tide_relay', 'tide_admin'] LOOP
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = role_name) THEN
      BEGIN
        EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', role_name);
      EXCEPTION
        WHEN duplicate_object OR unique_violation THEN
          NULL;  -- another database of the cluster is being installed at this moment
        WHEN insufficient_privilege THEN
          RAISE EXCEPTION 'role % does not exist and % may not create it', role_name, current_user
            USING HINT = 'Run this as a role with CREATEROLE, or let an administrator run: CREATE ROLE '
              || role_name || ' NOLOGIN';
      END;
    END IF;
  END LOOP;
END
$$;

CREATE SCHEMA tide;
REVOKE ALL ON SCHEMA tide FROM PUBLIC;
GRANT USAGE ON SCHEMA tide TO tide_publisher, tide_relay, tide_admin;

-- Marks the schema as this program's, and names the database in the keys of events that have none.
CREATE TABLE tide.installation (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  product text NOT NULL DEFAULT 'tide-relay',
  schema_version integer NOT NULL,
  id uuid NOT NULL DEFAULT gen_random_uuid(),
  installed_at timestamptz NOT NULL DEFAULT now(),
  upgraded_at timestamptz
);
COMMENT ON TABLE tide.installation IS 'Which Tide Relay made this schema, and its version';

CREATE TABLE tide.outboxes (
  outbox_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text NOT NULL UNIQUE,
  retention_hours integer NOT NULL CHECK (retention_hours >= 0),
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE SEQUENCE tide.outbox_message_id;  -- CACHE 1: ids are drawn in the order of time, which the reader relies on
GRANT USAGE ON SEQUENCE tide.outbox_message_id TO tide_publisher, tide_admin;

-- One partition per outbox, so that no outbox pays for another. xid comes first: an INSERT evaluates defaults in
-- column order, and the transaction must have its xid before it draws an id (see the reading rule in the docs).
-- What a row must look like is checked by the partition's trigger: five CHECK constraints cost a third of the publish
-- rate, since PostgreSQL parses each of them at every statement.
CREATE TABLE tide.outbox_messages (
  xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
  id bigint NOT NULL DEFAULT nextval('tide.outbox_message_id'),
  created_at timestamptz NOT NULL DEFAULT now(),
  outbox text NOT NULL,
  stream_table text,
  op text NOT NULL DEFAULT 'insert',
  dedup_key text,
  headers jsonb,
  payload jsonb NOT NULL
) PARTITION BY LIST (outbox);
GRANT INSERT (outbox, payload, dedup_key, op, headers) ON tide.outbox_messages TO tide_publisher, tide_admin;

-- Catches a row for an outbox that does not exist, to say so clearly. It is always empty.
CREATE TABLE tide.outbox_unknown PARTITION OF tide.outbox_messages DEFAULT;

CREATE TABLE tide.pipelines (
  name text PRIMARY KEY,
  outbox_id integer NOT NULL REFERENCES tide.outboxes,
  consumer_group text NOT NULL,
  config jsonb NOT NULL CHECK (jsonb_typeof(config) = 'object'),
  enabled boolean NOT NULL DEFAULT false,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now()
);
GRANT SELECT ON tide.pipelines TO tide_relay;

-- How far a consumer group is. (last_id, snapshot, next_xid) says: every row with id <= last_id that was visible in
-- snapshot is delivered. (late_snapshot, late_next_xid, late_id) says further, while rows that became visible late are
-- being delivered: those visible in late_snapshot with id <= late_id are, too.
CREATE TABLE tide.consumer_offsets (
  offset_id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,  -- also the advisory lock's key
  outbox_id integer NOT NULL REFERENCES tide.outboxes,
  consumer_group text NOT NULL,
  pipeline text NOT NULL UNIQUE,
  last_id bigint NOT NULL DEFAULT 0,
  snapshot pg_snapshot NOT NULL DEFAULT '3:3:',
  next_xid xid8 NOT NULL DEFAULT '3',  -- no xid at or above it had been given out when snapshot was taken
  late_snapshot pg_snapshot,
  late_next_xid xid8,
  late_id bigint,
  sink_position bigint NOT NULL DEFAULT 0,  -- where the sink keeps the last delivered event, if it counts
  committed_at timestamptz,
  state text NOT NULL DEFAULT 'new',
  last_error text,
  last_error_at timestamptz,
  relay text,  -- the relay that runs it, or ran it last
  UNIQUE (outbox_id, consumer_group)
) WITH (fillfactor = 50);  -- updated often: room for HOT updates in the page
GRANT SELECT, UPDATE ON tide.consumer_offsets TO tide_relay;

-- Relays that live, by the session that holds their locks. A relay whose seen_at stands still is hung: one that waits
-- ends that session and takes over. Lost in a crash of the server, as the sessions are.
CREATE UNLOGGED TABLE tide.relays (
  backend_pid integer PRIMARY KEY,
  relay text NOT NULL,
  seen_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50);
GRANT SELECT, INSERT, UPDATE, DELETE ON tide.relays TO tide_relay;

CREATE TABLE tide.dead_letter_messages (
  dead_letter_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  pipeline text NOT NULL,
  outbox text NOT NULL,
  consumer_group text NOT NULL,
  outbox_id bigint NOT NULL,  -- the event's id
  created_at timestamptz NOT NULL,
  stream_table text,
  op text NOT NULL,
  dedup_key text NOT NULL,  -- as sent: the row's own, or its stable identity
  headers jsonb,
  payload jsonb NOT NULL,
  subject text,  -- as rendered; NULL where rendering itself failed
  error text NOT NULL,
  failed_at timestamptz NOT NULL DEFAULT now(),
  state text NOT NULL DEFAULT 'dead' CHECK (state IN ('dead', 'retrying')),  -- retrying: its pipeline is to send it again
  tries integer NOT NULL DEFAULT 1  -- how often the sink rejected it
);
CREATE INDEX ON tide.dead_letter_messages (pipeline, dead_letter_id);
CREATE INDEX ON tide.dead_letter_messages (pipeline, dead_letter_id) WHERE state = 'retrying';
GRANT SELECT, INSERT, UPDATE, DELETE ON tide.dead_letter_messages TO tide_relay;
