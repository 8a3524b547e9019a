// The schema as its users see it: rights, clear errors, pipelines, attached tables, sweeping and lag.

#include <gtest/gtest.h>

#include <memory>
#include <regex>
#include <thread>

#include "database.hpp"
#include "support/servers.hpp"

namespace tide::test {
namespace {

class Schema : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    server_ = std::make_unique<PostgresServer>();
    const auto url = server_->create_database();
    install_schema(url);  // makes the roles
    pg::Session(settings(url))
        .query(
            "CREATE ROLE publisher LOGIN IN ROLE tide_publisher; CREATE ROLE relay LOGIN IN ROLE tide_relay;"
            "CREATE ROLE admin LOGIN IN ROLE tide_admin; CREATE ROLE nobody_special LOGIN");
  }
  static void TearDownTestSuite() { server_.reset(); }

  Schema() : owner_(create()) {}

  std::unique_ptr<pg::Session> as(const std::string& role) {
    return std::make_unique<pg::Session>(settings(server_->url(database_, role)));
  }

  // The statement is refused with this SQLSTATE and a text that matches.
  static void expect_refused(pg::Session& session, const std::string& sql, const std::string& state,
                             const std::string& text) {
    const auto said = refusal(session, sql);
    EXPECT_TRUE(said.starts_with(state) && std::regex_search(said, std::regex(text)))
        << sql << "\nexpected " << state << ' ' << text << "\nsaid     " << said;
  }

  static void expect_denied(pg::Session& session, const std::string& sql) {
    expect_refused(session, sql, "", "^.{0,6}ERROR:  permission denied");  // libpqxx 6 leaves the SQLSTATE out
  }

  static void expect_allowed(pg::Session& session, const std::string& sql) {
    EXPECT_EQ(refusal(session, sql), "") << sql;
  }

  // Says that a pipeline has delivered all that is visible now, as an offset store would.
  void deliver_all(const std::string& pipeline) {
    owner_->query(
        "UPDATE tide.consumer_offsets SET last_id = coalesce((SELECT max(id) FROM tide.outbox_messages), 0),"
        " snapshot = pg_current_snapshot(), next_xid = pg_snapshot_xmax(pg_current_snapshot())"
        " WHERE pipeline = '" +
        pipeline + "'");
  }

  std::string get(const std::string& sql) { return value(*owner_, sql); }

  static inline std::unique_ptr<PostgresServer> server_;
  std::string database_;
  std::unique_ptr<pg::Session> owner_;

 private:
  std::unique_ptr<pg::Session> create() {
    const auto url = server_->create_database();
    install_schema(url);
    auto session = std::make_unique<pg::Session>(settings(url));
    database_ = value(*session, "SELECT current_database()");
    session->query("SELECT tide.outbox_create('box')");
    return session;
  }
};

const std::string kConfig = R"('{"sink_type": "nats"}')";

// ---- rights

TEST_F(Schema, PublisherPublishesBothWays) {
  const auto publisher = as("publisher");
  EXPECT_EQ(value(*publisher, "SELECT tide.outbox_publish('box', '{}')"), "1");
  expect_allowed(*publisher,
                 "INSERT INTO tide.outbox_messages (outbox, payload, dedup_key, op, headers)"
                 " VALUES ('box', '{}', 'k', 'o', '{}')");
  expect_allowed(*publisher, "SELECT tide.outbox_publish(outbox_name => 'box', payload => '{}', op => 'update')");
  EXPECT_EQ(get("SELECT count(*) FROM tide.outbox_1"), "3");
}

TEST_F(Schema, PublisherDoesNothingElse) {
  const auto publisher = as("publisher");
  owner_->query("SELECT tide.relay_set_outbox('p', 'box', 'g', " + kConfig + ")");
  for (const char* table : {"outbox_messages", "outbox_1", "outbox_unknown", "outboxes", "pipelines",
                            "consumer_offsets", "dead_letter_messages", "installation"}) {
    expect_denied(*publisher, std::string("SELECT count(*) FROM tide.") + table);
    expect_denied(*publisher, std::string("DELETE FROM tide.") + table);
    expect_denied(*publisher, std::string("TRUNCATE tide.") + table);
  }
  for (const char* view : {"relay_pipelines", "consumer_lag", "dead_letters"}) {
    expect_denied(*publisher, std::string("SELECT count(*) FROM tide.") + view);
  }
  for (const char* sql : {
           "INSERT INTO tide.outbox_messages (id, outbox, payload) VALUES (1, 'box', '{}')",
           "INSERT INTO tide.outbox_messages (xid, outbox, payload) VALUES ('3', 'box', '{}')",
           "INSERT INTO tide.outbox_messages (created_at, outbox, payload) VALUES (now(), 'box', '{}')",
           "INSERT INTO tide.outbox_messages (stream_table, outbox, payload) VALUES ('t', 'box', '{}')",
           "INSERT INTO tide.outbox_messages (outbox, payload) VALUES ('box', '{}') RETURNING id",
           "INSERT INTO tide.outbox_1 (outbox, payload) VALUES ('box', '{}')",
           "UPDATE tide.outbox_messages SET payload = '{}'",
           "INSERT INTO tide.outboxes (name, retention_hours) VALUES ('x', 1)",
           "SELECT setval('tide.outbox_message_id', 1)",
           "SELECT setval('tide.outbox_1_wake', 2)",
           "SELECT tide.outbox_create('mine')",
           "SELECT tide.outbox_set_retention('box', 0)",
           "SELECT tide.outbox_drop('box')",
           "SELECT tide.outbox_sweep()",
           "SELECT tide.outbox_status('box')",
           "SELECT tide.outbox_id_of('box')",
           "SELECT tide.outbox_attach('pg_class', 'box')",
           "SELECT tide.outbox_detach('pg_class')",
           "SELECT tide.relay_set_outbox('q', 'box', 'h', '{}')",
           "SELECT tide.relay_claim('q', 'box', 'h')",
           "SELECT tide.relay_enable('p')",
           "SELECT tide.relay_disable('p')",
           "SELECT tide.relay_set_enabled('p', true)",
           "SELECT tide.relay_delete('p')",
           "SELECT tide.mask('{}')",
           "CREATE TABLE tide.mine ()",
       }) {
    expect_denied(*publisher, sql);
  }
  publisher->query("CREATE TEMP TABLE own (id integer)");
  expect_denied(*publisher,
                "CREATE TRIGGER t AFTER INSERT ON own FOR EACH ROW EXECUTE FUNCTION tide.outbox_row_trigger('box')");
}

