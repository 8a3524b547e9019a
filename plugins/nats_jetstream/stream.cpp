// SPDX-License-Identifier: Apache-2.0
#include "stream.hpp"

#include <simdjson.h>

#include <algorithm>
#include <optional>
#include <set>

#include "help.hpp"
#include "json.hpp"
#include "new_stream.hpp"
#include "subject.hpp"

namespace tide::nats {
namespace {

using simdjson::dom::element;

// JetStream's err_code values.
constexpr std::int64_t stream_not_found = 10059;
constexpr std::int64_t stream_name_in_use = 10058;
constexpr std::int64_t replicas_need_a_cluster = 10074;
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
    const auto answer = call("STREAM.NAMES", "{\"subject\":" + json_string(filter) + "}");
    std::vector<std::string> names;
    simdjson::dom::array streams;
    if (answer["streams"].get(streams) != simdjson::SUCCESS) return names;
    for (const element name : streams) names.emplace_back(std::string_view(name));
    return names;
  }

  Stream info(const std::string& name) { return read(call(info_request(name), {}), name); }

  // For what the filters take. On disk, without a limit, with the server's duplicate window.
  Stream create(const std::vector<std::string>& filters) {
    std::string subjects;
    for (const auto& subject : new_stream::subjects(filters)) {
      if (subject.starts_with('*') || subject.starts_with('>'))
        throw Error::fatal(
            "create_stream makes no stream for " + subject +
            ": a first part that varies would take other applications' subjects. Create it yourself, or let "
            "`subject` begin with a fixed part.");
      subjects += (subjects.empty() ? "" : ",") + json_string(subject);
    }
    const std::string name = new_stream::name(settings_.stream, filters.front());
    return read(call("STREAM.CREATE." + name, "{\"name\":" + json_string(name) + ",\"subjects\":[" + subjects +
                                                  "],\"storage\":\"file\",\"num_replicas\":" +
                                                  std::to_string(settings_.new_stream_replicas) + "}"),
                name);
  }

 private:
  Stream read(const element& answer, const std::string& name) const {
    const element config = answer["config"];
    Stream stream;
    stream.name = name;
    stream.api_prefix = settings_.api_prefix;
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

  // The answer is valid until the next call.
  element call(const std::string& request, const std::string& payload) {
    const std::string subject = settings_.api_prefix + request;
    const Reply reply = connection_.request(request, payload, deadline_);
    if (reply.kind == Reply::Kind::no_responders)
      throw Error::fatal("No responders: " + connection_.server() + " does not serve JetStream: nobody answers " +
                             subject + ". " + std::string(help::jetstream) +
                             (settings_.api_prefix == "$JS.API." ? "" : " Check js_domain or js_api_prefix."),
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
    if (code == stream_name_in_use)
      throw Error::fatal(
          said + "It does not take the subject " + joined(settings_.subject_filters) +
              ", and create_stream never changes one that exists: add the subject to it, or set `stream` to "
              "another name.",
          code);
    if (code == replicas_need_a_cluster) throw Error::fatal(said + "Lower create_stream_replicas.", code);
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

// missing: the filters that no stream takes, where one may be created for them.
std::vector<Stream> look_up(Api& api, const Settings& settings, std::vector<std::string>& missing) {
  const bool may_create = settings.new_stream_replicas > 0;
  std::set<std::string> names;
  if (settings.stream.empty()) {
    for (const auto& filter : settings.subject_filters) {
      const auto found = api.names_on_subject(filter);
      names.insert(found.begin(), found.end());
      if (!found.empty()) continue;
      if (!may_create)
        throw Error::fatal("Stream not found: no JetStream stream takes the subject " + filter + ". " +
                               help::create_stream(settings.stream, filter),
                           stream_not_found);
      missing.push_back(filter);
    }
  } else {
    names.insert(settings.stream);
  }
  std::vector<Stream> streams;
  try {
    for (const auto& name : names) streams.push_back(api.info(name));
  } catch (const Error& error) {
    if (error.native_code() != stream_not_found || !may_create || settings.stream.empty()) throw;
    missing = settings.subject_filters;
  }
  return streams;
}

// Nobody knows before an event comes whether it will go there, so this stops nothing.
void warn_of_gaps(const std::vector<Stream>& streams, const std::string& filter, Host host) {
  std::vector<std::string> subjects;
  for (const auto& stream : streams) subjects.insert(subjects.end(), stream.subjects.begin(), stream.subjects.end());
  if (std::any_of(subjects.begin(), subjects.end(), [&](const auto& subject) { return covers(subject, filter); }))
    return;
  host.warn("`subject` can become " + filter + ", and no stream takes all of that: found " + joined(subjects) +
            ". An event for another subject holds up the pipeline until a stream takes it");
}

}  // namespace

std::string info_request(const std::string& stream) {
  return "STREAM.INFO." + stream;
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
    std::vector<std::string> missing;
    streams = look_up(api, settings, missing);
    if (!missing.empty()) {
      streams.push_back(api.create(missing));
      host.info("created stream " + streams.back().name + " on the subjects " + joined(streams.back().subjects));
    }
  } catch (const Error&) {
    // A user that may publish events and nothing else is a good idea: its first publish will tell what the API can't.
    if (!connection.denied_api("") || connection.denied_api("STREAM.CREATE.")) throw;
    connection.forgive_denial();
    host.warn("cannot check the stream before publishing (" + connection.denial() + "): allow publishing to " +
              settings.api_prefix + "STREAM.NAMES and " + settings.api_prefix + "STREAM.INFO.* for that");
    return {};
  }
  for (const auto& stream : streams)
    require_usable(stream, settings.stream.empty() ? std::vector<std::string>{} : settings.subject_filters);
  for (const auto& filter : settings.subject_filters) warn_of_gaps(streams, filter, host);
  return streams;
}

}  // namespace tide::nats
