// Several nats-servers that form one cluster with JetStream. Threads: as servers.hpp says.
#pragma once

#include <nats/nats.h>

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "jetstream.hpp"
#include "servers.hpp"

namespace tide::test {

class NatsCluster {
 public:
  // Returns when all have found each other and a stream with a replica on each can be made.
  explicit NatsCluster(std::size_t size = 3);
  NatsCluster(const NatsCluster&) = delete;
  NatsCluster& operator=(const NatsCluster&) = delete;

  std::string urls() const;  // of all servers, separated by commas
  std::size_t size() const { return servers_.size(); }
  NatsServer& operator[](std::size_t i) { return *servers_.at(i); }

  // One more server joins; returns when the others have told their clients of it.
  NatsServer& add();

  // A client that outlives any of the servers.
  JetStream& js() { return *js_; }

  // Both wait out elections.
  void create_stream(const std::string& name, const std::vector<std::string>& subjects, const StreamOptions& options);
  void delete_stream(const std::string& name);

  // The server that leads the stream; waits until one does.
  std::size_t leader(const std::string& stream);
  std::size_t follower(const std::string& stream);  // another one

  // Asks the stream's leader to hand over; does not wait for that.
  void step_down(const std::string& stream);

  // SIGUSR2, as `nats-server --signal ldm` sends it: the server hands over, asks its clients to leave, and ends.
  void lame_duck(std::size_t server);

  // Kills the server if it runs, starts it again, and waits until its replica of the stream, if any, is complete.
  void restart(std::size_t server, const std::string& stream);

 private:
  std::string config(std::size_t server) const;
  void connect();

  std::vector<std::uint16_t> route_ports_;
  std::vector<std::unique_ptr<NatsServer>> servers_;
  std::unique_ptr<JetStream> js_;
  std::unique_ptr<natsConnection, void (*)(natsConnection*)> connection_{nullptr, natsConnection_Destroy};
};

}  // namespace tide::test