TEST_F(Schema, OthersDoNothingAtAll) {
  const auto nobody = as("nobody_special");
  expect_denied(*nobody, "SELECT tide.outbox_publish('box', '{}')");
  expect_denied(*nobody, "INSERT INTO tide.outbox_messages (outbox, payload) VALUES ('box', '{}')");
  expect_denied(*nobody, "SELECT * FROM tide.relay_pipelines");
}

TEST_F(Schema, OnlyAdminSetsPipelines) {
  const std::string set = "SELECT tide.relay_set_outbox('p', 'box', 'g', " + kConfig + ")";
  for (const char* role : {"publisher", "relay"}) {
    const auto session = as(role);
    expect_denied(*session, set);
    expect_denied(*session, "SELECT tide.relay_enable('p')");
    expect_denied(*session,
                  "INSERT INTO tide.pipelines (name, outbox_id, consumer_group, config) VALUES ('p', 1, 'g', '{}')");
    expect_denied(*session, "UPDATE tide.pipelines SET config = '{}'");
    expect_denied(*session, "SELECT tide.outbox_create('mine')");
    expect_denied(*session, "SELECT tide.outbox_drop('box')");
    expect_denied(*session, "SELECT tide.relay_delete('p')");
  }
  const auto admin = as("admin");
  expect_allowed(*admin, set);
  expect_allowed(*admin, "SELECT tide.relay_enable('p')");
  expect_allowed(*admin, "SELECT tide.relay_disable('p')");
  expect_allowed(*admin, "SELECT * FROM tide.relay_pipelines, tide.consumer_lag, tide.dead_letters, tide.outboxes");
  expect_allowed(*admin, "SELECT tide.outbox_status('box'), tide.outbox_sweep('box')");
  expect_allowed(*admin, "SELECT tide.relay_delete('p')");
  expect_allowed(*admin, "SELECT tide.outbox_create('other', 1); SELECT tide.outbox_set_retention('other', 2)");
  expect_allowed(*admin, "SELECT tide.outbox_drop('other')");
  expect_denied(*admin, "SELECT config FROM tide.pipelines");  // unmasked
  expect_denied(*admin, "DELETE FROM tide.consumer_offsets");
}

// Whoever may execute the function must also be able to: "Complete Example" is one person's session.
TEST_F(Schema, AdminPublishes) {
  const auto admin = as("admin");
  expect_allowed(*admin, "SELECT tide.outbox_publish('box', '{}')");
}

TEST_F(Schema, RelayDoesItsWork) {
  const auto relay = as("relay");
  owner_->query("SELECT tide.outbox_publish('box', '{}')");
  expect_allowed(*relay, "SELECT tide.relay_claim('p', 'box', 'g')");
  expect_allowed(*relay, "SELECT * FROM tide.outbox_1, tide.pipelines, tide.outboxes, tide.installation");
  expect_allowed(*relay, "SELECT pg_sequence_last_value('tide.outbox_1_wake'::regclass)");
  expect_allowed(*relay, "SELECT setval('tide.outbox_1_wake', 2)");
  expect_allowed(*relay, "UPDATE tide.consumer_offsets SET last_id = 1, committed_at = now() WHERE pipeline = 'p'");
  expect_allowed(*relay,
                 "INSERT INTO tide.dead_letter_messages (pipeline, outbox, consumer_group, outbox_id, created_at, op,"
                 " dedup_key, payload, error) VALUES ('p', 'box', 'g', 1, now(), 'insert', 'k', '{}', 'e')");
  expect_allowed(*relay, "SELECT tide.outbox_sweep(); SELECT * FROM tide.consumer_lag, tide.relay_pipelines");
  expect_denied(*relay, "DELETE FROM tide.outbox_1");
  expect_denied(*relay, "SELECT tide.outbox_publish('box', '{}')");
  expect_denied(*relay, "INSERT INTO tide.outbox_messages (outbox, payload) VALUES ('box', '{}')");
}

