#include "judge.hpp"

#include <cstdio>
#include <map>
#include <ostream>
#include <sstream>
#include <tuple>

namespace tide::test {
namespace {

using Id = std::tuple<int, long long, long long>;  // key, version, nonce

std::string text(const Id& id) {
  return "key " + std::to_string(std::get<0>(id)) + " version " + std::to_string(std::get<1>(id));
}

}  // namespace

std::ostream& operator<<(std::ostream& out, const Verdict& v) {
  out << v.events << " events (" << v.unsendable << " unsendable): " << v.lost << " lost, " << v.twice << " twice, "
      << v.invented << " invented, " << v.out_of_order << " out of order";
  for (const auto& example : v.examples) out << "\n  " << example;
  return out;
}

Verdict judge(const std::string& expected, const std::string& dead, const std::vector<Message>& stored) {
  Verdict verdict;
  const auto tell = [&](const std::string& what) {
    if (verdict.examples.size() < 20) verdict.examples.push_back(what);
  };
  struct Seen {
    bool sendable = true;
    int stored = 0;
    int dead = 0;
  };
  std::map<Id, Seen> events;
  std::istringstream rows(expected);
  for (std::string row; std::getline(rows, row);) {
    int key = 0;
    long long version = 0;
    long long nonce = 0;
    char sendable = 0;
    if (std::sscanf(row.c_str(), "%d|%lld|%lld|%c", &key, &version, &nonce, &sendable) != 4) continue;
    events[{key, version, nonce}].sendable = sendable == 't';
    ++verdict.events;
    if (sendable != 't') ++verdict.unsendable;
  }

  std::map<int, long long> newest;
  for (const auto& message : stored) {
    int key = 0;
    long long version = 0;
    long long nonce = 0;
    std::sscanf(message.payload.c_str(), R"({"k": %d, "n": %lld, "v": %lld)", &key, &nonce, &version);
    const Id id{key, version, nonce};
    const auto found = events.find(id);
    if (found == events.end() || !found->second.sendable) {
      ++verdict.invented;
      tell("invented: sequence " + std::to_string(message.sequence) + ", " + message.payload);
      continue;
    }
    if (found->second.stored++ > 0) {
      ++verdict.twice;
      tell("twice: " + text(id) + ", again at sequence " + std::to_string(message.sequence));
      continue;
    }
    auto& last = newest[key];
    if (version < last) {
      ++verdict.out_of_order;
      tell("out of order: " + text(id) + " at sequence " + std::to_string(message.sequence) + ", after version " +
           std::to_string(last));
    }
    last = std::max(last, version);
  }
  std::istringstream letters(dead);
  for (std::string row; std::getline(letters, row);) {
    int key = 0;
    long long version = 0;
    long long nonce = 0;
    if (std::sscanf(row.c_str(), "%d|%lld|%lld", &key, &version, &nonce) != 3) continue;
    const auto found = events.find({key, version, nonce});
    if (found == events.end() || found->second.sendable) {
      ++verdict.invented;
      tell("dead letter that should not be one: " + row);
    } else if (found->second.dead++ > 0) {
      ++verdict.twice;
      tell("two dead letters: " + row);
    }
  }
  for (const auto& [id, seen] : events) {
    if ((seen.sendable ? seen.stored : seen.dead) > 0) continue;
    ++verdict.lost;
    tell("lost: " + text(id) + (seen.sendable ? "" : ", which should be a dead letter"));
  }
  return verdict;
}

}  // namespace tide::test
