// Each entry of the specification's troubleshooting section: the fault on a real server, and the help in what the
// program says. And what its users do about credentials: a seed in a variable, a file that is replaced while it runs.
#include "plugins/nats_jetstream/jwt_operator.hpp"
#include "relay_program.hpp"

namespace tide::test {
namespace {

using std::chrono::seconds;

// A pair from the NATS documentation, and another seed.
const std::string nkey_seed = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";
const std::string nkey_public = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";
const std::string other_seed = "SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y";

class Troubleshooting : public Servers {
 protected:
  void SetUp() override {
    Servers::SetUp();
    ASSERT_EQ(relay("init").exit_code, 0);
    sql("SELECT tide.outbox_create('orders')");
  }

  void set_sink(const std::string& url, const std::string& more = {}) const {
    sql("SELECT tide.relay_set_outbox('p', 'orders', 'g', '{\"sink_type\": \"nats\", \"url\": \"" + url +
        "\", \"subject\": \"events.{op}\"" + more + "}'); SELECT tide.relay_enable('p')");
  }

  // The running relay says all of it, and so does the view that shows pipelines; a secret stands in neither.
  void expect_help(const std::vector<std::string>& words, const std::string& secret = "no secret here") const {
    const auto program = start_relay();
    ASSERT_TRUE(program->wait_for_output(words.front(), seconds(10))) << program->err();
    std::string shown;
    EXPECT_TRUE(eventually(seconds(5), [&] {
      shown = sql("SELECT last_error FROM tide.relay_pipelines WHERE pipeline = 'p'");
      return shown.find(words.front()) != std::string::npos;
    })) << shown;
    program->terminate();
    for (const auto& text : {program->err(), shown}) {
      for (const auto& word : words) EXPECT_NE(text.find(word), std::string::npos) << "no '" << word << "' in " << text;
      EXPECT_EQ(text.find(secret), std::string::npos) << text;
    }
  }
};

TEST_F(Troubleshooting, ConnectionRefused) {
  set_sink("nats://127.0.0.1:" + std::to_string(free_port()));
  expect_help({"Connection refused", "URL includes the correct port (default 4222)",
               "network connectivity and firewall rules", "at least one seed server is accessible"});
}

TEST_F(Troubleshooting, AuthorizationViolation) {
  const NatsServer guarded("authorization { users: [ {nkey: " + nkey_public + "} ] }");
  set_sink(guarded.url(), ", \"nkey_seed\": \"" + other_seed + "\"");
  expect_help({"Authorization violation", "credentials file exists and is readable",
               "publish permission on the target subject", "seed matches the configured user"},
              other_seed);
}

TEST_F(Troubleshooting, StreamNotFound) {
  const NatsServer empty;
  set_sink(empty.url());
  expect_help({"Stream not found", "nats stream add EVENTS --subjects \"events.>\"",
               "set the `stream` parameter to match an existing stream", "`jetstream: enabled`"});
}

TEST_F(Troubleshooting, NoResponders) {
  const NatsServer without_jetstream({}, false);
  set_sink(without_jetstream.url());
  expect_help({"No responders", "Verify that JetStream is enabled on the NATS server (`jetstream: enabled`"});
}

TEST_F(Troubleshooting, ASeedFromTheEnvironmentAuthenticates) {
  const NatsServer guarded("authorization { users: [ {nkey: " + nkey_public + "}, {user: a, password: a} ] }");
  JetStream stream("nats://a:a@127.0.0.1:" + std::to_string(guarded.port()));
  stream.create_stream("EVENTS", {"events.>"});
  set_sink(guarded.url(), R"(, "nkey_seed": "${env:NATS_NKEY_SEED}")");
  publish(1);
  env_["NATS_NKEY_SEED"] = nkey_seed;
  const auto once = relay("run", {"--once"});
  EXPECT_EQ(once.exit_code, 0) << once.err;
  EXPECT_EQ(once.err.find(nkey_seed), std::string::npos);
  EXPECT_EQ(stream.info("EVENTS").messages, 1u);
}

TEST_F(Troubleshooting, NewCredentialsAreTakenWithoutARestart) {
  const JwtOperator keys;
  NatsServer server(keys.server_config());
  const std::string file = keys.file("current.creds");
  const auto replace_by = [&](const std::string& name) {
    std::filesystem::copy_file(keys.file(name), file, std::filesystem::copy_options::overwrite_existing);
  };
  const auto all_delivered = [&] {
    return eventually(seconds(20),
                      [&] { return sql("SELECT lag FROM tide.consumer_lag WHERE pipeline = 'p'") == "0"; });
  };
  replace_by("relay.creds");
  set_sink(server.url(), ", \"create_stream\": true, \"credentials_file\": \"" + file + "\"");
  publish(10);
  const auto program = start_relay();
  ASSERT_TRUE(all_delivered()) << program->err();

  replace_by("next.creds");
  server.reload(keys.revoked_config());
  ASSERT_TRUE(program->wait_for_output("credentials_file is read again", seconds(10))) << program->err();
  publish(10, "later");
  EXPECT_TRUE(all_delivered()) << program->err();
  EXPECT_EQ(program->err().find("SU"), std::string::npos) << program->err();
}

}  // namespace
}  // namespace tide::test