// A schema in front of pg_catalog that has everything the functions use, each telling when it is called.
TEST_F(Schema, HostileSearchPathChangesNothing) {
  owner_->query(R"(
    CREATE SCHEMA evil;
    GRANT USAGE, CREATE ON SCHEMA evil TO PUBLIC;
    CREATE FUNCTION evil.told() RETURNS text LANGUAGE plpgsql AS $$
      BEGIN RAISE EXCEPTION 'hijacked, as %', current_user; END $$;
    DO $$
    DECLARE
      f record;
      body text := 'BEGIN PERFORM evil.told(); RETURN NULL; END';
    BEGIN
      FOR f IN SELECT * FROM (VALUES
          ('now()', 'timestamptz'), ('nextval(regclass)', 'bigint'), ('nextval(text)', 'bigint'),
          ('currval(regclass)', 'bigint'), ('currval(text)', 'bigint'), ('pg_current_xact_id()', 'xid8'),
          ('pg_notify(text, text)', 'void'), ('pg_sequence_last_value(regclass)', 'bigint'),
          ('octet_length(text)', 'integer'), ('jsonb_typeof(jsonb)', 'text'), ('to_jsonb(anyelement)', 'jsonb'),
          ('quote_literal(text)', 'text'), ('lower(text)', 'text'), ('format(text, text)', 'text'),
          ('format(text, anyelement)', 'text'), ('format(text, regclass, text)', 'text'), ('format(text, regclass)', 'text'),
          ('format(text, text, integer)', 'text'), ('make_interval(integer)', 'interval'),
          ('pg_visible_in_snapshot(xid8, pg_snapshot)', 'boolean'), ('pg_current_snapshot()', 'pg_snapshot'),
          ('pg_snapshot_xmin(pg_snapshot)', 'xid8'), ('pg_total_relation_size(regclass)', 'bigint'),
          ('jsonb_each(jsonb)', 'record'), ('regexp_replace(text, text, text, text)', 'text'), ('mod(bigint, bigint)', 'bigint'),
          ('outbox_id_of(text)', 'integer'), ('relay_claim(text, text, text, text)', 'integer')) f (signature, result)
      LOOP
        EXECUTE format('CREATE FUNCTION evil.%s RETURNS %s LANGUAGE plpgsql AS %L', f.signature, f.result,
          CASE f.result WHEN 'void' THEN 'BEGIN PERFORM evil.told(); END' WHEN 'record'
            THEN 'BEGIN PERFORM evil.told(); END' ELSE body END);
      END LOOP;
      FOR f IN SELECT * FROM unnest(ARRAY['text', 'integer', 'bigint', 'jsonb', 'oid', 'name', 'boolean', 'regclass',
                                          'timestamptz', 'bigint, integer', 'integer, bigint', 'oid, regclass'])
               t (types), unnest(ARRAY['=', '<>', '<', '>', '<=', '>=', '~', '!~', '~*', '||']) o (name)
      LOOP
        IF strpos(f.types, ',') = 0 THEN f.types := f.types || ', ' || f.types; END IF;
        EXECUTE format('CREATE OR REPLACE FUNCTION evil.op(%s) RETURNS boolean LANGUAGE plpgsql AS %L', f.types, body);
        EXECUTE format('CREATE OPERATOR evil.%s (FUNCTION = evil.op, LEFTARG = %s, RIGHTARG = %s)', f.name,
          split_part(f.types, ', ', 1), split_part(f.types, ', ', 2));
      END LOOP;
      FOR f IN SELECT * FROM (VALUES ('jsonb', 'text'), ('jsonb', 'integer')) t (a, b) LOOP
        EXECUTE format('CREATE FUNCTION evil.arrow(%s, %s) RETURNS text LANGUAGE plpgsql AS %L', f.a, f.b, body);
        EXECUTE format('CREATE OPERATOR evil.->> (FUNCTION = evil.arrow, LEFTARG = %s, RIGHTARG = %s)', f.a, f.b);
        EXECUTE format('CREATE OPERATOR evil.-> (FUNCTION = evil.arrow, LEFTARG = %s, RIGHTARG = %s)', f.a, f.b);
      END LOOP;
    END $$;
    CREATE VIEW evil.pg_trigger AS SELECT evil.told();
    CREATE VIEW evil.outboxes AS SELECT evil.told();
    CREATE VIEW evil.outbox_messages AS SELECT evil.told();
    CREATE VIEW evil.consumer_offsets AS SELECT evil.told();
    CREATE TABLE public.rows_of_admin (id integer);
    GRANT ALL ON public.rows_of_admin TO tide_admin;
    ALTER TABLE public.rows_of_admin OWNER TO admin;
    SELECT setval('tide.outbox_1_wake', 2))");
  const std::string hostile = "SET search_path = evil, pg_catalog, public";

  const auto publisher = as("publisher");
  publisher->query(hostile);
  EXPECT_NE(refusal(*publisher, "SELECT 'a'::text = 'b'::text"), "") << "the trap itself must work";
  EXPECT_NE(refusal(*publisher, "SELECT currval('tide.outbox_message_id'::regclass)"), "");
  // The wake flag is set, so each of these goes through the trigger function, too.
  expect_allowed(*publisher, "SELECT tide.outbox_publish('box', '{}', 'k', 'update', '{}')");
  expect_allowed(*publisher, "INSERT INTO tide.outbox_messages (outbox, payload, dedup_key) VALUES ('box', '{}', 'k')");
  expect_refused(*publisher, "SELECT tide.outbox_publish('box', '{}', repeat('k', 513))", "22001", "513 bytes");
  expect_refused(*publisher, "SELECT tide.outbox_publish('box', '{}', 'k', 'o', '[]')", "22023",
                 "must be a JSON object");
  expect_refused(*publisher, "SELECT tide.outbox_publish('none', '{}')", "42704", "does not exist");
  expect_refused(*publisher, "SELECT tide.outbox_publish('box', NULL)", "22004", "payload is NULL");

  const auto admin = as("admin");
  admin->query(hostile);
  for (const std::string& sql :
       {std::string("SELECT tide.outbox_create('other', 1)"),
        std::string("SELECT tide.outbox_set_retention('other', 0)"),
        std::string(
            "SELECT tide.relay_set_outbox('p', 'other', 'g', '{\"sink_type\": \"nats\", \"start\": \"latest\"}')"),
        std::string("SELECT tide.relay_enable('p')"), std::string("SELECT tide.relay_disable('p')"),
        std::string("SELECT tide.outbox_status('other')"), std::string("SELECT tide.outbox_sweep()"),
        std::string("SELECT * FROM tide.relay_pipelines"), std::string("SELECT * FROM tide.consumer_lag"),
        std::string("SELECT tide.relay_delete('p')"), std::string("SELECT tide.outbox_drop('other')"),
        std::string("SELECT tide.outbox_attach('public.rows_of_admin', 'box')"),
        std::string("INSERT INTO public.rows_of_admin VALUES (1)"),
        std::string("SELECT tide.outbox_detach('public.rows_of_admin')")}) {
    expect_allowed(*admin, sql);
  }
  const auto relay = as("relay");
  relay->query(hostile);
  expect_allowed(*relay, "SELECT tide.relay_claim('q', 'box', 'g', 'latest')");
  EXPECT_EQ(get("SELECT count(*) FROM tide.outbox_1"), "3");
}

