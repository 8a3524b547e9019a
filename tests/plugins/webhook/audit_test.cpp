// What a webhook's receiver got after the relay was killed again and again, by a server that fails now and then.
#include <csignal>

#include "fault/kill_audit.hpp"
#include "receiver.hpp"

namespace tide::test {
namespace {

class WebhookAudit : public KillAudit {
 protected:
  // What the receiver took: it may have done so without the relay's hearing of it.
  std::vector<Message> arrived() override {
    std::vector<Message> messages;
    for (const auto& request : receiver_.received()) {
      if (request.status != 200 && request.status != 0) continue;
      std::istringstream lines(request.body);
      for (std::string line; std::getline(lines, line);) {
        auto& message = messages.emplace_back();
        message.sequence = messages.size();
        const auto at = line.find("\"payload\":");
        message.payload = at == std::string::npos ? line : line.substr(at + 10);
      }
    }
    return messages;
  }
  std::string config(const std::string& more) {
    return "{\"sink_type\": \"webhook\", \"url\": \"" + receiver_.url("/audit") +
           "\", \"retry\": {\"initial_ms\": 5, \"max_ms\": 50}" + more + "}";
  }

  Receiver receiver_;
};

TEST_F(WebhookAudit, LanesKeepTheOrderOfEachKeyAndLoseNothing) {
  set_up_sink(config(R"(, "concurrency": 4, "order_by": "{payload.k}")"), R"({"x-refuse": "yes"})");
  audit(Guarantee::at_least_once);
}

TEST_F(WebhookAudit, BatchesKeepTheOrderAndLoseNothing) {
  set_up_sink(config(R"(, "body": "ndjson")"));
  audit(Guarantee::at_least_once);
}

}  // namespace
}  // namespace tide::test
