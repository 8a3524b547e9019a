#include "nats_cluster.hpp"

#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <utility>

namespace tide::test {
namespace {

using std::chrono::seconds;

// An election takes up to nine seconds, and a loaded machine may need a second one.
constexpr seconds election_timeout{60};

template <typename Call>
void until_done(Call call) {
  std::string why;
  const bool done = eventually(election_timeout, [&] {
    try {
      call();
      return true;
    } catch (const std::exception& error) {
      why = error.what();
      return false;
    }
  });
  if (!done) throw std::runtime_error(why);
}

}  // namespace

NatsCluster::NatsCluster(std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) route_ports_.push_back(free_port());
  for (std::size_t i = 0; i < size; ++i) servers_.push_back(std::make_unique<NatsServer>(config(i)));
  connect();
  StreamOptions everywhere;
  everywhere.replicas = static_cast<std::int64_t>(size);
  create_stream("everywhere", {"everywhere"}, everywhere);
  delete_stream("everywhere");
}

std::string NatsCluster::config(std::size_t server) const {
  std::string routes;
  for (const auto port : route_ports_)
    routes += (routes.empty() ? "" : ", ") + std::string("\"nats-route://127.0.0.1:") + std::to_string(port) + "\"";
  return "server_name: n" + std::to_string(server) +
         "\ncluster { name: test, listen: \"127.0.0.1:" + std::to_string(route_ports_[server]) + "\", routes: [" +
         routes + "] }\n";
}

// With every server's URL, so that it lives as long as one of them.
void NatsCluster::connect() {
  natsOptions* options = nullptr;
  natsConnection* connection = nullptr;
  std::vector<std::string> urls;
  std::vector<const char*> list;
  for (const auto& server : servers_) urls.push_back(server->url());
  for (const auto& url : urls) list.push_back(url.c_str());
  natsStatus status = natsOptions_Create(&options);
  if (status == NATS_OK) status = natsOptions_SetServers(options, list.data(), static_cast<int>(list.size()));
  if (status == NATS_OK) status = natsOptions_SetMaxReconnect(options, -1);
  if (status == NATS_OK) status = natsOptions_SetReconnectWait(options, 20);
  if (status == NATS_OK) status = natsConnection_Connect(&connection, options);
  natsOptions_Destroy(options);
  if (status != NATS_OK) throw std::runtime_error("connect to the cluster: " + std::string(natsStatus_GetText(status)));
  connection_.reset(connection);
  js_ = std::make_unique<JetStream>(urls.front());
}

std::string NatsCluster::urls() const {
  std::string all;
  for (const auto& server : servers_) all += (all.empty() ? "" : ",") + server->url();
  return all;
}

NatsServer& NatsCluster::add() {
  route_ports_.push_back(free_port());
  servers_.push_back(std::make_unique<NatsServer>(config(servers_.size())));
  const std::string url = servers_.back()->url();
  const bool told = eventually(seconds(10), [&] {
    char** known = nullptr;
    int count = 0;
    if (natsConnection_GetServers(connection_.get(), &known, &count) != NATS_OK) return false;
    bool found = false;
    for (int i = 0; i < count; ++i) {
      found = found || url == known[i];
      std::free(known[i]);
    }
    std::free(static_cast<void*>(known));
    return found;
  });
  if (!told) throw std::runtime_error("the cluster did not tell of its new server " + url);
  return *servers_.back();
}

void NatsCluster::create_stream(const std::string& name, const std::vector<std::string>& subjects,
                                const StreamOptions& options) {
  until_done([&] { js().create_stream(name, subjects, options); });
}

void NatsCluster::delete_stream(const std::string& name) {
  bool asked = false;
  until_done([&] {
    try {
      js().delete_stream(name);
    } catch (const std::exception& error) {
      // The answer to an earlier try was lost, perhaps, and the stream with it.
      if (!std::exchange(asked, true) || std::string(error.what()).find("(error 10059)") == std::string::npos) throw;
    }
  });
}

std::size_t NatsCluster::leader(const std::string& stream) {
  std::string name;
  const bool found = eventually(election_timeout, [&] {
    name = js().leader(stream);
    return !name.empty();
  });
  if (!found) throw std::runtime_error("stream " + stream + " has no leader");
  return std::stoul(name.substr(1));
}

std::size_t NatsCluster::follower(const std::string& stream) {
  return (leader(stream) + 1) % servers_.size();
}

void NatsCluster::step_down(const std::string& stream) {
  natsConnection_PublishString(connection_.get(), ("$JS.API.STREAM.LEADER.STEPDOWN." + stream).c_str(), "");
  natsConnection_Flush(connection_.get());
}

void NatsCluster::restart(std::size_t server, const std::string& stream) {
  servers_.at(server)->kill9();
  servers_.at(server)->start();
  if (!eventually(election_timeout, [&] { return js().serves("n" + std::to_string(server), stream); }))
    throw std::runtime_error("server n" + std::to_string(server) + " did not catch up with stream " + stream);
}

void NatsCluster::lame_duck(std::size_t server) {
  ::kill(servers_.at(server)->pid(), SIGUSR2);
}

}  // namespace tide::test
