// What a quorum queue holds after the relay and the server were killed again and again.
#include <csignal>

#include "fault/kill_audit.hpp"
#include "support/rabbit_server.hpp"

namespace tide::test {
namespace {

class RabbitAudit : public KillAudit {
 protected:
  std::vector<Message> arrived() override {
    RabbitClient client(rabbit_);
    std::vector<Message> messages;
    for (auto& body : client.bodies("audit")) {
      auto& message = messages.emplace_back();
      message.sequence = messages.size();
      message.payload = std::move(body);
    }
    return messages;
  }
  void disturb() override {
    if (killed_++ % 3 != 0) return;  // it takes its time to start
    rabbit_.kill9();
    tend_for(pick_ms(0, 200));
    rabbit_.start();
    tend_for(pick_ms(0, 1000));
  }

  RabbitServer rabbit_;
  int killed_ = 0;
};

TEST_F(RabbitAudit, AQueueHoldsEachEventAndTheOrderOfEachKey) {
  RabbitClient(rabbit_).queue("audit");
  rabbit_.wait_until_on_disk("audit");
  set_up_sink("{\"sink_type\": \"rabbitmq\", \"url\": \"" + rabbit_.url() +
                  "\", \"routing_key\": \"audit\", \"retry\": {\"initial_ms\": 5, \"max_ms\": 50}}",
              R"({"CC": "elsewhere"})");
  audit(Guarantee::at_least_once);
}

}  // namespace
}  // namespace tide::test