TEST_F(Schema, FunctionsWithTheOwnersRightsPinTheSearchPath) {
  EXPECT_EQ(get("SELECT string_agg(p.oid::regprocedure::text, ', ') FROM pg_proc p"
                " WHERE pronamespace = 'tide'::regnamespace AND prosecdef"
                " AND NOT coalesce('search_path=pg_catalog, pg_temp' = ANY (proconfig), false)"),
            "");
  EXPECT_EQ(
      get("SELECT string_agg(p.oid::regprocedure::text, ', ') FROM pg_proc p"
          " WHERE pronamespace = 'tide'::regnamespace AND has_function_privilege('nobody_special', p.oid, 'execute')"),
      "");
}

// ---- clear errors

TEST_F(Schema, BadEventsAreRefusedBothWays) {
  const auto publisher = as("publisher");
  struct Case {
    std::string outbox, payload, key, op, headers, state, text;
  };
  const std::string ok = "'box'";
  for (const auto& c : {
           Case{"'none'", "'{}'", "NULL", "'o'", "NULL", "42704",
                "outbox \"none\" does not exist.*outbox_create\\('none'\\)"},
           Case{ok, "'{}'", "repeat('k', 513)", "'o'", "NULL", "22001", "outbox \"box\" has 513 bytes; at most 512"},
           Case{ok, "'{}'", "repeat('\u00e4', 257)", "'o'", "NULL", "22001", "514 bytes"},
           Case{ok, "'{}'", "''", "'o'", "NULL", "22023", "dedup_key for outbox \"box\" is empty"},
           Case{ok, "'{}'", "E'a\\nb'", "'o'", "NULL", "22023", "control character"},
           Case{ok, "'{}'", "E'a\\r\\nX: y'", "'o'", "NULL", "22023", "control character"},
           Case{ok, "'{}'", "E'\\x7f'", "'o'", "NULL", "22023", "control character"},
           Case{ok, "'{}'", "'k'", "''", "NULL", "22023", "op for outbox \"box\" must have 1 to 64"},
           Case{ok, "'{}'", "'k'", "repeat('o', 65)", "NULL", "22023", "it has 65"},
           Case{ok, "'{}'", "'k'", "'o'", "'[]'", "22023", "must be a JSON object, it is a JSON array"},
           Case{ok, "'{}'", "'k'", "'o'", "'\"s\"'", "22023", "it is a JSON string"},
           Case{ok, "'{}'", "'k'", "'o'", "'null'", "22023", "it is a JSON null"},
       }) {
    expect_refused(*publisher,
                   "SELECT tide.outbox_publish(" + c.outbox + ", " + c.payload + ", " + c.key + ", " + c.op + ", " +
                       c.headers + ")",
                   c.state, c.text);
    expect_refused(*publisher,
                   "INSERT INTO tide.outbox_messages (outbox, payload, dedup_key, op, headers) VALUES (" + c.outbox +
                       ", " + c.payload + ", " + c.key + ", " + c.op + ", " + c.headers + ")",
                   c.state, c.text);
  }
  expect_refused(*publisher, "SELECT tide.outbox_publish('box', NULL)", "22004", "payload is NULL.*'null'::jsonb");
  expect_refused(*publisher, "SELECT tide.outbox_publish(NULL, '{}')", "22004", "outbox_name is NULL");
  expect_refused(*publisher, "SELECT tide.outbox_publish('box', '{}', op => NULL)", "22004", "op is NULL");
  expect_refused(*publisher, "INSERT INTO tide.outbox_messages (outbox, payload) VALUES ('box', NULL)", "23502",
                 "\"payload\"");
  expect_refused(*publisher, "INSERT INTO tide.outbox_messages (outbox, payload, op) VALUES ('box', '{}', NULL)",
                 "23502", "\"op\"");
  expect_refused(*publisher, "INSERT INTO tide.outbox_messages (outbox, payload) VALUES (NULL, '{}')", "42704",
                 "does not exist");
  EXPECT_EQ(get("SELECT count(*) FROM tide.outbox_messages"), "0");
}

