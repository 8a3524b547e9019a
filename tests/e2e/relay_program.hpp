// The relay as its users run it: the built program on a database and a stream of its own. One thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "support/two_servers.hpp"

namespace tide::test {

class Servers : public TwoServers {
 protected:
  static std::string program() { return variable("TIDE_RELAY"); }
  static std::vector<std::string> words(const std::string& command, std::vector<std::string> more) {
    more.insert(more.begin(), {program(), command});
    return more;
  }
  // `tide-relay COMMAND …` on this test's database.
  [[nodiscard]] RunResult relay(const std::string& command, std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"--postgres-url", url_});
    return run(words(command, std::move(more)), env_);
  }
  [[nodiscard]] std::unique_ptr<Process> start_relay(std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"--postgres-url", url_});
    return std::make_unique<Process>(words("run", std::move(more)), ProcessOptions{env_, {}, {}, {}, {}});
  }

  // Installs the schema, makes an outbox and an enabled pipeline into a stream that is named like this test.
  void set_up_pipeline(const std::string& more_options = {}) {
    stream_ = ::testing::UnitTest::GetInstance()->current_test_info()->name();
    js().create_stream(stream_, {stream_ + ".>"});
    ASSERT_EQ(relay("init").exit_code, 0);
    sql("SELECT tide.outbox_create('orders')");
    set_pipeline(more_options);
    sql("SELECT tide.relay_enable('p')");
  }
  void set_pipeline(const std::string& more_options = {}) const {
    sql("SELECT tide.relay_set_outbox('p', 'orders', 'g', '{\"sink_type\": \"nats\", \"url\": \"" + nats_->url() +
        "\", \"subject\": \"" + stream_ + ".{op}\"" + options_ + more_options + "}')");
  }
  void publish(int count, const std::string& prefix = "k") const {
    sql("SELECT count(tide.outbox_publish('orders', jsonb_build_object('n', n), '" + prefix +
        "' || n)) FROM generate_series(1, " + std::to_string(count) + ") n");
  }
  // The keys in the stream, in its order.
  std::vector<std::string> keys() const {
    std::vector<std::string> found;
    for (const auto& m : js().messages(stream_)) found.push_back(m.header("Nats-Msg-Id"));
    return found;
  }

  std::string stream_;
  std::string options_;  // of every pipeline that set_pipeline() sets
  Environment env_;
};

}  // namespace tide::test
