// The specification of the NATS sink, as its users read it: each example that no other test runs, as it is written, and
// options and variables that only a running relay shows the effect of.
#include <filesystem>
#include <map>
#include <regex>
#include <sstream>

#include "e2e/relay_program.hpp"
#include "plugins/nats_jetstream/jwt_operator.hpp"
#include "plugins/nats_jetstream/known_nkey.hpp"
#include "support/certificates.hpp"

namespace tide::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Strings = std::vector<std::string>;

const std::string minimal_configuration = R"(SELECT tide.relay_set_outbox(
'orders-to-nats',
'orders',
'nats-relay',
'{
"sink_type": "nats",
"url": "nats://localhost:4222",
"subject": "orders.events"
}'::jsonb
);)";

const std::string production_configuration = R"(SELECT tide.relay_set_outbox(
'orders-to-nats',
'orders',
'nats-relay',
'{
"sink_type": "nats",
"url": "${env:NATS_URL}",
"subject": "events.{stream_table}.{op}",
"credentials_file": "${env:NATS_CREDS_FILE}",
"tls_enabled": true,
"tls_ca_cert": "/etc/certs/nats-ca.pem",
"stream": "EVENTS",
"batch_size": 200
}'::jsonb
);)";

const std::string development_configuration = R"({
"sink_type": "nats",
"url": "nats://localhost:4222",
"subject": "dev.events"
})";

const std::string credentials_configuration = R"({
"sink_type": "nats",
"url": "tls://connect.ngs.global",
"subject": "myapp.events",
"credentials_file": "/etc/nats/user.creds"
})";

const std::string nkey_configuration = R"({
"sink_type": "nats",
"url": "nats://nats-server:4222",
"subject": "events",
"nkey_seed": "${env:NATS_NKEY_SEED}",
"tls_enabled": true
})";

const std::string token_configuration = R"({
"sink_type": "nats",
"url": "nats://nats-server:4222",
"subject": "events",
"token": "${env:NATS_TOKEN}"
})";

// An example with what this machine has in place of a port, host or file that it names.
std::string with(std::string example, const std::string& named, const std::string& here) {
  const auto at = example.find(named);
  if (at == std::string::npos) throw std::logic_error("no " + named + " in " + example);
  return example.replace(at, named.size(), here);
}

std::string local(const NatsServer& server) {
  return "localhost:" + std::to_string(server.port());
}

std::string tls(const Certificates& certificates) {
  return "tls { cert_file: '" + certificates.certificate("server") + "', key_file: '" + certificates.key("server") +
         "', timeout: 30 }\n";
}

Strings lines(const std::string& text) {
  Strings found;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) found.push_back(line);
  return found;
}

// The first group of each match.
std::vector<int> numbers(const std::string& text, const std::string& pattern) {
  std::vector<int> found;
  const std::regex number(pattern);
  for (std::sregex_iterator match(text.begin(), text.end(), number), none; match != none; ++match)
    found.push_back(std::stoi((*match)[1]));
  return found;
}

class Specification : public Servers {
 protected:
  void SetUp() override {
    Servers::SetUp();
    ASSERT_EQ(relay("init").exit_code, 0);
    sql("SELECT tide.outbox_create('orders')");
  }
  void TearDown() override {
    for (const auto& stream : streams_) js().delete_stream(stream);
  }

  // On the server that all tests share, until the test's end.
  void make_stream(const std::string& name, const std::string& subjects) {
    js().create_stream(name, {subjects});
    streams_.push_back(name);
  }

  void set_sink(const std::string& json, const std::string& pipeline = "p") const {
    sql("SELECT tide.relay_set_outbox('" + pipeline + "', 'orders', '" + pipeline + "', '" + json +
        "'::jsonb); SELECT tide.relay_enable('" + pipeline + "')");
  }

  [[nodiscard]] bool all_delivered() const {
    return eventually(seconds(60), [&] { return sql("SELECT sum(lag) FROM tide.consumer_lag") == "0"; });
  }