TEST_F(Schema, EventsAtTheLimitsAreAccepted) {
  const auto publisher = as("publisher");
  expect_allowed(*publisher, "SELECT tide.outbox_publish('box', 'null', repeat('k', 512), repeat('o', 64), '{}')");
  expect_allowed(*publisher, "SELECT tide.outbox_publish('box', '[]', '\u00e4 key with blanks')");
  owner_->query("SELECT setval('tide.outbox_1_wake', 2)");
  expect_allowed(*publisher, "SELECT tide.outbox_publish('box', 'null', repeat('k', 512), repeat('o', 64), '{}')");
  expect_allowed(*publisher, "SELECT tide.outbox_publish('box', '1', '\u00e4 key with blanks')");
  EXPECT_EQ(get("SELECT count(*) FROM tide.outbox_1"), "4");
}

TEST_F(Schema, BadOutboxesAreRefused) {
  expect_refused(*owner_, "SELECT tide.outbox_create('box')", "42710",
                 "exists already.*outbox_set_retention\\('box', 24\\)");
  expect_refused(*owner_, "SELECT tide.outbox_create('')", "42602", "not usable");
  expect_refused(*owner_, "SELECT tide.outbox_create(NULL)", "42602", "not usable");
  expect_refused(*owner_, "SELECT tide.outbox_create(E'a\\nb')", "42602", "not usable");
  expect_refused(*owner_, "SELECT tide.outbox_create(repeat('a', 101))", "42602", "not usable");
  expect_refused(*owner_, "SELECT tide.outbox_create('x', -1)", "22023", "0 or more");
  expect_refused(*owner_, "SELECT tide.outbox_create('x', NULL)", "22023", "0 or more");
  for (const char* call : {"outbox_status", "outbox_sweep", "outbox_drop"}) {
    expect_refused(*owner_, std::string("SELECT tide.") + call + "('none')", "42704", "outbox \"none\" does not exist");
  }
  expect_allowed(*owner_,
                 "SELECT tide.outbox_create('Or.ders:eu-1_' || repeat('a', 80)); SELECT tide.outbox_create('select')");
  expect_allowed(*owner_, "SELECT tide.outbox_publish('select', '{}'); SELECT tide.outbox_status('select')");
}

// ---- pipelines

TEST_F(Schema, PipelinesNeverShareAnOffset) {
  owner_->query("SELECT tide.outbox_create('other'); SELECT tide.relay_set_outbox('one', 'box', 'g', " + kConfig + ")");
  expect_refused(
      *owner_, "SELECT tide.relay_set_outbox('two', 'box', 'g', " + kConfig + ")", "55006",
      "consumer group \"g\" of outbox \"box\" belongs to pipeline \"one\"; pipeline \"two\" can not share it");
  expect_refused(*owner_, "SELECT tide.relay_claim('two', 'box', 'g')", "55006", "belongs to pipeline \"one\"");
  expect_refused(*owner_, "SELECT tide.relay_set_outbox('one', 'other', 'g', " + kConfig + ")", "55006",
                 "pipeline \"one\" already delivers outbox \"box\" as consumer group \"g\".*relay_delete\\('one'\\)");
  expect_refused(*owner_, "SELECT tide.relay_set_outbox('one', 'box', 'h', " + kConfig + ")", "55006",
                 "already delivers");
  expect_allowed(*owner_, "SELECT tide.relay_set_outbox('two', 'box', 'h', " + kConfig + ")");
  expect_allowed(*owner_, "SELECT tide.relay_set_outbox('three', 'other', 'g', " + kConfig + ")");
  EXPECT_EQ(get("SELECT string_agg(pipeline || ' ' || outbox, ', ' ORDER BY pipeline) FROM tide.relay_pipelines"),
            "one box, three other, two box");
}

// Two relays with the same configuration file start at the same moment.
TEST_F(Schema, TwoRelaysClaimTheSamePipelineAtOnce) {
  const auto first = as("relay");
  first->query("BEGIN; SELECT tide.relay_claim('p', 'box', 'g')");
  std::string said;
  std::string offset;
  {
    const std::jthread second([&] {
      const auto session = as("relay");
      session->query("SET application_name = 'second relay'");
      try {
        offset = value(*session, "SELECT tide.relay_claim('p', 'box', 'g')");
      } catch (const pg::SqlError& e) {
        said = e.what();
      }
    });
    EXPECT_TRUE(eventually(std::chrono::seconds(20), [&] {
      return get("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'second relay' AND wait_event_type = "
                 "'Lock'") == "1";
    }));
    first->query("COMMIT");
  }
  EXPECT_EQ(said, "");
  EXPECT_EQ(offset, get("SELECT offset_id FROM tide.consumer_offsets"));
}

TEST_F(Schema, SettingAPipelineAgainKeepsItsStateAndOffset) {
  owner_->query("SELECT tide.relay_set_outbox('p', 'box', 'g', " + kConfig + ")");
  EXPECT_EQ(get("SELECT enabled FROM tide.relay_pipelines"), "f");
  owner_->query("SELECT tide.relay_enable('p'); SELECT tide.outbox_publish('box', '{}')");
  deliver_all("p");
  const std::string offset = "SELECT o::text FROM tide.consumer_offsets o";
  const auto before = get(offset);
  owner_->query(
      "SELECT tide.relay_set_outbox('p', 'box', 'g', '{\"sink_type\": \"nats\", \"start\": \"latest\", \"batch_size\": "
      "7}')");
  EXPECT_EQ(get(offset), before);
  EXPECT_EQ(get("SELECT enabled || ' ' || (config ->> 'batch_size') FROM tide.relay_pipelines"), "true 7");
  owner_->query("SELECT tide.relay_disable('p'); SELECT tide.relay_set_outbox('p', 'box', 'g', " + kConfig + ")");
  EXPECT_EQ(get("SELECT enabled FROM tide.relay_pipelines"), "f");
}

