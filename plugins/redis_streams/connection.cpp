// SPDX-License-Identifier: Apache-2.0
#include "connection.hpp"

#include <charconv>
#include <functional>
#include <new>

#include "answer.hpp"
#include "script.hpp"

namespace tide::redis {

Connection::Connection(const net::ServerUrl& server, const Settings& settings, Clock::time_point until)
    : server_(server.shown), stream_(server, settings.tls, until) {
  if (!reader_) throw std::bad_alloc();
  log_in(settings, until);
}

void Connection::send(const Command& command) {
  std::vector<const char*> texts;
  std::vector<std::size_t> sizes;
  texts.reserve(command.size());
  sizes.reserve(command.size());
  for (const auto part : command) {
    texts.push_back(part.empty() ? "" : part.data());
    sizes.push_back(part.size());
  }
  char* formatted = nullptr;
  const auto size = redisFormatCommandArgv(&formatted, static_cast<int>(command.size()), texts.data(), sizes.data());
  if (size < 0) throw std::bad_alloc();
  const std::unique_ptr<char, void (*)(char*)> owned(formatted, redisFreeCommand);
  stream_.send({formatted, static_cast<std::size_t>(size)});
}

void Connection::receive() {
  stream_.receive(received_);
  redisReaderFeed(reader_.get(), received_.data(), received_.size());
  received_.clear();
}

Reply Connection::next_reply() {
  void* reply = nullptr;
  if (redisReaderGetReply(reader_.get(), &reply) != REDIS_OK)
    throw Error::retry("what " + server_ + " sends is no answer of Redis (" + reader_->errstr +
                       "). Check the host and the port of url");
  return Reply(reply);
}

Reply Connection::answer(Clock::time_point until) {
  for (;;) {
    if (auto reply = next_reply()) return reply;
    if (!wait(until) || Clock::now() >= until)
      throw Error::retry(server_ + " did not answer in time. It may hang, or be no Redis");
    receive();
  }
}

void Connection::log_in(const Settings& settings, Clock::time_point until) {
  enum class Refusal { matters, does_not };
  struct Step {
    Command command;
    const char* what;
    Refusal refusal;
    std::function<void(const Reply&)> take;
  };
  std::vector<Step> steps;
  if (!settings.username.empty())
    steps.push_back({{"AUTH", settings.username, settings.password}, "to log in", Refusal::matters, {}});
  else if (!settings.password.empty())
    steps.push_back({{"AUTH", settings.password}, "to log in", Refusal::matters, {}});
  if (!settings.database.empty() && settings.database != "0")
    steps.push_back({{"SELECT", settings.database}, "to select the database", Refusal::matters, {}});
  steps.push_back({{"PING"}, "a PING", Refusal::matters, {}});
  steps.push_back({{"CLIENT", "SETNAME", "tide-relay"}, "", Refusal::does_not, {}});
  steps.push_back({{"ROLE"}, "", Refusal::does_not, [&](const Reply& reply) {
                     if (reply.text(0) == "slave")
                       throw Error::retry(server_ + " is a replica, which takes no writes. List the primary in url");
                   }});
  steps.push_back({{"CONFIG", "GET", "proto-max-bulk-len"}, "", Refusal::does_not, [&](const Reply& reply) {
                     const auto text = reply.text(1);
                     std::from_chars(text.data(), text.data() + text.size(), max_value_);
                   }});
  steps.push_back({{"SCRIPT", "LOAD", add_script}, "to load a script", Refusal::matters, {}});
  for (const auto& shape : settings.shapes)
    if (!shape.varies())
      steps.push_back({{"TYPE", shape.text()}, "", Refusal::does_not, [&](const Reply& reply) {
                         if (reply.text() != "stream" && reply.text() != "none")
                           throw Error::fatal("the key " + shape.text() + " on " + server_ + " is a " +
                                              std::string(reply.text()) + ", not a stream: choose another name");
                       }});

  for (const auto& step : steps) send(step.command);
  for (const auto& step : steps) {
    const auto reply = answer(until);
    if (!reply.is_error()) {
      if (step.take) step.take(reply);
      continue;
    }
    if (step.refusal == Refusal::does_not) continue;
    const auto why = server_ + " refused " + step.what + ": " + explained(reply.text());
    throw outcome_of(reply.text(), true) == TIDE_FATAL ? Error::fatal(why) : Error::retry(why);
  }
}

}  // namespace tide::redis
