// A small JetStream client for tests: makes streams and reads back what they hold. Independent of the sink's code.
// Threads: each object belongs to one thread.
#pragma once

#include <nats/nats.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tide::test {

struct Message {
  std::uint64_t sequence = 0;  // 0 for a message that did not come from a stream
  std::string subject;
  std::multimap<std::string, std::string> headers;
  std::string payload;

  // The first value of a header, empty when there is none.
  std::string header(const std::string& name) const;
};

// Zero means the server's default throughout.
struct StreamOptions {
  std::chrono::milliseconds duplicate_window{0};
  std::chrono::milliseconds max_age{0};
  jsStorageType storage = js_FileStorage;
  jsRetentionPolicy retention = js_LimitsPolicy;
  jsDiscardPolicy discard = js_DiscardOld;
  std::int64_t max_messages = 0;
  std::int64_t max_bytes = 0;
  std::int32_t max_message_size = 0;
  std::int64_t replicas = 0;
  bool no_ack = false;
};

struct StreamInfo {
  std::uint64_t messages = 0;
  std::uint64_t bytes = 0;
  std::uint64_t first_sequence = 0;
  std::uint64_t last_sequence = 0;
  std::chrono::milliseconds duplicate_window{0};
};

// A core subscription: sees each message as the server passes it on.
class Subscription {
 public:
  std::optional<Message> next(std::chrono::milliseconds timeout);

 private:
  friend class JetStream;
  explicit Subscription(natsSubscription* handle) : handle_(handle, natsSubscription_Destroy) {}
  std::unique_ptr<natsSubscription, void (*)(natsSubscription*)> handle_;
};

// What a server demands of a client besides what stands in its URL; empty: nothing.
struct ClientOptions {
  std::string credentials_file = {};
  std::string ca_file = {};  // TLS, and a certificate that this CA signed
};

// Every call throws std::runtime_error with the server's words when it fails. Reconnects by itself.
class JetStream {
 public:
  explicit JetStream(const std::string& url, const ClientOptions& client = {});

  void create_stream(const std::string& name, const std::vector<std::string>& subjects,
                     const StreamOptions& options = {});
  void update_stream(const std::string& name, const std::vector<std::string>& subjects, const StreamOptions& options);
  void delete_stream(const std::string& name);
  void purge(const std::string& name);

  // One request to JetStream's API, such as "STREAM.INFO.EVENTS"; returns the answer. Throws when that is an error.
  std::string api(const std::string& request, const std::string& json);

  StreamInfo info(const std::string& name);
  std::string leader(const std::string& name);  // the name of the server that leads it; empty when none does now
  // False while the stream has no leader, or the server's replica of it lags behind.
  bool serves(const std::string& server, const std::string& name);
  std::vector<Message> messages(const std::string& name);  // all that are stored, by sequence

  // True once the stream holds at least `count` messages, false when the time is up.
  bool wait_for_messages(const std::string& name, std::uint64_t count, std::chrono::milliseconds timeout);

  // Returns the sequence that the stream gave it. An empty id sends no Nats-Msg-Id.
  std::uint64_t publish(const std::string& subject, const std::string& payload, const std::string& id = {},
                        std::chrono::milliseconds timeout = std::chrono::seconds(5));

  // Active at the server when this returns.
  Subscription subscribe(const std::string& subject);

 private:
  std::unique_ptr<natsConnection, void (*)(natsConnection*)> connection_;
  std::unique_ptr<jsCtx, void (*)(jsCtx*)> context_;
};

}  // namespace tide::test