TEST_F(Schema, PipelineErrorsAreClear) {
  expect_refused(*owner_, "SELECT tide.relay_enable('none')", "42704", "pipeline \"none\" does not exist");
  expect_refused(*owner_, "SELECT tide.relay_disable(NULL)", "42704", "does not exist");
  expect_refused(*owner_, "SELECT tide.relay_delete('none')", "42704", "does not exist");
  expect_refused(*owner_, "SELECT tide.relay_set_outbox('p', 'none', 'g', " + kConfig + ")", "42704",
                 "outbox \"none\"");
  expect_refused(*owner_, "SELECT tide.relay_set_outbox('p', 'box', 'g', '[]')", "22023",
                 "must be a JSON object, it is a JSON array");
  expect_refused(*owner_, "SELECT tide.relay_set_outbox('p', 'box', 'g', NULL)", "22023", "it is NULL");
  expect_refused(*owner_, "SELECT tide.relay_set_outbox('p', 'box', 'g', '{}')", "22023", "needs \"sink_type\"");
  expect_refused(*owner_, "SELECT tide.relay_set_outbox('p', 'box', 'g', '{\"sink_type\": 1}')", "22023",
                 "needs \"sink_type\"");
  expect_refused(*owner_, "SELECT tide.relay_set_outbox('p', 'box', '', " + kConfig + ")", "22023",
                 "consumer group is empty");
  expect_refused(*owner_, "SELECT tide.relay_set_outbox('p', 'box', NULL, " + kConfig + ")", "22023",
                 "consumer group is empty");
  expect_refused(*owner_, "SELECT tide.relay_set_outbox('', 'box', 'g', " + kConfig + ")", "42602", "not usable");
  expect_refused(*owner_,
                 "SELECT tide.relay_set_outbox('p', 'box', 'g', '{\"sink_type\": \"nats\", \"start\": \"noon\"}')",
                 "22023", "start is \"noon\"");
  EXPECT_EQ(get("SELECT count(*) FROM tide.consumer_offsets"), "0");
}

TEST_F(Schema, ChangesOfPipelinesAreAnnounced) {
  std::string heard;
  owner_->listen("tide_pipelines", [&](const std::string& payload) { heard += payload + ' '; });
  owner_->query("SELECT tide.relay_set_outbox('p', 'box', 'g', " + kConfig + ")");
  owner_->query("SELECT tide.relay_enable('p')");
  owner_->query("SELECT tide.relay_delete('p')");
  owner_->wait(std::chrono::seconds(0), -1);
  EXPECT_EQ(heard, "p p p ");
}

TEST_F(Schema, SecretsAreMasked) {
  owner_->query(R"(SELECT tide.relay_set_outbox('p', 'box', 'g', '{
      "sink_type": "nats", "url": "nats://ann:hunter1@a:4222,nats://bob:hunter2@b:4222", "subject": "e.{op}",
      "password": "hunter3", "token": "hunter4", "nkey_seed": "hunter5", "username": "ann", "tls_enabled": true,
      "credentials_file": "/etc/nats/user.creds", "batch_size": 200, "api_key": "hunter6", "nothing": null,
      "auth": {"user": "ann", "password": "hunter7"}, "secrets": ["hunter8", {"token": "hunter9"}],
      "servers": ["tls://eve:hunter10@c", "nats://d"], "passphrase": 31337
    }'))");
  const auto shown = get("SELECT config::text FROM tide.relay_pipelines");
  EXPECT_EQ(shown.find("hunter"), std::string::npos) << shown;
  EXPECT_EQ(shown.find("31337"), std::string::npos) << shown;
  for (const char* kept :
       {"nats://***@a:4222,nats://***@b:4222", "\"subject\": \"e.{op}\"", "\"username\": \"ann\"",
        "/etc/nats/user.creds", "\"batch_size\": 200", "\"tls_enabled\": true", "\"nothing\": null"}) {
    EXPECT_NE(shown.find(kept), std::string::npos) << kept << " in " << shown;
  }
  const auto mask = [&](const std::string& config) { return get("SELECT tide.mask('" + config + "')"); };
  EXPECT_EQ(mask(R"({"token": "${env:NATS_TOKEN}", "password": "$<env:P>"})"),
            R"({"token": "${env:NATS_TOKEN}", "password": "$<env:P>"})");
  EXPECT_EQ(mask(R"({"token": "x${env:NATS_TOKEN}"})"), R"({"token": "***"})");
  EXPECT_EQ(mask(R"({"headers": {"X-Api-Key": "k", "X-Other": "${env:TIDE_KEY}"}})"),
            R"({"headers": {"X-Other": "${env:TIDE_KEY}", "X-Api-Key": "***"}})");
}

// A person's mistake in writing the configuration must not show the secret either.
TEST_F(Schema, SecretsInUnusualPlacesAreMasked) {
  for (const char* config : {
           R"({"url": "nats://ann:hunt/er@a:4222"})",
           R"({"url": "nats://ann:hunt@er@a:4222"})",
           R"({"url": "ann:hunter@a:4222"})",
           R"({"url": "nats://a:4222, ann:hunter@b:4222"})",
           R"({"password": {"value": "hunter"}})",
           R"({"credentials": {"seed": "hunter", "jwt": "hunter"}})",
       }) {
    const auto shown = get(std::string("SELECT tide.mask('") + config + "')");
    EXPECT_FALSE(std::regex_search(shown, std::regex("hunt|er@"))) << shown;
  }
}

// ---- outboxes

