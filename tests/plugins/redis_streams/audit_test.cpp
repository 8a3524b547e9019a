// What a Redis stream holds after the relay and the server were killed again and again.
#include <csignal>

#include "fault/kill_audit.hpp"
#include "support/redis_server.hpp"

namespace tide::test {
namespace {

class RedisAudit : public KillAudit {
 protected:
  std::vector<Message> arrived() override {
    RedisClient client(redis_);
    std::vector<Message> messages;
    for (const auto& entry : client.entries("audit")) {
      auto& message = messages.emplace_back();
      message.sequence = messages.size();
      message.payload = RedisClient::value(entry, "payload");
    }
    return messages;
  }
  void disturb() override {
    for (int i = 0; i < 5; ++i) {  // full, and room again, while events are in flight
      RedisClient client(redis_);
      client.ask({"CONFIG", "SET", "maxmemory", "1"});
      tend_for(pick_ms(0, 20));
      client.ask({"CONFIG", "SET", "maxmemory", "0"});
      tend_for(pick_ms(0, 50));
    }
    redis_.kill9();
    tend_for(pick_ms(0, 200));
    redis_.start();
    tend_for(pick_ms(0, 200));
  }

  RedisServer redis_;
};

TEST_F(RedisAudit, AStreamHoldsEachEventOnceAndInOrder) {
  set_up_sink("{\"sink_type\": \"redis_streams\", \"url\": \"" + redis_.url() +
              "\", \"stream\": \"audit\", \"retry\": {\"initial_ms\": 5, \"max_ms\": 50}}");
  audit(Guarantee::exactly_once);
}

}  // namespace
}  // namespace tide::test
