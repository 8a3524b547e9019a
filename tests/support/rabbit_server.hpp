// One private rabbitmq-server with an epmd of its own: loopback, free ports, temporary folder, ended with its object;
// and a client that looks at what it holds. One thread.
#pragma once

#if __has_include(<rabbitmq-c/amqp.h>)
#include <rabbitmq-c/amqp.h>
#include <rabbitmq-c/framing.h>
#include <rabbitmq-c/tcp_socket.h>
#else
#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_tcp_socket.h>
#endif

#include <csignal>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/process.hpp"

namespace tide::test {

class RabbitServer {
 public:
  // config is appended to its configuration file, in which {tls_port} stands for that port.
  explicit RabbitServer(std::string config = {}, const std::string& plugins = {}) {
    const std::string hole = "{tls_port}";
    if (const auto at = config.find(hole); at != std::string::npos)
      config.replace(at, hole.size(), std::to_string(tls_port_));
    std::ofstream(dir_ / "rabbitmq.conf")
        << "listeners.tcp.1 = 127.0.0.1:" << port_ << "\nlog.console = true\nlog.file = false\n"
        << config << '\n';
    std::ofstream(dir_ / "enabled_plugins") << '[' << plugins << "].\n";
    ProcessOptions options;
    options.output = dir_ / "epmd.log";
    epmd_ = std::make_unique<Process>(
        std::vector<std::string>{"epmd", "-port", std::to_string(epmd_port_), "-address", "127.0.0.1"}, options);
    start();
  }

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string url() const { return "amqp://127.0.0.1:" + std::to_string(port_); }
  [[nodiscard]] std::string tls_url(const std::string& host = "localhost") const {
    return "amqps://" + host + ":" + std::to_string(tls_port_);
  }

  void start() {
    ProcessOptions options;
    options.cwd = dir_.path();
    options.output = dir_ / "log";
    options.env = environment();
    const auto before = log().size();
    process_ = std::make_unique<Process>(std::vector<std::string>{(programs() / "rabbitmq-server").string()}, options);
    const bool started = eventually(std::chrono::seconds(120), [&] {
      return !process_->running() || log().find("Server startup complete", before) != std::string::npos;
    });
    if (!started || !process_->running()) throw std::runtime_error("rabbitmq-server did not start:\n" + log());
  }
  void kill9() {
    process_->kill(SIGKILL);
    process_->wait(std::chrono::seconds(60));
  }
  void pause() {  // returns when it stands still
    process_->kill(SIGSTOP);
    if (!eventually(std::chrono::seconds(10), [&] { return stands_still(process_->pid()); }))
      throw std::runtime_error("rabbitmq-server does not stop");
  }
  void resume() { process_->kill(SIGCONT); }

  // A quorum queue that was just declared would not come back after a crash: the server notes it a moment later.
  void wait_until_on_disk(const std::string& queue) const {
    const auto register_file = dir_ / "data/tide@localhost/quorum/tide@localhost/names.dets";
    const bool there =
        eventually(std::chrono::seconds(60), [&] { return read(register_file).find(queue) != std::string::npos; });
    if (!there) throw std::runtime_error("the queue " + queue + " does not come to the disk");
  }

  // Runs rabbitmqctl.
  void ctl(std::vector<std::string> words) const {
    words.insert(words.begin(), (programs() / "rabbitmqctl").string());
    const auto result = run(words, environment());
    if (result.exit_code != 0) throw std::runtime_error(words[1] + " failed:\n" + result.out + result.err);
  }