TEST_F(Schema, AttachedTablePublishesItsChanges) {
  owner_->query("CREATE TABLE orders (id integer PRIMARY KEY, note text); SELECT tide.outbox_attach('orders', 'box')");
  expect_refused(*owner_, "SELECT tide.outbox_attach('orders', 'box')", "42710",
                 "orders is attached already.*outbox_detach");
  expect_refused(*owner_, "SELECT tide.outbox_attach('box_none', 'box')", "42P01", "box_none");
  owner_->query("CREATE TABLE other (id integer)");
  expect_refused(*owner_, "SELECT tide.outbox_attach('other', 'none')", "42704", "outbox \"none\" does not exist");

  // Whoever may change the table needs no right in tide.
  owner_->query("GRANT ALL ON orders TO nobody_special");
  const auto nobody = as("nobody_special");
  expect_allowed(*nobody, "INSERT INTO orders VALUES (1, 'a'), (2, 'b')");
  expect_allowed(*nobody, "UPDATE orders SET note = 'c' WHERE id = 1");
  expect_allowed(*nobody, "DELETE FROM orders WHERE id = 2");
  EXPECT_EQ(get("SELECT string_agg(concat_ws(' ', op, stream_table, payload), '; ' ORDER BY id) FROM tide.outbox_1"),
            "insert orders {\"id\": 1, \"note\": \"a\"}; insert orders {\"id\": 2, \"note\": \"b\"}; "
            "update orders {\"id\": 1, \"note\": \"c\"}; delete orders {\"id\": 2, \"note\": \"b\"}");
  owner_->query("SELECT tide.outbox_detach('orders'); INSERT INTO orders VALUES (3, 'd')");
  EXPECT_EQ(get("SELECT count(*) FROM tide.outbox_1"), "4");
}

TEST_F(Schema, AttachedPartitionedTableHasOneName) {
  owner_->query(
      "CREATE TABLE orders (id integer) PARTITION BY LIST (id); CREATE TABLE orders_1 PARTITION OF orders DEFAULT;"
      "SELECT tide.outbox_attach('orders', 'box'); INSERT INTO orders VALUES (1)");
  EXPECT_EQ(get("SELECT stream_table FROM tide.outbox_1"), "orders");
}

TEST_F(Schema, SweepRemovesOnlyWhatIsDeliveredAndOld) {
  owner_->query("SELECT tide.outbox_set_retention('box', 0); SELECT tide.relay_set_outbox('p', 'box', 'g', " + kConfig +
                ");"
                "SELECT tide.relay_enable('p')");
  owner_->query("SELECT tide.outbox_publish('box', '{}') FROM generate_series(1, 5)");
  EXPECT_EQ(get("SELECT tide.outbox_sweep('box')"), "0") << "nothing is delivered";

  const auto slow = as("publisher");
  const auto late_id = value(*slow, "BEGIN; SELECT tide.outbox_publish('box', '{}')");
  owner_->query("SELECT tide.outbox_publish('box', '{}')");
  deliver_all("p");
  slow->query("COMMIT");
  owner_->query("SELECT tide.outbox_publish('box', '{}')");
  EXPECT_EQ(get("SELECT tide.outbox_sweep()"), "6");
  EXPECT_EQ(get("SELECT string_agg(id::text, ' ' ORDER BY id) FROM tide.outbox_1"), late_id + " 8");
  deliver_all("p");

  owner_->query("SELECT tide.outbox_set_retention('box', 1)");
  EXPECT_EQ(get("SELECT tide.outbox_sweep('box')"), "0") << "nothing is old";
  owner_->query("UPDATE tide.outbox_1 SET created_at = now() - interval '61 minutes' WHERE id = 8");
  EXPECT_EQ(get("SELECT tide.outbox_sweep('box')"), "1");
  owner_->query("SELECT tide.outbox_set_retention('box', 0)");
  EXPECT_EQ(get("SELECT tide.outbox_sweep('box')"), "1");
}

TEST_F(Schema, EachPipelineHoldsItsEvents) {
  owner_->query("SELECT tide.outbox_set_retention('box', 0); SELECT tide.relay_set_outbox('on', 'box', 'g', " +
                kConfig +
                ");"
                "SELECT tide.relay_set_outbox('off', 'box', 'h', " +
                kConfig + "); SELECT tide.relay_enable('on')");
  owner_->query("SELECT tide.outbox_publish('box', '{}') FROM generate_series(1, 3)");
  deliver_all("on");
  EXPECT_EQ(get("SELECT tide.outbox_sweep()"), "0") << "the disabled pipeline has delivered nothing";
  owner_->query("SELECT tide.relay_delete('off')");
  EXPECT_EQ(get("SELECT tide.outbox_sweep()"), "3");
}

TEST_F(Schema, SweepGoesInSmallBatchesOldestFirst) {
  owner_->query("SELECT tide.outbox_set_retention('box', 0)");
  owner_->query("SELECT tide.outbox_publish('box', '{}') FROM generate_series(1, 25)");
  EXPECT_EQ(get("SELECT tide.outbox_sweep('box', 10)"), "10");
  EXPECT_EQ(get("SELECT min(id) FROM tide.outbox_1"), "11");
  EXPECT_EQ(get("SELECT tide.outbox_sweep(max_rows => 100)"), "15");
}

