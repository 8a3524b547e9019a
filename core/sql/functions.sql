-- Functions, views and their rights. Applied after the steps, at every install and upgrade: it can be run again.
--
-- search_path: pinned where a function runs with its owner's rights; where it runs with the caller's, every name and
-- operator is qualified instead, which costs a publisher nothing.

-- ---------------------------------------------------------------------------------------------------- publishing

-- Whether a row of a partition is for outbox_guard to look at: a relay asks to be woken, or the row is not one that could
-- be delivered. A function, because PostgreSQL parses a trigger's own condition again at each statement: with all this
-- in it, that took twice as long as to store the row.
CREATE OR REPLACE FUNCTION tide.outbox_guards(wake regclass, op text, dedup_key text, headers jsonb) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN pg_catalog.pg_sequence_last_value(wake) OPERATOR(pg_catalog.>) 1
    OR pg_catalog.octet_length(dedup_key) OPERATOR(pg_catalog.>) 512
    OR dedup_key OPERATOR(pg_catalog.~) E'^$|[\x01-\x1f\x7f]'
    OR op OPERATOR(pg_catalog.=) ''
    OR pg_catalog.octet_length(op) OPERATOR(pg_catalog.>) 64
    OR pg_catalog.jsonb_typeof(headers) OPERATOR(pg_catalog.<>) 'object';
END
$$;

CREATE OR REPLACE FUNCTION tide.outbox_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF new.dedup_key OPERATOR(pg_catalog.=) '' THEN
    RAISE EXCEPTION 'dedup_key for outbox "%" is empty', new.outbox
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Leave it out to have the relay make a stable key.';
  ELSIF pg_catalog.octet_length(new.dedup_key) OPERATOR(pg_catalog.>) 512 THEN
    RAISE EXCEPTION 'dedup_key for outbox "%" has % bytes; at most 512 are allowed', new.outbox,
        pg_catalog.octet_length(new.dedup_key)
      USING ERRCODE = 'string_data_right_truncation', HINT = 'Use a shorter key, or a hash of this one.';
  ELSIF new.dedup_key OPERATOR(pg_catalog.~) E'[\x01-\x1f\x7f]' THEN
    RAISE EXCEPTION 'dedup_key for outbox "%" has a control character', new.outbox
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Brokers carry the key in a header line: use printable text.';
  ELSIF new.op OPERATOR(pg_catalog.=) '' OR pg_catalog.octet_length(new.op) OPERATOR(pg_catalog.>) 64 THEN
    RAISE EXCEPTION 'op for outbox "%" must have 1 to 64 bytes, it has %', new.outbox, pg_catalog.octet_length(new.op)
      USING ERRCODE = 'invalid_parameter_value';
  ELSIF pg_catalog.jsonb_typeof(new.headers) OPERATOR(pg_catalog.<>) 'object' THEN
    RAISE EXCEPTION 'headers for outbox "%" must be a JSON object, it is a JSON %', new.outbox,
        pg_catalog.jsonb_typeof(new.headers)
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Write it like {"trace-id": "abc"}.';
  END IF;
  PERFORM pg_catalog.pg_notify('tide_wake', tg_argv[0]);
  RETURN new;
END
$$;

CREATE OR REPLACE FUNCTION tide.outbox_unknown_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'outbox "%" does not exist', new.outbox
    USING ERRCODE = 'undefined_object',
      HINT = pg_catalog.format('Create it: SELECT tide.outbox_create(%L)', new.outbox);
END
$$;
DROP TRIGGER IF EXISTS guard ON tide.outbox_unknown;
CREATE TRIGGER guard BEFORE INSERT ON tide.outbox_unknown FOR EACH ROW EXECUTE FUNCTION tide.outbox_unknown_guard();

CREATE OR REPLACE FUNCTION tide.outbox_publish(outbox_name text, payload jsonb, dedup_key text DEFAULT NULL,
                                               op text DEFAULT 'insert', headers jsonb DEFAULT NULL)
RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
  IF outbox_name IS NULL OR payload IS NULL OR op IS NULL THEN
    RAISE EXCEPTION 'outbox_publish: % is NULL',
        CASE WHEN outbox_name IS NULL THEN 'outbox_name' WHEN payload IS NULL THEN 'payload' ELSE 'op' END
      USING ERRCODE = 'null_value_not_allowed',
        HINT = 'An event needs all three; a JSON null payload is written ''null''::jsonb.';
  END IF;
  INSERT INTO tide.outbox_messages (outbox, payload, dedup_key, op, headers)
  VALUES (outbox_name, payload, dedup_key, op, headers);
  -- RETURNING would need the right to read the outbox; the id was drawn by this session just now.
  RETURN pg_catalog.currval('tide.outbox_message_id'::pg_catalog.regclass);
END
$$;

-- ---------------------------------------------------------------------------------------------------- outboxes

CREATE OR REPLACE FUNCTION tide.outbox_id_of(outbox_name text) RETURNS integer
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  found_id integer;
BEGIN
  SELECT o.outbox_id INTO found_id FROM tide.outboxes o WHERE o.name = outbox_name;
  IF found_id IS NULL THEN
    RAISE EXCEPTION 'outbox "%" does not exist', coalesce(outbox_name, 'NULL')
      USING ERRCODE = 'undefined_object',
        HINT = format('Create it: SELECT tide.outbox_create(%L)', coalesce(outbox_name, 'name'));
  END IF;
  RETURN found_id;