  // A relay runs until it has delivered what is published; returns what it logged.
  [[nodiscard]] std::string deliver() const {
    const auto program = start_relay();
    EXPECT_TRUE(all_delivered()) << program->err();
    EXPECT_EQ(program->terminate(milliseconds(20'000)), 0);
    return program->err();
  }

  // Three events of the outbox arrive, each once; the secret stands neither in the log nor in what SQL shows.
  void expect_delivered(JetStream& client, const std::string& stream, const std::string& subject,
                        const std::string& secret = "no secret here") const {
    publish(3);
    const auto log = deliver();
    Strings stored;
    for (const auto& m : client.messages(stream))
      stored.push_back(m.subject + " " + m.header("Nats-Msg-Id") + " " + m.payload);
    EXPECT_EQ(stored, (Strings{subject + R"( k1 {"n": 1})", subject + R"( k2 {"n": 2})", subject + R"( k3 {"n": 3})"}))
        << log;
    for (const auto& text : {log, sql("SELECT * FROM tide.relay_pipelines")})
      EXPECT_EQ(text.find(secret), std::string::npos) << text;
  }

  // A subject of one pipeline, which has an outbox with one event of its own.
  struct Case {
    std::string variable;  // what the subject ends with
    std::string event;     // SQL, in which OUTBOX is the outbox's name
    std::string expected;  // where it begins with SELECT, it is asked of the database
    std::string name = {};
  };
  static std::string published(const std::string& payload, const std::string& more = {}) {
    return "SELECT tide.outbox_publish('OUTBOX', '" + payload + "'" + more + ")";
  }
  // A table with a row, and what is done to it once it is attached.
  static std::string attached(const std::string& table, const std::string& change = "INSERT INTO") {
    const auto quoted = '"' + table + '"';
    return "CREATE TABLE " + quoted + " AS SELECT 1 AS id; SELECT tide.outbox_attach('" + quoted + "', 'OUTBOX'); " +
           change + " " + quoted + (change == "INSERT INTO" ? " VALUES (2)" : "");
  }
  void deliver_each(std::vector<Case>& cases) {
    make_stream("TEMPLATES", "templates.>");
    for (std::size_t i = 0; i < cases.size(); ++i) {
      auto& [variable, event, expected, name] = cases[i];
      if (name.empty()) name = "case" + std::to_string(i);
      sql("SELECT tide.outbox_create('" + name + "'); SELECT tide.relay_set_outbox('to." + name + "', '" + name +
          "', 'g', '{\"sink_type\": \"nats\", \"url\": \"" + nats_->url() + "\", \"subject\": \"templates." +
          std::to_string(i) + "." + variable + "\"}'); SELECT tide.relay_enable('to." + name + "'); " +
          with(event, "OUTBOX", name));
      if (expected.starts_with("SELECT ")) expected = sql(expected);
    }
    log_ = deliver();
    for (const auto& m : js().messages("TEMPLATES")) {
      const auto number = m.subject.find('.') + 1;
      const auto rest = m.subject.find('.', number) + 1;
      rendered_[std::stoul(m.subject.substr(number))].push_back(m.subject.substr(rest));
    }
  }

  // The first pauses of a relay that finds no server, in milliseconds.
  [[nodiscard]] std::vector<int> pauses(const std::string& retry, std::size_t tries) const {
    set_sink(R"({"sink_type": "nats", "url": "nats://127.0.0.1:)" + std::to_string(free_port()) +
             R"(", "subject": "orders", "retry": )" + retry + "}");
    const auto program = start_relay();
    std::vector<int> found;
    EXPECT_TRUE(eventually(seconds(60), [&] {
      found = numbers(program->err(), "; next try in ([0-9]+) ms");
      return found.size() >= tries;
    })) << program->err();
    found.resize(tries);
    return found;
  }

  Strings streams_;
  std::string log_;
  std::map<std::size_t, Strings> rendered_;  // what became of the variable, by the case's number
};

// ------------------------------------------------------------------------------------------------ configurations

TEST_F(Specification, ItsMinimalConfigurationRunsAsWritten) {
  make_stream("ORDERS", "orders.>");
  sql(with(minimal_configuration, "localhost:4222", local(*nats_)) + " SELECT tide.relay_enable('orders-to-nats')");
  expect_delivered(js(), "ORDERS", "orders.events");
}

TEST_F(Specification, ItsProductionConfigurationRunsAsWritten) {
  const Certificates certificates;
  const JwtOperator keys;
  const NatsServer server(keys.server_config() + tls(certificates));
  env_["NATS_URL"] = "nats://" + local(server);
  env_["NATS_CREDS_FILE"] = keys.file("relay.creds");
  const auto client = keys.make_stream("nats://" + local(server), {"events.>"}, certificates.ca());

  sql(with(production_configuration, "/etc/certs/nats-ca.pem", certificates.ca()));
  sql("SELECT tide.relay_enable('orders-to-nats')");
  sql("CREATE TABLE orders (id int, state text); SELECT tide.outbox_attach('orders', 'orders');"
      "CREATE TABLE payments (id int, order_id int); SELECT tide.outbox_attach('payments', 'orders')");
  const auto program = start_relay();
  ASSERT_TRUE(program->wait_for_output("pipeline 'orders-to-nats': running", seconds(30))) << program->err();
  sql("INSERT INTO orders VALUES (1, 'new');"
      "BEGIN; UPDATE orders SET state = 'paid'; INSERT INTO payments VALUES (7, 1); COMMIT;"
      "BEGIN; INSERT INTO payments VALUES (8, 1); ROLLBACK;"
      "SELECT tide.outbox_publish('orders', '{\"id\": 2}', 'ord-2-created');"
      "SELECT tide.outbox_publish('orders', '{\"id\": 2}', 'ord-2-refunded', 'refund');"
      "DELETE FROM orders");
  EXPECT_TRUE(client->wait_for_messages("EVENTS", 6, seconds(30))) << program->err();
  EXPECT_TRUE(all_delivered()) << program->err();
  EXPECT_EQ(program->terminate(milliseconds(20'000)), 0);

  Strings stored;
  Strings ids;
  for (const auto& m : client->messages("EVENTS")) {
    stored.push_back(m.subject + " " + m.payload);
    ids.push_back(m.header("Nats-Msg-Id"));
    EXPECT_EQ(m.header("Nats-Expected-Stream"), "EVENTS");
  }
  EXPECT_EQ(stored,
            (Strings{R"(events.orders.insert {"id": 1, "state": "new"})",
                     R"(events.orders.update {"id": 1, "state": "paid"})",
                     R"(events.payments.insert {"id": 7, "order_id": 1})", R"(events.orders.insert {"id": 2})",
                     R"(events.orders.refund {"id": 2})", R"(events.orders.delete {"id": 1, "state": "paid"})"}));
  // An event without a key has one that is made of the installation, the outbox, its id and its time.
  EXPECT_EQ(ids, lines(sql("SELECT coalesce(m.dedup_key, i.id || '/orders/' || m.id || '/' ||"
                           " (extract(epoch FROM m.created_at) * 1000000)::bigint)"
                           " FROM tide.installation i, tide.outbox_messages m ORDER BY m.id")));
}

TEST_F(Specification, ItsDevelopmentConfigurationRunsAsWritten) {
  make_stream("DEV", "dev.>");
  set_sink(with(development_configuration, "localhost:4222", local(*nats_)));
  expect_delivered(js(), "DEV", "dev.events");
}

// "tls://" and no CA: the system's CAs count, which OpenSSL finds where the variable says.
TEST_F(Specification, ItsCredentialsFileConfigurationRunsAsWritten) {
  const Certificates certificates;
  const JwtOperator keys;
  const NatsServer server(keys.server_config() + tls(certificates));
  const auto client = keys.make_stream("nats://" + local(server), {"myapp.>"}, certificates.ca());
  env_["SSL_CERT_FILE"] = certificates.ca();
  set_sink(with(with(credentials_configuration, "connect.ngs.global", local(server)), "/etc/nats/user.creds",
                keys.file("relay.creds")));
  expect_delivered(*client, "EVENTS", "myapp.events");
}

TEST_F(Specification, ItsNkeyConfigurationRunsAsWritten) {
  const Certificates certificates;
  const NatsServer server("authorization { users: [ {nkey: " + nkey_public + "}, {user: admin, password: admin} ] }\n" +
                          tls(certificates));
  JetStream client("nats://admin:admin@" + local(server), {{}, certificates.ca()});
  client.create_stream("EVENTS", {"events"});
  env_["SSL_CERT_FILE"] = certificates.ca();
  env_["NATS_NKEY_SEED"] = nkey_seed;
  set_sink(with(nkey_configuration, "nats-server:4222", local(server)));
  expect_delivered(client, "EVENTS", "events", nkey_seed);
}

TEST_F(Specification, ItsTokenConfigurationRunsAsWritten) {
  const std::string token = "t0ken-of-this-test";
  const NatsServer server("authorization { token: '" + token + "' }");
  JetStream client("nats://" + token + "@" + local(server));
  client.create_stream("EVENTS", {"events"});
  env_["NATS_TOKEN"] = token;
  set_sink(with(token_configuration, "nats-server:4222", local(server)));
  expect_delivered(client, "EVENTS", "events", token);
}

// The specification has no example of these two.
TEST_F(Specification, UserAndPasswordComeFromTheEnvironmentToo) {
  const std::string password = R"(s3cr3t: "p@ss\n")";
  const NatsServer server("authorization { users: [ {user: relay, password: '" + password +
                          "'}, {user: admin, password: admin} ] }");
  JetStream client("nats://admin:admin@" + local(server));
  client.create_stream("EVENTS", {"events"});
  env_["NATS_USER"] = "relay";
  env_["NATS_PASSWORD"] = password;
  set_sink(R"({"sink_type": "nats", "url": "nats://)" + local(server) +
           R"(", "subject": "events", "username": "${env:NATS_USER}", "password": "${env:NATS_PASSWORD}"})");
  expect_delivered(client, "EVENTS", "events", password);
}

// ------------------------------------------------------------------------------------------------ subjects

TEST_F(Specification, SubscribersPickTablesAndOperationsBySubject) {
  make_stream("EVENTS", "events.>");
  set_sink(R"({"sink_type": "nats", "url": "nats://)" + local(*nats_) +
           R"(", "subject": "events.{stream_table}.{op}"})");
  sql("CREATE TABLE orders (id int); SELECT tide.outbox_attach('orders', 'orders');"
      "CREATE TABLE payments (id int); SELECT tide.outbox_attach('payments', 'orders')");
  struct Subscriber {
    std::string filter;
    std::string end;  // a subject that it sees, too
    Strings sees;
  };
  const std::vector<Subscriber> subscribers{
      {"events.orders.insert", "events.orders.insert", {"events.orders.insert"}},
      {"events.orders.update", "events.orders.update", {"events.orders.update"}},
      {"events.payments.insert", "events.payments.insert", {"events.payments.insert"}},
      {"events.*.delete", "events.x.delete", {"events.orders.delete", "events.payments.delete"}},
      {"events.payments.*", "events.payments.x", {"events.payments.insert", "events.payments.delete"}},
      {"events.>",
       "events.x",
       {"events.orders.insert", "events.orders.update", "events.payments.insert", "events.orders.delete",
        "events.payments.delete"}}};
  std::vector<Subscription> subscriptions;
  for (const auto& s : subscribers) subscriptions.push_back(js().subscribe(s.filter));

  sql("INSERT INTO orders VALUES (1); UPDATE orders SET id = 2; INSERT INTO payments VALUES (1); DELETE FROM orders;"
      "DELETE FROM payments");
  const auto log = deliver();
  for (const auto& s : subscribers) js().publish(s.end, "end of " + s.filter);
  for (std::size_t i = 0; i < subscribers.size(); ++i) {
    const auto& [filter, end, sees] = subscribers[i];
    SCOPED_TRACE(filter);
    Strings seen;
    while (true) {
      const auto message = subscriptions[i].next(seconds(20));
      ASSERT_TRUE(message) << log;
      if (message->payload == "end of " + filter) break;
      if (message->payload.starts_with('{')) seen.push_back(message->subject);
    }
    EXPECT_EQ(seen, sees) << log;
  }
}

TEST_F(Specification, EveryTemplateVariableReachesTheSubject) {
  std::vector<Case> cases{
      {"{stream_table}", published("{}"), "returns", "returns"},
      {"{stream_table}", attached("orders"), "orders"},
      {"{stream_table}", attached("shop.orders"), "shop.orders"},
      {"{stream_table}", attached("order items*"), "order_items_"},
      {"{stream_table}", attached(".a..b."), "_a._b_"},
      {"{outbox}", attached("parcels"), "eu.shop:v1", "eu.shop:v1"},
      {"{pipeline}", published("{}"), "to.nats-1", "nats-1"},
      {"{op}", published("{}"), "insert"},
      {"{op}", attached("letters", "DELETE FROM"), "delete"},
      {"{op}", published("{}", ", op => 'paid.in full>'"), "paid_in_full_"},
      {"{outbox_id}", published("{}"), "SELECT max(id) FROM tide.outbox_messages"},
      {"{dedup_key}", published("{}", ", dedup_key => 'ord-1.5 *'"), "ord-1_5__"},
      {"{dedup_key}", published("{}"),
       "SELECT i.id || '/' || m.outbox || '/' || m.id || '/' || (extract(epoch FROM m.created_at) * 1000000)::bigint"
       " FROM tide.installation i, tide.outbox_messages m ORDER BY m.id DESC LIMIT 1"},
      {"{header.tenant}", published("{}", R"(, headers => '{"tenant": "acme.eu top"}')"), "acme_eu_top"},
      {"{header.attempt}", published("{}", R"(, headers => '{"attempt": 7}')"), "7"},
      {"{header.tenant|a.b}", published("{}"), "a.b"},
      {"{payload.customer.region}", published(R"({"customer": {"region": "eu\n*west"}})"), "eu__west"},
      {"{payload.price}", published(R"({"price": 1.5})"), "1_5"},
      {"{payload.paid}", published(R"({"paid": true})"), "true"},
      {"{payload.region|none}", published(R"({"region": "eu"})"), "eu"},
      {"{payload.region|none}", published("{}"), "none"},
      {"{payload.region|none}", published(R"({"region": null})"), "none"},
      {"{payload.topic>}", published(R"({"topic": "shop.>.new"})"), "shop._.new"},
      {"{payload.topic>|other.topic}", published("{}"), "other.topic"},
      {"{{{op}}}-{outbox}", published("{}"), "{insert}-braces", "braces"},
  };
  deliver_each(cases);
  for (std::size_t i = 0; i < cases.size(); ++i)
    EXPECT_EQ(rendered_[i], Strings{cases[i].expected}) << cases[i].variable << " of " << cases[i].event << log_;
}

TEST_F(Specification, AnEventWithoutAValueForItsSubjectIsADeadLetter) {
  std::vector<Case> cases{
      {"{payload.region}", published("{}"), "the event has no value for {payload.region}"},
      {"{payload.region}", published(R"({"region": null})"), "the event has no value for {payload.region}"},
      {"{header.tenant}", published("{}"), "the event has no value for {header.tenant}"},
      {"{payload.customer}", published(R"({"customer": {"id": 1}})"), "{payload.customer} is an object or an array"},
      {"{payload.tags|none}", published(R"({"tags": ["a"]})"), "{payload.tags} is an object or an array"},
      {"{payload.region|}", published("{}"), "is not valid: it has an empty token"},
  };
  deliver_each(cases);
  EXPECT_TRUE(rendered_.empty()) << log_;
  for (const auto& c : cases) {
    const auto error = sql("SELECT error FROM tide.dead_letters WHERE outbox = '" + c.name + "'");
    EXPECT_NE(error.find(c.expected), std::string::npos) << c.variable << ": " << error << log_;
  }
}

// ------------------------------------------------------------------------------------------------ options

TEST_F(Specification, BatchSizeIsTheMostThatASinkIsGivenAtOnce) {
  const TempDir plugins;
  std::filesystem::copy_file(variable("TIDE_WRONG_PLUGINS") + "/counts_batches.so", plugins / "counts_batches.so");
  env_["TIDE_RELAY_PLUGIN_PATH"] = plugins.path().string();
  publish(2000);
  set_sink(R"({"sink_type": "counts_batches", "batch_size": 7})", "small");
  set_sink(R"({"sink_type": "counts_batches", "batch_size": 200})", "large");
  set_sink(R"({"sink_type": "counts_batches"})", "default");
  const auto log = deliver();
  for (const auto& [pipeline, size] : {std::pair("small", 7), {"large", 200}, {"default", 100}}) {
    // Each batch that is larger than all before: the last one is the largest.
    const auto sizes = numbers(log, std::string("pipeline '") + pipeline + "': a batch of ([0-9]+) messages");
    ASSERT_FALSE(sizes.empty()) << log;
    EXPECT_EQ(sizes.back(), size) << log;
  }
}

TEST_F(Specification, RetryInitialMsIsTheFirstPause) {
  for (const int initial : {8, 800}) {  // well below and above the default, 100
    const auto found = pauses("{\"initial_ms\": " + std::to_string(initial) + "}", 2);
    EXPECT_GE(found[0], initial / 2);
    EXPECT_LE(found[0], initial);
    EXPECT_GE(found[1], initial) << "it doubles";
    EXPECT_LE(found[1], 2 * initial);
  }
}

TEST_F(Specification, RetryMaxMsIsTheLongestPause) {
  const auto found = pauses(R"({"initial_ms": 4, "max_ms": 16})", 12);
  EXPECT_LE(found[0], 4);
  for (std::size_t i = 2; i < found.size(); ++i) {
    EXPECT_GE(found[i], 8);
    EXPECT_LE(found[i], 16);
  }
}

}  // namespace
}  // namespace tide::test
