// The extension and `tide-relay init` make one schema, and a database that was restored is noticed by the relay.
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "support/server_tree.hpp"

namespace tide::test {
namespace {

namespace fs = std::filesystem;

// A server that offers the extension `tide`; others that are started offer it, too.
class Offer : public testing::Environment {
 public:
  void SetUp() override {
    tree_ = std::make_unique<TempDir>("tide-test-pg-tree");
    fs::permissions(tree_->path(), fs::perms::others_exec | fs::perms::others_read, fs::perm_options::add);
    ::setenv("TIDE_TEST_PG_BIN", server_tree(tree_->path(), variable("TIDE_EXTENSION")).c_str(), 1);
    first_ = std::make_unique<PostgresServer>();
    std::ofstream(*tree_ / "relay.toml") << "[catalog]\ndata_dir = \"" << fs::temp_directory_path().string() << "\"\n";
  }
  void TearDown() override {
    first_.reset();
    tree_.reset();
  }

  inline static std::unique_ptr<TempDir> tree_;
  inline static std::unique_ptr<PostgresServer> first_;
};
const auto* const offer = testing::AddGlobalTestEnvironment(new Offer);

class WithExtension : public testing::Test {
 protected:
  static const TempDir& tree() { return *Offer::tree_; }

  static std::string config_file() { return (tree() / "relay.toml").string(); }

  static RunResult relay(const std::string& command, const std::string& url, std::vector<std::string> more = {}) {
    std::vector<std::string> words{variable("TIDE_RELAY"), command, "--config", config_file(), "--postgres-url", url};
    words.insert(words.end(), more.begin(), more.end());
    return run(words);
  }
  static std::string first(const std::string& url, const std::string& sql) { return Offer::first_->psql(url, sql); }

  // pg_dump of the server's own version.
  static RunResult dump(const std::string& url, const std::vector<std::string>& options = {}) {
    std::vector<std::string> words{(fs::path(variable("TIDE_TEST_PG_BIN")) / "pg_dump").string(), url};
    words.insert(words.end(), options.begin(), options.end());
    return run(words);
  }
  static bool dumps() {
    return ::access((fs::path(variable("TIDE_TEST_PG_BIN")) / "pg_dump").c_str(), X_OK) == 0 &&
           dump(Offer::first_->url()).exit_code == 0;
  }