END
$$;

CREATE OR REPLACE FUNCTION tide.outbox_create(outbox_name text, retention_hours integer DEFAULT 24) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  new_id integer;
  part text;
  wake text;
BEGIN
  IF outbox_name IS NULL OR outbox_name !~ '^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,99}$' THEN
    RAISE EXCEPTION 'outbox name % is not usable', coalesce(quote_literal(outbox_name), 'NULL')
      USING ERRCODE = 'invalid_name', HINT = 'Use 1 to 100 letters, digits and any of _ . : -';
  END IF;
  IF outbox_create.retention_hours IS NULL OR outbox_create.retention_hours < 0 THEN
    RAISE EXCEPTION 'retention_hours for outbox "%" must be 0 or more', outbox_name
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  INSERT INTO tide.outboxes (name, retention_hours) VALUES (outbox_name, outbox_create.retention_hours)
    ON CONFLICT (name) DO NOTHING RETURNING outbox_id INTO new_id;
  IF new_id IS NULL THEN
    RAISE EXCEPTION 'outbox "%" exists already', outbox_name USING ERRCODE = 'duplicate_object',
      HINT = format('Change its retention with: SELECT tide.outbox_set_retention(%L, %s)', outbox_name,
                    outbox_create.retention_hours);
  END IF;
  part := format('tide.%I', 'outbox_' || new_id);
  wake := format('tide.%I', 'outbox_' || new_id || '_wake');

  -- Above 1 while a relay asks to be woken. A sequence, because a publisher reads it without a query, and the relay
  -- sets it without a lock and without waiting for anybody's commit.
  EXECUTE format('CREATE SEQUENCE %s', wake);
  EXECUTE format('GRANT SELECT ON SEQUENCE %s TO tide_publisher, tide_admin', wake);
  EXECUTE format('GRANT SELECT, UPDATE ON SEQUENCE %s TO tide_relay', wake);

  EXECUTE format('CREATE TABLE %s (LIKE tide.outbox_messages INCLUDING DEFAULTS)', part);
  EXECUTE format('ALTER TABLE %s ADD PRIMARY KEY (id)', part);
  EXECUTE format('CREATE INDEX ON %s (xid, id)', part);
  EXECUTE format('ALTER TABLE %s SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05,'
    ' autovacuum_analyze_scale_factor = 0.05)', part);
  EXECUTE format(
    'CREATE TRIGGER guard AFTER INSERT ON %s FOR EACH ROW WHEN (tide.outbox_guards(%L, new.op, new.dedup_key, new.headers))'
    ' EXECUTE FUNCTION tide.outbox_guard(%L)', part, wake, new_id);
  EXECUTE format('GRANT SELECT ON %s TO tide_relay', part);
  -- Attaching a finished table, unlike PARTITION OF, does not wait for publishers of other outboxes.
  EXECUTE format('ALTER TABLE tide.outbox_messages ATTACH PARTITION %s FOR VALUES IN (%L)', part, outbox_name);
END
$$;