 private:
  // Not those in /usr/sbin, which would become another user.
  static std::filesystem::path programs() {
    const auto folder = variable("TIDE_TEST_RABBITMQ_BIN");
    return folder.empty() ? "/usr/lib/rabbitmq/bin" : folder;
  }
  [[nodiscard]] Environment environment() const {
    return {{"HOME", dir_.path().string()},
            {"ERL_EPMD_PORT", std::to_string(epmd_port_)},
            {"RABBITMQ_NODENAME", "tide@localhost"},
            {"RABBITMQ_DIST_PORT", std::to_string(dist_port_)},
            {"RABBITMQ_MNESIA_BASE", (dir_ / "data").string()},
            {"RABBITMQ_LOG_BASE", (dir_ / "logs").string()},
            {"RABBITMQ_CONFIG_FILE", (dir_ / "rabbitmq.conf").string()},
            {"RABBITMQ_ENABLED_PLUGINS_FILE", (dir_ / "enabled_plugins").string()},
            {"RABBITMQ_CONF_ENV_FILE", "/dev/null"},
            {"RABBITMQ_ALLOW_INPUT", "1"},  // the server takes the place of its script, and ends by its pid
            {"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "-noinput"}};
  }
  static std::string read(const std::filesystem::path& file) {
    const std::ifstream in(file, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
  }
  [[nodiscard]] std::string log() const { return read(dir_ / "log"); }

  TempDir dir_{"tide-test-rabbit"};
  std::uint16_t port_ = free_port();
  std::uint16_t tls_port_ = free_port();
  std::uint16_t epmd_port_ = free_port();
  std::uint16_t dist_port_ = free_port();
  std::unique_ptr<Process> epmd_;
  std::unique_ptr<Process> process_;
};

class RabbitClient {
 public:
  struct Message {
    std::string body;
    std::string routing_key;
    std::string content_type;
    std::string message_id;
    std::string type;
    int delivery_mode = 0;
    std::uint64_t timestamp = 0;
    std::map<std::string, std::string> headers;
  };

  explicit RabbitClient(const RabbitServer& server) : connection_(amqp_new_connection(), amqp_destroy_connection) {
    if (amqp_socket_open(amqp_tcp_socket_new(connection_.get()), "127.0.0.1", server.port()) != AMQP_STATUS_OK)
      throw std::runtime_error("cannot connect to rabbitmq-server");
    check(amqp_login(connection_.get(), "/", 0, 131072, 0, AMQP_SASL_METHOD_PLAIN, "guest", "guest"));
    amqp_channel_open(connection_.get(), 1);
    check(amqp_get_rpc_reply(connection_.get()));
  }

  // A quorum queue; with a length that it is kept to by refusing, a classic one.
  void queue(const std::string& name, std::optional<int> length = std::nullopt) {
    std::vector<amqp_table_entry_t> arguments;
    if (length) {
      arguments.push_back(entry("x-overflow", "reject-publish"));
      auto& limit = arguments.emplace_back();
      limit.key = amqp_cstring_bytes("x-max-length");
      limit.value.kind = AMQP_FIELD_KIND_I32;
      limit.value.value.i32 = *length;
    } else {
      arguments.push_back(entry("x-queue-type", "quorum"));
    }
    amqp_queue_declare(connection_.get(), 1, bytes(name), 0, 1, 0, 0,
                       {static_cast<int>(arguments.size()), arguments.data()});
    check(amqp_get_rpc_reply(connection_.get()));
  }
  void exchange(const std::string& name, const char* type = "topic") {
    amqp_exchange_declare(connection_.get(), 1, bytes(name), amqp_cstring_bytes(type), 0, 1, 0, 0, amqp_empty_table);
    check(amqp_get_rpc_reply(connection_.get()));
  }
  void delete_exchange(const std::string& name) {
    amqp_exchange_delete(connection_.get(), 1, bytes(name), 0);
    check(amqp_get_rpc_reply(connection_.get()));
  }
  void bind(const std::string& queue, const std::string& exchange, const std::string& key) {
    amqp_queue_bind(connection_.get(), 1, bytes(queue), bytes(exchange), bytes(key), amqp_empty_table);
    check(amqp_get_rpc_reply(connection_.get()));
  }

  // Takes what the queue holds, in its order.
  std::vector<Message> take(const std::string& queue) {
    std::vector<Message> all;
    while (const auto count = count_of(queue)) {
      const auto* const consumer =
          amqp_basic_consume(connection_.get(), 1, bytes(queue), amqp_empty_bytes, 0, 1, 0, amqp_empty_table);
      check(amqp_get_rpc_reply(connection_.get()));
      const auto tag = text(consumer->consumer_tag);
      const auto end = all.size() + count;
      while (all.size() < end) {
        const timeval patience{30, 0};
        amqp_maybe_release_buffers(connection_.get());
        amqp_envelope_t got;
        check(amqp_consume_message(connection_.get(), &got, &patience, 0));
        all.push_back(message_of(got));
        amqp_destroy_envelope(&got);
      }
      amqp_basic_cancel(connection_.get(), 1, bytes(tag));
      check(amqp_get_rpc_reply(connection_.get()));
    }
    return all;
  }
  std::vector<std::string> bodies(const std::string& queue) {
    std::vector<std::string> all;
    for (auto& message : take(queue)) all.push_back(std::move(message.body));
    return all;
  }

 private:
  std::size_t count_of(const std::string& queue) {
    const auto* const declared = amqp_queue_declare(connection_.get(), 1, bytes(queue), 1, 0, 0, 0, amqp_empty_table);
    check(amqp_get_rpc_reply(connection_.get()));
    return declared->message_count;
  }
  static Message message_of(const amqp_envelope_t& envelope) {
    const auto& p = envelope.message.properties;
    Message message;
    message.body = text(envelope.message.body);
    message.routing_key = text(envelope.routing_key);
    message.content_type = text(p.content_type);
    message.message_id = text(p.message_id);
    message.type = text(p.type);
    message.delivery_mode = p.delivery_mode;
    message.timestamp = p.timestamp;
    for (int i = 0; i < p.headers.num_entries; ++i)
      message.headers[text(p.headers.entries[i].key)] = text(p.headers.entries[i].value.value.bytes);
    return message;
  }

  static amqp_bytes_t bytes(const std::string& text) { return {text.size(), const_cast<char*>(text.data())}; }
  static std::string text(const amqp_bytes_t& bytes) {
    return bytes.len == 0 ? std::string() : std::string(static_cast<const char*>(bytes.bytes), bytes.len);
  }
  static amqp_table_entry_t entry(const char* name, const char* value) {
    amqp_table_entry_t entry{};
    entry.key = amqp_cstring_bytes(name);
    entry.value.kind = AMQP_FIELD_KIND_UTF8;
    entry.value.value.bytes = amqp_cstring_bytes(value);
    return entry;
  }
  static void check(const amqp_rpc_reply_t& reply) {
    if (reply.reply_type == AMQP_RESPONSE_NORMAL) return;
    std::string why = "the connection to rabbitmq-server is lost";
    if (reply.reply_type == AMQP_RESPONSE_SERVER_EXCEPTION && reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD)
      why = text(static_cast<amqp_channel_close_t*>(reply.reply.decoded)->reply_text);
    throw std::runtime_error(why);
  }

  std::unique_ptr<amqp_connection_state_t_, int (*)(amqp_connection_state_t)> connection_;
};

}  // namespace tide::test
