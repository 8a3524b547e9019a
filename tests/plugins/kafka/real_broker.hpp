// A real Kafka: one that runs already, where TIDE_TEST_KAFKA names it (host:port, no TLS, no users); or one of the
// test's own, where TIDE_TEST_KAFKA_HOME is a folder of Apache Kafka 3.3 or newer, with its libs/, and java is
// installed. One thread.
#pragma once

#include <gtest/gtest.h>

#include <csignal>
#include <fstream>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>

#include "plugins/kafka/records.hpp"
#include "support/certificates.hpp"
#include "support/process.hpp"

namespace tide::test {

// One node, with a listener for each way to connect. Users are relay (SCRAM, and PLAIN) and other, whose passwords are
// their names with "-secret". The folder and all in it end with the object.
class OwnBroker {
 public:
  static constexpr auto kListeners = {"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL", "CONTROLLER"};

  OwnBroker() {
    std::string listeners;
    std::string protocols = "CONTROLLER:PLAINTEXT";
    for (const std::string name : kListeners) {
      ports_[name] = free_port();
      listeners += (listeners.empty() ? "" : ",") + name + "://" + address(name);
      if (name != "CONTROLLER") protocols += "," + name + ":" + name;
    }
    const auto store = (dir_ / "store.pem").string();
    std::ofstream(store) << std::ifstream(certificates_.key("server")).rdbuf()
                         << std::ifstream(certificates_.certificate("server")).rdbuf();
    std::ofstream conf(dir_ / "server.properties");
    conf << "process.roles=broker,controller\nnode.id=1\n"
         << "controller.quorum.voters=1@" << address("CONTROLLER") << '\n'
         << "listeners=" << listeners << "\nadvertised.listeners=" << listeners.substr(0, listeners.rfind(',')) << '\n'
         << "controller.listener.names=CONTROLLER\ninter.broker.listener.name=PLAINTEXT\n"
         << "listener.security.protocol.map=" << protocols << '\n'
         << "log.dirs=" << (dir_ / "logs").string() << '\n'
         << "offsets.topic.replication.factor=1\nauto.create.topics.enable=false\n"
         << "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer\n"
         << "super.users=User:ANONYMOUS\nallow.everyone.if.no.acl.found=true\n"
         << "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512\n"
         << "ssl.keystore.type=PEM\nssl.keystore.location=" << store << '\n'
         << "ssl.truststore.type=PEM\nssl.truststore.location=" << certificates_.ca() << '\n'
         << "listener.name.ssl.ssl.client.auth=required\n";
    for (const std::string listener : {"sasl_plaintext", "sasl_ssl"}) {
      const auto name = "listener.name." + listener;
      conf << name << ".plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required "
           << "user_relay=\"relay-secret\" user_other=\"other-secret\";\n";
      for (const auto* mechanism : {"256", "512"})
        conf << name << ".scram-sha-" << mechanism
             << ".sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;\n";
    }
    conf.close();
    const auto format = run(java({"kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c", file(),
                                  "--add-scram", "SCRAM-SHA-256=[name=relay,password=relay-secret]", "--add-scram",
                                  "SCRAM-SHA-512=[name=relay,password=relay-secret]"}));
    if (format.exit_code != 0) throw std::runtime_error("Kafka's folder can't be made: " + format.out + format.err);
    start();
  }

  void start() {
    ProcessOptions options;
    options.output = dir_ / "log";
    process_ = std::make_unique<Process>(java({"kafka.Kafka", file()}), options);
    const auto client = make_client(RD_KAFKA_PRODUCER, {{"bootstrap.servers", address()}, {"log_level", "0"}});
    const bool answers = eventually(std::chrono::seconds(90), [&] {
      const rd_kafka_metadata_t* metadata = nullptr;
      if (rd_kafka_metadata(client.get(), 1, nullptr, &metadata, 1000) != RD_KAFKA_RESP_ERR_NO_ERROR) return false;
      rd_kafka_metadata_destroy(metadata);
      return true;
    });
    if (!answers) throw std::runtime_error("Kafka did not start");
  }
  void kill() {
    process_->kill(SIGKILL);
    process_->wait(std::chrono::seconds(10));
  }
  void freeze() { process_->kill(SIGSTOP); }
  void thaw() { process_->kill(SIGCONT); }

  [[nodiscard]] std::string address(const std::string& listener = "PLAINTEXT") const {
    return "localhost:" + std::to_string(ports_.at(listener));
  }
  [[nodiscard]] const Certificates& certificates() const { return certificates_; }

 private:
  [[nodiscard]] std::string file() const { return (dir_ / "server.properties").string(); }
  static std::vector<std::string> java(std::vector<std::string> arguments) {
    const std::vector<std::string> command{"java", "-Xmx512m", "-cp", variable("TIDE_TEST_KAFKA_HOME") + "/libs/*"};
    arguments.insert(arguments.begin(), command.begin(), command.end());
    return arguments;
  }

  TempDir dir_;
  Certificates certificates_;
  std::map<std::string, std::uint16_t> ports_;
  std::unique_ptr<Process> process_;
};

// The one that the tests of this executable share; null where there is none.
inline OwnBroker*& own_broker() {
  static OwnBroker* broker = nullptr;
  return broker;
}

// Its address, or that of the one that runs already; empty where there is neither.
inline std::string real_broker() {
  if (own_broker() != nullptr) return own_broker()->address();
  return variable("TIDE_TEST_KAFKA");
}

// Starts and ends the shared one with all the tests.
class StartsOwnBroker : public ::testing::Environment {
 public:
  void SetUp() override {
    if (variable("TIDE_TEST_KAFKA_HOME").empty()) return;
    broker_ = std::make_unique<OwnBroker>();
    own_broker() = broker_.get();
  }
  void TearDown() override {
    own_broker() = nullptr;
    broker_.reset();
  }

 private:
  std::unique_ptr<OwnBroker> broker_;
};
[[maybe_unused]] inline const auto* const starts_own_broker = ::testing::AddGlobalTestEnvironment(new StartsOwnBroker);

}  // namespace tide::test