CREATE OR REPLACE FUNCTION tide.outbox_set_retention(outbox_name text, retention_hours integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF outbox_set_retention.retention_hours IS NULL OR outbox_set_retention.retention_hours < 0 THEN
    RAISE EXCEPTION 'retention_hours for outbox "%" must be 0 or more', outbox_name
      USING ERRCODE = 'invalid_parameter_value';
  END IF;
  UPDATE tide.outboxes o SET retention_hours = outbox_set_retention.retention_hours
    WHERE o.outbox_id = tide.outbox_id_of(outbox_name);
END
$$;

CREATE OR REPLACE FUNCTION tide.outbox_drop(outbox_name text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '200ms' AS $$
DECLARE
  id integer := tide.outbox_id_of(outbox_name);
  users text;
  dropped boolean := false;
BEGIN
  SELECT string_agg(quote_literal(pipeline), ', ' ORDER BY pipeline) INTO users
    FROM tide.consumer_offsets WHERE outbox_id = id;
  IF users IS NOT NULL THEN
    RAISE EXCEPTION 'outbox "%" is still read by pipeline %', outbox_name, users
      USING ERRCODE = 'dependent_objects_still_exist',
        HINT = 'Delete each of them first: SELECT tide.relay_delete(''NAME'')';
  END IF;
  -- Dropping a partition locks out all publishers, and whoever waits for that lock makes them wait, too: so the wait is
  -- short, and taken up again a few times.
  FOR attempt IN 1..10 LOOP
    BEGIN
      EXECUTE format('DROP TABLE tide.%I', 'outbox_' || id);
      dropped := true;
      EXIT;
    EXCEPTION WHEN lock_not_available THEN
      PERFORM pg_sleep(0.2);
    END;
  END LOOP;
  IF NOT dropped THEN
    RAISE EXCEPTION 'outbox "%" was not dropped: transactions that publish are open', outbox_name
      USING ERRCODE = 'lock_not_available', HINT = 'Try again when fewer or shorter ones run.';
  END IF;
  EXECUTE format('DROP SEQUENCE tide.%I', 'outbox_' || id || '_wake');
  DELETE FROM tide.outboxes WHERE outbox_id = id;
END
$$;

-- Removes delivered events that are past their retention, at most max_rows of each outbox, oldest first.
-- Returns how many. Takes no lock that a publisher waits for; two sweeps at once skip each other's rows.
CREATE OR REPLACE FUNCTION tide.outbox_sweep(outbox_name text DEFAULT NULL, max_rows integer DEFAULT 10000)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  o record;
  reached bigint;
  removed bigint;
  total bigint := 0;
BEGIN
  IF outbox_name IS NOT NULL THEN
    PERFORM tide.outbox_id_of(outbox_name);
  END IF;
  FOR o IN SELECT * FROM tide.outboxes t WHERE outbox_name IS NULL OR t.name = outbox_name ORDER BY t.outbox_id LOOP
    SELECT coalesce(min(last_id), 9223372036854775807) INTO reached
      FROM tide.consumer_offsets WHERE outbox_id = o.outbox_id;
    -- Only the oldest max_rows are looked at: what follows is younger, and a call costs the same at any table size.
    EXECUTE format(
      'DELETE FROM tide.%1$I WHERE id IN ('
      'SELECT m.id FROM tide.%1$I m WHERE m.id IN (SELECT id FROM tide.%1$I WHERE id <= $1 ORDER BY id LIMIT $4)'
      ' AND m.created_at < now() - make_interval(hours => $2)'
      ' AND NOT EXISTS (SELECT FROM tide.consumer_offsets c WHERE c.outbox_id = $3'
      ' AND NOT pg_visible_in_snapshot(m.xid, c.snapshot))'
      ' FOR UPDATE SKIP LOCKED)', 'outbox_' || o.outbox_id)
      USING reached, o.retention_hours, o.outbox_id, max_rows;
    GET DIAGNOSTICS removed = ROW_COUNT;
    total := total + removed;
  END LOOP;
  RETURN total;
END
$$;

-- ---------------------------------------------------------------------------------------------------- attached tables

CREATE OR REPLACE FUNCTION tide.outbox_row_trigger() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  INSERT INTO tide.outbox_messages (outbox, payload, op, stream_table)
  VALUES (tg_argv[0], CASE WHEN tg_op = 'DELETE' THEN to_jsonb(old) ELSE to_jsonb(new) END, lower(tg_op),
    coalesce(tg_argv[1], tg_table_name));  -- a partition's rows go by the attached table's name
  RETURN NULL;
END
$$;

-- Runs with the caller's rights: whoever may put a trigger on the table may attach it.
CREATE OR REPLACE FUNCTION tide.outbox_attach(source regclass, outbox_name text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM tide.outbox_id_of(outbox_name);
  IF EXISTS (SELECT FROM pg_catalog.pg_trigger t WHERE t.tgrelid OPERATOR(pg_catalog.=) source
             AND t.tgname OPERATOR(pg_catalog.=) 'tide_outbox'::pg_catalog.name) THEN
    RAISE EXCEPTION 'table % is attached already', source USING ERRCODE = 'duplicate_object',
      HINT = pg_catalog.format('Detach it first: SELECT tide.outbox_detach(%L)', source);
  END IF;
  EXECUTE pg_catalog.format('CREATE TRIGGER tide_outbox AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW'
    ' EXECUTE FUNCTION tide.outbox_row_trigger(%L, %L)', source, outbox_name,
    (SELECT c.relname FROM pg_catalog.pg_class c WHERE c.oid OPERATOR(pg_catalog.=) source));
END
$$;

CREATE OR REPLACE FUNCTION tide.outbox_detach(source regclass) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE pg_catalog.format('DROP TRIGGER tide_outbox ON %s', source);
END
$$;

-- ---------------------------------------------------------------------------------------------------- pipelines

-- Takes or makes the offset of (outbox, consumer group) for a pipeline. Returns its offset_id.
CREATE OR REPLACE FUNCTION tide.relay_claim(pipeline text, outbox_name text, consumer_group text,
                                            start text DEFAULT 'earliest') RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  box integer := tide.outbox_id_of(outbox_name);
  mine tide.consumer_offsets;
  owner text;
  new_id integer;
  drawn bigint;
  seen bigint := 0;
  snap pg_snapshot := '3:3:';
BEGIN
  IF relay_claim.pipeline IS NULL OR relay_claim.pipeline !~ '^[A-Za-z0-9_][A-Za-z0-9_.:-]{0,99}$' THEN
    RAISE EXCEPTION 'pipeline name % is not usable', coalesce(quote_literal(relay_claim.pipeline), 'NULL')
      USING ERRCODE = 'invalid_name', HINT = 'Use 1 to 100 letters, digits and any of _ . : -';
  ELSIF coalesce(relay_claim.consumer_group, '') = '' THEN
    RAISE EXCEPTION 'pipeline "%": the consumer group is empty', relay_claim.pipeline
      USING ERRCODE = 'invalid_parameter_value';
  ELSIF start NOT IN ('earliest', 'latest') THEN
    RAISE EXCEPTION 'pipeline "%": start is "%"', relay_claim.pipeline, start
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Use "earliest" or "latest".';
  END IF;
  SELECT * INTO mine FROM tide.consumer_offsets o WHERE o.pipeline = relay_claim.pipeline;
  IF FOUND THEN
    IF mine.outbox_id <> box OR mine.consumer_group <> relay_claim.consumer_group THEN
      RAISE EXCEPTION 'pipeline "%" already delivers outbox "%" as consumer group "%"', relay_claim.pipeline,
          (SELECT name FROM tide.outboxes WHERE outbox_id = mine.outbox_id), mine.consumer_group
        USING ERRCODE = 'object_in_use',
          HINT = format('To start over with another outbox or group, delete it and its offset first: '
                        'SELECT tide.relay_delete(%L)', relay_claim.pipeline);
    END IF;
    RETURN mine.offset_id;
  END IF;
  IF tide.was_restored() THEN
    RAISE EXCEPTION 'pipeline "%": this database was restored from a backup', relay_claim.pipeline
      USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'Before it gets a new pipeline, accept that: '
        'SELECT tide.accept_restore()';
  END IF;
  -- "latest": what this statement's snapshot sees counts as delivered; what is still running then does not.
  IF start = 'latest' THEN
    EXECUTE format('SELECT coalesce(max(id), 0), pg_current_snapshot() FROM tide.%I', 'outbox_' || box)
      INTO seen, snap;
  END IF;
  BEGIN
    INSERT INTO tide.consumer_offsets AS o (outbox_id, consumer_group, pipeline, last_id, snapshot)
      VALUES (box, relay_claim.consumer_group, relay_claim.pipeline, seen, snap)
      RETURNING o.offset_id, o.xmin::text::bigint INTO new_id, drawn;
  EXCEPTION WHEN unique_violation THEN
    SELECT o.pipeline, o.offset_id INTO owner, new_id FROM tide.consumer_offsets o
      WHERE o.outbox_id = box AND o.consumer_group = relay_claim.consumer_group;
    IF owner = relay_claim.pipeline THEN
      RETURN new_id;  -- another relay claimed it for the same pipeline at this moment
    END IF;
    RAISE EXCEPTION 'consumer group "%" of outbox "%" belongs to pipeline "%"; pipeline "%" can not share it',
        relay_claim.consumer_group, outbox_name, owner, relay_claim.pipeline
      USING ERRCODE = 'object_in_use', HINT = 'Give this pipeline a consumer group of its own.';
  END;
  IF start = 'latest' THEN
    -- The block above is a subtransaction, whose xid (the row's xmin, 32 bits of it) was drawn after the snapshot:
    -- one more is a bound that no transaction running then has reached.
    UPDATE tide.consumer_offsets SET next_xid =
        (newest + 1 + mod(drawn - (newest & 4294967295) + 4294967296, 4294967296))::text::xid8
      FROM (SELECT pg_snapshot_xmax(snap)::text::bigint AS newest) s WHERE offset_id = new_id;
  END IF;
  RETURN new_id;
END
$$;

CREATE OR REPLACE FUNCTION tide.relay_set_outbox(pipeline text, outbox_name text, consumer_group text, config jsonb)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF jsonb_typeof(config) IS DISTINCT FROM 'object' THEN
    RAISE EXCEPTION 'pipeline "%": the configuration must be a JSON object, it is %', relay_set_outbox.pipeline,
        coalesce('a JSON ' || jsonb_typeof(config), 'NULL') USING ERRCODE = 'invalid_parameter_value';
  ELSIF jsonb_typeof(config -> 'sink_type') IS DISTINCT FROM 'string' THEN
    RAISE EXCEPTION 'pipeline "%": the configuration needs "sink_type", a string', relay_set_outbox.pipeline
      USING ERRCODE = 'invalid_parameter_value', HINT = 'Like {"sink_type": "nats", ...}';
  END IF;
  PERFORM tide.relay_claim(relay_set_outbox.pipeline, outbox_name, relay_set_outbox.consumer_group,
                           coalesce(config ->> 'start', 'earliest'));
  INSERT INTO tide.pipelines AS p (name, outbox_id, consumer_group, config)
    VALUES (relay_set_outbox.pipeline, tide.outbox_id_of(outbox_name), relay_set_outbox.consumer_group,
            relay_set_outbox.config)
    ON CONFLICT (name) DO UPDATE SET config = excluded.config, updated_at = now();
  PERFORM pg_notify('tide_pipelines', relay_set_outbox.pipeline);
END
$$;

CREATE OR REPLACE FUNCTION tide.relay_set_enabled(pipeline text, enabled boolean) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE tide.pipelines p SET enabled = relay_set_enabled.enabled, updated_at = now()
    WHERE p.name = relay_set_enabled.pipeline;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'pipeline "%" does not exist', coalesce(relay_set_enabled.pipeline, 'NULL')
      USING ERRCODE = 'undefined_object', HINT = 'Set it first: SELECT tide.relay_set_outbox(...). '
        'A pipeline of a configuration file is switched there.';
  END IF;
  PERFORM pg_notify('tide_pipelines', relay_set_enabled.pipeline);
END
$$;

CREATE OR REPLACE FUNCTION tide.relay_enable(pipeline text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT tide.relay_set_enabled(pipeline, true)
$$;

CREATE OR REPLACE FUNCTION tide.relay_disable(pipeline text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT tide.relay_set_enabled(pipeline, false)
$$;

-- Forgets the pipeline and its offset: events that only it had not delivered may then be swept.
CREATE OR REPLACE FUNCTION tide.relay_delete(pipeline text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  gone tide.consumer_offsets;
BEGIN
  -- Nobody will send them. First, as a relay's commit locks letters before the offset, too.
  UPDATE tide.dead_letter_messages m SET state = 'dead' WHERE m.pipeline = relay_delete.pipeline AND m.state = 'retrying';
  DELETE FROM tide.pipelines p WHERE p.name = relay_delete.pipeline;
  DELETE FROM tide.consumer_offsets o WHERE o.pipeline = relay_delete.pipeline RETURNING o.* INTO gone;
  IF gone.offset_id IS NULL THEN
    RAISE EXCEPTION 'pipeline "%" does not exist', coalesce(relay_delete.pipeline, 'NULL')
      USING ERRCODE = 'undefined_object';
  END IF;
  PERFORM pg_notify('tide_pipelines', relay_delete.pipeline);
  RAISE NOTICE 'pipeline "%" is deleted; its consumer group "%" had reached event %', relay_delete.pipeline,
    gone.consumer_group, gone.last_id;
END
$$;

-- ---------------------------------------------------------------------------------------------------- dead letters

CREATE OR REPLACE FUNCTION tide.dead_letter_of(dead_letter_id bigint) RETURNS tide.dead_letter_messages
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  letter tide.dead_letter_messages;
BEGIN
  SELECT * INTO letter FROM tide.dead_letter_messages m WHERE m.dead_letter_id = dead_letter_of.dead_letter_id;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'dead letter % does not exist', coalesce(dead_letter_of.dead_letter_id::text, 'NULL')
      USING ERRCODE = 'undefined_object',
        HINT = 'The view tide.dead_letters has those that do; one that was delivered or discarded is gone.';
  END IF;
  RETURN letter;
END
$$;

-- A letter goes again only to the pipeline that rejected it, with all that it had: key, payload, headers, id and time.
-- The pipeline removes it in the transaction that commits its offset, or notes the new error there.
CREATE OR REPLACE FUNCTION tide.dead_letter_retry(dead_letter_id bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  letter tide.dead_letter_messages;
BEGIN
  letter := tide.dead_letter_of(dead_letter_retry.dead_letter_id);
  IF NOT EXISTS (SELECT FROM tide.consumer_offsets c JOIN tide.outboxes b USING (outbox_id)
                 WHERE c.pipeline = letter.pipeline AND b.name = letter.outbox) THEN
    RAISE EXCEPTION 'dead letter % can not be sent again: pipeline "%" of outbox "%" does not exist any more',
        letter.dead_letter_id, letter.pipeline, letter.outbox
      USING ERRCODE = 'undefined_object',
        HINT = format('Set a pipeline of that name again, or discard the letter: SELECT tide.dead_letter_discard(%s)',
                      letter.dead_letter_id);
  END IF;
  UPDATE tide.dead_letter_messages m SET state = 'retrying' WHERE m.dead_letter_id = letter.dead_letter_id AND m.state = 'dead';
  PERFORM pg_notify('tide_pipelines', letter.pipeline);
END
$$;

-- All dead letters of a pipeline. Returns how many; those that are being sent already are not counted.
CREATE OR REPLACE FUNCTION tide.dead_letters_retry(pipeline text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  marked bigint;
  box text;
BEGIN
  SELECT b.name INTO box FROM tide.consumer_offsets c JOIN tide.outboxes b USING (outbox_id)
    WHERE c.pipeline = dead_letters_retry.pipeline;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'pipeline "%" does not exist', coalesce(dead_letters_retry.pipeline, 'NULL')
      USING ERRCODE = 'undefined_object', HINT = 'A dead letter goes only to the pipeline that rejected it. Set one of that '
        'name again, or discard its letters: SELECT tide.dead_letters_discard(...)';
  END IF;
  UPDATE tide.dead_letter_messages m SET state = 'retrying'
    WHERE m.pipeline = dead_letters_retry.pipeline AND m.outbox = box AND m.state = 'dead';
  GET DIAGNOSTICS marked = ROW_COUNT;
  PERFORM pg_notify('tide_pipelines', dead_letters_retry.pipeline);
  RETURN marked;
END
$$;

-- Gone for good. One that its pipeline is sending at this moment may still arrive.
CREATE OR REPLACE FUNCTION tide.dead_letter_discard(dead_letter_id bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM tide.dead_letter_of(dead_letter_discard.dead_letter_id);
  DELETE FROM tide.dead_letter_messages m WHERE m.dead_letter_id = dead_letter_discard.dead_letter_id;
END
$$;

-- All letters of a pipeline, also of one that was deleted. Returns how many.
CREATE OR REPLACE FUNCTION tide.dead_letters_discard(pipeline text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  removed bigint;
BEGIN
  DELETE FROM tide.dead_letter_messages m WHERE m.pipeline = dead_letters_discard.pipeline;
  GET DIAGNOSTICS removed = ROW_COUNT;
  IF removed = 0 AND NOT EXISTS (SELECT FROM tide.consumer_offsets c WHERE c.pipeline = dead_letters_discard.pipeline) THEN
    RAISE EXCEPTION 'pipeline "%" does not exist, and no dead letter names it', coalesce(dead_letters_discard.pipeline, 'NULL')
      USING ERRCODE = 'undefined_object';
  END IF;
  RETURN removed;
END
$$;

-- ---------------------------------------------------------------------------------------------------- looking

-- Secrets out of a configuration: whole values of options named like one, and user info in URLs. A value that is
-- only a reference, ${env:NAME}, tells nothing and is shown.
CREATE OR REPLACE FUNCTION tide.mask(config jsonb, key text DEFAULT '') RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT CASE jsonb_typeof(config)
    WHEN 'object' THEN (SELECT coalesce(jsonb_object_agg(e.key, tide.mask(e.value,
                          CASE WHEN mask.key ~* '(password|passwd|passphrase|secret|token|seed|credential|private|api[-_]?key|auth|cookie|^headers$)'
                          THEN mask.key ELSE e.key END)), '{}') FROM jsonb_each(config) e)
    WHEN 'array' THEN (SELECT coalesce(jsonb_agg(tide.mask(e.value, mask.key) ORDER BY e.ordinality), '[]')
                       FROM jsonb_array_elements(config) WITH ORDINALITY e)
    WHEN 'string' THEN CASE
      WHEN config #>> '{}' ~ '^(\$\{env:[^}]*\}|\$<env:[^>]*>)$' OR config #>> '{}' = '' THEN config
      WHEN mask.key ~* '(password|passwd|passphrase|secret|token|seed|credential|private|api[-_]?key|auth|cookie|^headers$)'
        AND mask.key !~* '_file$' THEN '"***"'
      ELSE to_jsonb(regexp_replace(regexp_replace(config #>> '{}',
        '^((?!://).)*:(?!//)((?!://).)*@', '***@'), '(://)((?!://).)*@', '\1***@', 'g')) END
    WHEN 'null' THEN config
    ELSE CASE WHEN mask.key ~* '(password|passwd|passphrase|secret|token|seed|private|api[-_]?key|cookie|^headers$)' THEN '"***"'
         ELSE config END
    END
$$;

-- What a payload takes when it is read, in bytes: a page is cut by it. Printing it to know would cost a publisher's
-- time again for each event, so only a compressed one is.
DO $$
BEGIN
  DROP FUNCTION IF EXISTS tide.payload_bytes(jsonb);  -- it was a bigint, whose sum is a numeric, and slow
  EXECUTE format('CREATE FUNCTION tide.payload_bytes(payload jsonb) RETURNS integer LANGUAGE sql STABLE AS %L',
    'SELECT CASE WHEN ' || CASE WHEN current_setting('server_version_num')::integer >= 140000
      THEN 'pg_catalog.pg_column_compression(payload) IS NULL' ELSE 'pg_catalog.pg_column_size(payload) OPERATOR(pg_catalog.<) 600'
    END || ' THEN pg_catalog.pg_column_size(payload) ELSE pg_catalog.octet_length(payload::text) END');
END
$$;

-- How many events of the outbox a position has not delivered.
CREATE OR REPLACE FUNCTION tide.offset_lag(o tide.consumer_offsets) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  lag bigint;
BEGIN
  EXECUTE format('SELECT (SELECT count(*) FROM tide.%1$I WHERE id > $1)'
    ' + (SELECT count(*) FROM tide.%1$I WHERE xid >= pg_snapshot_xmin($2) AND id <= $1'
    ' AND NOT pg_visible_in_snapshot(xid, $2)'
    ' AND NOT coalesce(id <= $4 AND pg_visible_in_snapshot(xid, $3), false))', 'outbox_' || o.outbox_id)
    INTO lag USING o.last_id, o.snapshot, o.late_snapshot, o.late_id;
  RETURN lag;
END
$$;

-- state: what the pipeline's relay last said of it, as long as a relay holds its lock at all.
CREATE OR REPLACE VIEW tide.relay_pipelines AS
  SELECT c.pipeline, b.name AS outbox, c.consumer_group, CASE WHEN p.name IS NULL THEN 'file' ELSE 'catalog' END AS source,
    p.enabled, tide.mask(p.config) AS config,
    CASE WHEN l.held THEN c.state WHEN NOT p.enabled THEN 'disabled' WHEN c.state = 'misconfigured' THEN c.state
      ELSE 'not running' END AS state,
    CASE WHEN l.held THEN c.relay END AS relay, c.last_error, c.last_error_at
  FROM tide.consumer_offsets c
  JOIN tide.outboxes b USING (outbox_id)
  LEFT JOIN tide.pipelines p ON p.name = c.pipeline
  CROSS JOIN LATERAL (SELECT EXISTS (
    SELECT FROM pg_catalog.pg_locks k JOIN pg_catalog.pg_database d ON d.oid = k.database
    WHERE k.locktype = 'advisory' AND k.classid = 1953064037 AND k.objid = c.offset_id::oid AND k.objsubid = 2
      AND k.granted AND d.datname = current_database()) AS held) l;

-- When the oldest event was published that a position has not delivered; NULL: none. (Late ones apart, which are few.)
CREATE OR REPLACE FUNCTION tide.offset_oldest(o tide.consumer_offsets) RETURNS timestamptz
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  oldest timestamptz;
BEGIN
  EXECUTE format('SELECT created_at FROM tide.%I WHERE id > $1 ORDER BY id LIMIT 1', 'outbox_' || o.outbox_id)
    INTO oldest USING o.last_id;
  RETURN oldest;
END
$$;

-- healthy: false where the pipeline failed, or where events wait and none was delivered for half a minute.
CREATE OR REPLACE VIEW tide.consumer_lag AS
  SELECT c.pipeline, b.name AS outbox, c.consumer_group, tide.offset_lag(c) AS lag, c.last_id, c.committed_at,
    s.oldest_at,
    c.state NOT IN ('failed', 'misconfigured') AND (s.oldest_at IS NULL
      OR greatest(s.oldest_at, c.committed_at) > clock_timestamp() - interval '30 seconds') AS healthy
  FROM tide.consumer_offsets c
  JOIN tide.outboxes b USING (outbox_id)
  CROSS JOIN LATERAL (SELECT tide.offset_oldest(c) AS oldest_at) s;

CREATE OR REPLACE VIEW tide.dead_letters AS
  SELECT dead_letter_id, pipeline, outbox, consumer_group, outbox_id, created_at, stream_table, op, dedup_key, headers,
    payload, subject, error, failed_at, state, tries
  FROM tide.dead_letter_messages;

-- A row for each pipeline of the outbox: what it has not delivered is what it holds. One row without a pipeline where
-- there is none.
CREATE OR REPLACE FUNCTION tide.outbox_status(outbox_name text)
RETURNS TABLE (outbox text, retention_hours integer, messages bigint, oldest_at timestamptz, size_bytes bigint,
               pipeline text, consumer_group text, lag bigint)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  box tide.outboxes;
BEGIN
  SELECT * INTO box FROM tide.outboxes o WHERE o.outbox_id = tide.outbox_id_of(outbox_name);
  outbox := box.name;
  retention_hours := box.retention_hours;
  EXECUTE format('SELECT count(*), min(created_at) FROM tide.%I', 'outbox_' || box.outbox_id) INTO messages, oldest_at;
  size_bytes := pg_total_relation_size(format('tide.%I', 'outbox_' || box.outbox_id)::regclass);
  FOR pipeline, consumer_group, lag IN
    SELECT c.pipeline, c.consumer_group, tide.offset_lag(c) FROM tide.consumer_offsets c
    WHERE c.outbox_id = box.outbox_id ORDER BY c.pipeline
  LOOP
    RETURN NEXT;
  END LOOP;
  IF NOT FOUND THEN
    RETURN NEXT;
  END IF;
END
$$;

-- ---------------------------------------------------------------------------------------------------- installation

-- The row of a dump goes before the one that CREATE EXTENSION made in the database that it is restored to.
CREATE OR REPLACE FUNCTION tide.installation_restored() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  made integer;
BEGIN
  DELETE FROM tide.installation RETURNING schema_version INTO made;
  new.schema_version := coalesce(made, new.schema_version);
  RETURN new;
END
$$;
DROP TRIGGER IF EXISTS restored ON tide.installation;
CREATE TRIGGER restored BEFORE INSERT ON tide.installation
  FOR EACH ROW EXECUTE FUNCTION tide.installation_restored();

-- A second row came with data, beside the one that was there.
CREATE OR REPLACE FUNCTION tide.read_mark() RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(string_agg(concat_ws(' ', m.id, m.xmin, m.tableoid), ','), '') FROM tide.mark m
$$;

CREATE OR REPLACE FUNCTION tide.set_mark() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  DELETE FROM tide.mark;
  INSERT INTO tide.mark DEFAULT VALUES;
  UPDATE tide.installation SET mark = tide.read_mark();
END
$$;

-- The last step of every install and upgrade.
CREATE OR REPLACE FUNCTION tide.installed(version integer) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE tide.installation SET schema_version = version, upgraded_at = now() WHERE schema_version < version;
  IF NOT EXISTS (SELECT FROM tide.installation) THEN
    INSERT INTO tide.installation (schema_version) VALUES (version);
  END IF;
  IF EXISTS (SELECT FROM tide.installation WHERE mark IS NULL) THEN
    PERFORM tide.set_mark();
  END IF;
END
$$;

-- Whether positions are told in transaction ids of another server than this one.
CREATE OR REPLACE FUNCTION tide.was_restored() RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT EXISTS (SELECT FROM tide.installation i
                 WHERE i.mark <> tide.read_mark())
$$;

-- Lets pipelines go on in a database that was restored: from where they stood when the backup was made, told anew in
-- transaction ids that this server has left behind. Returns how many pipelines there are.
--
-- Every event of the backup gets the xid 3, which no position leaves out. Those that a pipeline has passed by and not
-- delivered, since they became visible late, get another one, which that pipeline's new position does leave out: one
-- for all events that the same pipelines miss.
CREATE OR REPLACE FUNCTION tide.accept_restore() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  box integer;
  part text;
  missed_by text;
  missed text[];
  lowest xid8;
  highest bigint;
  newest bigint := 1;
  pipelines bigint;
BEGIN
  LOCK TABLE tide.consumer_offsets IN SHARE ROW EXCLUSIVE MODE;  -- no relay takes a pipeline or moves an offset meanwhile
  IF tide.was_restored() THEN
    FOR box IN SELECT outbox_id FROM tide.outboxes LOOP
      part := format('tide.%I', 'outbox_' || box);
      missed_by := format('(SELECT array_agg(c.offset_id ORDER BY c.offset_id)::text FROM tide.consumer_offsets c'
        ' WHERE c.outbox_id = %s AND m.id <= c.last_id AND NOT pg_visible_in_snapshot(m.xid, c.snapshot)'
        ' AND NOT coalesce(m.id <= c.late_id AND pg_visible_in_snapshot(m.xid, c.late_snapshot), false))', box);
      SELECT min(pg_snapshot_xmin(snapshot)::text::bigint)::text::xid8, max(last_id) INTO lowest, highest
        FROM tide.consumer_offsets WHERE outbox_id = box;
      EXECUTE format('SELECT array_agg(DISTINCT by_whom) FROM (SELECT %s AS by_whom FROM %s m'
        ' WHERE m.xid >= $1 AND m.id <= $2) b', missed_by, part) INTO missed USING lowest, highest;
      missed := array_remove(missed, NULL);
      EXECUTE format('UPDATE %s m SET xid = (CASE WHEN m.xid >= $1 AND m.id <= $2'
        ' THEN coalesce(3 + array_position($3, %s), 3) ELSE 3 END)::text::xid8 WHERE m.xid <> ''3''', part, missed_by)
        USING lowest, highest, missed;
      UPDATE tide.consumer_offsets c SET late_snapshot = NULL, late_next_xid = NULL, late_id = NULL,
          next_xid = s.bound::text::xid8,
          snapshot = format('%s:%s:%s', coalesce(s.first, s.bound), s.bound, s.list)::pg_snapshot
        FROM (SELECT a.offset_id, 4 + coalesce(cardinality(missed), 0) AS bound, min(3 + x.at) AS first,
                coalesce(string_agg((3 + x.at)::text, ',' ORDER BY x.at), '') AS list
              FROM tide.consumer_offsets a
              LEFT JOIN unnest(missed) WITH ORDINALITY x (by_whom, at) ON a.offset_id = ANY (x.by_whom::integer[])
              GROUP BY a.offset_id) s
        WHERE c.offset_id = s.offset_id AND c.outbox_id = box;
      EXECUTE format('SELECT greatest($1, $2, max(id)) FROM %s', part) INTO newest USING newest, highest;
    END LOOP;
    PERFORM setval('tide.outbox_message_id', newest) FROM tide.outbox_message_id WHERE last_value < newest;
  END IF;
  PERFORM tide.set_mark();
  PERFORM pg_notify('tide_pipelines', '');
  SELECT count(*) INTO pipelines FROM tide.consumer_offsets;
  RETURN pipelines;
END
$$;

-- ---------------------------------------------------------------------------------------------------- rights

REVOKE ALL ON ALL FUNCTIONS IN SCHEMA tide FROM PUBLIC;
GRANT EXECUTE ON FUNCTION tide.outbox_publish(text, jsonb, text, text, jsonb),
  tide.outbox_guards(regclass, text, text, jsonb) TO tide_publisher, tide_admin;
GRANT EXECUTE ON FUNCTION tide.outbox_create(text, integer), tide.outbox_set_retention(text, integer),
  tide.outbox_drop(text), tide.relay_set_outbox(text, text, text, jsonb), tide.relay_enable(text),
  tide.relay_disable(text), tide.relay_delete(text), tide.dead_letter_retry(bigint), tide.dead_letters_retry(text),
  tide.dead_letter_discard(bigint), tide.dead_letters_discard(text), tide.accept_restore() TO tide_admin;
GRANT EXECUTE ON FUNCTION tide.outbox_attach(regclass, text), tide.outbox_detach(regclass), tide.outbox_row_trigger()
  TO tide_admin;
GRANT EXECUTE ON FUNCTION tide.outbox_id_of(text), tide.outbox_status(text), tide.outbox_sweep(text, integer),
  tide.offset_lag(tide.consumer_offsets), tide.offset_oldest(tide.consumer_offsets), tide.mask(jsonb, text) TO tide_relay, tide_admin;
GRANT EXECUTE ON FUNCTION tide.relay_claim(text, text, text, text), tide.payload_bytes(jsonb), tide.was_restored() TO tide_relay;
GRANT SELECT ON tide.relay_pipelines, tide.consumer_lag, tide.dead_letters, tide.outboxes, tide.installation
  TO tide_relay, tide_admin;
