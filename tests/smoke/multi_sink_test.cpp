// docs/multi-sink.md, followed to the letter: its configuration, its SQL and each of its commands, in their order.
#include <fstream>
#include <regex>
#include <sstream>

#include "plugins/webhook/receiver.hpp"
#include "support/two_servers.hpp"

namespace tide::test {
namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;

std::string read(const fs::path& file) {
  const std::ifstream in(file);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

// What the page tells to do, in order: commands (indented by four), SQL and the configuration.
struct Step {
  enum class Kind { command, sql, configuration } kind;
  std::string text;
};
std::vector<Step> steps(const std::string& page) {
  std::vector<Step> all;
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("    ")) all.push_back({Step::Kind::command, line.substr(4)});
    if (!line.starts_with("```")) continue;
    const auto kind = line == "```toml" ? Step::Kind::configuration : Step::Kind::sql;
    std::string text;
    while (std::getline(lines, line) && line != "```") text += line + "\n";
    all.push_back({kind, text});
  }
  return all;
}

class MultiSink : public TwoServers {
 protected:
  void SetUp() override {
    TwoServers::SetUp();
    const fs::path build = variable("TIDE_BUILD_ROOT");
    env_ = {{"DATABASE_URL", url_},
            {"NATS_URL", nats_->url()},
            {"WEBHOOK_URL", receiver_.url("/ok")},
            {"ARCHIVE", dir_.path().string()},
            {"PATH", (build / "core").string() + ":" + variable("PATH")}};
  }
  std::string shell(const std::string& command) {
    const auto result = run({"bash", "-c", "cd \"$ARCHIVE\" && " + command}, env_);
    EXPECT_EQ(result.exit_code, 0) << command << '\n' << result.out << result.err;
    return result.out;
  }
  // `export NAME="…"`, for the commands that follow.
  void set(const std::string& command) {
    const auto name = command.substr(7, command.find('=') - 7);
    env_[name] = shell(command + "; printf %s \"$" + name + "\"");
  }
  void start_relay() {
    ProcessOptions options;
    options.env = env_;
    options.cwd = dir_.path();
    relay_ = std::make_unique<Process>(
        std::vector<std::string>{"bash", "-c", "exec tide-relay run --config tide-relay.toml"}, options);
  }
  [[nodiscard]] std::vector<std::string> in_stream() const {
    std::vector<std::string> keys;
    for (const auto& message : js().messages("ORDERS")) keys.push_back(message.header("Nats-Msg-Id"));
    return keys;
  }
  [[nodiscard]] std::vector<std::string> at_partner() const {
    std::vector<std::string> keys;
    for (const auto& request : receiver_.received()) keys.push_back(request.headers.at("webhook-id"));
    return keys;
  }
  [[nodiscard]] std::vector<std::string> in_archive() const {
    std::vector<std::string> keys;
    const std::string text = read(dir_ / "orders.jsonl");
    const std::regex key(R"(\{"key":"([^"]*)\")");
    for (std::sregex_iterator match(text.begin(), text.end(), key), none; match != none; ++match)
      keys.push_back((*match)[1]);
    return keys;
  }

  TempDir dir_;
  Receiver receiver_;
  Environment env_;
  std::unique_ptr<Process> relay_;
};

TEST_F(MultiSink, TheTutorialDoesWhatItSays) {
  const std::vector<std::string> both{"order-1-placed", "order-1-paid"};
  auto three = both;
  three.emplace_back("order-1-sent");
  int done = 0;
  for (const auto& [kind, text] : steps(read(fs::path(variable("TIDE_SOURCE_ROOT")) / "docs/multi-sink.md"))) {
    SCOPED_TRACE(text);
    ++done;
    if (kind == Step::Kind::configuration) {
      std::ofstream(dir_ / "tide-relay.toml") << text;
    } else if (kind == Step::Kind::sql) {
      sql(text);
    } else if (text.starts_with("export ")) {
      set(text);
    } else if (text.starts_with("tide-relay run")) {
      start_relay();
    } else if (text.starts_with("cat ")) {
      ASSERT_TRUE(eventually(seconds(20), [&] { return at_partner() == both && in_archive() == both; }));
      ASSERT_TRUE(eventually(seconds(20), [&] { return in_stream() == both; }));
      EXPECT_NE(shell(text).find(R"("op":"update")"), std::string::npos);
    } else if (text.starts_with("tide-relay status")) {  // "Stop the partner's server, and publish again"
      receiver_.kill();
      sql("SELECT tide.outbox_publish('orders', '{\"order\": 1, \"state\": \"sent\"}', 'order-1-sent', 'update')");
      ASSERT_TRUE(eventually(seconds(20), [&] { return in_archive() == three && in_stream() == three; }));
      std::string status;
      ASSERT_TRUE(eventually(seconds(20), [&] { return (status = shell(text)).find("retrying") != std::string::npos; }))
          << status;
    } else if (text.find("consumer_lag") != std::string::npos) {
      std::string lag;
      EXPECT_TRUE(eventually(seconds(20), [&] {
        lag = shell(text + " -At");
        return lag == "archive|0\nnats|0\npartner|1\n";
      })) << lag;
    } else {
      shell(text);
    }
  }
  EXPECT_EQ(done, 10) << "the page has other steps by now: see whether this test knows them";
  receiver_.start();
  EXPECT_TRUE(eventually(seconds(40), [&] { return at_partner() == three; }));
  EXPECT_EQ(relay_->terminate(), 0);
}

}  // namespace
}  // namespace tide::test
