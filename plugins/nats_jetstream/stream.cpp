// SPDX-License-Identifier: Apache-2.0
#include "stream.hpp"

#include <simdjson.h>

#include <algorithm>
#include <optional>
#include <set>

#include "help.hpp"
#include "json.hpp"
#include "subject.hpp"

namespace tide::nats {
namespace {

using simdjson::dom::element;

// JetStream's err_code values.
constexpr std::int64_t stream_not_found = 10059;
constexpr std::int64_t not_enabled_for_account = 10039;
constexpr std::int64_t not_enabled = 10076;

bool has(const element& object, std::string_view key) {
  const auto found = object[key];
  return found.error() == simdjson::SUCCESS && !found.is_null();
}

std::string joined(const std::vector<std::string>& parts) {
  std::string list;
  for (const auto& part : parts) list += (list.empty() ? "" : ", ") + part;
  return list.empty() ? "none" : list;
}

std::uint64_t last_sequence(const element& info) {
  std::uint64_t sequence = 0;
  if (info["state"]["last_seq"].get(sequence) != simdjson::SUCCESS)
    throw Error::retry("the stream's information has no last sequence");
  return sequence;
}

class Api {
 public:
  Api(Connection& connection, const Settings& settings, Clock::time_point deadline)
      : connection_(connection), settings_(settings), deadline_(deadline) {}

  std::vector<std::string> names_on_subject(const std::string& filter) {
    const auto answer = call("$JS.API.STREAM.NAMES", "{\"subject\":" + json_string(filter) + "}");
    std::vector<std::string> names;
    simdjson::dom::array streams;
    if (answer["streams"].get(streams) != simdjson::SUCCESS) return names;
    for (const element name : streams) names.emplace_back(std::string_view(name));
    return names;
  }

  Stream info(const std::string& name) {
    const auto answer = call(info_subject(name), {});
    const element config = answer["config"];
    Stream stream;
    stream.name = name;
    stream.no_ack = get_or(config, "no_ack", false);
    stream.sealed = get_or(config, "sealed", false);
    stream.mirror = has(config, "mirror");
    stream.keeps_messages = get_or(config, "retention", std::string_view("limits")) == "limits";
    stream.transforms = has(config, "subject_transform");
    stream.replicas = get_or(config, "num_replicas", std::int64_t{1});
    stream.last_sequence = last_sequence(answer);
    stream.duplicate_window = std::chrono::duration_cast<std::chrono::seconds>(
        std::chrono::nanoseconds(get_or(config, "duplicate_window", std::int64_t{0})));
    simdjson::dom::array subjects;
    if (config["subjects"].get(subjects) == simdjson::SUCCESS)
      for (const element subject : subjects) stream.subjects.emplace_back(std::string_view(subject));
    return stream;
  }

 private:
  // The answer is valid until the next call.
  element call(const std::string& subject, const std::string& payload) {
    const Reply reply = connection_.request(subject, payload, deadline_);
    if (reply.kind == Reply::Kind::no_responders)
      throw Error::fatal(
          "No responders: " + connection_.server() + " does not serve JetStream. " + std::string(help::jetstream),
          NATS_NO_RESPONDERS);
    element answer;
    if (parser_.parse(reply.data().data(), reply.data().size()).get(answer) != simdjson::SUCCESS || !answer.is_object())
      throw Error::retry(connection_.server() + " answered " + subject + " with something that is no JSON");
    if (element error; answer["error"].get(error) == simdjson::SUCCESS) throw_error(subject, error);
    return answer;
  }

  [[noreturn]] void throw_error(const std::string& subject, const element& error) const {
    const auto code = get_or(error, "err_code", std::int64_t{0});
    const auto status = get_or(error, "code", std::int64_t{0});
    const std::string said = connection_.server() + " answered " + subject + ": " +
                             std::string(get_or(error, "description", std::string_view("no description"))) + " (" +
                             std::to_string(code) + "). ";
    if (code == stream_not_found)
      throw Error::fatal(
          "Stream not found: " + said + help::create_stream(settings_.stream, common_filter(settings_.subject_filters)),
          code);
    if (code == not_enabled || code == not_enabled_for_account)
      throw Error::fatal("No responders: " + said + std::string(help::jetstream), code);
    if (status >= 500) throw Error::retry(said, code);
    throw Error::fatal(said, code);
  }

  Connection& connection_;
  const Settings& settings_;
  Clock::time_point deadline_;
  simdjson::dom::parser parser_;
};

// filters: what it must take.
void require_usable(const Stream& stream, const std::vector<std::string>& filters) {
  const auto refuse = [&](const std::string& why, const std::string& what_to_do) {
    throw Error::fatal("stream " + stream.name + " " + why + ". " + what_to_do);
  };
  if (stream.mirror) refuse("is a mirror: it takes no publishes", "Publish to the stream that it mirrors.");
  if (stream.sealed) refuse("is sealed: it takes no publishes", "Use another stream.");
  if (stream.no_ack)
    refuse("does not acknowledge publishes (no_ack), so delivery can't be confirmed", "Create it without no_ack.");
  for (const auto& filter : filters) {
    const bool reachable = std::any_of(stream.subjects.begin(), stream.subjects.end(),
                                       [&](const std::string& subject) { return overlaps(subject, filter); });
    if (!reachable)
      refuse("does not take the subject " + filter + ": its subjects are " + joined(stream.subjects),
             "Add the subject to the stream, or correct `subject`, `routes` or `stream`.");
  }
}

}  // namespace

std::string info_subject(const std::string& stream) {
  return "$JS.API.STREAM.INFO." + stream;
}

std::uint64_t last_sequence_of(std::string_view info_answer) {
  simdjson::dom::parser parser;
  element answer;
  if (parser.parse(info_answer.data(), info_answer.size()).get(answer) != simdjson::SUCCESS || !answer.is_object())
    throw Error::retry("the stream's information is no JSON");
  if (element error; answer["error"].get(error) == simdjson::SUCCESS)
    throw Error::retry("JetStream did not tell the stream's last sequence: " +
                           std::string(get_or(error, "description", std::string_view("no description"))),
                       get_or(error, "err_code", std::int64_t{0}));
  return last_sequence(answer);
}

std::vector<Stream> find_streams(Connection& connection, const Settings& settings, Host host,
                                 Clock::time_point deadline) {
  Api api(connection, settings, deadline);
  std::vector<Stream> streams;
  try {
    std::set<std::string> names;
    if (!settings.stream.empty()) names.insert(settings.stream);
    for (const auto& filter : settings.subject_filters) {
      if (!settings.stream.empty()) break;
      const auto found = api.names_on_subject(filter);
      if (found.empty())
        throw Error::fatal("Stream not found: no JetStream stream takes the subject " + filter + ". " +
                               help::create_stream(settings.stream, filter),
                           stream_not_found);
      names.insert(found.begin(), found.end());
    }
    for (const auto& name : names) streams.push_back(api.info(name));
  } catch (const Error& error) {
    // A user that may publish events and nothing else is a good idea: its first publish will tell what the API can't.
    if (connection.denial().find("Publish to \"$JS.API.") == std::string::npos) throw;
    connection.forgive_denial();
    host.warn("cannot check the stream before publishing (" + connection.denial() +
              "): allow publishing to $JS.API.STREAM.NAMES and $JS.API.STREAM.INFO.* for that");
    return {};
  }
  for (const auto& stream : streams)
    require_usable(stream, settings.stream.empty() ? std::vector<std::string>{} : settings.subject_filters);
  return streams;
}

}  // namespace tide::nats