// What is kept must not be looked through at every sweep.
TEST_F(Schema, SweepReadsNoMoreThanABatch) {
  owner_->query("INSERT INTO tide.outbox_messages (outbox, payload) SELECT 'box', '{}' FROM generate_series(1, 30000)");
  owner_->query("VACUUM ANALYZE tide.outbox_1");
  const std::string read =
      "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relid = 'tide.outbox_1'::regclass";
  owner_->query("BEGIN");
  EXPECT_EQ(get("SELECT tide.outbox_sweep('box', 100)"), "0");
  EXPECT_LT(std::stol(get(read)), 1000);
  owner_->query("COMMIT");
}

TEST_F(Schema, LagCountsLateEventsAndThoseBeingDelivered) {
  owner_->query("SELECT tide.relay_set_outbox('p', 'box', 'g', " + kConfig + ")");
  const auto lag = [&] { return get("SELECT lag FROM tide.consumer_lag WHERE pipeline = 'p'"); };
  EXPECT_EQ(lag(), "0");
  const auto slow = as("publisher");
  slow->query("BEGIN; SELECT tide.outbox_publish('box', '{}') FROM generate_series(1, 4)");
  owner_->query("SELECT tide.outbox_publish('box', '{}')");
  EXPECT_EQ(lag(), "1");
  deliver_all("p");
  EXPECT_EQ(lag(), "0");
  slow->query("COMMIT");
  EXPECT_EQ(lag(), "4");
  owner_->query(
      "UPDATE tide.consumer_offsets SET late_snapshot = pg_current_snapshot(), late_next_xid = next_xid, late_id = 3");
  EXPECT_EQ(lag(), "1");
  owner_->query("SELECT tide.outbox_publish('box', '{}')");
  EXPECT_EQ(lag(), "2");
  EXPECT_EQ(
      get("SELECT concat_ws(' ', outbox, messages, pipeline, consumer_group, lag) FROM tide.outbox_status('box')"),
      "box 6 p g 2");
  deliver_all("p");
  owner_->query("UPDATE tide.consumer_offsets SET late_snapshot = NULL, late_next_xid = NULL, late_id = NULL");
  EXPECT_EQ(lag(), "0");
}

TEST_F(Schema, StatusOfAnOutboxThatNobodyReads) {
  owner_->query("SELECT tide.outbox_publish('box', '{}')");
  EXPECT_EQ(
      get("SELECT concat_ws(' ', outbox, retention_hours, messages, pipeline IS NULL, lag IS NULL, size_bytes > 0)"
          " FROM tide.outbox_status('box')"),
      "box 24 1 t t t");
}

TEST_F(Schema, DropRefusesWhileTheOutboxIsRead) {
  owner_->query("SELECT tide.relay_set_outbox('p', 'box', 'g', " + kConfig + ")");
  expect_refused(*owner_, "SELECT tide.outbox_drop('box')", "2BP01", "still read by pipeline 'p'.*relay_delete");
  owner_->query("SELECT tide.relay_delete('p'); SELECT tide.outbox_drop('box')");
  EXPECT_EQ(get("SELECT count(*) FROM pg_class WHERE relname LIKE 'outbox\\_1%'"), "0");
  expect_refused(*owner_, "SELECT tide.outbox_publish('box', '{}')", "42704", "does not exist");
  owner_->query("SELECT tide.outbox_create('box'); SELECT tide.outbox_publish('box', '{}')");
  EXPECT_EQ(get("SELECT count(*) FROM tide.outbox_2"), "1");
}

TEST_F(Schema, CreateWaitsForNoPublisher) {
  const auto publisher = as("publisher");
  publisher->query(
      "BEGIN; SELECT tide.outbox_publish('box', '{}');"
      "INSERT INTO tide.outbox_messages (outbox, payload) VALUES ('box', '{}')");
  const auto admin = as("admin");
  admin->query("SET statement_timeout = '5s'");
  expect_allowed(*admin, "SELECT tide.outbox_create('other')");
  expect_allowed(*publisher, "COMMIT; SELECT tide.outbox_publish('other', '{}')");

  // Nor do publishers wait for an outbox that is being made.
  admin->query("BEGIN; SELECT tide.outbox_create('third')");
  publisher->query("SET statement_timeout = '5s'");
  expect_allowed(*publisher, "SELECT tide.outbox_publish('box', '{}'); SELECT tide.outbox_publish('other', '{}')");
  admin->query("COMMIT");
}

// ---- the specification

TEST_F(Schema, CompleteExample) {
  owner_->query("SELECT tide.outbox_create('notifications', retention_hours => 24);");
  owner_->query(R"(SELECT tide.relay_set_outbox(
'notify-pipeline',
'notifications',
'nats-group',
'{
"sink_type": "nats",
"url": "nats://localhost:4222",
"subject": "notifications.{op}",
"stream": "NOTIFICATIONS"
}'::jsonb
);)");
  EXPECT_EQ(get("SELECT enabled FROM tide.relay_pipelines WHERE pipeline = 'notify-pipeline'"), "f");
  owner_->query("SELECT tide.relay_enable('notify-pipeline');");
  EXPECT_EQ(get("SELECT enabled FROM tide.relay_pipelines WHERE pipeline = 'notify-pipeline'"), "t");
  owner_->query(R"(SELECT tide.outbox_publish(
'notifications',
'{"type": "order.shipped", "order_id": "ord-555", "customer": "alice@example.com"}'::jsonb,
'ord-555-shipped'
);)");
  EXPECT_EQ(get("SELECT concat_ws(' ', outbox, op, dedup_key, payload ->> 'order_id') FROM tide.outbox_messages"),
            "notifications insert ord-555-shipped ord-555");
  EXPECT_EQ(get("SELECT lag FROM tide.consumer_lag WHERE pipeline = 'notify-pipeline'"), "1");
}

}  // namespace
}  // namespace tide::test