  // Every object of the schema, with rights and definitions.
  static std::string schema_of(const std::string& url) {
    return first(url, R"(
      SELECT 'function', p.oid::regprocedure::text, pg_get_functiondef(p.oid), p.proacl::text FROM pg_proc p
        WHERE pronamespace = 'tide'::regnamespace
      UNION ALL SELECT 'relation', c.oid::regclass::text, concat_ws(' ', c.relkind, c.relpersistence, c.reloptions, pg_get_viewdef(c.oid)), c.relacl::text
        FROM pg_class c WHERE relnamespace = 'tide'::regnamespace
      UNION ALL SELECT 'column', attrelid::regclass || '.' || attname, concat_ws(' ', attnum, format_type(atttypid, atttypmod), attnotnull,
          attidentity, pg_get_expr(adbin, adrelid)), attacl::text
        FROM pg_attribute JOIN pg_class c ON c.oid = attrelid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE relnamespace = 'tide'::regnamespace AND attnum > 0 AND NOT attisdropped
      UNION ALL SELECT 'constraint', conrelid::regclass || '.' || conname, pg_get_constraintdef(oid), ''
        FROM pg_constraint WHERE connamespace = 'tide'::regnamespace
      UNION ALL SELECT 'trigger', tgrelid::regclass || '.' || tgname, pg_get_triggerdef(t.oid), '' FROM pg_trigger t
        JOIN pg_class c ON c.oid = tgrelid WHERE relnamespace = 'tide'::regnamespace AND NOT tgisinternal
      UNION ALL SELECT 'schema', 'tide', '', nspacl::text FROM pg_namespace WHERE nspname = 'tide'
      ORDER BY 1, 2)");
  }
  static std::string members(const std::string& url) {
    return first(url, R"(SELECT pg_describe_object(classid, objid, objsubid) FROM pg_depend
      WHERE deptype = 'e' AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'tide') ORDER BY 1)");
  }
};

class Extension : public WithExtension {};

TEST_F(Extension, AndInitMakeTheSameSchemaAndTakeEachOtherOver) {
  const auto by_init = Offer::first_->create_database();
  const auto by_extension = Offer::first_->create_database();
  ASSERT_EQ(relay("init", by_init).exit_code, 0);
  first(by_extension, "CREATE EXTENSION tide");
  const auto schema = schema_of(by_init);
  EXPECT_GT(schema.size(), 20'000U);
  EXPECT_EQ(schema_of(by_extension), schema);

  const auto said = relay("init", by_extension);
  EXPECT_EQ(said.exit_code, 0) << said.err;
  EXPECT_NE(said.out.find("belongs to the extension tide"), std::string::npos) << said.out;

  // What outboxes are made of is the database's, whoever made the schema.
  for (const auto& url : {by_init, by_extension}) first(url, "SELECT tide.outbox_create('orders')");
  const auto owned = members(by_extension);
  EXPECT_EQ(owned.find("outbox_1"), std::string::npos) << owned;
  first(by_init, "CREATE EXTENSION tide");
  EXPECT_EQ(members(by_init), owned);
  EXPECT_EQ(schema_of(by_init), schema_of(by_extension));

  EXPECT_EQ(relay("init", by_extension, {"--take-over"}).exit_code, 0);
  EXPECT_EQ(first(by_extension, "SELECT count(*) FROM pg_extension WHERE extname = 'tide'"), "0");
  EXPECT_EQ(schema_of(by_extension), schema_of(by_init));
  first(by_extension, "SELECT tide.outbox_publish('orders', '{}')");
  EXPECT_EQ(first(by_extension, "SELECT tide.was_restored()"), "f");
}

TEST_F(Extension, NeedsNoSuperuserAndTakesNobodyElsesSchema) {
  const auto url = Offer::first_->create_database();
  const auto database = url.substr(url.rfind('/') + 1);
  first(url, "CREATE ROLE owner_of_shop LOGIN; CREATE ROLE intruder LOGIN; GRANT CREATE ON DATABASE " + database +
                 " TO owner_of_shop, intruder");
  const auto as_owner = Offer::first_->url(database, "owner_of_shop");
  first(as_owner, "CREATE EXTENSION tide; SELECT tide.outbox_create('orders'); DROP EXTENSION tide CASCADE");
  first(Offer::first_->url(database, "intruder"), "CREATE SCHEMA tide");
  for (const auto& somebody : {url, as_owner}) {
    EXPECT_THROW(first(somebody, "CREATE EXTENSION tide"), std::exception);
  }
  first(url, "DROP SCHEMA tide; CREATE SCHEMA tide; CREATE TABLE tide.installation (x int)");
  EXPECT_THROW(first(url, "CREATE EXTENSION tide"), std::exception) << "it is not this program's";
}

TEST_F(Extension, IsUpdatedFromAnEarlierVersion) {
  // An earlier release had the first step only.
  const auto sql = fs::path(variable("TIDE_SOURCE_ROOT")) / "core/sql";
  const auto to = run({"bash", "-c", R"sh(
    set -e
    cd "$(find "$1" -type d -path '*share*/extension')"
    version=$(sed -n "s/^default_version = '\(.*\)'/\1/p" tide.control)
    { cat "$2/001-tables.sql"; echo "INSERT INTO tide.installation (schema_version) VALUES (1);"; } > tide--0.0.1.sql
    cp "tide--$version.sql" "tide--0.0.1--$version.sql"
    chmod a+r tide--*
    printf %s "$version")sh",
                       "bash", tree().path().string(), sql.string()});
  ASSERT_EQ(to.exit_code, 0) << to.err;
  const auto fresh = Offer::first_->create_database();
  first(fresh, "CREATE EXTENSION tide");
  for (const bool by_init : {false, true}) {
    const auto url = Offer::first_->create_database();
    first(url, "CREATE EXTENSION tide VERSION '0.0.1'");
    if (by_init) {
      const auto done = relay("init", url);
      EXPECT_NE(done.out.find("updated extension tide from version 0.0.1"), std::string::npos) << done.out << done.err;
    } else {
      first(url, "ALTER EXTENSION tide UPDATE");
    }
    EXPECT_EQ(first(url, "SELECT extversion FROM pg_extension WHERE extname = 'tide'"), to.out);
    EXPECT_EQ(schema_of(url), schema_of(fresh));
    EXPECT_EQ(members(url), members(fresh));
    EXPECT_EQ(first(url, "SELECT schema_version FROM tide.installation"),
              first(fresh, "SELECT schema_version FROM tide.installation"));
  }
  // One that `init` made long ago is brought up to date as it is taken over.
  const auto old = Offer::first_->create_database();
  first(old, "BEGIN; \\i " + (sql / "001-tables.sql").string() +
                 "\nINSERT INTO tide.installation (schema_version) VALUES (1); COMMIT");
  first(old, "CREATE EXTENSION tide");
  EXPECT_EQ(schema_of(old), schema_of(fresh));
  EXPECT_EQ(members(old), members(fresh));
}

// ---- restoring

class Restore : public WithExtension, public testing::WithParamInterface<bool> {
 protected:
  // The events in a sink's file, by what they were published with.
  static std::multiset<std::string> in(const fs::path& file) {
    std::multiset<std::string> lines;
    std::ifstream text(file);
    for (std::string line; std::getline(text, line);) lines.insert(line);
    return lines;
  }
  static std::string config(const fs::path& file) {
    return R"('{"sink_type": "jsonl", "path": ")" + file.string() + R"(", "line": "payload"}')";
  }
  static std::string publish(const std::string& name) {
    return "SELECT tide.outbox_publish('orders', '\"" + name + "\"');";
  }
};

TEST_P(Restore, OfADumpStandsStillUntilItIsAcceptedThenLosesAndRepeatsNothing) {
  if (!dumps()) GTEST_SKIP() << "there is no pg_dump of this server's version";
  const TempDir files;
  const auto url = Offer::first_->create_database();
  if (GetParam()) {
    first(url, "CREATE EXTENSION tide");
  } else {
    ASSERT_EQ(relay("init", url).exit_code, 0);
  }
  // The backup's transaction ids are beyond those of the server that it goes to.
  first(url, "DO $$ BEGIN FOR i IN 1..5000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$");
  first(url, "SELECT tide.outbox_create('orders')");
  for (const std::string name : {"p", "q"}) {
    first(url, "SELECT tide.relay_set_outbox('" + name + "', 'orders', '" + name + "', " +
                   config(files / (name + "-before")) + "); SELECT tide.relay_enable('" + name + "')");
  }
  // Two events that are published first become visible last.
  const auto psql = (fs::path(variable("TIDE_TEST_PG_BIN")) / "psql").string();
  const auto locks = [&](const std::string& granted) {
    return first(url, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 1 AND granted = " +
                          granted) == "1";
  };
  Process lock({psql, "-X", "-q", "-d", url, "-c", "SELECT pg_advisory_lock(1)", "-c", "SELECT pg_sleep(600)"});
  ASSERT_TRUE(eventually(std::chrono::seconds(30), [&] { return locks("true"); }));
  Process late({psql, "-X", "-q", "-d", url, "-c", "BEGIN", "-c", publish("late 1"), "-c", publish("late 2"), "-c",
                "SELECT pg_advisory_lock(1)", "-c", "COMMIT"});
  ASSERT_TRUE(eventually(std::chrono::seconds(30), [&] { return locks("false"); }));
  for (const auto* name : {"early 1", "early 2", "early 3"}) first(url, publish(name));
  ASSERT_EQ(relay("run", url, {"--once"}).exit_code, 0);
  EXPECT_EQ(in(files / "p-before").size(), 3U);
  lock.terminate();
  first(url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(600)%'");
  ASSERT_EQ(late.wait(std::chrono::seconds(30)), 0) << late.err();
  for (const auto* name : {"new 1", "new 2"}) first(url, publish(name));
  // The second pipeline was in the midst of the late ones.
  first(
      url,
      "UPDATE tide.consumer_offsets SET late_snapshot = pg_current_snapshot(), late_next_xid ="
      " pg_snapshot_xmax(pg_current_snapshot()), late_id = (SELECT id FROM tide.outbox_1 WHERE payload = '\"late 1\"')"
      " WHERE pipeline = 'q'");

  PostgresServer second;
  const auto restored = second.create_database();
  if (GetParam()) {
    const auto file = (files / "backup").string();
    const auto backup = dump(url, {"--format=custom", "--file", file});
    ASSERT_EQ(backup.exit_code, 0) << backup.err;
    const auto pg_restore = (fs::path(variable("TIDE_TEST_PG_BIN")) / "pg_restore").string();
    const auto restore = run({pg_restore, "--exit-on-error", "--dbname", restored, file});
    ASSERT_EQ(restore.exit_code, 0) << restore.err;
  } else {
    const auto backup = dump(url);
    ASSERT_EQ(backup.exit_code, 0) << backup.err;
    second.psql(restored, "CREATE ROLE tide_publisher; CREATE ROLE tide_relay; CREATE ROLE tide_admin");
    second.psql(restored, backup.out);
  }
  EXPECT_EQ(second.psql(restored, "SELECT id FROM tide.installation"), first(url, "SELECT id FROM tide.installation"));
  for (const std::string name : {"p", "q"}) {
    second.psql(restored, "SELECT tide.relay_set_outbox('" + name + "', 'orders', '" + name + "', " +
                              config(files / (name + "-after")) + ")");
  }
  second.psql(restored, publish("after 1"));

  const auto refused = relay("run", restored, {"--once"});
  EXPECT_EQ(refused.exit_code, 2) << refused.err;
  EXPECT_NE(refused.err.find("tide-relay accept-restore"), std::string::npos) << refused.err;
  EXPECT_FALSE(fs::exists(files / "p-after"));
  EXPECT_NE(relay("status", restored).out.find("was restored from a dump"), std::string::npos);
  EXPECT_THROW(second.psql(restored, "SELECT tide.relay_set_outbox('r', 'orders', 'r', " + config(files / "r") + ")"),
               std::exception);

  const auto accepted = relay("accept-restore", restored);
  ASSERT_EQ(accepted.exit_code, 0) << accepted.err;
  EXPECT_NE(accepted.out.find("2 pipelines go on"), std::string::npos) << accepted.out;
  second.psql(restored, publish("after 2"));
  const auto delivered = relay("run", restored, {"--once"});
  ASSERT_EQ(delivered.exit_code, 0) << delivered.err;
  const std::multiset<std::string> of_q{"\"late 2\"", "\"new 1\"", "\"new 2\"", "\"after 1\"", "\"after 2\""};
  auto of_p = of_q;
  of_p.insert("\"late 1\"");
  EXPECT_EQ(in(files / "p-after"), of_p);
  EXPECT_EQ(in(files / "q-after"), of_q);

  // The new server's transaction ids pass those of the old one, and nothing comes twice.
  for (int i = 1; i <= 6; ++i) {
    second.psql(restored, "DO $$ BEGIN FOR i IN 1..1000 LOOP PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$");
    second.psql(restored, publish("more " + std::to_string(i)));
    of_p.insert("\"more " + std::to_string(i) + '"');
    ASSERT_EQ(relay("run", restored, {"--once"}).exit_code, 0);
  }
  EXPECT_EQ(in(files / "p-after"), of_p);
  EXPECT_EQ(second.psql(restored,
                        "SELECT tide.outbox_set_retention('orders', 0); SELECT tide.outbox_sweep(); SELECT count(*)"
                        " FROM tide.outbox_messages"),
            "\n15\n0");
}

INSTANTIATE_TEST_SUITE_P(Of, Restore, testing::Values(false, true),
                         [](const auto& made) { return made.param ? "TheExtension" : "TheInstaller"; });

// As data alone does it, into a schema that stands already.
TEST_F(Extension, AMarkThatCameWithDataIsARestore) {
  PostgresServer server;
  const auto url = server.create_database();
  server.psql(url, "CREATE EXTENSION tide; INSERT INTO tide.mark DEFAULT VALUES");
  EXPECT_EQ(server.psql(url, "SELECT tide.was_restored()"), "t");
  server.psql(url, "SELECT tide.accept_restore()");
  EXPECT_EQ(server.psql(url, "SELECT tide.was_restored()"), "f");
}

TEST_F(Extension, AndInstallerStandAPublicationOfAllTables) {
  PostgresServer server;
  for (const auto* make : {"CREATE EXTENSION tide", ""}) {
    const auto url = server.create_database();
    server.psql(url, "CREATE PUBLICATION everything FOR ALL TABLES");
    server.psql(url, make);
    const auto init = relay("init", url);
    EXPECT_EQ(init.exit_code, 0) << init.err;
    EXPECT_NO_THROW(server.psql(url, "SELECT tide.accept_restore()"));
  }
}

TEST_F(Extension, DoesNotTakeOverANewerSchema) {
  PostgresServer server;
  const auto url = server.create_database();
  ASSERT_EQ(relay("init", url).exit_code, 0);
  server.psql(url, "UPDATE tide.installation SET schema_version = 99");
  try {
    server.psql(url, "CREATE EXTENSION tide");
    ADD_FAILURE() << "it did";
  } catch (const std::exception& error) {
    EXPECT_NE(std::string(error.what()).find("is at version 99, newer than"), std::string::npos) << error.what();
  }
}

TEST_F(Extension, AndACopyOfFilesIsNoRestore) {
  if (!dumps()) GTEST_SKIP() << "there is no pg_basebackup of this server's version";
  if (std::stoi(first(Offer::first_->url(), "SHOW server_version_num")) < 140000)
    GTEST_SKIP() << "what a newer pg_basebackup writes, this server can't read";
  PostgresServer primary({.settings = {"wal_level = replica"}});
  const auto url = primary.create_database();
  primary.psql(url, "CREATE EXTENSION tide");
  primary.psql(url, "VACUUM FULL FREEZE tide.mark");
  EXPECT_EQ(primary.psql(url, "SELECT tide.was_restored()"), "f");
  PostgresServer standby{StandbyOf{primary}};
  EXPECT_EQ(standby.psql(standby.url(url.substr(url.rfind('/') + 1)), "SELECT tide.was_restored()"), "f");
}

// A backup of the server's files is the same server, earlier: only what the relay remembers tells.
TEST_F(Extension, AServerThatWentBackStandsStillUntilItIsAccepted) {
  PostgresServer server;
  const TempDir files;
  const auto url = server.create_database();
  server.psql(url, "CREATE EXTENSION tide; SELECT tide.outbox_create('orders')");
  server.psql(url, "SELECT tide.relay_set_outbox('p', 'orders', 'g', '{\"sink_type\": \"jsonl\", \"path\": \"" +
                       (files / "out").string() + "\"}'); SELECT tide.relay_enable('p')");
  const auto lag = [&] { return server.psql(url, "SELECT lag FROM tide.consumer_lag"); };
  const auto start = [&] {
    return std::make_unique<Process>(
        std::vector<std::string>{variable("TIDE_RELAY"), "run", "--config", config_file(), "--postgres-url", url},
        ProcessOptions{{{"STATE_DIRECTORY", files.path().string()}}, {}, {}, {}, {}});
  };
  const auto publish = [&] { server.psql(url, "SELECT tide.outbox_publish('orders', '{}')"); };
  publish();
  auto relay_process = start();
  ASSERT_TRUE(eventually(std::chrono::seconds(30), [&] { return lag() == "0"; })) << relay_process->err();
  EXPECT_EQ(relay_process->terminate(), 0);
  server.stop();
  const auto copy = files / "copy";
  fs::copy(server.data(), copy, fs::copy_options::recursive);
  server.start();

  server.psql(url, "SELECT setval('tide.outbox_message_id', 200000)");
  publish();
  relay_process = start();
  ASSERT_TRUE(eventually(std::chrono::seconds(30), [&] { return lag() == "0"; })) << relay_process->err();
  EXPECT_EQ(relay_process->terminate(), 0);

  server.stop();
  fs::remove_all(server.data());
  ASSERT_EQ(run({"cp", "-a", copy.string(), server.data().string()}).exit_code, 0);
  if (::geteuid() == 0) {
    ASSERT_EQ(
        run({"chown", "-R", "--reference", server.data().parent_path().string(), server.data().string()}).exit_code, 0);
  }
  server.start();
  publish();
  relay_process = start();
  ASSERT_TRUE(relay_process->wait_for_output("went back to an earlier state", std::chrono::seconds(30)))
      << relay_process->err();
  EXPECT_EQ(lag(), "1");
  ASSERT_EQ(relay("accept-restore", url).exit_code, 0);
  EXPECT_TRUE(eventually(std::chrono::seconds(30), [&] { return lag() == "0"; })) << relay_process->err();
  EXPECT_EQ(relay_process->terminate(), 0);
}

}  // namespace
}  // namespace tide::test
